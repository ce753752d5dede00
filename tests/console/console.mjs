// The console in a browser, one scenario a run: node console.mjs SCENARIO URL PICTURES
// Says what it wants of its test by a line of standard output, and waits for one of standard input.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import path from "node:path";
import { createInterface } from "node:readline";

const require = createRequire(path.join(process.env.NODE_MODULES, "x"));
const { chromium } = require("playwright-core");
const axe = require.resolve("axe-core");
const [scenario, url, pictures] = process.argv.slice(2);
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const troubles = [];
let browser;

/** Have the test do something. */
async function wish(what) {
  console.log(what);
  return (await answers.next()).value;
}

async function open({ width = 1280, height = 900, scheme = "light", place = "", ...more } = {}) {
  // Playwright injects what looks at the page past its policy; what the page does is held to it.
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, reducedMotion: "reduce", ...more });
  const page = await context.newPage();
  page.setDefaultTimeout(15000);
  page.on("pageerror", (error) => troubles.push(`error: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error" && !/net::ERR|Failed to load resource/.test(message.text())) troubles.push(message.text());
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(url) && !request.url().startsWith("data:")) troubles.push(`asks ${request.url()}`);
  });
  await page.goto(`${url}/${place}`);
  return page;
}

async function picture(page, name) {
  await page.screenshot({ path: path.join(pictures, `${name}.png`), fullPage: true });
}

/** Nothing that axe-core knows of keeps anybody out, and nothing is wider than the screen. */
async function check(page, name) {
  await picture(page, name);
  // As an evaluated text and not as a script of the page, which its policy refuses.
  await page.evaluate(require("node:fs").readFileSync(axe, "utf8"));
  const { violations } = await page.evaluate(() =>
    window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }),
  );
  const found = violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html, any }) => `${html} ${any.map(({ message }) => message)}`).slice(0, 3).join(" | ")}`);
  assert.deepEqual(found, [], name);
  const excess = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(excess <= 0, `${name} is ${excess} px wider than the screen`);
}

/** Nothing has kept the page from answering for long; without what axe-core takes. */
async function unfrozen(page) {
  const longest = await page.evaluate(() => window.longest);
  console.log(`# longest task ${longest.toFixed(0)} ms`);
  assert.ok(longest < 500, `a task took ${longest} ms`);
}

const text = (page, selector = "main") => page.locator(selector).innerText();
const isFocused = (locator) => locator.evaluate((element) => element === document.activeElement);

/** Press Tab until what has the focus is called so. */
async function tabTo(page, name) {
  for (let tries = 0; tries < 60; tries += 1) {
    await page.keyboard.press("Tab");
    const focused = await page.evaluate(() => document.activeElement.getAttribute("aria-label") ?? document.activeElement.textContent);
    if (focused.trim() === name) return;
  }
  assert.fail(`no Tab leads to ${name}`);
}

const SCENARIOS = {
  /** Streams that are well, ill and hostile, and a push that is down, in every view and on every screen. */
  async looks() {
    const places = { streams: "", stream: "#/streams/live/show", connections: "#/sessions", relays: "#/relays", recordings: "#/recordings", history: "#/history", bans: "#/bans" };
    for (const [width, scheme] of [
      [1280, "light"],
      [1280, "dark"],
      [375, "light"],
      [375, "dark"],
    ]) {
      for (const [name, place] of Object.entries(places)) {
        const page = await open({ width, scheme, place });
        await page.locator("main h1").waitFor();
        if (name === "streams") await page.getByRole("link", { name: "live/show" }).first().waitFor();
        await page.waitForTimeout(400);
        await check(page, `${name}-${width}-${scheme}`);
        await page.context().close();
      }
    }
    const page = await open();
    await page.getByText("Key frame interval 9.8 s").waitFor();
    await page.getByText(/The push to away .* is down/).first().waitFor();
    const told = await text(page);
    assert.match(told, /players begin up to 9\.8 s late/);
    assert.match(told, /in OBS under Settings > Output > Keyframe Interval/);
    assert.match(told, /The push to away \(rtmp:\/\/127\.0\.0\.1:\d+\/x\) is down: .*Connection refused/);
    assert.match(told, /H\.264 1920×1080/);
    await page.getByRole("row", { name: /live\/show/ }).getByText("1 warning, push down").waitFor();
    assert.match(await page.title(), /^\(1\) Streams/);
    // It is no better while it is being tried once more.
    await wish("hang");
    await page.getByText(/The push to away .* is down: .*; it is tried once more now\./).first().waitFor({ timeout: 40000 });
    await page.getByRole("link", { name: /📺/ }).first().click();
    await page.getByRole("heading", { level: 1, name: /📺-x{240}/ }).waitFor();
    await page.getByText("<img src=x onerror=alert(1)>").first().waitFor();
    assert.match(await text(page, "figure code"), /^ffplay 'rtmp:\/\/127\.0\.0\.1:\d+\/live\/שלום-📺-x{240}'$/);
    assert.equal(await page.locator("img").count(), 0);
    await page.getByText(/One thing needs somebody:.*The push to away/s).waitFor();
    await check(page, "hostile");
    await page.setViewportSize({ width: 375, height: 800 });
    await check(page, "hostile-375");
    await page.setViewportSize({ width: 1280, height: 800 });
    await page.goBack();
    await page.getByLabel("Find").fill("no such stream");
    await page.getByText("No stream is called so.").waitFor();
  },

  /** Without a script the page still says where everything is. */
  async unscripted() {
    const page = await open({ javaScriptEnabled: false });
    assert.match(await text(page, "body"), /needs JavaScript[\s\S]*rtmpd status[\s\S]*\/metrics/);
  },

  /** Everything by the keyboard alone. */
  async keys() {
    const page = await open();
    await page.getByRole("link", { name: "live/show" }).first().waitFor();
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to the content");
    await tabTo(page, "Bans");
    await page.keyboard.press("Enter");
    await page.getByText("Nobody is banned.").waitFor();
    assert.ok(await isFocused(page.locator("main h1")), "a new view begins at its heading");
    await tabTo(page, "Ban an address");
    await page.keyboard.press("Enter");
    const dialog = page.getByRole("dialog", { name: "Ban an address" });
    await dialog.waitFor();
    assert.ok(await isFocused(dialog.getByLabel("Address or network")));
    await check(page, "dialog");
    await page.keyboard.press("Escape");
    assert.equal(await dialog.count(), 0);
    assert.ok(await isFocused(page.getByRole("button", { name: "Ban an address" })), "the focus is back");
    await page.keyboard.press("Enter");
    await page.keyboard.type("nowhere");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").filter({ hasText: "Write an address such as" }).waitFor();
    await page.keyboard.press("Control+A");
    await page.keyboard.type("192.0.2.0/24");
    await page.keyboard.press("Enter");
    await page.getByRole("cell", { name: "192.0.2.0/24", exact: true }).waitFor();
    await tabTo(page, "Lift: the ban of 192.0.2.0/24");
    await page.keyboard.press("Enter");
    await tabTo(page, "Lift");
    await page.keyboard.press("Enter");
    await page.getByText("Nobody is banned.").waitFor();

    await page.goto(`${url}/#/streams/live/show`);
    const out = page.getByRole("button", { name: /^Throw out: the encoder of live\/show/ });
    await out.waitFor();
    await tabTo(page, await out.getAttribute("aria-label"));
    await page.keyboard.press("Enter");
    const question = page.getByRole("dialog", { name: "Throw out" });
    await question.waitFor();
    await page.keyboard.press("Escape");
    assert.equal(await wish("is it there?"), "yes");
    await page.keyboard.press("Enter");
    await question.waitFor();
    await tabTo(page, "Throw out");
    await page.keyboard.press("Enter");
    await page.getByText("Nobody publishes it.").waitFor();
    await page.locator("#announcements").filter({ hasText: "has been thrown out" }).waitFor({ state: "attached" });
    assert.equal(await wish("is it there?"), "no");
  },

  /** What has happened, as it happens, and who was there; of a server that shows no addresses in full. */
  async happens() {
    const page = await open({ place: "#/history" });
    await page.getByText("Nothing since somebody first looked").waitFor();
    await wish("publish");
    await page.getByText("live/show is on air").waitFor();
    const events = page.getByRole("list", { name: "Events" });
    await events.getByText(/^By 127\.0\.0\.0 with <img/).first().waitFor();
    await events.getByRole("link", { name: "live/show is on air" }).click();
    await page.getByRole("heading", { level: 1, name: "live/show" }).waitFor();
    await page.getByRole("button", { name: /^Throw out: the encoder of live\/show/ }).click();
    await page.getByRole("dialog").getByLabel("Why, for others").fill("<b>loud</b>");
    await page.getByRole("dialog").getByRole("button", { name: "Throw out" }).click();
    const over = page.getByRole("table", { name: "Sessions of live/show that are over" });
    await over.getByText(/kicked, by 127\.0\.0\.0/).waitFor();
    await page.getByRole("link", { name: "History" }).click();
    await events.getByText(/kick .*/).first().waitFor();
    await events.getByText(/<b>loud<\/b>/i).waitFor();
    await page.getByRole("table", { name: "Sessions that are over" }).getByText("<img src=x onerror=alert(1)>").waitFor();
    await check(page, "history");
    await page.setViewportSize({ width: 375, height: 800 });
    await check(page, "history-375");
    await page.setViewportSize({ width: 1280, height: 800 });
    await page.getByLabel("Show", { exact: true }).first().selectOption("changes by people");
    // Among the events: it may have been read out, too.
    await events.getByText("live/show is on air").waitFor({ state: "detached" });
    await events.getByText(/kick .*/).first().waitFor();
    await page.getByLabel("Of the stream").fill("live/other");
    await page.getByText("No session is over that is known of.").waitFor();

    await page.getByRole("link", { name: "Bans", exact: true }).click();
    for (const network of ["192.0.2.7", "192.0.2.8"]) {
      await page.getByRole("button", { name: "Ban an address" }).click();
      await page.getByLabel("Address or network").fill(network);
      await page.keyboard.press("Enter");
      await page.getByRole("dialog").waitFor({ state: "detached" });
    }
    // Both are shown, though they look alike, and each can be lifted.
    await page.getByRole("cell", { name: "192.0.2.0", exact: true }).nth(1).waitFor();
    for (let left = 2; left > 0; left -= 1) {
      await page.getByRole("button", { name: "Lift: the ban of 192.0.2.0" }).first().click();
      await page.getByRole("dialog").getByRole("button", { name: "Lift" }).click();
      await page.getByRole("dialog").waitFor({ state: "detached" });
      await page.waitForFunction((number) => document.querySelectorAll("tbody tr").length === number, left - 1);
    }
    await page.getByText("Nobody is banned.").waitFor();
  },

  /** A push is switched off and on and taken out, another one added, and players are led elsewhere. */
  async acts() {
    const page = await open({ place: "#/streams/live/show" });
    const done = (text) => page.locator("#announcements").filter({ hasText: text }).waitFor({ state: "attached" });
    const press = async (name, verb, filled = {}) => {
      await page.getByRole("button", { name }).click();
      for (const [label, value] of Object.entries(filled)) await page.getByRole("dialog").getByLabel(label).fill(value);
      await page.getByRole("dialog").getByRole("button", { name: verb }).click();
    };
    await press("Off: target away of live/show", "Switch off");
    await done("The target is off");
    await page.getByRole("button", { name: "On: target away of live/show" }).waitFor();
    assert.ok(await page.getByRole("button", { name: "Restart: target away of live/show" }).isDisabled());
    await press("On: target away of live/show", "Switch on");
    await done("The target is on");
    await press("Restart: target away of live/show", "Begin anew");
    await done("The push begins anew");
    await press("Push to another server", "Push", { Address: "nowhere" });
    await page.getByRole("alert").filter({ hasText: /./ }).waitFor();
    await page.keyboard.press("Escape");
    await press("Push to another server", "Push", { Address: "rtmp://127.0.0.1:1/app/secret" });
    await done("live/show is pushed to one more server");
    await page.getByText("rtmp://127.0.0.1:1/app").first().waitFor();
    assert.doesNotMatch(await text(page), /secret/);
    await press("Remove: target api-1 of live/show", "Remove");
    await done("The target is removed");
    await press("Send players elsewhere", "Send them", { "Where to": "live/nobody" });
    await page.getByRole("alert").filter({ hasText: /./ }).waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Throw out: 127.0.0.1" }).nth(2).waitFor();
    await press("Send players elsewhere", "Send them", { "Where to": await wish("where to?") });
    await done("3 players go there");
    await page.getByText("Nobody watches.").waitFor();
  },

  /** A stream is recorded, its files are fetched and deleted; who plays by HTTP, a delay and a slate are seen. */
  async records() {
    const page = await open({ place: "#/streams/live/show" });
    const done = (text) => page.locator("#announcements").filter({ hasText: text }).waitFor({ state: "attached" });
    const press = async (name, verb) => {
      await page.getByRole("button", { name }).click();
      await page.getByRole("dialog").getByRole("button", { name: verb, exact: true }).click();
      await page.getByRole("dialog").waitFor({ state: "detached" });
    };
    const facts = page.locator("dl.totals");
    await page.getByText("There are no recordings.").waitFor();
    assert.equal(await page.getByRole("button", { name: "Stop the recording" }).count(), 0);
    await tabTo(page, "Record");
    await page.keyboard.press("Enter");
    await page.getByRole("dialog", { name: "Record a stream" }).waitFor();
    await tabTo(page, "Record");
    await page.keyboard.press("Enter");
    await done("live/show is being recorded");
    const list = page.getByRole("table", { name: "Recordings of live/show" });
    await list.getByText("being written").waitFor();
    await facts.getByText("Being recorded").waitFor();
    assert.equal(await list.getByRole("link", { name: /^Download/ }).count(), 0);
    assert.equal(await page.getByRole("button", { name: "Record", exact: true }).count(), 0);
    await press("Split the recording", "Split");
    await done("live/show goes on in another file");
    const finished = list.getByRole("row").filter({ hasText: "finished" });
    await finished.first().waitFor();
    await list.getByText("being written").waitFor();
    await check(page, "recorded");
    await page.getByRole("link", { name: "Streams", exact: true }).click();
    await page.getByRole("row", { name: /live\/show/ }).getByText(/, recorded/).waitFor();
    await page.goBack();

    // Who plays by HTTP is told from who does by RTMP, and that they are behind is said.
    await wish("http");
    const players = page.getByRole("table", { name: "Players of live/show" });
    await players.getByText("HTTP-FLV").waitFor();
    await players.getByText("RTMP", { exact: true }).first().waitFor();
    await facts.getByText("Players are behind").waitFor();
    await facts.getByText("1 s", { exact: true }).waitFor();
    await wish("silence");
    await facts.getByText("Shown instead").waitFor();
    await facts.getByText(/^the last picture, for \d+ s$/).waitFor();
    await check(page, "slate");
    await page.setViewportSize({ width: 375, height: 800 });
    await check(page, "slate-375");
    await page.setViewportSize({ width: 1280, height: 900 });

    await press("Stop the recording", "Stop");
    await done("live/show is not recorded any more");
    await page.getByRole("link", { name: "Recordings", exact: true }).click();
    const all = page.getByRole("table", { name: "Recordings" });
    const links = all.getByRole("link", { name: /^Download: live\/show\// });
    await links.nth(1).waitFor();
    assert.equal(await links.count(), 2);
    for (const [width, scheme] of [
      [1280, "light"],
      [1280, "dark"],
      [375, "light"],
      [375, "dark"],
    ]) {
      await page.emulateMedia({ colorScheme: scheme });
      await page.setViewportSize({ width, height: 900 });
      await check(page, `recordings-${width}-${scheme}`);
    }
    await page.setViewportSize({ width: 1280, height: 900 });
    const [download] = await Promise.all([page.waitForEvent("download"), links.first().click()]);
    assert.match(download.suggestedFilename(), /\.flv$/);
    const { size } = require("node:fs").statSync(await download.path());
    assert.ok(size > 65536, `${size} bytes`);
    await page.getByLabel("Of the stream").fill("live/other");
    await page.getByText("There are no recordings.").waitFor();
    await page.getByLabel("Of the stream").fill("");
    await page.getByLabel("Show", { exact: true }).selectOption("being written");
    await page.getByText("There are no recordings.").waitFor();
    await page.getByLabel("Show", { exact: true }).selectOption("finished");
    await links.nth(1).waitFor();
    const gone = (await links.first().getAttribute("aria-label")).replace("Download", "Delete");
    await tabTo(page, gone);
    await page.keyboard.press("Enter");
    await page.getByRole("dialog", { name: "Delete a recording" }).waitFor();
    await page.keyboard.press("Escape");
    assert.equal(await links.count(), 2);
    await page.keyboard.press("Enter");
    await tabTo(page, "Delete");
    await page.keyboard.press("Enter");
    await done("is deleted");
    await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 1);
    assert.equal(await wish("files"), "1");
  },

  /** Somebody from elsewhere shows a token, looks, and logs out; and somebody with another may change something. */
  async login() {
    const page = await open();
    const token = page.getByLabel("Token");
    await token.waitFor();
    assert.ok(await isFocused(token));
    assert.match(await text(page), /rtmpd admin-token new/);
    await check(page, "login");
    await page.keyboard.type("wrong");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").filter({ hasText: /./ }).waitFor();
    await check(page, "login-refused");
    await token.fill("token-of-rob-who-looks-only");
    await page.keyboard.press("Enter");
    await page.getByText("Nobody publishes, and nobody waits for a stream.").waitFor();
    assert.match(await text(page, "#who"), /rob \(looks only\)/);
    assert.deepEqual(
      (await page.context().cookies()).map(({ httpOnly, sameSite }) => [httpOnly, sameSite]),
      [[true, "Strict"]],
    );
    await page.getByRole("link", { name: "Bans", exact: true }).click();
    await page.getByText("Nobody is banned.").waitFor();
    assert.equal(await page.getByRole("button", { name: "Ban an address" }).count(), 0);
    // What was recorded is read and removed by who operates.
    await page.getByRole("link", { name: "Recordings", exact: true }).click();
    await page.getByRole("cell", { name: "old.flv" }).waitFor();
    assert.equal(await page.getByRole("link", { name: "Download: old.flv" }).count(), 0);
    assert.equal(await page.getByRole("button", { name: "Delete: old.flv" }).count(), 0);
    await page.getByRole("link", { name: "Bans", exact: true }).click();
    await page.getByRole("button", { name: "Log out" }).click();
    await token.fill("token-of-ann-who-operates");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Ban an address" }).click();
    await page.getByLabel("Address or network").fill("192.0.2.7");
    await page.keyboard.press("Enter");
    await page.getByRole("cell", { name: "192.0.2.7", exact: true }).waitFor();
    await page.getByRole("link", { name: "Recordings", exact: true }).click();
    await page.getByRole("link", { name: "Download: old.flv" }).waitFor();
    await page.getByRole("button", { name: "Delete: old.flv" }).waitFor();
    await page.getByRole("button", { name: "Log out" }).click();
    await token.fill("token-of-sue-for-live-show");
    await page.keyboard.press("Enter");
    await page.getByText("There are no recordings.").waitFor();
    await page.getByRole("link", { name: "Bans", exact: true }).click();
    await page.getByText("This concerns the whole server").waitFor();
    await page.getByRole("link", { name: "Streams", exact: true }).click();
    await page.getByText("Nobody publishes, and nobody waits for a stream.").waitFor();
    await check(page, "scoped");
  },

  /** The server goes, and comes back. */
  async lost() {
    const page = await open();
    await page.getByText("Nobody publishes, and nobody waits for a stream.").waitFor();
    await check(page, "nothing");
    await wish("stop");
    await page.getByText("Connection lost: these figures are old. Trying again.").waitFor();
    await check(page, "lost");
    await wish("start");
    await page.locator("#connection:empty").waitFor({ state: "attached" });
    await page.getByText("Nobody publishes, and nobody waits for a stream.").waitFor();
  },

  /** 500 streams and 2,000 connections: pages of them, and no long task. */
  async many() {
    const page = await open();
    await page.evaluate(() => {
      window.longest = 0;
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) window.longest = Math.max(window.longest, entry.duration);
      }).observe({ type: "longtask" });
    });
    await page.getByText("1 to 50 of 500").waitFor();
    assert.equal(await page.locator("tbody tr").count(), 50);
    await page.getByRole("button", { name: "Next" }).click();
    await page.getByText("51 to 100 of 500").waitFor();
    await page.getByLabel("Sorted by").selectOption("players");
    await page.getByLabel("Find").fill("s49");
    await page.locator("tbody tr").nth(9).waitFor();
    assert.equal(await page.locator("tbody tr").count(), 10);
    await page.getByLabel("Find").fill("");
    await page.waitForTimeout(3000);
    await unfrozen(page);
    await check(page, "many-streams");
    await page.evaluate(() => (window.longest = 0));
    await page.getByRole("link", { name: "Connections" }).click();
    await page.getByText("1 to 50 of 2,000").waitFor();
    await page.getByRole("button", { name: "Next" }).click();
    await page.getByText("51 to 100 of 2,000").waitFor();
    await page.getByRole("button", { name: "Previous" }).click();
    await page.getByText("1 to 50 of 2,000").waitFor();
    await page.getByLabel("From").fill("198.51.100.7");
    await page.locator("tbody tr").first().waitFor();
    await page.getByLabel("From").fill("bogus");
    await page.getByText("write an address such as").waitFor();
    await unfrozen(page);
    await check(page, "many-connections");
  },

  /** As many follow as may: the second waits for the first to leave. */
  async crowded() {
    const first = await open();
    await first.getByText("Nobody publishes, and nobody waits for a stream.").waitFor();
    const second = await open();
    await second.getByText("The server says: Events.max_followers are 1, and as many follow something already. Trying again.").waitFor();
    await first.goto(`${url}/#/history`);
    await first.getByText("Events do not come now. Events.max_followers are 1").waitFor();
    await check(first, "crowded");
    await first.context().close();
    await second.getByText("Nobody publishes, and nobody waits for a stream.").waitFor();
    await second.locator("#connection:empty").waitFor({ state: "attached" });
  },

  /** Hundreds of events, and streams that come and go: nothing is kept of them. */
  async lasting() {
    const page = await open();
    const client = await page.context().newCDPSession(page);
    await client.send("Performance.enable");
    const look = async () => {
      await client.send("HeapProfiler.collectGarbage");
      const { metrics } = await client.send("Performance.getMetrics");
      return Object.fromEntries(metrics.map(({ name, value }) => [name, value]));
    };
    await page.locator("tbody tr").nth(20).waitFor();
    await page.waitForTimeout(6000);
    const before = await look();
    await page.waitForTimeout(15000);
    const after = await look();
    console.log(`# nodes ${before.Nodes} to ${after.Nodes}, listeners ${before.JSEventListeners} to ${after.JSEventListeners}, heap ${before.JSHeapUsedSize} to ${after.JSHeapUsedSize}`);
    assert.ok(after.Nodes < before.Nodes * 1.2 + 500, `${before.Nodes} nodes became ${after.Nodes}`);
    assert.ok(after.JSEventListeners < before.JSEventListeners * 1.2 + 50);
    assert.ok(after.JSHeapUsedSize < before.JSHeapUsedSize + 2_000_000);
  },
};

browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });
try {
  await SCENARIOS[scenario]();
  assert.deepEqual(troubles, []);
} finally {
  await browser.close();
}
process.exit(0);
