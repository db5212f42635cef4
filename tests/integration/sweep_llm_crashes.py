#!/usr/bin/env python3
"""An LLM sweep with coordinator, gateway and Redis killed and restarted at random moments: the same
bytes as undisturbed, no call sent again whose reply was stored, what was sent twice was in flight
at a kill and is listed, and the books balance with what the endpoint billed.

SEED=n repeats a run; LONG=n adds n more seeds (each about half a minute)."""
# timeout: 300
import collections
import json
import os
import pathlib
import random
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import Cluster, check, check_store_is_clean, label_sweep, run, say, wait_until
from gateway_bench import call_id

SEED = int(os.environ.get("SEED", "0")) or random.randrange(1, 1 << 30)
PROVIDERS = {"explainer-1": "stand-in", "judge-1": "stand-in-judge"}
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


# --- what the endpoint saw ---------------------------------------------------------------------


def sends_of(cluster):
    """[(line number, call id)] of every request that reached the endpoint."""
    sends = []
    for number, line in enumerate(cluster.llm_log()):
        if line["event"] == "received":
            body = json.loads(line["body"])
            sends.append((number, call_id(PROVIDERS[body["model"]], body)))
    return sends


def stored_now(cluster):
    """Ids of the calls whose reply is stored."""
    redis = cluster.redis
    return {key.split(":")[-1] for key in redis.run("KEYS", "interp:call:*")
            if redis.run("HGET", key, "state") == "done"}


def uncertain_of(cluster):
    return {key: json.loads(value)
            for key, value in cluster.redis.hash("interp:uncertain").items()}


def check_books(cluster, sweep, kills=()):
    """`kills`: (lines in the endpoint's log, ids stored, ids in flight) at each."""
    wait_until(lambda: all(cluster.redis.run("ZCARD", "interp:held:{%s}" % name) == 0
                           for name in PROVIDERS.values()), "nothing is in flight", 40)
    sends = sends_of(cluster)
    n_sends = collections.Counter(name for _, name in sends)
    listed, late, still_open = (collections.Counter() for _ in range(3))
    for key, entry in uncertain_of(cluster).items():
        name = key.split("#")[0]
        listed[name] += 1
        (still_open if entry["state"] == "open" else late)[name] += 1
        check(entry["sweep"] == sweep, "listed with its sweep")
    for n_lines, stored, _ in kills:
        again = stored & {name for number, name in sends if number >= n_lines}
        check(not again, "%d stored calls were sent again" % len(again))
    in_flight = set().union(*(names for _, _, names in kills)) if kills else set()
    twice = {name for name, n in n_sends.items() if n > 1}
    check(twice <= in_flight, "%d sent twice were not in flight at a kill" %
          len(twice - in_flight))
    check(all(n_sends[name] - 1 <= listed[name] for name in twice), "each is listed as uncertain")
    check_money(cluster, sweep, n_sends, late, still_open)
    return len(twice)


def check_money(cluster, sweep, n_sends, late, still_open):
    billed, tokens = collections.Counter(), {}
    call_of = {line["hash"]: call_id(PROVIDERS[json.loads(line["body"])["model"]],
                                     json.loads(line["body"]))
               for line in cluster.llm_log() if line["event"] == "received"}
    for line in cluster.llm_log():
        if line["event"] == "answered" and line["status"] == 200:
            billed[call_of[line["hash"]]] += 1
            tokens[call_of[line["hash"]]] = (line["tokens_in"], line["tokens_out"])
    status = cluster.status(sweep)
    check(status["calls"]["uncertain"] == sum(still_open.values()), "status shows the uncertain")
    check(status["calls"]["done"] == len(n_sends) + sum(late.values()), "every call is counted")
    check(status["spend"]["reserved_dollars"] == 0, "nothing stays reserved")
    entries = [entry for entry in uncertain_of(cluster).values() if entry["state"] == "open"]
    for i, name in enumerate(("tokens_in", "tokens_out")):
        booked = sum(tokens[call][i] * (1 + late[call]) for call in n_sends)
        check(status["spend"][name] == booked, "%s booked: %d, billed for the stored replies: %d" %
              (name, status["spend"][name], booked))
        extra = sum(tokens[call][i] * n for call, n in billed.items()) - booked
        worst = sum(entry[name] for entry in entries)
        check(0 <= extra <= worst, "%s billed beyond that: %d, uncertain: %d" % (name, extra, worst))
    worst = sum(entry["microdollars"] for entry in entries)
    check(abs(status["spend"]["uncertain_dollars"] * 1e6 - worst) < 1, "worst case is booked")
    check_cost(cluster, sweep, status)


def check_cost(cluster, sweep, status):
    """`interpctl cost`: the providers' books add up to the sweep's, and the uncertain are listed."""
    cost = cluster.json("cost", sweep)
    check({one["provider"] for one in cost["providers"]} == set(PROVIDERS.values()), "both were paid")
    for name, whole in (("calls", status["calls"]["done"]), ("dollars", status["spend"]["dollars"]),
                        ("tokens_in", status["spend"]["tokens_in"]),
                        ("tokens_out", status["spend"]["tokens_out"])):
        check(abs(sum(one[name] for one in cost["providers"]) - whole) < 1e-9, "%s add up" % name)
        check(abs(cost["together"][name] - whole) < 1e-9, "%s together" % name)
    check(len(cost["uncertain"]) == len(uncertain_of(cluster)), "every uncertain call is listed")
    check(cost["budget_dollars"] == 5, "with the budget")
    text = cluster.ctl("cost", sweep)
    check("stand-in-judge" in text and "$5.00" in text, "and for people: %s" % text)


# --- kills ----------------------------------------------------------------------------------


def in_flight_now(cluster):
    names = set()
    for provider in PROVIDERS.values():
        names |= {key.split("#")[0]
                  for key in cluster.redis.run("HKEYS", "interp:reservation:{%s}" % provider)}
    return names


def kill_gateway(cluster):
    """kill -9, and what was known at that moment."""
    cluster.send_signal("g1", signal.SIGSTOP)
    kill = (len(cluster.llm_log()), stored_now(cluster), in_flight_now(cluster))
    cluster.kill("g1")
    return kill


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
        if "g1" in victims:
            kills.append(kill_gateway(cluster))
        if "coordinator" in victims:
            cluster.kill("coordinator")
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
        kills.append((len(cluster.llm_log()), stored_now(cluster), in_flight_now(cluster)))
        cluster.kill("redis", number)
        time.sleep(rng.uniform(0.2, 1.5))  # an outage lasts
        cluster.start_redis()
    cluster.wait(sweep, seconds=90)
    mine = cluster.canonical(sweep)
    for name in mine:
        check(mine[name] == reference[name], "%s differs (SEED=%d)" % (name, SEED))
    sends = collections.Counter(name for _, name in sends_of(cluster))
    listed = collections.Counter(key.split("#")[0] for key in uncertain_of(cluster))
    for n_lines, stored, _ in kills:
        again = stored & {name for line, name in sends_of(cluster) if line >= n_lines}
        check(not again, "%d stored calls were sent again" % len(again))
    check(all(n - 1 <= listed[name] for name, n in sends.items()), "twice only if listed")
    check(sum(sends.values()) - len(sends) <= 32, "few were sent twice")
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
