// Units that were given up after their attempts, with the last error of each.

import { h } from "./dom.js";
import { clock, count } from "./format.js";
import { answer, refusal } from "./store.js";
import { emptyState, loading, panel, refused } from "./elements.js";
import { to } from "./router.js";

const DEAD = "/api/v1/dead";

function row(unit) {
  const cell = (name, className, ...children) =>
    h("td", { class: className, "data-label": name }, children);
  return h("tr", { "data-key": `${unit.task}/${unit.unit}` },
    h("th", { scope: "row" }, h("a", { href: to.sweep(unit.sweep) }, unit.sweep)),
    cell("Task", "mono", unit.task), cell("Unit", "num", count(unit.unit)),
    cell("Worker", "mono", unit.worker), cell("At", "num", clock(unit.at)),
    cell("Error", "error-text", h("bdi", null, unit.error)));
}

function table(units) {
  return h("div", { class: "table-box" }, h("table", { class: "table table-cards" },
    h("thead", null, h("tr", null, ["Sweep", "Task", "Unit", "Worker", "At", "Error"].map((name) =>
      h("th", { scope: "col", class: name === "Unit" || name === "At" ? "num" : null }, name)))),
    h("tbody", null, units.map(row))));
}

export const deadView = {
  title: () => "Dead tasks",
  feeds: () => [{ path: DEAD, everyMs: 2000 }],
  render: () => {
    const dead = answer(DEAD);
    if (!dead) return refusal(DEAD) ? refused(refusal(DEAD)) : loading();
    const more = dead.total - dead.units.length;
    return [
      h("h1", null, "Dead tasks"),
      panel({ title: `${count(dead.total)} given up`,
        side: "give them another life: interpctl retry SWEEP" },
      dead.total ? table(dead.units)
        : emptyState("Nothing is dead", "Every unit was settled or is still being tried."),
      more > 0 && h("p", { class: "muted" }, `and ${count(more)} more whose errors are not kept`)),
    ];
  },
};
