// A player of one stream: it waits for it, picks how to play it, says what keeps it, and goes on by itself.

import { Controls } from "./controls.js";
import { h, mark, say } from "./dom.js";
import { HlsEngine } from "./hls_engine.js";
import { MseEngine } from "./mse.js";
import { NativeEngine } from "./native.js";
import { BARRED } from "./source.js";
import { SAY, isAudio, playsNothing, playsWithout } from "./words.js";

const ENGINES = [MseEngine, HlsEngine, NativeEngine];
const HLS_FIRST = [HlsEngine, NativeEngine, MseEngine];
const PATIENCE = 2500; // Milliseconds without a picture until it is asked why.
const STANDS = 10; // Seconds without one, of what is live, until it is begun anew,
const BEGINS = 30; // and in front of the first one: HLS may have to wait for whole segments.
const LOOK = 15; // Seconds from one question to the next while all is well.
const PAUSED = 30; // Seconds until a pause lets the connection go.
const WAITS = [1, 2, 3, 5, 8, 10]; // Seconds between tries.
// Seconds between tries where somebody has to change something. Of wrong proofs the server counts each, forgets one a
// minute, and bans the whole address for ten.
const RARELY = { unproven: 30, forbidden: 150, refused: 30, unsupported: 30 };
const RULED_OUT = 1008; // Codes of WebSockets: a rule ends it, whose sentence comes with it.
const UNFIT = 4415; // A codec that MP4 cannot hold.
const RETURN = 0.25; // Seconds from an end to the first look whether it is over.
const ANSWER = 10; // Seconds in which a server says whether it is live.

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
    this.timer = null;
    this.question = null;
    this.tries = 0;
    this.failed = 0;
    this.barred = undefined; // What keeps who may not watch, as an engine was told it.
    this.lacking = null;
    this.shown = false; // This engine has shown a picture,
    this.overdue = Infinity; // and the next one should be there by then, by performance.now().
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
    this.question?.abort();
    this.question = null;
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
    if (this.engine === null) this.#look();
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
    // What comes meanwhile is seen by nobody.
    clearTimeout(this.rest);
    this.rest = setTimeout(() => this.#rest(), PAUSED * 1000);
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
    on("waiting", () => this.#waiting());
    on("volumechange", () => this.controls.update());
    on("resize", () => this.#changed());
    on("pause", () => this.#halted());
    on("play", () => this.paused && this.play());
    document.addEventListener("visibilitychange", () => this.#seen(), { signal });
    globalThis.addEventListener("online", () => this.state === "lost" && this.#look(), { signal });
  }

  /** Ask whether it is live, and begin if it is. */
  async #look() {
    if (this.engines.length === 0) {
      this.#show(this.hopeless);
      return;
    }
    this.#forget();
    this.question?.abort();
    const question = (this.question = new AbortController());
    const patience = setTimeout(() => question.abort(), ANSWER * 1000);
    const status = await this.source.status(question.signal);
    clearTimeout(patience);
    if (question !== this.question) return; // It was asked anew, or nobody wants to know any more.
    this.question = null;
    this.#learn(status);
    const { state } = status;
    if (this.engine !== null && state === "offline" && this.state === "stalled") this.#drop(); // It ends in silence.
    const comes = ["live", "slate", "unknown"].includes(state);
    const stands = comes && this.state === "stalled" && !this.paused;
    const left = stands ? (this.overdue - performance.now()) / 1000 : LOOK;
    if (this.engine !== null && left <= 0) {
      this.#ended({ opened: this.shown, code: 0, reason: "", broken: true });
    } else if (this.engine !== null) {
      this.#tell(state);
      this.#later(Math.min(left, LOOK));
    } else if (comes || state === "holding") {
      if (!(this.paused && this.began)) this.#start();
    } else if (state === "offline") {
      this.#show(this.began ? "over" : "offline");
      this.#again();
    } else {
      this.#show(state, this.#why(state, status.said));
      this.#again(RARELY[state]);
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
    if (state === "slate") this.#note(this.words.slate);
    else if (state === "holding" && this.state !== "playing") this.#show("holding");
    else if (this.lacking) this.#note(playsWithout(this.lacking));
    else this.#note("");
  }

  #start() {
    const Engine = this.#next();
    const told = this.#ears();
    this.engine = new Engine(this.video, this.source, told, this.choice);
    told.engine = this.engine;
    this.shown = false;
    this.overdue = Infinity;
    this.#waiting();
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
    if (this.paused) return;
    try {
      await this.video.play();
    } catch (problem) {
      if (problem.name !== "NotAllowedError" || this.over.signal.aborted) return;
      if (this.video.muted) {
        this.#show("tap");
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
    clearTimeout(this.stall);
    this.began = this.shown = true;
    this.overdue = Infinity;
    this.tries = this.failed = 0;
    this.barred = undefined;
    this.video.removeAttribute("poster"); // It was the newest picture, once.
    this.#show("playing");
    this.#later(this.status.state === "live" ? LOOK : 1);
    this.controls.update();
  }

  /** Nothing is shown: after a while somebody wants to know why. */
  #waiting() {
    clearTimeout(this.stall);
    this.overdue = Math.min(this.overdue, performance.now() + (this.shown ? STANDS : BEGINS) * 1000);
    this.stall = setTimeout(() => {
      if (this.engine === null || this.paused || this.state === "tap") return;
      this.#show("stalled");
      this.#look();
    }, PATIENCE);
  }

  #changed() {
    this.controls.update();
    if (this.began) this.#later(0.3);
  }

  /** Media keys, a picture in picture and a telephone that rings pause it, too. */
  #halted() {
    if (this.paused || this.engine === null || !this.video.paused || this.video.ended) return;
    this.pause();
    this.away = document.visibilityState !== "visible"; // It goes on for who comes back.
  }

  #ended({ opened, code, reason, broken = false }) {
    this.#drop();
    const { track, audio, start, ago } = this.choice;
    // What one engine alone can do is not tried with it again where it cannot be reached.
    this.choice = chosen(opened ? { track, audio, start, ago } : { track, audio });
    this.lacking = null;
    if (!opened) {
      this.failed += 1;
      this.barred = BARRED[code] ?? this.barred;
    }
    if ((code === UNFIT || code === RULED_OUT) && reason) {
      this.#show("refused", reason);
      this.#again(RARELY.refused);
      return;
    }
    if (opened && code !== 1000 && this.began) this.#show(broken ? "stalled" : "lost");
    if (opened && this.tries === 0) {
      this.tries = 1;
      this.#later(RETURN);
    } else if (!opened && this.failed % this.engines.length > 0) this.#start();
    else {
      // Where nobody is told whether it is live, it most likely is not.
      if (!opened) this.#show(this.barred ?? (this.status.state !== "unknown" ? "stalled" : this.began ? "over" : "offline"));
      this.#again(RARELY[this.barred]);
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
    this.#again(RARELY.unsupported); // Somebody may publish it otherwise.
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
    this.#forget();
    clearTimeout(this.stall);
    const { engine } = this;
    this.engine = null;
    engine?.close();
  }

  /** What keeps somebody out: as the server says it of a wrong proof, where nobody has other words. */
  #why(state, said) {
    return state === "forbidden" && said && this.words[state] === SAY[state] ? said : this.words[state];
  }

  /** Try once more, later each time. */
  #again(seconds = WAITS[Math.min(this.tries, WAITS.length - 1)]) {
    this.tries += 1;
    this.#later(seconds * (0.8 + 0.4 * Math.random()));
  }

  /** Look in so many seconds, unless that is done sooner. */
  #later(seconds) {
    const due = performance.now() + seconds * 1000;
    if (this.timer !== null && this.due <= due) return;
    this.#forget();
    this.due = due;
    this.timer = setTimeout(() => this.#look(), seconds * 1000);
  }

  #forget() {
    clearTimeout(this.timer);
    this.timer = null;
  }

  #rest() {
    if (this.engine?.rest) this.engine.rest();
    else if (this.engine instanceof MseEngine) this.#drop();
  }

  #seen() {
    if (document.visibilityState !== "visible") return;
    if (this.away) this.play();
    else if (this.engine === null && !this.paused) this.#look();
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
