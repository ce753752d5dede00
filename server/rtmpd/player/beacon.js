// Tells the server that somebody watches by HLS, and how well: behind a CDN it would not know.

const INTERVAL = 10; // Seconds.

export class Beacon {
  /** Of what `video` plays of `source`; `token()` is who watches by the server's word, null where it has none. */
  constructor(video, source, token) {
    this.video = video;
    this.source = source;
    this.token = token;
    this.viewer = [...crypto.getRandomValues(new Uint8Array(16))].map((each) => each.toString(16).padStart(2, "0")).join("");
    this.stalls = 0;
    this.told = video.currentTime;
    this.over = new AbortController();
    const { signal } = this.over;
    video.addEventListener("waiting", () => (this.stalls += video.seeking ? 0 : 1), { signal });
    globalThis.addEventListener("pagehide", () => this.#tell(true), { signal });
    this.timer = setInterval(() => !video.paused && this.#tell(false), INTERVAL * 1000);
    this.#tell(false);
  }

  close() {
    this.over.abort();
    clearInterval(this.timer);
    this.#tell(true);
  }

  #tell(left) {
    const { currentTime } = this.video;
    const watched = Math.min(Math.max(currentTime - this.told, 0), INTERVAL * 2);
    const token = this.token();
    const said = { ...(token === null ? { viewer: this.viewer } : { token }), watched_ms: Math.round(watched * 1000), stalls: this.stalls, left };
    this.told = currentTime;
    this.stalls = 0;
    // It outlives the page; nothing comes of an answer.
    fetch(this.source.url("/beacon"), { method: "POST", body: JSON.stringify(said), keepalive: true, credentials: "omit" }).catch(() => {});
  }
}
