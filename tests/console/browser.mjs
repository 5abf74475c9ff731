// Visits the console in Chromium: node browser.mjs URL FOLDER. Every line of its input is a visit, [name, arguments].
// It answers each with a line: {answer}, or {problem}. One browser serves all visits, each in a new page; the first answer
// is its version.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import chromium from "@sparticuz/chromium";
import puppeteer from "puppeteer-core";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const LONGEST_SCENARIO_MS = 330_000;
const SHOWN = "#chats .bubble:not(.pending):not(.refused) .said"; // in the transcript, so the customer sees it
const [url, pictures] = process.argv.slice(2);

/** Wait until an expression holds in the page. It is looked at after each change, not in each frame, which costs half a core. */
const until = (page, test, ...values) => page.waitForFunction(test, { polling: 50, timeout: 60_000 }, ...values);

const has = (page, selector, text) =>
  until(page, (selector, text) => [...document.querySelectorAll(selector)].some((each) => each.textContent.includes(text)), selector, text);

/** Click what the reader sees. A bubble that arrives meanwhile may move it: a mouse would miss it then. */
async function click(page, selector) {
  const element = await page.waitForSelector(selector, { visible: true });
  await element.evaluate((element) => element.click());
}

async function openChat(page) {
  const before = await page.$$eval("#to-chat option", (options) => options.map((option) => option.value));
  await click(page, "#open-chat");
  await until(page, (before) => { const { value } = document.querySelector("#to-chat"); return value && !before.includes(value); }, before);
  await until(page, () => document.activeElement.id === "text");
}

async function send(page, text, source = "queue") {
  await page.select("#source", source);
  await page.$eval("#text", (box, text) => (box.value = text), text);
  await click(page, "#composer button[type=submit]");
  await until(page, () => document.querySelector("#sent").textContent !== "Sending …");
  assert.equal(await page.$eval("#sent", (sent) => sent.textContent), `Accepted through ${source}`);
}

const press = (page, text) =>
  page.evaluate((text) => [...document.querySelectorAll(".bubble button")].findLast((each) => each.textContent.includes(text)).click(), text);

async function choose(page, text) {
  await press(page, text);
  await has(page, "#life .quote", text);
}

/** Press a key until the focus is where it should be, and visible. */
async function focusBy(page, keys, test, ...values) {
  const [key, modifier] = keys.split("+").reverse();
  if (modifier) await page.keyboard.down(modifier);
  let reached = false;
  for (let count = 0; count < 1000 && !reached; count += 1) { // tests before this one may have left many bubbles
    await page.keyboard.press(key);
    reached = await page.evaluate(test, ...values);
  }
  if (modifier) await page.keyboard.up(modifier);
  assert.ok(reached, `${keys} does not reach it: ${test}`);
  assert.ok(await page.evaluate(() => {
    const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
    return document.activeElement.matches(":focus-visible") && outlineStyle !== "none" && parseFloat(outlineWidth) >= 1;
  }), `nothing shows the focus: ${test}`);
}

async function start(page, scenario, variant) {
  if (variant) await page.select("#variant", variant); // this also switches the comparison on
  await click(page, `[data-scenario=${scenario}]`);
  await page.waitForSelector("#stop:not([hidden])"); // until then, the page shows the end of the scenario before
}

async function finish(page) {
  await page.waitForFunction(() => /· (Over|Stopped)/.test(document.querySelector("#phase").textContent), { polling: 200, timeout: LONGEST_SCENARIO_MS });
}

async function run(page, scenario, variant) {
  await start(page, scenario, variant);
  await finish(page);
  assert.ok(await page.$(`[data-scenario=${scenario}][aria-current]`), `${scenario} is not the current scenario`);
}

/** Fill the page: a score of both sides, chats beside each other, trouble in the log, and a message from you. */
async function fill(page) {
  await start(page, "throttle", "log");
  await page.waitForSelector("#score [data-side=loop]");
  await page.waitForSelector(".chat.twin .bubble");
  await until(page, () => [...document.querySelectorAll("#life .step.bad b")].some((step) => step.textContent.includes("Throttled")));
  await click(page, "#stop");
  await finish(page);
  await openChat(page);
  await send(page, `A long word: ${"x".repeat(300)}`);
  await has(page, SHOWN, "A long word");
  await click(page, "#log details summary");
}

/** Return the score, by side and count. */
const score = (page) =>
  page.$$eval("#score tbody tr", (rows) =>
    Object.fromEntries(rows.map((row) => [row.dataset.side, Object.fromEntries([...row.querySelectorAll("td")].map((cell) => [cell.dataset.count, parseInt(cell.textContent)]))])));

/** Return the steps of up to 60 messages of the scenario, those with several attempts first. */
const lives = (page) =>
  page.evaluate(async () => {
    const found = [];
    const tokens = [...document.querySelectorAll(".bubble.retried > button"), ...document.querySelectorAll(".bubble > button")]
      .filter((button) => /^\d+ · /.test(button.textContent)).map((button) => button.dataset.focus);
    for (const token of [...new Set(tokens)].slice(0, 60)) {
      document.querySelector(`[data-focus="${CSS.escape(token)}"]`).click();
      await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
      found.push([...document.querySelectorAll("#life .step b")].map((step) => step.textContent));
    }
    return found;
  });

/** Return what axe finds: serious or critical. */
async function violations(page) {
  await page.evaluate(AXE);
  const { violations, passes } = await page.evaluate(() => axe.run(document));
  assert.ok(passes.some(({ id }) => id === "color-contrast"), "axe did not look at the contrast");
  return violations.filter(({ impact }) => ["serious", "critical"].includes(impact)).flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html.slice(0, 200)}`));
}

/** Return what does not fit: elements beyond the right edge, and areas that you would have to scroll sideways. */
const overflows = (page) =>
  page.evaluate(() => {
    const name = (element) => element.outerHTML.slice(0, 80);
    const all = [...document.querySelectorAll("body *:not(.only-read):not(.skip)")].filter((element) => element.checkVisibility() && !element.closest(".only-read"));
    const beyond = all.filter((element) => !element.closest(".scroll") && element.getBoundingClientRect().right > innerWidth + 1);
    const sideways = all.filter((element) => !element.matches(".scroll, textarea, select") && element.clientWidth && element.scrollWidth > element.clientWidth + 1 && getComputedStyle(element).overflowX !== "visible");
    return { width: document.documentElement.scrollWidth, beyond: beyond.map(name), sideways: sideways.map(name) };
  });

const visits = {
  async sends(page) {
    await openChat(page);
    const reported = {};
    for (const source of await page.$$eval("#source option", (options) => options.map((option) => option.value))) {
      const text = `Hello through ${source} ${Date.now()}`;
      await send(page, text, source);
      await has(page, SHOWN, text);
      await choose(page, text);
      await has(page, "#life .step.end b", "SENT");
      const token = await page.$eval("#life .ids dd", (id) => id.textContent);
      const line = await page.waitForFunction((token) => [...document.querySelectorAll("#log li")].find((line) => line.textContent.includes(token)), { polling: 50 }, token);
      reported[source] = await line.evaluate((line) => [...line.querySelectorAll("dt")].find((name) => name.textContent === "event_source").nextElementSibling.textContent);
    }
    return reported;
  },

  async scenario(page, { name, variant }) {
    await run(page, name, variant);
    await page.screenshot({ path: join(pictures, `${name}.png`) });
    return { phase: await page.$eval("#phase", (phase) => phase.textContent), score: await score(page), lives: await lives(page) };
  },

  async redrives(page) {
    await run(page, "fails", null);
    const end = { phase: await page.$eval("#phase", (phase) => phase.textContent), score: await score(page), lives: await lives(page) };
    await has(page, ".bubble.refused", "failed: ServiceUnavailable");
    await click(page, "[data-focus=open-dead_letter]");
    await has(page, "#dead-letters-state", "Dry run: 1 read, 1 to redrive.");
    const row = await page.$eval("#dead-letters tbody", (rows) => rows.innerText);
    const found = [];
    for (const scheme of ["light", "dark"]) {
      await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
      found.push(...(await violations(page)));
    }
    const { width } = page.viewport();
    await page.setViewport({ width: 360, height: 740 });
    const { beyond } = await overflows(page);
    beyond.push(...await page.$$eval("#dead-letters td", (cells) => cells.filter((cell) => cell.getBoundingClientRect().right > innerWidth).map((cell) => cell.textContent)));
    await page.setViewport({ width, height: 900 });
    await focusBy(page, "Tab", () => document.activeElement.id === "redrive");
    await page.keyboard.press("Enter");
    await has(page, "#dead-letters-state", "Redriven: 1");
    await has(page, "#dead-letters tbody b", "redriven");
    await page.keyboard.press("Escape");
    await until(page, () => !document.querySelector("#dead-letters").open);
    await has(page, SHOWN, "1 · Your order");
    await has(page, "#life .step b", "Redriven by the console");
    await has(page, "#life .step.end b", "SENT");
    await has(page, "#life .verdict", "SENT after");
    await until(page, () => document.querySelector("#score [data-count=shown]").textContent === "1");
    const steps = await page.$$eval("#life .step b", (titles) => titles.map((title) => title.textContent));
    return { end, row, violations: found, beyond, after: (await score(page)).function, steps };
  },

  async keyboard(page) {
    const text = `By keyboard ${Date.now()}`;
    await focusBy(page, "Tab", () => document.activeElement.id === "open-chat");
    await page.keyboard.press("Enter");
    await until(page, () => document.activeElement.id === "text");
    await page.keyboard.type(text);
    await page.keyboard.press("Enter");
    await has(page, SHOWN, text);
    await focusBy(page, "Shift+Tab", (text) => document.activeElement.matches(".bubble > button") && document.activeElement.textContent.includes(text), text);
    await page.keyboard.press("Space");
    await has(page, "#life .quote", text);
    await focusBy(page, "Shift+Tab", () => document.activeElement.matches("#switches summary"));
    await page.keyboard.press("Enter");
    await focusBy(page, "Tab", () => document.activeElement.dataset.focus === "switch-outage");
    await page.keyboard.press("Space");
    await has(page, "#switches summary", "1 on");
    await page.keyboard.press("Space");
    await until(page, () => document.querySelector("#switches summary").textContent === "Switches");
    const kept = await page.evaluate(() => document.activeElement.dataset.focus);
    await focusBy(page, "Tab", () => document.activeElement.dataset.scenario === "throttle");
    await page.keyboard.press("Enter");
    await page.waitForSelector("#stop:not([hidden])");
    await focusBy(page, "Shift+Tab", () => document.activeElement.id === "stop");
    await page.keyboard.press("Enter");
    await finish(page);
    return { kept, phase: await page.$eval("#phase", (phase) => phase.textContent) };
  },

  async narrow(page) {
    await page.setViewport({ width: 360, height: 740 });
    await fill(page);
    const found = [await overflows(page)];
    assert.deepEqual(await page.$$eval("#score td", (cells) => cells.filter((cell) => cell.getBoundingClientRect().right > innerWidth).map((cell) => cell.dataset.count)), []);
    await page.screenshot({ path: join(pictures, "narrow.png"), fullPage: true });
    for (const id of ["switches", "time-lapse"]) {
      await click(page, `#${id} summary`);
      found.push(await overflows(page));
      await click(page, `#${id} summary`);
    }
    return found;
  },

  async axe(page, { scheme }) {
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
    await fill(page);
    const found = await violations(page);
    for (const id of ["switches", "time-lapse"]) {
      await click(page, `#${id} summary`);
      found.push(...(await violations(page)));
      await click(page, `#${id} summary`);
    }
    return found;
  },

  async hostile(page, { texts, shown, refused }) {
    await openChat(page);
    for (const [index, text] of texts.entries()) {
      await send(page, text, "direct");
      await has(page, SHOWN, shown[index]);
      await choose(page, shown[index]);
    }
    const direction = await page.evaluate((text) => getComputedStyle([...document.querySelectorAll(".bubble .said")].find((each) => each.textContent === text)).direction, shown.at(-1));
    const chat = await page.$eval("#to-chat", (box) => box.value);
    await click(page, `[data-focus="end-${chat}"]`);
    await has(page, ".badge", "ended");
    await send(page, refused, "queue");
    await has(page, ".bubble.refused .said", refused);
    await page.waitForSelector("[data-focus=open-rejected]:not(:disabled)");
    await click(page, "[data-focus=open-rejected]");
    await has(page, "#dead-letters tbody td", refused);
    return page.evaluate((direction) => ({
      direction, title: document.title, owned: window.owned ?? null, images: document.images.length, scripts: document.scripts.length,
      marked: document.querySelectorAll(".said *, .quote *, #dead-letters tbody span *").length,
    }), direction);
  },

  async stranger(page, { text, token }) {
    await has(page, SHOWN, text);
    await press(page, text);
    await has(page, "#life .ids", token);
    await has(page, "#log li dd", token);
    return page.evaluate(() => document.querySelectorAll("#life b b, #log b b, #life dd *, #log dd *").length);
  },

  /** Open a chat of your own, and end one; then a scenario starts over. */
  async keeps(page) {
    const texts = [`Ended ${Date.now()}`, `Kept ${Date.now()}`];
    for (const text of texts) {
      await openChat(page);
      await send(page, text);
      await has(page, SHOWN, text);
      if (text === texts[0]) await click(page, `[data-focus="end-${await page.$eval("#to-chat", (box) => box.value)}"]`);
    }
    await start(page, "throttle", null);
    await has(page, SHOWN, "1 · Your order");
    await click(page, "#stop");
    await finish(page);
    await page.setViewport({ width: 900, height: 600 });
    await openChat(page);
    for (const text of ["In sight", "Still in sight"]) {
      await send(page, `${text} ${texts[1]}`);
      await has(page, SHOWN, text);
    }
    const inSight = await page.evaluate(() => {
      const [list, chat] = ["#chats", `[data-key="${document.querySelector("#to-chat").value}"]`].map((each) => document.querySelector(each).getBoundingClientRect());
      return chat.top < list.bottom && chat.bottom <= list.bottom + 1;
    });
    const shown = await page.$$eval(SHOWN, (all) => all.map((each) => each.textContent));
    const names = await page.$$eval(".chat", (chats) => chats.map((chat) => chat.getAttribute("aria-label")));
    return { inSight, kept: texts.map((text) => shown.includes(text)), names, offered: await page.$$eval("#to-chat option", (all) => all.map((each) => each.textContent)) };
  },

  async ends(page, { chat }) {
    await click(page, `[data-focus="end-${chat}"]`);
    await has(page, `[data-key="${chat}"] .badge`, "ended");
    return page.$eval(`[data-key="${chat}"]`, (card) => ({ text: card.innerText, buttons: card.querySelectorAll("header button").length }));
  },

  /** Let the token of a new chat expire. Return the texts of the buttons that are left. */
  async expires(page) {
    await openChat(page);
    const chat = await page.$eval("#to-chat", (select) => select.value);
    await click(page, `[data-focus="expire-${chat}"]`);
    await has(page, `[data-key="${chat}"] .badge`, "token expired");
    return page.$$eval(`[data-key="${chat}"] header button`, (buttons) => buttons.map((button) => button.innerText));
  },

  /** Wait until the header says that the function does not start; then send a message. */
  async broken(page) {
    await until(page, () => document.querySelector("#connection").dataset.state === "broken");
    const said = await page.$eval("#connection a", (link) => [link.textContent, link.getAttribute("href")]);
    await openChat(page);
    await send(page, "It works again");
    await until(page, () => document.querySelector("#connection").dataset.state === "open");
    return said;
  },

  /** Open the page with a link that starts a scenario; reload it when the scenario is stopped. */
  async link(page, { hash }) {
    await page.goto(`${url}?again${hash}`);
    await page.waitForSelector("#stop:not([hidden])");
    await click(page, "#stop");
    await finish(page);
    const seen = { phase: await page.$eval("#phase", (phase) => phase.textContent), variant: await page.$eval("#variant", (box) => box.value), hash: await page.evaluate(() => location.hash) };
    await page.reload();
    await until(page, () => document.querySelector("#phase").textContent !== "");
    return { ...seen, reloaded: await page.$eval("#phase", (phase) => phase.textContent) };
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
    await finish(page);
    return null;
  },
};

async function visit(browser, name, given) {
  const page = await browser.newPage();
  try {
    const problems = [];
    page.on("pageerror", (error) => problems.push(error.message));
    page.on("console", (message) => ["error", "warn"].includes(message.type()) && problems.push(message.text()));
    page.on("request", (request) => request.url().startsWith(url) || request.url().startsWith("data:") || problems.push(`request for ${request.url()}`));
    page.setDefaultTimeout(60_000);
    await page.setViewport({ width: 1440, height: 900 });
    await page.goto(url);
    await until(page, () => ["open", "broken"].includes(document.querySelector("#connection").dataset.state));
    const answer = await visits[name](page, given);
    assert.deepEqual(problems, []);
    return { answer };
  } catch (error) {
    const state = await page.evaluate(() => ["#phase", "#sent", "#composer", "#dead-letters", "#chats"].map((part) => document.querySelector(part).innerText));
    return { problem: `${error.stack}\n\n${state.join("\n\n").slice(-5000)}` };
  } finally {
    await page.close();
  }
}

const folder = mkdtempSync(join(tmpdir(), "browser-")); // nothing that another run has left or is still writing
process.env.TMPDIR = folder;
try {
  const executablePath = await chromium.executablePath();
  const browser = await puppeteer.launch({ args: ["--no-sandbox", "--disable-dev-shm-usage", "--font-render-hinting=none"], executablePath, headless: "shell" });
  try {
    process.stdout.write(`${JSON.stringify({ answer: await browser.version() })}\n`);
    for await (const line of createInterface({ input: process.stdin })) {
      process.stdout.write(`${JSON.stringify(await visit(browser, ...JSON.parse(line)))}\n`);
    }
  } finally {
    await browser.close();
  }
} finally {
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}
