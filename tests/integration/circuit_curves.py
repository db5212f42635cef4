#!/usr/bin/env python3
# timeout: 600
"""What a circuit sweep's verdict has beyond its ratios: curves of growing circuits, computed again
from the exported runs; components at named positions; means over templates."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import Cluster, check, run
from made_models import HOME, folder, known, truth

FEW = "verdict: {n_random: 20, n_subsets: 4, n_resamples: 300}\n"
FRACTIONS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0]


def names(model, *roles):
    return [n["name"] for n in truth(model)["nodes"] if n["role"] in roles]


def sweep_of(model, name, more="", prompts=None):
    return ("kind: circuit\nname: %s\nmodel: %s\ntask: {prompts: %s}\n%s%s\n"
            % (name, model, prompts or model / "prompts.jsonl", FEW, more))


def finish(cluster, yaml):
    sweep = cluster.submit(yaml)
    cluster.wait(sweep, seconds=300)
    told = cluster.json("circuit", sweep)
    check("nan" not in json.dumps(told).lower(), "no NaN in a report")
    return sweep, told


def files_of(cluster, sweep, name):
    text = (cluster.data / "sweeps" / sweep / name).read_text()
    if not name.endswith(".jsonl"):
        return json.loads(text)
    return [json.loads(line) for line in text.splitlines()]


def mean(row):
    return sum(row) / len(row)


def trapezoid(f):
    steps = zip(FRACTIONS, FRACTIONS[1:], f, f[1:])
    return sum((x2 - x1) * (y1 + y2) / 2 for x1, x2, y1, y2 in steps)


def expect_curve(told, value, full, order):
    """The areas of one curve from the runs, and every point of it."""
    curve, empty = told["curves"][order], mean(value["empty"])
    span = mean(full) - empty
    f = [(mean(row) - empty) / span for row in value["curve_" + order]]
    check(abs(curve["cpr"] - trapezoid(f)) < 1e-9, "%s: CPR" % order)
    check(abs(curve["cmd"] - trapezoid([abs(1 - y) for y in f])) < 1e-9, "%s: CMD" % order)
    check([p["n_items"] for p in curve["points"]] == value["curve_n_items"], "how many are kept")
    check(all(abs(p["f"] - y) < 1e-9 for p, y in zip(curve["points"], f)), order + ": points")
    return f


def n_first(n):
    return [int(k * n) for k in FRACTIONS]


def curves_are_computed_again(cluster):
    """Of the negative model: signed order ends with the head that copies with the wrong sign."""
    cluster.up(workers=2)
    model = known("negative")
    sweep, told = finish(cluster, sweep_of(model, "curves"))
    measures = files_of(cluster, sweep, "measures.json")
    records = {r["component"]: r for r in files_of(cluster, sweep, "results.jsonl")}
    negative, = names(model, "negative_induction")
    check(records[negative]["effect"]["mean"] < 0, "it helps to ablate the negative head")
    for name, value in measures["values"].items():
        verdict = told["verdict"]["values"][name]
        check(verdict["curves"]["undefined"] is None, "it is defined")
        check(value["curve_n_items"] == n_first(len(records)), "MIB's rounding")
        signed = expect_curve(verdict, value, measures["full"], "signed")
        absolute = expect_curve(verdict, value, measures["full"], "absolute")
        check(value["curve_signed"][0] == value["empty"], "nothing kept: everything ablated")
        check(value["curve_signed"][-1] == measures["full"], "all kept: the model, bit for bit")
        half = FRACTIONS.index(0.5)
        check(signed[half] > 1.3, "%s: without the negative head more than the model: %g"
              % (name, signed[half]))
        check(abs(absolute[half] - 1) < 0.02, "%s: with it as the model: %g"
              % (name, absolute[half]))
        check(verdict["curves"]["absolute"]["cmd"] < verdict["curves"]["signed"]["cmd"],
              "CMD sees the overshoot")
    text = cluster.ctl("circuit", sweep)
    for line in ("CPR, signed order", "CMD, absolute order", "f of first %d" % (len(records) // 2)):
        check(line in text, "'%s' is in the report" % line)


def a_brought_circuit_has_no_order(cluster):
    cluster.up(workers=1)
    model = known("induction")
    brought = HOME / "mine.json"
    brought.write_text(json.dumps(truth(model)["circuit"]))
    sweep, told = finish(cluster, sweep_of(model, "brought", "circuit: %s" % brought))
    curves = told["verdict"]["values"]["mean"]["curves"]
    check(curves == {"undefined": "no search ordered the candidates", "signed": None,
                     "absolute": None}, curves)
    check("curve_signed" not in files_of(cluster, sweep, "measures.json")["values"]["mean"],
          "nothing was run")
    line = cluster.ctl("circuit", sweep).split("\nCPR, signed order", 1)[1].split("\n")[0]
    check("no search" in line, "the text says so")


def with_positions(model):
    """The known prompts, with the answer's place and that of the first B."""
    pairs = [json.loads(line) for line in (model / "prompts.jsonl").read_text().splitlines()]
    for pair in pairs:
        first = pair["clean"].index(pair["clean"][-1])
        pair["positions"] = {"end": -1, "b": first + 1, "bos": 0}
    path = HOME / "positions.jsonl"
    path.write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    return path


def components_at_named_positions_are_judged(cluster):
    """The previous-token head counts at B alone, the induction head at the end alone."""
    cluster.up(workers=2)
    model = known("induction")
    prompts = with_positions(model)
    positions = "positions: [end, b, bos]"
    sweep, told = finish(cluster, sweep_of(model, "placed", positions, prompts))
    previous, = names(model, "previous_token")
    induction, = names(model, "induction")
    wanted = [previous + "@b", induction + "@end"]
    check([n["name"] for n in told["circuit"]["nodes"]] == wanted, told["circuit"]["nodes"])
    check(told["summary"]["outcome"] == "verified", told["summary"])
    check(told["summary"]["n_candidates"] == 3 * len(truth(model)["nodes"]), "at each position")
    for name in ("mean", "resample"):
        value = told["verdict"]["values"][name]
        check(value["method"]["positions"] == "named", value["method"])
        check(abs(value["sufficiency"]["ratio"] - 1) < 0.03, value["sufficiency"])
        check(abs(value["necessity"]["ratio"] - 1) < 0.03, value["necessity"])
        check([m["name"] for m in value["members"]] == wanted, "the members")
    # However they are listed.
    again, _ = finish(cluster, sweep_of(model, "placed", "positions: [bos, b, end]\n"
                                        "candidates: [mlps, heads]", prompts))
    for name in ("circuit.json", "results.jsonl", "summary.json", "verdict.txt", "measures.json"):
        first, second = ((cluster.data / "sweeps" / one / name).read_bytes()
                         for one in (sweep, again))
        check(first == second, "%s: another with the positions in another order" % name)
    # The same circuit, brought; and the heads where they do nothing.
    for name, nodes, outcome in (("right", wanted, "partial"),
                                 ("wrong", [previous + "@end", induction + "@b"], "rejected")):
        brought = HOME / (name + ".json")
        brought.write_text(json.dumps(nodes))
        _, told = finish(cluster, sweep_of(model, "placed-" + name, positions +
                                           "\ncircuit: %s" % brought, prompts))
        check(told["summary"]["outcome"] == outcome, "%s: %s" % (name, told["summary"]))
    edges = sweep_of(model, "no", positions + "\nsearch: {edges: acdc}", prompts)
    _, err = cluster.ctl_both("submit", "-", "--quiet", stdin=edges, code=2)
    check("search.edges" in err and "named positions" in err, err)


def means_over_templates_have_a_reference_each(cluster):
    cluster.up(workers=2)
    model = known("induction")
    sweep, told = finish(cluster, sweep_of(model, "templates", "ablation: {mean_over: template}"))
    check([n["name"] for n in told["circuit"]["nodes"]] == truth(model)["circuit"], "found")
    check(told["verdict"]["values"]["mean"]["method"]["mean_over"] == "template", "so they are")
    check(told["summary"]["outcome"] == "verified", told["summary"])
    pairs = files_of(cluster, sweep, "prompts.jsonl")
    n_templates = len({pair["template"] for pair in pairs})
    check(told["summary"]["prompts"]["reference"] >= n_templates, told["summary"]["prompts"])
    lonely = HOME / "lonely.jsonl"
    for i, pair in enumerate(pairs):
        pair.pop("set", None)
        pair["template"] = "alone" if i == 5 else "many"
    lonely.write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    refused = cluster.submit(sweep_of(model, "lonely", "ablation: {mean_over: template}", lonely))
    reason = cluster.wait(refused, "failed")["reason"]
    check("template alone has one prompt" in reason, reason)
    finish(cluster, sweep_of(model, "position", "", lonely))  # no mean over templates: it goes


if __name__ == "__main__":
    with folder:
        run([curves_are_computed_again, a_brought_circuit_has_no_order,
             components_at_named_positions_are_judged,
             means_over_templates_have_a_reference_each])
