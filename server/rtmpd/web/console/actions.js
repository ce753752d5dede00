// What somebody with the role "operate" can have done, each after a question.

import { post, remove, streamPath } from "./api.js";
import { BAN_TIMES, ask } from "./dialog.js";
import { foreign, h } from "./dom.js";
import { counted, pathOf } from "./format.js";

const REASON = { name: "reason", label: "Why, for others in charge (optional)", maxlength: 200 };

/** Says what was done to whoever sees it or hears it; set by the page. */
export const told = { announce: () => {} };

/** `announcement`: what to say once it is done, or how to say it of the answer. */
async function carry(question, announcement) {
  const done = await ask(question);
  if (done !== null) told.announce(typeof announcement === "string" ? announcement : announcement(done.answer));
}

/** A button that does something. `what` says to readers of screens to what, where others are called the same. */
export function button(text, what, act, mood = null) {
  return h("button", { type: "button", class: mood, "aria-label": what && `${text}: ${what}`, onclick: act }, text);
}

export function kick({ session, address, what }) {
  return carry(
    {
      title: "Throw out",
      text: [
        h("span", {}, what, " from ", foreign(address || "an unknown address"), " is disconnected. A client may come back at once unless it is banned."),
      ],
      fields: [{ name: "ban", label: "And then", options: BAN_TIMES }, REASON],
      verb: "Throw out",
      danger: true,
      act: ({ ban, reason }) => post(`/sessions/${session}/kick`, { ban: ban === "" ? null : Number(ban), reason }),
    },
    `${what} from ${address} has been thrown out`,
  );
}

export function ban() {
  return carry(
    {
      title: "Ban an address",
      text: ["Nobody is let in from there. Whoever is connected stays until thrown out."],
      fields: [
        { name: "network", label: "Address or network", required: true, hint: "Such as 192.0.2.7 or 192.0.2.0/24" },
        { name: "seconds", label: "For", options: BAN_TIMES.slice(1).map(([value, text]) => [value, text.replace("Ban its address for ", "")]) },
        REASON,
      ],
      verb: "Ban",
      danger: true,
      act: ({ network, seconds, reason }) => post("/bans", { network: network.trim(), seconds: Number(seconds), reason }),
    },
    "The ban holds",
  );
}

/** By its id: of whom it is need not be shown in full. */
export function liftBan({ id, network }) {
  return carry(
    {
      title: "Lift a ban",
      text: [`${network} may come again.`],
      verb: "Lift",
      act: () => remove(`/bans/${encodeURIComponent(id)}`),
    },
    `${network} may come again`,
  );
}

export function endHold(stream) {
  return carry(
    {
      title: "End the stream",
      text: [h("span", {}, "The players of ", foreign(pathOf(stream)), " wait for an encoder that was lost. They are told that it is over.")],
      verb: "End it",
      danger: true,
      act: () => post(`${streamPath(stream)}/end`),
    },
    `${pathOf(stream)} is over`,
  );
}

export function redirect(stream) {
  return carry(
    {
      title: "Send players elsewhere",
      text: [
        h("span", {}, "The players of ", foreign(pathOf(stream)), " go on with another stream here, or are asked to connect to another server. Whoever cannot stays."),
      ],
      fields: [
        { name: "to", label: "Where to", required: true, maxlength: 512, hint: "Such as live/other, or rtmp://other.example.com" },
        REASON,
      ],
      verb: "Send them",
      danger: true,
      act: ({ to, reason }) => post(`${streamPath(stream)}/redirect`, { ...destination(to.trim()), reason }),
    },
    ({ redirected, refused, unable }) => `${counted(redirected, "player")} go there, ${refused} may not, ${unable} cannot`,
  );
}

function destination(to) {
  if (/^[a-z]+:/i.test(to)) return { server: to };
  const cut = to.indexOf("/");
  return cut < 0 ? { name: to } : { app: to.slice(0, cut), name: to.slice(cut + 1) };
}

export function addPush(stream) {
  return carry(
    {
      title: "Push to another server",
      text: [h("span", {}, foreign(pathOf(stream)), " is sent there whenever it is published, until the target is removed.")],
      fields: [
        {
          name: "url",
          label: "Address, with the stream key at its end",
          // The key is a secret, and somebody may look over a shoulder.
          type: "password",
          autocomplete: "new-password",
          required: true,
          maxlength: 4096,
          hint: "Such as rtmps://live.example.com/app/STREAM-KEY",
        },
      ],
      verb: "Push",
      act: ({ url }) => post(`${streamPath(stream)}/push`, { url: url.trim() }),
    },
    `${pathOf(stream)} is pushed to one more server`,
  );
}

export function removePush(relay) {
  return carry(
    {
      title: "Remove a push target",
      text: [
        h("span", {}, foreign(pathOf(relay)), " is not sent to ", foreign(relay.remote || relay.id), " any more. A target of the configuration comes back with the next publish."),
      ],
      verb: "Remove",
      danger: true,
      act: () => remove(pushPath(relay)),
    },
    "The target is removed",
  );
}

export function switchPush(relay, on) {
  return carry(
    {
      title: on ? "Switch a push target on" : "Switch a push target off",
      text: [
        h("span", {}, "Target ", foreign(relay.id), " of ", foreign(pathOf(relay)), on ? " is sent to again." : " is sent nothing, whoever publishes, until it is switched on."),
      ],
      verb: on ? "Switch on" : "Switch off",
      danger: !on,
      act: () => post(`${pushPath(relay)}/${on ? "on" : "off"}`),
    },
    on ? "The target is on" : "The target is off",
  );
}

export function switchPull(relay, on) {
  return carry(
    {
      title: on ? "Switch a pull on" : "Switch a pull off",
      text: [
        h("span", {}, foreign(pathOf(relay)), on ? " is fetched again when it is wanted." : " is fetched from no other server, whoever waits for it, until it is switched on. Who watches it hears that it is over."),
      ],
      verb: on ? "Switch on" : "Switch off",
      danger: !on,
      act: () => post(`${streamPath(relay)}/pull/${on ? "on" : "off"}`),
    },
    on ? "The pull is on" : "The pull is off",
  );
}

export function restartPull(relay) {
  return carry(
    {
      title: "Begin a pull anew",
      text: [h("span", {}, foreign(pathOf(relay)), " is left where it is fetched from, and asked for anew.")],
      verb: "Begin anew",
      danger: true,
      act: () => post(`${streamPath(relay)}/pull/restart`),
    },
    "The pull begins anew",
  );
}

export function restartPush(relay) {
  return carry(
    {
      title: "Begin a push anew",
      text: [h("span", {}, "Target ", foreign(relay.id), " of ", foreign(pathOf(relay)), " is left and called again at once.")],
      verb: "Begin anew",
      danger: true,
      act: () => post(`${pushPath(relay)}/restart`),
    },
    "The push begins anew",
  );
}

/** `change` is "start", "split" or "stop". */
export function changeRecording(stream, change) {
  const path = foreign(pathOf(stream));
  const { title, text, verb, done } = {
    start: {
      title: "Record a stream",
      text: h("span", {}, path, " is recorded from its last key frame on, for as long as it is published."),
      verb: "Record",
      done: "is being recorded",
    },
    split: {
      title: "Go on in another file",
      text: h("span", {}, "The file of ", path, " is finished, and another one begins with its next key frame."),
      verb: "Split",
      done: "goes on in another file",
    },
    stop: {
      title: "Stop a recording",
      text: h("span", {}, "The file of ", path, " is finished, and it is recorded no more until it is published anew."),
      verb: "Stop",
      done: "is not recorded any more",
    },
  }[change];
  return carry(
    { title, text: [text], verb, danger: change === "stop", act: () => post(`${streamPath(stream)}/recording/${change}`) },
    `${pathOf(stream)} ${done}`,
  );
}

export function removeRecording({ id, file, uploaded }) {
  return carry(
    {
      title: "Delete a recording",
      text: [
        h("span", {}, foreign(file), " is gone for good.", uploaded ? " What was uploaded stays where it is." : null),
      ],
      verb: "Delete",
      danger: true,
      act: () => remove(`/recordings/${encodeURIComponent(id)}`),
    },
    `${file} is deleted`,
  );
}

export function retryRecording({ id, file }) {
  return carry(
    {
      title: "Try again",
      text: [h("span", {}, "What is still to be done with ", foreign(file), ", its MP4 file or its upload, is tried now.")],
      verb: "Try",
      act: () => post(`/recordings/${encodeURIComponent(id)}/retry`),
    },
    `${file} is tried again`,
  );
}

function pushPath(relay) {
  return `${streamPath(relay)}/push/${encodeURIComponent(relay.id)}`;
}
