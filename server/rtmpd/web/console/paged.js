// Lists that the server cuts into pages.

import { h, keyed, say, table } from "./dom.js";
import { count } from "./format.js";
import { poll } from "./views.js";

/**
 * A table of what `ask({ limit, after })` answers: `{ element, first, again }`.
 *
 * `row(item, again)` makes a row of one whose `id` tells it from others; `first` begins at the first page again,
 * `again` asks anew. `nobody` is said where there is nothing; it is asked every `period` ms.
 */
export function pagedList({ signal, label, columns, nobody, ask, row, page = 50, period }) {
  const { element: list, body } = table(label, columns);
  const nothing = h("p", { class: "empty" });
  const place = h("span", {});
  // Where the pages before this one begin.
  let starts = [null];
  let next = null;
  const back = h("button", { type: "button", "aria-label": `Previous: ${label}`, onclick: () => turn(starts.slice(0, -1)) }, "Previous");
  const on = h("button", { type: "button", "aria-label": `Next: ${label}`, onclick: () => turn([...starts, next]) }, "Next");
  const pages = h("p", { class: "pages", hidden: true }, back, place, on);
  const element = h("div", {}, h("div", { class: "wide" }, list), nothing, pages);
  const turn = (to) => {
    starts = to;
    again();
  };

  const again = poll(signal, async () => {
    let found;
    try {
      found = await ask({ limit: page, after: starts.at(-1) });
    } catch (problem) {
      // What cannot be asked so, and who has to do with some streams only, are answered in words.
      if (problem.status === 400 || problem.status === 403) show({ items: [], total: 0, next: null }, problem.message);
      return;
    }
    if (found.items.length === 0 && starts.length > 1) starts = [null];
    show(found, nobody);
  }, period);

  function show({ items, total, next: behind }, none) {
    next = behind;
    keyed(body, items, ({ id }) => id, (item) => row(item, again));
    list.hidden = items.length === 0;
    nothing.hidden = items.length > 0;
    say(nothing, none);
    pages.hidden = starts.length === 1 && behind === null;
    back.disabled = starts.length === 1;
    on.disabled = behind === null;
    const first = (starts.length - 1) * page;
    say(place, `${first + 1} to ${first + items.length} of ${count(total)}`);
  }

  return { element, first: () => turn([null]), again };
}

/** A query of what has a value. */
export function queryOf(wanted) {
  return new URLSearchParams(Object.entries(wanted).filter(([, value]) => value !== null && value !== ""));
}
