#!/usr/bin/env python3
"""About 2,000 sessions with language models at once, and kill -9 of coordinator, gateways and Redis
(AOF) at random moments: the same bytes as undisturbed; in the endpoint's log no call is sent again
whose reply was stored; those sent twice were in flight at a kill and are listed as uncertain; the
books (`interpctl cost`) balance with the endpoint's bill to the token.

    BUILD=build/release [SEED=n] [KILLS=12] [SAMPLE=4400] tests/chaos/llm_sessions.py

Some eight minutes on two cores; tests/integration/sweep_llm_crashes.py is the same in small."""
import os
import pathlib
import random
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import DEMO, Cluster, check, check_store_is_clean, run, say, wait_until
from sweep_books import check_books, gateways_stopped, sends_of

SEED = int(os.environ.get("SEED", "0")) or random.randrange(1, 1 << 30)
N_KILLS = int(os.environ.get("KILLS", "12"))
SWEEP = """
kind: label
name: sessions
model: %s
corpus: {path: %s, bos: true, context_tokens: 128, max_tokens: 300000}
targets:
  - {hook: blocks.2.hook_resid_pre, dictionary: %s, sample: %s, density_min: 0.0005, density_max: 0.05}
explainer: stand-in
judge: stand-in-judge
evidence: {near_miss_k: 0}
thresholds: {min_test_documents: 5}
scoring: {null_pairs: 0, n_firing: 10, n_silent: 10, windows_per_prompt: 10, bootstrap_resamples: 200}
budget_dollars: 1000
""" % (DEMO / "model", DEMO / "corpus/demo.jsonl.gz", DEMO / "sae", os.environ.get("SAMPLE", "4400"))
VICTIMS = (["g1"], ["g2"], ["coordinator"], ["redis"], ["g1", "coordinator"], ["redis", "g2"],
           ["redis", "coordinator", "g1", "g2"])


def start(cluster):
    cluster.start_llm("--log-bodies", "--latency", 0.3)
    cluster.write_providers(max_in_flight=32, timeout_seconds=30)
    cluster.up(workers=2, gateways=2)
    return cluster.submit(SWEEP)


def undisturbed():
    with Cluster() as cluster:
        sweep = start(cluster)
        cluster.wait(sweep, seconds=900)
        check_books(cluster, sweep)
        check(cluster.redis.run("HLEN", "interp:uncertain") == 0, "nothing is uncertain")
        n_calls = cluster.llm_stats()["received"]
        say("undisturbed: %d sessions, %d calls" % (n_sessions(cluster, sweep), n_calls))
        return cluster.canonical(sweep), n_calls


def n_sessions(cluster, sweep):
    text = (cluster.data / "sweeps" / sweep / "results.jsonl").read_text()
    return sum('"label":null' not in line and '"label":' in line for line in text.splitlines())


def strike(cluster, victims, outage_seconds):
    """kill -9 and start again; what was known at that moment."""
    with gateways_stopped(cluster) as kill:
        for victim in victims:
            cluster.kill(victim)
    if "redis" in victims:
        time.sleep(outage_seconds)
        cluster.start_redis()
    for victim in victims:
        if victim == "coordinator":
            cluster.start_coordinator()
        elif victim != "redis":
            cluster.start_gateway(victim)
    return kill


def sessions_survive(cluster):
    expected, n_calls = undisturbed()
    rng = random.Random(SEED)
    sweep = start(cluster)
    wait_until(lambda: cluster.llm_stats()["received"], "the first call", 600, step=0.2)
    kills = []
    for at in sorted(rng.uniform(0.01, 0.95) for _ in range(N_KILLS)):
        wait_until(lambda: cluster.llm_stats()["received"] >= at * n_calls, "calls", 600)
        victims = rng.choice(VICTIMS)
        kills.append(strike(cluster, victims, rng.uniform(0, 1.5)))
        say("kill -9 %s at call %d: %d replies stored, %d calls in flight" %
            (" ".join(victims), at * n_calls, len(kills[-1][1]), len(kills[-1][2])))
    cluster.wait(sweep, seconds=900)
    mine = cluster.canonical(sweep)
    for name in mine:
        check(mine[name] == expected[name], "%s differs (SEED=%d)" % (name, SEED))
    n_twice = check_books(cluster, sweep, kills)
    check_store_is_clean(cluster)
    cost = cluster.json("cost", sweep)
    say("the same bytes; %d sends, %d calls sent twice of %d in flight at kills, %d listed" %
        (len(sends_of(cluster)), n_twice, sum(len(names) for _, _, names in kills),
         len(cost["uncertain"])))
    say("interpctl cost: %(tokens_in)d + %(tokens_out)d tokens, as billed" % cost["together"])


if __name__ == "__main__":
    print("SEED=%d" % SEED)
    run([sessions_survive])
