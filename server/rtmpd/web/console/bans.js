// Networks from which nobody is let in.

import { ban, button, liftBan } from "./actions.js";
import { get } from "./api.js";
import { cell, h, keyed, say, table } from "./dom.js";
import { count, lasted } from "./format.js";
import { heading, poll, section } from "./views.js";

const COLUMNS = {
  network: { title: "Network" },
  why: { title: "Why" },
  left: { title: "Still for" },
  refused: { title: "Turned away", kind: "number" },
  actions: { title: "Actions", unseen: true, kind: "actions" },
};

export function bansView({ rights, signal }) {
  const columns = Object.values(COLUMNS).filter((column) => column !== COLUMNS.actions || rights.operate);
  const { element: list, body } = table("Bans", columns);
  const nothing = h("p", { class: "empty" });
  const more = h("p", { class: "quiet", hidden: true });
  const again = poll(signal, async () => {
    let found;
    try {
      found = await get("/bans?limit=200");
    } catch (problem) {
      if (problem.status !== 403) return;
      // Whoever has to do with some streams only is not told.
      list.hidden = true;
      nothing.hidden = false;
      say(nothing, problem.message);
      return;
    }
    const { items, total } = found;
    keyed(body, items, ({ network }) => network, (held) => row(held, rights, () => again()));
    list.hidden = items.length === 0;
    nothing.hidden = items.length > 0;
    say(nothing, "Nobody is banned.");
    more.hidden = total <= items.length;
    say(more, `These are the first ${items.length} of ${count(total)}.`);
  });
  const add = async () => {
    await ban();
    again();
  };
  const element = h(
    "div",
    {},
    heading("Bans"),
    section(
      "Who is not let in",
      rights.operate ? h("p", { class: "tools" }, button("Ban an address", null, add)) : null,
      h("div", { class: "wide" }, list),
      nothing,
      more,
    ),
  );
  return { element, title: "Bans" };
}

function row(held, rights, again) {
  const why = h("bdi", { class: "foreign" });
  const left = h("span", {});
  const refused = h("span", {});
  const lift = async () => {
    await liftBan(held.network);
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
