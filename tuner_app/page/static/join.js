// Exchanges the token of the address's fragment for a cookie, once, and goes on to the page.
"use strict";
const token = location.hash.slice(1);
history.replaceState(null, "", "/join");
const asked = token
  ? fetch("/api/join", {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Tuner": "1" },
      body: JSON.stringify({ token }),
    })
  : fetch("/api/me"); // a link from elsewhere comes without the cookie; a request from here has it
asked.then(async (answer) => {
  if (answer.ok) return location.replace("/");
  const said = await answer.json();
  document.getElementById("say").textContent = [said.error, said.do].join(" ");
});
