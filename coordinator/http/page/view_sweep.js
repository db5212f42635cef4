// One sweep: phases, what its features came to, splits, money, problems, and its results.

import { agreementPanel } from "./agreement.js";
import { circuitPath, circuitPhases, componentTable, searchTiles, verdictPanel }
  from "./circuit.js";
import { h } from "./dom.js";
import { compact, count, dollars, percent, roughly } from "./format.js";
import { answer, refusal } from "./store.js";
import { badge, emptyState, facts, loading, meter, panel, refused, shareBar, tiles }
  from "./elements.js";
import { resultsPath, resultTable } from "./result_table.js";
import { isFinal, timing } from "./sweep_list.js";
import { OVERVIEW } from "./view_overview.js";
import { to } from "./router.js";

const PHASES = [
  ["describe", "Describe"], ["tokenize", "Tokenize"], ["capture-explain", "Capture: explain"],
  ["neighbours", "Neighbours"], ["capture-rest", "Capture: rest"], ["logits", "Logits"],
  ["label", "Label"],
];
// statistics.md 1: every feature has exactly one of these
const STATUSES = [
  ["open", "info"], ["token", "info2"], ["position", "ready"], ["insufficient", "quiet"],
  ["dense", "leased"], ["dead", "dim"],
];

const CONTROLS = {
  permuted: "labels are judged on another feature's windows",
  random_judge: "every answer of the judge is a coin",
  random_weights: "the model's weights are shuffled",
};

const statusPath = (id) => `/api/v1/sweeps/${encodeURIComponent(id)}`;
const cursorOf = (query) => Math.max(0, Math.floor(Number(query.get("cursor")) || 0));

/* --- parts --------------------------------------------------------------------------------- */

function heading(sweep, now) {
  const made = sweep.kind === "label" ? `labels by ${sweep.explainer}, judged by ${sweep.judge}`
    : `${sweep.kind ?? "unreadable"} sweep`;
  return h("div", { class: "heading" },
    h("p", { class: "crumbs" }, h("a", { href: to.overview() }, "Overview"), " / ",
      h("span", { class: "mono" }, sweep.id)),
    h("div", { class: "heading-row" }, h("h1", null, sweep.name), badge(sweep.state),
      sweep.control && badge("control"),
      h("span", { class: "muted" }, `${made}, priority ${sweep.priority}`)),
    h("div", { class: "sweep-bar sweep-bar-large" },
      meter(sweep.progress, { label: "progress", tone: isFinal(sweep) ? "quiet" : "" }),
      h("span", { class: "num" }, percent(sweep.progress)),
      h("span", { class: "num muted sweep-time" }, timing(sweep, now))),
    sweep.control && h("p", { class: "sweep-reason", "data-key": "control" },
      `control ${sweep.control}: ${CONTROLS[sweep.control] ?? ""}; nothing here is a finding`),
    sweep.same_family_allowed && h("p", { class: "sweep-reason", "data-key": "families" },
      "explainer and judge may be of one family"),
    sweep.reason && h("p", { class: "sweep-reason" }, sweep.reason));
}

export function figures(sweep) {
  const { spend, calls } = sweep;
  const isLabel = sweep.kind === "label";
  const labels = isLabel && [
    { name: "Features", value: count(sweep.n_features || null),
      note: sweep.n_features ? "each ends with one status" : "known after describe" },
    { name: "Labelled", value: count(sweep.n_labelled),
      note: sweep.n_features ? percent(sweep.n_labelled / sweep.n_features) : "" },
    { name: "Supported", value: count(sweep.n_supported),
      note: sweep.n_supported === null ? "when the null model ran"
        : sweep.n_labelled ? `${percent(sweep.n_supported / sweep.n_labelled)} of labels` : "" },
    { name: "Leaks", value: count(sweep.leak_count ?? null), note: "documents on two sides",
      tone: sweep.leak_count ? "is-bad" : "" },
  ];
  const budget = sweep.budget_dollars;
  return tiles([...(labels || (isFinal(sweep) && searchTiles(sweep.circuit)) || [
    { name: "Units", value: count(sweep.n_units), note: "" },
    { name: "Done", value: count(sweep.n_units_done), note: "" },
    { name: "Dead", value: count(sweep.n_units_dead), tone: sweep.n_units_dead ? "is-bad" : "" },
  ]),
  { name: "Calls", value: compact(calls.done),
    note: `${compact(calls.in_flight)} in flight, ${compact(calls.queued)} queued` +
      (calls.failed ? `, ${compact(calls.failed)} failed` : "") +
      (calls.uncertain ? `, ${compact(calls.uncertain)} uncertain` : "") },
  { name: "Spend", value: dollars(spend.dollars),
    note: budget === null ? `${compact(spend.tokens_in + spend.tokens_out)} tokens`
      : `of ${dollars(budget)}, ${compact(spend.tokens_in + spend.tokens_out)} tokens`,
    foot: budget ? meter(spend.dollars / budget, { label: "spend against budget" }) : null }]);
}

const phasesOf = (sweep) => sweep.kind === "circuit" ? circuitPhases(sweep) : PHASES;

/** Where a phase stands: behind, at work, or ahead. A search has a task for each of its rounds. */
function phaseStep([name, title], index, sweep) {
  const at = phasesOf(sweep).findIndex(([phase]) => phase === sweep.phase);
  const isOver = sweep.phase === "done" ? sweep.state === "finished" : at > index;
  const task = sweep.phases.find((phase) => phase.name === name ||
    phase.name.startsWith(`${name}-`) && sweep.kind === "circuit");
  const isNow = at === index && !isFinal(sweep);
  let note = isOver ? "done" : "ahead";
  let part = isOver ? 1 : 0;
  if (task) {
    part = task.n_units ? task.done / task.n_units : 0;
    note = `${compact(task.done)} / ${compact(task.n_units)} units` +
      (task.leased ? `, ${compact(task.leased)} leased` : "") +
      (task.dead ? `, ${compact(task.dead)} dead` : "");
    if (task.seconds_per_unit) note += `, ${roughlyPer(task.seconds_per_unit)}`;
  } else if (isNow && name === "label" && sweep.n_units) {
    part = sweep.n_units_done / sweep.n_units;
    note = `${compact(sweep.n_units_done)} / ${compact(sweep.n_units)} features`;
  } else if (isNow) {
    note = "preparing";
  }
  const state = isOver ? "is-over" : isNow ? "is-now" : "is-ahead";
  return h("li", { class: `phase ${state}`, "data-key": name,
    "aria-current": isNow ? "step" : null },
  h("div", { class: "phase-name" }, title), meter(part, { label: title }),
  h("div", { class: "phase-note muted num" }, note));
}

const roughlyPer = (seconds) => seconds >= 1 ? `${roughly(seconds)} each`
  : `${compact(1 / seconds)}/s`;

function phasesPanel(sweep) {
  return panel({ title: "Phases" },
    h("ol", { class: "phases" }, phasesOf(sweep).map((phase, i) => phaseStep(phase, i, sweep))));
}

function statusesPanel(sweep) {
  const statuses = sweep.statuses ?? {};
  const parts = STATUSES.map(([name, tone]) => ({ name, tone, value: statuses[name] ?? 0 }));
  const total = parts.reduce((sum, { value }) => sum + value, 0);
  return panel({ title: "Statuses", side: "every feature has exactly one" },
    total ? [shareBar(parts, "features by status"),
      h("ul", { class: "shares" }, parts.map(({ name, tone, value }) =>
        h("li", { "data-key": name }, h("span", { class: `swatch fill-${tone}` }),
          h("span", { class: "share-name" }, name), h("span", { class: "num" }, count(value)),
          h("span", { class: "num muted" }, percent(value / total, 1)))))]
      : emptyState("Not yet", "Features are told apart once the capture is merged."));
}

const TYPES = [["concrete", "info2"], ["syntactic", "info"], ["abstract", "ready"],
  ["polysemantic", "leased"]];

function typesPanel(sweep) {
  const types = sweep.types ?? {};
  const parts = TYPES.map(([name, tone]) => ({ name, tone, value: types[name]?.n ?? 0 }));
  if (!parts.some(({ value }) => value)) return null;
  const supported = (name) => {
    const { n, n_supported: yes } = types[name];
    return yes === null || !n ? "" : percent(yes / n, 1);
  };
  return panel({ title: "Types", side: "of those that fire; how many, share supported" },
    shareBar(parts, "features by type"),
    h("ul", { class: "shares" }, parts.map(({ name, tone, value }) =>
      h("li", { "data-key": name }, h("span", { class: `swatch fill-${tone}` }),
        h("span", { class: "share-name" }, name), h("span", { class: "num" }, count(value)),
        h("span", { class: "num muted" }, supported(name))))));
}

function splitsPanel(sweep) {
  const names = { explain: "Explain", validate: "Validate", test: "Test",
    ood: "Out of distribution" };
  const rows = Object.entries(sweep.splits ?? {}).filter(([, split]) => split);
  return panel({ title: "Splits", side: "by document, before any capture" },
    rows.some(([, split]) => split.n_documents) ? h("table", { class: "table" },
      h("thead", null, h("tr", null, h("th", { scope: "col" }, "Split"),
        h("th", { scope: "col", class: "num" }, "Documents"),
        h("th", { scope: "col", class: "num" }, "Tokens"))),
      h("tbody", null, rows.map(([name, split]) => h("tr", { "data-key": name },
        h("th", { scope: "row" }, names[name] ?? name),
        h("td", { class: "num" }, count(split.n_documents)),
        h("td", { class: "num" }, count(split.n_tokens))))))
      : emptyState("Not yet", "The corpus is split once it is tokenized."));
}

function moneyPanel({ spend, calls }) {
  const isPaid = calls.done || calls.queued || calls.in_flight || spend.reserved_dollars;
  return isPaid ? panel({ title: "Calls and money" }, facts([
    ["Tokens in", count(spend.tokens_in)], ["Tokens out", count(spend.tokens_out)],
    ["Reserved", dollars(spend.reserved_dollars)],
    ["Uncertain", dollars(spend.uncertain_dollars)],
    ["Answered from store", count(calls.cached)], ["Failed calls", count(calls.failed)],
  ])) : null;
}

function problemsPanel(sweep) {
  const waiting = sweep.waits_for ? [`Waits for ${sweep.waits_for}.`] : [];
  const problems = [...waiting, ...(sweep.problems ?? [])];
  return problems.length ? panel({ title: "Problems", className: "is-bad" },
    h("ul", { class: "problems" }, problems.map((text, i) =>
      h("li", { "data-key": String(i) }, h("bdi", null, text))))) : null;
}

function resultsPanel(id, cursor, isCircuit) {
  const path = resultsPath(id, cursor);
  const results = answer(path);
  return panel({ title: isCircuit ? "Components" : "Results", id: "results" },
    results ? (isCircuit ? componentTable(results) : resultTable(id, results, cursor))
      : refusal(path) ? refused(refusal(path)) : loading());
}

/* --- the view ------------------------------------------------------------------------------ */

export const sweepView = {
  title: ({ sweep }) => {
    const status = answer(statusPath(sweep));
    return status && !isFinal(status) ? `${percent(status.progress)} ${status.name}` : sweep;
  },
  feeds: ({ sweep }, query) => {
    const status = answer(statusPath(sweep));
    const isOver = status && isFinal(status);
    const feeds = [{ path: statusPath(sweep), everyMs: isOver ? 10000 : 1000 },
      { path: resultsPath(sweep, cursorOf(query)), everyMs: isOver ? 30000 : 4000 }];
    if (status?.kind === "circuit" && status.state === "finished")
      feeds.push({ path: circuitPath(sweep), everyMs: 30000 });
    return feeds;
  },
  actions: {
    "go-to-feature": (form) => {
      const feature = form.elements.feature.value.trim();
      if (/^[0-9]+$/.test(feature)) location.hash = to.feature(form.dataset.sweep, feature);
    },
  },
  render: ({ sweep: id }, query) => {
    const sweep = answer(statusPath(id));
    if (!sweep) return refusal(statusPath(id)) ? refused(refusal(statusPath(id))) : loading();
    const isLabel = sweep.kind === "label";
    const isCircuit = sweep.kind === "circuit";
    return [
      heading(sweep, answer(OVERVIEW)?.now ?? null),
      problemsPanel(sweep),
      figures(sweep),
      (isLabel || isCircuit) && phasesPanel(sweep),
      isCircuit && verdictPanel(id, sweep.state === "finished"),
      isLabel && h("div", { class: "columns columns-2" }, statusesPanel(sweep),
        typesPanel(sweep), splitsPanel(sweep), moneyPanel(sweep)),
      agreementPanel(sweep),
      (isLabel || isCircuit) && resultsPanel(id, cursorOf(query), isCircuit),
    ];
  },
};
