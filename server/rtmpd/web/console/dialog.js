// Questions before something is done that cannot be taken back.

import { h } from "./dom.js";

export const BAN_TIMES = [
  ["", "Do not ban"],
  ["600", "Ban its address for 10 minutes"],
  ["3600", "Ban its address for 1 hour"],
  ["86400", "Ban its address for 24 hours"],
];

/** A field of a dialog: `{ name, label, type, ... }` as an input has them, or with `options` a choice. */
function field({ name, label, options, hint, ...attributes }) {
  const id = `field-${name}`;
  const hintId = hint ? `${id}-hint` : null;
  const input = options
    ? h(
        "select",
        { id, name, "aria-describedby": hintId },
        options.map(([value, text]) => h("option", { value }, text)),
      )
    : h("input", { id, name, autocomplete: "off", spellcheck: "false", "aria-describedby": hintId, ...attributes });
  return h(
    "p",
    { class: "field" },
    h("label", { for: id }, label),
    input,
    hint ? h("span", { class: "hint", id: hintId }, hint) : null,
  );
}

/**
 * Ask, and do it: `act(values)` is called with what the fields say, and what it fails with is shown.
 *
 * Resolves to `{ answer }`, what `act` has given, or to null if it was not done. The focus goes back to where it was.
 */
export function ask({ title, text = [], fields = [], verb, danger = false, act }) {
  return new Promise((resolve) => {
    const asker = document.activeElement;
    let done = null;
    const trouble = h("p", { class: "trouble", role: "alert" });
    const cancel = h("button", { type: "button", onclick: () => dialog.close() }, "Cancel");
    const go = h("button", { type: "submit", class: danger ? "danger" : "main" }, verb);
    const form = h(
      "form",
      { method: "dialog", onsubmit: submit },
      h("h2", { id: "dialog-title" }, title),
      text.map((line) => h("p", {}, line)),
      fields.map(field),
      trouble,
      h("p", { class: "buttons" }, cancel, go),
    );
    const dialog = h("dialog", { "aria-labelledby": "dialog-title", onclose: closed }, form);

    async function submit(event) {
      event.preventDefault();
      if (go.disabled) return;
      go.disabled = true;
      trouble.textContent = "";
      try {
        done = { answer: await act(Object.fromEntries(new FormData(form))) };
        dialog.close();
      } catch (problem) {
        trouble.textContent = problem.message;
      } finally {
        go.disabled = false;
      }
    }

    function closed() {
      dialog.remove();
      if (asker?.isConnected) asker.focus();
      else document.querySelector("main h1")?.focus();
      resolve(done);
    }

    document.body.append(dialog);
    dialog.showModal();
    if (fields.length === 0) cancel.focus();
  });
}
