// The tasks: the one on the screen, those after it, and those behind it that can be taken back.

import { get } from "./api.js";

const AHEAD = 12; // tasks that are here before they are needed
const ENOUGH = 7; // with fewer than these, more are asked for
const MOST_BEHIND = 300;

export const keyOf = (task) => `${task.batch}:${task.position}`;

export class Work extends EventTarget {
  /** Fires "changed" when there are more tasks, and "failed" with why there are not. */
  constructor(outbox) {
    super();
    this.outbox = outbox;
    this.batch = null; // the one that the person chose; null for all
    this.batches = {};
    this.current = null;
    this.ahead = [];
    this.behind = []; // {task, label}, the latest last
    this.given = new Set(outbox.labels.filter((label) => label.verb !== "undo").map(keyOf));
    this.progress = null;
    this.more = true; // whether the server may have more
    this.asking = false;
    this.turn = 0; // what was asked for before another batch was chosen is not taken
    this.counted = net(outbox.labels); // labels less undos of this window, sent or not
    this.countedThen = 0; // of these, what `progress` has already
  }

  /** How far the person is, with what is still on its way. */
  get far() {
    if (!this.progress) return null;
    const since = this.counted - this.countedThen;
    const { done, left, today, limit } = this.progress;
    return { done: done + since, left: Math.max(0, left - since), today: today + since, limit };
  }

  choose(batch) {
    this.batch = batch;
    this.turn++;
    this.asking = false;
    this.ahead = [];
    this.current = null;
    return this.refill();
  }

  /** Forget what may be another's by now: the window was away for longer than it may keep tasks. */
  refresh() {
    if (this.ahead.some((task) => task.until < Date.now())) this.ahead = [];
    return this.refill();
  }

  async refill() {
    if (this.asking || this.ahead.length >= ENOUGH) return;
    this.asking = true;
    const turn = this.turn;
    const here = [this.current, ...this.ahead].filter(Boolean);
    const have = [...new Set([...here, ...this.outbox.labels].map(keyOf))];
    const query = new URLSearchParams({ count: AHEAD - this.ahead.length, have: have.join(",") });
    if (this.batch !== null) query.set("batch", this.batch);
    try {
      const found = await get(`/api/work?${query}`);
      if (turn !== this.turn) return;
      this.take(found);
      this.dispatchEvent(new Event("changed"));
    } catch (error) {
      if (turn === this.turn) this.dispatchEvent(new CustomEvent("failed", { detail: error }));
    } finally {
      if (turn === this.turn) this.asking = false;
    }
  }

  take(found) {
    Object.assign(this.batches, found.batches);
    this.progress = found.progress;
    this.countedThen = this.counted - net(this.outbox.labels);
    const known = new Set([this.current, ...this.ahead].filter(Boolean).map(keyOf));
    const fresh = found.items.filter((task) => !known.has(keyOf(task)) && !this.given.has(keyOf(task)));
    for (const task of fresh) task.until = Date.now() + task.expires_in * 1000;
    this.ahead.push(...fresh);
    this.more = fresh.length > 0;
    if (!this.current) this.next();
  }

  next() {
    this.current = this.ahead.shift() ?? null;
    this.refill();
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
    return last;
  }

  /** Ask the server for labels of before this window. */
  async recall() {
    await this.outbox.now();
    if (this.outbox.size) throw this.outbox.failure ?? new Error("on its way");
    const found = await get("/api/history");
    Object.assign(this.batches, found.batches);
    this.behind = found.labels.reverse();
  }
}

const net = (labels) => labels.reduce((sum, label) => sum + (label.verb === "undo" ? -1 : 1), 0);
