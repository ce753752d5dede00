// HLS by the browser itself: Safari, where nothing else is there.

import { Beacon } from "./beacon.js";
import { captionsOf } from "./captions.js";

const LATE = 15; // Seconds behind the live edge from which it is no more followed.

export class NativeEngine {
  static name = "native";
  static way = "hls"; // By which the server offers it.

  static works() {
    return document.createElement("video").canPlayType("application/vnd.apple.mpegurl") !== "";
  }

  /** `told` as of MseEngine. */
  constructor(video, source, told) {
    this.video = video;
    this.over = new AbortController();
    const { signal } = this.over;
    video.addEventListener("loadeddata", () => this.#began(source, told), { signal });
    video.addEventListener("ended", () => told.ended({ opened: true, code: 1000, reason: "" }), { signal });
    video.addEventListener("error", () => told.ended({ opened: video.readyState > 0, code: video.error?.code ?? 0, reason: "" }), { signal });
    video.src = source.url("/index.m3u8");
  }

  close() {
    this.over.abort();
    this.beacon?.close();
    this.video.removeAttribute("src");
    this.video.load();
  }

  get delay() {
    const shown = this.video.getStartDate?.();
    if (shown && !Number.isNaN(shown.getTime())) return (Date.now() - shown.getTime()) / 1000 - this.video.currentTime;
    const { window } = this;
    return window === null ? null : window.end - this.video.currentTime;
  }

  get window() {
    const { seekable } = this.video;
    return seekable.length > 0 ? { start: seekable.start(0), end: seekable.end(seekable.length - 1) } : null;
  }

  /** Audio tracks, where there are several and the browser tells of them. */
  get sounds() {
    return [...(this.video.audioTracks ?? [])].map(({ label, language }, id) => ({ id, label: label || language || `Audio ${id + 1}` }));
  }

  get sound() {
    return [...(this.video.audioTracks ?? [])].findIndex(({ enabled }) => enabled);
  }

  set sound(id) {
    [...this.video.audioTracks].forEach((track, at) => (track.enabled = at === id));
  }

  get captions() {
    return captionsOf(this.video);
  }

  get follows() {
    const { window } = this;
    return window === null || window.end - this.video.currentTime < LATE;
  }

  #began(source, told) {
    // What is in its playlists the browser does not say; where they name viewers it is known without.
    if (source.counted) this.beacon ??= new Beacon(this.video, source, () => null);
    told.begun();
  }

  goLive() {
    const { window } = this;
    if (window !== null) this.video.currentTime = window.end;
  }
}
