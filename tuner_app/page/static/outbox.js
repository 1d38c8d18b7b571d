// Labels on their way: each is kept in this browser until the server has answered that it is on disk.
//
// They are sent in the order in which they were given, one request at a time; what fails is sent again, with the
// same uid, so that it counts once however often it arrives.

import { Failure, post } from "./api.js";

const FIRST_WAIT = 500; // milliseconds; doubles with each failure
const LONGEST_WAIT = 30_000;
const MOST_LABELS = 25; // in a request
const MOST_CHARACTERS = 200_000;
const KEEPALIVE = 20_000; // characters, of at most three bytes: browsers let 64 KB outlive a page

export class Outbox extends EventTarget {
  /** `kept` holds what waits; fires "changed", "answered" (by the server) and "refused". */
  constructor(person, kept) {
    super();
    this.person = person;
    this.kept = kept;
    this.failure = null;
    this.sending = null; // a promise while something is sent
    this.waits = 0;
    this.timer = 0;
    this.last = 0;
    this.most = MOST_LABELS;
    this.read();
    addEventListener("online", () => this.now());
    addEventListener("pagehide", () => this.leave());
    document.addEventListener("visibilitychange", () => (document.hidden ? this.leave() : this.now()));
    addEventListener("beforeunload", (event) => {
      if (this.waiting.size && !kept.durable) event.preventDefault();
    });
  }

  /** Take what another window of this person has left here. */
  read() {
    this.waiting = new Map(this.kept.names("out.").map((name) => [name, this.kept.get(name)]));
  }

  get size() {
    return this.waiting.size;
  }

  get labels() {
    return [...this.waiting.values()];
  }

  /** "saved", "saving" or "not saved". */
  get state() {
    if (!this.waiting.size) return "saved";
    return this.failure ? "not saved" : "saving";
  }

  /** Labels that the server would not take and the person has not seen yet, {label, why}. */
  get refused() {
    return this.kept.names("refused.").map((name) => this.kept.get(name));
  }

  /** They have been seen. */
  forgive() {
    for (const name of this.kept.names("refused.")) this.kept.drop(name);
  }

  add(label) {
    const refused = `refused.${label.undoes}`;
    if (this.kept.get(refused)) {
      this.kept.drop(refused); // there is nothing to take back, and nobody wants to hear of it any more
      return this.dispatchEvent(new Event("refused"));
    }
    this.last = Math.max(Date.now(), this.last + 1);
    const name = `out.${String(this.last).padStart(15, "0")}.${label.uid}`;
    this.kept.put(name, label);
    this.waiting.set(name, label);
    this.changed();
    if (!this.timer) this.pump();
  }

  /** Send without waiting any longer; over when all is sent or something failed. */
  now() {
    clearTimeout(this.timer);
    this.timer = 0;
    return this.pump();
  }

  pump() {
    this.sending ??= this.sendAll().finally(() => {
      this.sending = null;
      this.changed();
    });
    return this.sending;
  }

  async sendAll() {
    try {
      while (this.waiting.size) await this.send(this.first(this.most, MOST_CHARACTERS));
      [this.failure, this.waits] = [null, 0];
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.failure = error;
      const wait = Math.min(FIRST_WAIT * 2 ** this.waits++, LONGEST_WAIT) * (0.75 + Math.random() / 2);
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.now(), Math.max(wait, error.after * 1000));
    }
  }

  async send(entries, options) {
    try {
      const labels = entries.map(([, label]) => label);
      const { results } = await post("/api/labels", { person: this.person, labels }, options);
      const names = new Map(entries.map(([name, label]) => [label.uid, name]));
      for (const { uid, state, why } of results) this.settle(names.get(uid), state, why);
      [this.failure, this.waits, this.most] = [null, 0, MOST_LABELS];
      this.changed();
      this.dispatchEvent(new Event("answered"));
    } catch (error) {
      if (error.kind !== "refused") throw error;
      if (entries.length === 1) this.settle(entries[0][0], "refused", error.why);
      this.most = 1; // one of them is at fault: find which
    }
  }

  settle(name, state, why) {
    const label = this.waiting.get(name);
    if (!label) return;
    this.waiting.delete(name);
    this.kept.drop(name);
    if (state !== "refused") return;
    const undo = [...this.waiting].find(([, { undoes }]) => undoes === label.uid);
    if (undo) return this.settle(undo[0], "saved"); // nobody wants it any more: neither is anything now
    this.kept.put(`refused.${label.uid}`, { label, why });
    this.dispatchEvent(new Event("refused"));
  }

  /** The page may go away: send what fits into a request that outlives it. What was saved is found out later. */
  leave() {
    const entries = this.first(MOST_LABELS, KEEPALIVE);
    if (entries.length) this.send(entries, { keepalive: true }).catch(() => {}); // it is kept and sent again
  }

  first(most, characters) {
    const entries = [];
    for (const entry of this.waiting) {
      characters -= JSON.stringify(entry[1]).length;
      if (entries.length && (characters < 0 || entries.length >= most)) break;
      entries.push(entry);
    }
    return entries;
  }

  changed() {
    this.dispatchEvent(new Event("changed"));
  }
}
