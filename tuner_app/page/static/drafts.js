// What is typed in the studio stays in this browser until it is saved: neither a reload nor a lost connection,
// after which Gradio reloads the page by itself, takes any of it. The tab that was open opens again.

import { get } from "./api.js";
import { Kept } from "./kept.js";

const FORM = ".write-system, .write-asked, .write-answered, .write-tags"; // in the order in which they stand
const FIELDS = "textarea, input";

let kept = null;
const back = new Set(); // the forms whose drafts are back: what stands there is the draft from then on
const was = new WeakMap(); // an answer's text, by the field in which it is being corrected

const field = (id) => document.querySelector(`#${id} :is(${FIELDS})`);

export async function start() {
  kept = new Kept(await get("/api/me"));
  // Gradio makes and fills fields when it likes, and tells nobody.
  new MutationObserver(look).observe(document.documentElement, { childList: true, subtree: true });
  document.addEventListener("input", typed);
  document.addEventListener("focusin", ({ target }) => target.closest("#chat textarea") && correction(target));
  document.addEventListener("click", ({ target }) => {
    const tab = target.closest("#tabs [role=tab]");
    if (tab) keep("tab", tab.id);
  });
  look();
}

let waits = false;
function look() {
  if (waits) return;
  waits = true;
  setTimeout(() => {
    waits = false;
    tab();
    prompt();
    form();
    for (const area of document.querySelectorAll("#chat textarea")) correction(area);
  }, 50);
}

function typed({ target, isTrusted }) {
  if (isTrusted && target.closest(FORM)) back.add("form");
  if (target.closest("#chat textarea")) keep("correction", { of: was.get(target) ?? "", text: target.value });
  look();
}

function keep(name, value) {
  if (JSON.stringify(kept.get(`studio.${name}`)) === JSON.stringify(value)) return;
  if (value) kept.put(`studio.${name}`, value);
  else kept.drop(`studio.${name}`);
}

/** As if a person had typed it. */
function type(into, text) {
  into.value = text;
  into.dispatchEvent(new Event("input", { bubbles: true }));
}

let opened = false;
function tab() {
  if (opened || !document.querySelector("#tabs [role=tab]")) return;
  const here = document.getElementById(kept.get("studio.tab") ?? "");
  if (here) here.click();
  opened = !kept.get("studio.tab") || here !== null; // the others' tabs are there once the server knows who asks
}

function prompt() {
  const here = field("prompt");
  if (!here) return;
  const draft = kept.get("studio.prompt");
  if (!back.has("prompt") && draft && !here.value) type(here, draft);
  back.add("prompt");
  keep("prompt", here.value || null);
}

let [tries, last] = [10, 0];
/** The server puts a draft into the form, and says so: it knows which example was open, and how many turns there
 * are to show. */
function form() {
  const here = field("write-draft");
  if (!here) return;
  const draft = kept.get("studio.form");
  if (!back.has("form") && draft && here.value !== "back") {
    if (tries && Date.now() > last + 1000) {
      [tries, last] = [tries - 1, Date.now()]; // a field that has just been made may not listen yet
      type(here, JSON.stringify(draft));
    }
    if (tries) setTimeout(look, 1100);
    return;
  }
  back.add("form");
  const now = { open: field("write-open").value, form: texts() };
  keep("form", now.form.some(Boolean) ? now : null);
}

const texts = () => [...document.querySelectorAll(FORM)].map((one) => one.querySelector(FIELDS).value);

function correction(area) {
  if (was.has(area)) return;
  was.set(area, area.value);
  const draft = kept.get("studio.correction");
  if (draft?.of === area.value) type(area, draft.text);
}
