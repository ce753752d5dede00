// Elements made of texts alone: whatever peers call themselves is never read as markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes, listeners (`onclick`) and children: elements, texts, or nothing (null, false). */
export function h(tag, attributes = {}, ...children) {
  return furnish(document.createElement(tag), attributes, children);
}

/** The same of a drawing. */
export function svg(tag, attributes = {}, ...children) {
  return furnish(document.createElementNS(SVG, tag), attributes, children);
}

function furnish(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Have an element say something, and leave it alone if it does already: readers of screens hear of changes. */
export function say(element, text) {
  const words = String(text ?? "");
  if (element.textContent !== words) element.textContent = words;
}

/** Set an attribute, or take it away. */
export function mark(element, name, value) {
  if (value === null || value === undefined || value === false) {
    element.removeAttribute(name);
  } else if (element.getAttribute(name) !== String(value)) {
    element.setAttribute(name, String(value));
  }
}

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
