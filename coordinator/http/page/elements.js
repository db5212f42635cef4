// The page's own elements: panel, tile, badge, meter, empty state. Pure: data in, nodes out.

import { h, svg } from "./dom.js";

/** A titled box. `side` stands at the right of the title. */
export function panel({ title, side = null, className = "", id = null }, ...children) {
  return h("section", { class: `panel ${className}`, "aria-label": title, "data-key": id ?? title },
    h("header", { class: "panel-head" }, h("h2", null, title),
      side && h("div", { class: "panel-side" }, side)),
    ...children);
}

/** One figure; `foot` is a meter or sparkline under it. */
function tile({ name, value, note = null, tone = "", foot = null }) {
  return h("div", { class: `tile ${tone}`, "data-key": name },
    h("dt", null, name),
    h("dd", null, value, h("span", { class: "tile-note" }, note),
      foot && h("span", { class: "tile-foot" }, foot)));
}

export function tiles(list) {
  return h("dl", { class: "tiles" }, list.map(tile));
}

/** A bar from 0 to 1. `tone`: "", "quiet", "warn". */
export function meter(fraction, { label, tone = "" }) {
  const part = Math.min(1, Math.max(0, fraction));
  return h("progress", { class: `meter ${tone}`, max: "1", value: part.toFixed(4),
    "aria-label": label });
}

const TONES = {
  running: "good", finished: "done", paused: "warn", failed: "bad", cancelled: "quiet",
  queued: "quiet", busy: "good", idle: "quiet", stuck: "bad", draining: "warn",
  supported: "good", open: "info", token: "info2", position: "quiet", dense: "warn",
  insufficient: "quiet", dead: "dim", unsupported: "quiet", control: "warn",
  verified: "good", partial: "warn", rejected: "bad", "in circuit": "good",
};

/** A state in a word, with a dot of its colour. */
export function badge(state) {
  return h("span", { class: `badge tone-${TONES[state] ?? "quiet"}` }, state);
}

export function emptyState(title, ...children) {
  return h("div", { class: "empty" }, h("p", { class: "empty-title" }, title),
    h("p", null, children));
}

export function loading() {
  return h("div", { class: "empty", "aria-busy": "true" }, h("p", null, "Reading\u2026"));
}

/** What the API refused, in its own words. */
export function refused(error) {
  return emptyState(error.code === 404 ? "Not found" : "That did not work", error.message);
}

/** A row of parts of a whole: [{name, value, tone}]. */
export function shareBar(parts, label) {
  const total = parts.reduce((sum, { value }) => sum + value, 0);
  if (!total) return null;
  let x = 0;
  const bars = parts.filter(({ value }) => value > 0).map(({ name, value, tone }) => {
    const width = (value / total) * 100;
    const bar = svg("rect", { x: `${x}%`, y: 0, width: `${width}%`, height: "100%",
      class: `fill-${tone}` }, svg("title", null, `${name}: ${value}`));
    x += width;
    return bar;
  });
  return svg("svg", { class: "share-bar", role: "img", "aria-label": label }, bars);
}

/** Terms and their values: [[name, value]]; null values are left out. */
export function facts(list) {
  return h("dl", { class: "facts" }, list.filter(([, value]) => value !== null)
    .map(([name, value]) => h("div", { "data-key": name }, h("dt", null, name),
      h("dd", null, value))));
}
