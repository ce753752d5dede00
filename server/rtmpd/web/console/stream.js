// One stream: what is on air, is it well, who watches, and where else it goes.

import { addPush, button, changeRecording, endHold, kick, redirect } from "./actions.js";
import { get, streamPath } from "./api.js";
import { cell, foreign, h, keyed, mark, say, table } from "./dom.js";
import { bitrate, codec, count, delay, lasted, medium, pathOf, rateOf, since, size } from "./format.js";
import { troubleList, troubles } from "./health.js";
import { preview } from "./preview.js";
import { recordingList } from "./recordings.js";
import { recordList } from "./records.js";
import { relayList } from "./relays.js";
import { sessionList } from "./sessions.js";
import { sparkline } from "./sparkline.js";
import { badge, poll, section } from "./views.js";

const SLATES = { file: "the slate", still: "the last picture" };
const ENCODERS = {
  source: { title: "Source" },
  address: { title: "Address" },
  agent: { title: "Encoder" },
  since: { title: "For" },
  media: { title: "Video and audio", kind: "long" },
  rate: { title: "Bitrate", kind: "number" },
  silent: { title: "Last media", kind: "number" },
  actions: { title: "Actions", unseen: true, kind: "actions" },
};

export function streamView({ feed, rights, signal, app, name }) {
  const key = { app, name };
  const path = pathOf(key);
  const title = h("h1", { tabindex: "-1" }, foreign(path));
  const state = badge("", "");
  const age = h("span", { class: "quiet" });
  const facts = h("dl", { class: "totals" });
  const course = sparkline();
  const health = troubleList();
  const encoders = encoderList(rights, feed, path);
  const pushes = relayList(rights, `Pushes and pulls of ${path}`, ["stream"]);
  const players = sessionList({
    feed,
    rights,
    signal,
    label: `Players of ${path}`,
    nobody: "Nobody watches.",
    without: ["kind", "streams", "in"],
    query: () => ({ kind: "player", stream: path }),
  });
  const over = recordList({
    signal,
    label: `Sessions of ${path} that are over`,
    without: ["streams"],
    page: 10,
    query: () => ({ stream: path }),
  });
  const recordings = recordingList({
    rights,
    signal,
    label: `Recordings of ${path}`,
    without: ["stream"],
    page: 10,
    query: () => ({ stream: path }),
  });
  const change = (kind) => async () => {
    await changeRecording(key, kind);
    recordings.again();
    look();
  };
  const record = button("Record", null, change("start"));
  const split = button("Split the recording", null, change("split"));
  const stop = button("Stop the recording", null, change("stop"), "danger");
  const seen = preview(path, signal);
  const gone = h("p", { class: "empty", hidden: true }, "Nobody publishes this stream, and nobody waits for it.");
  const end = button("End it", null, () => endHold(key), "danger");
  const more = details();
  const element = h(
    "div",
    {},
    h("p", {}, h("a", { href: "#/" }, "All streams")),
    title,
    h("p", {}, state, " ", age, " ", rights.operate ? end : null),
    gone,
    h("div", { class: "onair" }, seen.element, h("div", {}, facts, course.element)),
    section("Health", health.element),
    section("Encoders", encoders.element),
    section(
      "Other servers",
      rights.operate ? h("p", { class: "tools" }, button("Push to another server", null, () => addPush(key))) : null,
      pushes.element,
    ),
    section(
      "Players",
      rights.operate ? h("p", { class: "tools" }, button("Send players elsewhere", null, () => redirect(key))) : null,
      players.element,
    ),
    section(
      "Recordings",
      rights.operate ? h("p", { class: "tools" }, record, split, stop) : null,
      recordings.element,
    ),
    section("Sessions that are over", over.element),
    more.element,
  );
  let relays = null;
  // The file that is being written, if one is.
  let written = null;

  function show() {
    const figures = feed.figures;
    if (figures === null) return;
    seen.update(figures.server);
    const stream = figures.streams.find((each) => each.app === app && each.name === name);
    gone.hidden = stream !== undefined;
    end.hidden = stream?.state !== "holding";
    say(state, stream?.slate ? "slate" : (stream?.state ?? "gone"));
    mark(state, "class", `badge ${stream?.slate ? "warn" : ({ live: "ok", holding: "warn" }[stream?.state] ?? "")}`);
    say(age, stream ? since(stream.since ?? stream.held_since, feed.now) : "");
    course.update(feed.courses.get(path) ?? []);
    record.hidden = written !== null || !stream?.session;
    split.hidden = stop.hidden = written === null;
    showFacts(facts, stream, written, feed.now);
    health.update(troubles({ server: null, streams: stream ? [stream] : [] }, relays), rights, relays !== null);
  }

  feed.addEventListener("figures", show, { signal });
  const look = poll(signal, async () => {
    try {
      written = (await get(`/recordings?limit=1&${new URLSearchParams({ state: "recording", stream: path })}`)).items[0] ?? null;
      relays = (await get(`/relays?limit=200&${new URLSearchParams({ stream: path })}`)).items;
      pushes.update(relays, "It is sent to no other server.");
      show();
      const whole = await get(streamPath(key));
      encoders.update(whole.publications);
      more.update(whole);
    } catch (problem) {
      if (problem.status === 404) encoders.update([]);
    }
  });
  show();
  return { element, title: path };
}

function showFacts(list, stream, written, now) {
  const facts = [];
  if (stream) {
    const { video, audio } = stream;
    facts.push(["Video", medium(video)], ["Audio", medium(audio)]);
    if (video || audio) facts.push(["Bitrate", bitrate(rateOf(stream))]);
    if (video) {
      const interval = video.key_frame_interval_seconds;
      facts.push(["Key frames", interval === null ? "not known yet" : `every ${interval.toFixed(1)} s`]);
    }
    if (stream.slate) facts.push(["Shown instead", `${SLATES[stream.slate.kind] ?? stream.slate.kind}, for ${since(stream.slate.since, now)}`]);
    if (stream.delay_seconds > 0) facts.push(["Players are behind", lasted(stream.delay_seconds)]);
    if (written) facts.push(["Being recorded", `${lasted(written.seconds)}, ${size(written.bytes)}`]);
    if (stream.carried_by === "predecessor") facts.push(["Encoder", "with the process before"]);
    if (stream.predecessor_players > 0) facts.push(["Players of the process before", count(stream.predecessor_players)]);
    facts.push(["Players", count(stream.players)], ["Sent", size(stream.bytes_out)], ["Packets dropped", count(stream.dropped)]);
  }
  keyed(list, facts, ([name]) => name, ([name]) => {
    const value = h("dd", {});
    return { element: h("div", {}, h("dt", {}, name), value), update: ([, text]) => say(value, text) };
  });
}

function encoderList(rights, feed, path) {
  const columns = Object.values(ENCODERS).filter((column) => column !== ENCODERS.actions || rights.operate);
  const { element: list, body } = table(`Encoders of ${path}`, columns);
  const nothing = h("p", { class: "empty" }, "Nobody publishes it.");
  const update = (publications) => {
    keyed(body, publications, ({ session }) => session, (each) => encoder(each, rights, feed, path));
    list.hidden = publications.length === 0;
    nothing.hidden = publications.length > 0;
  };
  update([]);
  return { element: h("div", {}, h("div", { class: "wide" }, list), nothing), update };
}

function encoder(publication, rights, feed, path) {
  const source = badge("", "");
  const age = h("span", {});
  const media = h("span", {});
  const rate = h("span", {});
  const silent = h("span", {});
  const { session, address, account, agent, protocol } = publication;
  const out = rights.operate
    ? button("Throw out", `the encoder of ${path} at ${address}`, () => kick({ session, address, what: "The encoder" }), "danger")
    : null;
  const element = h(
    "tr",
    { role: "row" },
    cell(ENCODERS.source, source),
    cell(ENCODERS.address, foreign(address), account ? h("span", { class: "quiet" }, " ", foreign(account)) : null),
    cell(ENCODERS.agent, foreign(agent || protocol)),
    cell(ENCODERS.since, age),
    cell(ENCODERS.media, media),
    cell(ENCODERS.rate, rate),
    cell(ENCODERS.silent, silent),
    out && cell(ENCODERS.actions, out),
  );
  const update = (newer) => {
    say(source, newer.on_air ? `${newer.source}, on air` : newer.source);
    mark(source, "class", newer.on_air ? "badge ok" : "badge");
    say(age, since(newer.since, feed.now));
    say(media, [newer.video, newer.audio].filter(Boolean).map(medium).join(" + ") || "nothing yet");
    say(rate, bitrate(rateOf(newer)));
    say(silent, newer.silent_seconds === null ? "none yet" : newer.silent_seconds < 1 ? "now" : `${delay(newer.silent_seconds)} ago`);
  };
  return { element, update };
}

function spellTrack({ name, codec: of, bits_per_second_10s, frames_skipped }) {
  const skipped = frames_skipped ? `${count(frames_skipped)} frames skipped` : "";
  return [name, codec(of), bitrate(bits_per_second_10s), skipped].filter(Boolean).join(", ");
}

/** What OBS says of its own frames and delays. */
function spellEncoder(encoder) {
  if (!encoder) return [];
  const { frames_rendered, frames_lagged, frames_sent, frames_dropped } = encoder;
  const time = (seconds) => (seconds === null ? "unknown" : `${(seconds * 1000).toFixed(0)} ms`);
  return [
    ["OBS: frames dropped", `${count(frames_dropped)} of ${count(frames_sent + frames_dropped)}`],
    ["OBS: frames late", `${count(frames_lagged)} of ${count(frames_rendered)}`],
    ["OBS: delay inside", time(encoder.delay_seconds)],
    ["OBS: delay on the way, beyond the least", time(encoder.uplink_delay_seconds)],
    ["OBS: picture to server, by both clocks", time(encoder.ingest_delay_seconds)],
  ];
}

/** What few people need: tracks, drops by reason, and what the encoder says of itself. */
function details() {
  const list = h("dl", { class: "facts" });
  const element = h("details", {}, h("summary", {}, "Tracks, drops and metadata"), list);
  const update = ({ tracks, encoder, drops, metadata, av_skew_seconds, timestamp_gaps, timestamp_regressions, header_changes }) => {
    const facts = [
      ...tracks.map((each) => [`${each.medium} track ${each.id}`, spellTrack(each)]),
      ...spellEncoder(encoder),
      ...Object.entries(drops).map(([reason, packets]) => [`dropped: ${reason}`, count(packets)]),
      ["video ahead of audio", av_skew_seconds === null ? "" : `${(av_skew_seconds * 1000).toFixed(0)} ms`],
      ["timestamp gaps", count(timestamp_gaps)],
      ["timestamps that go back", count(timestamp_regressions)],
      ["header changes", count(header_changes)],
      ...Object.entries(metadata).map(([name, value]) => [`metadata: ${name}`, String(value)]),
    ];
    keyed(list, facts, ([name]) => name, ([name]) => {
      const value = h("dd", {});
      return { element: h("div", {}, h("dt", {}, foreign(name)), value), update: ([, text]) => say(value, text) };
    });
  };
  return { element, update };
}
