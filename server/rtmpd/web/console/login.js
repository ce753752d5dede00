// A token for a cookie that scripts cannot read.

import { post } from "./api.js";
import { h } from "./dom.js";

const HINT = "On the server, rtmpd admin-token new NAME makes one.";

/** The view: `done` is called once somebody is logged in. `problem` is why they are not. */
export function loginView({ problem, done }) {
  const trouble = h("p", { class: "trouble", role: "alert" });
  const token = h("input", {
    id: "token",
    name: "token",
    type: "password",
    autocomplete: "current-password",
    spellcheck: "false",
    required: true,
    "aria-describedby": "token-hint",
  });
  const go = h("button", { type: "submit", class: "main" }, "Log in");
  const form = h(
    "form",
    { class: "login", onsubmit: submit },
    h("h1", { tabindex: "-1" }, "Log in"),
    h("p", { class: "field" }, h("label", { for: "token" }, "Token"), token, h("span", { class: "hint", id: "token-hint" }, problem.type === "token_missing" ? HINT : problem.message)),
    trouble,
    h("p", { class: "buttons" }, go),
  );

  async function submit(event) {
    event.preventDefault();
    if (go.disabled) return;
    go.disabled = true;
    trouble.textContent = "";
    try {
      await post("/login", { token: token.value.trim() });
      done();
    } catch (refusal) {
      trouble.textContent = refusal.message;
      token.select();
    } finally {
      go.disabled = false;
    }
  }

  return { element: form, title: "Log in" };
}
