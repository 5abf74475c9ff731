// Beside the chats: the life of the chosen message, queues with their dead letters, charts, the log.

import { choose, chosen, ENDS } from "./chats.js";
import { $, duration, h, preciseTime, svg, sync, time } from "./dom.js";
import { ask, onChange, records } from "./store.js";

const QUEUES = {
  message: "Messages",
  dead_letter: "Dead letters",
  rejected: "Rejected",
  events_dead_letter: "Dead letters of events",
  unpublished_results: "Unpublished results",
  loop: "Plain loop",
  loop_dead_letter: "Dead letters of the loop",
};
const CAN_REDRIVE = new Set(["dead_letter", "rejected", "events_dead_letter"]);
const GOOD = new Set(["SENT"]);

// The life of a message

function describe(step, before, number) {
  const receive = step.receive > 1 ? `, receive ${step.receive}` : "";
  switch (step.kind) {
    case "accepted": return ["", "Accepted", null];
    case "attempt": {
      const waited = before?.kind === "attempt" ? step.wait_ms : before ? new Date(step.at) - new Date(before.at) : 0;
      const pause = waited >= 100 ? `after ${duration(waited)} · ` : "";
      return step.code
        ? ["bad", `Attempt ${number}: ${step.http_status ?? ""} ${step.code}`, `${pause}in ${duration(step.ms)}${receive}`]
        : ["good", `Attempt ${number}: accepted`, `${pause}in ${duration(step.ms)}${receive}`];
    }
    case "deferred": return ["warn", "No outcome yet: SQS delivers it again", step.reason];
    case "enqueued": return ["warn", step.code ? "Put into the messages queue for a retry" : "Put into the messages queue, which sends its parts", step.reason];
    case "copy not made": return ["bad", "No copy made: SQS delivers it again", step.failure];
    case "gap": return ["warn", `Received ${step.receives === 1 ? "once" : `${step.receives} times`} without a log line`,
      "Its invocation was cut off, or an earlier message of the chat was not finished"];
    case "redriven": return ["", "Redriven by the console", null];
    case "ended": return GOOD.has(step.outcome)
      ? ["good.end", "SENT", `${duration(step.ms)} after it was accepted`]
      : ["bad.end", `${step.outcome}: ${step.code}`, step.reason];
    default: return ["", "Result event received",
      step.maybe_delivered ? "MaybeDelivered: it may be in the chat all the same" : null];
  }
}

/** Return the state of a message in a line. */
function verdict(life, attempts) {
  const after = attempts ? ` after ${attempts} attempt${attempts > 1 ? "s" : ""}` : "";
  const { code } = life.steps.findLast((step) => step.code) ?? {};
  if (GOOD.has(life.state)) return h("p.verdict.good", `${life.state}${after}`);
  if (life.refused && life.state !== "REJECTED") return h("p.verdict.bad", `Not sent: ${life.refused}`);
  if (ENDS.has(life.state)) return h("p.verdict.bad", `${life.state}${after}${code ? `: ${code}` : ""}`);
  return h("p.verdict.warn", `Waiting${after}${code ? `: ${code}` : ""}`);
}

function renderLife() {
  const lives = records("messages");
  if (!chosen.byUser || !lives.has(chosen.token)) {
    // Until you choose one: the last message that had trouble, else the last one
    const all = [...lives.values()].filter((life) => life.chat);
    const last = all.findLast((life) => life.steps.some((step) => step.code)) ?? all.at(-1);
    if (last && last.client_token !== chosen.token) return choose(last.client_token, false);
  }
  const life = lives.get(chosen.token);
  if (!life) return $("#life").replaceChildren(h("p.hint", "Choose a message in a chat."));
  let attempts = 0;
  const steps = life.steps.map((step, index) => {
    if (step.kind === "attempt") attempts += 1;
    const [look, title, detail] = describe(step, life.steps[index - 1], attempts);
    return h(`li.step${look && `.${look}`}`, h("time", { datetime: step.at }, preciseTime(step.at)),
      h("span", h("b", title), detail && h("small", detail)));
  });
  if (!life.steps.some((step) => step.kind === "ended" && GOOD.has(step.outcome)) && !ENDS.has(life.state)) {
    steps.push(h("li.step.now", h("time", "now"), h("span", h("b", life.refused ? `Not sent: ${life.refused}` : "Waiting …"))));
  }
  const ids = { ClientToken: [life.shown_token], ...life.ids };
  const several = (life.ids.correlation_id ?? []).length > 1;
  const before = $("#life .steps");
  const isSame = before?.dataset.token === life.client_token;
  const isAtEnd = !isSame || before.scrollHeight - before.scrollTop - before.clientHeight < 40;
  const top = before?.scrollTop;
  $("#life").replaceChildren(...[
    verdict(life, attempts),
    h("p.quote", { dir: "auto", tabindex: 0, role: "region", "aria-label": "Text of the message" }, life.text ?? "A message from elsewhere"),
    h("p.hint", `${life.chat_name ?? "Unknown chat"} · ${life.source ?? life.event_source ?? ""} · ${life.content_type ?? ""}`),
    several && h("p.warn", "Several requests have this ClientToken. Amazon Connect shows only the first."),
    h("ol.steps", { tabindex: 0, "aria-label": "Steps", "data-token": life.client_token }, steps),
    h("dl.ids", Object.entries(ids).flatMap(([name, values]) => values.length ? [h("dt", name), h("dd", values.join(", "))] : [])),
  ].filter(Boolean));
  const list = $("#life .steps");
  list.scrollTop = isAtEnd ? list.scrollHeight : top;
}

// Queues and dead letters

function queueRow({ name, visible, in_flight: inFlight }) {
  const total = visible + inFlight;
  const isBad = total > 0 && name !== "message" && name !== "loop";
  return h("tr", { class: isBad ? "bad" : null },
    h("th", { scope: "row" }, QUEUES[name] ?? name),
    h("td", h("b", String(total)), inFlight ? h("small", ` ${inFlight} in flight or hidden`) : null),
    h("td", CAN_REDRIVE.has(name) && h("button.quiet", {
      type: "button", "data-focus": `open-${name}`, "aria-label": `Open ${QUEUES[name]}`, disabled: total === 0, onclick: () => openDeadLetters(name),
    }, "Open")));
}

function renderQueues() {
  const rows = Object.keys(QUEUES).filter((name) => records("queues").has(name)).map((name) => ({ name, ...records("queues").get(name) }));
  sync($(".queues tbody"), rows, { key: (row) => row.name, make: queueRow });
}

let openQueue = null;

async function openDeadLetters(queue) {
  openQueue = queue;
  $("#dead-letters-heading").textContent = QUEUES[queue];
  $("#code").replaceChildren(h("option", { value: "" }, "every code"));
  $("#dead-letters tbody").replaceChildren();
  $("#dead-letters").showModal();
  await readDeadLetters(false);
}

async function readDeadLetters(apply) {
  const code = $("#code").value || null;
  $("#redrive").disabled = true;
  $("#dead-letters-state").textContent = apply ? "Redriving …" : "Reading the queue (a dry run: it changes nothing) …";
  try {
    const rows = await ask("redrive", { queue: openQueue, code, apply });
    const again = rows.filter((row) => row.done === "redrive").length;
    const heading = apply ? "Done" : "A redrive will";
    $("#dead-letters tbody").replaceChildren(...rows.map((row) => h("tr",
      h("td", { "data-label": heading }, h("b", apply && row.done === "redrive" ? "redriven" : row.done)), h("td", row.code),
      h("td", h("span", { dir: "auto" }, row.text ?? "–"), h("small", ` ${row.client_token ?? ""}`)),
      h("td", row.age_seconds === null ? "–" : duration(row.age_seconds * 1000)), h("td", row.reason))));
    $("#redrive-column").textContent = heading;
    const codes = [...new Set([...$("#code").options].map((option) => option.value).concat(rows.map((row) => row.code)))];
    $("#code").replaceChildren(...codes.map((each) => h("option", { value: each, selected: each === (code ?? "") }, each || "every code")));
    $("#redrive").disabled = again === 0 || apply;
    $("#redrive").textContent = again && !apply ? `Redrive ${again}` : "Redrive";
    $("#dead-letters-state").textContent = apply ? `Redriven: ${again}. Close this, and watch the chat.` : `Dry run: ${rows.length} read, ${again} to redrive.`;
  } catch (error) {
    $("#dead-letters-state").textContent = error.message;
  }
}

$("#redrive").addEventListener("click", () => readDeadLetters(true));
$("#code").addEventListener("change", () => readDeadLetters(false));

// Charts: bars of a second each

const WIDTH = 360, HEIGHT = 46;

/** Return the next higher 1, 2 or 5 with zeros. */
function round(value) {
  const zeros = 10 ** Math.floor(Math.log10(value));
  return zeros * [1, 2, 5, 10].find((step) => step * zeros >= value);
}

function chart(title, value, seconds, layers, { least = 10, scale = String } = {}) {
  const top = round(Math.max(least, ...seconds.map((_, index) => layers.reduce((sum, [, values]) => sum + (values[index] ?? 0), 0))));
  const step = WIDTH / seconds.length;
  const bars = [];
  for (let index = 0; index < seconds.length; index += 1) {
    let below = 0;
    for (const [look, values] of layers) {
      const size = ((values[index] ?? 0) / top) * HEIGHT;
      if (size) bars.push(svg("rect", { class: look, x: index * step, y: HEIGHT - below - size, width: Math.max(step - 0.6, 0.8), height: size }));
      below += size;
    }
  }
  return h("figure", h("figcaption", h("span", title), h("b", value)), h("small.scale", scale(top)),
    svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": `${title}: ${value}` }, bars));
}

function renderCharts() {
  const series = records("series").get("series");
  if (!series) return;
  const sum = (values) => values.reduce((total, value) => total + value, 0);
  const calls = [["good", series.accepted], ["warn", series.throttled], ["bad", series.failed]];
  const waiting = series.waiting.map((value, index) => value ?? series.waiting[index - 1] ?? 0);
  $("#charts").replaceChildren(
    chart("Calls of SendMessage", `${sum(series.accepted)} accepted, ${sum(series.throttled)} throttled, ${sum(series.failed)} failed`, series.accepted, calls, { scale: (top) => `${top} a second` }),
    chart("Messages in the queue", `now ${waiting.at(-1)}`, waiting, [["plain", waiting]]),
    chart("Slowest outcome", `at most ${duration(Math.max(...series.latency))}`, series.latency, [["plain", series.latency]], { least: 1000, scale: duration }),
  );
}

// The log

const NEW_MS = 60_000; // before the latest line
const LEVELS = { ERROR: 0, WARNING: 1, INFO: 2 };

function logLine({ line }) {
  const { outcome, code, client_token: token, reason, failure } = line.fields;
  const said = [outcome, code, token, reason ?? failure].filter(Boolean).join(" · ");
  const details = Object.entries(line.fields).filter(([, value]) => typeof value !== "object");
  return h(`li.${line.level.toLowerCase()}`,
    h("details", h("summary", h("span.level", line.level === "INFO" ? "info" : line.level.toLowerCase()), h("time", time(line.at)), ` ${line.message} `, said && h("small", said)),
      h("dl.ids", details.flatMap(([name, value]) => [h("dt", name), h("dd", String(value))]))));
}

function renderLog() {
  const lines = [...records("log")].map(([key, line]) => ({ key, line })).reverse();
  if ($("#errors-first").checked && lines.length) {
    const start = new Date(lines[0].line.at) - NEW_MS;
    const order = ({ line }) => (new Date(line.at) < start ? LEVELS.INFO : LEVELS[line.level]);
    lines.sort((a, b) => order(a) - order(b));
  }
  // An open line stays as it is
  sync($("#log"), lines.slice(0, 100), { key: (item) => item.key, make: logLine });
}

$("#errors-first").addEventListener("change", renderLog);
onChange(["messages", "chosen"], renderLife);
onChange(["queues"], renderQueues);
onChange(["series"], renderCharts);
onChange(["log"], renderLog);
