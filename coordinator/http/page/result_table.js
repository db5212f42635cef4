// One page of a sweep's results, feature by feature.

import { h } from "./dom.js";
import { count, share, significant, UNKNOWN } from "./format.js";
import { badge, emptyState } from "./elements.js";
import { headline, scoreCell } from "./scores.js";
import { to } from "./router.js";

export const PAGE_ROWS = 50;

export const resultsPath = (sweep, cursor) =>
  `/api/v1/sweeps/${encodeURIComponent(sweep)}/results?cursor=${cursor}&limit=${PAGE_ROWS}`;

function row(sweep, record) {
  const cell = (name, className, ...children) =>
    h("td", { class: className, "data-label": name }, children);
  const { hook_point: hook } = record.target;
  return h("tr", { "data-key": `${hook}/${record.feature}` },
    h("th", { scope: "row", class: "num" },
      h("a", { href: to.feature(sweep, record.feature) }, record.feature)),
    cell("Label", "label-cell", record.label === null ? h("span", { class: "muted" }, UNKNOWN)
      : h("bdi", null, record.label)),
    cell("Status", null, badge(record.status)),
    cell("Type", null, record.typing ? record.typing.type : UNKNOWN),
    cell("Detection", "num", scoreCell(headline(record, "detection"))),
    cell("Fuzzing", "num", scoreCell(headline(record, "fuzzing"))),
    cell("Supported", null, record.supported ? badge("supported") : UNKNOWN),
    cell("Density", "num", share(record.firing.density)),
    cell("Max", "num", significant(record.firing.max)));
}

function pages(sweep, results, cursor) {
  const { rows, next_cursor: next, total } = results;
  const before = Math.max(0, cursor - PAGE_ROWS);
  const step = (name, target) => target === null
    ? h("span", { class: "step is-off", "data-key": name }, name)
    : h("a", { class: "step", href: to.sweep(sweep, target), "data-key": name }, name);
  const last = Math.max(0, Math.floor((total - 1) / PAGE_ROWS) * PAGE_ROWS);
  return h("nav", { class: "pages", "aria-label": "Pages of results" },
    h("span", { class: "num muted" },
      `${count(cursor + 1)}\u2013${count(next ?? cursor + rows.length)} of ${count(total)}`),
    step("First", cursor > 0 ? 0 : null), step("Previous", cursor > 0 ? before : null),
    step("Next", next), step("Last", cursor < last ? last : null),
    h("form", { class: "go-to", "data-action": "go-to-feature", "data-sweep": sweep },
      h("label", null, "Feature ", h("input", { name: "feature", type: "text",
        inputmode: "numeric", pattern: "[0-9]*", size: "6", autocomplete: "off",
        placeholder: "number" })),
      h("button", { type: "submit" }, "Show")));
}

export function resultTable(sweep, results, cursor) {
  if (!results.total || (!results.rows.length && cursor === 0)) {
    return emptyState("No result yet", "Features appear here as they are labelled.");
  }
  const columns = ["Feature", "Label", "Status", "Type", "Detection", "Fuzzing", "Supported", "Density",
    "Max"];
  const numeric = new Set(["Feature", "Detection", "Fuzzing", "Density", "Max"]);
  return [
    h("div", { class: "table-box" }, h("table", { class: "table table-cards results" },
      h("thead", null, h("tr", null, columns.map((name) =>
        h("th", { scope: "col", class: numeric.has(name) ? "num" : null }, name)))),
      h("tbody", null, results.rows.map((record) => row(sweep, record))))),
    pages(sweep, results, cursor),
  ];
}
