#!/usr/bin/env python3
"""A sweep of a short corpus by a worker whose backend is the CUDA one on the host emulator finds
the evidence of the CPU: the same windows of the same features, for the same reasons. It asks for
that backend, so it waits, and says for what, while the only worker computes on the CPU. TEST_BACKEND
names another one.

Run: BUILD=build/release tests/integration/emulated_sweep.py
"""
# asan: no
# ubsan: no
# timeout: 600
import json
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import check, label_sweep, run, wait_until

BACKEND = os.environ.get("TEST_BACKEND", "emu")


def says_what_it_waits_for(cluster, sweep):
    words = "a worker on %s: none of the 1 connected is one" % BACKEND
    wait_until(lambda: cluster.status(sweep)["waits_for"] == words, "the sweep to wait", 60)
    text = cluster.ctl("status", sweep)
    check("waits for" in text and words in text, "status: %s" % text)


def evidence_of(cluster, backend):
    """feature -> its evidence: where each window lies, why it is there, its largest activation."""
    cluster.start_redis()
    cluster.start_coordinator()
    cluster.start_worker("w1", "--backend", "cpu")
    sweep = cluster.submit(label_sweep("emulated", 8000, 40,
                                       "scoring: {null_pairs: 0}\nbackend: " + backend))
    if backend != "cpu":
        says_what_it_waits_for(cluster, sweep)
        cluster.start_worker("w2", "--backend", backend)
    cluster.wait(sweep, seconds=300)
    check(cluster.status(sweep)["waits_for"] is None, "it waits for nobody")
    check(cluster.status(sweep)["backend"] == backend, "the record says who computed it")
    found = {}
    for line in cluster.canonical(sweep)["results.jsonl"].splitlines():
        record = json.loads(line)
        found[record["feature"]] = [(item["document_key"], item["offset"], item["kind"],
                                     item["max"]) for item in record["evidence"]]
    return found


def a_sweep_finds_the_evidence_of_the_cpu(cluster):
    with type(cluster)() as other:
        want = evidence_of(other, "cpu")
    got = evidence_of(cluster, BACKEND)
    n_firing = sum(item[2] == "firing" for items in want.values() for item in items)
    check(len(want) == 40 and n_firing > 50, "evidence of %d features" % len(want))
    check(got.keys() == want.keys(), "the same features")
    for feature, items in want.items():
        check([item[:3] for item in got[feature]] == [item[:3] for item in items],
              "feature %d has other windows" % feature)
        for mine, theirs in zip(got[feature], items):
            check(abs(mine[3] - theirs[3]) <= 1e-3 * max(1, abs(theirs[3])),
                  "feature %d: %r, not %r" % (feature, mine, theirs))


if __name__ == "__main__":
    run([a_sweep_finds_the_evidence_of_the_cpu])
