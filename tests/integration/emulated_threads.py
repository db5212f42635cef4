#!/usr/bin/env python3
"""A worker's two threads on one device (the host emulator's), with all layers on it: a sweep's bytes
are those that one thread makes, also where work runs as late as it may. Passes of two threads over
one small model, which TSan has time to watch.

Run: BUILD=build/release tests/integration/emulated_threads.py
"""
# tsan: yes
# asan: no
# ubsan: no
# timeout: 600
import json
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import BUILD, SLOWDOWN, check, label_sweep, run

MODEL = pathlib.Path(__file__).resolve().parents[1] / "golden/models/gpt2-bare-names"
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


def passes_of_two_threads_over_one_model(_cluster):
    done = subprocess.run([BUILD / "interp-worker", "bench", "--model", MODEL, "--backend", "emu",
                           "--what", "forward", "--rows", "2", "--ctx", "16", "--compute", "bf16x3",
                           "--threads", "2", "--seconds", "0.2", "--windows", "1"],
                          env=os.environ | DEFERRED, capture_output=True, text=True,
                          timeout=100 * SLOWDOWN, check=False)
    check(done.returncode == 0, "%d: %s" % (done.returncode, done.stderr))
    found = [json.loads(line) for line in done.stdout.splitlines()]
    check([line["threads"] for line in found if line["what"] == "forward"] == [2], done.stdout)


if __name__ == "__main__":
    run([passes_of_two_threads_over_one_model] +
        ([two_threads_find_what_one_does] if SLOWDOWN == 1 else []))
