// Where in the console something is: the part of the address behind #.

/** Of a stream. */
export function hrefOf({ app, name }) {
  return `#/streams/${encodeURIComponent(app)}/${encodeURIComponent(name)}`;
}

/** What an address names: `{ view, app, name }`. */
export function placeOf(hash) {
  const [view, ...rest] = hash.replace(/^#\/?/, "").split("/");
  if (view === "streams" && rest.length === 2) {
    try {
      return { view: "stream", app: decodeURIComponent(rest[0]), name: decodeURIComponent(rest[1]) };
    } catch {
      return { view: "streams" };
    }
  }
  return { view: ["sessions", "relays", "recordings", "history", "bans"].includes(view) ? view : "streams" };
}
