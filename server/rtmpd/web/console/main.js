// The console: who looks at it, which view they see, and whether the server answers.

import { told } from "./actions.js";
import { get, listeners, post } from "./api.js";
import { bansView } from "./bans.js";
import { foreign, h, mark, say } from "./dom.js";
import { Feed } from "./feed.js";
import { pathOf } from "./format.js";
import { historyView } from "./history.js";
import { loginView } from "./login.js";
import { placeOf } from "./places.js";
import { recordingsView } from "./recordings.js";
import { relaysView } from "./relays.js";
import { sessionsView } from "./sessions.js";
import { streamView } from "./stream.js";
import { streamsView } from "./streams.js";

const VIEWS = {
  streams: streamsView,
  stream: streamView,
  sessions: sessionsView,
  relays: relaysView,
  recordings: recordingsView,
  history: historyView,
  bans: bansView,
};
const AGAIN_MS = 3000;
const MOST_ANNOUNCED = 3;
const MOST_SAID = 5;

const main = document.getElementById("main");
const connection = document.getElementById("connection");
const announcements = document.getElementById("announcements");
const who = document.getElementById("who");
const nav = document.querySelector("nav");
const version = document.getElementById("version");

let feed = null;
let rights = { operate: false };
let shown = null;
let known = null;
let title = "rtmpd";

told.announce = announce;
listeners.unauthorised = logIn;
window.addEventListener("hashchange", () => feed && route());
begin();

async function begin() {
  try {
    enter(await get("/actor"));
  } catch (problem) {
    if (problem.status === 401) return;
    tell("lost", `${problem.message} Trying again.`);
    setTimeout(begin, AGAIN_MS);
  }
}

function enter(actor) {
  rights = { operate: actor.role === "operate" };
  showWho(actor);
  nav.hidden = false;
  feed = new Feed();
  known = null;
  feed.addEventListener("figures", showFigures);
  feed.addEventListener("state", showState);
  feed.start();
  showState();
  route();
}

function leave() {
  feed?.stop();
  feed = null;
  shown?.abort();
  shown = null;
  who.replaceChildren();
  nav.hidden = true;
}

function route() {
  const place = placeOf(location.hash);
  show((signal) => VIEWS[place.view]({ feed, rights, signal, ...place }));
  const current = place.view === "stream" ? "streams" : place.view;
  for (const link of document.querySelectorAll("nav a")) {
    mark(link, "aria-current", link.dataset.view === current ? "page" : null);
  }
}

/** Have a view take the place of the one before, which asks nobody any more. */
function show(make) {
  const first = shown === null;
  shown?.abort();
  shown = new AbortController();
  const view = make(shown.signal);
  main.replaceChildren(view.element);
  title = view.title;
  showTitle();
  if (!first) main.querySelector("h1")?.focus();
}

function logIn(problem) {
  leave();
  tell("", "");
  version.textContent = "";
  show(() => loginView({ problem, done: begin }));
  main.querySelector("input").focus();
}

function showWho({ name }) {
  const out = async () => {
    await post("/logout").catch(() => {});
    leave();
    begin();
  };
  who.replaceChildren(
    ...(name ? [foreign(name), rights.operate ? " " : " (looks only) ", h("button", { type: "button", onclick: out }, "Log out")] : []),
  );
}

function showState() {
  if (feed.state === "live") tell("", "");
  else if (feed.state === "lost") tell("lost", [...why(), "Trying again."].join(" "));
  else tell("", "Connecting ...");
}

function why() {
  const said = feed.problem ? `The server says: ${feed.problem}.` : null;
  if (feed.figures === null) return [said ?? "The server does not answer."];
  return ["Connection lost: these figures are old.", said].filter(Boolean);
}

function tell(mood, text) {
  connection.className = `connection ${mood}`;
  say(connection, text);
  document.body.classList.toggle("stale", mood === "lost");
}

function showFigures() {
  const { server, streams } = feed.figures;
  if (server !== null) say(version, server.version);
  showTitle();
  announceChanges(streams);
}

function showTitle() {
  const warned = feed?.figures?.streams.filter(({ warnings }) => warnings.length > 0).length ?? 0;
  const text = `${warned > 0 ? `(${warned}) ` : ""}${title === "rtmpd" ? title : `${title} - rtmpd`}`;
  if (document.title !== text) document.title = text;
}

/** Say which streams come on air, go, and fall ill. */
function announceChanges(streams) {
  const now = new Map(streams.map((stream) => [pathOf(stream), stream.warnings.length > 0 ? "ill" : stream.state]));
  if (known !== null) {
    const news = [];
    for (const [path, state] of now) {
      if (known.get(path) !== state) news.push(`${path} ${{ live: "is on air", ill: "has a warning", holding: "has lost its encoder" }[state] ?? "has nobody who publishes"}`);
    }
    for (const path of known.keys()) if (!now.has(path)) news.push(`${path} is over`);
    if (news.length > MOST_ANNOUNCED) announce(`${news.length} streams have changed`);
    else if (news.length > 0) announce(news.join("; "));
  }
  known = now;
}

/** Added to what was said before: two things that happen at once are both read out. */
function announce(text) {
  announcements.append(h("p", {}, text));
  while (announcements.childElementCount > MOST_SAID) announcements.firstElementChild.remove();
}
