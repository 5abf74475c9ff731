// Visits the console in Chromium: node browser.mjs URL VISIT ARGUMENTS FOLDER. Prints what the visit returns.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import chromium from "@sparticuz/chromium";
import puppeteer from "puppeteer-core";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const [url, name, given, pictures] = process.argv.slice(2);

/** Wait until an expression holds in the page. */
const until = (page, test, ...values) => page.waitForFunction(test, { timeout: 60_000 }, ...values);

const has = (page, selector, text) =>
  until(page, (selector, text) => [...document.querySelectorAll(selector)].some((each) => each.textContent.includes(text)), selector, text);

async function openChat(page) {
  const before = await page.$$eval(".chat", (chats) => chats.length);
  await page.click("#open-chat");
  await until(page, (before) => document.querySelectorAll(".chat").length > before, before);
  await page.waitForFunction(() => document.activeElement.id === "text");
}

async function send(page, text, source = "queue") {
  await page.select("#source", source);
  await page.$eval("#text", (box, text) => (box.value = text), text);
  await page.click("#composer button[type=submit]");
}

async function focusBy(page, keys, test) {
  const [key, modifier] = keys.split("+").reverse();
  if (modifier) await page.keyboard.down(modifier);
  let reached = false;
  for (let count = 0; count < 1000 && !reached; count += 1) { // tests before this one may have left many bubbles
    await page.keyboard.press(key);
    reached = await page.evaluate(test);
  }
  if (modifier) await page.keyboard.up(modifier);
  assert.ok(reached, `${keys} does not reach it: ${test}`);
}

async function run(page, scenario, variant) {
  if (variant) await page.select("#variant", variant); // this also switches the comparison on
  await page.click(`[data-scenario=${scenario}]`);
  await page.waitForSelector("#stop:not([hidden])"); // until then, the page shows the end of the scenario before
  await page.waitForFunction(
    (scenario) => document.querySelector(`[data-scenario=${scenario}]`).ariaCurrent && /· (Over|Stopped)/.test(document.querySelector("#phase").textContent),
    { timeout: 330_000 },
    scenario,
  );
}

const visits = {
  async sends(page) {
    await openChat(page);
    const sources = await page.$$eval("#source option", (options) => options.map((option) => option.value));
    for (const source of sources) {
      await send(page, `Hello through ${source}`, source);
      await has(page, "#chats .bubble:not(.pending) .said", `Hello through ${source}`);
    }
    return sources;
  },

  async scenario(page, { name, variant }) {
    await run(page, name, variant);
    await page.screenshot({ path: join(pictures, `${name}.png`) });
    return page.$$eval("#score tbody tr", (rows) =>
      Object.fromEntries(rows.map((row) => [row.dataset.side, Object.fromEntries([...row.querySelectorAll("td")].map((cell) => [cell.dataset.count, parseInt(cell.textContent)]))])));
  },

  async life(page) {
    await run(page, "throttle", null);
    await page.evaluate(() => document.querySelector(".bubble.retried button, .bubble button").click());
    await has(page, "#life .step b", "SENT");
    return page.$$eval("#life .step b", (steps) => steps.map((step) => step.textContent));
  },

  async redrives(page) {
    await run(page, "fails", null);
    await has(page, ".bubble.refused", "failed: ServiceUnavailable");
    await page.click("[data-focus=open-dead_letter]");
    await has(page, "#dead-letters-state", "Dry run: 1 read, 1 to redrive.");
    const before = await page.$eval("#dead-letters tbody", (rows) => rows.innerText);
    await page.click("#redrive");
    await has(page, "#dead-letters-state", "Redriven: 1");
    await page.keyboard.press("Escape");
    await has(page, "#chats .bubble:not(.refused):not(.pending) .said", "1 · Your order");
    await has(page, "#life .step b", "Redriven by the console");
    return before;
  },

  async keyboard(page) {
    await focusBy(page, "Tab", () => document.activeElement.id === "open-chat");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.activeElement.id === "text");
    await page.keyboard.type("By keyboard");
    await page.keyboard.press("Enter");
    await has(page, "#chats .bubble:not(.pending) .said", "By keyboard");
    await focusBy(page, "Shift+Tab", () => document.activeElement.textContent.includes("By keyboard") && document.activeElement.matches(".bubble > button"));
    await page.keyboard.press("Space");
    await has(page, "#life .quote", "By keyboard");
    await focusBy(page, "Shift+Tab", () => document.activeElement.matches("#switches summary"));
    await page.keyboard.press("Enter");
    await focusBy(page, "Tab", () => document.activeElement.dataset.focus === "switch-outage");
    await page.keyboard.press("Space");
    await has(page, "#switches summary", "1 on");
    await page.keyboard.press("Space");
    await until(page, () => document.querySelector("#switches summary").textContent === "Switches");
    return page.evaluate(() => document.activeElement.dataset.focus);
  },

  async narrow(page) {
    await page.setViewport({ width: 360, height: 740 });
    await openChat(page);
    await send(page, `A long word: ${"x".repeat(300)}`);
    await has(page, "#chats .bubble:not(.pending) .said", "A long word");
    await page.screenshot({ path: join(pictures, "narrow.png"), fullPage: true });
    return page.evaluate(() => {
      const scrolls = (element) => element.closest(".scroll, .chats, .log, .steps");
      const outside = [...document.querySelectorAll("main *, header *")].filter((element) => {
        const box = element.getBoundingClientRect();
        return box.width && box.right > 361 && !scrolls(element) && !element.closest(".only-read");
      });
      return { width: document.documentElement.scrollWidth, outside: outside.map((element) => element.outerHTML.slice(0, 80)) };
    });
  },

  async axe(page, { scheme }) {
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
    await openChat(page);
    await send(page, "For axe");
    await has(page, "#chats .bubble:not(.pending) .said", "For axe");
    const found = [];
    const check = async () => {
      await page.evaluate(AXE);
      const { violations } = await page.evaluate(() => axe.run(document));
      found.push(...violations.filter(({ impact }) => ["serious", "critical"].includes(impact)).map(({ id, nodes }) => `${id}: ${nodes[0].html}`));
    };
    await check();
    await page.click("#switches summary");
    await page.click("#time-lapse summary");
    await check();
    await page.evaluate(() => document.querySelector("#dead-letters").showModal());
    await check();
    return found;
  },

  async hostile(page, { texts, shown }) {
    await openChat(page);
    for (const [index, text] of texts.entries()) {
      await send(page, text, "direct");
      await has(page, "#chats .bubble .said", shown[index]);
      await page.evaluate((text) => [...document.querySelectorAll(".bubble button")].findLast((each) => each.textContent.includes(text)).click(), shown[index]);
      await has(page, "#life .quote", shown[index]);
    }
    return page.evaluate(() => ({
      title: document.title, owned: window.owned ?? null, images: document.images.length, scripts: document.scripts.length,
      marked: document.querySelectorAll(".said *, .quote *").length,
    }));
  },

  async stranger(page, { text, token }) {
    await has(page, "#chats .said", text);
    await page.evaluate((text) => [...document.querySelectorAll(".bubble button")].findLast((each) => each.textContent.includes(text)).click(), text);
    await has(page, "#life .ids", token);
    return page.evaluate(() => document.querySelectorAll("#life b b, #log b b, #life img").length);
  },

  async picture(page, { path, scheme = "light", width = 1440, height = 960, scenario, variant, halfway }) {
    await page.setViewport({ width, height });
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
    if (halfway) {
      await page.select("#variant", variant);
      await page.click(`[data-scenario=${scenario}]`);
      await new Promise((resolve) => setTimeout(resolve, halfway * 1000));
    } else await run(page, scenario, variant);
    const retried = await page.$(".bubble.retried button");
    await retried?.evaluate((bubble) => bubble.click());
    await new Promise((resolve) => setTimeout(resolve, 500));
    await page.screenshot({ path });
    return path;
  },

  async finish(page) {
    await page.waitForFunction(() => /· (Over|Stopped)/.test(document.querySelector("#phase").textContent), { timeout: 330_000 });
    return null;
  },
};

const browser = await puppeteer.launch({ args: chromium.args, executablePath: await chromium.executablePath(), headless: "shell" });
try {
  const page = await browser.newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("console", (message) => ["error", "warn"].includes(message.type()) && problems.push(message.text()));
  page.on("request", (request) => request.url().startsWith(url) || request.url().startsWith("data:") || problems.push(`request for ${request.url()}`));
  page.setDefaultTimeout(60_000);
  await page.setViewport({ width: 1440, height: 900 });
  await page.goto(url);
  await until(page, () => document.querySelector("#connection").dataset.state === "open");
  const answer = await visits[name](page, JSON.parse(given));
  assert.deepEqual(problems, []);
  process.stdout.write(`${JSON.stringify(answer)}\n`);
} finally {
  await browser.close();
}
