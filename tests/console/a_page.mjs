// What scenarios of a stream's page in a browser have in common. One is tried a run: node FILE SCENARIO URL PICTURES
// It says what it wants of its test by a line of standard output, and waits for one of standard input.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { createInterface } from "node:readline";

const require = createRequire(path.join(process.env.NODE_MODULES, "x"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core"), "utf8");
export const [scenario, url, pictures] = process.argv.slice(2);
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
export const troubles = [];
export const asked = [];
export const sockets = [];
let browser;

/** Have the test do something. */
export async function wish(what) {
  console.log(what);
  return (await answers.next()).value;
}

export async function open({ place = url, width = 1280, height = 800, scheme = "light", sound = true, clock = false, before = null } = {}) {
  if (browser === undefined) {
    const policy = sound ? ["--autoplay-policy=no-user-gesture-required"] : [];
    browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox", ...policy] });
  }
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, reducedMotion: "reduce" });
  const page = await context.newPage();
  page.setDefaultTimeout(30000);
  page.on("pageerror", (error) => troubles.push(`error: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error" && !/net::ERR|Failed to load resource|WebSocket connection/.test(message.text())) troubles.push(message.text());
  });
  page.on("request", (request) => asked.push(request.url()));
  page.on("websocket", (socket) => {
    asked.push(socket.url());
    sockets.push(socket);
  });
  await page.addInitScript(() => {
    window.violations = [];
    window.stalls = 0;
    document.addEventListener("securitypolicyviolation", (event) => window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
    document.addEventListener("waiting", () => (window.stalls += 1), true);
  });
  if (clock) await page.clock.install(); // That can be led on.
  if (before) await page.addInitScript(before);
  if (sound) await page.goto(place);
  else await untouched(page, place);
  return page;
}

/** Go there, and ask nothing until it plays: whatever is asked of a page counts as a gesture, and sound may be heard. */
async function untouched(page, place) {
  await page.addInitScript(() => document.addEventListener("playing", () => console.log("it plays"), true));
  const begun = page.waitForEvent("console", (said) => said.text() === "it plays");
  await page.goto(place);
  await begun;
}

/** Wait until a WebSocket is. */
export async function closed(socket) {
  if (!socket.isClosed()) await socket.waitForEvent("close", { timeout: 10000 });
}

export const message = (page) => page.locator(".player .message");

/** Wait until the player is in that state. */
export async function reach(page, state) {
  await page.locator(`.player[data-state="${state}"]`).waitFor();
}

export const frames = (page) => page.evaluate(() => document.querySelector("video").getVideoPlaybackQuality().totalVideoFrames);

/** So many pictures more are decoded and shown. */
export async function watch(page, more = 40) {
  const before = await frames(page);
  await page.waitForFunction((most) => document.querySelector("video").getVideoPlaybackQuality().totalVideoFrames >= most, before + more);
}

/** Nothing that axe-core knows of keeps anybody out, and nothing is wider than the screen. */
export async function check(page, name) {
  await page.screenshot({ path: path.join(pictures, `page-${name}.png`), fullPage: true });
  // As an evaluated text and not as a script of the page, which its policy refuses.
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() =>
    window.axe.run(document, {
      runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
      // Live pictures have no captions beforehand, and what is written over pictures has no one ground.
      rules: { "video-caption": { enabled: false }, "color-contrast": { enabled: false } },
    }),
  );
  const found = violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html).slice(0, 3).join(" | ")}`);
  assert.deepEqual(found, [], name);
  const excess = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(excess <= 0, `${name} is ${excess} px wider than the screen`);
}

/** Press Tab until what has the focus is called so. */
export async function tabTo(page, name) {
  for (let tries = 0; tries < 20; tries += 1) {
    await page.keyboard.press("Tab");
    const focused = await page.evaluate(() => document.activeElement.getAttribute("aria-label") ?? document.activeElement.textContent);
    if (focused.trim() === name) return;
  }
  assert.fail(`no Tab leads to ${name}`);
}

export const property = (page, name) => page.evaluate((name) => document.querySelector("video")[name], name);
export const becomes = (page, name, value) => page.waitForFunction(([name, value]) => document.querySelector("video")[name] === value, [name, value]);

/** Try the one of `scenarios` that is asked for. */
export async function attempt(scenarios) {
  try {
    await scenarios[scenario]();
    for (const context of browser.contexts()) {
      for (const page of context.pages()) {
        const violations = await page.evaluate(() => window.violations);
        assert.deepEqual(violations, []);
      }
    }
    assert.deepEqual(troubles, []);
  } catch (error) {
    const page = browser?.contexts().at(-1)?.pages()[0];
    await page?.screenshot({ path: path.join(pictures, `page-failed-${scenario}.png`) }).catch(() => {});
    console.log(`# failed in state ${await page?.locator(".player").getAttribute("data-state").catch(() => "?")}: ${await page?.locator(".player .message").innerText().catch(() => "")}`);
    throw error;
  } finally {
    await browser?.close();
  }
  process.exit(0);
}
