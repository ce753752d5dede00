// Fragmented MP4 in a browser: node mse.mjs FOLDER
// FOLDER holds clips.json, [{name, type, files}]: what each of its files is appended with, in their order. Prints
// as JSON what mp4box and Chromium's MediaSource made of each.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(path.join(process.env.NODE_MODULES, "x"));
const { chromium } = require("playwright-core");
const { createFile } = require("mp4box");
const folder = process.argv[2];
const PATIENCE_MS = 10_000;

function parsed(files) {
  const file = createFile();
  const found = { errors: [], tracks: [], samples: 0 };
  file.onError = (...what) => found.errors.push(what.join(" "));
  file.onReady = (info) => {
    found.tracks = info.tracks.map(({ codec, timescale }) => ({ codec, timescale }));
    for (const { id } of info.tracks) file.setExtractionOptions(id, null, { nbSamples: 1 });
    file.start();
  };
  file.onSamples = (_id, _user, samples) => (found.samples += samples.length);
  let offset = 0;
  for (const data of files) {
    const buffer = data.buffer.slice(data.byteOffset, data.byteOffset + data.length);
    buffer.fileStart = offset;
    offset += data.length;
    file.appendBuffer(buffer);
  }
  file.flush();
  return found;
}

function play([type, files, patience]) {
  if (!MediaSource.isTypeSupported(type)) return { supported: false };
  const video = document.createElement("video");
  video.muted = true;
  document.body.replaceChildren(video);
  const source = new MediaSource();
  video.src = URL.createObjectURL(source);
  const event = (target, name) => new Promise((resolve) => target.addEventListener(name, resolve, { once: true }));
  const errors = [];
  video.addEventListener("error", () => errors.push(video.error.message));
  const done = async () => {
    await event(source, "sourceopen");
    const buffer = source.addSourceBuffer(type);
    for (const file of files) {
      buffer.appendBuffer(Uint8Array.from(atob(file), (letter) => letter.charCodeAt(0)));
      await event(buffer, "updateend");
      if (errors.length) return;
    }
    source.endOfStream();
    const { buffered } = buffer;
    errors.push(...(buffered.length === 1 ? [] : [`${buffered.length} ranges are buffered`]));
    video.currentTime = buffered.start(0);
    video.playbackRate = 2;
    await video.play();
    await event(video, "ended");
  };
  const result = (end) => {
    const { totalVideoFrames: frames, corruptedVideoFrames: corrupted } = video.getVideoPlaybackQuality();
    const { videoWidth: width, videoHeight: height, currentTime, webkitAudioDecodedByteCount: audio } = video;
    const begin = video.buffered.length ? video.buffered.start(0) : 0;
    return { supported: true, end, errors, frames, corrupted, width, height, begin, currentTime, audio };
  };
  const late = new Promise((resolve) => setTimeout(resolve, patience, "late"));
  const failed = event(video, "error").then(() => "error");
  return Promise.race([done().then(() => "ended"), late, failed]).then(result, (error) => {
    errors.push(String(error));
    return result("failed");
  });
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  args: ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"],
});
try {
  const page = await browser.newPage();
  const seen = {};
  for (const { name, type, files } of JSON.parse(readFileSync(path.join(folder, "clips.json"), "utf8"))) {
    const data = files.map((file) => readFileSync(path.join(folder, file)));
    const texts = data.map((each) => each.toString("base64"));
    seen[name] = { mp4box: parsed(data), browser: await page.evaluate(play, [type, texts, PATIENCE_MS]) };
  }
  console.log(JSON.stringify(seen));
} finally {
  await browser.close();
}
