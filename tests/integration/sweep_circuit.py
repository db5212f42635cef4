#!/usr/bin/env python3
# timeout: 900
"""Circuit sweeps, whole, on models whose circuit is known: found exactly (backups and gates too,
under every ablation value), edges with it, the verdict's numbers computed again from measures.json,
and the same bytes on 1, 2 and 3 workers and through kills of worker and coordinator."""
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import Cluster, check, check_store_is_clean, run, say, wait_until
from recompute_verdict import differences

WORKER = pathlib.Path(os.environ["BUILD"]) / "interp-worker"
SEED = int(os.environ.get("SEED", "0")) or random.randrange(1, 1 << 30)
KINDS = ("induction", "negative", "or-gate", "graded-gate", "and-gate", "backup",
         "llama-induction")
FILES = ("circuit.json", "circuit.dot", "verdict.json", "verdict.txt", "measures.json",
         "results.jsonl", "summary.json", "prompts.jsonl", "head_scores.json")
FEW = "verdict: {n_random: 20, n_subsets: 8, n_resamples: 300}"
folder = tempfile.TemporaryDirectory(prefix="interp-known-")


class Known:
    """A model of known circuit, made once."""

    made = {}

    def __init__(self, kind):
        self.path = pathlib.Path(folder.name) / kind
        subprocess.run([WORKER, "known-model", kind, "--seed", "7", "--size", "24", "--prompts",
                        "40", "-o", self.path], check=True, stdout=subprocess.DEVNULL)
        self.truth = json.loads((self.path / "circuit.json").read_text())

    def sweep(self, name, more="", verdict=FEW):
        return ("kind: circuit\nname: %s\nmodel: %s\ntask: {prompts: %s/prompts.jsonl}\n%s\n%s\n"
                % (name, self.path, self.path, verdict, more))

    def names(self, *roles):
        return [n["name"] for n in self.truth["nodes"] if n["role"] in roles]


def known(kind):
    if kind not in Known.made:
        Known.made[kind] = Known(kind)
    return Known.made[kind]


def files_of(cluster, sweep):
    where = cluster.data / "sweeps" / sweep
    return {name: (where / name).read_bytes() for name in FILES if (where / name).exists()}


def finish(cluster, yaml):
    sweep = cluster.submit(yaml)
    cluster.wait(sweep, seconds=300)
    return sweep


def records_of(cluster, sweep, name="results.jsonl"):
    lines = (cluster.data / "sweeps" / sweep / name).read_text().splitlines()
    return [json.loads(line) for line in lines]


def every_known_circuit_is_found_under_every_value(cluster):
    cluster.up(workers=2)
    for kind in KINDS:
        model = known(kind)
        for value in ("zero", "mean", "resample"):
            sweep = finish(cluster, model.sweep("%s-%s" % (kind, value),
                                                "search: {value: %s}" % value))
            records = {r["component"]: r for r in records_of(cluster, sweep)}
            found = sorted(name for name, r in records.items() if r["in_circuit"])
            check(found == sorted(model.truth["circuit"]), "%s under %s: found %s, true %s"
                  % (kind, value, found, model.truth["circuit"]))
            for name in model.truth["dead"]:
                check(records[name]["effect"]["mean"] == 0.0,
                      "%s under %s: the dead %s has an effect" % (kind, value, name))
            for name in model.names("negative_induction"):
                check(records[name]["effect"]["mean"] < -0.5, "%s: the negative head" % kind)
        check_verdict(cluster, sweep, kind)
    check_store_is_clean(cluster)


def check_verdict(cluster, sweep, kind):
    """What the prompts are many enough for: the circuit does it all, alone and without the rest."""
    told = cluster.json("circuit", sweep, "-o", "json")
    for value in ("mean", "resample"):
        verdict = told["verdict"]["values"][value]
        for what in ("sufficiency", "necessity"):
            check(abs(verdict[what]["ratio"] - 1) < 0.03, "%s: %s %s under %s"
                  % (kind, what, verdict[what]["ratio"], value))
    check(told["summary"]["outcome"] == "verified", "%s: %s" % (kind, told["summary"]))
    check("nan" not in json.dumps(told).lower(), "no NaN in a report")


def edges_are_found(cluster):
    cluster.up(workers=2)
    for kind, method in (("induction", "path_patching"), ("induction", "acdc"),
                         ("llama-induction", "path_patching")):
        model = known(kind)
        previous, = model.names("previous_token")
        induction, = model.names("induction")
        name = "edges-%s-%s" % (kind, method.replace("_", "-"))
        sweep = finish(cluster, model.sweep(name, "search: {edges: %s}" % method))
        edges = {r["edge"]: r for r in records_of(cluster, sweep, "edges.jsonl")}
        # Under grouped queries heads share keys: the edge is into the key of the group.
        inputs = {channel: [e for e in edges if e.startswith(previous + "->") and
                            e.endswith("." + channel)] for channel in "qkv"}
        kept = [e for e in edges if edges[e]["in_circuit"] and e.startswith(previous + "->")]
        check(inputs["k"] and kept == inputs["k"][:1], "%s: the K edge alone is kept: %s of %s"
              % (name, kept, inputs))
        if kind == "induction":
            check(kept == ["%s->%s.k" % (previous, induction)], "%s: %s" % (name, kept))
        check(inputs["q"] and inputs["v"], "%s: Q and V edges were tried: %s" % (name, inputs))
        drawn = cluster.ctl("circuit", sweep, "--dot")
        check(drawn.startswith("digraph") and '"k"' in drawn, "the drawing has the edge")


def heads_are_scored(cluster):
    """Head scores stand beside the circuit and decide nothing: the impostor attends to the previous
    token as well as the true head, and is told apart."""
    cluster.up(workers=2)
    model = known("induction")
    previous, = model.names("previous_token")
    induction, = model.names("induction")
    impostor, = model.truth["impostors"]
    sweep = finish(cluster, model.sweep("heads", "head_scores: {when: always, n_sequences: 40}"))
    told = cluster.json("circuit", sweep, "-o", "json")
    heads = {h["component"]: h for h in told["head_scores"]["heads"]}
    check(told["head_scores"]["sequences"] == {"n": 40, "n_words": 11, "seed": 0}, "as many as fit")
    check(told["head_scores"]["n_queries"]["induction"] == 40 * 11, "every word of second copies")
    check(len(heads) == 8, "every head of the model: %d" % len(heads))
    for name, pattern in ((previous, "previous_token"), (impostor, "previous_token"),
                          (induction, "induction")):
        check(heads[name][pattern]["attention"] > 0.98, "%s: %s" % (name, heads[name]))
    records = {r["component"]: r for r in records_of(cluster, sweep)}
    for name, head in heads.items():
        check(records[name]["head_scores"] == {p: head[p] and head[p]["attention"] for p in (
            "previous_token", "duplicate_token", "induction")}, name + ": the record says the same")
    check(records["L0MLP"]["head_scores"] is None, "an MLP attends to nothing")
    check(not records[impostor]["in_circuit"], "the impostor is in no circuit")
    drawn = cluster.ctl("circuit", sweep, "--dot")
    check("previous token 1.00" in drawn and "induction 1.00" in drawn, "the drawing says it")
    report = cluster.ctl("circuit", sweep)
    check("%-14s not in it" % impostor in report, "the report names the impostor: " + report)
    rows = [row.split(",") for row in cluster.ctl("results", sweep, "-o", "csv").split()]
    head = dict(zip(rows[0], next(row for row in rows if row[0] == induction)))
    check(abs(float(head["induction"]) - heads[induction]["induction"]["attention"]) < 1e-9,
          "the table for other programs has them: %s" % head)
    none = finish(cluster, model.sweep("no-heads"))
    check(cluster.json("circuit", none, "-o", "json")["head_scores"] is None, "not asked for")
    check(not (cluster.data / "sweeps" / none / "head_scores.json").exists(), "nor written")
    check_store_is_clean(cluster)


def ranks_of(values):
    """From 1, equal values sharing the mean of theirs."""
    return [(2 * sum(w < v for w in values) + sum(w == v for w in values) + 1) / 2 for v in values]


def correlation_of(a, b):
    a, b = ranks_of(a), ranks_of(b)
    middle = (len(a) + 1) / 2
    ab = sum((x - middle) * (y - middle) for x, y in zip(a, b))
    return ab / (sum((x - middle) ** 2 for x in a) * sum((y - middle) ** 2 for y in b)) ** 0.5


def check_order(told, records, what):
    """The quality that the summary tells, computed again from the records."""
    scored = [r for r in records if r["attribution"] is not None]
    check(told["n_ordered"] == told["n_compared"] == len(scored) == len(records), what + ": all")
    again = correlation_of([abs(r["attribution"]) for r in scored],
                           [abs(r["effect"]["mean"]) for r in scored])
    check(abs(told["rank_correlation"] - again) < 1e-9, "%s: correlation %r, computed again %r"
          % (what, told["rank_correlation"], again))
    n_found = sum(r["in_circuit"] for r in records)
    first = sorted(scored, key=lambda r: -abs(r["attribution"]))[:n_found]
    check(told["n_found"] == n_found and
          abs(told["precision"] - sum(r["in_circuit"] for r in first) / n_found) < 1e-9,
          "%s: precision %s" % (what, told["precision"]))
    return told


def attribution_orders_and_decides_nothing(cluster):
    """Whatever attribution thinks first, exact ablation finds the same circuit and verdict; how good
    the order was is told apart from it."""
    cluster.up(workers=2)
    for kind in ("graded-gate", "llama-induction"):
        model = known(kind)
        edges = "edges: acdc" if kind == "graded-gate" else "edges: path_patching"
        name = "order-" + kind
        listed = files_of(cluster, finish(cluster, model.sweep(name, "search: {%s}" % edges)))
        for method in ("eap", "eap_ig"):
            sweep = finish(cluster, model.sweep(name, "search: {%s, order: attribution, method: %s}"
                                                % (edges, method)))
            mine = files_of(cluster, sweep)
            for file in ("circuit.json", "circuit.dot", "verdict.json", "measures.json"):
                check(mine[file] == listed[file], "%s: attribution changed %s" % (kind, file))
            order = json.loads(mine["summary.json"])["order"]
            check((order["by"], order["method"]) == ("attribution", method), "what ordered")
            check(order["steps"] == (5 if method == "eap_ig" else None), "steps of eap_ig")
            nodes = check_order(order["components"], records_of(cluster, sweep), name)
            wired = check_order(order["edges"], records_of(cluster, sweep, "edges.jsonl"), name)
            say("%s by %s: correlation %.3f, precision %.2f; edges %.3f, %.2f"
                % (kind, method, nodes["rank_correlation"], nodes["precision"],
                   wired["rank_correlation"], wired["precision"]))
            check("has no say in the verdict" in cluster.ctl("circuit", sweep), "the report says it")
    check(json.loads(listed["summary.json"])["order"] is None, "as listed")
    sweep = finish(cluster, known("or-gate").sweep("atp", "search: {order: attribution, method: atp}"))
    found = sorted(r["component"] for r in records_of(cluster, sweep) if r["in_circuit"])
    check(found == sorted(known("or-gate").truth["circuit"]), "atp: found %s" % found)
    check_store_is_clean(cluster)


def the_verdict_is_computed_again(cluster):
    """Every number of it, from the per-prompt values that the sweep exports."""
    cluster.up(workers=2)
    sweep = finish(cluster, known("graded-gate").sweep("again"))
    where = cluster.data / "sweeps" / sweep
    measures = json.loads((where / "measures.json").read_text())
    verdict = json.loads((where / "verdict.json").read_text())
    paths = set()
    for path, told, again in differences(measures, verdict):
        check(abs(told - again) < 1e-9 * max(1, abs(again)), "%s: %r, computed again %r"
              % (path, told, again))
        paths.add(path)
    for value in ("zero", "mean", "resample"):
        for what in ("sufficiency/ratio", "necessity/quantiles/0.95", "kl/median",
                     "sufficiency/percentile", "members/0/conditional/value",
                     "members/0/minimality", "completeness/value", "curves/signed/cpr"):
            check(value + "/" + what in paths, "%s %s was compared" % (value, what))


reference = {}
DISTURBED = dict(more="ablation: {n_batch: 4}\nhead_scores: {when: always}\n"
                      "search: {order: attribution}")


def expect_same(cluster, sweep, how):
    if not reference:
        with Cluster() as first:
            first.up(workers=1)
            reference.update(files_of(first, finish(first, known("backup").sweep("same", **DISTURBED))))
    mine = files_of(cluster, sweep)
    for name in FILES: # all of them are there
        check(mine[name] == reference[name], "%s: %s differs" % (how, name))
    check_store_is_clean(cluster)


def the_same_on_two_and_three_workers(cluster):
    cluster.up(workers=3)
    expect_same(cluster, finish(cluster, known("backup").sweep("same", **DISTURBED)), "3 workers")
    with Cluster() as two:
        two.up(workers=2)
        expect_same(two, finish(two, known("backup").sweep("same", **DISTURBED)), "2 workers")


def has_reached(cluster, sweep, phase):
    order = ("describe", "prompts", "heads", "attribution", "agent", "search", "verdict",
             "done")
    now = cluster.status(sweep)["phase"]
    return order.index(now) >= order.index(phase)


def workers_and_the_coordinator_are_killed(cluster):
    rng = random.Random(SEED)
    cluster.up(workers=2)
    sweep = cluster.submit(known("backup").sweep("same", **DISTURBED))
    for phase in ("search", "verdict"):
        wait_until(lambda: has_reached(cluster, sweep, phase), phase, seconds=120)
        victim = rng.choice(["w1", "w2"])
        say("kill -9 %s, then the coordinator, in %s (SEED=%d)" % (victim, phase, SEED))
        cluster.kill(victim)
        cluster.start_worker(victim)
        cluster.kill("coordinator")
        cluster.start_coordinator()
    cluster.wait(sweep, seconds=300)
    expect_same(cluster, sweep, "killed")


if __name__ == "__main__":
    print("SEED=%d" % SEED)
    with folder:
        run([every_known_circuit_is_found_under_every_value, edges_are_found,
             heads_are_scored, attribution_orders_and_decides_nothing, the_verdict_is_computed_again, the_same_on_two_and_three_workers,
             workers_and_the_coordinator_are_killed])
