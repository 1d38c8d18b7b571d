// The labelling page: what each key and button does, and what is on the screen.

import { get } from "./api.js";
import { Keys } from "./keys.js";
import { Kept, newUid } from "./kept.js";
import { Outbox } from "./outbox.js";
import * as panels from "./panels.js";
import * as sheet from "./sheet.js";
import { Shelf, clear, keepFiles } from "./shelf.js";
import * as status from "./status.js";
import { count, fill, load, say } from "./words.js";
import { Work, keyOf } from "./work.js";

const $ = (id) => document.getElementById(id);
const RETRY = 3_000; // milliseconds until what failed is asked for again
const LOOK_AGAIN = 20_000; // until new work is looked for where there was none

const JUDGEMENTS = {
  "choose-first": { verb: "choose", place: 0 },
  "choose-second": { verb: "choose", place: 1 },
  tie: { verb: "tie" },
  "both-bad": { verb: "both_bad" },
  good: { verb: "good" },
  bad: { verb: "bad" },
  skip: { verb: "skip" },
};

const shelf = new Shelf();

let me, kept, keys, outbox, work;
let away = false; // the page began without the server
let draft = {}; // of the task on the screen: {tags, comment, texts: {place: text}}
let editing = null; // the place of the reply that is being corrected
let asked = false; // "correct which answer?"
let drawn = true; // the task on the screen has been painted, and can be judged
let differing = false;
let undoing = false; // what is before this window is being asked for
let idle = false; // another window of this person has taken over
let trouble = null; // why there is no more work, a Failure
const times = []; // when labels were given

// --- what is on the screen

function draw() {
  editing = null;
  asked = false;
  const task = work.current;
  if (task && !idle) {
    draft = kept.get(draftName(task)) ?? {};
    kept.put("at", keyOf(task));
    sheet.show(task, differing);
    drawn = false;
    requestAnimationFrame(() => (drawn = true));
  } else {
    sheet.clear();
  }
  drawReasons();
  drawActions();
  drawEmpty();
  drawFar();
}

function drawActions() {
  const kind = work.current && (work.current.replies.length === 2 ? "pair" : "single");
  $("actions").hidden = idle || !(kind || work.far?.done); // the last one can be taken back when there is none left
  for (const button of $("choices").children) {
    button.hidden = kind ? (button.dataset.for ?? kind) !== kind : button.dataset.action !== "undo";
  }
  const batch = work.batches[work.current?.batch];
  $("show-guidelines").hidden = !batch?.guidelines;
}

function drawEmpty() {
  status.empty(whyEmpty(), work.far);
}

function drawFar() {
  if (work.far) status.far(work.far, times);
}

function drawState() {
  status.saving(outbox, kept, me.shown_name);
  drawFar();
}

/** What was refused is told until the person has seen it, after a reload too. */
function drawRefused() {
  const refused = outbox.refused;
  $("refused").hidden = !refused.length;
  if (refused.length) $("refused").firstElementChild.textContent = count("alert.refused", refused.length, { why: refused.at(-1).why });
}

function whyEmpty() {
  if (idle) return "window";
  if (work.current) return null;
  if (trouble) return trouble.kind === "refused" ? "fault" : trouble.kind;
  if (work.asking || !work.far) return null;
  const { done, left, today, limit } = work.far;
  if (limit !== null && today >= limit) return "limit";
  if (left > 0) return "others";
  if (done) return "done";
  return me.role === "admin" ? "unshared" : "nothing";
}

function drawReasons() {
  const parts = (draft.tags ?? []).map((tag) => `#${tag}`);
  if (draft.comment) parts.push(`“${draft.comment}”`);
  $("why").textContent = parts.join("  ");
  $("why").hidden = !parts.length;
}

function tell(text) {
  $("said").textContent = text;
}

// --- judging

function judge(action) {
  const task = work.current;
  const { verb, place } = JUDGEMENTS[action];
  if (asked && place !== undefined) return correct(place);
  if (!task || !drawn || undoing || editing !== null || !fits(action, task)) return;
  give(verb, place === undefined ? {} : { reply: task.shown[place] });
  tell(say(`said.${action}`));
}

const fits = (action, task) => {
  const button = $("actions").querySelector(`[data-action="${action}"]`);
  return !button.dataset.for || button.dataset.for === (task.replies.length === 2 ? "pair" : "single");
};

function give(verb, value) {
  const task = work.current;
  const { batch, item, shown } = task;
  const { tags = [], comment = "" } = draft;
  kept.drop(draftName(task));
  times.push(Date.now());
  work.give({ uid: newUid(), batch, item, verb, value, shown, tags, comment, undoes: null });
  draw();
}

async function undo() {
  if (editing !== null || undoing) return;
  undoing = true;
  try {
    const last = await work.back();
    if (!last) return tell(say("said.undo.none"));
    const { batch, item, uid, tags, comment } = last.label;
    outbox.add({ uid: newUid(), batch, item, verb: "undo", value: {}, shown: [], tags: [], comment: "", undoes: uid });
    if (tags.length || comment) kept.put(draftName(last.task), { ...kept.get(draftName(last.task)), tags, comment });
    times.pop();
    draw();
    tell(say("said.undo"));
  } catch (failure) {
    tell(say("said.undo.later", { why: say(`why.${failure.kind ?? "fault"}`) }));
  } finally {
    undoing = false;
  }
}

// --- correcting

function askWhich() {
  if (!work.current || editing !== null) return;
  if (work.current.replies.length === 1) return correct(0);
  asked = true;
  tell(say("said.which", { first: panels.keyName(keys.of["choose-first"][0]), second: panels.keyName(keys.of["choose-second"][0]) }));
}

function correct(place) {
  asked = false;
  editing = place;
  tell("");
  const original = work.current.replies[place].text.replace(/\r\n?/g, "\n"); // as a text field has it
  sheet.edit(place, draft.texts?.[place] ?? original, {
    written: (text) => keep({ texts: { ...draft.texts, [place]: text } }),
    save: (text) => saveCorrection(place, text, original),
    close: stopCorrecting,
  });
}

function saveCorrection(place, text, original) {
  if (text === original) return tell(say("said.unchanged"));
  if (!text.trim()) return tell(say("said.nothing"));
  give("correct", { reply: work.current.shown[place], text });
  tell(say("said.correct"));
}

function stopCorrecting() {
  if (draft.texts) tell(say("said.draft"));
  editing = null;
  sheet.stopEditing();
  $("item").focus({ preventScroll: true });
}

// --- drafts and reasons

const draftName = (task) => `draft.${keyOf(task)}`;

function keep(part) {
  draft = { ...draft, ...part };
  kept.put(draftName(work.current), draft);
}

function giveReasons(focus) {
  if (!work.current) return;
  panels.reasons(focus, draft, me.tags, (part) => {
    keep(part);
    drawReasons();
  });
}

// --- keys and buttons

const DOES = {
  undo,
  correct: askWhich,
  tag: () => giveReasons("new-tag"),
  comment: () => giveReasons("comment"),
  differences() {
    differing = !differing;
    $("actions").querySelector('[data-action="differences"]').setAttribute("aria-pressed", differing);
    if (work.current && editing === null) sheet.show(work.current, differing);
  },
  guidelines: () => panels.guidelines(work.batches[work.current?.batch ?? work.batch]),
  help: () => panels.help(keys),
};

function act(action) {
  if (idle && action !== "help") return;
  if (action in JUDGEMENTS) judge(action);
  else DOES[action]();
}

addEventListener("keydown", (event) => {
  if (!work || event.defaultPrevented) return;
  const open = document.querySelector("dialog[open]");
  if (open && event.key === "Escape" && !event.isComposing) {
    event.preventDefault();
    open.close(); // at once: by itself it closes later, and the next key would be lost,
    if (open.contains(document.activeElement)) document.activeElement.blur(); // as it would be in its field
    return;
  }
  if (event.key === "Escape" && asked) {
    asked = false;
    return tell("");
  }
  const action = keys.pressed(event);
  if (!action) return;
  event.preventDefault();
  act(action);
});

addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button || !work) return;
  // After a click the keys are for judging again; who pressed it by keyboard stays on it.
  if (event.detail && !button.closest("dialog")) button.blur();
  if (button.id === "others") {
    const open = $("choices").classList.toggle("open");
    button.setAttribute("aria-expanded", open);
  } else if (button.closest("#refused")) {
    outbox.forgive();
    drawRefused();
  } else if (button.closest("#empty")) {
    idle ? takeOver() : work.refresh();
  } else if (button.dataset.action) {
    act(button.dataset.action);
  }
});

// --- one window at a time

const windows = "BroadcastChannel" in globalThis ? new BroadcastChannel("tuner") : null;

function takeOver() {
  idle = false;
  windows?.postMessage({ person: me.name });
  outbox.read();
  begin(); // the other window may have judged what is here
}

// --- the start

async function begin() {
  const batch = work?.batch ?? null;
  work?.end();
  work = new Work(outbox, kept, shelf);
  work.addEventListener("changed", () => {
    trouble = null;
    back();
    if (!work.current || $("item").hidden) draw();
    else drawFar();
    drawBatches();
  });
  work.addEventListener("failed", ({ detail }) => {
    trouble = detail;
    if (work.current && $("item").hidden) draw();
    else drawEmpty();
    setTimeout(() => idle || work.refill(), Math.max(RETRY, detail.after * 1000));
  });
  if (away) await work.restore();
  draw();
  drawState();
  // First what is still on its way, so that it is not handed out again.
  await outbox.now();
  await (away ? work.refill() : work.choose(batch));
}

function drawBatches() {
  const several = me.batches.length > 1;
  $("batch").hidden = !several;
  if (!several || $("batch").options.length) return;
  $("batch").append(new Option(say("batch.all"), ""), ...me.batches.map(({ id, name }) => new Option(name, id)));
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
  me = found;
  $("alert").hidden = true;
  if (away) status.alarm(say("alert.away"), "away");
  kept = new Kept(me);
  keys = new Keys(kept, me.keys);
  outbox = new Outbox(me.name, kept);
  outbox.addEventListener("changed", drawState);
  outbox.addEventListener("refused", drawRefused);
  outbox.addEventListener("answered", back);
  fill(document);
  document.title = say("title", { name: me.shown_name });
  $("who").textContent = me.shown_name;
  panels.prepare({ keys, outbox, leave });
  $("batch").addEventListener("change", ({ target }) => {
    kept.drop("at"); // what was on the screen is taken up again after a reload, not in another batch
    work.choose(target.value === "" ? null : Number(target.value));
    target.blur();
    draw();
  });
  windows?.addEventListener("message", ({ data }) => {
    if (data.person !== me.name) return;
    idle = true;
    work.end();
    draw();
  });
  windows?.postMessage({ person: me.name });
  document.addEventListener("visibilitychange", () => document.hidden || idle || work.refresh());
  addEventListener("online", () => work.refill());
  setInterval(() => work.current || idle || document.hidden || work.refill(), LOOK_AGAIN);
  drawRefused();
  begin();
  if (!away) keepFiles();
}

start();
