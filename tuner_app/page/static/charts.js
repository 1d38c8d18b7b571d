// Charts as wide as their place. What would let them grow, the viewBox, does not pass Gradio's cleaning of HTML.

export function start() {
  new MutationObserver(look).observe(document.documentElement, { childList: true, subtree: true });
}

function look() {
  for (const svg of document.querySelectorAll(".t-chart > svg:not([viewBox])"))
    svg.setAttribute("viewBox", `0 0 ${svg.getAttribute("width")} ${svg.getAttribute("height")}`);
}
