// Requests to our own server, and why one failed.

const PATIENCE = 15_000; // milliseconds
const KNOWN_PATIENCE = 4_000; // where the page can go on without an answer

/** `kind`: "offline" (no answer), "busy" (later), "full" (its disk), "session" (no longer joined), "elsewhere" (joined as somebody
 * else now), "refused" (this cannot be taken), "fault" (the server's). `after`: seconds that it asks to wait. */
export class Failure extends Error {
  constructor(kind, said = {}, after = 0) {
    super(said.error || kind);
    this.kind = kind;
    this.why = said.error ?? "";
    this.said = said; // all that the server says of it
    this.after = after;
  }
}

const KINDS = { 401: "session", 403: "session", 409: "elsewhere", 429: "busy", 503: "busy", 507: "full" };

export async function get(path, { soon = false } = {}) {
  return ask(path, { headers: { Accept: "application/json" } }, soon ? KNOWN_PATIENCE : PATIENCE);
}

/** `keepalive` outlives the page, for at most 64 KB. */
export async function post(path, body, { keepalive = false } = {}) {
  const headers = { "Content-Type": "application/json", "X-Tuner": "1" };
  return ask(path, { method: "POST", headers, body: JSON.stringify(body), keepalive });
}

async function ask(path, options, patience = PATIENCE) {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), patience);
  try {
    const answer = await fetch(path, { ...options, signal: stop.signal, redirect: "error" });
    if (answer.ok) return await answer.json();
    const said = await answer.json().catch(() => ({}));
    const kind = KINDS[answer.status] ?? (answer.status < 500 ? "refused" : "fault");
    throw new Failure(kind, said, Number(answer.headers.get("Retry-After")) || 0);
  } catch (error) {
    throw error instanceof Failure ? error : new Failure("offline");
  } finally {
    clearTimeout(timer);
  }
}
