// What all views have in common.

import { h } from "./dom.js";

const PERIOD_MS = 2000;

/** Ask `look` every so often while somebody sees the page, until `signal` is aborted; gives what asks now. */
export function poll(signal, look, period = PERIOD_MS) {
  let timer = 0;
  let asking = false;
  const again = async () => {
    clearTimeout(timer);
    if (signal.aborted || asking || document.hidden) return;
    asking = true;
    try {
      await look();
    } finally {
      asking = false;
      if (!signal.aborted) timer = setTimeout(again, period);
    }
  };
  document.addEventListener("visibilitychange", again, { signal });
  signal.addEventListener("abort", () => clearTimeout(timer));
  again();
  return again;
}

/** A heading that gets the focus when its view comes, so that readers of screens begin there. */
export function heading(text) {
  return h("h1", { tabindex: "-1" }, text);
}

/** What is said where a list has nothing in it. */
export function empty(text) {
  return h("p", { class: "empty", hidden: true }, text);
}

/** A part of a view under a heading of its own. */
export function section(title, ...children) {
  return h("section", {}, h("h2", {}, title), ...children);
}

/** Words on a ground: "ok", "warn", "bad", or nothing in particular. */
export function badge(mood, text) {
  return h("span", { class: `badge ${mood}` }, text);
}
