// What opens over the page: the guidelines, the reasons of a judgement, the help with its keys.

import { post } from "./api.js";
import { ACTIONS } from "./keys.js";
import { count, say } from "./words.js";

const $ = (id) => document.getElementById(id);
const MOST_TAGS = 20;
const OFFERED = 12; // tags that were used before

export const keyName = (key) => (key === " " ? say("key.space") : key.length === 1 ? key : key.replace("Arrow", ""));

export function prepare({ keys, outbox, leave }) {
  showKeys(keys);
  addEventListener("click", (event) => {
    if (event.target instanceof HTMLDialogElement) event.target.close(); // beside what it shows
  });
  $("usual-keys").addEventListener("click", () => {
    keys.reset();
    showKeys(keys);
    $("help-said").textContent = say("help.usual.said");
  });
  $("leave").addEventListener("click", async () => {
    if (outbox.size) return ($("help-said").textContent = count("leave.first", outbox.size));
    await post("/api/leave", {});
    await leave();
  });
}

export function guidelines(batch) {
  if (!batch) return;
  $("guidelines-name").textContent = say("guidelines.of", { name: batch.name });
  if (batch.guidelines) $("guidelines").querySelector(".body").innerHTML = batch.guidelines; // the server's HTML
  else $("guidelines").querySelector(".body").textContent = say("guidelines.none");
  $("guidelines").showModal();
}

// --- why

/** Tags and a comment for the task on the screen; `changed` with each change. */
export function reasons(focus, draft, used, changed) {
  let chosen = draft.tags ?? [];
  const [field, comment] = [$("new-tag"), $("comment")];
  const set = (tags) => {
    chosen = tags.slice(0, MOST_TAGS);
    changed({ tags: chosen });
    draw();
  };
  const draw = () => {
    const offered = used.map(({ tag }) => tag).filter((tag) => !chosen.includes(tag));
    const shown = Object.fromEntries(used.map(({ tag, shown }) => [tag, shown]));
    $("tags").replaceChildren(
      ...[...chosen, ...offered.slice(0, OFFERED)].map((tag) => {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = shown[tag] ?? tag;
        button.setAttribute("aria-pressed", chosen.includes(tag));
        button.onclick = () => set(chosen.includes(tag) ? chosen.filter((other) => other !== tag) : [...chosen, tag]);
        return button;
      }),
    );
  };
  const add = () => {
    const tags = field.value.split(",").map((tag) => tag.trim().replace(/\s+/g, " ")).filter(Boolean);
    field.value = "";
    if (tags.length) set([...new Set([...chosen, ...tags])]);
    return tags.length;
  };
  field.value = "";
  comment.value = draft.comment ?? "";
  field.onkeydown = (event) => {
    if (event.isComposing || (event.key !== "Enter" && event.key !== ",")) return;
    if (add() || event.key === ",") event.preventDefault(); // an empty field's Enter closes
  };
  comment.oninput = () => changed({ comment: comment.value.trim() });
  comment.onkeydown = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("reasons").close();
  };
  $("reasons").onclose = add;
  draw();
  $("reasons").showModal();
  $(focus).focus();
}

// --- help and keys

export function help(keys) {
  $("help").querySelector("tbody").replaceChildren(...Object.keys(ACTIONS).map((action) => row(keys, action)));
  $("help-said").textContent = "";
  $("help").showModal();
}

function row(keys, action) {
  const does = say(`does.${action}`);
  const line = document.createElement("tr");
  const name = line.insertCell();
  name.textContent = does;
  const button = document.createElement("button");
  button.dataset.remap = action;
  button.append(...keys.of[action].flatMap((key) => [kbd(key), " "]));
  button.ariaLabel = `${say("help.change", { does })} (${keys.of[action].map(keyName).join(", ")})`;
  button.onclick = () => listen(keys, action, button);
  line.insertCell().append(button);
  return line;
}

function listen(keys, action, button) {
  const does = say(`does.${action}`);
  $("help-said").textContent = say("help.press", { does });
  const stop = new AbortController();
  button.addEventListener("blur", () => stop.abort(), { signal: stop.signal });
  button.addEventListener(
    "keydown",
    (event) => {
      if (["Shift", "Control", "Alt", "Meta", "Tab"].includes(event.key)) return;
      event.preventDefault();
      stop.abort();
      if (event.key === "Escape") return ($("help-said").textContent = "");
      const taken = keys.set(action, event.key);
      const said = { key: keyName(event.key), does: say(`does.${taken ?? action}`) };
      $("help-said").textContent = say(taken ? "help.taken" : "help.changed", said);
      const renewed = row(keys, action);
      button.closest("tr").replaceWith(renewed);
      renewed.querySelector("button").focus();
      showKeys(keys);
    },
    { signal: stop.signal },
  );
}

/** Write each action's key on its button. */
function showKeys(keys) {
  for (const button of document.querySelectorAll("[data-action]")) {
    button.querySelector("kbd").textContent = keyName(keys.of[button.dataset.action][0]);
    button.setAttribute("aria-keyshortcuts", keys.of[button.dataset.action].map((key) => (key === " " ? "Space" : key)).join(" "));
  }
}

function kbd(key) {
  const element = document.createElement("kbd");
  element.textContent = keyName(key);
  return element;
}
