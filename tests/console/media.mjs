// What streams are made of, in the page of a stream: node media.mjs SCENARIO URL PICTURES

import assert from "node:assert/strict";
import path from "node:path";
import { asked, attempt, check, message, open, pictures, reach, url, watch, wish } from "./a_page.mjs";

const HOLDS = 1000; // Milliseconds that a picture may stand still, at most, on a machine that has much to do.

/** Notes for how long the picture stands still at worst, and in which states the player is. */
function observe() {
  window.seen = { still: 0, states: [], errors: [] };
  let at = null;
  let since = 0;
  const look = (now) => {
    const video = document.querySelector("video");
    const { state } = document.querySelector(".player")?.dataset ?? {};
    if (state && window.seen.states.at(-1) !== state) window.seen.states.push(state);
    if (video?.error) window.seen.errors.push(video.error.message);
    if (!video || video.paused || video.currentTime !== at) since = now;
    else window.seen.still = Math.max(window.seen.still, now - since);
    at = video?.currentTime;
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}

const quality = (page) => page.getByLabel("Quality");
const height = (page, wanted) => page.waitForFunction((wanted) => document.querySelector("video").videoHeight === wanted, wanted);

/** What has been seen since the last time. */
const seen = (page) =>
  page.evaluate(() => {
    const { seen } = window;
    window.seen = { still: 0, states: [], errors: [] };
    return seen;
  });

/** Choose qualities up and down; the menu says what was chosen, and the pictures are of that height. */
async function climb(page, labels) {
  for (const label of labels) {
    await quality(page).selectOption({ label });
    await height(page, parseInt(label, 10));
    await watch(page, 20);
    assert.equal(await quality(page).locator("option:checked").innerText(), label);
  }
}

await attempt({
  /** hls.js goes up and down a ladder by its menu without a stall, and once more by itself. */
  async ladder() {
    await wish("publish");
    const page = await open({ place: `${url}?via=hls`, before: observe });
    await reach(page, "playing");
    await watch(page);
    assert.deepEqual(await quality(page).locator("option").allInnerTexts(), ["Auto", "360p", "240p", "144p"]);
    await seen(page);
    await climb(page, ["144p", "360p", "240p", "360p", "144p"]);
    await quality(page).selectOption({ label: "Auto" });
    await height(page, 360); // There is more than enough of a line for it.
    await watch(page);
    assert.equal(await quality(page).locator("option:checked").innerText(), "Auto");
    const { still, states, errors } = await seen(page);
    console.log(`# stood still for ${Math.round(still)} ms at most`);
    assert.deepEqual({ states, errors }, { states: ["playing"], errors: [] });
    assert.ok(still < HOLDS, `${still} ms`);
    assert.equal(asked.filter((each) => each.includes("index.m3u8")).length, 1, "it began once");
    await check(page, "ladder");
  },

  /** The same by WebSocket, where another quality is another connection. */
  async tracks() {
    await wish("publish");
    const page = await open({ place: `${url}?via=mse`, before: observe });
    await reach(page, "playing");
    await height(page, 360);
    assert.deepEqual(await quality(page).locator("option").allInnerTexts(), ["360p", "240p", "144p"]);
    await seen(page);
    await climb(page, ["144p", "360p", "240p"]);
    const { states, errors } = await seen(page);
    assert.deepEqual({ states, errors }, { states: ["playing"], errors: [] });
    await page.screenshot({ path: path.join(pictures, "page-tracks.png") });
  },

  /** A codec of every browser of today, by all ways. */
  async decodes() {
    await wish("publish");
    for (const way of ["mse", "hls", "native"]) {
      const page = await open({ place: `${url}?via=${way}`, before: observe });
      await reach(page, "playing");
      await watch(page);
      assert.deepEqual((await seen(page)).errors, [], way);
      await page.context().close();
    }
  },

  /** A picture or a sound that this browser may lack is named, and the other plays. */
  async lacks() {
    await wish("publish");
    const type = await wish("type");
    const sentence = await wish("sentence");
    let page = await open();
    if (await page.evaluate((type) => MediaSource.isTypeSupported(type), type)) {
      await reach(page, "playing");
      await watch(page);
      return;
    }
    await page.getByText(sentence).waitFor();
    await reach(page, "playing");
    await page.waitForFunction(() => document.querySelector("video").currentTime > 2);
    await check(page, `lacks-${sentence.split(" ")[0]}`);
    await page.context().close();
    // By HLS there is all of it or nothing.
    page = await open({ place: `${url}?via=hls` });
    await reach(page, "unsupported");
    const name = /cannot play (.*)\.$/.exec(sentence)[1];
    assert.ok((await message(page).innerText()).startsWith(`This browser cannot play ${name}.`));
  },
});
