// Windows of text with every token shaded by its activation.
//
// Shades are eleven classes (heat-0 to heat-10) of the value over the largest one of the
// feature; the exact value is in the token's hint. Tokens are corpus text: data, never markup.

import { h } from "./dom.js";
import { count, significant } from "./format.js";

const GROUPS = [
  ["firing", "Firing", "windows where it fires, strongest first"],
  ["silent_hard", "Silent, near miss", "hold a token it fires on elsewhere, and do not fire"],
  ["silent_neighbour", "Silent, neighbour fires",
    "a feature of a near decoder row fires there, and this one does not"],
  ["silent_random", "Silent", "drawn among windows that do not fire"],
];
const LEVELS = 10;

/** Line breaks and tabs as signs; the rest as it is. */
export const visible = (text) => text.replaceAll("\r", "").replaceAll("\n", "\u21b5")
  .replaceAll("\t", "\u21e5");

function level(value, top) {
  if (!(value > 0) || !(top > 0)) return 0;
  return Math.max(1, Math.min(LEVELS, Math.round((value / top) * LEVELS)));
}

function token(text, value, top) {
  if (text === "") return null; // its bytes are shown with the next token
  const heat = level(value, top);
  return h("span", { class: `token heat-${heat}`,
    title: value > 0 ? `${JSON.stringify(text)}  ${significant(value, 4)}` : null }, visible(text));
}

function windowOf(evidence, top) {
  const values = evidence.activations ?? [];
  const peak = values.findIndex((value) => value === evidence.max);
  const where = `${evidence.document ?? evidence.document_key}, token ${count(evidence.offset)}`;
  return h("li", { class: "window", "data-key": `${evidence.document_key}/${evidence.offset}` },
    h("p", { class: "window-text", dir: "auto" },
      evidence.tokens.map((text, i) => token(text, values[i] ?? 0, top))),
    h("p", { class: "window-meta muted" },
      h("span", { class: "num" }, evidence.max > 0 ? `max ${significant(evidence.max)}` : "silent",
        evidence.max > 0 && peak >= 0 && [" on ",
          h("bdi", { class: "peak" }, visible(evidence.tokens[peak]))]),
      h("bdi", { class: "mono window-source" }, where)));
}

/** All windows of a record, in groups; null when there is none. */
export function evidenceGroups(evidence, top) {
  const groups = GROUPS.map(([kind, name, hint]) => {
    const windows = evidence.filter((one) => one.kind === kind).sort((a, b) => b.max - a.max);
    if (!windows.length) return null;
    return h("section", { class: "evidence", "data-key": kind },
      h("h3", null, name, h("span", { class: "muted" }, ` ${count(windows.length)} ${hint}`)),
      h("ol", { class: "windows" }, windows.map((one) => windowOf(one, top))));
  });
  return groups.some(Boolean) ? groups : null;
}

/** The tokens with the largest activation in the windows: [{text, max, n}], largest first. */
export function strongestTokens(evidence, limit = 10) {
  const known = new Map();
  for (const { tokens, activations } of evidence) {
    for (const [i, text] of tokens.entries()) {
      const value = activations[i] ?? 0;
      if (!(value > 0) || text === "") continue;
      const entry = known.get(text) ?? { text, max: 0, n: 0 };
      entry.max = Math.max(entry.max, value);
      entry.n += 1;
      known.set(text, entry);
    }
  }
  return [...known.values()].sort((a, b) => b.max - a.max).slice(0, limit);
}

export function tokenChip({ text, max, n }, top) {
  return h("li", { class: "chip", "data-key": text },
    h("span", { class: `token heat-${level(max, top)}` }, visible(text)),
    h("span", { class: "muted num" }, `${significant(max)}${n > 1 ? ` \u00d7${n}` : ""}`));
}
