// Recorded files: those that are written, and those that are finished.

import { button, removeRecording, retryRecording } from "./actions.js";
import { get } from "./api.js";
import { cell, foreign, h, mark, say } from "./dom.js";
import { clock, lasted, size } from "./format.js";
import { pagedList, queryOf } from "./paged.js";
import { hrefOf } from "./places.js";
import { badge, heading, section } from "./views.js";

/** A list may be of 100,000 files, and of those that are finished there is something new now and then. */
const PERIOD_MS = 5000;
const CHOICES = {
  all: {},
  "being written": { state: "recording" },
  finished: { state: "finished" },
  "waiting for MP4 or upload": { waiting: true },
};
const COLUMNS = {
  file: { title: "File", kind: "long" },
  stream: { title: "Stream" },
  began: { title: "Began" },
  seconds: { title: "Lasts", kind: "number" },
  bytes: { title: "Size", kind: "number" },
  codecs: { title: "Codecs" },
  state: { title: "State" },
  actions: { title: "Actions", unseen: true, kind: "actions" },
};

/** The view of all of them. */
export function recordingsView({ rights, signal }) {
  const choice = h(
    "select",
    { id: "choice" },
    Object.keys(CHOICES).map((each) => h("option", { value: each }, each)),
  );
  const stream = h("input", { type: "search", id: "stream", autocomplete: "off", spellcheck: "false", placeholder: "live/show" });
  const list = recordingList({
    rights,
    signal,
    label: "Recordings",
    query: () => ({ ...CHOICES[choice.value], stream: stream.value.trim() }),
  });
  choice.addEventListener("change", list.first);
  stream.addEventListener("input", list.first);
  const element = h(
    "div",
    {},
    heading("Recordings"),
    section(
      "Recorded files",
      h(
        "p",
        { class: "tools" },
        h("span", {}, h("label", { for: "choice" }, "Show"), choice),
        h("span", {}, h("label", { for: "stream" }, "Of the stream"), stream),
      ),
      list.element,
    ),
  );
  return { element, title: "Recordings" };
}

/** A list of those that `query()` names, as `pagedList` gives it; `without` names columns that would say the same in each row. */
export function recordingList({ rights, signal, label, query, without = [], page }) {
  const hidden = new Set(rights.operate ? without : [...without, "actions"]);
  const shown = Object.entries(COLUMNS).filter(([name]) => !hidden.has(name));
  return pagedList({
    signal,
    label,
    page,
    period: PERIOD_MS,
    nobody: "There are no recordings.",
    columns: shown.map(([, column]) => column),
    ask: (part) => get(`/recordings?${queryOf({ ...query(), ...part })}`),
    row: (recording, again) => row(recording, shown, again),
  });
}

function row(recording, columns, again) {
  const { id, file } = recording;
  const says = Object.fromEntries(["began", "seconds", "bytes", "codecs"].map((name) => [name, h("span", {})]));
  const state = badge("", "");
  const more = h("bdi", { class: "foreign quiet" });
  const then = (act) => async () => {
    await act(recording);
    again();
  };
  const whole = h("a", { class: "button", href: `api/v1/recordings/${id}/file`, download: "", "aria-label": `Download: ${file}` }, "Download");
  const retry = button("Try again", file, then(retryRecording));
  const away = button("Delete", file, then(removeRecording), "danger");
  const parts = {
    ...says,
    file: foreign(file),
    stream: recording.app === null ? null : h("a", { href: hrefOf(recording) }, foreign(`${recording.app}/${recording.name}`)),
    state: [state, " ", more],
    actions: [whole, " ", retry, " ", away],
  };
  const element = h(
    "tr",
    { role: "row" },
    columns.map(([name, column]) => cell(column, ...[parts[name]].flat())),
  );
  const update = (newer) => {
    const { mood, words, detail } = told(newer);
    say(says.began, clock(newer.started ?? newer.changed));
    say(says.seconds, newer.seconds === null ? "" : lasted(newer.seconds));
    say(says.bytes, size(newer.bytes));
    say(says.codecs, newer.codecs.join(", "));
    say(state, words);
    mark(state, "class", `badge ${mood}`);
    say(more, detail);
    whole.hidden = away.hidden = newer.state === "recording";
    retry.hidden = newer.waits_for === "none";
  };
  return { element, update };
}

/** What is to be known of a file beside what it is: `{ mood, words, detail }`. */
function told({ state, waits_for, problem, uploaded, reason }) {
  if (state === "recording") return { mood: "ok", words: "being written", detail: "" };
  if (waits_for !== "none") return { mood: problem ? "warn" : "", words: `waits for ${waits_for}`, detail: problem ?? "" };
  if (problem) return { mood: "warn", words: "finished", detail: problem };
  return { mood: "", words: uploaded ? "uploaded" : "finished", detail: uploaded ?? (reason ?? "").replaceAll("_", " ") };
}
