// What is wrong, and what to do about it: of streams, of pushes, and of the server.

import { endHold, button } from "./actions.js";
import { foreign, h, keyed, say } from "./dom.js";
import { pathOf } from "./format.js";
import { hrefOf } from "./places.js";

const MOST = 20;
const DOWN = new Set(["backoff", "failed", "stalled"]);

/** Whether a relay is not as it should be, also while that is tried once more. */
export function isDown({ state, reason }) {
  return DOWN.has(state) || (state === "connecting" && reason !== "");
}

/** All troubles: `{ key, stream, text, remedy }`. `relays` may be null: it is not known yet how they get on. */
export function troubles(figures, relays) {
  const found = [];
  const server = figures.server;
  if (server !== null && !server.ready) {
    found.push({ key: "server", stream: null, text: `The server takes nobody new: ${server.unready_reason}.`, remedy: "" });
  }
  for (const stream of figures.streams) {
    if (stream.state === "holding") {
      found.push({
        key: `hold ${pathOf(stream)}`,
        stream,
        held: true,
        text: stream.slate ? "Its encoder was lost, and its players are shown a slate." : "Its encoder was lost, and its players wait.",
        remedy: "See to the encoder and its network; they go on when it is back.",
      });
    }
    if (stream.slate && stream.state === "live") {
      found.push({
        key: `slate ${pathOf(stream)}`,
        stream,
        text: "Its encoder sends nothing, and its players are shown a slate.",
        remedy: "See to the encoder and its network; it is back with its next key frame.",
      });
    }
    for (const { kind, text, remedy } of stream.warnings) {
      found.push({ key: `${kind} ${pathOf(stream)}`, stream, text, remedy });
    }
  }
  for (const relay of (relays ?? []).filter(isDown)) {
    found.push({
      key: `relay ${pathOf(relay)} ${relay.kind} ${relay.id}`,
      stream: relay,
      text: relayTrouble(relay),
      remedy: relay.status ? `The other server says: ${relay.status}` : "",
    });
  }
  return found;
}

function relayTrouble({ kind, id, remote, state, reason, retry_in_seconds }) {
  const where = kind === "push" ? `The push to ${id} (${remote})` : `The pull from ${remote || id}`;
  const why = reason ? `: ${reason}` : "";
  const next = retry_in_seconds === null ? "" : `; the next attempt is in ${Math.ceil(retry_in_seconds)} s`;
  const again = state === "connecting" ? "; it is tried once more now" : next;
  return `${where} is ${state === "backoff" || state === "connecting" ? "down" : state}${why}${again}.`;
}

/** A list of them: `{ element, update(found, rights, isWhole) }`; nothing is said to be well before all is known. */
export function troubleList() {
  const list = h("ul", { class: "troubles" });
  const summary = h("p", { class: "well" });
  const more = h("p", { class: "quiet", hidden: true });
  const element = h("div", {}, summary, list, more);
  const update = (found, rights, isWhole) => {
    const well = isWhole ? "Nothing is wrong." : "Looking ...";
    say(summary, found.length === 0 ? well : `${found.length === 1 ? "One thing needs" : `${found.length} things need`} somebody:`);
    summary.className = found.length > 0 ? "well warn" : isWhole ? "well ok" : "well";
    keyed(list, found.slice(0, MOST), ({ key }) => key, (trouble) => item(trouble, rights));
    more.hidden = found.length <= MOST;
    say(more, `and ${found.length - MOST} more`);
  };
  return { element, update };
}

function item(trouble, rights) {
  const text = h("span", { class: "what" });
  const remedy = h("span", { class: "remedy" });
  const where = trouble.stream === null ? null : h("a", { href: hrefOf(trouble.stream) }, foreign(pathOf(trouble.stream)));
  const end = trouble.held && rights.operate ? button("End it", pathOf(trouble.stream), () => endHold(trouble.stream), "danger") : null;
  const element = h("li", {}, where, where ? " " : null, text, " ", remedy, end);
  return {
    element,
    update: (newer) => {
      say(text, newer.text);
      say(remedy, newer.remedy);
    },
  };
}
