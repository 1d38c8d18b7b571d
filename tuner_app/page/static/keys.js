// Which key does what. A person may choose others; the browser keeps them.

/** Each action with its usual keys, in the order in which the help lists them. */
export const ACTIONS = {
  "choose-first": ["1", "f"],
  "choose-second": ["2", "j"],
  tie: ["0"],
  "both-bad": ["b"],
  good: ["a"],
  bad: ["x"],
  skip: [" "],
  undo: ["u"],
  correct: ["e"],
  tag: ["t"],
  comment: ["c"],
  differences: ["d"],
  guidelines: ["g"],
  help: ["?"],
};

const FIELDS = "input, textarea, select, button, a[href], summary, [contenteditable]";

export class Keys {
  /** `given` are the keys of this home's settings, as the terminal takes them: {"tie": "t,h"}. */
  constructor(kept, given = {}) {
    this.kept = kept;
    this.given = given;
    this.read();
  }

  read() {
    const own = this.kept.get("keys") ?? {};
    this.of = {};
    for (const [action, usual] of Object.entries(ACTIONS)) {
      const settings = this.given[action]?.split(",").map((key) => ({ space: " ", question_mark: "?" })[key.trim()] ?? key.trim());
      this.of[action] = own[action] ?? settings ?? usual;
    }
  }

  action(key) {
    return Object.keys(this.of).find((action) => this.of[action].includes(key)) ?? null;
  }

  /** The action of a key press; null while the person writes, or where the key is the browser's. */
  pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.repeat) return null;
    if (document.querySelector("dialog[open]") || event.target.closest?.("input, textarea, select, [contenteditable]")) return null;
    if ([" ", "Enter"].includes(event.key) && event.target.closest?.(FIELDS)) return null; // it presses what has the focus
    return this.action(normal(event.key)) ?? this.action(onKeyboard(event.code));
  }

  /** Give an action this key alone; the action that has it already, if another one does. */
  set(action, key) {
    const taken = this.action(normal(key));
    if (taken && taken !== action) return taken;
    this.kept.put("keys", { ...this.kept.get("keys"), [action]: [normal(key)] });
    this.read();
    return null;
  }

  reset() {
    this.kept.drop("keys");
    this.read();
  }
}

const normal = (key) => (key.length === 1 ? key.toLowerCase() : key);

/** The letter or digit that stands there on most keyboards: for those that write another script, or digits
 * with Shift. */
const onKeyboard = (code = "") => /^(?:Key|Digit|Numpad)(\w)$/.exec(code)?.[1].toLowerCase() ?? "";
