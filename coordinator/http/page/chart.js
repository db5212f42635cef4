// Charts drawn by hand as SVG: a stacked area over time and a line. The shapes stretch with
// their box (preserveAspectRatio none); words and numbers stand beside them as HTML, so they
// keep their size on every screen.

import { h, svg } from "./dom.js";
import { clock, compact, timeOf } from "./format.js";

const WIDTH = 600;
const HEIGHT = 160;

/** The next round number at or above: 1, 2, 5 times a power of ten. */
function niceTop(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  for (const factor of [1, 1.5, 2, 3, 4, 5, 6, 8, 10]) {
    if (factor * power >= value * 0.9999) return factor * power;
  }
  return 10 * power;
}

/** Points worth drawing: about one per two units of width, the last one always. */
function thin(points) {
  const step = Math.max(1, Math.ceil(points.length / (WIDTH / 2)));
  return points.filter((_, i) => (points.length - 1 - i) % step === 0);
}

function scaleX(points) {
  const first = timeOf(points[0].at);
  const span = Math.max(1, timeOf(points.at(-1).at) - first);
  return (point) => ((timeOf(point.at) - first) / span) * WIDTH;
}

const at = (value) => value.toFixed(1);

function areaPath(points, lower, upper, x, y) {
  const forth = points.map((point, i) => `${at(x(point))} ${at(y(upper[i]))}`);
  const back = points.map((point, i) => `${at(x(point))} ${at(y(lower[i]))}`).reverse();
  return `M${forth.join("L")}L${back.join("L")}Z`;
}

const linePath = (points, values, x, y) =>
  `M${points.map((point, i) => `${at(x(point))} ${at(y(values[i]))}`).join("L")}`;

function gridLines() {
  return [0.25, 0.5, 0.75].map((part) => svg("line", { class: "grid", x1: 0, x2: WIDTH,
    y1: HEIGHT * part, y2: HEIGHT * part }));
}

function pointUnder(points, fraction) {
  if (fraction === null || points.length < 2) return null;
  const first = timeOf(points[0].at);
  const wanted = first + fraction * (timeOf(points.at(-1).at) - first);
  return points.reduce((best, point) =>
    Math.abs(timeOf(point.at) - wanted) < Math.abs(timeOf(best.at) - wanted) ? point : best);
}

function cursorLine(point, x) {
  return point && svg("line", { class: "cursor", x1: x(point), x2: x(point), y1: 0, y2: HEIGHT });
}

function legend(series, hidden, point) {
  return h("div", { class: "legend", role: "group", "aria-label": "States shown" },
    series.map(({ key, name, tone }) => h("button", { type: "button", class: "legend-item",
      "data-key": key, "data-action": "toggle-series", "data-series": key,
      "aria-pressed": String(!hidden.has(key)), title: `show or hide: ${name}` },
    h("span", { class: `swatch fill-${tone}` }), name,
    h("span", { class: "legend-value" }, compact(point[key])))));
}

/**
 * Stacked areas. points: [{at, KEY: number}], oldest first; series: [{key, name, tone}], lowest
 * first; hidden: Set of keys; hover: fraction of the width under the pointer, or null.
 */
export function stackedArea({ points, series, hidden, hover, label }) {
  const shown = thin(points);
  const visible = series.filter(({ key }) => !hidden.has(key));
  let sums = shown.map(() => 0);
  const layers = visible.map(({ key, tone }) => {
    const lower = sums;
    sums = lower.map((sum, i) => sum + shown[i][key]);
    return { tone, lower, upper: sums };
  });
  const top = niceTop(Math.max(1, ...sums));
  const x = scaleX(shown);
  const y = (value) => HEIGHT - (value / top) * HEIGHT;
  const under = pointUnder(shown, hover);
  const drawing = svg("svg", { class: "plot", viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    preserveAspectRatio: "none", role: "img", "aria-label": label, "data-hover": true },
  gridLines(),
  layers.map(({ tone, lower, upper }) => svg("path", { class: `area fill-${tone}`,
    d: areaPath(shown, lower, upper, x, y) })),
  layers.filter(({ lower, upper }) => upper.some((sum, i) => sum > lower[i]))
    .map(({ tone, upper }) => svg("path", { class: `line stroke-${tone}`,
      d: linePath(shown, upper, x, y) })),
  cursorLine(under, x));
  return h("div", { class: "chart" },
    legend(series, hidden, under ?? points.at(-1)),
    h("div", { class: "chart-body" },
      h("div", { class: "axis-y", "aria-hidden": "true" }, h("span", null, compact(top)),
        h("span", null, top > 1 ? compact(top / 2) : ""), h("span", null, "0")),
      drawing,
      h("div", { class: "axis-x", "aria-hidden": "true" }, h("span", null, clock(shown[0].at)),
        h("span", null, under ? `at ${clock(under.at)}` : ""),
        h("span", null, clock(shown.at(-1).at)))));
}

/** A small line with its area. values: numbers, oldest first. */
export function sparkline({ points, values, tone, label }) {
  const top = Math.max(1e-9, ...values) * 1.08;
  const x = scaleX(points);
  const y = (value) => HEIGHT - (value / top) * HEIGHT;
  const zeros = values.map(() => 0);
  return svg("svg", { class: "sparkline", viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    preserveAspectRatio: "none", role: "img", "aria-label": label },
  svg("path", { class: `area fill-${tone}`, d: areaPath(points, zeros, values, x, y) }),
  svg("path", { class: `line stroke-${tone}`, d: linePath(points, values, x, y) }));
}
