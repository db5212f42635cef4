// A circuit sweep: whether its circuit is believed, under each ablation value, and every component
// that was searched through.

import { h } from "./dom.js";
import { count, significant, UNKNOWN } from "./format.js";
import { answer, refusal } from "./store.js";
import { badge, emptyState, loading, meter, panel, refused } from "./elements.js";

const PHASES = [
  ["describe", "Describe"], ["prompts", "Prompts"], ["heads", "Head scores"],
  ["attribution", "Attribution"], ["agent", "Agent"], ["search", "Search"],
  ["verdict", "Verdict"],
];
const VALUES = ["zero", "mean", "resample"];

export const circuitPath = (id) => `/api/v1/sweeps/${encodeURIComponent(id)}/circuit`;

/** Those that the sweep asks for; a circuit that it brings is read, not searched. */
export const circuitPhases = (sweep) => PHASES
  .filter(([name]) => !sweep.skipped_phases?.includes(name))
  .map((phase) => phase[0] === "search" && sweep.spec?.circuit ? ["read", "Read"] : phase);

/* --- the verdict --------------------------------------------------------------------------- */

/** A ratio with its interval: "0.98 [0.95, 1.01]"; undefined is said. */
function ratioText(value, what) {
  const ratio = value?.[what];
  if (!value) return UNKNOWN;
  if (ratio?.ratio === null || ratio?.ratio === undefined) return value.undefined ?? "undefined";
  const [low, high] = ratio.interval ?? [null, null];
  return `${significant(ratio.ratio)} [${significant(low)}, ${significant(high)}]`;
}

const percentileText = (value, what) => {
  const percentile = value?.[what]?.percentile;
  return percentile === null || percentile === undefined ? UNKNOWN
    : `${significant(percentile)} % of ${count(value.random.n)}` +
      (value.random.exhaustive ? " (all)" : "");
};

/** An area under a curve of growing circuits: "1.02", or why there is none. */
function areaText(value, order, what) {
  const curve = value?.curves?.[order];
  if (!value) return UNKNOWN;
  const area = curve?.[what];
  return area === null || area === undefined
    ? `undefined: ${curve?.undefined ?? value.curves?.undefined ?? "not measured"}`
    : significant(area);
}

const ROWS = [
  ["Everything ablated", (v) => significant(v?.empty)],
  ["The circuit alone", (v) => significant(v?.circuit)],
  ["Without the circuit", (v) => significant(v?.complement)],
  ["Sufficiency", (v) => ratioText(v, "sufficiency")],
  ["above random circuits", (v) => percentileText(v, "sufficiency")],
  ["Necessity", (v) => ratioText(v, "necessity")],
  ["above random circuits ", (v) => percentileText(v, "necessity")],
  ["Completeness, 0 is best", (v) => significant(v?.completeness?.value)],
  ["CPR, signed order", (v) => areaText(v, "signed", "cpr")],
  ["CMD, signed order, 0 is best", (v) => areaText(v, "signed", "cmd")],
  ["CPR, absolute order", (v) => areaText(v, "absolute", "cpr")],
  ["CMD, absolute order, 0 is best", (v) => areaText(v, "absolute", "cmd")],
];

function verdictTable(verdict) {
  return h("div", { class: "table-box" }, h("table", { class: "table" },
    h("thead", null, h("tr", null, h("th", { scope: "col" }, `${verdict.metric}, full model ` +
      significant(verdict.full)),
    VALUES.map((name) => h("th", { scope: "col", class: "num" },
      name === "zero" ? "zero (off-distribution)" : name)))),
    h("tbody", null, ROWS.map(([name, read]) => h("tr", { "data-key": name },
      h("th", { scope: "row" }, name.trim()), VALUES.map((value) =>
        h("td", { class: "num", "data-label": value }, read(verdict.values[value]))))))));
}

/* --- curves -------------------------------------------------------------------------------- */

/** f of the first n candidates in one order, a line for each n. Nothing where nothing is defined. */
function curveTable(verdict, order) {
  const curves = VALUES.map((name) => verdict.values[name]?.curves?.[order]);
  const points = curves.find((curve) => curve)?.points ?? [];
  const rows = points.map((point, k) => [point.n_items, k])
    .filter(([n], k) => k === 0 || n !== points[k - 1].n_items);
  if (!rows.length) return null;
  return h("div", { class: "table-box" }, h("table", { class: "table curve" },
    h("thead", null, h("tr", null, h("th", { scope: "col" }, `First by ${order} effect`),
      VALUES.map((name) => h("th", { scope: "col", class: "num" }, `f, ${name}`)))),
    h("tbody", null, rows.map(([n, k]) => h("tr", { "data-key": String(n) },
      h("th", { scope: "row" }, count(n)), curves.map((curve, v) =>
        h("td", { class: "num", "data-label": VALUES[v] },
          curve ? significant(curve.points[k].f) : UNKNOWN)))))));
}

function curvesBlock(verdict) {
  const tables = ["signed", "absolute"].map((order) => curveTable(verdict, order));
  return tables.some(Boolean) ? h("details", { class: "curves" },
    h("summary", null, "Circuits of growing size"), tables) : null;
}

/* --- outcome ------------------------------------------------------------------------------- */

/** How good the order of the search was: no part of the verdict. */
function orderLine(order) {
  if (!order) return null;
  const told = (what, name) => what && what.n_found ? `${name}: rank correlation ${
    significant(what.rank_correlation, 2)}, ${significant(100 * what.precision, 3)} % of its first ` +
    `${count(what.n_found)} in the circuit` : null;
  const parts = [told(order.components, "components"), told(order.edges, "edges")];
  return h("p", { class: "muted" }, `Ordered by ${order.by} (${order.method}), which has no say in ` +
    `the verdict. ${parts.filter(Boolean).join("; ")}`);
}

const lines = (texts) => texts?.length ? h("ul", { class: "problems" }, texts.map((text, i) =>
  h("li", { "data-key": String(i) }, h("bdi", null, text)))) : null;

/** What a circuit sweep that is over has done: its tasks have left the queue. */
export function searchTiles(summary) {
  return summary && [
    { name: "In the circuit", value: count(summary.n_nodes),
      note: `of ${count(summary.n_candidates)} components` },
    { name: "Edges", value: count(summary.n_edges), note: "" },
    { name: "Variants", value: count(summary.n_variants),
      note: `ablated in ${count(summary.n_rounds)} rounds` },
    { name: "Prompts", value: count(summary.prompts?.verdict ?? null), note: "held out, judge it" },
  ];
}

/** How a sweep ended: the verdict and its reasons, and where the search did not look. */
export function outcome(summary) {
  return [
    h("p", { class: "outcome" }, badge(summary.outcome), " ",
      h("span", { class: "muted" }, `${count(summary.n_nodes)} of ${count(summary.n_candidates)} ` +
        `components, ${count(summary.n_edges)} edges; ${count(summary.n_variants)} variants in ` +
        `${count(summary.n_rounds)} rounds; stability ${significant(summary.stability)}`)),
    lines(summary.reasons),
    summary.not_looked_at?.length ? [h("p", { class: "muted" }, "Not looked at:"),
      lines(summary.not_looked_at)] : null,
    orderLine(summary.order),
  ];
}

export function verdictPanel(id, isOver) {
  const circuit = answer(circuitPath(id));
  if (!isOver) {
    return panel({ title: "Verdict" },
      emptyState("Not yet", "It is measured on held-out prompts once the search is over."));
  }
  if (!circuit) {
    return panel({ title: "Verdict" },
      refusal(circuitPath(id)) ? refused(refusal(circuitPath(id))) : loading());
  }
  return panel({ title: "Verdict", side: "on prompts that the search never saw" },
    outcome(circuit.summary ?? {}), circuit.verdict && [verdictTable(circuit.verdict), curvesBlock(circuit.verdict)]);
}

/* --- components ---------------------------------------------------------------------------- */

const given = (record) => record.given
  ? `${significant(record.given.mean)} without ${record.given.context.join(", ")}` : "";

/** What a head attends to most on repeated random words: "induction 0.93". */
function attendsTo(record) {
  const [name, share] = Object.entries(record.head_scores ?? {})
    .reduce((best, one) => (one[1] ?? 0) > best[1] ? one : best, ["", 0]);
  return share >= 0.1 ? `${name.replace("_", " ")} ${significant(share, 2)}` : UNKNOWN;
}

function row(record, most, hasScores) {
  const effect = record.effect?.mean ?? null;
  return h("tr", { "data-key": record.component },
    h("th", { scope: "row" }, h("span", { class: "mono", title: record.hook_point },
      record.component)),
    h("td", { "data-label": "Circuit" }, record.in_circuit ? badge("in circuit") : UNKNOWN),
    h("td", { "data-label": "Class" }, record.class ?? UNKNOWN),
    h("td", { class: "num", "data-label": "Effect" }, significant(effect)),
    h("td", { class: "effect-bar", "data-label": "Share of the largest" },
      meter(effect === null || !most ? 0 : Math.abs(effect) / most,
        { label: "effect", tone: effect < 0 ? "is-bad" : "" })),
    h("td", { class: "num", "data-label": "p" }, significant(record.effect?.p ?? null, 2)),
    h("td", { "data-label": "Found" }, record.reason === "none" ? UNKNOWN : record.reason),
    h("td", { "data-label": "Given" }, given(record)),
    hasScores ? h("td", { "data-label": "Attends to" }, attendsTo(record)) : null);
}

export function componentTable(results) {
  if (!results.rows.length) {
    return emptyState("No result yet", "Components appear here once the verdict is measured.");
  }
  const most = Math.max(...results.rows.map((record) => Math.abs(record.effect?.mean ?? 0)));
  const columns = ["Component", "Circuit", "Class", "Effect", "", "p", "Found", "Given"];
  const hasScores = results.rows.some((record) => record.head_scores);
  if (hasScores) columns.push("Attends to");
  const numeric = new Set(["Effect", "p"]);
  return h("div", { class: "table-box" }, h("table", { class: "table table-cards results" },
    h("thead", null, h("tr", null, columns.map((name) =>
      h("th", { scope: "col", class: numeric.has(name) ? "num" : null }, name)))),
    h("tbody", null, results.rows.map((record) => row(record, most, hasScores)))));
}
