"""The numbers of a circuit's verdict, computed again from what it says that it was computed from:
measures.json, one metric value a prompt and run. From the definitions of coordinator/circuit, in
floats of Python, without its code; standard library only. Bootstrap intervals are not among them:
tests/golden/circuit_verdicts computes these, with its own copy of the seeded stream."""

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def mean(row):
    return sum(row) / len(row)


def quantile(row, q):
    """Linear between order statistics, as numpy's default."""
    ordered = sorted(row)
    place = q * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def less(a, b):
    return [x - y for x, y in zip(a, b)]


def percentile(value, among):
    below = sum(x < value for x in among) + 0.5 * sum(x == value for x in among)
    return 100 * below / len(among)


def ratio_numbers(gain, span, random_gains):
    """Of sufficiency or necessity: name -> value."""
    ratios = [g / s for g, s in zip(gain, span) if s != 0]
    ratio = mean(gain) / mean(span)
    numbers = {"ratio": ratio, "mean_of_ratios": mean(ratios), "n_ratios": len(ratios),
               "percentile": percentile(ratio, [mean(g) / mean(span) for g in random_gains])}
    numbers.update(("quantiles/%g" % q, quantile(ratios, q)) for q in QUANTILES)
    return numbers


def curve_numbers(value, order, full):
    span = mean(full) - mean(value["empty"])
    f = [(mean(run) - mean(value["empty"])) / span for run in value["curve_" + order]]
    steps = list(zip(value["curve_fractions"], value["curve_fractions"][1:], f, f[1:]))
    numbers = {"cpr": sum((b - a) * (x + y) / 2 for a, b, x, y in steps),
               "cmd": sum((b - a) * (abs(1 - x) + abs(1 - y)) / 2 for a, b, x, y in steps)}
    numbers.update(("points/%d/f" % k, x) for k, x in enumerate(f))
    return {"curves/%s/%s" % (order, name): x for name, x in numbers.items()}


def member_numbers(value, full):
    numbers = {}
    for m, without in enumerate(value["without_member"]):
        numbers["members/%d/drop/value" % m] = mean(less(full, without))
        numbers["members/%d/conditional/value" % m] = mean(
            less(value["without_class_rest"][m], value["without_class"][m]))
    for member, subset, both in zip(value["minimality_member"], value["minimality_without_subset"],
                                    value["minimality_without_both"]):
        name = "members/%d/minimality" % member
        change = abs(mean(subset) - mean(both)) / abs(mean(full))
        numbers[name] = max(change, numbers.get(name, 0.0))
    return numbers


def value_numbers(value, full):
    """Under one ablation value: path in the verdict -> number."""
    empty, span = value["empty"], less(full, value["empty"])
    gaps = [abs(mean(c) - mean(m)) for c, m in
            zip(value["circuit_without_subset"], value["model_without_subset"])]
    numbers = {"empty": mean(empty), "circuit": mean(value["circuit"]),
               "complement": mean(value["complement"]), "difference": mean(span),
               "completeness/value": max(gaps), "completeness/share": max(gaps) / abs(mean(span)),
               "random/n": len(value["random_circuit"])}
    parts = {"sufficiency": ratio_numbers(less(value["circuit"], empty), span,
                                          [less(r, empty) for r in value["random_circuit"]]),
             "necessity": ratio_numbers(less(full, value["complement"]), span,
                                        [less(full, r) for r in value["random_complement"]])}
    for what, part in parts.items():
        numbers.update((what + "/" + name, x) for name, x in part.items())
    numbers.update(member_numbers(value, full))
    for order in ("signed", "absolute") if "curve_signed" in value else ():
        numbers.update(curve_numbers(value, order, full))
    if "kl_circuit" in value:
        kl = value["kl_circuit"]
        numbers.update({"kl/mean": mean(kl), "kl/max": max(kl), "kl/median": quantile(kl, 0.5),
                        "kl/sufficiency": 1 - sum(kl) / sum(value["kl_empty"])})
    return numbers


def told(verdict, path):
    """The number at a path such as members/0/drop/value."""
    for key in path.split("/"):
        verdict = verdict[int(key) if isinstance(verdict, list) else key]
    return verdict


def differences(measures, verdict):
    """(path, told, computed again) of every number of the verdict that can be computed again."""
    for name, value in measures["values"].items():
        for path, number in value_numbers(value, measures["full"]).items():
            yield name + "/" + path, told(verdict["values"][name], path), number
