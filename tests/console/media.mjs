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
    await page.setViewportSize({ width: 375, height: 600 });
    await page.mouse.move(100, 200);
    await check(page, "phone-ladder");
  },

  /** Who watches a variant that ends is shown those that go on, and begins anew for that once. */
  async variants() {
    await wish("other");
    await wish("publish");
    const page = await open({ before: observe });
    await reach(page, "playing");
    await watch(page);
    assert.deepEqual(await quality(page).locator("option").allInnerTexts(), ["Auto", "480p", "240p"]);
    await climb(page, ["240p", "480p"]);
    await seen(page);
    asked.length = 0;
    await wish("stop");
    await height(page, 240);
    await watch(page, 200);
    const { still, states, errors } = await seen(page);
    console.log(`# ${states.join(", ")}; stood still for ${Math.round(still)} ms at most`);
    assert.deepEqual(errors, []);
    assert.equal(asked.filter((each) => each.includes("index.m3u8")).length, 1, "it began anew once");
    await check(page, "variants");
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
      // Chromium's own HLS gives up, and begins anew, where a stream has few segments yet.
      await watch(page, way === "hls" ? 120 : 40);
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

  /** Where a browser has HLS and nothing else, it plays by itself. */
  async native() {
    await wish("publish");
    const page = await open({ before: "delete window.MediaSource; delete window.ManagedMediaSource" });
    await reach(page, "playing");
    await watch(page);
    assert.ok(asked.some((each) => each.endsWith("/index.m3u8")) && !asked.some((each) => /hls\.min|\.mp4$.*ws/.test(each)), "by the browser itself");
    await page.keyboard.press("k");
    await page.waitForFunction(() => document.querySelector("video").paused);
    await page.keyboard.press("l");
    await watch(page, 20);
    await wish("stop");
    await reach(page, "over");
    await wish("publish");
    await reach(page, "playing");
    await watch(page, 20);
  },

  /** An iPhone has the managed kind of media sources alone, which want that nothing is played on other devices. */
  async managed() {
    await wish("publish");
    for (const way of ["mse", "hls"]) {
      const page = await open({
        place: `${url}?via=${way}`,
        before: "window.made = 0; window.ManagedMediaSource = class extends MediaSource { constructor() { super(); window.made += 1; } }; delete window.MediaSource",
      });
      await reach(page, "playing");
      await watch(page);
      assert.deepEqual(await page.evaluate(() => [window.made, document.querySelector("video").disableRemotePlayback]), [1, true], way);
      await page.context().close();
    }
  },

  /** What a list of HLS goes back to is had from there, by who watches by WebSocket; and what is live as before. */
  async dvr() {
    await wish("publish");
    await wish("time"); // Until there is something to go back to.
    const page = await open();
    await reach(page, "playing");
    await page.locator(".bar").waitFor();
    assert.ok(!asked.some((each) => each.endsWith(".m3u8")), "by WebSocket");
    await page.keyboard.press("ArrowLeft");
    await page.waitForFunction(() => parseFloat(document.querySelector(".delay").textContent) > 8);
    await reach(page, "playing");
    await watch(page, 20);
    assert.ok(asked.some((each) => each.endsWith("/index.m3u8")), "by HLS");
    await page.keyboard.press("ArrowLeft");
    await page.waitForFunction(() => parseFloat(document.querySelector(".delay").textContent) > 16);
    await watch(page, 20);
    await page.getByRole("button", { name: "Go live" }).waitFor();
    await check(page, "dvr");
    asked.length = 0;
    await page.keyboard.press("l");
    await page.getByRole("button", { name: "Live", exact: true }).waitFor();
    await page.waitForFunction(() => parseFloat(document.querySelector(".delay").textContent) < 3);
    await watch(page, 20);
    assert.ok(asked.some((each) => /^ws:.*\.mp4$/.test(each)), "by WebSocket again");
  },

  /** Of two sounds one is chosen, by both ways. */
  async sounds() {
    await wish("publish");
    const decoded = (page) => page.evaluate(() => document.querySelector("video").webkitAudioDecodedByteCount);
    for (const [way, sign] of [["mse", /\.mp4\?audio=1$/], ["hls", /\/audio-2_[0-9a-f]{8}\.m3u8/]]) {
      const page = await open({ place: `${url}?via=${way}`, before: observe });
      await reach(page, "playing");
      await watch(page);
      asked.length = 0;
      await page.getByLabel("Audio").selectOption({ label: "Audio 2" });
      await watch(page, 20);
      assert.ok(asked.some((each) => sign.test(each)), `${way}: ${asked.slice(0, 5)}`);
      const before = await decoded(page);
      await page.waitForFunction((before) => document.querySelector("video").webkitAudioDecodedByteCount > before, before);
      assert.equal(await page.getByLabel("Audio").locator("option:checked").innerText(), "Audio 2");
      assert.deepEqual((await seen(page)).errors, [], way);
      await check(page, `sounds-${way}`);
      await page.context().close();
    }
  },

  /** Captions that HLS carries are shown when they are chosen. */
  async captions() {
    await wish("publish");
    const page = await open({ place: `${url}?via=hls` });
    await reach(page, "playing");
    const shown = () => [...document.querySelector("video").textTracks].flatMap(({ mode, activeCues }) => (mode === "showing" ? [...(activeCues ?? [])] : [])).map(({ text }) => text.trim());
    const menu = page.getByLabel("Captions");
    await menu.waitFor();
    assert.deepEqual(await page.evaluate(shown), []);
    await menu.selectOption({ label: "CC1" });
    await page.waitForFunction((text) => [...document.querySelector("video").textTracks].some(({ mode, activeCues }) => mode === "showing" && [...(activeCues ?? [])].some((cue) => cue.text.trim() === text)), await wish("text"));
    await check(page, "captions");
    await menu.selectOption({ label: "No captions" });
    assert.deepEqual(await page.evaluate(shown), []);
  },

  /** The newest picture is shown until it plays, and not again. */
  async poster() {
    await wish("publish");
    const shown = () => document.querySelector("video").poster;
    let page = await open({ before: "delete window.MediaSource; delete window.ManagedMediaSource; HTMLMediaElement.prototype.canPlayType = () => ''" });
    await reach(page, "nothing");
    assert.equal(await page.evaluate(shown), `${url}.jpg`);
    const size = await page.evaluate(async (place) => {
      const picture = new Image();
      picture.src = place;
      await picture.decode();
      return [picture.naturalWidth, picture.naturalHeight];
    }, `${url}.jpg`);
    assert.deepEqual(size, [320, 240]);
    await check(page, "poster");
    await page.context().close();
    page = await open();
    await reach(page, "playing");
    assert.equal(await page.evaluate(shown), "");
  },

  /** What pauses and plays it besides its own controls is heeded, and a pause lets the connection go. */
  async elsewhere() {
    await wish("publish");
    const page = await open();
    await reach(page, "playing");
    await page.evaluate(() => document.querySelector("video").pause());
    await page.getByRole("button", { name: "Play", exact: true }).waitFor();
    await page.evaluate(() => document.querySelector("video").play());
    await page.getByRole("button", { name: "Pause", exact: true }).waitFor();
    await watch(page, 20);
    await page.clock.install();
    await page.keyboard.press("k");
    await page.clock.fastForward(40000);
    await wish("unwatched");
    await page.clock.resume();
    await page.keyboard.press("k");
    await watch(page, 20);
  },

  /** A decoder that fails is begun anew, and what a server says that is no JSON is as good as nothing. */
  async breaks() {
    await wish("publish");
    const page = await open();
    await reach(page, "playing");
    await page.route("**/show.json", (route) => route.fulfill({ body: "<h1>A proxy</h1>", contentType: "text/html" }), { times: 1 });
    const append = "SourceBuffer.prototype.appendBuffer";
    const again = page.waitForEvent("websocket");
    await page.evaluate(`window.append = ${append}; ${append} = function (data) { ${append} = window.append; return window.append.call(this, new Uint8Array(data).map((each, at) => (at < 8 ? each : 255))); }`);
    await again;
    await watch(page, 20);
    await reach(page, "playing");
  },
});
