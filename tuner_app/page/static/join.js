// Exchanges the token of a link for the session's cookie, once, and goes on to the page.

import { get, post } from "./api.js";
import { clear } from "./shelf.js";
import { fill, load, say } from "./words.js";

const $ = (id) => document.getElementById(id);

/** The link's token, which is then neither in the address bar nor in the history. */
function take() {
  const token = location.hash.slice(1);
  history.replaceState(null, "", "/join");
  return token;
}

async function join(secret, instead = false) {
  for (const id of ["again", "who", "paste"]) $(id).hidden = true;
  $("said").textContent = say("join.opening");
  try {
    // A link from elsewhere comes without the cookie; a request from here has it.
    await (secret ? post("/api/join", { token: secret, instead }) : get("/api/me"));
    location.replace("/");
  } catch (failure) {
    if (failure.kind === "elsewhere") return askWho(secret, failure.said);
    const lost = ["session", "refused"].includes(failure.kind);
    const used = secret ? `${say("join.used")} ${say("join.ask")}` : say("join.need");
    $("said").textContent = lost ? used : say("join.offline");
    if (lost && !secret) clear();
    $("paste").hidden = !lost;
    $("again").hidden = lost;
    $("again").onclick = () => join(secret);
  }
}

/** Somebody else is here: nobody is put out unasked. The link stays good until it is used. */
function askWho(secret, { here, invited }) {
  $("said").textContent = say("join.who", { here });
  $("instead").textContent = say("join.instead", { invited });
  $("stay").textContent = say("join.stay", { here });
  $("instead").onclick = () => join(secret, true);
  $("stay").onclick = () => location.replace("/");
  $("who").hidden = false;
  $("instead").focus();
}

addEventListener("submit", (event) => {
  event.preventDefault();
  join($("link").value.trim().split("#").at(-1));
});

const token = take();
await load();
fill(document);
addEventListener("hashchange", () => join(take())); // a link that is opened where this page is already
await join(token);
