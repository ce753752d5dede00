// Media Source Extensions fed by a WebSocket: the shortest way from the encoder to the picture.

import { Media, plays } from "./media.js";
import { codecsOf } from "./words.js";

const KEPT = 30; // Seconds behind what is shown.
const LEAST_TARGET = 0.12; // Seconds that are left when something comes: less, and every hiccup is a stall.
const MOST_TARGET = 2;
const MORE = 0.05; // Seconds, behind a stall; or a third of what was left.
const FAR = 2; // Seconds beyond the target from which it jumps.
const SETTLING = 1500; // Milliseconds in which it jumps sooner: what comes first comes in a burst.
const BURST = 0.3;
const FASTER = [[0.2, 1.2], [0.1, 1.1], [0.05, 1.05]]; // So many seconds beyond the target it plays so much faster.
const CALM = 20000; // Milliseconds without a stall, from which it dares to be a little nearer; twice as long behind each stall.
const MOST_CALM = 640000;
const PATIENCE = 5000; // Milliseconds until a connection is there: proxies that know no WebSockets may say nothing.
const MOST_QUEUED = 64 << 20; // Bytes that wait for the buffer of the browser: more than a cache of the server holds.
const MARGIN = 0.01; // Seconds, within which two times are the same.

export class MseEngine {
  static name = "mse";
  static way = "mp4"; // By which the server offers it.

  static works() {
    return Boolean(Media && globalThis.WebSocket);
  }

  /** `told` hears `begun()`, `ended({ opened, code, reason, broken })`, `lacks(codecs, all)` and `changed(init)`. */
  constructor(video, source, told, choice = {}) {
    this.video = video;
    this.told = told;
    this.choice = choice;
    this.target = LEAST_TARGET;
    this.patience = CALM;
    this.follows = !choice.start;
    this.queue = [];
    this.init = null;
    this.opened = false;
    this.over = new AbortController();
    const { signal } = this.over;
    video.addEventListener("waiting", () => this.#stalled(), { signal });
    video.addEventListener("error", () => this.#broken(video.error), { signal });
    this.timer = setInterval(() => this.#keepUp(), 100);
    this.#connect(source.socket(".mp4", choice));
  }

  close() {
    this.over.abort();
    clearInterval(this.timer);
    clearTimeout(this.late);
    this.socket.close();
    this.video.playbackRate = 1;
    this.video.removeAttribute("src");
    this.video.load();
    URL.revokeObjectURL(this.object);
  }

  /** Seconds behind the newest that has come. */
  get delay() {
    const { end } = this.#range();
    return end === null ? null : end - this.video.currentTime + (this.init.delay ?? 0);
  }

  /** What can be seen now, on the timeline of the video. */
  get window() {
    const { start, end } = this.#range();
    return end === null ? null : { start, end };
  }

  /** Stay where it is, and do not keep up. */
  hold() {
    this.follows = false;
  }

  goLive() {
    const { end } = this.#range();
    if (end !== null) this.video.currentTime = Math.max(end - this.target, 0);
    this.follows = true;
  }

  #connect(url) {
    const { signal } = this.over;
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    socket.addEventListener("open", () => (this.opened = true), { signal });
    this.late = setTimeout(() => this.opened || socket.close(), PATIENCE);
    socket.addEventListener("message", ({ data }) => this.#take(data), { signal });
    socket.addEventListener("close", ({ code, reason }) => this.told.ended({ opened: this.opened, code, reason }), { signal });
  }

  #take(data) {
    if (typeof data !== "string") {
      this.left = Math.min(this.left, this.#ahead);
      this.queue.push(data);
      this.queued += data.byteLength;
      this.#append();
      // It takes no more: whoever wants it begins anew.
      if (this.queued > MOST_QUEUED) this.#broken();
      return;
    }
    const said = JSON.parse(data);
    if (said.type !== "init") return;
    const codecs = codecsOf(said.mime);
    const lacks = codecs.filter((codec) => !plays(codec));
    if (lacks.length > 0) {
      this.told.lacks(lacks, codecs);
      return;
    }
    if (this.init === null || this.init.timeline !== said.timeline || kindsOf(this.init) !== kindsOf(said)) this.#renew();
    this.init = said;
    this.queue.push(said);
    this.#append();
    this.told.changed(said);
  }

  /** Begin with nothing: times begin anew, or there are other media. */
  #renew() {
    this.queue = [];
    this.queued = 0;
    this.buffer = null;
    this.jumped = false;
    this.left = Infinity;
    const media = new Media();
    const before = this.object;
    media.addEventListener("sourceopen", () => this.#append(), { once: true, signal: this.over.signal });
    this.video.disableRemotePlayback = true; // Or ManagedMediaSource does not open.
    this.media = media;
    this.object = URL.createObjectURL(media);
    this.video.src = this.object;
    if (before) URL.revokeObjectURL(before);
  }

  #append() {
    if (this.media?.readyState !== "open" || this.buffer?.updating) return;
    while (this.queue.length > 0) {
      const next = this.queue[0];
      try {
        if (next.mime) {
          if (this.buffer === null) {
            const buffer = this.media.addSourceBuffer(next.mime);
            buffer.addEventListener("updateend", () => this.#appended(buffer), { signal: this.over.signal });
            this.buffer = buffer;
          } else this.buffer.changeType(next.mime);
          this.queue.shift();
          continue;
        }
        this.buffer.appendBuffer(next);
        this.queued -= next.byteLength;
        this.queue.shift();
        return;
      } catch (problem) {
        // It is full: it takes more when what has been seen is forgotten.
        if (problem.name === "QuotaExceededError") this.#forget(5);
        else this.#broken(problem);
        return;
      }
    }
  }

  /** What came cannot be decoded, or not be taken; from the next key frame on it may be. */
  #broken(problem) {
    this.told.ended({ opened: true, code: 0, reason: problem?.message ?? "", broken: true });
  }

  #appended(buffer) {
    if (buffer !== this.buffer || this.media.readyState !== "open") return;
    const { start, end } = this.#range();
    if (end !== null && !this.jumped && end - start > 0.03) {
      this.jumped = true;
      this.since = this.calm = performance.now();
      this.video.currentTime = this.follows ? Math.max(end - this.target, start) : start;
      this.told.begun();
    }
    this.#forget(KEPT);
    this.#append();
  }

  #forget(kept) {
    const { first } = this.#range();
    const until = this.video.currentTime - kept;
    if (first !== null && !this.buffer.updating && until - first > kept / 2) this.buffer.remove(0, until);
  }

  /** The range that is shown, or the last; `first` is where the first begins. */
  #range() {
    // Those of the video: a buffer tells nothing any more where decoding has failed.
    const ranges = this.video.buffered;
    if (ranges.length === 0) return { start: null, end: null, first: null };
    const last = ranges.length - 1;
    return { start: ranges.start(last), end: ranges.end(last), first: ranges.start(0) };
  }

  /** Stay as far behind as is needed, by playing a little faster, and over holes. */
  #keepUp() {
    const { start, end } = this.#range();
    const { video } = this;
    if (end === null || !this.jumped) return;
    if (video.currentTime < start - MARGIN && (this.follows || !this.#isShown)) {
      video.currentTime = this.follows ? Math.max(end - this.target, start) : start;
      return;
    }
    if (video.paused || !this.follows) {
      video.playbackRate = 1;
      return;
    }
    if (performance.now() - this.calm > this.patience) {
      this.target = Math.max(this.target * 0.8, LEAST_TARGET);
      this.calm = performance.now();
    }
    // What was left when it was least: right behind what has come there is always more.
    if (this.left === Infinity && this.#ahead > this.target) return; // Nothing has come since.
    const beyond = Math.min(this.left, this.#ahead) - this.target;
    this.left = Infinity;
    if (beyond > (this.#settles ? BURST : FAR)) video.currentTime += beyond;
    else video.playbackRate = FASTER.find(([least]) => beyond > least)?.[1] ?? 1;
  }

  /** Seconds that it could go on with if nothing came. */
  get #ahead() {
    const { end } = this.#range();
    return end === null ? Infinity : Math.max(end - this.video.currentTime, 0);
  }

  /** There is something to be seen where it is. */
  get #isShown() {
    const { buffered, currentTime } = this.video;
    const within = (_, at) => buffered.start(at) - MARGIN <= currentTime && currentTime < buffered.end(at) - MARGIN;
    return Array.from({ length: buffered.length }).some(within);
  }

  get #settles() {
    return performance.now() - this.since < SETTLING;
  }

  #stalled() {
    if (!this.jumped || !this.follows || this.#settles || this.video.seeking) return;
    this.target = Math.min(Math.max(this.target * 1.33, this.target + MORE), MOST_TARGET);
    this.patience = Math.min(this.patience * 2, MOST_CALM);
    this.calm = performance.now();
  }
}

function kindsOf({ tracks }) {
  return tracks.map(({ kind }) => kind).join();
}
