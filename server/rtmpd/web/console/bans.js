// Networks from which nobody is let in.

import { ban, button, liftBan } from "./actions.js";
import { get } from "./api.js";
import { cell, h, say } from "./dom.js";
import { count, lasted } from "./format.js";
import { pagedList, queryOf } from "./paged.js";
import { heading, section } from "./views.js";

const COLUMNS = {
  network: { title: "Network" },
  why: { title: "Why" },
  left: { title: "Still for" },
  refused: { title: "Turned away", kind: "number" },
  actions: { title: "Actions", unseen: true, kind: "actions" },
};

export function bansView({ rights, signal }) {
  const list = pagedList({
    signal,
    label: "Bans",
    nobody: "Nobody is banned.",
    columns: Object.values(COLUMNS).filter((column) => column !== COLUMNS.actions || rights.operate),
    ask: (page) => get(`/bans?${queryOf(page)}`),
    row: (held, again) => row(held, rights, again),
  });
  const add = async () => {
    await ban();
    list.again();
  };
  const element = h(
    "div",
    {},
    heading("Bans"),
    section(
      "Who is not let in",
      rights.operate ? h("p", { class: "tools" }, button("Ban an address", null, add)) : null,
      list.element,
    ),
  );
  return { element, title: "Bans" };
}

function row(held, rights, again) {
  const why = h("bdi", { class: "foreign" });
  const left = h("span", {});
  const refused = h("span", {});
  const lift = async () => {
    await liftBan(held);
    again();
  };
  const element = h(
    "tr",
    { role: "row" },
    cell(COLUMNS.network, held.network),
    cell(COLUMNS.why, why),
    cell(COLUMNS.left, left),
    cell(COLUMNS.refused, refused),
    rights.operate ? cell(COLUMNS.actions, button("Lift", `the ban of ${held.network}`, lift)) : null,
  );
  const update = (newer) => {
    say(why, newer.automatic ? "failed attempts" : newer.reason || "by hand");
    say(left, lasted(newer.remaining_seconds));
    say(refused, count(newer.refused));
  };
  return { element, update };
}
