#!/usr/bin/env python3
"""An LLM sweep with coordinator, gateway and Redis killed and restarted at random moments: the same
bytes as undisturbed, no call sent again whose reply was stored, what was sent twice was in flight
at a kill and is listed, and the books balance with what the endpoint billed.

SEED=n repeats a run; LONG=n adds n more seeds (each about half a minute)."""
# timeout: 300
import os
import pathlib
import random
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import Cluster, check, check_store_is_clean, label_sweep, run, say, wait_until
from sweep_books import check_books, gateways_stopped

SEED = int(os.environ.get("SEED", "0")) or random.randrange(1, 1 << 30)
MORE = """explainer: stand-in
judge: stand-in-judge
scoring: {null_pairs: 20, n_firing: 10, n_silent: 10, bootstrap_resamples: 200}
budget_dollars: 5
"""

reference = {}


def start(cluster, latency=0.15):
    """Everything up, the sweep submitted."""
    cluster.start_llm("--log-bodies", "--latency", latency)
    cluster.up(workers=2, gateways=1)
    return cluster.submit(label_sweep("llm", 60000, 30, MORE))


def undisturbed():
    if not reference:
        with Cluster() as cluster:
            sweep = start(cluster, 0.01)
            cluster.wait(sweep)
            check_books(cluster, sweep)
            check(cluster.redis.run("HLEN", "interp:uncertain") == 0, "nothing is uncertain")
            check_store_is_clean(cluster)
            reference.update(cluster.canonical(sweep))
            reference["dollars"] = cluster.status(sweep)["spend"]["dollars"]
            reference["n_calls"] = cluster.llm_stats()["received"]
            say("undisturbed: %d calls" % reference["n_calls"])
    return reference["n_calls"]


def killed_at_random_moments(cluster, seed, n_kills=5):
    n_calls = undisturbed()
    rng = random.Random(seed)
    sweep = start(cluster)
    kills = []
    for at in sorted(rng.uniform(0.02, 0.9) for _ in range(n_kills)):
        wait_until(lambda: cluster.llm_stats()["received"] >= at * n_calls, "call %d" %
                   (at * n_calls), 60)
        victims = rng.choice([["g1"], ["coordinator"], ["g1", "coordinator"]])
        say("kill -9 %s at call %d (SEED=%d)" % (" ".join(victims), at * n_calls, seed))
        with gateways_stopped(cluster) as kill:
            kills.append(kill)
            for victim in victims:
                cluster.kill(victim)
        if "g1" in victims:
            cluster.start_gateway("g1")
        if "coordinator" in victims:
            cluster.start_coordinator()
    cluster.wait(sweep, seconds=90)
    mine = cluster.canonical(sweep)
    for name in mine:
        check(mine[name] == reference[name], "%s differs (SEED=%d)" % (name, seed))
    n_twice = check_books(cluster, sweep, kills)
    check_store_is_clean(cluster)
    say("the same bytes; %d calls sent twice, all listed" % n_twice)


def coordinator_and_gateway_are_killed(cluster):
    killed_at_random_moments(cluster, SEED)


def redis_is_restarted(cluster):
    """SIGTERM, then kill -9: the sweep goes on, nothing that was stored is paid for again."""
    n_calls = undisturbed()
    rng = random.Random(SEED)
    sweep = start(cluster)
    kills = []
    for i, number in enumerate((signal.SIGTERM, signal.SIGKILL)):
        at = rng.uniform(0.1, 0.4) + 0.45 * i
        wait_until(lambda: cluster.llm_stats()["received"] >= at * n_calls, "calls", 60)
        say("%s Redis at call %d (SEED=%d)" % (number.name, at * n_calls, SEED))
        with gateways_stopped(cluster) as kill:
            kills.append(kill)
            cluster.kill("redis", number)
        time.sleep(rng.uniform(0.2, 1.5))  # an outage lasts
        cluster.start_redis()
    cluster.wait(sweep, seconds=90)
    mine = cluster.canonical(sweep)
    for name in mine:
        check(mine[name] == reference[name], "%s differs (SEED=%d)" % (name, SEED))
    n_twice = check_books(cluster, sweep, kills)
    say("%d calls sent twice, all listed" % n_twice)
    check(cluster.is_running("coordinator") and cluster.is_running("g1"), "all live on")
    check_store_is_clean(cluster)


def by_batches(cluster):
    """The same sweep through the providers' batch API, the gateway killed: the same bytes, at half
    the price, and no batch is made twice."""
    undisturbed()
    rng = random.Random(SEED)
    cluster.start_llm("--batch-seconds", 0.3)
    cluster.write_providers(rpm=0, batch="true", batch_wait_seconds=0.3, batch_poll_seconds=0.2)
    cluster.up(workers=2, gateways=1)
    sweep = cluster.submit(label_sweep("llm", 60000, 30, MORE))
    for n_batches in (1, 3):
        wait_until(lambda: cluster.llm_stats().get("batches", 0) >= n_batches, "batches", 60)
        time.sleep(rng.uniform(0, 0.5))
        cluster.kill("g1")
        cluster.start_gateway("g1")
    cluster.wait(sweep, seconds=90)
    mine = cluster.canonical(sweep)
    for name in mine:
        check(mine[name] == reference[name], "%s differs (SEED=%d)" % (name, SEED))
    stats, status = cluster.llm_stats(), cluster.status(sweep)
    check(stats["received"] == 0 and stats["batched_calls"] == reference["n_calls"],
          "every call went once, in a batch")
    check(cluster.redis.run("HLEN", "interp:uncertain") == 0, "nothing is uncertain")
    check((status["spend"]["tokens_in"], status["spend"]["tokens_out"]) ==
          (stats["tokens_in"], stats["tokens_out"]), "tokens booked as billed")
    share = status["spend"]["dollars"] / reference["dollars"]
    check(0.5 <= share < 0.51, "at half the price, rounded up by call: %.3f" % share)
    check_store_is_clean(cluster)
    say("the same bytes in %d batches" % stats["batches"])


if __name__ == "__main__":
    print("SEED=%d" % SEED)
    tests = [coordinator_and_gateway_are_killed, redis_is_restarted, by_batches]
    for k in range(int(os.environ.get("LONG", "0"))):
        def more(cluster, seed=SEED + 1 + k):
            killed_at_random_moments(cluster, seed)
        more.__name__ = "seed_%d" % (SEED + 1 + k)
        tests.append(more)
    run(tests)
