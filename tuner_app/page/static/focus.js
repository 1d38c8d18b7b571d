// Who chooses in a list by Enter stays on its field: Gradio lets the focus go, to where no key leads on from.

const FIELD = 'input[role="combobox"]';
const SOON = 200; // milliseconds in which Gradio lets go

let back = null; // the field that has the focus again, and in which nothing was done since

export function start() {
  addEventListener("keydown", pressed, true);
  addEventListener("mousedown", ({ target }) => target === back && back.blur(), true); // the list opens with the focus
  // Gradio would open the list again, and take it for a new choice when the field is left.
  for (const kind of ["focus", "blur"]) addEventListener(kind, hush, true);
}

function pressed({ key, target }) {
  if (target === back && !["Tab", "Shift"].includes(key)) back = null;
  if (key !== "Enter" || !target.matches(FIELD)) return;
  const again = () => setTimeout(() => {
    if (document.activeElement !== document.body) return;
    back = target;
    target.focus();
  });
  target.addEventListener("blur", again, { once: true });
  setTimeout(() => target.removeEventListener("blur", again), SOON);
}

function hush(event) {
  if (event.target !== back) return;
  event.stopImmediatePropagation();
  if (event.type === "blur") back = null;
}
