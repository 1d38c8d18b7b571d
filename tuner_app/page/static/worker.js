// Keeps the page's own files in the browser, so that a reload shows the page while the server cannot be reached.
//
// The server is asked first, always; the files are those of one version of the program, and nobody's data is
// among them. Everything else that the browser asks for passes as if this were not here.

const VERSION = "{version}"; // the server fills in both
const FILES = ["{files}"];

const NAME = `tuner.files.${VERSION}`;
const PAGE = "/static/label.html"; // what is at /
const PATIENCE = 4_000; // milliseconds until the server counts as out of reach,
const AWAY = 10_000; // and for how long it does then
const GONE = [502, 503, 504]; // from a proxy: there is no server behind it

let away = 0; // since when

addEventListener("install", (event) => event.waitUntil(keep()));
addEventListener("activate", (event) => event.waitUntil(takeOver()));
addEventListener("fetch", (event) => {
  const { pathname, origin } = new URL(event.request.url);
  if (event.request.method !== "GET" || origin !== location.origin) return;
  if (pathname === "/" && event.request.mode === "navigate") event.respondWith(page());
  else if (FILES.includes(pathname)) event.respondWith(file(pathname));
});

async function keep() {
  const cache = await caches.open(NAME);
  await cache.addAll(FILES.map((path) => new Request(path, { cache: "no-cache", credentials: "omit" })));
  await skipWaiting();
}

async function takeOver() {
  for (const name of await caches.keys()) if (name.startsWith("tuner.files.") && name !== NAME) await caches.delete(name);
  await clients.claim();
}

/** The page as the server has it, a way to /join included; without a server, as it is kept. */
async function page() {
  away = 0;
  try {
    const answer = await fetch("/", { redirect: "manual", signal: AbortSignal.timeout(PATIENCE) });
    if (!GONE.includes(answer.status)) return answer;
  } catch {
    // no answer, or none in time
  }
  away = Date.now();
  return kept(PAGE);
}

/** A file of the page; all of them are kept ones when the page is. */
async function file(path) {
  if (Date.now() - away > AWAY) {
    try {
      const answer = await fetch(path, { cache: "no-cache", signal: AbortSignal.timeout(PATIENCE) });
      if (!GONE.includes(answer.status)) return answer;
    } catch {
      // as above
    }
  }
  return kept(path);
}

async function kept(path) {
  const cache = await caches.open(NAME);
  return (await cache.match(path)) ?? Response.error();
}
