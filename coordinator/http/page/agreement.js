// Whether several judges say the same of the same windows: Cohen's kappa, and Fleiss' of all.

import { h } from "./dom.js";
import { panel } from "./elements.js";
import { count, score } from "./format.js";

/** Every kappa there is: [{judges, score, kappa}]. */
export function kappas(agreement) {
  const { judges, ...scores } = agreement;
  return Object.entries(scores).flatMap(([name, { cohen, fleiss }]) => [
    ...cohen.map((kappa, i) => ({ judges: `${judges[0]} and ${judges[i + 1]}`, name, kappa })),
    ...(fleiss ? [{ judges: `all ${judges.length}`, name, kappa: fleiss }] : []),
  ]);
}

const range = (interval) => interval
  ? `${score(interval[0])}\u2013${score(interval[1])}` : "undefined";

function row({ judges, name, kappa }) {
  return h("tr", { "data-key": `${judges}/${name}` }, h("td", null, h("bdi", null, judges)),
    h("td", null, name), h("td", { class: "num" }, score(kappa.kappa)),
    h("td", { class: "num" }, range(kappa.interval)),
    h("td", { class: "num" }, score(kappa.observed)),
    h("td", { class: "num" }, score(kappa.expected)),
    h("td", { class: "num" }, count(kappa.n_windows)),
    h("td", { class: "num" }, count(kappa.n_left_out)));
}

const COLUMNS = ["Judges", "Score", "Kappa", "95 %", "Observed", "By chance", "Windows",
  "Left out"];

/** Of a record or of a sweep's status; null where one judge is all. */
export function agreementPanel({ agreement }) {
  if (!agreement) return null;
  return panel({ title: "Judges", side: "agreement beyond chance, on test windows" },
    h("table", { class: "table" },
      h("thead", null, h("tr", null, COLUMNS.map((name, i) =>
        h("th", { scope: "col", class: i > 1 ? "num" : null }, name)))),
      h("tbody", null, kappas(agreement).map(row))));
}
