// What a person judges, takes back and corrects, and why.

import { desk, draftName } from "./desk.js";
import { newUid } from "./kept.js";
import * as panels from "./panels.js";
import { draw, drawReasons, tell } from "./screen.js";
import * as sheet from "./sheet.js";
import { say } from "./words.js";

const $ = (id) => document.getElementById(id);

export const JUDGEMENTS = {
  "choose-first": { verb: "choose", place: 0 },
  "choose-second": { verb: "choose", place: 1 },
  tie: { verb: "tie" },
  "both-bad": { verb: "both_bad" },
  good: { verb: "good" },
  bad: { verb: "bad" },
  skip: { verb: "skip" },
};

export function judge(action) {
  const task = desk.work.current;
  const { verb, place } = JUDGEMENTS[action];
  if (desk.asked && place !== undefined) return correct(place);
  if (!task || !desk.drawn || desk.undoing || desk.editing !== null || !fits(action, task)) return;
  give(verb, place === undefined ? {} : { reply: task.shown[place] });
  tell(say(`said.${action}`));
}

const fits = (action, task) => {
  const button = $("actions").querySelector(`[data-action="${action}"]`);
  return !button.dataset.for || button.dataset.for === (task.replies.length === 2 ? "pair" : "single");
};

function give(verb, value) {
  const task = desk.work.current;
  const { batch, item, shown } = task;
  const { tags = [], comment = "" } = desk.draft;
  desk.kept.drop(draftName(task));
  desk.times.push(Date.now());
  desk.work.give({ uid: newUid(), batch, item, verb, value, shown, tags, comment, undoes: null });
  draw();
}

export async function undo() {
  if (desk.editing !== null || desk.undoing) return;
  desk.undoing = true;
  try {
    const last = await desk.work.back();
    if (!last) return tell(say("said.undo.none"));
    const { batch, item, uid, tags, comment } = last.label;
    desk.outbox.add({ uid: newUid(), batch, item, verb: "undo", value: {}, shown: [], tags: [], comment: "", undoes: uid });
    if (tags.length || comment) desk.kept.put(draftName(last.task), { ...desk.kept.get(draftName(last.task)), tags, comment });
    desk.times.pop();
    draw();
    tell(say("said.undo"));
  } catch (failure) {
    tell(say("said.undo.later", { why: say(`why.${failure.kind ?? "fault"}`) }));
  } finally {
    desk.undoing = false;
  }
}

// --- correcting

export function askWhich() {
  if (!desk.work.current || desk.editing !== null) return;
  if (desk.work.current.replies.length === 1) return correct(0);
  desk.asked = !desk.asked;
  if (!desk.asked) return tell("");
  const thumb = matchMedia("(pointer: coarse)").matches;
  tell(say(thumb ? "said.which.thumb" : "said.which", { first: panels.keyName(desk.keys.of["choose-first"][0]), second: panels.keyName(desk.keys.of["choose-second"][0]) }));
}

function correct(place) {
  desk.asked = false;
  desk.editing = place;
  tell("");
  const original = desk.work.current.replies[place].text.replace(/\r\n?/g, "\n"); // as a text field has it
  sheet.edit(place, desk.draft.texts?.[place] ?? original, {
    written: (text) => keep({ texts: { ...desk.draft.texts, [place]: text } }),
    save: (text) => saveCorrection(place, text, original),
    close: stopCorrecting,
  });
}

function saveCorrection(place, text, original) {
  if (text === original) return tell(say("said.unchanged"));
  if (!text.trim()) return tell(say("said.nothing"));
  give("correct", { reply: desk.work.current.shown[place], text });
  tell(say("said.correct"));
}

function stopCorrecting() {
  if (desk.draft.texts) tell(say("said.draft"));
  desk.editing = null;
  sheet.stopEditing();
  $("item").focus({ preventScroll: true });
}

// --- drafts and reasons

function keep(part) {
  desk.draft = { ...desk.draft, ...part };
  desk.kept.put(draftName(desk.work.current), desk.draft);
}

export function giveReasons(focus) {
  if (!desk.work.current) return;
  panels.reasons(focus, desk.draft, desk.me.tags, (part) => {
    keep(part);
    drawReasons();
  });
}
