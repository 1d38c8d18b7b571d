// What is to be judged, on the screen: the prompt and the replies, and the editor of a correction.

import { mark } from "./differences.js";
import { say } from "./words.js";

const item = document.getElementById("item");
const prompt = document.getElementById("prompt");
const replies = document.getElementById("replies");

/** Show a task; `differing` marks the words that differ. */
export function show(task, differing) {
  const turns = task.prompt.map(({ role, html }) => turn(role, html));
  prompt.replaceChildren(...turns);
  replies.replaceChildren(...task.replies.map((reply, place) => card(reply, place, task.replies.length)));
  replies.className = task.replies.length === 2 ? "pair" : "single";
  item.hidden = false;
  scrollTo(0, 0);
  prompt.scrollTop = prompt.scrollHeight; // the latest turn is what the replies answer
  // What scrolls is reached by keyboard.
  if (prompt.scrollHeight > prompt.clientHeight) prompt.tabIndex = 0;
  else prompt.removeAttribute("tabindex");
  if (differing) differ();
}

export function differ() {
  const bodies = replies.querySelectorAll(".body");
  if (bodies.length === 2) mark(...bodies);
}

export function clear() {
  item.hidden = true;
  prompt.replaceChildren();
  replies.replaceChildren();
}

function turn(role, html) {
  const element = make("div", `turn ${role}`);
  element.append(make("span", "role", say(`role.${role}`)), body(html));
  return element;
}

function card({ html }, place, of) {
  const element = make("article", "reply");
  const name = of === 2 ? say(`answer.${place + 1}`) : say("answer");
  element.setAttribute("aria-label", name);
  element.append(make("h2", "number", of === 2 ? String(place + 1) : say("answer")), body(html));
  return element;
}

/** The server's HTML, which it made of the text: nothing in it runs (and the page's policy would forbid it). */
function body(html) {
  const element = make("div", "body");
  element.innerHTML = html;
  return element;
}

function make(tag, name, text = "") {
  const element = document.createElement(tag);
  element.className = name;
  element.textContent = text;
  return element;
}

/** An editor in the place of a reply. `written(text)` on each change, `save(text)`, `close()`. */
export function edit(place, text, { written, save, close }) {
  const card = replies.children[place];
  const area = make("textarea", "editor");
  area.value = text;
  area.setAttribute("aria-label", say("correct.field"));
  const [done, leave] = [make("button", "main", say("correct.save")), make("button", "", say("correct.close"))];
  const row = make("div", "row");
  row.append(done, leave, make("span", "hint keys", say("correct.hint")));
  const form = make("div", "correction");
  form.append(area, row);
  card.querySelector(".body").hidden = true;
  card.append(form);
  area.addEventListener("input", () => written(area.value));
  area.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) save(area.value);
    else if (event.key === "Escape" && !event.isComposing) close();
    else return;
    event.preventDefault();
  });
  done.addEventListener("click", () => save(area.value));
  leave.addEventListener("click", close);
  area.focus();
  area.setSelectionRange(0, 0);
}

export function stopEditing() {
  replies.querySelector(".correction")?.remove();
  for (const hidden of replies.querySelectorAll(".body[hidden]")) hidden.hidden = false;
}
