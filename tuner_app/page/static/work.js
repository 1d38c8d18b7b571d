// The tasks: the one on the screen, those after it, and those behind it that can be taken back.

import { get } from "./api.js";

const AHEAD = 12; // tasks that are here before they are needed
const ENOUGH = 7; // with fewer than these, more are asked for when nothing is on its way,
const FEW = 5; // and with fewer than these at once
const MOST_BEHIND = 300;

const NAMED = 12; // letters of an item's hash that name it to the server, and of how many items
const MOST_NAMED = 60;

export const keyOf = (task) => task.item;

export class Work extends EventTarget {
  /** Fires "changed" when there are more tasks or none, and "failed" with why there are not. */
  constructor(outbox, kept, shelf) {
    super();
    this.outbox = outbox;
    this.kept = kept; // where the person was
    this.shelf = shelf; // the tasks, for a reload that finds no server
    this.batch = null; // the one that the person chose; null for all
    this.batches = {};
    this.current = null;
    this.ahead = [];
    this.behind = []; // {task, label}, the latest last
    this.given = new Set(outbox.labels.filter((label) => label.verb !== "undo").map(keyOf));
    this.progress = null;
    this.asking = false;
    this.over = false; // another has taken its place
    this.turn = 0; // what was asked for before another batch was chosen is not taken
    this.restored = false; // what is here is of before the page was loaded: whether the server is back is not known
    this.counted = 0; // labels less undos of this window since `progress`
    outbox.addEventListener("changed", () => outbox.size || this.refill());
  }

  /** How far the person is, with what is still on its way. */
  get far() {
    if (!this.progress) return null;
    const { done, left, today, limit } = this.progress;
    const [more, less] = [this.counted, Math.max(0, left - this.counted)];
    return { done: done + more, left: less, today: today + more, limit };
  }

  choose(batch) {
    this.batch = batch;
    this.turn++;
    this.asking = false;
    this.ahead = [];
    this.current = null;
    this.progress = null;
    return this.refill();
  }

  /** Forget what may be another's by now: the window was away for longer than it may keep tasks. */
  refresh() {
    if (this.ahead.some((task) => task.until < Date.now())) this.ahead = [];
    return this.refill();
  }

  async refill() {
    if (this.asking || this.over || (this.ahead.length >= ENOUGH && !this.restored)) return;
    this.asking = true;
    const [turn, counted, sent] = [this.turn, this.counted, !this.outbox.size];
    const here = [this.current, ...this.ahead].filter(Boolean);
    const have = [...new Set([...here, ...this.outbox.labels].map(keyOf))].slice(0, MOST_NAMED).map((item) => item.slice(0, NAMED));
    const query = new URLSearchParams({ person: this.outbox.person, count: Math.max(1, AHEAD - this.ahead.length), have: have.join(",") });
    if (this.batch !== null) query.set("batch", this.batch);
    try {
      const found = await get(`/api/work?${query}`);
      if (turn !== this.turn) return;
      this.asking = false;
      this.take(found);
      // With labels on their way nobody can tell which of them the server has counted.
      if (!this.progress || (sent && !this.outbox.size && counted === this.counted)) {
        this.progress = found.progress;
        this.counted = net(this.outbox.labels);
      }
      this.dispatchEvent(new Event("changed"));
    } catch (error) {
      if (turn !== this.turn) return;
      this.asking = false;
      if (!this.current) await this.restore();
      this.dispatchEvent(new CustomEvent("failed", { detail: error }));
    }
  }

  take(found) {
    this.restored = false;
    Object.assign(this.batches, found.batches);
    this.shelf.keepBatches(this.batches);
    const known = new Set([this.current, ...this.ahead].filter(Boolean).map(keyOf));
    const fresh = found.items.filter((task) => !known.has(keyOf(task)) && !this.given.has(keyOf(task)));
    for (const task of fresh) task.until = Date.now() + task.expires_in * 1000;
    this.ahead.push(...fresh);
    if (!this.current) this.resume();
    this.hold();
  }

  /** Go on with the tasks that were here before the page was loaded anew, while the server cannot be reached. */
  async restore() {
    const turn = this.turn;
    const { tasks, batches } = await this.shelf.read();
    if (turn !== this.turn || this.current) return;
    this.restored = true;
    Object.assign(this.batches, batches);
    this.ahead = tasks.filter((task) => !this.given.has(keyOf(task)) && (this.batch ?? task.batch) === task.batch);
    this.resume();
  }

  hold() {
    this.shelf.keepTasks([this.current, ...this.ahead].filter(Boolean));
  }

  /** Begin with the task that was on the screen before the page was loaded anew. */
  resume() {
    const was = this.ahead.findIndex((task) => keyOf(task) === this.kept.get("at"));
    [this.current = null] = this.ahead.splice(Math.max(was, 0), 1);
  }

  next() {
    this.current = this.ahead.shift() ?? null;
    this.hold();
    if (this.ahead.length < FEW || !this.outbox.size) this.refill();
  }

  /** The current task has this label now. */
  give(label) {
    this.given.add(keyOf(this.current));
    this.behind.push({ task: this.current, label });
    if (this.behind.length > MOST_BEHIND) this.behind.shift();
    this.outbox.add(label);
    this.counted++;
    this.next();
  }

  /** The latest label that can be taken back, {task, label}, back on the screen; null where there is none. */
  async back() {
    if (!this.behind.length) await this.recall();
    const last = this.behind.pop();
    if (!last) return null;
    this.given.delete(keyOf(last.task));
    if (this.current) this.ahead.unshift(this.current);
    this.current = last.task;
    this.counted--;
    this.hold();
    return last;
  }

  /** Ask for nothing more, and take nothing that was asked for. */
  end() {
    this.over = true;
    this.turn++;
  }

  /** Ask the server for labels of before this window. */
  async recall() {
    await this.outbox.now();
    if (this.outbox.size) throw this.outbox.failure;
    const found = await get(`/api/history?${new URLSearchParams({ person: this.outbox.person })}`);
    Object.assign(this.batches, found.batches);
    this.behind = found.labels.reverse();
  }
}

const net = (labels) => labels.reduce((sum, label) => sum + (label.verb === "undo" ? -1 : 1), 0);
