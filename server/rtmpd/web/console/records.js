// Sessions that are over, and why.

import { get } from "./api.js";
import { cell, foreign, h } from "./dom.js";
import { clock, count, lasted, pathOf, protocolOf, size } from "./format.js";
import { pagedList, queryOf } from "./paged.js";
import { hrefOf } from "./places.js";

const COLUMNS = {
  until: { title: "Over at" },
  address: { title: "Address" },
  kind: { title: "What" },
  protocol: { title: "By" },
  streams: { title: "Stream" },
  seconds: { title: "Lasted" },
  in: { title: "Received", kind: "number" },
  out: { title: "Sent", kind: "number" },
  dropped: { title: "Dropped", kind: "number" },
  why: { title: "Why it ended", kind: "long" },
};

/** A list of those that `query()` names, the youngest first; `without` names columns that would say the same in each row. */
export function recordList({ signal, label, query, without = [], page }) {
  const shown = Object.entries(COLUMNS).filter(([name]) => !without.includes(name));
  return pagedList({
    signal,
    label,
    page,
    nobody: "No session is over that is known of.",
    columns: shown.map(([, column]) => column),
    ask: (part) => get(`/records?${queryOf({ ...query(), ...part })}`),
    row: (record) => row(record, shown),
  });
}

function row(record, columns) {
  const who = [record.account, record.agent].filter(Boolean).join(", ");
  const paths = new Map(record.uses.map((use) => [pathOf(use), use]));
  const streams = [...paths].flatMap(([path, use]) => [h("a", { href: hrefOf(use) }, foreign(path)), use.file ? " (the file) " : " "]);
  const parts = {
    until: h("time", { datetime: record.until }, clock(record.until)),
    address: [foreign(record.address || "unknown"), " ", h("span", { class: "quiet" }, foreign(who))],
    kind: record.kind,
    protocol: protocolOf(record),
    streams,
    seconds: lasted(record.seconds),
    in: size(record.bytes_in),
    out: size(record.bytes_out),
    dropped: count(record.dropped),
    why: foreign(why(record)),
  };
  const element = h(
    "tr",
    { role: "row" },
    columns.map(([name, column]) => cell(column, ...[parts[name]].flat())),
  );
  return { element, update: () => {} };
}

/** The words of the reasons, as the manual has them, without what joins them. */
function why({ reason, detail, by }) {
  const words = detail && detail !== reason ? `${reason}: ${detail}` : reason;
  return words.replaceAll("_", " ") + (by ? `, by ${by}` : "");
}
