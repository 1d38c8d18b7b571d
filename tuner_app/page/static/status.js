// How it stands: what is saved, how far the person is, and why there is nothing to judge.

import { count, language, say } from "./words.js";

const $ = (id) => document.getElementById(id);
const PACE = 600_000; // milliseconds over which the pace is measured
const ENOUGH_TIME = 20_000; // in less than this there is none to tell

const number = (n) => n.toLocaleString(language);

/** Whether all is saved; `name` is whose labels they are. */
export function saving(outbox, kept, name) {
  const { state, size, failure } = outbox;
  const why = failure && say(`why.${failure.kind}`);
  const said = { saved: say("state.saved"), saving: count("state.saving", size), "not saved": count("state.not", size, { why }) }[state];
  $("state").className = state.replace(" ", "-");
  $("state").textContent = kept.durable || !size ? said : `${said} (${say("state.window")})`;
  if (["session", "elsewhere"].includes(failure?.kind)) alarm(say(`alert.${failure.kind}`, { name }));
  else if (state === "saved" && $("alert").className === "session") $("alert").hidden = true;
}

export function alarm(text, kind = "session") {
  $("alert").className = kind;
  if ($("alert").hidden || $("alert").textContent !== text) $("alert").textContent = text;
  $("alert").hidden = false;
}

/** How far the person is; `given` are the times of the labels of this window. */
export function far({ done, left, today, limit }, given) {
  const parts = [say("far", { done: number(done), left: number(left) })];
  parts.push(say(limit === null ? "far.today" : "far.limit", { today: number(today), limit: number(limit ?? 0) }));
  const pace = paceOf(given, Date.now());
  if (pace) parts.push(say("far.pace", { pace: number(pace) }));
  $("far").textContent = parts.join(" · ");
  $("bar").firstElementChild.style.width = `${(100 * done) / Math.max(1, done + left)}%`;
}

/** Labels an hour over the last minutes; 0 where there are too few to tell. */
function paceOf(given, now) {
  while (given.length && now - given[0] > PACE) given.shift();
  const time = given.at(-1) - given[0];
  return given.length > 4 && time > ENOUGH_TIME ? Math.round(((given.length - 1) * 3_600_000) / time) : 0;
}

/** Why there is nothing to judge: a name of words.json's `empty`, or null where there is something. */
export function empty(which, far) {
  $("empty").hidden = which === null;
  if (which === null) return;
  const [title, text] = $("empty").querySelectorAll("h2, p");
  title.textContent = say(`empty.${which}`);
  text.textContent = say(`empty.${which}.what`, { done: number(far?.done ?? 0), today: number(far?.today ?? 0) });
  const button = $("empty").querySelector("button");
  button.hidden = which === "limit";
  button.textContent = say(which === "window" ? "empty.window.button" : "empty.again");
}
