// The page of a stream as viewers see it: node page.mjs SCENARIO URL PICTURES

import assert from "node:assert/strict";
import path from "node:path";
import { asked, attempt, becomes, check, closed, message, open, pictures, property, reach, sockets, tabTo, troubles, url, watch, wish } from "./a_page.mjs";

/** Within a page: what is appended while it is frozen kills the buffer that it is for. */
function freezable() {
  const dead = new Set();
  const { appendBuffer } = SourceBuffer.prototype;
  SourceBuffer.prototype.appendBuffer = function (data) {
    if (window.frozen) dead.add(this);
    if (!dead.has(this)) appendBuffer.call(this, data);
  };
}

await attempt({
  /** It waits for the encoder, plays, is told of its end, and goes on when it comes back. */
  async plays() {
    const page = await open();
    await reach(page, "offline");
    assert.match(await message(page).innerText(), /Not live yet\. The stream begins here by itself\./);
    await check(page, "offline");
    await page.evaluate(() => (window.first = true));
    await wish("publish");
    await reach(page, "playing");
    await watch(page);
    assert.ok(asked.some((each) => /^ws:.*\.mp4/.test(each)), "by WebSocket");
    await page.getByRole("button", { name: "Live", pressed: true }).waitFor();
    await page.waitForFunction(() => parseFloat(document.querySelector(".delay").textContent) < 1);
    await page.locator("#facts", { hasText: /Live since .* · 320 × 240 · H\.264 and AAC · 1 viewer$/ }).waitFor({ timeout: 8000 });
    const stalls = await page.evaluate(() => window.stalls);
    await watch(page, 75);
    console.log(`# ${(await page.evaluate(() => window.stalls)) - stalls} stalls in 3 s, ${await page.locator(".delay").innerText()}`);
    assert.equal(await message(page).innerText(), "");
    await check(page, "playing");
    await wish("stop");
    await reach(page, "over");
    assert.match(await message(page).innerText(), /has ended/);
    await wish("publish");
    await reach(page, "playing");
    await watch(page);
    assert.ok(await page.evaluate(() => window.first), "without a reload");
  },

  /** Where there is no WebSocket it plays by HLS, which is loaded then, and tells that it does. */
  async hls() {
    const page = await open();
    await reach(page, "offline");
    assert.ok(!asked.some((each) => each.includes("hls.min")), "nobody needs it yet");
    await wish("publish");
    await reach(page, "playing");
    await watch(page);
    assert.ok(asked.some((each) => /index\.m3u8$/.test(each)), "by HLS");
    assert.deepEqual(sockets, []);
    await page.waitForFunction(() => parseFloat(document.querySelector(".delay").textContent) < 6);
    await page.getByRole("button", { name: "Live", pressed: true }).waitFor();
    const sent = await page.waitForResponse((answer) => answer.url().endsWith("/beacon"));
    assert.equal(sent.status(), 204);
    await page.keyboard.press("k");
    await becomes(page, "paused", true);
    await page.keyboard.press("l");
    await becomes(page, "paused", false);
    await watch(page);
    await check(page, "hls");
    await wish("stop");
    await reach(page, "over");
    await wish("publish");
    await reach(page, "playing");
    await watch(page);
  },

  /** Who may go back does, and comes back to what is live. */
  async rewind() {
    await wish("publish");
    const page = await open();
    await reach(page, "playing");
    await page.waitForTimeout(12000); // Less than is gone back to, for who has just come.
    const late = await open();
    await reach(late, "playing");
    await late.locator(".bar").waitFor();
    await late.keyboard.press("ArrowLeft");
    await late.waitForFunction(() => parseFloat(document.querySelector(".delay").textContent) > 8);
    await watch(late, 20);
    assert.ok(asked.some((each) => /mp4\?start=-1\d$/.test(each)), "by the server");
    await late.context().close();
    // Who has seen it has it still.
    asked.length = 0;
    await page.keyboard.press("ArrowLeft");
    await page.waitForFunction(() => parseFloat(document.querySelector(".delay").textContent) > 8);
    await watch(page, 20);
    assert.deepEqual(asked.filter((each) => each.includes(".mp4")), []);
    await page.getByRole("button", { name: "Go live" }).waitFor();
    await check(page, "rewound");
    await page.getByRole("button", { name: "Go live" }).click();
    await page.getByRole("button", { name: "Live", exact: true }).waitFor();
    await page.waitForFunction(() => parseFloat(document.querySelector(".delay").textContent) < 2);
    await watch(page, 20);
  },

  /** An encoder that is lost is waited for, in words. */
  async returns() {
    await wish("publish");
    const page = await open();
    await reach(page, "playing");
    await watch(page);
    await wish("lose");
    await reach(page, "holding");
    assert.match(await message(page).innerText(), /encoder has lost its connection/);
    await check(page, "holding");
    await wish("publish");
    await reach(page, "playing");
    await watch(page);
  },

  /** A picture that stands still for long while its stream is live is begun anew. */
  async stands() {
    await wish("publish");
    const page = await open({ before: freezable });
    await reach(page, "playing");
    await watch(page);
    await page.evaluate(() => (window.frozen = true));
    await reach(page, "stalled");
    await page.evaluate(() => (window.frozen = false));
    await reach(page, "playing");
    await watch(page);
  },

  /** A picture that does not come back with its encoder is begun anew, too. */
  async held() {
    await wish("publish");
    const page = await open({ clock: true, before: freezable });
    await reach(page, "playing");
    await watch(page);
    await wish("lose");
    await page.evaluate(() => (window.frozen = true));
    await reach(page, "holding");
    await wish("publish");
    await page.waitForFunction(async () => (await (await fetch(`${location.pathname}.json`)).json()).live);
    await page.clock.fastForward(6000);
    await reach(page, "stalled");
    await page.evaluate(() => (window.frozen = false));
    await page.clock.fastForward(11000);
    await reach(page, "playing");
    await watch(page);
  },

  /** Whoever is not pressed to play costs nothing after a while, nor does what no buffer takes. */
  async tapped() {
    await wish("publish");
    const ours = {
      clock: true,
      before: () => {
        for (const name of ["click", "keydown"]) window.addEventListener(name, () => (window.pressed = true), true);
        const { play } = HTMLMediaElement.prototype;
        HTMLMediaElement.prototype.play = function () {
          return window.pressed ? play.call(this) : Promise.reject(new DOMException("no", "NotAllowedError"));
        };
        const { appendBuffer } = SourceBuffer.prototype;
        SourceBuffer.prototype.appendBuffer = function (data) {
          if (window.full) throw new DOMException("full", "QuotaExceededError");
          appendBuffer.call(this, data);
        };
        // Much comes where there is no room.
        const { addEventListener } = WebSocket.prototype;
        WebSocket.prototype.addEventListener = function (name, listener, options) {
          const swell = (event) => listener(window.full && event.data instanceof ArrayBuffer ? { data: new ArrayBuffer(4 << 20) } : event);
          addEventListener.call(this, name, name === "message" ? swell : listener, options);
        };
      },
    };
    const page = await open(ours);
    await reach(page, "tap");
    assert.equal(sockets.length, 1);
    await page.clock.fastForward(31000);
    await closed(sockets[0]);
    assert.equal(await message(page).innerText(), "Press play to start.");
    await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
    await page.locator(".start").click();
    await reach(page, "playing");
    await watch(page);
    assert.equal(sockets.length, 2, "nobody has asked for one more");
    await page.keyboard.press("k");
    await page.evaluate(() => (window.full = true));
    await closed(sockets[1]);
    await page.evaluate(() => (window.full = false));
    await page.keyboard.press("k");
    await reach(page, "playing");
    await watch(page);
    await page.context().close();
    const other = await open({ ...ours, place: `${url}?via=hls` });
    await reach(other, "tap");
    await other.clock.fastForward(31000);
    await other.waitForFunction(() => !document.querySelector("video").src); // Or it would begin with what is long over.
    await other.locator(".start").click();
    await reach(other, "playing");
    await other.waitForFunction(() => parseFloat(document.querySelector(".delay").textContent) < 6);
    await watch(other);
  },

  /** What breaks again and again by WebSocket is played by HLS. */
  async breaks() {
    await wish("publish");
    const page = await open({
      before: () => {
        const { addEventListener } = WebSocket.prototype;
        WebSocket.prototype.addEventListener = function (name, listener, options) {
          let count = 0;
          const spoil = (event) => {
            if (event.data instanceof ArrayBuffer) count += 1;
            listener(count > 60 ? { data: new Uint8Array(64).fill(255).buffer } : event);
          };
          addEventListener.call(this, name, name === "message" ? spoil : listener, options);
        };
      },
    });
    await page.waitForRequest(/index\.m3u8/);
    assert.equal(sockets.length, 2);
    await page.locator('.player[data-state="playing"] .live').waitFor();
    await watch(page, 75);
    assert.equal(sockets.length, 2);
  },

  /** What is not offered to browsers is not asked for, in words. */
  async unoffered() {
    await wish("publish");
    const page = await open();
    await reach(page, "unoffered");
    assert.equal(await message(page).innerText(), "This stream is not offered to browsers here.");
    await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
    await page.keyboard.press("k");
    await page.keyboard.press("k");
    await check(page, "unoffered");
    assert.deepEqual(asked.filter((each) => /\.(mp4|m3u8|json)/.test(each)), []);
  },

  /** What is shown in place of an encoder is said. */
  async slate() {
    await wish("publish");
    const page = await open();
    await reach(page, "playing");
    await watch(page);
    await wish("lose");
    await page.getByText(/this is a slate/).waitFor();
    await check(page, "slate");
    await wish("publish");
    await page.locator(".notice[hidden]").waitFor({ state: "attached" });
    await watch(page);
  },

  /** Where nothing may be heard it is muted, and a button says so. */
  async muted() {
    await wish("publish");
    const page = await open({ sound: false });
    await reach(page, "playing");
    await watch(page, 20);
    assert.equal(await property(page, "muted"), true);
    await check(page, "muted");
    await page.locator(".unmute").click();
    await becomes(page, "muted", false);
    assert.equal(await page.locator(".unmute").isVisible(), false);
    await watch(page, 20);
  },

  /** Everything by the keyboard alone. */
  async keys() {
    await wish("publish");
    const page = await open();
    await reach(page, "playing");
    await page.keyboard.press("m");
    await becomes(page, "muted", true);
    await page.getByRole("button", { name: "Unmute" }).waitFor();
    await page.keyboard.press("m");
    await becomes(page, "muted", false);
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowDown");
    await page.waitForFunction(() => document.querySelector("video").volume < 0.85);
    await page.keyboard.press("k");
    await becomes(page, "paused", true);
    await page.getByRole("button", { name: "Go live" }).waitFor();
    await page.keyboard.press("l");
    await becomes(page, "paused", false);
    await page.getByRole("button", { name: "Live", exact: true }).waitFor();
    await page.keyboard.press("f");
    await page.waitForFunction(() => document.fullscreenElement?.id === "player");
    await page.keyboard.press("f");
    await page.waitForFunction(() => document.fullscreenElement === null);
    for (const name of ["Pause", "Mute", "Volume", "Live", "Picture in picture", "Full screen"]) await tabTo(page, name);
    await page.screenshot({ path: path.join(pictures, "page-focus.png") });
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.fullscreenElement?.id === "player");
  },

  /** A telephone, in the dark too. */
  async phone() {
    for (const scheme of ["light", "dark"]) {
      const page = await open({ width: 375, height: 700, scheme, place: `${url}?nobody` });
      await reach(page, "offline");
      await check(page, `phone-offline-${scheme}`);
      await page.context().close();
    }
    await wish("publish");
    for (const scheme of ["light", "dark"]) {
      const page = await open({ width: 375, height: 700, scheme });
      await reach(page, "playing");
      await check(page, `phone-${scheme}`);
      await page.context().close();
    }
    const page = await open({ scheme: "dark" });
    await reach(page, "playing");
    await check(page, "dark");
  },

  /** Who shows a key plays, and nobody is shown it. */
  async locked() {
    await wish("publish");
    let page = await open();
    await reach(page, "unproven");
    assert.match(await message(page).innerText(), /has to send a link with a key/);
    await check(page, "unproven");
    await page.context().close();
    page = await open({ place: `${url}?key=wrong` });
    await reach(page, "forbidden");
    assert.match(await message(page).innerText(), /copy the address again/);
    // Too many wrong keys get an address banned, and whoever comes back to the page shows none.
    asked.length = 0;
    await page.evaluate(async () => {
      for (let times = 0; times < 5; times += 1) {
        document.dispatchEvent(new Event("visibilitychange"));
        await fetch("/player/0/icon.svg");
      }
    });
    assert.deepEqual(asked.filter((each) => each.includes("wrong")), []);
    await page.context().close();
    asked.length = 0;
    const key = await wish("key");
    page = await open({ place: `${url}?key=${key}` });
    await reach(page, "playing");
    await watch(page);
    assert.ok(!(await page.content()).includes(key), "the key is in the page");
    const bearing = asked.filter((each) => each.includes(key)).map((each) => new URL(each).pathname);
    assert.deepEqual([...new Set(bearing)].sort(), ["/live/show", "/live/show.json", "/live/show.mp4"]);
  },

  /** A codec that the browser lacks is named. */
  async lacks() {
    await wish("publish");
    const without = (pattern) => `const supported = MediaSource.isTypeSupported; MediaSource.isTypeSupported = (type) => !${pattern}.test(type) && supported.call(MediaSource, type);`;
    let page = await open({ before: without("/avc1|mp4a/") });
    await reach(page, "unsupported");
    assert.match(await message(page).innerText(), /This browser cannot play (H\.264 and AAC|AAC and H\.264)/);
    await check(page, "unsupported");
    await page.context().close();
    page = await open({ before: without("/mp4a/") });
    await reach(page, "playing");
    await page.getByText("No sound: this browser cannot play AAC.").waitFor();
    await watch(page);
    await page.context().close();
    page = await open({ before: without("/avc1/") });
    await page.getByText("Sound alone: this browser cannot play H.264.").waitFor();
    await page.waitForFunction(() => document.querySelector("video").currentTime > 0 && document.querySelector("video").videoWidth === 0);
    await check(page, "sound-alone");
  },

  /** Pages that the settings name show it within theirs, others cannot. */
  async embed() {
    await wish("publish");
    let page = await open({ place: await wish("friend") });
    const frame = page.frames()[1];
    await frame.locator('.player[data-state="playing"]').waitFor();
    assert.equal(await frame.locator("h1").count(), 0);
    const box = await frame.evaluate(() => [document.querySelector("video").clientWidth, innerWidth, document.documentElement.scrollHeight - innerHeight]);
    assert.equal(box[0], box[1]);
    assert.ok(box[2] <= 0, "it fits into its frame");
    await page.screenshot({ path: path.join(pictures, "page-embedded.png") });
    await page.context().close();
    page = await open({ place: await wish("stranger") });
    await page.waitForFunction(() => document.querySelector("iframe").dataset.loaded === "yes");
    assert.equal(await page.frames()[1].locator(".player").count(), 0);
    const refused = troubles.splice(0).filter((each) => !/frame-ancestors/.test(each));
    assert.deepEqual(refused, []);
  },

  /** The console shows what viewers see, or says why it cannot. */
  async preview() {
    await wish("publish");
    const page = await open({ place: `${url}/#/streams/live/show` });
    await page.getByRole("button", { name: "Watch" }).click();
    await reach(page, "playing");
    await watch(page);
    assert.equal(await property(page, "muted"), true);
    await page.getByRole("link", { name: "All streams" }).click();
    await page.getByRole("heading", { level: 1, name: "On air" }).waitFor();
    assert.equal(await page.locator("video").count(), 0);
    await wish("unwatched");
  },

  /** Where nobody is told whether it is live, who may not watch is told that nevertheless. */
  async barred() {
    await wish("publish");
    await reach(await open({ place: `${url}?key=wrong` }), "forbidden");
    assert.deepEqual(asked.filter((each) => each.includes(".json")), []);
  },

  /** Where a proof is asked for the console has none of its own: who has one shows it. */
  async proven() {
    await wish("publish");
    const page = await open({ place: `${url}/#/streams/live/show` });
    await page.getByRole("button", { name: "Watch" }).click();
    await reach(page, "unproven");
    assert.match(await message(page).innerText(), /has to prove that they may/);
    await check(page, "console-unproven");
    await page.getByLabel("Its proof:").fill("wrong");
    await page.getByRole("button", { name: "Watch with it" }).click();
    await reach(page, "forbidden");
    await page.getByLabel("Its proof:").fill(`key=${await wish("key")}`);
    await page.keyboard.press("Enter");
    await reach(page, "playing");
    await watch(page);
    assert.equal(await page.getByLabel("Its proof:").isVisible(), false);
  },

  async unseen() {
    await wish("publish");
    const page = await open({ place: `${url}/#/streams/live/show` });
    await page.getByText("Browsers can play nothing here: http.listen names no port.").waitFor();
    assert.equal(await page.getByRole("button", { name: "Watch" }).isVisible(), false);
  },
});
