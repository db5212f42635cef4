#!/usr/bin/env python3
"""Checkpoints of a capture: Redis keeps marks where results were, a coordinator that is killed goes
on from the file, and a file that is gone or damaged costs only work. Results are byte-identical."""
import os
import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import (Cluster, check, check_store_is_clean, label_sweep, run, say,
                     wait_until)

SEED = int(os.environ.get("SEED", "0")) or random.randrange(1, 1 << 30)
SWEEP = label_sweep("kept", 70000, 200, "scoring: {null_pairs: 100, bootstrap_resamples: 100}")
SMALL = ("--checkpoint-bytes", "20000", "--log", "debug")
PHASES = ("capture-explain", "capture-rest")
MARK = 4  # bytes that stay in the place of a kept result

reference = {}


def start(cluster, workers=2):
    cluster.start_redis()
    cluster.start_coordinator(more=SMALL)
    for i in range(workers):
        cluster.start_worker("w%d" % (i + 1))


def expect_same(cluster, sweep, how):
    """The reference has no checkpoint: it is made by the first test that needs it."""
    if not reference:
        with Cluster() as first:
            first.up(workers=2)
            other = first.submit(SWEEP)
            first.wait(other)
            check("checkpoint" not in first.log("coordinator"), "it never was due")
            reference.update(first.canonical(other))
    mine = cluster.canonical(sweep)
    for name in reference:
        check(mine[name] == reference[name], "%s: %s differs" % (how, name))
    check_store_is_clean(cluster)
    left = list((cluster.data / "sweeps" / sweep).glob("checkpoint*"))
    check(not left, "%s is left" % left)


def sizes(cluster, sweep, phase):
    """Of every result of the phase in Redis."""
    key = "interp:{%s/%s}:done" % (sweep, phase)
    return [cluster.redis.run("HSTRLEN", key, unit) for unit in cluster.redis.run("HKEYS", key)]


def marks(cluster, sweep, phase):
    return sum(size == MARK for size in sizes(cluster, sweep, phase))


def phase_is(cluster, sweep, phase):
    return cluster.status(sweep)["phase"] == phase


def kill_coordinator(cluster):
    cluster.kill("coordinator")


def the_coordinator_is_killed_between_checkpoints(cluster):
    """Again and again, at random moments: also while one is written or units are marked."""
    rng = random.Random(SEED)
    start(cluster)
    sweep = cluster.submit(SWEEP)
    n_killed = 0
    for phase in PHASES:
        wait_until(lambda: cluster.status(sweep)["phase"] not in ("describe", "tokenize") and
                   (marks(cluster, sweep, phase) or not phase_is(cluster, sweep, phase)), phase)
        for _ in range(3):
            wait_until(lambda: rng.random() < 0.2, "some moment", step=0.03)
            kill_coordinator(cluster)
            n_killed += 1
            cluster.start_coordinator(more=SMALL)
    cluster.wait(sweep)
    log = cluster.log("coordinator")
    check(log.count(" ready ") == 1 + n_killed, "%d lives" % log.count(" ready "))
    check("checkpoint_loaded" in log, "a checkpoint was loaded (SEED=%d)" % SEED)
    check("unreadable" not in log and "kept_results_lost" not in log and "unit_failed" not in log,
          "nothing went wrong (SEED=%d)" % SEED)
    expect_same(cluster, sweep, "killed between checkpoints, SEED=%d" % SEED)


def redis_holds_marks_and_few_bytes(cluster):
    start(cluster, workers=1)
    sweep = cluster.submit(SWEEP)
    wait_until(lambda: phase_is(cluster, sweep, "capture-rest"), "capture-rest")
    cluster.ctl("pause", sweep)
    cluster.send_signal("coordinator", 19)  # SIGSTOP: what is there stays there
    explain = sizes(cluster, sweep, "capture-explain")
    check(len(explain) > 8, "%d units in explain" % len(explain))
    check(explain.count(MARK) >= len(explain) / 2, "marks: %s" % explain)
    say("explain: %d units, %d of them marks, %d bytes" % (len(explain), explain.count(MARK),
                                                          sum(explain)))
    cluster.send_signal("coordinator", 18)
    cluster.ctl("resume", sweep)
    cluster.wait(sweep)
    expect_same(cluster, sweep, "checkpoints")


def token_ids_leave_redis_too(cluster):
    """And a coordinator that is killed then has them tokenized again, as ever."""
    cluster.start_redis()
    cluster.start_coordinator(more=("--checkpoint-bytes", "1", "--log", "debug"))
    cluster.start_worker("w1")
    sweep = cluster.submit(SWEEP)
    wait_until(lambda: marks(cluster, sweep, "tokenize"), "marks", step=0.002)
    kill_coordinator(cluster)
    cluster.start_coordinator(more=SMALL)
    cluster.wait(sweep)
    check("unit_failed" not in cluster.log("coordinator"), "nobody's failure")
    expect_same(cluster, sweep, "tokenized again")


def lose_checkpoint(cluster, damage):
    """Kill the coordinator while marks are in Redis, do something to the file, start it again."""
    start(cluster)
    sweep = cluster.submit(SWEEP)
    wait_until(lambda: marks(cluster, sweep, "capture-explain") > 2, "marks", step=0.005)
    kill_coordinator(cluster)
    path = cluster.data / "sweeps" / sweep / "checkpoint-explain"
    damage(path)
    cluster.start_coordinator(more=SMALL)
    cluster.wait(sweep)
    log = cluster.log("coordinator")
    check("kept_results_lost" in log and "unit_failed" not in log, "its units are captured again")
    expect_same(cluster, sweep, damage.__name__)
    return log


def a_checkpoint_that_is_gone_is_captured_again(cluster):
    def removed(path):
        path.unlink()
    check("checkpoint_unreadable" not in lose_checkpoint(cluster, removed), "nothing to complain of")


def a_damaged_checkpoint_is_captured_again(cluster):
    def damaged(path):
        data = bytearray(path.read_bytes())
        data[random.Random(SEED).randrange(len(data))] ^= 0x10
        path.write_bytes(data)
    check("checkpoint_unreadable" in lose_checkpoint(cluster, damaged), "it is said")


def a_cancelled_sweep_leaves_no_checkpoint(cluster):
    start(cluster)
    sweep = cluster.submit(SWEEP)
    folder = cluster.data / "sweeps" / sweep
    wait_until(lambda: list(folder.glob("checkpoint*")), "a checkpoint", step=0.005)
    cluster.ctl("cancel", sweep)
    wait_until(lambda: not list(folder.glob("checkpoint*")), "it is removed")
    check_store_is_clean(cluster)


if __name__ == "__main__":
    print("SEED=%d" % SEED)
    run([redis_holds_marks_and_few_bytes, token_ids_leave_redis_too,
         the_coordinator_is_killed_between_checkpoints,
         a_checkpoint_that_is_gone_is_captured_again, a_damaged_checkpoint_is_captured_again,
         a_cancelled_sweep_leaves_no_checkpoint])
