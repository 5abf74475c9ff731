// Starts the page: scenarios, switches and score above, the box to write below.

import { show } from "./chats.js";
import "./side.js";
import { $, h, sync, time } from "./dom.js";
import { ask, follow, onChange, records } from "./store.js";

const SIDES = { function: "This function", loop: "Plain loop" };
const PHASES = { preparing: "Preparing", running: "Running", finishing: "Everything is sent. Waiting for the rest", over: "Over", stopped: "Stopped" };
const COUNTS = ["sent", "shown", "explained", "waiting"];
const FAULTS = ["lost", "twice", "late"];

const about = await ask("introduce");
const problem = (error) => ($("#sent").textContent = error.message);

// What never changes

$("#time-lapse ul").append(...about.time_lapse.map((text) => h("li", text)));
$("#variant").append(...Object.entries(about.variants).map(([name, text]) => h("option", { value: name }, text)));
$("#source").append(...about.sources.map((name) => h("option", name)));
$("#content-type").append(...about.content_types.map((name) => h("option", { value: name }, name.replace("application/vnd.amazonaws.connect.message.", ""))));

$("#scenarios").append(...Object.entries(about.scenarios).map(([name, scenario]) =>
  h("li", h("button.scenario", { type: "button", "data-scenario": name, onclick: () => start(name) }, h("b", scenario.title), h("small", scenario.text)))));

async function start(name) {
  $("#sent").textContent = "";
  await ask("scenario", { name, variant: $("#compare").checked ? $("#variant").value : null }).catch((error) => ($("#phase").textContent = error.message));
}

$("#stop").addEventListener("click", () => ask("stop"));
$("#kill").addEventListener("click", () => ask("kill"));
$("#variant").addEventListener("change", () => ($("#compare").checked = true));

// Switches

function renderSwitches() {
  const items = Object.entries(about.switches).map(([name, text]) => ({ name, text, on: records("switches").get(name)?.on ?? false }));
  sync($("#switches ul"), items, {
    key: (item) => item.name,
    make: (item) => h("li", h("label.check", h("input", {
      type: "checkbox", role: "switch", "data-focus": `switch-${item.name}`, checked: item.on,
      onchange: ({ target }) => ask("switch", { name: item.name, on: target.checked }),
    }), ` ${item.text}`)),
  });
  const count = items.filter((item) => item.on).length;
  $("#switches summary").textContent = count ? `Switches: ${count} on` : "Switches";
}

// Score

const label = (name) => document.querySelector(`#score th[data-column=${name}]`).textContent; // for a narrow window

function renderScore() {
  const run = records("run").get("run");
  $("#score").hidden = !run;
  if (!run) return;
  const isRunning = !["over", "stopped"].includes(run.phase);
  $("#stop").hidden = !isRunning;
  for (const button of document.querySelectorAll(".scenario")) {
    button.disabled = isRunning;
    if (button.dataset.scenario === run.scenario) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
  const title = about.scenarios[run.scenario]?.title ?? run.scenario;
  $("#phase").textContent = `${title} · ${PHASES[run.phase]}${run.problem ? `: ${run.problem}` : ""}`;
  const rows = Object.entries(run.score ?? {}).map(([side, score]) => ({ side, score, isOver: run.over?.includes(side) ?? false, variant: run.variant }));
  sync($("#score tbody"), rows, {
    key: (row) => row.side,
    make: ({ side, score, isOver, variant }) => h("tr", { "data-side": side },
      h("th", { scope: "row" }, SIDES[side], side === "loop" && h("small", ` ${about.variants[variant]}${isOver && !FAULTS.some((name) => score[name]) ? ". It survives this: break something else" : ""}`)),
      COUNTS.map((name) => h("td", { "data-count": name, "data-label": label(name) }, String(score[name]))),
      FAULTS.map((name) => h("td", { "data-count": name, "data-label": label(name), class: score[name] ? "bad" : isOver ? "good" : null }, String(score[name]), score[name] ? " ✕" : isOver ? " ✓" : ""))),
  });
}

// The box to write

let opened = null; // a chat that the page does not show yet

function writeToOpened() {
  if (![...$("#to-chat").options].some((option) => option.value === opened)) return;
  $("#to-chat").value = opened;
  $("#text").focus();
  show(opened);
  opened = null;
}

$("#open-chat").addEventListener("click", async () => {
  try {
    opened = await ask("open_chat");
    writeToOpened();
  } catch (error) {
    problem(error);
  }
});

$("#composer").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = $("#text").value;
  $("#sent").textContent = "Sending …";
  const [chat, source, type] = [$("#to-chat").value, $("#source").value, $("#content-type").value];
  $("#text").value = "";
  show(chat);
  try {
    await ask("send", { chat, text, content_type: type, source });
    $("#sent").textContent = `Accepted through ${source}`;
  } catch (error) {
    problem(error);
    $("#text").value = text;
  }
});

$("#text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $("#composer").requestSubmit();
  }
});

onChange(["switches"], renderSwitches);
onChange(["run"], renderScore);
onChange(["chats"], writeToOpened); // chats.js has listed it by then
renderSwitches();
let connection = "connecting";

function renderState() {
  const problem = records("function").get("problem");
  const state = connection === "open" && problem ? "broken" : connection;
  const says = {
    connecting: "Connecting …",
    open: "Live",
    broken: h("a", { href: "#log" }, `The function ${problem?.does_not_start ? "does not start" : "fails"}: ${problem?.code}, ${problem && time(problem.at)}`),
    lost: "The sandbox does not answer. Start it again: make sandbox",
  };
  $("#connection").replaceChildren(says[state]);
  $("#connection").dataset.state = state;
}

onChange(["function"], renderState);
follow((state) => {
  connection = state;
  renderState();
});

// A link such as #all&variant=log starts a scenario, once: to reload the page does not start it again

const [linked, ...options] = location.hash.slice(1).split("&");
if (linked in about.scenarios) {
  history.replaceState(null, "", location.pathname);
  const variant = new URLSearchParams(options.join("&")).get("variant");
  if (variant in about.variants) {
    $("#variant").value = variant;
    $("#compare").checked = true;
  }
  start(linked);
}
