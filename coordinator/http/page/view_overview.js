// The overview: is it running, how far, how fast, what has it found, what has it cost.

import { h } from "./dom.js";
import { compact, count, dollars, percent, rate } from "./format.js";
import { rateSeries, recentRate } from "./history.js";
import { answer, store } from "./store.js";
import { sparkline, stackedArea } from "./chart.js";
import { emptyState, loading, panel, tiles } from "./elements.js";
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

function spendTile({ sweeps, spend }) {
  const budgets = sweeps.map((sweep) => sweep.budget_dollars).filter((budget) => budget !== null);
  const budget = budgets.reduce((sum, one) => sum + one, 0);
  const held = spend.reserved_dollars ? `, ${dollars(spend.reserved_dollars)} reserved` : "";
  return { name: "Spend", value: dollars(spend.dollars),
    note: budgets.length ? `of ${dollars(budget)}${held}` : "no paid provider",
    meterValue: budget > 0 ? spend.dollars / budget : null,
    tone: budget > 0 && spend.dollars > 0.9 * budget ? "is-warn" : "" };
}

function figures(overview) {
  const { sweeps, workers, queue, calls, history } = overview;
  const running = sweeps.filter((sweep) => sweep.state === "running").length;
  const waiting = sweeps.filter((sweep) => !isFinal(sweep)).length - running;
  const busy = workers.filter((worker) => worker.state === "busy").length;
  const total = queue.ready + queue.leased + queue.done + queue.dead;
  return tiles([
    { name: "Sweeps running", value: count(running),
      note: waiting ? `${count(waiting)} waiting` : `${count(sweeps.length)} in all` },
    { name: "Units waiting", value: compact(queue.ready),
      note: total ? `${compact(queue.leased)} leased, ${percent(queue.done / total)} done`
        : "nothing queued" },
    { name: "Labels", value: rate(recentRate(history, "labelled")), note: "last 15 s" },
    { name: "Workers busy", value: `${count(busy)} / ${count(workers.length)}`,
      note: workers.length ? "connected" : "none connected",
      tone: workers.length ? "" : "is-warn" },
    { name: "Calls in flight", value: compact(calls.in_flight),
      note: `${compact(calls.queued)} queued, ${compact(calls.cached)} cached` +
        (calls.failed ? `, ${compact(calls.failed)} failed` : "") },
    spendTile(overview),
  ]);
}

function queuePanel({ history }) {
  const enough = history.length > 1;
  const last = history.at(-1);
  return panel({ title: "Queue", side: "units by state, last 10 minutes", className: "span-2" },
    enough ? stackedArea({ points: history, series: SERIES, hidden: store.ui.hiddenSeries,
      hover: store.ui.hoverFraction,
      label: `Units by state: ${SERIES.map(({ key, name }) => `${last[key]} ${name}`).join(", ")}` })
      : emptyState("Gathering", "The chart begins with the second point."));
}

function trend(name, value, series, tone) {
  const isEnough = series.values.length > 1;
  return h("div", { class: "trend", "data-key": name },
    h("div", { class: "trend-head" }, h("span", null, name), h("strong", null, value)),
    isEnough ? sparkline({ ...series, tone, label: `${name}, now ${value}` })
      : h("div", { class: "sparkline" }));
}

function pacePanel({ history, calls, spend }) {
  const plain = (key) => ({ points: history, values: history.map((point) => point[key]) });
  return panel({ title: "Pace", side: "last 10 minutes" },
    trend("Labels", rate(recentRate(history, "labelled")), rateSeries(history, "labelled"), "done"),
    trend("Units settled", rate(recentRate(history, "done")), rateSeries(history, "done"), "leased"),
    trend("Calls in flight", compact(calls.in_flight), plain("calls_in_flight"), "info"),
    trend("Spend", dollars(spend.dollars), plain("dollars"), "ready"));
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
        queuePanel(overview),
        pacePanel(overview),
        panel({ title: "Sweeps", side: sweeps.length ? `${count(sweeps.length)} newest first` : null,
          className: "span-2" }, sweepList(sweeps, now)),
        panel({ title: "Newest labels", className: "tall" }, labelFeed(labels, now))),
      panel({ title: "Workers" }, workerTable(workers, now)),
    ];
  },
};
