// Names for those controls of Gradio that have none, or an English one in every language.

import { language, say } from "./words.js";

const NAMED = { "Copy message": "copy", "Copied message": "copied", "Liked": "liked", "Disliked": "disliked", "Close": "close", "More tabs": "tabs", "chatbot conversation": "conversation" };
const MESSAGE = /^(user|bot)'s message: /;
const BUTTONS = { "submit-button": "send", "stop-button": "stop" }; // by `data-testid`

export function start() {
  new MutationObserver(look).observe(document.documentElement, {
    childList: true, subtree: true, attributeFilter: ["aria-label", "title"],
  });
  look();
}

let waits = false;
function look() {
  if (waits) return;
  waits = true;
  requestAnimationFrame(() => {
    waits = false;
    for (const [id, name] of Object.entries(BUTTONS))
      for (const button of document.querySelectorAll(`[data-testid="${id}"]:not([aria-label])`)) button.ariaLabel = say(`studio.${name}`);
    if (language === "en") return;
    for (const element of document.querySelectorAll("[aria-label], [title]"))
      for (const where of ["aria-label", "title"]) name(element, where);
  });
}

function name(element, where) {
  const now = element.getAttribute(where) ?? "";
  const whose = now.match(MESSAGE);
  if (NAMED[now]) element.setAttribute(where, say(`studio.${NAMED[now]}`));
  else if (whose) element.setAttribute(where, say(`studio.message.${whose[1]}`, { text: now.slice(whose[0].length) }));
}
