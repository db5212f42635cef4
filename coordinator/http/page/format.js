// Numbers, times and durations as people read them. An unknown value (null) is an em dash,
// never 0. Pure functions.

export const UNKNOWN = "\u2014";

const isKnown = (value) => typeof value === "number" && Number.isFinite(value);
const grouped = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

/** 16384 -> "16,384" */
export function count(value) {
  return isKnown(value) ? grouped.format(value) : UNKNOWN;
}

/** 1234 -> "1.2k", 16384 -> "16.4k", 2500000 -> "2.5M" */
export function compact(value) {
  if (!isKnown(value)) return UNKNOWN;
  const size = Math.abs(value);
  if (size < 1000) return size < 10 && size % 1 ? value.toFixed(1) : String(Math.round(value));
  for (const [unit, suffix] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (size < unit * 0.99995) continue;
    const scaled = value / unit;
    return scaled.toFixed(Math.abs(scaled) < 99.95 ? 1 : 0).replace(/\.0$/, "") + suffix;
  }
  return String(value);
}

/** Per second: 0.42 -> "0.42/s" */
export function rate(value) {
  if (!isKnown(value)) return UNKNOWN;
  if (value === 0) return "0/s";
  return (value < 0.995 ? value.toFixed(2) : value < 9.95 ? value.toFixed(1) : compact(value)) +
    "/s";
}

/** A part of a whole: 0.6249 -> "62 %". What is not all never reads 100 %, nor a little 0 %. */
export function percent(fraction, digits = 0) {
  if (!isKnown(fraction)) return UNKNOWN;
  const step = 10 ** -digits;
  const rounded = Number((fraction * 100).toFixed(digits));
  if (fraction > 0 && rounded === 0) return `<${step}\u202f%`;
  const shown = fraction < 1 && rounded >= 100 ? 100 - step : rounded;
  return `${shown.toFixed(digits)}\u202f%`;
}

/** A small share: 0.00012 -> "0.012 %" */
export function share(fraction) {
  if (!isKnown(fraction)) return UNKNOWN;
  if (fraction === 0) return "0\u202f%";
  return `${Number((fraction * 100).toPrecision(2))}\u202f%`;
}

const pad = (value) => String(value).padStart(2, "0");

/** Seconds: 200 -> "3m 20s", 0.35 -> "350 ms", 7400 -> "2h 03m" */
export function duration(seconds) {
  if (!isKnown(seconds)) return UNKNOWN;
  if (seconds < 0.9995) return `${Math.round(Math.max(0, seconds) * 1000)}\u202fms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)}s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${pad(whole % 60)}s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)}h ${pad(Math.floor(whole / 60) % 60)}m`;
  return `${Math.floor(whole / 86400)}d ${Math.floor(whole / 3600) % 24}h`;
}

/** Whole seconds: for what is not known more finely ("left", "ago"). */
export function roughly(seconds) {
  if (!isKnown(seconds)) return UNKNOWN;
  const whole = Math.max(1, Math.round(seconds));
  return whole < 60 ? `${whole}s` : duration(whole);
}

/** RFC 3339 -> milliseconds, or null */
export function timeOf(text) {
  const value = text ? Date.parse(text) : NaN;
  return Number.isFinite(value) ? value : null;
}

/** How long before `now` (both RFC 3339): "12s ago" */
export function ago(text, now) {
  const then = timeOf(text);
  const current = timeOf(now);
  if (then === null || current === null) return UNKNOWN;
  const seconds = (current - then) / 1000;
  return seconds < 1 ? "now" : `${roughly(seconds)} ago`;
}

/** RFC 3339 -> local "14:05:09" */
export function clock(text) {
  const then = timeOf(text);
  if (then === null) return UNKNOWN;
  const date = new Date(then);
  return `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
}

export function dollars(value) {
  if (!isKnown(value)) return UNKNOWN;
  if (value === 0) return "$0";
  if (value < 0.01) return `$${value.toPrecision(2)}`;
  return value < 1000 ? `$${value.toFixed(2)}` : `$${grouped.format(value)}`;
}

/** 11243520 -> "10.7 MiB" */
export function bytes(value) {
  if (!isKnown(value)) return UNKNOWN;
  let size = value;
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (size < 1024) return `${unit === "B" ? size : size.toFixed(size < 99.95 ? 1 : 0)} ${unit}`;
    size /= 1024;
  }
  return `${size.toFixed(1)} TiB`;
}

/** A score between 0 and 1: two digits, or the dash. */
export function score(value, digits = 2) {
  return isKnown(value) ? value.toFixed(digits) : UNKNOWN;
}

/** An activation or statistic, to so many significant digits: 2.4 -> "2.40" */
export function significant(value, digits = 3) {
  if (!isKnown(value)) return UNKNOWN;
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size < 1e-3 || size >= 1e6) return value.toExponential(digits - 1);
  return size >= 10 ** digits ? grouped.format(value) : value.toPrecision(digits);
}
