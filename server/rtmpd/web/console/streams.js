// Everything that is on air, and whether it is well.

import { get } from "./api.js";
import { cell, foreign, h, keyed, mark, say, table } from "./dom.js";
import { bitrate, count, counted, inOrder, lasted, medium, pathOf, rateOf, since, size } from "./format.js";
import { isDown, troubleList, troubles } from "./health.js";
import { hrefOf } from "./places.js";
import { sparkline } from "./sparkline.js";
import { badge, heading, poll, section } from "./views.js";

const PAGE = 50;
const ORDERS = {
  name: (a, b) => inOrder(pathOf(a), pathOf(b)),
  bitrate: (a, b) => rateOf(b) - rateOf(a),
  players: (a, b) => b.players - a.players,
  health: (a, b, down) => b.warnings.length + down(b) - a.warnings.length - down(a),
};
const COLUMNS = {
  name: { title: "Stream" },
  state: { title: "State" },
  media: { title: "Video and audio", kind: "long" },
  rate: { title: "Bitrate", kind: "number" },
  course: { title: "Last minute", kind: "course", unseen: true },
  players: { title: "Players", kind: "number" },
  dropped: { title: "Dropped", kind: "number" },
  health: { title: "Health" },
};
const STATES = { live: "ok", holding: "warn", idle: "" };

/** The view: `{ element, title }`, following `feed` until `signal` is aborted. */
export function streamsView({ feed, rights, signal }) {
  const title = heading("On air");
  const totals = h("dl", { class: "totals" });
  const health = troubleList();
  const filter = h("input", { type: "search", id: "filter", autocomplete: "off", spellcheck: "false" });
  const order = h(
    "select",
    { id: "order" },
    Object.keys(ORDERS).map((name) => h("option", { value: name }, name)),
  );
  const { element: list, body } = table("Streams", Object.values(COLUMNS));
  const nothing = h("p", { class: "empty" });
  const pages = pager(() => show());
  const more = h("p", { class: "quiet", hidden: true });
  const element = h(
    "div",
    {},
    title,
    totals,
    section("Health", health.element),
    section(
      "Streams",
      h(
        "p",
        { class: "tools" },
        h("span", {}, h("label", { for: "filter" }, "Find"), filter),
        h("span", {}, h("label", { for: "order" }, "Sorted by"), order),
      ),
      h("div", { class: "wide" }, list),
      nothing,
      pages.element,
      more,
    ),
  );
  let relays = null;
  // Paths of streams of which a file is being written.
  let recorded = new Set();
  // By path: push targets that are down.
  let downs = new Map();
  const down = (stream) => downs.get(pathOf(stream)) ?? 0;

  function show() {
    const figures = feed.figures;
    if (figures === null) return;
    showTotals(totals, figures);
    health.update(troubles(figures, relays), rights, relays !== null);
    const text = filter.value.trim().toLowerCase();
    const found = figures.streams.filter((stream) => pathOf(stream).toLowerCase().includes(text));
    found.sort((a, b) => ORDERS[order.value](a, b, down) || ORDERS.name(a, b));
    const shown = pages.cut(found, PAGE);
    keyed(body, shown, pathOf, (stream) => row(stream, feed, down, (each) => recorded.has(pathOf(each))));
    more.hidden = figures.streams_total <= figures.streams.length;
    say(more, `These are ${count(figures.streams.length)} of ${count(figures.streams_total)} streams. The API has the others.`);
    list.hidden = found.length === 0;
    nothing.hidden = found.length > 0;
    say(nothing, figures.streams.length === 0 ? "Nobody publishes, and nobody waits for a stream." : "No stream is called so.");
  }

  feed.addEventListener("figures", show, { signal });
  filter.addEventListener("input", () => pages.first());
  order.addEventListener("change", () => pages.first());
  poll(signal, async () => {
    try {
      relays = (await get("/relays?limit=1000")).items;
      downs = new Map();
      for (const push of relays.filter((relay) => relay.kind === "push" && isDown(relay))) {
        downs.set(pathOf(push), down(push) + 1);
      }
      recorded = new Set((await get("/recordings?state=recording&limit=1000")).items.map(pathOf));
      show();
    } catch {
      // The page says by itself that the server is gone.
    }
  });
  show();
  return { element, title: "Streams" };
}

function showTotals(list, { server, streams }) {
  const live = streams.filter((stream) => stream.state === "live").length;
  const facts = [["On air", counted(live, "stream")]];
  if (server === null) {
    facts.push(["Players", count(streams.reduce((sum, stream) => sum + stream.players, 0))]);
  } else {
    const { totals } = server;
    facts.push(
      ["Players", count(totals.players)],
      ["Coming in", bitrate(totals.bits_per_second_in_10s)],
      ["Going out", bitrate(totals.bits_per_second_out_10s)],
      ["Media in memory", totals.media_limit_bytes ? `${size(totals.media_bytes)} of ${size(totals.media_limit_bytes)}` : size(totals.media_bytes)],
      ["Bans", count(totals.bans)],
      ["Up for", lasted(server.uptime_seconds)],
    );
    const before = server.predecessor;
    if (before !== null) {
      const left = `${counted(before.publishers ?? 0, "encoder")}, ${counted(before.players ?? 0, "player")}`;
      facts.push(["With the process before", before.problem ?? left]);
    }
  }
  keyed(list, facts, ([name]) => name, ([name]) => {
    const value = h("dd", {});
    return { element: h("div", {}, h("dt", {}, name), value), update: ([, text]) => say(value, text) };
  });
}

function row(stream, feed, down, isRecorded) {
  const name = h("a", { href: hrefOf(stream) }, foreign(pathOf(stream)));
  const state = badge("", "");
  const age = h("span", { class: "quiet" });
  const media = h("span", {});
  const rate = h("span", {});
  const course = sparkline();
  const players = h("span", {});
  const dropped = h("span", {});
  const health = badge("", "");
  const element = h(
    "tr",
    { role: "row" },
    cell(COLUMNS.name, name),
    cell(COLUMNS.state, state, " ", age),
    cell(COLUMNS.media, media),
    cell(COLUMNS.rate, rate),
    cell(COLUMNS.course, course.element),
    cell(COLUMNS.players, players),
    cell(COLUMNS.dropped, dropped),
    cell(COLUMNS.health, health),
  );
  const update = (newer) => {
    say(state, newer.slate ? "slate" : newer.state);
    mark(state, "class", `badge ${newer.slate ? "warn" : (STATES[newer.state] ?? "")}`);
    const there = newer.carried_by === "predecessor" ? ", with the process before" : "";
    const notes = [isRecorded(newer) ? ", recorded" : "", newer.delay_seconds > 0 ? `, players ${lasted(newer.delay_seconds)} behind` : ""];
    say(age, [since(newer.since ?? newer.held_since, feed.now), ...notes, there].join(""));
    say(media, newer.video || newer.audio ? [newer.video, newer.audio].filter(Boolean).map(medium).join(" + ") : "");
    say(rate, newer.video || newer.audio ? bitrate(rateOf(newer)) : "");
    course.update(feed.courses.get(pathOf(newer)) ?? []);
    say(players, count(newer.players));
    say(dropped, count(newer.dropped));
    const ills = [];
    if (newer.warnings.length > 0) ills.push(counted(newer.warnings.length, "warning"));
    if (down(newer) > 0) ills.push(down(newer) === 1 ? "push down" : `${down(newer)} pushes down`);
    say(health, ills.length > 0 ? ills.join(", ") : newer.state === "live" && !newer.slate ? "well" : "");
    mark(health, "class", `badge ${ills.length > 0 ? "warn" : newer.state === "live" && !newer.slate ? "ok" : ""}`);
  };
  return { element, update };
}

/** Pages of a list that is here as a whole. `changed` is called when another one is wanted. */
function pager(changed) {
  let page = 0;
  let pages = 1;
  const place = h("span", {});
  const turn = (by) => () => {
    page = Math.min(Math.max(page + by, 0), pages - 1);
    changed();
  };
  const back = h("button", { type: "button", onclick: turn(-1) }, "Previous");
  const on = h("button", { type: "button", onclick: turn(1) }, "Next");
  const element = h("p", { class: "pages", hidden: true }, back, place, on);
  const cut = (items, length) => {
    pages = Math.max(Math.ceil(items.length / length), 1);
    page = Math.min(page, pages - 1);
    const first = page * length;
    const shown = items.slice(first, first + length);
    element.hidden = pages === 1;
    back.disabled = page === 0;
    on.disabled = page === pages - 1;
    say(place, `${first + 1} to ${first + shown.length} of ${items.length}`);
    return shown;
  };
  const first = () => {
    page = 0;
    changed();
  };
  return { element, cut, first };
}
