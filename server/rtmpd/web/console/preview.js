// The picture of a stream, from where viewers have it, once somebody wants to see it.

import { button } from "./actions.js";
import { h, mark, say } from "./dom.js";
import { Player } from "./player/player.js";
import { Source } from "./player/source.js";

const USUAL_PORT = 1935;

/** The preview of the stream at `path`, until `signal`: `{ element, update(server) }`. */
export function preview(path, signal) {
  const code = h("code", {});
  const link = h("a", { target: "_blank", rel: "noopener" }, "Open its page");
  const why = h("p", {});
  const picture = h("div", { class: "picture" });
  const watch = button("Watch", null, () => start());
  const waiting = h("div", { class: "watch" }, why, watch);
  const proof = h("input", { type: "text", autocomplete: "off", spellcheck: "false", placeholder: "key=..." });
  const asks = h("form", { hidden: true, onsubmit: show }, h("label", {}, "Its proof: ", proof), h("button", {}, "Watch with it"));
  const element = h("figure", { class: "preview" }, waiting, picture, asks, h("figcaption", {}, link, h("span", {}, "In a terminal: ", code)));
  let player = null;
  let page = null;

  function start(query) {
    player?.close();
    player = new Player(picture, new Source(page, query), {
      title: `Preview of ${path}`,
      muted: true,
      words: {
        lost: `${new URL(page).origin} does not answer this page. It is asked again.`,
        unproven: "Whoever plays this stream has to prove that they may, and the console is no exception: write below what stands behind the ? of a link that plays it.",
        forbidden: query ? "This does not prove that you may play the stream." : "The rules of this stream let your browser not play it.",
      },
    });
    player.addEventListener("state", ask);
    waiting.hidden = true;
    ask();
    player.controls.play.focus();
  }

  /** Who may watch by a proof alone is asked for one. */
  function ask() {
    if (["unproven", "forbidden"].includes(player.state)) asks.hidden = false;
    else if (player.state === "playing") asks.hidden = true;
  }

  function show(event) {
    event.preventDefault();
    const text = proof.value.trim().replace(/^.*\?/, "");
    start(new URLSearchParams(text.includes("=") ? text : { key: text }));
  }

  // Whoever sees some streams only is not told of the server.
  function update(server) {
    say(code, `ffplay ${inShell(`rtmp://${placeOf(server?.rtmp_port)}/${path}`)}`);
    page = pageOf(server?.http, path);
    link.hidden = watch.hidden = page === null;
    mark(link, "href", page);
    if (page !== null) say(why, "");
    else if (server) say(why, "Browsers can play nothing here: http.listen names no port.");
    else say(why, "Where browsers play streams is told to those who may see the whole server.");
  }

  signal.addEventListener("abort", () => player?.close());
  update(null);
  return { element, update };
}

function placeOf(port) {
  // The usual port goes without saying.
  return port && port !== USUAL_PORT ? `${location.hostname}:${port}` : location.hostname;
}

/** Where viewers find the stream; null where they cannot. */
function pageOf(http, path) {
  if (!http) return null;
  const server = http.url ?? `${http.scheme}://${location.hostname}:${http.port}${http.prefix}`;
  return `${server}/${path.split("/").map(encodeURIComponent).join("/")}`;
}

/** As one word of a shell, whatever an encoder calls its stream. */
function inShell(text) {
  return /^[\w@%+=:,./-]*$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
