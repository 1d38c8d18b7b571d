// What a reload needs while the server cannot be reached: the page's own files (worker.js keeps them), who the
// person is, and the tasks that are theirs. Only where the browser allows it: over https and on this machine.

const NAME = "tuner.person"; // of the cache; those of the files begin with "tuner." too
const PERSON = "/kept/person";
const BATCHES = "/kept/batches";
const ORDER = "/kept/order"; // the items of the tasks, in their order
const TASK = "/kept/task/";

/** What cannot be kept is not: then a reload needs the server. */
export class Shelf {
  constructor() {
    this.turn = Promise.resolve(); // one change after the other
  }

  /** Keep who is here; what somebody else has left is dropped. */
  keepPerson(person) {
    return this.change(async (cache) => {
      const before = await read(cache, PERSON);
      const other = before && (before.name !== person.name || before.home !== person.home);
      if (other) for (const place of await cache.keys()) await cache.delete(place);
      await cache.put(PERSON, answer(person));
    });
  }

  keepBatches(batches) {
    this.change((cache) => cache.put(BATCHES, answer(batches)));
  }

  /** Keep these tasks, in this order, and no others. */
  keepTasks(tasks) {
    this.change(async (cache) => {
      const wanted = new Map(tasks.map((task) => [TASK + task.item, task]));
      for (const { url } of await cache.keys()) {
        const place = new URL(url).pathname;
        if (place.startsWith(TASK) && !wanted.delete(place)) await cache.delete(place);
      }
      for (const [place, task] of wanted) await cache.put(place, answer(task));
      await cache.put(ORDER, answer(tasks.map(({ item }) => item)));
    });
  }

  /** {person, batches, tasks} of before; `person` is null where nobody is known. */
  async read() {
    const found = { person: null, batches: {}, tasks: [] };
    await this.change(async (cache) => {
      found.person = await read(cache, PERSON);
      found.batches = (await read(cache, BATCHES)) ?? {};
      const items = (await read(cache, ORDER)) ?? [];
      found.tasks = (await Promise.all(items.map((item) => read(cache, TASK + item)))).filter(Boolean);
    });
    return found;
  }

  change(what) {
    if ("caches" in globalThis) this.turn = this.turn.then(async () => what(await caches.open(NAME))).catch(() => {});
    return this.turn;
  }
}

/** Let worker.js keep the page's files. */
export function keepFiles() {
  navigator.serviceWorker?.register("/worker.js", { updateViaCache: "none" }).catch(() => {});
}

/** Nothing of all this stays in the browser: for who leaves, and who is out. */
export async function clear() {
  if (!("caches" in globalThis)) return;
  for (const name of await caches.keys()) if (name.startsWith("tuner.")) await caches.delete(name);
  for (const worker of (await navigator.serviceWorker?.getRegistrations()) ?? []) await worker.unregister();
}

const answer = (value) => new Response(JSON.stringify(value), { headers: { "Content-Type": "application/json" } });
const read = async (cache, place) => (await cache.match(place))?.json() ?? null;
