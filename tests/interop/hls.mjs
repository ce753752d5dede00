// hls.js in a browser: node hls.mjs PAGE URL SECONDS
// Plays URL with low latency on a page of the origin PAGE, and prints what was seen of it as JSON.

import { library, onPage } from "./a_page.mjs";

const [origin, url, seconds] = process.argv.slice(2);

await onPage(origin, async (page) => {
  await page.evaluate(library("hls.js", "dist", "hls.js"));
  return page.evaluate(
    ([url, seconds]) =>
      new Promise((resolve) => {
        const video = document.getElementById("video");
        const errors = [];
        const delays = [];
        const stalls = [];
        let begun = 0;
        const player = new Hls({ lowLatencyMode: true, backBufferLength: 10 });
        const done = (end) => {
          const { totalVideoFrames, droppedVideoFrames } = video.getVideoPlaybackQuality();
          const { videoWidth, videoHeight, currentTime } = video;
          const requests = performance.getEntriesByType("resource").map((each) => new URL(each.name).search);
          const blocking = requests.filter((each) => each.includes("_HLS_msn")).length;
          const skipping = requests.filter((each) => each.includes("_HLS_skip")).length;
          delays.sort((one, other) => one - other);
          resolve({
            end, errors, stalls, totalVideoFrames, droppedVideoFrames, videoWidth, videoHeight, currentTime,
            blocking, skipping, begun, delay: delays[Math.floor(delays.length / 2)], worst: delays[delays.length - 1],
          });
        };
        performance.setResourceTimingBufferSize(5000);
        // Where hls.js goes to the live edge once more, that is no stall.
        video.addEventListener("waiting", () => { if (begun && !video.seeking) stalls.push(performance.now() / 1000); });
        video.addEventListener("playing", () => { begun ||= performance.now() / 1000; });
        player.on(Hls.Events.ERROR, (_, what) => {
          errors.push(`${what.type} ${what.details} ${what.fatal} ${what.response?.code ?? ""}`);
          if (what.fatal) done("error");
        });
        player.loadSource(url);
        player.attachMedia(video);
        video.play().catch((error) => errors.push(String(error)));
        setInterval(() => {
          // What is on the screen was made at that time, as the playlist has it.
          if (begun && player.playingDate) delays.push((Date.now() - player.playingDate.getTime()) / 1000);
        }, 250);
        setTimeout(() => done("late"), seconds * 1000);
      }),
    [url, Number(seconds)],
  );
});
