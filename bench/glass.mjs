// The far side of glass.py: node glass.mjs ORIGIN URL SECONDS
// Plays URL by MSE on a page of ORIGIN, reads the clock in each picture that is shown, and prints as JSON
// by how many milliseconds it was late.

import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(path.join(process.env.NODE_MODULES, "x"));
const { chromium } = require("playwright-core");
const [origin, url, seconds] = process.argv.slice(2);

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  args: ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"],
});
try {
  const page = await browser.newPage();
  await page.goto(origin);
  await page.setContent("<video id=video muted width=640 height=360></video>");
  const seen = await page.evaluate(play, [url, Number(seconds)]);
  console.log(JSON.stringify(seen));
} finally {
  await browser.close();
}

function play([url, seconds]) {
  const BITS = 40;
  const BLOCK = 16;
  const WARM_UP = 5000;
  const video = document.getElementById("video");
  const canvas = new OffscreenCanvas(BITS * BLOCK, 2 * BLOCK);
  const pixels = canvas.getContext("2d", { willReadFrequently: true });
  const seen = { late_ms: [], buffered_ms: [], unreadable: 0, stalls: 0, jumps: 0, first_ms: null, codecs: "" };
  const began = performance.now();

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

  return new Promise((resolve) => {
    const done = (end) => {
      const { totalVideoFrames, droppedVideoFrames } = video.getVideoPlaybackQuality();
      resolve({ end, ...seen, totalVideoFrames, droppedVideoFrames });
    };
    const media = new MediaSource();
    const queue = [];
    let buffer = null;
    let spare = 0.08; // Seconds; more where it has not been enough.
    video.src = URL.createObjectURL(media);
    const append = () => {
      if (!buffer || buffer.updating) return;
      if (queue.length) buffer.appendBuffer(queue.shift());
    };
    const keepUp = () => {
      const { buffered } = video;
      if (!buffered.length) return;
      const end = buffered.end(buffered.length - 1);
      const ahead = end - video.currentTime;
      if (video.currentTime < buffered.start(0) || ahead > 1 || ahead < 0) {
        if (seen.late_ms.length) seen.jumps++;
        video.currentTime = Math.max(buffered.start(buffered.length - 1), end - 0.05);
      }
      // What is buffered beyond what this machine needs is delay: it is played a little faster.
      const beyond = ahead - spare;
      video.playbackRate = beyond > 0.3 ? 1.5 : beyond > 0.07 ? 1.1 : beyond > 0 ? 1.03 : 1;
      if (video.paused) video.play().catch(() => {});
    };
    const shown = (now) => {
      video.requestVideoFrameCallback(shown);
      const time = clock();
      seen.first_ms ??= now - began;
      if (now - began < WARM_UP) return;
      if (time === null) seen.unreadable++;
      else {
        seen.late_ms.push((performance.timeOrigin + performance.now() - time) % 2 ** BITS);
        const { buffered } = video;
        seen.buffered_ms.push(1000 * (buffered.end(buffered.length - 1) - video.currentTime));
      }
    };
    video.requestVideoFrameCallback(shown);
    video.addEventListener("waiting", () => {
      spare = Math.min(spare + 0.04, 0.25);
      seen.stalls += performance.now() - began > WARM_UP;
    });
    video.addEventListener("error", () => done(`error: ${video.error.message}`));
    media.addEventListener("sourceopen", () => {
      media.duration = Infinity;
      const socket = new WebSocket(url);
      socket.binaryType = "arraybuffer";
      socket.onmessage = ({ data }) => {
        if (typeof data === "string") {
          const { mime } = JSON.parse(data);
          seen.codecs = mime;
          buffer = media.addSourceBuffer(mime);
          buffer.addEventListener("updateend", () => {
            keepUp();
            append();
          });
        } else {
          queue.push(data);
          append();
        }
      };
      socket.onclose = ({ code, reason }) => done(`closed: ${code} ${reason}`);
    });
    setTimeout(() => done("done"), seconds * 1000 + WARM_UP);
  });
}
