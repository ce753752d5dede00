// mpegts.js in a browser: node browser.mjs PAGE URL TYPE
// Plays URL on a page of the origin PAGE, and prints what was seen of it as JSON.

import { library, onPage } from "./a_page.mjs";

const [origin, url] = process.argv.slice(2);
const SECONDS = 20;

await onPage(origin, async (page) => {
  await page.evaluate(library("mpegts.js", "dist", "mpegts.js"));
  return page.evaluate(
    ([url, patience]) =>
      new Promise((resolve) => {
        const video = document.getElementById("video");
        const errors = [];
        const player = mpegts.createPlayer({ type: "flv", isLive: true, url }, { enableStashBuffer: false });
        const done = (end) => {
          const { totalVideoFrames } = video.getVideoPlaybackQuality();
          const { videoWidth, videoHeight, currentTime } = video;
          const { hasAudio, hasVideo } = player.mediaInfo;
          const audio = video.webkitAudioDecodedByteCount;
          resolve({ end, errors, totalVideoFrames, videoWidth, videoHeight, currentTime, hasAudio, hasVideo, audio });
        };
        player.on(mpegts.Events.ERROR, (...what) => {
          errors.push(what.map((each) => (typeof each === "object" ? JSON.stringify(each) : each)).join(" "));
          done("error");
        });
        player.on(mpegts.Events.LOADING_COMPLETE, () => done("complete"));
        player.attachMediaElement(video);
        player.load();
        player.play().catch((error) => errors.push(String(error)));
        setTimeout(() => done("late"), patience * 1000);
      }),
    [url, SECONDS],
  );
});
