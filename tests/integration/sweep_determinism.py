#!/usr/bin/env python3
"""The same sweep on 1, 2 and 3 workers, with a worker killed and replaced, and with the
coordinator killed and restarted in every phase: byte-identical results, a clean store."""
import os
import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import (Cluster, check, check_store_is_clean, label_sweep, run, say,
                     wait_until)

SEED = int(os.environ.get("SEED", "0")) or random.randrange(1, 1 << 30)
N_FEATURES = 300
SWEEP = label_sweep("same", 70000, N_FEATURES,
                    "scoring: {null_pairs: 200, bootstrap_resamples: 200}")
PHASES = ("tokenize", "capture-explain", "neighbours", "capture-rest", "logits", "label")

reference = {}


def undisturbed(cluster, n_workers):
    cluster.up(workers=n_workers)
    sweep = cluster.submit(SWEEP)
    cluster.wait(sweep)
    check_store_is_clean(cluster)
    return cluster.canonical(sweep)


def expect_same(cluster, sweep, how):
    """The reference is made by the first test that needs it, on one worker."""
    if not reference:
        with Cluster() as first:
            reference.update(undisturbed(first, 1))
    mine = cluster.canonical(sweep)
    for name in reference:
        check(mine[name] == reference[name], "%s: %s differs" % (how, name))
    check_store_is_clean(cluster)


def one_two_and_three_workers(cluster):
    cluster.up(workers=3)
    sweep = cluster.submit(SWEEP)
    cluster.wait(sweep)
    expect_same(cluster, sweep, "3 workers")
    n_rows = reference["results.jsonl"].count(b"\n")
    check(n_rows == N_FEATURES, "%d rows" % n_rows)
    check(b'"status":"' in reference["results.jsonl"], "rows have a status")
    with Cluster() as two:
        check(undisturbed(two, 2) == reference, "2 workers: the files differ")


def a_worker_is_killed_and_replaced(cluster):
    rng = random.Random(SEED)
    cluster.up(workers=2)
    sweep = cluster.submit(SWEEP)
    for phase in PHASES[:4]:
        at = rng.uniform(0, 1)
        wait_until(lambda: has_reached(cluster, sweep, phase, at), phase)
        victim = rng.choice(["w1", "w2"])
        say("kill -9 %s in %s at %.2f (SEED=%d)" % (victim, phase, at, SEED))
        cluster.kill(victim)
        cluster.start_worker(victim)
    cluster.wait(sweep)
    expect_same(cluster, sweep, "workers killed")


def has_reached(cluster, sweep, phase, share):
    """Is `phase` under way with about `share` of its units done, or over?"""
    now = cluster.status(sweep)
    order = ("describe",) + PHASES + ("done",)
    if now["phase"] != phase:
        return order.index(now["phase"]) > order.index(phase)
    if phase == "label" or not now["phases"]:
        return now["n_units_done"] >= share * 0.9 * N_FEATURES if phase == "label" else False
    return now["phases"][0]["done"] >= share * 0.9 * now["phases"][0]["n_units"]


def the_coordinator_is_killed_in_every_phase(cluster):
    rng = random.Random(SEED)
    cluster.up(workers=2)
    sweep = cluster.submit(SWEEP)
    for phase in PHASES:
        at = rng.uniform(0, 1)
        wait_until(lambda: has_reached(cluster, sweep, phase, at), phase)
        say("kill -9 coordinator in %s at %.2f (SEED=%d)" % (phase, at, SEED))
        cluster.kill("coordinator")
        cluster.start_coordinator()
    cluster.wait(sweep)
    expect_same(cluster, sweep, "coordinator killed")
    log = cluster.log("coordinator")
    check(log.count(" ready ") == 1 + len(PHASES), "once more for each phase")
    check("kept_unreadable" not in log, "what was kept is read")
    folder = cluster.data / "sweeps" / sweep
    check(not list(folder.glob("kept-*")), "and gone with the sweep's end")


def what_was_found_is_kept(cluster):
    """Killed while labels are made: neither neighbours nor logits are asked for again; of a damaged
    file they are."""
    cluster.up(workers=2)
    sweep = cluster.submit(SWEEP)
    wait_until(lambda: has_reached(cluster, sweep, "label", 0.2), "label")
    kept = cluster.data / "sweeps" / sweep / "kept-logits"
    check(kept.exists() or cluster.status(sweep)["state"] == "finished", "kept-logits is there")
    cluster.kill("coordinator")
    if kept.exists():
        kept.write_bytes(kept.read_bytes()[:-3])
    cluster.start_coordinator()
    cluster.wait(sweep)
    expect_same(cluster, sweep, "from a damaged file")
    log = cluster.log("coordinator")
    check(not kept.exists() and log.count("kept_unreadable") <= 1, "gone at the end")


if __name__ == "__main__":
    print("SEED=%d" % SEED)
    run([what_was_found_is_kept, one_two_and_three_workers, a_worker_is_killed_and_replaced,
         the_coordinator_is_killed_in_every_phase])
