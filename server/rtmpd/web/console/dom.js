// Elements of the console, made of texts alone as those of the player.

import { h, mark, say, svg } from "./player/dom.js";

export { h, mark, say, svg };

/** A name that somebody else has chosen, in whatever direction it is written. */
export function foreign(text) {
  return h("bdi", { class: "foreign" }, text);
}

/**
 * Have `parent` hold one element for each item, in their order, and nothing else.
 *
 * Elements stay with their items by `key`, so that focus and selection stay too. `make` gives `{ element, update }`.
 */
export function keyed(parent, items, key, make) {
  const before = parent.keyed ?? new Map();
  const now = new Map();
  const focused = parent.contains(document.activeElement) ? document.activeElement : null;
  for (const item of items) {
    const name = key(item);
    if (now.has(name)) continue;
    const row = before.get(name) ?? make(item);
    row.update(item);
    now.set(name, row);
  }
  for (const [name, row] of before) {
    if (!now.has(name)) row.element.remove();
  }
  let next = parent.firstChild;
  for (const { element } of now.values()) {
    if (element === next) next = next.nextSibling;
    else parent.insertBefore(element, next);
  }
  parent.keyed = now;
  if (focused !== null && focused !== document.activeElement && parent.contains(focused)) focused.focus();
}

/** A table: `{ element, body }`. Columns are `{ title, kind }`, where kind `number` stands on the right. */
export function table(label, columns) {
  const body = h("tbody", { role: "rowgroup" });
  const titles = columns.map(({ title, kind, unseen }) =>
    h("th", { role: "columnheader", scope: "col", class: kind }, unseen ? h("span", { class: "unseen" }, title) : title),
  );
  const element = h(
    "table",
    { role: "table", "aria-label": label },
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, titles)),
    body,
  );
  return { element, body };
}

/** A cell, which on narrow screens says itself what it is. */
export function cell(column, ...children) {
  return h(
    "td",
    { role: "cell", class: column.kind, "data-title": column.unseen ? "" : column.title },
    h("div", {}, ...children),
  );
}
