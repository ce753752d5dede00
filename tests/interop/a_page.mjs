// What scenarios of players have in common: Debian's Chromium on a page of some origin, and libraries of npm.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(path.join(process.env.NODE_MODULES, "x"));
const { chromium } = require("playwright-core");

/** The text of a library's file. */
export function library(...names) {
  return readFileSync(path.join(process.env.NODE_MODULES, ...names), "utf8");
}

/** Prints as JSON what run(page) has seen on a page of origin that has a muted video, and nothing else. */
export async function onPage(origin, run) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"],
  });
  try {
    const page = await browser.newPage();
    await page.goto(origin);
    await page.setContent("<video id=video muted></video>");
    console.log(JSON.stringify(await run(page)));
  } finally {
    await browser.close();
  }
}
