// The overview: is it running, how far, how fast, what has it found, what has it cost.

import { h } from "./dom.js";
import { compact, count, dollars, percent, rate } from "./format.js";
import { rateSeries, recentRate } from "./history.js";
import { answer, store } from "./store.js";
import { sparkline, stackedArea } from "./chart.js";
import { emptyState, loading, meter, panel, tiles } from "./elements.js";
import { labelFeed } from "./label_feed.js";
import { isFinal, sweepList } from "./sweep_list.js";
import { workerTable } from "./worker_table.js";

export const OVERVIEW = "/api/v1/overview";

export const SERIES = [
  { key: "done", name: "Done", tone: "done" },
  { key: "leased", name: "Leased", tone: "leased" },
  { key: "ready", name: "Ready", tone: "ready" },
  { key: "dead", name: "Dead", tone: "dead" },
];

const spark = (series, tone, label) =>
  series.values.length > 1 ? sparkline({ ...series, tone, label }) : null;

function spendTile({ sweeps, spend, history }) {
  const budgets = sweeps.map((sweep) => sweep.budget_dollars).filter((budget) => budget !== null);
  const budget = budgets.reduce((sum, one) => sum + one, 0);
  const held = spend.reserved_dollars ? `, ${dollars(spend.reserved_dollars)} reserved` : "";
  const series = { points: history, values: history.map((point) => point.dollars) };
  return { name: "Spend", value: dollars(spend.dollars),
    note: budgets.length ? `of ${dollars(budget)}${held}` : "no paid provider",
    foot: budget > 0 ? meter(spend.dollars / budget, { label: "spend against budget" })
      : spark(series, "ready", "spend"),
    tone: budget > 0 && spend.dollars > 0.9 * budget ? "is-warn" : "" };
}

function callsTile({ calls, history }) {
  const series = { points: history, values: history.map((point) => point.calls_in_flight) };
  return { name: "Calls in flight", value: compact(calls.in_flight),
    note: `${compact(calls.queued)} queued, ${compact(calls.done)} done` +
      (calls.failed ? `, ${compact(calls.failed)} failed` : ""),
    foot: spark(series, "info", "calls in flight") };
}

function sweepsTile({ sweeps }) {
  const open = sweeps.filter((sweep) => !isFinal(sweep));
  const running = open.filter((sweep) => sweep.state === "running");
  const part = running.reduce((sum, sweep) => sum + sweep.progress, 0) / running.length;
  return { name: "Sweeps running", value: count(running.length),
    note: open.length > running.length ? `${count(open.length - running.length)} waiting`
      : `${count(sweeps.length)} in all`,
    foot: meter(running.length ? part : 0, { label: "mean progress of running sweeps" }) };
}

function workersTile({ workers }) {
  const busy = workers.filter((worker) => worker.state === "busy").length;
  return { name: "Workers busy", value: `${count(busy)} / ${count(workers.length)}`,
    note: workers.length ? "connected" : "none connected", tone: workers.length ? "" : "is-warn",
    foot: meter(workers.length ? busy / workers.length : 0, { label: "busy workers" }) };
}

export function figures(overview) {
  const { queue, history } = overview;
  return tiles([
    sweepsTile(overview),
    { name: "Labels", value: rate(recentRate(history, "labelled")), note: "mean of 15 s",
      foot: spark(rateSeries(history, "labelled"), "done", "labels per second") },
    { name: "Units settled", value: rate(recentRate(history, "done")),
      note: `${compact(queue.ready)} ready, ${compact(queue.leased)} leased`,
      foot: spark(rateSeries(history, "done"), "leased", "units per second") },
    workersTile(overview),
    callsTile(overview),
    spendTile(overview),
  ]);
}

/** The chart ends with this moment, so that its legend says what the tiles say. */
export function queuePanel({ history, queue, now }) {
  const points = [...history, { at: now, ...queue }];
  const isUsed = points.some((point) => SERIES.some(({ key }) => point[key] > 0));
  const states = SERIES.map(({ key, name }) => `${queue[key]} ${name}`).join(", ");
  const { hiddenSeries: hidden, hoverFraction: hover } = store.ui;
  return panel({ title: "Queue", side: "units by state, last 10 minutes" },
    history.length > 1 && isUsed
      ? stackedArea({ points, series: SERIES, hidden, hover,
        label: `Units by state: ${states}` })
      : emptyState("The queue is empty", "No unit of work waited, ran or failed."));
}

export const overviewView = {
  title: () => {
    const running = answer(OVERVIEW)?.sweeps?.find((sweep) => sweep.state === "running");
    return running ? `${percent(running.progress)} ${running.name}` : "Overview";
  },
  actions: {
    "toggle-series": (element) => {
      const { hiddenSeries } = store.ui;
      const key = element.dataset.series;
      if (!hiddenSeries.delete(key)) hiddenSeries.add(key);
    },
  },
  render: () => {
    const overview = answer(OVERVIEW);
    if (!overview) return loading();
    const { now, sweeps, workers, recent_labels: labels } = overview;
    return [
      h("h1", { class: "hidden" }, "Overview"),
      figures(overview),
      h("div", { class: "columns" },
        h("div", { class: "stack" }, queuePanel(overview),
          panel({ title: "Sweeps", side: sweeps.length > 1 ? "newest first" : null },
            sweepList(sweeps, now))),
        panel({ title: "Newest labels", side: "as they arrive", className: "fills" },
          labelFeed(labels, now))),
      panel({ title: "Workers" }, workerTable(workers, now)),
    ];
  },
};
