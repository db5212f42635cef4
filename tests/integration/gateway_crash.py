#!/usr/bin/env python3
"""kill -9 of gateways and of Redis at random moments: nothing is lost, no stored reply is paid
for again, whatever was sent twice is listed, and the books balance to the token."""
import os
import pathlib
import random
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from gateway_bench import body_of, check, run
from gateway_books import check_books

SEED = int(os.environ.get("SEED", "0")) or random.randrange(1, 1 << 30)
PRICES = {"dollars_per_million_input": 3, "dollars_per_million_output": 15}


def gateways_killed_at_random_moments(bench):
    rng = random.Random(SEED)
    print("  SEED=%d" % SEED)
    bench.start_redis()
    bench.start_server("--latency", 0.15)
    bench.write_providers({"name": "p", "max_in_flight": 24, "timeout_seconds": 5, **PRICES})
    bodies = [body_of("call %d" % i) for i in range(1200)]
    ids = bench.submit(bodies)
    names = ["g0", "g1", "g2"]
    for name in names:
        bench.start_gateway(name)
    in_flight_at_kills, n_kills = 0, 0
    while bench.states(ids[-1:]) != ["done"] and n_kills < 25:
        time.sleep(rng.uniform(0.05, 0.5))
        victim = rng.choice(names)
        in_flight_at_kills += bench.redis.run("ZCARD", "interp:held:{p}")
        bench.kill(victim)
        n_kills += 1
        time.sleep(rng.uniform(0, 0.2))
        bench.start_gateway(victim)
    check(set(bench.wait_settled(ids, 60)) == {"done"}, "all done after %d kills" % n_kills)
    bench.wait_until(lambda: bench.redis.run("ZCARD", "interp:held:{p}") == 0, 20)
    twice = check_books(bench, ids, bodies)
    check(n_kills >= 5 and len(twice) <= in_flight_at_kills, "at most those in flight at a kill")


def redis_killed_at_random_moments(bench):
    rng = random.Random(SEED)
    print("  SEED=%d" % SEED)
    bench.start_redis(durable=True)
    bench.start_server("--latency", 0.1)
    bench.write_providers({"name": "p", "max_in_flight": 24, "timeout_seconds": 5, **PRICES})
    bodies = [body_of("call %d" % i) for i in range(1500)]
    ids = bench.submit(bodies)
    for name in ("g0", "g1"):
        bench.start_gateway(name)
    for n_outages in range(1, 5):
        bench.wait_until(lambda: bench.redis.run("ZCARD", "interp:held:{p}") >= 8, 10, step=0.005)
        time.sleep(rng.uniform(0, 0.3))
        bench.kill("redis")
        if n_outages % 2 == 0:
            bench.kill("g0")
            time.sleep(0.2)
            bench.start_gateway("g0")
        before = bench.stats()["received"]
        time.sleep(0.6)
        sent = bench.stats()["received"] - before
        check(sent <= 24, "while Redis is away nothing new is granted (%d were on their way)" %
              sent)
        bench.start_redis(durable=True)
        bench.wait_until(lambda: bench.gateway_log("g1").count("redis_back") == n_outages, 10)
    check(set(bench.wait_settled(ids, 60)) == {"done"}, "all done")
    bench.wait_until(lambda: bench.redis.run("ZCARD", "interp:held:{p}") == 0, 20)
    check_books(bench, ids, bodies)
    log = bench.gateway_log("g1")
    check(log.count("redis_away") == 4 and log.count("redis_back") == 4,
          "one line when Redis goes, one when it is back")


def a_dead_gateways_calls_are_taken_over_after_the_lease(bench):
    bench.start_redis()
    bench.start_server("--latency", 0.8)
    bench.write_providers({"name": "p", "max_in_flight": 8, "timeout_seconds": 2, **PRICES})
    bodies = [body_of("call %d" % i) for i in range(12)]
    ids = bench.submit(bodies)
    bench.start_gateway("g0")
    bench.wait_until(lambda: bench.stats()["received"] >= 4, 10)
    bench.kill("g0")  # and it never comes back
    bench.start_gateway("g1")
    check(set(bench.wait_settled(ids, 40)) == {"done"}, "another gateway finishes them")
    twice = check_books(bench, ids, bodies)
    check(0 < len(twice) <= 8, "%d calls in flight at the kill were sent once more" % len(twice))


def a_gateway_starts_without_redis_and_drains_on_sigterm(bench):
    bench.start_server("--latency", 0.5)
    bench.write_providers({"name": "p", "max_in_flight": 8, **PRICES})
    bench.start_gateway("g0")
    time.sleep(1)
    check(bench.gateway_log("g0").count("redis_away") == 1, "it says once that Redis is away")
    bench.start_redis()
    bodies = [body_of("call %d" % i) for i in range(40)]
    ids = bench.submit(bodies)
    bench.wait_until(lambda: bench.stats()["received"] >= 8, 15)
    check(bench.kill("g0", 15) == 0, "SIGTERM ends it with code 0")
    states = bench.states(ids)
    received = bench.stats()["received"]
    check(states.count("done") == received and "granted" not in states,
          "the %d calls in flight were finished, no other was begun" % received)
    check(bench.uncertain() == {}, "nothing is uncertain")
    bench.start_gateway("g0")
    check(set(bench.wait_settled(ids, 20)) == {"done"}, "the next one goes on")
    check_books(bench, ids, bodies)


def a_torn_journal_is_read_up_to_the_tear(bench):
    bench.start_redis()
    bench.start_server("--latency", 3)
    bench.write_providers({"name": "p", "max_in_flight": 4, "timeout_seconds": 8, **PRICES})
    bodies = [body_of("call %d" % i) for i in range(4)]
    ids = bench.submit(bodies)
    bench.start_gateway("g0")
    bench.wait_until(lambda: bench.stats()["received"] >= 4, 10)
    bench.kill("g0")
    segment = sorted((bench.path / "journal" / "g0").glob("segment.*"))[-1]
    with open(segment, "ab") as file:
        file.write(b"\x40\x00\x00\x00half a rec")
    bench.start_gateway("g0")
    check(set(bench.wait_settled(ids, 30)) == {"done"}, "all done")
    check("torn=1" in bench.gateway_log("g0"), "the tear was seen and logged")
    twice = check_books(bench, ids, bodies)
    check(len(twice) == 4, "the four in flight were sent once more, at once, and are listed")


if __name__ == "__main__":
    run([gateways_killed_at_random_moments, redis_killed_at_random_moments,
         a_dead_gateways_calls_are_taken_over_after_the_lease,
         a_gateway_starts_without_redis_and_drains_on_sigterm,
         a_torn_journal_is_read_up_to_the_tear])
