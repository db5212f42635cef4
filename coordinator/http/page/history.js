// Rates out of the overview's history of counters. A counter that falls (a sweep ended and left
// the sum) counts as no progress, never as a negative one. Pure functions.

import { timeOf } from "./format.js";

/** Rises of `key` between neighbouring points, per second: [{at, value}]. */
function rises(points, key) {
  return points.slice(1).map((point, i) => {
    const seconds = (timeOf(point.at) - timeOf(points[i].at)) / 1000;
    const rise = point[key] - points[i][key];
    return { at: point.at, seconds, rise: Math.max(0, rise) };
  }).filter(({ seconds }) => seconds > 0);
}

/** Mean rise per second over the last `windowSeconds`; null with fewer than two points. */
export function recentRate(points, key, windowSeconds = 15) {
  if (points.length < 2) return null;
  const from = timeOf(points.at(-1).at) - windowSeconds * 1000;
  const steps = rises(points.filter((point) => timeOf(point.at) >= from), key);
  const seconds = steps.reduce((sum, step) => sum + step.seconds, 0);
  return seconds > 0 ? steps.reduce((sum, step) => sum + step.rise, 0) / seconds : null;
}

/** The rate over time in about `n` steps: {points: [{at}], values: [per second]}. */
export function rateSeries(points, key, n = 60) {
  const steps = rises(points, key);
  const width = Math.max(1, Math.ceil(steps.length / n));
  const groups = [];
  for (let end = steps.length; end > 0; end -= width) {
    groups.unshift(steps.slice(Math.max(0, end - width), end));
  }
  return {
    points: groups.map((group) => ({ at: group.at(-1).at })),
    values: groups.map((group) => group.reduce((sum, step) => sum + step.rise, 0) /
      group.reduce((sum, step) => sum + step.seconds, 0)),
  };
}
