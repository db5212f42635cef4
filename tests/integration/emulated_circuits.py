#!/usr/bin/env python3
"""Circuits that are known by construction are found and verified by workers whose backend is the
CUDA one on the host emulator, as on the CPU: the same components after as many variants, the same
verdict (circuit.json, circuit.dot and summary.json to the byte), and every number of the verdict
and the effect of every component within TOLERANCE; likewise the scores of attribution patching
where they order the search.

Three kinds; LONG=1 takes all of them. TEST_BACKEND names another backend than the emulator.

Run: BUILD=build/release tests/integration/emulated_circuits.py
"""
# asan: no
# ubsan: no
# timeout: 900
import json
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import BUILD, SHARED, check, run, say

BACKEND = os.environ.get("TEST_BACKEND", "emu")
KINDS = ("induction", "backup", "llama-induction") + (
    ("negative", "or-gate", "graded-gate", "and-gate") if os.environ.get("LONG") == "1" else ())
SIZE, PROMPTS, SUBSETS = 16, 24, 4
TOLERANCE = 2e-5  # of the answer (metrics are about 4 here), and of shares of it
SAME = ("circuit.json", "circuit.dot", "summary.json")
# Decided by rounding where an effect is nothing but rounding: the order in which a growing circuit
# takes such components, the worst of subsets that are all complete, the p-value of no effect.
SKIPPED = ("curves", "subset", "p")


def known_model(kind):
    path = SHARED / kind
    if not path.exists():
        subprocess.run([BUILD / "interp-worker", "known-model", kind, "--seed", "7", "--size",
                        str(SIZE), "--prompts", str(PROMPTS), "-o", path], check=True,
                       stdout=subprocess.DEVNULL)
    return path


def sweep_of(kind, more):
    model = known_model(kind)
    return ("kind: circuit\nname: %s\nmodel: %s\ntask: {prompts: %s/prompts.jsonl}\n"
            "verdict: {n_random: 20, n_subsets: %d, n_resamples: 300}\n%s"
            % (kind, model, model, SUBSETS, more))


def search_all(cluster, backend, kinds, more=""):
    """kind -> file -> what it holds, of every kind searched at once; `more` is further YAML."""
    cluster.start_redis()
    cluster.start_coordinator()
    for name in ("w1", "w2"):
        cluster.start_worker(name, "--backend", backend)
    sweeps = {kind: cluster.submit(sweep_of(kind, more)) for kind in kinds}
    found = {}
    for kind, sweep in sweeps.items():
        cluster.wait(sweep, seconds=600)
        check(cluster.status(sweep)["backend"].startswith(backend), "the record says who computed")
        folder = cluster.data / "sweeps" / sweep
        found[kind] = {path.name: path.read_bytes() for path in folder.iterdir()}
    say("%s has searched %s" % (backend, ", ".join(kinds)))
    return found


def check_close(got, want, scale, where):
    """The same in all that is text or truth, and numbers within TOLERANCE of the scale."""
    if isinstance(want, dict):
        check(got.keys() == want.keys(), "%s: other keys" % where)
        for key in want:
            if key not in SKIPPED:
                check_close(got[key], want[key], scale, "%s.%s" % (where, key))
    elif isinstance(want, list):
        check(len(got) == len(want), "%s: %d, not %d" % (where, len(got), len(want)))
        for i, (one, other) in enumerate(zip(got, want)):
            check_close(one, other, scale, "%s[%d]" % (where, i))
    elif isinstance(want, float):
        check(abs(got - want) <= TOLERANCE * max(scale, abs(want)),
              "%s: %.9g, not %.9g" % (where, got, want))
    else:
        check(got == want, "%s: %r, not %r" % (where, got, want))


def records(text):
    return sorted((json.loads(line) for line in text.splitlines()),
                  key=lambda record: record["component"])


def circuits_are_those_of_the_cpu(cluster):
    with type(cluster)() as other:
        want = search_all(other, "cpu", KINDS)
    got = search_all(cluster, BACKEND, KINDS)
    for kind in KINDS:
        truth = json.loads((known_model(kind) / "circuit.json").read_text())["circuit"]
        nodes = [node["name"] for node in json.loads(got[kind]["circuit.json"])["nodes"]]
        summary = json.loads(got[kind]["summary.json"])
        check(sorted(nodes) == sorted(truth), "%s: found %s, not %s" % (kind, nodes, truth))
        check(summary["outcome"] == "verified", "%s: %s" % (kind, summary))
        for name in SAME:
            check(got[kind][name] == want[kind][name], "%s: another %s" % (kind, name))
        mine, theirs = (json.loads(side[kind]["verdict.json"]) for side in (got, want))
        check_close(mine, theirs, 1.0, kind + ": verdict")
        check_close(records(got[kind]["results.jsonl"]), records(want[kind]["results.jsonl"]),
                    theirs["full"], kind + ": effects")


def attribution_scores_are_those_of_the_cpu(cluster):
    more = "search: {order: attribution}\n"
    with type(cluster)() as other:
        want = search_all(other, "cpu", KINDS[:1], more)[KINDS[0]]
    got = search_all(cluster, BACKEND, KINDS[:1], more)[KINDS[0]]
    check(got["circuit.json"] == want["circuit.json"], "another circuit")
    mine, theirs = (records(side["results.jsonl"]) for side in (got, want))
    largest = max(record["attribution"] for record in theirs)
    check(largest > 1, "scores of at most %g" % largest)
    check_close(mine, theirs, largest, "components")


if __name__ == "__main__":
    run([circuits_are_those_of_the_cpu, attribution_scores_are_those_of_the_cpu])
