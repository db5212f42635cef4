// Sweeps as a list: state, phase, progress, what they found and cost.

import { h } from "./dom.js";
import { ago, compact, dollars, duration, percent, roughly, timeOf } from "./format.js";
import { badge, emptyState, meter } from "./elements.js";
import { to } from "./router.js";

export const isFinal = (sweep) => ["finished", "failed", "cancelled"].includes(sweep.state);

/** "3m 20s left", "took 4m 02s", "created 5s ago" */
export function timing(sweep, now) {
  if (isFinal(sweep)) {
    const seconds = (timeOf(sweep.finished_at) - timeOf(sweep.started_at)) / 1000;
    return sweep.started_at && sweep.finished_at
      ? `took ${duration(seconds)}` : `ended ${ago(sweep.finished_at, now)}`;
  }
  if (sweep.eta_seconds !== null) return `${roughly(sweep.eta_seconds)} left`;
  return sweep.started_at ? `started ${ago(sweep.started_at, now)}`
    : `created ${ago(sweep.created_at, now)}`;
}

/** What has come of it so far, as short phrases. */
export function outcome(sweep) {
  const list = [];
  if (sweep.n_features) {
    list.push(`${compact(sweep.n_labelled)} of ${compact(sweep.n_features)} features labelled`);
  } else if (sweep.n_units) {
    list.push(`${compact(sweep.n_units_done)} of ${compact(sweep.n_units)} units`);
  }
  if (sweep.n_supported !== null) list.push(`${compact(sweep.n_supported)} supported`);
  if (sweep.n_units_dead) list.push(`${compact(sweep.n_units_dead)} dead`);
  return list;
}

function money(sweep) {
  if (sweep.budget_dollars === null && !sweep.spent_dollars) return null;
  const budget = sweep.budget_dollars === null ? "" : ` of ${dollars(sweep.budget_dollars)}`;
  return dollars(sweep.spent_dollars) + budget;
}

function entry(sweep, now) {
  const facts = [...outcome(sweep), money(sweep), sweep.explainer && `by ${sweep.explainer}`,
    sweep.control && `control: ${sweep.control}`];
  return h("li", { "data-key": sweep.id, class: "sweep" },
    h("a", { class: "sweep-link", href: to.sweep(sweep.id) },
      h("div", { class: "sweep-head" },
        h("span", { class: "sweep-name" }, sweep.name),
        h("span", { class: "mono muted" }, sweep.id), badge(sweep.state),
        !isFinal(sweep) && h("span", { class: "muted" }, sweep.phase)),
      h("div", { class: "sweep-bar" },
        meter(sweep.progress, { label: `progress of ${sweep.id}`,
          tone: sweep.state === "running" ? "" : "quiet" }),
        h("span", { class: "num" }, percent(sweep.progress)),
        h("span", { class: "num muted sweep-time" }, timing(sweep, now))),
      h("div", { class: "sweep-facts muted" }, facts.filter(Boolean).join(" \u00b7 ")),
      sweep.reason && h("div", { class: "sweep-reason" }, sweep.reason)));
}

export function sweepList(sweeps, now) {
  if (!sweeps.length) {
    return emptyState("No sweep yet", "Submit the example: ",
      h("code", null, "interpctl submit config/sweeps/demo.yaml"));
  }
  return h("ul", { class: "sweeps" }, sweeps.map((sweep) => entry(sweep, now)));
}
