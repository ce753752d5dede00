// The far side of glass.py: node glass.mjs PAGE SECONDS
// Opens the PAGE of a stream, reads the clock in each picture that its player shows, and prints as JSON by how many
// milliseconds it was late.

import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(path.join(process.env.NODE_MODULES, "x"));
const { chromium } = require("playwright-core");
const [url, seconds] = process.argv.slice(2);

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  args: ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"],
});
try {
  const page = await browser.newPage();
  await page.goto(url);
  console.log(JSON.stringify(await page.evaluate(watch, Number(seconds))));
} finally {
  await browser.close();
}

function watch(seconds) {
  const BITS = 40;
  const BLOCK = 16;
  const WARM_UP = 5000;
  const video = document.querySelector("video");
  const canvas = new OffscreenCanvas(BITS * BLOCK, 2 * BLOCK);
  const pixels = canvas.getContext("2d", { willReadFrequently: true });
  const seen = { late_ms: [], buffered_ms: [], unreadable: 0, stalls: 0, jumps: 0, first_ms: null };
  const began = performance.now();
  const isWarm = () => performance.now() - began > WARM_UP;

  function clock() {
    pixels.drawImage(video, 0, 0, BITS * BLOCK, 2 * BLOCK, 0, 0, BITS * BLOCK, 2 * BLOCK);
    const { data } = pixels.getImageData(0, 0, BITS * BLOCK, 2 * BLOCK);
    const bright = (x, y) => data[4 * (y * BITS * BLOCK + x)] > 128;
    let value = 0;
    for (let bit = 0; bit < BITS; bit++) {
      const x = bit * BLOCK + BLOCK / 2;
      const one = bright(x, BLOCK / 2);
      if (one === bright(x, BLOCK + BLOCK / 2)) return null; // The second row is the first one inverted.
      value = value * 2 + one;
    }
    return value;
  }

  function shown(now) {
    video.requestVideoFrameCallback(shown);
    const time = clock();
    seen.first_ms ??= now - began;
    if (!isWarm()) return;
    if (time === null) seen.unreadable++;
    else {
      seen.late_ms.push((performance.timeOrigin + performance.now() - time) % 2 ** BITS);
      const { buffered } = video;
      seen.buffered_ms.push(1000 * (buffered.end(buffered.length - 1) - video.currentTime));
    }
  }

  video.requestVideoFrameCallback(shown);
  video.addEventListener("waiting", () => (seen.stalls += isWarm() && !video.seeking));
  video.addEventListener("seeking", () => (seen.jumps += isWarm()));
  return new Promise((resolve) => {
    const done = () => {
      const { state } = document.querySelector(".player").dataset;
      const { totalVideoFrames, droppedVideoFrames } = video.getVideoPlaybackQuality();
      resolve({ end: state, ...seen, totalVideoFrames, droppedVideoFrames });
    };
    setTimeout(done, seconds * 1000 + WARM_UP);
  });
}
