// Feeds: addresses of the API that are asked again and again while a view needs them.
//
// A feed that fails backs off (1, 2, 4, 8, 15 s) and asks again at once when the tab is shown
// or the user says so. Hidden tabs do not ask.

import { store, changed } from "./store.js";

const BACK_OFF_MS = [1000, 2000, 4000, 8000, 15000];
const TIMEOUT_MS = 5000;

const feeds = new Map(); // path -> feed

async function fetchJson(path) {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), TIMEOUT_MS);
  try {
    const response = await fetch(path, { signal: abort.signal, cache: "no-store" });
    const body = await response.json().catch(() => null);
    if (response.ok && body) return { value: body, error: null };
    const message = body?.error?.message ?? `HTTP ${response.status}`;
    return { value: null, error: { code: response.status, message } };
  } catch (problem) {
    const message = problem.name === "AbortError" ? "no answer in time" : "nobody answers";
    return { value: null, error: { code: 0, message } };
  } finally {
    clearTimeout(timer);
  }
}

const isOutage = (error) => error && (error.code === 0 || error.code === 503);

function note(feed, got) {
  const known = store.answers.get(feed.path)?.value ?? null;
  // an outage leaves the last answer on screen; a refusal (404) replaces it
  const value = got.value ?? (isOutage(got.error) ? known : null);
  const error = isOutage(got.error) && known ? null : got.error;
  store.answers.set(feed.path, { value, error, at: Date.now() });
  feed.nFailures = isOutage(got.error) ? feed.nFailures + 1 : 0;
  if (!feed.isMain) return;
  const connection = store.connection;
  if (isOutage(got.error)) {
    connection.state = connection.lastOkAt || feed.nFailures > 1 ? "lost" : "connecting";
    connection.message = got.error.message;
    connection.retryAt = Date.now() + waitMs(feed);
  } else {
    Object.assign(connection, { state: "live", message: "", lastOkAt: Date.now(), retryAt: null });
  }
}

function waitMs(feed) {
  if (feed.nFailures === 0) return feed.everyMs;
  const wait = BACK_OFF_MS[Math.min(feed.nFailures, BACK_OFF_MS.length) - 1];
  return Math.max(wait, Math.min(feed.everyMs, BACK_OFF_MS.at(-1)));
}

async function ask(feed) {
  clearTimeout(feed.timer);
  if (feed.isAsking) return;
  feed.isAsking = true;
  const got = await fetchJson(feed.path);
  feed.isAsking = false;
  if (feeds.get(feed.path) !== feed) return; // nobody wants it any more
  note(feed, got);
  if (feed.everyMs !== Infinity || feed.nFailures) schedule(feed);
  changed();
}

function schedule(feed) {
  clearTimeout(feed.timer);
  if (!document.hidden) feed.timer = setTimeout(() => ask(feed), waitMs(feed));
}

/** Ask for exactly these: [{path, everyMs, isMain}]. Those already running go on. */
export function wantFeeds(wanted) {
  const paths = new Set(wanted.map(({ path }) => path));
  for (const [path, feed] of feeds) {
    if (paths.has(path)) continue;
    clearTimeout(feed.timer);
    feeds.delete(path);
    store.answers.delete(path);
  }
  for (const { path, everyMs, isMain = false } of wanted) {
    const known = feeds.get(path);
    if (known) {
      if (known.everyMs !== everyMs) {
        known.everyMs = everyMs;
        if (!known.isAsking && everyMs !== Infinity) schedule(known);
      }
      continue;
    }
    const feed = { path, everyMs, isMain, nFailures: 0, timer: 0, isAsking: false };
    feeds.set(path, feed);
    ask(feed);
  }
}

export function askAllNow() {
  for (const feed of feeds.values()) ask(feed);
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) askAllNow();
});
