// A player of one stream: it waits for it, picks how to play it, says what keeps it, and goes on by itself.

import { Controls } from "./controls.js";
import { h, mark, say } from "./dom.js";
import { HlsEngine } from "./hls_engine.js";
import { Looks } from "./looks.js";
import { MseEngine } from "./mse.js";
import { NativeEngine } from "./native.js";
import { BARRED } from "./source.js";
import { Standstill } from "./standstill.js";
import { SAY, isAudio, playsNothing, playsWithout } from "./words.js";

const ENGINES = [MseEngine, HlsEngine, NativeEngine];
const HLS_FIRST = [HlsEngine, NativeEngine, MseEngine];
const LOOK = 15; // Seconds from one question to the next while all is well.
const HELD = 5; // The same while an encoder is waited for.
const PAUSED = 30; // Seconds until a pause lets the connection go.
const BRIEF = 20; // Seconds: an engine that breaks sooner, twice in a row, makes room for the next.
const RULED_OUT = 1008; // Codes of WebSockets: a rule ends it, whose sentence comes with it.
const UNFIT = 4415; // A codec that MP4 cannot hold.
const RETURN = 0.25; // Seconds from an end to the first look whether it is over.

export class Player extends EventTarget {
  /** `root` becomes the player of `source`; with a `poster` the picture at .jpg is shown until it plays. HLS comes
   *  first where it has `hls` more of the stream, or a CDN that carries it to as many as there are. Of `ways` alone the
   *  server offers it, where they are known. `words` are said in place of those of SAY. */
  constructor(root, source, { title = "", poster = false, hls = false, via = null, ways = null, muted = false, words = {} } = {}) {
    super();
    this.root = root;
    this.source = source;
    this.words = { ...SAY, ...words };
    this.status = { state: "unknown" };
    this.state = "connecting";
    this.engine = null;
    this.choice = source.start ? { start: source.start } : {};
    const offered = (hls || source.counted ? HLS_FIRST : ENGINES).filter((each) => ways?.includes(each.way) ?? true);
    const engines = offered.filter((each) => each.works());
    this.engines = ENGINES.some((each) => each.name === via) ? engines.filter((each) => each.name === via) : engines;
    this.hopeless = offered.length > 0 ? "nothing" : "unoffered"; // Where there is no engine.
    this.looks = new Looks(() => this.#look());
    this.failed = 0;
    this.breaks = 0;
    this.barred = undefined; // What keeps who may not watch, as an engine was told it.
    this.lacking = null;
    this.still = new Standstill(() => this.#stalled());
    this.paused = false;
    this.over = new AbortController();
    this.video = h("video", { playsinline: true, "aria-label": title, tabindex: "-1" });
    this.video.muted = muted;
    this.message = h("p", { class: "message", role: "status" });
    this.notice = h("p", { class: "notice", role: "status", hidden: true });
    this.root.classList.add("player");
    this.controls = new Controls(this);
    this.root.replaceChildren(this.video, this.message, this.notice, this.controls.element);
    if (poster) this.video.poster = source.url(".jpg");
    this.#listen();
    this.#show("connecting");
    this.#look();
  }

  close() {
    this.over.abort();
    this.looks.close();
    clearTimeout(this.rest);
    this.#drop();
    this.controls.close();
    this.root.replaceChildren();
  }

  /** It is at the live edge, and stays there. */
  get live() {
    const { start, ago } = this.choice;
    return !this.paused && !start && !ago && (this.engine?.follows ?? false);
  }

  /** Seconds that can be gone back, at most. */
  get reach() {
    const window = this.engine?.window;
    if (!window) return 0;
    const length = window.end - window.start;
    if (!(this.engine instanceof MseEngine)) return length;
    return Math.max(length, this.status.rewind_seconds ?? 0, this.#listed);
  }

  play() {
    this.paused = false;
    clearTimeout(this.rest);
    this.still.grant();
    if (this.state === "tap") {
      this.#show("connecting");
      if (!this.choice.start && !this.choice.ago) this.engine?.goLive();
    }
    if (this.engine === null) this.looks.now();
    else {
      this.engine.wake?.();
      this.#play();
    }
    this.controls.update();
  }

  pause() {
    this.paused = true;
    this.away = false;
    this.video.pause();
    this.engine?.hold?.();
    this.#idle();
    this.controls.update();
  }

  goLive() {
    const { start, ago, ...choice } = this.choice;
    if (start || ago) this.restart(choice);
    else if (!this.live) this.engine?.goLive();
    this.play();
  }

  /** Go so many seconds back, or forward. */
  seek(by) {
    const { engine, video } = this;
    const window = engine?.window;
    if (!window) return;
    const to = video.currentTime + by;
    if (to >= window.end - 0.5) this.goLive();
    else if (to < window.start && engine instanceof MseEngine && this.#fetch(engine.delay - by)) return;
    else {
      engine.hold?.();
      video.currentTime = Math.max(to, window.start);
    }
  }

  /** Play it otherwise: another track, or from elsewhere. */
  restart(choice) {
    this.choice = chosen(choice);
    this.#drop();
    this.#start();
    if (this.paused) this.pause();
  }

  // Inside

  #listen() {
    const { signal } = this.over;
    const on = (name, listener) => this.video.addEventListener(name, listener, { signal });
    on("playing", () => this.#playing());
    on("timeupdate", () => this.controls.update());
    on("waiting", () => this.still.wait());
    on("volumechange", () => this.controls.update());
    on("resize", () => this.#changed());
    on("pause", () => this.#halted());
    on("play", () => this.paused && this.play());
    document.addEventListener("visibilitychange", () => this.#seen(), { signal });
    globalThis.addEventListener("online", () => this.state === "lost" && this.looks.now(), { signal });
  }

  /** Ask whether it is live, and begin if it is. */
  async #look() {
    if (this.engines.length === 0) {
      this.#show(this.hopeless);
      return;
    }
    const status = await this.looks.ask(this.source);
    if (status === null) return;
    this.#learn(status);
    const { state } = status;
    if (this.engine !== null) this.#tell(state);
    if (this.engine !== null && state === "offline" && this.state === "stalled") this.#drop(); // It ends in silence.
    const comes = ["live", "slate", "unknown"].includes(state);
    const stands = comes && this.state === "stalled" && !this.paused;
    const left = stands ? this.still.left : LOOK;
    if (this.engine !== null && left <= 0) {
      this.#ended({ opened: this.still.shown, code: 0, reason: "", broken: true });
    } else if (this.engine !== null) {
      this.looks.later(Math.min(left, this.state === "holding" ? HELD : LOOK));
    } else if (comes || state === "holding") {
      if (!this.#rests || !(this.began || this.state === "tap")) this.#start();
    } else if (state === "offline") {
      this.#show(this.began ? "over" : "offline");
      this.looks.again();
    } else {
      this.#show(state, this.#why(state, status.said));
      this.looks.again(state);
    }
  }

  #learn(status) {
    if (status.state === "lost" || status.state === "busy") return;
    this.status = status;
    this.dispatchEvent(new Event("status"));
    this.controls.update();
  }

  /** While it plays: what is shown, in words. */
  #tell(state) {
    const isHeld = state === "holding";
    if (isHeld || this.state === "holding") this.still.grant();
    if (!isHeld && this.state === "holding") this.#show("stalled"); // Until the picture comes, soon.
    if (state === "slate") this.#note(this.words.slate);
    else if (isHeld && !["playing", "tap"].includes(this.state)) this.#show("holding");
    else if (this.lacking) this.#note(playsWithout(this.lacking));
    else this.#note("");
  }

  #start() {
    const Engine = this.#next();
    const told = this.#ears();
    this.engine = new Engine(this.video, this.source, told, this.choice);
    told.engine = this.engine;
    this.still.begin();
    this.controls.update();
  }

  /** The engine that has not failed, or the one that alone can do what is wanted. */
  #next() {
    const { only, start, ago } = this.choice;
    const able = only || start ? MseEngine : ago ? HlsEngine : null;
    return this.engines.includes(able) ? able : this.engines[this.failed % this.engines.length];
  }

  /** What an engine tells is heard as long as it is ours. */
  #ears() {
    const ears = { engine: undefined };
    const heard = (listener) => (...said) => {
      if (ears.engine === undefined || ears.engine === this.engine) listener(...said);
    };
    ears.begun = heard(() => this.#play());
    ears.ended = heard((how) => this.#ended(how));
    ears.lacks = heard((codecs, all) => this.#lacks(codecs, all));
    ears.changed = heard(() => this.#changed());
    ears.levels = heard(() => this.controls.update());
    return ears;
  }

  async #play() {
    if (this.paused) {
      this.#idle();
      return;
    }
    try {
      await this.video.play();
    } catch (problem) {
      if (problem.name !== "NotAllowedError" || this.over.signal.aborted) return;
      if (this.video.muted) {
        this.#show("tap");
        this.#idle();
        return;
      }
      // Browsers let nothing be heard that nobody has asked for.
      this.video.muted = true;
      this.hushed = true;
      this.controls.update();
      await this.#play();
    }
  }

  #playing() {
    this.still.end();
    this.began = true;
    this.looks.tries = this.failed = 0;
    this.barred = undefined;
    this.video.removeAttribute("poster"); // It was the newest picture, once.
    this.#show("playing");
    const { state, viewers } = this.status;
    this.looks.later(state === "live" && viewers !== 0 ? LOOK : 1); // Somebody watches by then: whoever sees this.
    this.controls.update();
  }

  /** Nothing has been shown for a while: somebody wants to know why. */
  #stalled() {
    if (this.engine === null || this.#rests) return;
    this.#show("stalled");
    this.#look();
  }

  #changed() {
    this.controls.update();
    if (this.began) this.looks.later(0.3);
  }

  /** Media keys, a picture in picture and a telephone that rings pause it, too. */
  #halted() {
    if (this.paused || this.engine === null || !this.video.paused || this.video.ended) return;
    this.pause();
    this.away = document.visibilityState !== "visible"; // It goes on for who comes back.
  }

  #ended({ opened, code, reason, broken = false }) {
    this.#drop();
    this.breaks = broken && this.still.age < BRIEF ? this.breaks + 1 : 0;
    const fails = !opened || this.breaks > 1;
    const { track, audio, start, ago } = this.choice;
    // What one engine alone can do is not tried with it again where it fails.
    this.choice = chosen(fails ? { track, audio } : { track, audio, start, ago });
    this.lacking = null;
    if (fails) {
      this.failed += 1;
      this.barred = BARRED[code] ?? this.barred;
    }
    if ((code === UNFIT || code === RULED_OUT) && reason) {
      this.#show("refused", reason);
      this.looks.again("refused");
      return;
    }
    if (opened && code !== 1000 && this.began) this.#show(broken ? "stalled" : "lost");
    if (opened && this.looks.tries === 0) {
      this.looks.tries = 1;
      this.looks.later(RETURN);
    } else if (!opened && this.failed % this.engines.length > 0) this.#start();
    else {
      // Where nobody is told whether it is live, it most likely is not.
      if (!opened) this.#show(this.barred ?? (this.status.state !== "unknown" ? "stalled" : this.began ? "over" : "offline"));
      this.looks.again(this.barred);
      this.barred = undefined;
    }
  }

  #lacks(codecs, all) {
    const others = all.filter((codec) => !codecs.includes(codec));
    if (others.length > 0 && this.engines.includes(MseEngine) && !this.choice.only) {
      this.lacking = codecs;
      this.restart({ ...this.choice, only: codecs.some(isAudio) ? "video" : "audio" });
      this.#note(playsWithout(codecs));
      return;
    }
    this.#drop();
    this.#show("unsupported", playsNothing(codecs));
    this.looks.again("unsupported"); // Somebody may publish it otherwise.
  }

  /** Seconds that playlists of HLS go back, where it can be played. */
  get #listed() {
    return this.engines.includes(HlsEngine) ? (this.status.dvr_seconds ?? 0) : 0;
  }

  /** Have what was so many seconds ago from the server; false where it has no more. */
  #fetch(seconds) {
    const rewind = this.status.rewind_seconds ?? 0;
    const most = Math.max(rewind, this.#listed);
    const ago = Math.min(Math.round(seconds), Math.floor(most));
    if (ago <= 0) return false;
    const { track, audio, only } = this.choice;
    this.restart(ago <= rewind ? { track, audio, only, start: `-${ago}` } : { track, audio, ago });
    return true;
  }

  #drop() {
    this.looks.forget();
    this.still.close();
    const { engine } = this;
    this.engine = null;
    engine?.close();
  }

  /** What keeps somebody out: as the server says it of a wrong proof, where nobody has other words. */
  #why(state, said) {
    return state === "forbidden" && said && this.words[state] === SAY[state] ? said : this.words[state];
  }

  /** What comes from now on is seen by nobody. */
  #idle() {
    clearTimeout(this.rest);
    this.rest = setTimeout(() => this.#rest(), PAUSED * 1000);
  }

  #rest() {
    if (!this.#rests) return;
    // Who has seen nothing has no place to come back to.
    if (this.state === "tap" || this.engine instanceof MseEngine) this.#drop();
    else this.engine?.rest?.();
    this.controls.update();
  }

  /** Nobody watches until play is pressed. */
  get #rests() {
    return this.paused || this.state === "tap";
  }

  #seen() {
    if (document.visibilityState !== "visible") return;
    if (this.away) this.play();
    else if (this.engine === null && !this.#rests) this.looks.now();
  }

  #show(state, text = this.words[state] ?? "") {
    const isNew = this.state !== state;
    this.state = state;
    mark(this.root, "data-state", state);
    say(this.message, text);
    if (state !== "playing") this.#note("");
    this.controls.update();
    if (isNew) this.dispatchEvent(new Event("state"));
  }

  #note(text) {
    say(this.notice, text);
    this.notice.hidden = text === "";
  }
}

/** Without what nobody has chosen. */
function chosen(choice) {
  return Object.fromEntries(Object.entries(choice).filter(([, value]) => value !== undefined));
}
