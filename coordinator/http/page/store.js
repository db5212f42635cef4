// All that the page knows, in one place: answers of the API by address, the connection's state,
// and what the user has toggled. Views read it; only feeds and actions write it.

const listeners = new Set();

export const store = {
  connection: { state: "connecting", message: "", lastOkAt: null, retryAt: null },
  answers: new Map(), // path -> {value, error, at}
  ui: { hiddenSeries: new Set(["done"]), hoverFraction: null },
};

export function subscribe(listener) {
  listeners.add(listener);
}

export function changed() {
  for (const listener of listeners) listener();
}

/** The last good answer of a path, or null. */
export function answer(path) {
  return store.answers.get(path)?.value ?? null;
}

/** What the API last said instead of an answer: {code, message}, or null. */
export function refusal(path) {
  return store.answers.get(path)?.error ?? null;
}
