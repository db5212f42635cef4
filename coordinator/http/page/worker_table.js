// The table of workers: who computes, what, and how fast.

import { h } from "./dom.js";
import { ago, bytes, compact, count, percent, rate, timeOf, UNKNOWN } from "./format.js";
import { badge, emptyState } from "./elements.js";
import { to } from "./router.js";

/** Units per second of the time spent computing; null before the first result. */
const throughput = (worker) =>
  worker.busy_seconds > 0 && worker.n_settled ? worker.n_settled / worker.busy_seconds : null;

function busyShare(worker, now) {
  const seconds = (timeOf(now) - timeOf(worker.connected_at)) / 1000;
  return seconds > 0 ? Math.min(1, worker.busy_seconds / seconds) : null;
}

function currentTask(worker) {
  if (!worker.task) return h("span", { class: "muted" }, UNKNOWN);
  const [sweep, phase = ""] = worker.task.split("/");
  return [h("a", { href: to.sweep(sweep) }, sweep), ` ${phase} `,
    worker.unit === null ? null : h("span", { class: "muted" }, `#${count(worker.unit)}`)];
}

function row(worker, now) {
  const cell = (name, className, ...children) =>
    h("td", { class: className, "data-label": name }, children);
  return h("tr", { "data-key": worker.name },
    h("th", { scope: "row" }, h("span", { class: "mono" }, worker.name)),
    cell("State", null, badge(worker.state)),
    cell("Running", null, currentTask(worker)),
    cell("Speed", "num", throughput(worker) === null ? UNKNOWN : rate(throughput(worker))),
    cell("Busy", "num", percent(busyShare(worker, now))),
    cell("Settled", "num", compact(worker.n_settled)),
    cell("Failed", `num ${worker.n_failed ? "is-bad" : ""}`, compact(worker.n_failed)),
    cell("Memory", "num", bytes(worker.memory_bytes)),
    cell("Device", null, `${worker.isa || worker.backend}, ${worker.n_threads}\u00a0` +
      (worker.n_threads === 1 ? "thread" : "threads")),
    cell("Connected", "num", ago(worker.connected_at, now)));
}

export function workerTable(workers, now) {
  if (!workers.length) {
    return emptyState("No worker is connected", "Start one with ",
      h("code", null, "interp-worker --connect ENDPOINT"), ", or a whole cluster with ",
      h("code", null, "interpctl up"), ".");
  }
  const columns = [["Worker"], ["State"], ["Running"], ["Speed", "units per second of computing"],
    ["Busy", "share of the time since it connected"], ["Settled"], ["Failed"], ["Memory"],
    ["Device"], ["Connected"]];
  const numeric = new Set(["Speed", "Busy", "Settled", "Failed", "Memory", "Connected"]);
  return h("div", { class: "table-box" }, h("table", { class: "table table-cards" },
    h("thead", null, h("tr", null, columns.map(([name, hint]) =>
      h("th", { scope: "col", title: hint, class: numeric.has(name) ? "num" : null }, name)))),
    h("tbody", null, workers.map((worker) => row(worker, now)))));
}
