// What is on the screen: the task, what can be done, how far the person is and what is to be told.

import { desk, draftName } from "./desk.js";
import * as sheet from "./sheet.js";
import * as status from "./status.js";
import { count, say } from "./words.js";
import { keyOf } from "./work.js";

const $ = (id) => document.getElementById(id);

export function draw() {
  desk.editing = null;
  desk.asked = false;
  const task = desk.work.current;
  if (task && !desk.idle) {
    desk.draft = desk.kept.get(draftName(task)) ?? {};
    desk.kept.put("at", keyOf(task));
    sheet.show(task, desk.differing);
    desk.drawn = false;
    requestAnimationFrame(() => (desk.drawn = true));
  } else {
    sheet.clear();
  }
  drawReasons();
  drawActions();
  drawEmpty();
  drawFar();
}

function drawActions() {
  const kind = desk.work.current && (desk.work.current.replies.length === 2 ? "pair" : "single");
  $("actions").hidden = desk.idle || !(kind || desk.work.far?.done); // the last one can be taken back when there is none left
  for (const button of $("choices").children) {
    button.hidden = kind ? (button.dataset.for ?? kind) !== kind : button.dataset.action !== "undo";
  }
  const batch = desk.work.batches[desk.work.current?.batch];
  $("show-guidelines").hidden = !batch?.guidelines;
}

export function drawEmpty() {
  status.empty(whyEmpty(), desk.work.far);
}

export function drawFar() {
  if (desk.work.far) status.far(desk.work.far, desk.times);
}

export function drawState() {
  status.saving(desk.outbox, desk.kept, desk.me.shown_name);
  drawFar();
}

/** What was refused is told until the person has seen it, after a reload too. */
export function drawRefused() {
  const refused = desk.outbox.refused;
  $("refused").hidden = !refused.length;
  if (refused.length) $("refused").firstElementChild.textContent = count("alert.refused", refused.length, { why: refused.at(-1).why });
}

function whyEmpty() {
  if (desk.idle) return "window";
  if (desk.work.current) return null;
  if (desk.trouble) return desk.trouble.kind === "refused" ? "fault" : desk.trouble.kind;
  if (desk.work.asking || !desk.work.far) return null;
  const { done, left, today, limit } = desk.work.far;
  if (limit !== null && today >= limit) return "limit";
  if (left > 0) return "others";
  if (done) return "done";
  return desk.me.role === "admin" ? "unshared" : "nothing";
}

export function drawReasons() {
  const parts = (desk.draft.tags ?? []).map((tag) => `#${tag}`);
  if (desk.draft.comment) parts.push(`“${desk.draft.comment}”`);
  $("why").textContent = parts.join("  ");
  $("why").hidden = !parts.length;
}

export function tell(text) {
  $("said").textContent = text;
}

export function drawBatches() {
  const several = desk.me.batches.length > 1;
  $("batch").hidden = !several;
  if (!several || $("batch").options.length) return;
  $("batch").append(new Option(say("batch.all"), ""), ...desk.me.batches.map(({ id, name }) => new Option(name, id)));
}
