// All that the page says, in the language of the browser. The texts are in words.LANGUAGE.json.

const languages = ["en", "zh"];
let words = {};

export const language = languages.find((known) => (navigator.language || "en").toLowerCase().startsWith(known)) ?? "en";

export async function load() {
  const answer = await fetch(`/static/words.${language}.json`);
  words = await answer.json();
  document.documentElement.lang = language === "zh" ? "zh-Hans" : "en";
}

/** The text for `name`, with `{parts}` filled in. */
export function say(name, parts = {}) {
  return (words[name] ?? name).replace(/\{(\w+)\}/g, (_, part) => parts[part] ?? "");
}

/** The text for a number: `name.one` where there is one of it. */
export function count(name, n, parts = {}) {
  const form = n === 1 && words[`${name}.one`] ? `${name}.one` : name;
  return say(form, { n: n.toLocaleString(language), ...parts });
}

/** Fill in the texts that the page's own elements name. */
export function fill(root) {
  for (const element of root.querySelectorAll("[data-say]")) element.textContent = say(element.dataset.say);
  for (const element of root.querySelectorAll("[data-label]")) element.ariaLabel = say(element.dataset.label);
}
