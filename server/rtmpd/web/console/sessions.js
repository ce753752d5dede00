// Who is connected, and how it gets on: a page of them at a time, as the server cuts them.

import { button, kick } from "./actions.js";
import { get } from "./api.js";
import { cell, foreign, h, keyed, mark, say } from "./dom.js";
import { count, delay, pathOf, protocolOf, since, size } from "./format.js";
import { pagedList, queryOf } from "./paged.js";
import { hrefOf } from "./places.js";
import { badge, heading, section } from "./views.js";

const KINDS = ["", "publisher", "player", "push", "pull", "pending"];
const COLUMNS = {
  address: { title: "Address" },
  kind: { title: "What" },
  protocol: { title: "By" },
  streams: { title: "Stream" },
  since: { title: "For" },
  in: { title: "Received", kind: "number" },
  out: { title: "Sent", kind: "number" },
  dropped: { title: "Dropped", kind: "number" },
  lag: { title: "Behind", kind: "number" },
  trip: { title: "Round trip", kind: "number" },
  actions: { title: "Actions", unseen: true, kind: "actions" },
};

/** The view of all of them. */
export function sessionsView({ feed, rights, signal }) {
  const kind = h(
    "select",
    { id: "kind" },
    KINDS.map((each) => h("option", { value: each }, each || "everybody")),
  );
  const address = h("input", { type: "search", id: "address", autocomplete: "off", spellcheck: "false", placeholder: "192.0.2.0/24" });
  const list = sessionList({
    feed,
    rights,
    signal,
    label: "Connections",
    nobody: "Nobody is connected.",
    query: () => ({ kind: kind.value, address: address.value.trim() }),
  });
  kind.addEventListener("change", list.first);
  address.addEventListener("input", list.first);
  const element = h(
    "div",
    {},
    heading("Connections"),
    section(
      "Who is connected",
      h(
        "p",
        { class: "tools" },
        h("span", {}, h("label", { for: "kind" }, "Show"), kind),
        h("span", {}, h("label", { for: "address" }, "From"), address),
      ),
      list.element,
    ),
  );
  return { element, title: "Connections" };
}

/**
 * A list of those that `query()` names, as `pagedList` gives it.
 *
 * `without` names columns that would say the same in each row.
 */
export function sessionList({ feed, rights, signal, label, nobody, query, without = [] }) {
  const hidden = new Set(rights.operate ? without : [...without, "actions"]);
  const shown = Object.entries(COLUMNS).filter(([name]) => !hidden.has(name));
  return pagedList({
    signal,
    label,
    nobody,
    columns: shown.map(([, column]) => column),
    ask: (page) => get(`/sessions?${queryOf({ ...query(), ...page })}`),
    row: (session) => row(session, feed, shown),
  });
}

function row(session, feed, columns) {
  const kind = badge("", "");
  const protocol = h("span", {});
  const lag = badge("", "");
  const streams = h("span", {});
  const says = Object.fromEntries(["since", "in", "out", "dropped", "trip"].map((name) => [name, h("span", {})]));
  const who = [session.account, session.agent].filter(Boolean).join(", ");
  const out = () => kick({ session: session.id, address: session.address, what: `The ${session.kind}` });
  const parts = {
    ...says,
    address: [foreign(session.address || "unknown"), session.tls ? " (TLS)" : null, " ", h("span", { class: "quiet" }, foreign(who))],
    kind,
    protocol,
    streams,
    lag,
    actions: button("Throw out", session.address, out, "danger"),
  };
  const element = h(
    "tr",
    { role: "row" },
    columns.map(([name, column]) => cell(column, ...[parts[name]].flat())),
  );
  const update = (newer) => {
    say(kind, newer.kind);
    say(protocol, protocolOf(newer));
    keyed(streams, newer.uses, pathOf, (use) => ({
      element: h("span", {}, h("a", { href: hrefOf(use) }, foreign(pathOf(use))), use.file ? " (the file)" : null, " "),
      update: () => {},
    }));
    say(says.since, since(newer.since, feed.now));
    say(says.in, size(newer.bytes_in));
    say(says.out, size(newer.bytes_out));
    say(says.dropped, count(newer.dropped));
    say(says.trip, newer.tcp === null ? "" : delay(newer.tcp.round_trip_seconds));
    const behind = newer.behind_seconds !== null;
    say(lag, behind ? delay(newer.behind_seconds) : newer.backlog_bytes > 0 ? size(newer.backlog_bytes) : "no");
    mark(lag, "class", behind ? "badge warn" : "");
  };
  return { element, update };
}
