// The figures of all streams, as the server tells them once a second, and how they have moved.

import { whyNot } from "./api.js";
import { pathOf, rateOf } from "./format.js";

const SILENCE_MS = 6000;
const AGAIN_MS = [1000, 2000, 4000, 8000];
const HISTORY = 60;

export class Feed extends EventTarget {
  /** Of the last event; null before the first. */
  figures = null;
  /** "connecting", "live" or "lost". */
  state = "connecting";
  /** Why it is lost, in the server's words; empty where it does not answer. */
  problem = "";
  /** By path: bit/s of the last minute. */
  courses = new Map();
  /** How far the clock of the server is ahead of ours, in ms. */
  #ahead = 0;
  #source = null;
  #timer = 0;
  #failures = 0;
  #over = false;

  /** The time at the server, in ms since 1970. */
  get now() {
    return Date.now() + this.#ahead;
  }

  start() {
    document.addEventListener("visibilitychange", this.#look);
    this.#open();
  }

  stop() {
    this.#over = true;
    document.removeEventListener("visibilitychange", this.#look);
    this.#close();
  }

  // Nobody looks at a page in the background, and the server is spared.
  #look = () => {
    if (document.hidden) this.#close();
    else if (this.#source === null) this.#open();
  };

  #open() {
    this.#close();
    this.#source = new EventSource("api/v1/figures");
    this.#source.addEventListener("figures", (event) => this.#learn(JSON.parse(event.data)));
    this.#source.addEventListener("error", () => this.#lose());
    this.#watch();
  }

  #close() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }

  #watch() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#lose(), SILENCE_MS);
  }

  #learn(figures) {
    this.#watch();
    this.#failures = 0;
    this.#ahead = Date.parse(figures.at) - Date.now();
    this.#remember(figures);
    this.figures = figures;
    this.#become("live");
    this.dispatchEvent(new Event("figures"));
  }

  #remember(figures) {
    const before = this.figures?.server?.started === figures.server?.started ? this.courses : new Map();
    this.courses = new Map();
    for (const stream of figures.streams) {
      const path = pathOf(stream);
      const course = before.get(path) ?? [];
      course.push(rateOf(stream, "1s"));
      this.courses.set(path, course.slice(-HISTORY));
    }
  }

  #lose() {
    this.#close();
    this.#become("lost", this.problem);
    const wait = AGAIN_MS[Math.min(this.#failures, AGAIN_MS.length - 1)];
    this.#failures += 1;
    this.#timer = setTimeout(async () => {
      // An EventSource does not say why it failed: somebody may have been logged out.
      const problem = await whyNot("/figures");
      if (this.#over || problem?.status === 401) return;
      this.#become("lost", problem?.status ? problem.message : "");
      if (!document.hidden) this.#open();
    }, wait);
  }

  #become(state, problem = "") {
    if (state === this.state && problem === this.problem) return;
    this.state = state;
    this.problem = problem;
    this.dispatchEvent(new Event("state"));
  }
}
