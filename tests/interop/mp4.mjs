// Streams as MP4 in a browser: node mp4.mjs PAGE URL
// Plays URL on a page of the origin PAGE, http:// as a <video>'s source and ws:// by MSE, and prints as JSON
// what was seen of it until it ended.

import { onPage } from "./a_page.mjs";

const [origin, url] = process.argv.slice(2);
const SECONDS = 25;

await onPage(origin, (page) => page.evaluate(play, [url, SECONDS]));

function play([url, patience]) {
  const video = document.getElementById("video");
  const seen = { errors: [], sizes: [], told: [], currentTime: 0, jumps: 0 };
  return new Promise((resolve) => {
    const done = (end) => {
      const { totalVideoFrames } = video.getVideoPlaybackQuality();
      const { currentTime, webkitAudioDecodedByteCount: audio } = video;
      resolve({ end, ...seen, totalVideoFrames, audio, currentTime });
    };
    video.addEventListener("resize", () => seen.sizes.push(`${video.videoWidth}x${video.videoHeight}`));
    video.addEventListener("error", () => {
      seen.errors.push(video.error.message);
      done("error");
    });
    video.addEventListener("ended", () => done("ended"));
    setTimeout(() => done("late"), patience * 1000);
    if (url.startsWith("http")) {
      video.src = url;
      video.play().catch((error) => seen.errors.push(String(error)));
    } else play_by_mse(video, url, seen, done);
  });

  // Over what nobody has sent: to where more is buffered.
  function jump(video, seen) {
    const { buffered, currentTime } = video;
    for (let i = 0; i < buffered.length; i++) {
      if (currentTime < buffered.start(i)) {
        seen.jumps += i > 0;
        video.currentTime = buffered.start(i);
        return;
      }
      if (currentTime + 0.05 < buffered.end(i)) return;
    }
  }

  function play_by_mse(video, url, seen, done) {
    const media = new MediaSource();
    const queue = [];
    let buffer = null;
    let closed = null;
    const next = () => {
      jump(video, seen);
      if (video.paused && video.buffered.length) video.play().catch((error) => seen.errors.push(String(error)));
      if (!buffer || buffer.updating) return;
      const what = queue.shift();
      if (typeof what === "string") {
        const told = JSON.parse(what);
        seen.told.push(told);
        if (told.mime !== seen.told[0].mime) buffer.changeType(told.mime);
        next();
      } else if (what) buffer.appendBuffer(what);
      else if (closed) done(closed);
    };
    video.src = URL.createObjectURL(media);
    media.addEventListener("sourceopen", () => {
      media.duration = Infinity;
      const socket = new WebSocket(url);
      socket.binaryType = "arraybuffer";
      socket.onmessage = ({ data }) => {
        if (buffer === null) {
          buffer = media.addSourceBuffer(JSON.parse(data).mime);
          buffer.addEventListener("updateend", next);
        }
        queue.push(data);
        next();
      };
      socket.onclose = ({ code, reason }) => {
        closed = `${code} ${reason}`;
        next();
      };
    });
  }
}
