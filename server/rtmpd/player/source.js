// Where a stream is: its URLs, with what the page was asked with, and what the server says of it.

/** Who is not let in, by statuses of HTTP. */
export const BARRED = { 401: "unproven", 403: "forbidden" };

const OURS = new Set(["embed", "via"]);

export class Source {
  /** `base` is the URL of the page without its query, `query` (a URLSearchParams) holds what proves who asks.
   *  Of one behind a CDN viewers are `counted` by what they say themselves. `silent` is the server that tells nobody
   *  whether it is live. */
  constructor(base, query = new URLSearchParams(), { counted = false, silent = false } = {}) {
    this.counted = counted;
    this.silent = silent;
    this.base = new URL(base, location.href);
    this.base.search = this.base.hash = "";
    this.query = [...query].filter(([name]) => !OURS.has(name) && name !== "start");
    this.start = query.get("start");
  }

  /** The URL of what has that ending. */
  url(ending, fields = {}) {
    const url = new URL(this.base);
    url.pathname += ending;
    url.search = new URLSearchParams([...this.query, ...Object.entries(fields)]);
    return url.href;
  }

  /** The same by WebSocket. */
  socket(ending, fields = {}) {
    return this.url(ending, fields).replace(/^http/, "ws");
  }

  /** Whether it is live: `{ state, ... }` as the server tells it, or a `state` of what keeps it from telling,
   *  and what was `said` about that. */
  async status(signal) {
    if (this.silent) return { state: "unknown", said: "" };
    try {
      const answer = await fetch(this.url(".json"), { signal, cache: "no-store", credentials: "omit" });
      if (answer.ok) return await answer.json();
      // 404: nobody is told, so the stream itself is asked.
      const states = { ...BARRED, 404: "unknown", 429: "busy", 503: "busy" };
      const isSaid = answer.headers.get("Content-Type")?.startsWith("text/plain");
      return { state: states[answer.status] ?? "lost", said: isSaid ? (await answer.text()).trim() : "" };
    } catch {
      return { state: "lost" }; // Or a proxy answers with a page of its own.
    }
  }
}
