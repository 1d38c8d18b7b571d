// The labelling page: its keys and buttons, its windows and its start.

import { get } from "./api.js";
import { desk } from "./desk.js";
import { JUDGEMENTS, askWhich, giveReasons, judge, undo } from "./judging.js";
import { Keys } from "./keys.js";
import { Kept } from "./kept.js";
import { Outbox } from "./outbox.js";
import * as panels from "./panels.js";
import { draw, drawBatches, drawEmpty, drawFar, drawRefused, drawState, tell } from "./screen.js";
import * as sheet from "./sheet.js";
import { Shelf, clear, keepFiles } from "./shelf.js";
import * as status from "./status.js";
import { fill, load, say } from "./words.js";
import { Work } from "./work.js";

const $ = (id) => document.getElementById(id);
const RETRY = 3_000; // milliseconds until what failed is asked for again
const LOOK_AGAIN = 20_000; // until new work is looked for where there was none

const shelf = new Shelf();
let away = false; // the page began without the server

// --- keys and buttons

const DOES = {
  undo,
  correct: askWhich,
  tag: () => giveReasons("new-tag"),
  comment: () => giveReasons("comment"),
  differences() {
    desk.differing = !desk.differing;
    $("actions").querySelector('[data-action="differences"]').setAttribute("aria-pressed", desk.differing);
    if (desk.work.current && desk.editing === null) sheet.show(desk.work.current, desk.differing);
  },
  guidelines: () => panels.guidelines(desk.work.batches[desk.work.current?.batch ?? desk.work.batch]),
  help: () => panels.help(desk.keys),
};

function act(action) {
  if (desk.idle && action !== "help") return;
  if (action in JUDGEMENTS) judge(action);
  else DOES[action]();
}

addEventListener("keydown", (event) => {
  if (!desk.work || event.defaultPrevented) return;
  const open = document.querySelector("dialog[open]");
  if (open && event.key === "Escape" && !event.isComposing) {
    event.preventDefault();
    open.close(); // at once: by itself it closes later, and the next key would be lost,
    if (open.contains(document.activeElement)) document.activeElement.blur(); // as it would be in its field
    return;
  }
  if (event.key === "Escape" && desk.asked) {
    desk.asked = false;
    return tell("");
  }
  const action = desk.keys.pressed(event);
  if (!action) return;
  event.preventDefault();
  act(action);
});

addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button || !desk.work) return;
  // After a click the keys are for judging again; who pressed it by keyboard stays on it.
  if (event.detail && !button.closest("dialog")) button.blur();
  if (button.id === "others") {
    const open = $("choices").classList.toggle("open");
    button.setAttribute("aria-expanded", open);
  } else if (button.closest("#refused")) {
    desk.outbox.forgive();
    drawRefused();
  } else if (button.closest("#empty")) {
    desk.idle ? takeOver() : desk.work.refresh();
  } else if (button.dataset.action) {
    act(button.dataset.action);
  }
});

// --- one window at a time

const windows = "BroadcastChannel" in globalThis ? new BroadcastChannel("tuner") : null;

function takeOver() {
  desk.idle = false;
  windows?.postMessage({ person: desk.me.name });
  desk.outbox.read();
  begin(); // the other window may have judged what is here
}

// --- the start

async function begin() {
  const batch = desk.work?.batch ?? null;
  desk.work?.end();
  desk.work = new Work(desk.outbox, desk.kept, shelf);
  desk.work.addEventListener("changed", () => {
    desk.trouble = null;
    back();
    if (!desk.work.current || $("item").hidden) draw();
    else drawFar();
    drawBatches();
  });
  desk.work.addEventListener("failed", ({ detail }) => {
    desk.trouble = detail;
    if (desk.work.current && $("item").hidden) draw();
    else drawEmpty();
    setTimeout(() => desk.idle || desk.work.refill(), Math.max(RETRY, detail.after * 1000));
  });
  if (away) await desk.work.restore();
  draw();
  drawState();
  // First what is still on its way, so that it is not handed out again.
  await desk.outbox.now();
  await (away ? desk.work.refill() : desk.work.choose(batch));
}

/** Who is here; without a server, who was here last. */
async function meet() {
  const { person } = await shelf.read();
  for (let wait = 500; ; wait = Math.min(2 * wait, 15_000)) {
    try {
      const found = await get("/api/me", { soon: person !== null });
      await shelf.keepPerson(found);
      return found;
    } catch (failure) {
      if (failure.kind === "session") return leave();
      away = person !== null && failure.kind !== "refused";
      if (away) return person;
      status.alarm(say(`empty.${failure.kind}`), "trouble");
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
}

/** The server has answered again. */
function back() {
  if (!away) return;
  away = false;
  if ($("alert").className === "away") $("alert").hidden = true;
}

async function leave() {
  await clear();
  location.replace("/join");
}

async function start() {
  const [found] = await Promise.all([meet(), load()]);
  if (!found) return;
  desk.me = found;
  $("alert").hidden = true;
  if (away) status.alarm(say("alert.away"), "away");
  desk.kept = new Kept(desk.me);
  desk.keys = new Keys(desk.kept, desk.me.keys);
  desk.outbox = new Outbox(desk.me.name, desk.kept);
  desk.outbox.addEventListener("changed", drawState);
  desk.outbox.addEventListener("refused", drawRefused);
  desk.outbox.addEventListener("answered", back);
  fill(document);
  document.title = say("title", { name: desk.me.shown_name });
  $("who").textContent = desk.me.shown_name;
  panels.prepare({ ...desk, leave });
  $("batch").addEventListener("change", ({ target }) => {
    desk.kept.drop("at"); // what was on the screen is taken up again after a reload, not in another batch
    desk.work.choose(target.value === "" ? null : Number(target.value));
    target.blur();
    draw();
  });
  windows?.addEventListener("message", ({ data }) => {
    if (data.person !== desk.me.name) return;
    desk.idle = true;
    desk.work.end();
    draw();
  });
  windows?.postMessage({ person: desk.me.name });
  document.addEventListener("visibilitychange", () => document.hidden || desk.idle || desk.work.refresh());
  addEventListener("online", () => desk.work.refill());
  setInterval(() => desk.work.current || desk.idle || document.hidden || desk.work.refill(), LOOK_AGAIN);
  drawRefused();
  begin();
  if (!away) keepFiles();
}

start();
