// The page of a stream: its player, and a few words about what is shown.

import { say } from "./dom.js";
import { Player } from "./player.js";
import { Source } from "./source.js";
import { codecName, seconds } from "./words.js";

const root = document.getElementById("player");
const facts = document.getElementById("facts");
const query = new URLSearchParams(location.search);
const { stream, title, ways } = root.dataset;
const source = new Source(stream, query, { counted: "cdn" in root.dataset, silent: "silent" in root.dataset });
const player = new Player(root, source, {
  title,
  poster: "picture" in root.dataset,
  hls: "hls" in root.dataset,
  via: query.get("via"),
  ways: ways?.split(" "),
});

document.addEventListener("keydown", (event) => {
  // There is nothing else that keys could be meant for, but links.
  if (event.target === document.body) player.controls.key(event);
});

function clock(time) {
  const date = new Date(time);
  const isToday = date.toDateString() === new Date().toDateString();
  return date.toLocaleString([], { hour: "2-digit", minute: "2-digit", ...(isToday ? {} : { day: "numeric", month: "short" }) });
}

function show() {
  if (facts === null) return;
  const { state, since, video, audio, viewers, delay_seconds: delay } = player.status;
  const said = [];
  if (state === "live" && since) said.push(`Live since ${clock(since)}`);
  if (state !== "offline" && video?.height) said.push(`${video.width} × ${video.height}`);
  const codecs = [video, audio].filter((each) => each?.codec).map(({ codec }) => codecName(codec));
  if (state !== "offline" && codecs.length > 0) said.push(codecs.join(" and "));
  if (viewers !== undefined && state !== "offline") said.push(viewers === 1 ? "1 viewer" : `${viewers} viewers`);
  if (delay > 0) said.push(`shown ${seconds(delay)} late`);
  say(facts, said.join(" · "));
}

player.addEventListener("status", show);
