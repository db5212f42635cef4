#!/usr/bin/env python3
"""A worker's two threads on one device (the host emulator's), with all layers on it: a sweep's bytes
are those that one thread makes, also where work runs as late as it may.

Run: BUILD=build/release tests/integration/emulated_threads.py
"""
# tsan: yes
# asan: no
# ubsan: no
# timeout: 600
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import BUILD, check, label_sweep, run

DEFERRED = {"INTERP_EMU_DEFERRED": "1"}


def sweep_by(cluster, *options, **environment):
    cluster.start_redis()
    cluster.start_coordinator()
    cluster.start("w1", [BUILD / "interp-worker", "--connect", cluster.endpoint, "--name", "w1",
                         "--backend", "emu", *options], env=os.environ | environment)
    cluster.wait(cluster.submit(label_sweep("threads", 1600, 12, "scoring: {null_pairs: 0}")),
                 seconds=300)
    return cluster.canonical("threads-1"), cluster.log("w1")


def two_threads_find_what_one_does(cluster):
    with type(cluster)() as other:
        want, _ = sweep_by(other, "--threads", "1")
    got, log = sweep_by(cluster, **DEFERRED)
    check("n_threads=2" in log, "two by default: " + log[-1500:])
    check(got == want, "the same bytes")


if __name__ == "__main__":
    run([two_threads_find_what_one_does])
