// Scores of a label: a plot of each with its interval, chance and null beside the numbers.

import { h, svg } from "./dom.js";
import { count, score, significant, UNKNOWN } from "./format.js";

export const SCORE_NAMES = ["detection", "fuzzing", "simulation"];
const KINDS = [["random", "random negatives"], ["hard", "hard negatives"]];

/** The score a row of results shows: against random negatives. */
export const headline = (record, name) => record.scores?.[name]?.random ?? null;

/** "0.93" with its interval as a hint. */
export function scoreCell(summary) {
  if (!summary || summary.balanced_accuracy === null) return UNKNOWN;
  const { balanced_accuracy: value, interval } = summary;
  return h("span", {
    title: interval ? `95 % interval ${score(interval[0])} to ${score(interval[1])}` : null,
  }, score(value));
}

/** Balanced accuracy; of a simulation the correlation of true and predicted values. */
export const valueOf = (summary) => "pearson" in summary ? summary.pearson
  : summary.balanced_accuracy;

const x = (value) => `${(Math.max(0, value) * 100).toFixed(2)}%`;

/** 0 to 1: null band, chance at a half (a correlation's at 0), interval, value. */
function plot(summary, label) {
  const { interval, null: foreign } = summary;
  const value = valueOf(summary);
  const chance = "pearson" in summary ? "0%" : "50%";
  const parts = [svg("line", { class: "chance", x1: chance, x2: chance, y1: 0, y2: "100%" },
    svg("title", null, "chance"))];
  if (foreign?.mean !== undefined && foreign.mean !== null) {
    const low = Math.max(0, foreign.mean - foreign.sd);
    const high = Math.min(1, foreign.mean + foreign.sd);
    parts.unshift(svg("rect", { class: "null-band", x: x(low), width: x(high - low), y: "15%",
      height: "70%" }, svg("title", null,
      `labels of other features: ${score(foreign.mean)} \u00b1 ${score(foreign.sd)}`)));
  }
  if (interval) {
    parts.push(svg("line", { class: "interval", x1: x(interval[0]), x2: x(interval[1]), y1: "50%",
      y2: "50%" }));
  }
  parts.push(svg("circle", { class: "value", cx: x(value), cy: "50%", r: 5 }));
  return svg("svg", { class: "score-plot", role: "img", "aria-label": label }, parts);
}

/** Answers that could not be read are among those missed and those called firing. */
function tally({ counts, n_windows: nWindows, n_failed: nFailed, n_tokens: nTokens }) {
  if (!counts) {
    return `correlation over ${count(nTokens)} tokens of ${count(nWindows)} windows` +
      (nFailed ? `, ${count(nFailed)} unreadable` : "");
  }
  const firing = counts.true_firing + counts.missed;
  const silent = counts.true_silent + counts.false_alarm;
  const failed = counts.failed_firing + counts.failed_silent;
  return `${count(counts.true_firing)} of ${count(firing)} firing, ` +
    `${count(counts.true_silent)} of ${count(silent)} silent` +
    (failed ? `, ${count(failed)} unreadable` : "");
}

function against({ null: foreign, versus_lexical: versus }) {
  const list = [];
  if (foreign && foreign.z !== null) {
    list.push(`z ${significant(foreign.z).replace("-", "\u2212")}`);
  }
  if (foreign && foreign.p !== null) list.push(`p ${Number(foreign.p.toPrecision(2))}`);
  if (versus && versus.difference !== null) {
    const sign = versus.difference >= 0 ? "+" : "\u2212";
    list.push(`${sign}${score(Math.abs(versus.difference))} to lexical`);
  }
  return list.join(", ");
}

const undefinedBecause = (summary) => "pearson" in summary
  ? "undefined: a constant series, or no answer" : "undefined: no such windows";

function row(name, kind, summary) {
  const value = valueOf(summary);
  const defined = value !== null;
  const range = summary.interval
    ? ` ${score(summary.interval[0])}\u2013${score(summary.interval[1])}` : "";
  const words = defined ? `${name}, ${kind}: ${score(value)}${range}` : "";
  return h("div", { class: "score", "data-key": `${name}/${kind}` },
    h("div", { class: "score-name" }, h("strong", null, name), h("span", null, kind)),
    defined ? plot(summary, words) : h("span", { class: "muted" }, undefinedBecause(summary)),
    h("div", { class: "score-value num" }, h("strong", null, score(value)),
      h("span", { class: "muted" }, range)),
    h("div", { class: "score-notes muted" }, h("div", null, tally(summary)),
      h("div", null, against(summary)),
      summary.verdict && h("div", null, summary.verdict)));
}

/** Every score there is; null when there is none. */
export function scoreTable(scores) {
  const rows = SCORE_NAMES.flatMap((name) => KINDS.filter(([kind]) => scores?.[name]?.[kind])
    .map(([kind, words]) => row(name, words, scores[name][kind])));
  if (!rows.length) return null;
  return h("div", { class: "scores" }, rows,
    h("div", { class: "score score-axis", "aria-hidden": "true" }, h("span"),
      h("div", { class: "axis-x" }, h("span", null, "0"), h("span", null, "chance"),
        h("span", null, "1"))));
}
