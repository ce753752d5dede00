// What a player is worked with: by mouse, finger and keyboard, and heard by readers of screens.

import { h, mark, say, svg } from "./dom.js";
import { seconds } from "./words.js";

const STEP = 10; // Seconds.
const LOUDER = 0.1;
const IDLE = 3000; // Milliseconds until controls go away while it plays.
const LEAST_WINDOW = 20; // Seconds that are worth a bar to seek in.
const DRAWINGS = {
  play: "M8 5v14l11-7z",
  pause: "M6 5h4v14H6zM14 5h4v14h-4z",
  loud: "M4 9v6h4l5 5V4L8 9zM16 8.5a4 4 0 0 1 0 7M18.5 6a7.5 7.5 0 0 1 0 12",
  mute: "M4 9v6h4l5 5V4L8 9zM16 9l5 6M21 9l-5 6",
  back: "M12 5V1L6 6l6 5V7a6 6 0 1 1-6 6H4a8 8 0 1 0 8-8z",
  full: "M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5",
  small: "M9 4v5H4M20 9h-5V4M15 20v-5h5M4 15h5v5",
  inset: "M3 5h18v14H3zM12 12h7v5h-7z",
};

export class Controls {
  constructor(player) {
    this.player = player;
    this.over = new AbortController();
    const { video } = player;
    this.play = button("Play", "k", "play", () => (this.plays ? player.pause() : player.play()));
    this.back = button(`Back ${STEP} seconds`, "ArrowLeft", "back", () => player.seek(-STEP));
    this.sound = button("Mute", "m", "loud", () => this.#hush());
    this.volume = h("input", { type: "range", class: "volume", min: 0, max: 1, step: 0.05, "aria-label": "Volume", oninput: () => this.#volume(Number(this.volume.value)) });
    this.live = h("button", { type: "button", class: "live", onclick: () => player.goLive() }, h("span", { class: "dot", "aria-hidden": "true" }), (this.edge = h("span")));
    this.delay = h("span", { class: "delay" }, (this.behind = h("span")), h("span", { class: "word" }, " behind"));
    this.bar = h("input", { type: "range", class: "bar", step: 0.1, "aria-label": "Position", oninput: () => this.#seek() });
    this.quality = menu("Quality", (id) => this.#choose(id));
    this.audio = menu("Audio", (id) => this.#listen(id));
    this.captions = menu("Captions", (id) => this.#read(Number(id)));
    this.inset = button("Picture in picture", "i", "inset", () => this.#inset());
    this.full = button("Full screen", "f", "full", () => this.#fill());
    this.unmute = h("button", { type: "button", class: "unmute", hidden: true, onclick: () => this.#hush() }, drawing("mute"), "Unmute");
    this.start = h("button", { type: "button", class: "start", hidden: true, "aria-label": "Play", onclick: () => player.play() }, drawing("play"));
    this.element = h(
      "div",
      { class: "controls" },
      this.start,
      this.unmute,
      h("div", { class: "row seek" }, this.bar),
      h("div", { class: "row", role: "group", "aria-label": "Player" }, this.play, this.back, this.sound, this.volume, this.live, this.delay, h("div", { class: "right" }, this.captions, this.audio, this.quality, this.inset, this.full)),
    );
    this.insets = document.pictureInPictureEnabled ?? "webkitSetPresentationMode" in video;
    this.#attend();
    this.#wake();
  }

  close() {
    this.over.abort();
    clearTimeout(this.idle);
    clearTimeout(this.seeking);
  }

  get plays() {
    const { player } = this;
    return !player.paused && player.state !== "tap";
  }

  /** Show what is. */
  update() {
    const { player } = this;
    const { video, engine } = player;
    face(this.play, this.plays ? "Pause" : "Play", this.plays ? "pause" : "play");
    const quiet = video.muted || video.volume === 0;
    face(this.sound, quiet ? "Unmute" : "Mute", quiet ? "mute" : "loud");
    this.volume.value = String(quiet ? 0 : video.volume);
    const shows = player.state === "playing" || player.state === "stalled";
    this.unmute.hidden = !(player.hushed && video.muted && shows);
    this.start.hidden = !(player.state === "tap" || (player.paused && !shows));
    const follows = player.live;
    this.live.hidden = !shows;
    this.play.hidden = engine === null && this.plays;
    this.inset.hidden = !(this.insets && shows);
    say(this.edge, follows ? "Live" : "Go live");
    mark(this.live, "aria-pressed", String(follows));
    const delay = shows ? (engine?.delay ?? null) : null;
    this.delay.hidden = delay === null;
    say(this.behind, delay === null ? "" : seconds(delay));
    this.#window(shows ? engine?.window : null);
    this.#offer();
  }

  #attend() {
    const { signal } = this.over;
    const { root, video } = this.player;
    root.addEventListener("keydown", (event) => this.#key(event), { signal });
    for (const name of ["pointermove", "pointerdown", "focusin", "keydown"]) root.addEventListener(name, () => this.#wake(), { signal });
    video.addEventListener("click", () => this.#click(), { signal });
    video.addEventListener("dblclick", () => this.#fill(), { signal });
    document.addEventListener("fullscreenchange", () => this.#filled(), { signal });
    this.player.addEventListener("state", () => this.#wake(), { signal });
  }

  /** Keys that the page passes on, too. */
  key(event) {
    this.#key(event);
  }

  #key(event) {
    if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey) return;
    const { target } = event;
    const isField = target instanceof HTMLInputElement || target instanceof HTMLSelectElement;
    if (isField && (event.key.startsWith("Arrow") || target instanceof HTMLSelectElement)) return;
    if (event.key === " " && target instanceof HTMLButtonElement) return;
    const { player } = this;
    const actions = {
      " ": () => (this.plays ? player.pause() : player.play()),
      k: () => (this.plays ? player.pause() : player.play()),
      m: () => this.#hush(),
      f: () => this.#fill(),
      i: () => this.#inset(),
      l: () => player.goLive(),
      ArrowLeft: () => player.seek(-STEP),
      ArrowRight: () => player.seek(STEP),
      ArrowUp: () => this.#volume(player.video.volume + LOUDER),
      ArrowDown: () => this.#volume(player.video.volume - LOUDER),
    };
    const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (action === undefined) return;
    event.preventDefault();
    if (!event.repeat || event.key.startsWith("Arrow")) action();
  }

  #click() {
    if (this.player.state === "tap") this.player.play();
  }

  #hush() {
    const { video } = this.player;
    this.player.hushed = false;
    video.muted = !(video.muted || video.volume === 0);
    if (!video.muted && video.volume === 0) video.volume = 0.5;
    this.update();
  }

  #volume(volume) {
    const { video } = this.player;
    this.player.hushed = false;
    video.volume = Math.min(Math.max(volume, 0), 1);
    video.muted = video.volume === 0;
    this.update();
  }

  #window(window) {
    const { video, reach: most } = this.player;
    this.bar.hidden = !window || most < LEAST_WINDOW;
    this.back.hidden = !window || most < STEP;
    if (this.bar.hidden || this.seeking) return;
    this.bar.min = String(-Math.round(most));
    this.bar.max = "0";
    const delay = this.player.engine?.delay ?? window.end - video.currentTime;
    this.bar.value = String(-Math.min(delay, most));
    mark(this.bar, "aria-valuetext", delay < 2 ? "live" : `${seconds(delay)} behind live`);
  }

  #seek() {
    const { player } = this;
    const delay = player.engine?.delay;
    if (delay == null) return;
    clearTimeout(this.seeking);
    // Once, when it has come to rest: each step may be a request.
    this.seeking = setTimeout(() => {
      this.seeking = null;
      player.seek(delay + Number(this.bar.value));
    }, 250);
  }

  /** What there are several of. */
  #offer() {
    const { engine, status, choice } = this.player;
    const levels = engine?.levels ?? [];
    if (levels.length > 1) offer(this.quality, [{ id: -1, label: "Auto" }, ...levels], engine.level);
    else offer(this.quality, tracks(status, "video"), choice.track ?? "");
    if (engine?.sounds) offer(this.audio, engine.sounds, engine.sound);
    else offer(this.audio, tracks(status, "audio"), choice.audio ?? "");
    const captions = engine?.captions ?? [];
    const options = captions.map(({ label, language }, id) => ({ id, label: label || language || `Captions ${id + 1}` }));
    const shown = captions.findIndex(({ mode }) => mode === "showing");
    offer(this.captions, captions.length > 0 ? [{ id: -1, label: "No captions" }, ...options] : [], shown);
  }

  #choose(id) {
    const { player } = this;
    if (player.engine?.levels) player.engine.level = Number(id);
    else player.restart({ ...player.choice, track: id || undefined });
  }

  #listen(id) {
    const { player } = this;
    if (player.engine?.sounds) player.engine.sound = Number(id);
    else player.restart({ ...player.choice, audio: id || undefined });
  }

  #read(id) {
    (this.player.engine?.captions ?? []).forEach((track, at) => (track.mode = at === id ? "showing" : "disabled"));
  }

  async #inset() {
    const { video } = this.player;
    try {
      if (document.pictureInPictureElement) await document.exitPictureInPicture();
      else if (video.requestPictureInPicture) await video.requestPictureInPicture();
      else video.webkitSetPresentationMode?.("picture-in-picture");
    } catch {
      // There is no picture yet.
    }
  }

  async #fill() {
    const { root, video } = this.player;
    try {
      if (document.fullscreenElement) await document.exitFullscreen();
      else if (root.requestFullscreen) await root.requestFullscreen();
      else video.webkitEnterFullscreen?.(); // An iPhone fills its screen with videos alone.
    } catch {
      // A frame that may not.
    }
  }

  #filled() {
    const full = document.fullscreenElement === this.player.root;
    face(this.full, full ? "Leave full screen" : "Full screen", full ? "small" : "full");
  }

  #wake() {
    const { root } = this.player;
    root.classList.remove("idle");
    clearTimeout(this.idle);
    this.idle = setTimeout(() => {
      const used = root.querySelector(":focus-visible");
      if (this.player.state === "playing" && !this.player.paused && !(used && this.element.contains(used))) root.classList.add("idle");
    }, IDLE);
  }
}

function button(label, key, name, onclick) {
  const element = h("button", { type: "button", onclick, "aria-keyshortcuts": key }, drawing(name));
  face(element, label, name);
  return element;
}

function drawing(name) {
  return svg("svg", { viewBox: "0 0 24 24", "aria-hidden": "true", class: `drawing ${name}` }, svg("path", { d: DRAWINGS[name] }));
}

function face(element, label, name) {
  if (element.getAttribute("aria-label") === label) return;
  mark(element, "aria-label", label);
  mark(element, "title", `${label} (${element.getAttribute("aria-keyshortcuts")})`);
  element.replaceChildren(drawing(name));
}

function menu(label, choose) {
  return h("select", { "aria-label": label, onchange: ({ target }) => choose(target.value) });
}

/** Have a menu hold these `{ id, label }`, where they are a choice, with `chosen` as what is. */
function offer(element, options, chosen) {
  const told = JSON.stringify(options);
  if (element.told !== told) {
    element.told = told;
    element.replaceChildren(...options.map(({ id, label }) => h("option", { value: id }, label)));
  }
  element.hidden = options.length < 2;
  if (element.value !== String(chosen)) element.value = String(chosen);
}

/** Tracks of a stream, for engines that have to be asked anew; the first is what is played unless another is asked for. */
function tracks({ tracks: all = [] }, medium) {
  const options = all
    .filter((track) => track.medium === medium)
    .map(({ id, name, height }, index) => ({ id: index === 0 ? "" : String(id), label: name ?? `${medium === "video" ? "Track" : "Audio"} ${index + 1}`, height: height ?? 0 }));
  return options.sort((one, other) => other.height - one.height).map(({ id, label }) => ({ id, label }));
}
