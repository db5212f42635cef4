#!/usr/bin/env python3
"""interpctl selftest: finds a known circuit in a cluster of its own, and leaves nothing behind, also
when it is interrupted or cannot start."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import BUILD, check, run, wait_until


def environment(home):
    return dict(os.environ, TMPDIR=home, NO_COLOR="1")


def selftest(home, *words, code=0):
    done = subprocess.run([BUILD / "interpctl", "selftest", *words], capture_output=True, text=True,
                          env=environment(home), timeout=120)
    check(done.returncode == code, "exit %d: %s%s" % (done.returncode, done.stdout, done.stderr))
    check(os.listdir(home) == [], "left behind: %s" % os.listdir(home))
    return done


def a_known_circuit_is_found(_cluster):
    with tempfile.TemporaryDirectory(prefix="i-") as home:
        told = json.loads(selftest(home, "or-gate", "-o", "json", "--quiet").stdout)
        row, = told["kinds"]
        check(told["kind"] == "Selftest" and told["passed"], told)
        check(row["kind"] == "or-gate" and len(row["true"]) == 3, row)
        check(sorted(row["found"]) == sorted(row["true"]), row)
        check(row["precision"] == 1 and row["recall"] == 1 and row["verdict"] == "verified", row)
        table = selftest(home, "induction", "--quiet").stdout.splitlines()
        check(len(table) == 2 and table[1].split()[0] == "induction", table)


def an_unknown_kind_is_refused(_cluster):
    with tempfile.TemporaryDirectory(prefix="i-") as home:
        check("induktion" in selftest(home, "induktion", code=2).stderr, "the kind is named")


def an_interrupted_one_leaves_nothing(_cluster):
    with tempfile.TemporaryDirectory(prefix="i-") as home:
        process = subprocess.Popen([BUILD / "interpctl", "selftest"], stderr=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True, env=environment(home))
        wait_until(lambda: list(pathlib.Path(home).glob("*/state/run/worker-1.pid")), "a worker")
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        check(process.returncode == 130 and out == "", "exit %d: %s" % (process.returncode, err))
        check(err.splitlines()[-1] == "interpctl: interrupted; the cluster was stopped", err)
        check(os.listdir(home) == [], "left behind: %s" % os.listdir(home))


if __name__ == "__main__":
    run([a_known_circuit_is_found, an_unknown_kind_is_refused, an_interrupted_one_leaves_nothing])
