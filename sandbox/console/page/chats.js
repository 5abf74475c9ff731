// The chats: what the customer sees on both sides, and what has not arrived yet.

import { $, h, sync, time } from "./dom.js";
import { ask, onChange, records, touch } from "./store.js";

const NUMBERED = /^\d+ · /;
const STATES = {
  waiting: ["…", "waiting in the queue"],
  stuck: ["…", "waiting: the function fails"],
  deferred: ["↻", "not sent yet, again soon"],
  REJECTED: ["✕", "rejected"],
  FAILED: ["✕", "failed"],
  refused: ["✕", "not sent"],
  SENT: ["✓", "sent"],
};

export const ENDS = new Set(["REJECTED", "FAILED"]);

export const chosen = { token: null, byUser: false };

export function choose(token, byUser = true) {
  Object.assign(chosen, { token, byUser });
  touch("chosen");
}

/** Return the bubbles of a side of a chat: those of its transcript, then the messages that are not in it. */
function lane(side, chat, contactId, byChat, messages) {
  const { marks = {}, missing = [], lost = false } = records("marks").get(contactId) ?? {};
  let position = 0; // among the numbered messages, as the score counts
  const bubbles = (byChat.get(contactId) ?? []).map(([key, bubble]) => ({
    key, ...bubble, mark: NUMBERED.test(bubble.text) ? marks[position++] : null, attempts: 0,
  }));
  const shown = new Set(bubbles.map((bubble) => bubble.client_token));
  if (side === "function") {
    for (const bubble of bubbles) {
      const life = records("messages").get(bubble.client_token);
      bubble.attempts = life ? life.steps.filter((step) => step.kind === "attempt").length : 0;
    }
    for (const life of messages.get(chat.contactId) ?? []) {
      if (shown.has(life.client_token)) continue;
      const last = life.steps.findLast((step) => step.code);
      const isFinal = life.refused || ENDS.has(life.state);
      const isStuck = life.state === "waiting" && !life.refused && records("function").has("problem");
      const at = life.steps.findLast((step) => step.kind === "ended")?.at ?? life.at;
      const next = isFinal ? bubbles.findIndex((bubble) => bubble.at && new Date(bubble.at) > new Date(at)) : -1;
      bubbles.splice(next < 0 ? bubbles.length : next, 0, {
        key: life.client_token, type: "PENDING", text: life.text, client_token: life.client_token,
        at: isFinal ? at : null,
        state: life.refused && life.state !== "REJECTED" ? "refused" : isStuck ? "stuck" : life.state, code: last?.code ?? life.refused,
      });
    }
  } else {
    for (const number of missing.filter((number) => !bubbles.some((bubble) => bubble.text?.startsWith(`${number} · `)))) {
      bubbles.push({ key: `missing-${number}`, type: "MISSING", lost, text: lost ? `${number} was never shown` : `${number} has not arrived` });
    }
  }
  return bubbles;
}

function bubble(item, side) {
  if (item.type === "EVENT") return h("li.event", item.content_type.split(".event.").pop().replace(".", " "));
  if (item.type === "MISSING") return item.lost ? h("li.bubble.lost", h("b", "✕ Lost: "), item.text) : h("li.bubble.pending", h("span.meta", `… ${item.text}`));
  const state = item.type === "PENDING" ? STATES[item.state] ?? STATES.waiting : null;
  const bad = item.state === "refused" || ENDS.has(item.state);
  const meta = [
    state ? h("span", `${state[0]} ${state[1]}${item.code ? `: ${item.code}` : ""}`) : time(item.at),
    item.attempts > 1 && h("span.tries", `${item.attempts} attempts`),
    item.mark === "twice" && h("b", "✕ shown twice"),
    item.mark === "late" && h("b", "✕ out of order"),
  ];
  const classes = ["li", "bubble", state && (bad ? "refused" : "pending"), item.mark && "wrong", item.attempts > 1 && "retried"];
  const content = [h("span.said", { dir: "auto" }, item.text), h("span.meta", meta)];
  if (side === "loop" || !item.client_token) return h(classes.filter(Boolean).join("."), content);
  return h(
    classes.filter(Boolean).join("."),
    h("button", {
      type: "button",
      "data-focus": `bubble-${item.client_token}`,
      "aria-pressed": String(item.isChosen),
      onclick: () => choose(item.client_token),
    }, content),
  );
}

function card({ id, chat, hasTwin, lanes }) {
  const parts = lanes.map((side) =>
    h("div.lane", hasTwin && h("h4", side === "function" ? "This function" : "Plain loop"), h("ol.bubbles", { "data-lane": side, tabindex: side === "loop" ? 0 : null, "aria-label": `Messages of ${chat.name}` })));
  const act = (action) => () => ask(action, { chat: id }).catch((error) => ($("#sent").textContent = error.message));
  return h(
    "article.chat", { class: hasTwin ? "chat twin" : "chat", "aria-label": chat.name },
    h("header", h("h3", chat.name, chat.is_own && h("small", id.slice(0, 8))), chat.ended_at ? h("span.badge", "ended") : null,
      chat.has_expired && !chat.ended_at && h("span.badge", { title: "Messages to this chat are rejected: AccessDenied" }, "token expired"),
      !chat.is_own && h("span.badge", { title: "The console did not open it, so it cannot write to it" }, "from elsewhere"), h("span.grow"),
      !chat.ended_at && [
        h("button.quiet", { type: "button", "data-focus": `end-${id}`, "aria-label": `End ${chat.name}`, onclick: act("end_chat") }, "End"),
        chat.is_own && !chat.has_expired && h("button.quiet", { type: "button", "data-focus": `expire-${id}`, "aria-label": `Expire token of ${chat.name}`, onclick: act("expire_token") }, "Expire token"),
      ]),
    h("div.lanes", parts),
  );
}

let shown = null;
const cardOf = (id) => document.querySelector(`#chats > [data-key="${CSS.escape(id)}"]`);

/** Scroll to a chat that is out of sight, and keep it in sight while it grows. */
export function show(id) {
  shown = id;
  cardOf(id)?.scrollIntoView({ block: "nearest" });
}

/** Return the height of the shown chat, and how much of it is below the board. */
function sizeOfShown(board) {
  const card = (shown && cardOf(shown))?.getBoundingClientRect();
  return card ? { height: card.height, hidden: card.bottom - board.getBoundingClientRect().bottom } : null;
}

function render() {
  const byChat = Map.groupBy([...records("bubbles")].sort(([a], [b]) => (a < b ? -1 : 1)), ([, value]) => value.chat);
  const messages = Map.groupBy([...records("messages").values()], (life) => life.chat);
  const cards = [...records("chats")].map(([id, chat]) => ({
    id, chat, hasTwin: Boolean(chat.twin), lanes: chat.twin ? ["function", "loop"] : ["function"],
  })).sort((one, other) => other.hasTwin - one.hasTwin); // the comparison that runs, before older chats
  const board = $("#chats");
  const before = sizeOfShown(board);
  board.classList.toggle("twins", cards.some(({ hasTwin }) => hasTwin));
  sync(board, cards, { key: (item) => item.id, make: card });
  for (const { id, chat, lanes } of cards) {
    const element = board.querySelector(`[data-key="${CSS.escape(id)}"]`);
    for (const side of lanes) {
      const list = element.querySelector(`[data-lane=${side}]`);
      const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
      const items = lane(side, { ...chat, contactId: id }, side === "function" ? id : chat.twin, byChat, messages)
        .map((item) => ({ ...item, isChosen: item.client_token === chosen.token }));
      sync(list, items, { key: (item) => item.key, make: (item) => bubble(item, side) });
      if (atEnd) list.scrollTop = list.scrollHeight;
    }
  }
  const after = before?.hidden <= 1 && sizeOfShown(board);
  if (after) board.scrollTop += Math.max(0, Math.min(after.hidden, after.height - before.height));
  $("#no-chats").hidden = cards.length > 0;
  const own = cards.filter(({ chat }) => chat.is_own);
  sync($("#to-chat"), own.map(({ id, chat }) => ({ id, name: chat.name })), {
    key: (item) => item.id, make: (item) => h("option", { value: item.id }, item.name),
  });
  $("#composer").hidden = own.length === 0;
}

onChange(["chats", "bubbles", "messages", "marks", "chosen", "function"], render);
