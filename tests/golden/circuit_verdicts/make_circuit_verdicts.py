#!/usr/bin/env python3
"""Reference numbers of tests/unit/test_circuit_*.c, in plain numpy: verdicts, curves, selections,
metrics and splits of coordinator/circuit/. It shares nothing with the C but the definitions
(and the seeded stream of coordinator/session/draw.h, written out below). Writes cases.json
beside itself; the same numpy gives the same bytes.

    python tests/golden/circuit_verdicts/make_circuit_verdicts.py
"""
import hashlib
import json
import math
import pathlib

import numpy as np

MASK = (1 << 64) - 1
DRAW_BOOTSTRAP, DRAW_CIRCUIT = 4, 9
QUANTILES = [0.05, 0.25, 0.5, 0.75, 0.95]
RULES = {"ratio_min": 0.8, "random_quantile": 0.95, "stability_min": 0.8, "flat_errors": 3.0,
         "min_searches": 20}


# --- the seeded stream ------------------------------------------------------------------------

def mix64(x):
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


class Draw:
    def __init__(self, seed, purpose, subject):
        self.state = mix64(mix64(seed ^ mix64(purpose)) ^ mix64(subject))

    def next(self):
        value = mix64(self.state)
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        return value

    def below(self, n):
        reject = (2 ** 32 - n) % n
        while True:
            product = (self.next() >> 32) * n
            if product % 2 ** 32 >= reject:
                return product >> 32


# --- estimates ----------------------------------------------------------------------------------

def standard_error(values, units):
    n_units = max(units) + 1
    if n_units < 2:
        return None
    off = values - values.mean()
    sums = np.array([off[units == u].sum() for u in range(n_units)])
    return math.sqrt(n_units / (n_units - 1) * (sums ** 2).sum()) / len(values)


def bootstrap(numerator, denominator, units, seed, n_resamples):
    """2.5 and 97.5 percentiles of sum(numerator) / sum(denominator) over drawn units."""
    n_units = max(units) + 1
    above = np.array([numerator[units == u].sum() for u in range(n_units)])
    below = np.array([denominator[units == u].sum() for u in range(n_units)])
    draw = Draw(seed, DRAW_BOOTSTRAP, 1)
    values = []
    while len(values) < n_resamples:
        drawn = [draw.below(n_units) for _ in range(n_units)]
        if below[drawn].sum() != 0:
            values.append(above[drawn].sum() / below[drawn].sum())
    return [float(q) for q in np.quantile(values, [0.025, 0.975])]


def ratio(numerator, denominator, case):
    units = np.array(case["units"])
    per_prompt = (numerator / denominator)[denominator != 0]
    return {"ratio": numerator.mean() / denominator.mean(),
            "interval": bootstrap(numerator, denominator, units, case["seed"], case["n_resamples"]),
            "mean_of_ratios": per_prompt.mean(), "n_ratios": len(per_prompt),
            "quantiles": list(np.quantile(per_prompt, QUANTILES))}


def mean(values, case):
    return {"value": values.mean(),
            "interval": bootstrap(values, np.ones_like(values), np.array(case["units"]),
                                  case["seed"], case["n_resamples"])}


def compare_with_random(own, others):
    others = np.array(others)
    limit = np.quantile(others, RULES["random_quantile"])
    below = (others < own).sum() + 0.5 * (others == own).sum()
    return {"random_limit": limit, "percentile": 100.0 * below / len(others),
            "above_random": bool(own > limit)}


# --- curves -------------------------------------------------------------------------------------

FRACTIONS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0]


def curve(full, empty, runs, flat):
    f = (runs.mean(axis=1) - empty.mean()) / (full.mean() - empty.mean())
    return {"f": None if flat else f.tolist(),
            "cpr": None if flat else float(np.trapezoid(f, FRACTIONS)),
            "cmd": None if flat else float(np.trapezoid(np.abs(1 - f), FRACTIONS))}


# --- a verdict ----------------------------------------------------------------------------------

def value_verdict(case, measures):
    full = np.array(case["full"])
    run = {key: np.array(rows) for key, rows in measures.items()}
    span = full - run["empty"]
    error = standard_error(span, np.array(case["units"]))
    flat = error is None or span.mean() == 0 or abs(span.mean()) < RULES["flat_errors"] * error
    out = {"empty": run["empty"].mean(), "circuit": run["circuit"].mean(),
           "complement": run["complement"].mean(), "difference": span.mean(),
           "standard_error": error, "is_flat": bool(flat), "members": []}
    if not flat:
        for name, gain, others in [
                ("sufficiency", run["circuit"] - run["empty"],
                 run["random_circuit"] - run["empty"]),
                ("necessity", full - run["complement"], full - run["random_complement"])]:
            out[name] = ratio(gain, span, case)
            out[name].update(compare_with_random(out[name]["ratio"],
                                                 others.mean(axis=1) / span.mean()))
    for m in range(len(run["without_member"])):
        drop = mean(full - run["without_member"][m], case)
        conditional = mean(run["without_class_rest"][m] - run["without_class"][m], case)
        low, high = conditional["interval"]
        of_member = [k for k, v in enumerate(measures["minimality_member"]) if v == m]
        changes = [abs(run["minimality_without_subset"][k].mean() -
                       run["minimality_without_both"][k].mean()) for k in of_member]
        minimality = max(changes) / abs(full.mean()) if changes and full.mean() != 0 else None
        out["members"].append({"drop": drop, "conditional": conditional,
                               "clear": low > 0 or high < 0, "minimality": minimality})
    gaps = np.abs(run["circuit_without_subset"].mean(axis=1) -
                  run["model_without_subset"].mean(axis=1))
    out["completeness"] = gaps.max()
    out["completeness_subset"] = int(gaps.argmax())
    out["completeness_share"] = None if flat else gaps.max() / abs(span.mean())
    if "curve_signed" in run:
        out["curves"] = {order: curve(full, run["empty"], run["curve_" + order], flat)
                         for order in ["signed", "absolute"]}
    if "kl_circuit" in run:
        out["kl"] = {
            "sufficiency": 1 - run["kl_circuit"].mean() / run["kl_empty"].mean(),
            "interval": bootstrap(run["kl_empty"] - run["kl_circuit"], run["kl_empty"],
                                  np.array(case["units"]), case["seed"], case["n_resamples"]),
            "mean": run["kl_circuit"].mean(), "median": np.median(run["kl_circuit"]),
            "max": run["kl_circuit"].max()}
    return out


def failures(case, values):
    """(kind, value) of every failed condition; rejected is said apart."""
    failed, rejected = [], False
    for name in ["mean", "resample"]:
        got = values[name]
        if got["is_flat"]:
            failed.append((name, "flat"))
            continue
        for which in ["sufficiency", "necessity"]:
            if not got[which]["interval"][0] >= RULES["ratio_min"]:
                failed.append((name, which))
            if not got[which]["above_random"]:
                failed.append((name, which + " random"))
                rejected = True
        if not all(member["clear"] for member in got["members"]):
            failed.append((name, "conditional"))
    if case["n_searches"] < RULES["min_searches"]:
        failed.append(("stability", "searches"))
    elif case["stability"] < RULES["stability_min"]:
        failed.append(("stability", "low"))
    return failed, rejected


def jaccard(sets):
    pairs = [(a, b) for i, a in enumerate(sets) for b in sets[i + 1:]]
    return float(np.mean([len(a & b) / len(a | b) if a | b else 1.0 for a, b in pairs]))


def noise(rng, *shape, size=0.1):
    return rng.normal(0.0, size, shape)


def measures_of(rng, full, empty, plan):
    """Values of one ablation value: levels are shares of the way from empty to full."""
    n, span = len(full), full - empty
    at = lambda share, *shape: empty + share * span + noise(rng, *shape, n, size=plan["noise"])
    members, n_random = plan["members"], plan["n_random"]
    measures = {
        "empty": empty, "circuit": at(plan["sufficiency"]), "complement":
        at(1 - plan["necessity"]), "without_member": np.stack([at(1 - s) for s, _ in members]),
        "without_class_rest": np.stack([at(0.7) for _ in members]),
        "circuit_without_subset": at(0.4, 4), "model_without_subset": at(0.38, 4),
        "minimality_without_subset": at(0.5, 5), "minimality_without_both": at(0.3, 5),
        "random_circuit": np.stack([at(s) for s in rng.uniform(*plan["random"], n_random)]),
        "random_complement": np.stack([at(1 - s) for s in rng.uniform(*plan["random"], n_random)])}
    measures["without_class"] = np.stack([measures["without_class_rest"][m] - c * span +
                                          noise(rng, n, size=plan["noise"])
                                          for m, (_, c) in enumerate(members)])
    if plan.get("kl"):
        measures["kl_empty"] = rng.gamma(4.0, 0.5, n)
        measures["kl_circuit"] = measures["kl_empty"] * rng.uniform(0.0, 0.2, n)
    measures = {key: np.round(value, 4).tolist() for key, value in measures.items()}
    measures["minimality_member"] = [int(k % len(members)) for k in range(5)]
    return measures


def add_curves(measures, full, rng):
    """Circuits of the first of 100 candidates: the signed order overshoots, and falls back."""
    empty, n = np.array(measures["empty"]), len(full)
    for order, shares in [("signed", [0, 0, 0, 0.2, 0.7, 1.3, 1.25, 1.2, 1.1, 1]),
                          ("absolute", [0, 0, 0, 0.2, 0.1, 0.8, 0.9, 0.95, 1, 1])]:
        rows = [empty + s * (full - empty) + noise(rng, n, size=0.05) for s in shares]
        measures["curve_" + order] = np.round(np.stack(rows), 4).tolist()


def verdict_case(name, seed, plans, n=16, n_units=None, metric="logit_difference", span=3.0,
                 sets=None, has_curves=False):
    rng = np.random.default_rng(seed)
    units = [i % (n_units or n) for i in range(n)]
    full = np.zeros(n) if metric == "kl" else np.round(span + noise(rng, n, size=0.5), 4)
    sets = sets or [{0, 1, 2}] * 20
    case = {"name": name, "seed": seed, "n_resamples": 400, "metric": metric, "units": units,
            "full": full.tolist(), "n_searches": len(sets), "stability": jaccard(sets),
            "sets": [sorted(s) for s in sets], "values": {}}
    for value in ["zero", "mean", "resample"]:
        level = rng.gamma(6.0, 0.5, n) if metric == "kl" else noise(rng, n, size=0.3)
        if metric == "flat":
            level = full + noise(rng, n, size=1.0)
        case["values"][value] = measures_of(rng, full, np.round(level, 4), plans[value])
        if has_curves:
            add_curves(case["values"][value], full, np.random.default_rng(1000 + seed))
    verdicts = {value: value_verdict(case, case["values"][value]) for value in case["values"]}
    failed, rejected = failures(case, verdicts)
    outcome = "rejected" if rejected else "partial" if failed else "verified"
    case["metric"] = "logit_difference" if metric == "flat" else metric
    case["want"] = {"values": verdicts, "outcome": outcome, "failed": failed}
    return case


GOOD = {"sufficiency": 1.0, "necessity": 0.98, "noise": 0.05, "n_random": 14, "kl": True,
        "random": (-0.1, 0.3), "members": [(0.9, 0.5), (0.05, 0.4), (-0.3, -0.4)]}
WEAK = dict(GOOD, sufficiency=0.75, n_random=7, members=[(0.5, 0.4), (0.0, 0.0), (0.3, 0.3)])
POOR = dict(GOOD, sufficiency=0.3, random=(0.0, 0.9))


def verdict_cases():
    same = lambda plan: {value: plan for value in ["zero", "mean", "resample"]}
    shaky = [{0, 1}, {0, 2}, {0, 1, 2}, set(), {0}] * 4
    return [verdict_case("good", 1, same(GOOD)),
            verdict_case("zero_does_not_decide", 2, {"zero": POOR, "mean": GOOD, "resample": GOOD}),
            verdict_case("weak, templates", 3, same(WEAK), n=30, n_units=6, has_curves=True),
            verdict_case("poor under resample", 4, {"zero": GOOD, "mean": GOOD, "resample": POOR}),
            verdict_case("flat", 5, same(GOOD), metric="flat", has_curves=True),
            verdict_case("kl", 6, same(GOOD), metric="kl", has_curves=True),
            verdict_case("unstable", 7, same(GOOD), sets=shaky),
            verdict_case("few searches", 8, same(GOOD), sets=[{0, 1}] * 5)]


# --- a curve alone ------------------------------------------------------------------------------

def curve_case(seed):
    rng = np.random.default_rng(seed)
    n, fractions = 16, FRACTIONS
    full, empty = np.round(3 + noise(rng, n), 6), np.round(noise(rng, n), 6)
    shares = [0.0, 0.0, 0.02, 0.1, 0.3, 0.8, 1.2, 1.1, 1.05, 1.0]
    runs = np.round(np.stack([empty + s * (full - empty) + noise(rng, n) for s in shares]), 6)
    f = (runs.mean(axis=1) - empty.mean()) / (full.mean() - empty.mean())
    return {"fractions": fractions, "full": full.tolist(), "empty": empty.tolist(),
            "runs": runs.tolist(), "f": f.tolist(), "cpr": float(np.trapezoid(f, fractions)),
            "cmd": float(np.trapezoid(np.abs(1 - f), fractions)), "n_items_of_32491":
            [int(k * 32491) for k in fractions]}


# --- selection ----------------------------------------------------------------------------------

def select(effects, total, units, weights, rule):
    """The rule of node_selection.h with units weighed."""
    n_units = max(units) + 1
    sizes = np.array([(units == u).sum() for u in range(n_units)])
    sums = np.stack([effects[:, units == u].sum(axis=1) for u in range(n_units)], axis=1)
    n, drawn = (weights * sizes).sum(), weights.sum()
    means = (sums * weights).sum(axis=1) / n
    off = sums - means[:, None] * sizes
    errors = np.sqrt(drawn / (drawn - 1) * (weights * off ** 2).sum(axis=1)) / n
    p = np.array([1.0 if m == 0 else 0.0 if e == 0 else math.erfc(abs(m) / e / math.sqrt(2))
                  for m, e in zip(means, errors)])
    order = np.sort(p)
    passed = [q for k, q in enumerate(order, 1) if q <= k * rule["fdr_q"] / len(p)]
    total_mean = sum(w * total[units == u].sum() for u, w in enumerate(weights)) / n
    chosen = (p <= (max(passed) if passed else -1)) & \
        (np.abs(means) >= rule["share_min"] * abs(total_mean))
    if rule["is_signed"]:
        chosen &= means > 0
    if rule["max_nodes"]:
        ranked = sorted(np.flatnonzero(chosen), key=lambda c: (-abs(means[c]), c))
        chosen = np.isin(np.arange(len(p)), ranked[:rule["max_nodes"]])
    return means, errors, p, chosen


def selection_case(seed, **rule):
    rng = np.random.default_rng(seed)
    rule = {"fdr_q": 0.05, "share_min": 0.02, "is_signed": False, "max_nodes": 0, **rule}
    n, n_components, n_searches = 30, 12, 20
    units = np.array([i % 15 for i in range(n)])
    level = [2.0, 0.8, 0.0, -0.5, 0.05, 0.0, 0.15, 0.1, 0.0, 0.3, 0.02, 0.0]
    effects = np.round(np.array(level)[:, None] + noise(rng, n_components, n, size=0.25), 6)
    effects[2] = 0.0  # a dead head
    total = np.round(3.0 + noise(rng, n), 6)
    means, errors, p, chosen = select(effects, total, units, np.ones(15), rule)
    again = []
    for s in range(n_searches):
        draw = Draw(seed, DRAW_CIRCUIT, 1 + s)
        weights = np.zeros(15)
        for _ in range(15):
            weights[draw.below(15)] += 1
        again.append(select(effects, total, units, weights, rule)[3])
    sets = [set(np.flatnonzero(row)) for row in again]
    return {"seed": seed, "rule": rule, "units": units.tolist(), "effects": effects.tolist(),
            "total": total.tolist(), "mean": means.tolist(), "standard_error": errors.tolist(),
            "p": p.tolist(), "chosen": chosen.tolist(),
            "again": [row.tolist() for row in again], "stability": jaccard(sets)}


# --- metrics and splits -------------------------------------------------------------------------

def metric_case(seed):
    rng = np.random.default_rng(seed)
    rows = np.round(rng.normal(0, 3, (2, 37)), 4).astype(np.float32).astype(np.float64)
    answers, distractors = [3, 9, 30], [4, 11]
    p = np.exp(rows[0]) / np.exp(rows[0]).sum()
    q = np.exp(rows[1]) / np.exp(rows[1]).sum()
    return {"rows": rows.tolist(), "answers": answers, "distractors": distractors,
            "logit_difference": rows[0][answers].mean() - rows[0][distractors].mean(),
            "probability": p[answers].sum(),
            "probability_difference": p[answers].sum() - p[distractors].sum(),
            "accuracy": float(rows[0][answers].max() > rows[0][distractors].max()),
            "log_sum_exp": math.log(np.exp(rows[0]).sum()), "kl": (p * np.log(p / q)).sum()}


def split_case(seed, n):
    rng = np.random.default_rng(seed)
    prompts = [rng.integers(0, 50, 5).tolist() for _ in range(n)]
    prompts[n // 2] = prompts[0]
    place = []
    for tokens in prompts:
        digest = hashlib.sha256(b"".join(t.to_bytes(4, "little") for t in tokens)).digest()
        place.append(mix64(int.from_bytes(digest[:8], "big") ^ mix64(seed)))
    groups = sorted(set(place))
    cut = [math.floor(0.4 * len(groups) + 0.5), math.floor(0.6000000000000001 * len(groups) + 0.5)]
    parts = [sum(groups.index(at) >= c for c in cut) for at in place]
    return {"seed": seed, "prompts": prompts, "parts": parts}


def plain(value):
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def main():
    cases = {"verdicts": verdict_cases(), "curve": curve_case(21),
             "selections": [selection_case(31), selection_case(32, is_signed=True),
                            selection_case(33, max_nodes=2, share_min=0.0)],
             "metrics": [metric_case(41), metric_case(42), metric_case(43)],
             "splits": [split_case(51, 20), split_case(52, 7)]}
    path = pathlib.Path(__file__).with_name("cases.json")
    path.write_text(json.dumps(plain(cases), separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
