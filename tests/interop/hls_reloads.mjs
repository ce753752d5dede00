// hls-parser at a live stream: node hls_reloads.mjs URL COUNT
// Reloads as a player with low latency does, the whole playlist and the update each time, and prints as JSON
// what the parser has complained of, in strict mode, and what did not follow on what it was told before.

import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(path.join(process.env.NODE_MODULES, "x"));
const HLS = require("hls-parser");
const [url, count] = process.argv.slice(2);
const complaints = [];
let what = "";
const complain = (problem) => complaints.push(`${what}: ${problem}`);
console.error = (...words) => complain(words.join(" "));
console.warn = console.error;
HLS.setOptions({ strictMode: true });

async function read(where) {
  const answer = await fetch(where);
  const text = await answer.text();
  if (answer.status !== 200) throw new Error(`${where}: ${answer.status} ${text}`);
  try {
    return [text, HLS.parse(text)];
  } catch (error) {
    complain(`${error.message}\n${text}`);
    return [text, null];
  }
}

what = "multivariant";
const [, multivariant] = await read(url);
const media = new URL(multivariant.variants[0].uri, url);
const known = new Map();
let [text, playlist] = await read(media);
const target = /TARGETDURATION:(\d+)/.exec(text)[1];
const partTarget = /PART-TARGET=([\d.]+)/.exec(text)[1];
let updates = 0;
for (let number = 0; number < Number(count); number++) {
  what = `reload ${number}`;
  if (number % 20 === 0) await read(url);
  const [, msn, part] = /PRELOAD-HINT:TYPE=PART,URI="\w+_(\d+)_(\d+)\.mp4"/.exec(text);
  const wanted = `${media}&_HLS_msn=${msn}&_HLS_part=${part}`;
  [text, playlist] = await read(wanted);
  what = `update ${number}`;
  const [update] = await read(`${wanted}&_HLS_skip=YES`);
  updates += update.includes("#EXT-X-SKIP");
  if (/TARGETDURATION:(\d+)/.exec(text)[1] !== target) complain("another target duration");
  if (/PART-TARGET=([\d.]+)/.exec(text)[1] !== partTarget) complain("another part target");
  for (const segment of playlist?.segments ?? []) {
    if (!segment.uri || !segment.duration) continue;
    const told = `${segment.uri} ${segment.duration} ${segment.programDateTime?.toISOString()}`;
    const before = known.get(segment.mediaSequenceNumber);
    if (before !== undefined && before !== told) complain(`segment was ${before} and is ${told}`);
    known.set(segment.mediaSequenceNumber, told);
    if (Math.round(segment.duration) > Number(target)) complain(`segment of ${segment.duration} s`);
  }
}
console.log(JSON.stringify({ complaints, segments: known.size, updates, target: Number(target) }));
