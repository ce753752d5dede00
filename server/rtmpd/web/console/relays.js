// Streams on their way to other servers, and from them.

import { button, removePush, restartPull, restartPush, switchPull, switchPush } from "./actions.js";
import { get } from "./api.js";
import { cell, foreign, h, keyed, mark, say, table } from "./dom.js";
import { count, delay, pathOf, size } from "./format.js";
import { isDown } from "./health.js";
import { hrefOf } from "./places.js";
import { badge, heading, poll, section } from "./views.js";

const COLUMNS = {
  stream: { title: "Stream" },
  where: { title: "Other server" },
  state: { title: "State" },
  words: { title: "What it says", kind: "long" },
  bytes: { title: "Carried", kind: "number" },
  lag: { title: "Behind", kind: "number" },
  retries: { title: "Failed attempts", kind: "number" },
  actions: { title: "Actions", unseen: true, kind: "actions" },
};

export function relaysView({ rights, signal }) {
  const lists = { push: relayList(rights, "Pushes"), pull: relayList(rights, "Pulls") };
  const more = h("p", { class: "quiet", hidden: true });
  const element = h(
    "div",
    {},
    heading("Pushes and pulls"),
    section("Sent to other servers", lists.push.element),
    section("Fetched from other servers", lists.pull.element),
    more,
  );
  poll(signal, async () => {
    const { items, total } = await get("/relays?limit=200").catch(() => ({}));
    if (items === undefined) return;
    lists.push.update(items.filter(({ kind }) => kind === "push"), "Nothing is pushed.");
    lists.pull.update(items.filter(({ kind }) => kind === "pull"), "Nothing is pulled.");
    more.hidden = total <= items.length;
    say(more, `These are the first ${items.length} of ${count(total)}. The pages of the streams have the others.`);
  });
  return { element, title: "Pushes and pulls" };
}

/** A table of relays: `{ element, update(relays, none) }`; `without` names columns that would say the same in each row. */
export function relayList(rights, label, without = []) {
  const hidden = new Set(rights.operate ? without : [...without, "actions"]);
  const columns = Object.entries(COLUMNS).filter(([name]) => !hidden.has(name));
  const { element: list, body } = table(label, columns.map(([, column]) => column));
  const nothing = h("p", { class: "empty" });
  const element = h("div", {}, h("div", { class: "wide" }, list), nothing);
  const update = (relays, none) => {
    keyed(body, relays, (relay) => `${pathOf(relay)} ${relay.kind} ${relay.id}`, (relay) => row(relay, columns));
    list.hidden = relays.length === 0;
    nothing.hidden = relays.length > 0;
    say(nothing, none);
  };
  return { element, update };
}

function row(relay, columns) {
  const remote = h("bdi", { class: "foreign quiet" });
  const state = badge("", "");
  const again = h("span", { class: "quiet" });
  const words = h("bdi", { class: "foreign" });
  const bytes = h("span", {});
  const lag = h("span", {});
  const retries = h("span", {});
  const isPush = relay.kind === "push";
  const label = isPush ? `target ${relay.id} of ${pathOf(relay)}` : `pull of ${pathOf(relay)}`;
  const isOff = () => state.textContent === "off";
  const off = button("Off", label, () => (isPush ? switchPush : switchPull)(relay, isOff()));
  const restart = button("Restart", label, () => (isPush ? restartPush : restartPull)(relay));
  const end = button("Remove", label, () => removePush(relay), "danger");
  const parts = {
    stream: h("a", { href: hrefOf(relay) }, foreign(pathOf(relay))),
    where: isPush ? [foreign(relay.id), " ", remote] : remote,
    state: [state, " ", again],
    words,
    bytes,
    lag,
    retries,
    actions: isPush ? [off, " ", restart, " ", end] : [off, " ", restart],
  };
  const element = h(
    "tr",
    { role: "row" },
    columns.map(([name, column]) => cell(column, ...[parts[name]].flat())),
  );
  const update = (newer) => {
    say(remote, newer.remote);
    say(state, newer.slate ? "slate" : newer.state);
    mark(state, "class", `badge ${newer.slate ? "warn" : newer.state === "live" ? "ok" : isDown(newer) ? "bad" : ""}`);
    say(again, newer.retry_in_seconds === null ? "" : `again in ${Math.ceil(newer.retry_in_seconds)} s`);
    say(words, [newer.reason, newer.status].filter(Boolean).join(": "));
    say(bytes, size(newer.bytes));
    say(lag, newer.lag_seconds > 0 ? delay(newer.lag_seconds) : "no");
    say(retries, count(newer.retries));
    say(off, isOff() ? "On" : "Off");
    mark(off, "aria-label", `${isOff() ? "On" : "Off"}: ${label}`);
    restart.disabled = end.disabled = isOff();
  };
  return { element, update };
}
