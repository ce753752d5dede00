// What has happened: the last events, and sessions that are over.

import { whyNot } from "./api.js";
import { foreign, h, keyed, mark, say } from "./dom.js";
import { clock } from "./format.js";
import { hrefOf } from "./places.js";
import { recordList } from "./records.js";
import { heading, section } from "./views.js";

const MOST = 100;
const GATHERING_MS = 250;
const AGAIN_MS = 4000;
const GROUPS = {
  "all but players": [
    ...["published", "first_media", "codec_changed", "unpublished", "held", "resumed", "ended", "source_switched", "slate_started", "slate_ended"],
    ...["push_state", "warning_raised", "warning_cleared", "audit"],
    ...["recording_started", "recording_finished", "recording_failed"],
  ],
  "changes by people": ["audit"],
  "pushes and warnings": ["push_state", "warning_raised", "warning_cleared"],
  recordings: ["recording_started", "recording_finished", "recording_failed"],
  players: ["player_joined", "player_left"],
};
const KINDS = ["", "publisher", "player", "push", "pull", "pending"];

export function historyView({ signal }) {
  const group = choice("group", Object.keys(GROUPS));
  const events = eventList(signal, () => GROUPS[group.value]);
  const kind = choice("kind", KINDS, "everybody");
  const stream = h("input", { type: "search", id: "stream", autocomplete: "off", spellcheck: "false", placeholder: "live/show" });
  const over = recordList({
    signal,
    label: "Sessions that are over",
    query: () => ({ kind: kind.value, stream: stream.value.trim() }),
  });
  group.addEventListener("change", events.begin);
  kind.addEventListener("change", over.first);
  stream.addEventListener("input", over.first);
  const element = h(
    "div",
    {},
    heading("History"),
    section("What has happened", h("p", { class: "tools" }, labelled("Show", group)), events.element),
    section(
      "Sessions that are over",
      h("p", { class: "tools" }, labelled("Show", kind), labelled("Of the stream", stream)),
      over.element,
    ),
  );
  return { element, title: "History" };
}

function choice(id, values, nothing) {
  return h(
    "select",
    { id },
    values.map((value) => h("option", { value }, value || nothing)),
  );
}

function labelled(text, field) {
  return h("span", {}, h("label", { for: field.id }, text), field);
}

/** The newest events of the kinds that `kinds()` names, as long as somebody sees them: `{ element, begin }`. */
function eventList(signal, kinds) {
  const list = h("ol", { class: "events", "aria-label": "Events", tabindex: "0" });
  const nothing = h("p", { class: "empty" });
  const element = h("div", {}, list, nothing);
  let source = null;
  let timer = 0;
  let gathering = 0;
  let last = "0";
  let trouble = "";
  let known = [];

  function show() {
    gathering = 0;
    keyed(list, known.slice(0, MOST), ({ id }) => id, item);
    list.hidden = known.length === 0;
    nothing.hidden = known.length > 0 && trouble === "";
    say(nothing, trouble || "Nothing since somebody first looked: events are kept from then on.");
  }

  function soon() {
    if (gathering === 0) gathering = setTimeout(show, GATHERING_MS);
  }

  function learn(event) {
    // What is shown is told once, whatever is told again.
    if (!known.some(({ id }) => id === event.id)) known = [event, ...known].slice(0, MOST);
    soon();
  }

  function close() {
    clearTimeout(timer);
    source?.close();
    source = null;
  }

  function open() {
    close();
    if (signal.aborted || document.hidden) return;
    source = new EventSource(`api/v1/events?${new URLSearchParams({ after: last, kinds: kinds().join(",") })}`);
    source.addEventListener("open", () => {
      trouble = "";
      soon();
    });
    source.addEventListener("message", ({ data, lastEventId }) => {
      last = lastEventId;
      learn(JSON.parse(data));
    });
    source.addEventListener("missed", ({ data, lastEventId }) => {
      const { reason, number, since } = JSON.parse(data);
      const title = reason === "gone" ? `${number} events are not kept any more` : "The server has been started anew";
      learn({ id: `missed ${lastEventId}`, time: since, title, text: "", app: null, name: null, mood: "plain" });
    });
    source.addEventListener("error", async () => {
      close();
      const problem = await whyNot("/events");
      if (signal.aborted || source !== null) return;
      trouble = `Events do not come now. ${problem ? `${problem.message.replace(/\.$/, "")}.` : ""} Trying again.`;
      soon();
      timer = setTimeout(open, AGAIN_MS);
    });
  }

  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()), { signal });
  signal.addEventListener("abort", () => {
    close();
    clearTimeout(gathering);
  });
  const begin = () => {
    known = [];
    last = "0";
    show();
    open();
  };
  begin();
  return { element, begin };
}

function item(event) {
  const title = foreign(event.title);
  mark(title, "class", `foreign what ${{ good: "ok", bad: "warn" }[event.mood] ?? ""}`);
  const element = h(
    "li",
    {},
    h("time", { class: "quiet", datetime: event.time }, clock(event.time)),
    h("span", {}, event.app === null ? title : h("a", { href: hrefOf(event) }, title), " ", h("bdi", { class: "foreign quiet" }, event.text)),
  );
  return { element, update: () => {} };
}
