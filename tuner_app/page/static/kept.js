// What this browser keeps for one member: localStorage, or memory alone where that is full or forbidden.

export class Kept {
  /** `home` tells the homes apart that one browser may have had at this address. */
  constructor({ home, name }) {
    this.prefix = `tuner.${home}.${name}.`;
    this.memory = new Map(); // what could not be stored
  }

  /** Keep `value`; false when it will not survive this window. */
  put(name, value) {
    try {
      localStorage.setItem(this.prefix + name, JSON.stringify(value));
      this.memory.delete(name);
      return true;
    } catch {
      this.memory.set(name, value);
      return false;
    }
  }

  get(name) {
    if (this.memory.has(name)) return this.memory.get(name);
    try {
      return JSON.parse(localStorage.getItem(this.prefix + name));
    } catch {
      return null;
    }
  }

  drop(name) {
    this.memory.delete(name);
    try {
      localStorage.removeItem(this.prefix + name);
    } catch {
      // where storage is forbidden there is nothing to remove
    }
  }

  /** The names that begin so, sorted. */
  names(start) {
    const found = new Set([...this.memory.keys()].filter((name) => name.startsWith(start)));
    try {
      for (let at = 0; at < localStorage.length; at++) {
        const key = localStorage.key(at);
        if (key.startsWith(this.prefix + start)) found.add(key.slice(this.prefix.length));
      }
    } catch {
      // storage is forbidden: what is in memory is all there is
    }
    return [...found].sort();
  }

  /** Whether all of it survives this window. */
  get durable() {
    return this.memory.size === 0;
  }
}

/** A random identity; `crypto.randomUUID` is there only over https and on this machine. */
export function newUid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
