// What keeps the studio from its server: told in a line that stays until it is over.

import { say } from "./words.js";

const WHY = { 401: "session", 429: "busy", 503: "busy" };
const MINE = /\/studio\/gradio_api\/(run|queue\/join)/; // what a person does, and not what goes on by itself

export function start() {
  const real = window.fetch;
  window.fetch = async (...asked) => {
    const mine = MINE.test(String(asked[0]?.url ?? asked[0]));
    try {
      const answer = await real(...asked);
      if (mine) tell(answer.ok ? null : WHY[answer.status] ?? (answer.status < 500 ? "stale" : "fault"));
      return answer;
    } catch (error) {
      if (mine && error.name !== "AbortError") tell("offline");
      throw error;
    }
  };
}

/** Say what is wrong; nothing is. */
function tell(why) {
  let here = document.getElementById("trouble");
  if (!why && !here) return;
  if (!here) {
    here = Object.assign(document.createElement("div"), { id: "trouble" });
    here.setAttribute("role", "alert");
    document.body.prepend(here);
  }
  here.hidden = !why;
  const text = why ? say(`studio.${why}`) : "";
  if (here.textContent !== text) here.textContent = text;
}
