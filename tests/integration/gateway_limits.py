#!/usr/bin/env python3
"""Limits, fairness and budgets, counted at the endpoint, with one and with several gateways (eight
gateways and four sweeps: gateway_shares.py).

LONG=1 adds the tests that need minutes; MEASURED_SECONDS=60 measures for longer."""
# timeout: 400
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from gateway_bench import body_of, check, run

WARM_SECONDS = 3
MEASURED_SECONDS = int(os.environ.get("MEASURED_SECONDS", "6"))


def answered(bench):
    return [l for l in bench.log() if l["event"] == "answered" and l["status"] == 200]


def utilisation(bench, rate_per_minute, n_gateways, amount, warm_seconds=WARM_SECONDS):
    """Run under load. After the first burst the endpoint's bucket gives exactly its rate, and the
    share of it that was used is what counts."""
    for i in range(n_gateways):
        bench.start_gateway("g%d" % i)
    time.sleep(warm_seconds + MEASURED_SECONDS + 2)
    lines = answered(bench)
    start = lines[0]["t"] + warm_seconds
    used = sum(amount(l) for l in lines if start < l["t"] <= start + MEASURED_SECONDS)
    stats = bench.stats()
    check(stats.get("violations", 0) == 0, "%d gateways: no request over the limit of %d seen" %
          (n_gateways, stats["received"]))
    share = used / (rate_per_minute / 60 * MEASURED_SECONDS)
    check(share >= 0.97, "%d gateways use %.2f %% of the allowed rate" % (n_gateways, 100 * share))


def one_gateway_uses_the_request_limit(bench):
    request_limit(bench, 1)


def three_gateways_use_the_request_limit(bench):
    request_limit(bench, 3)


def calls_for(per_second):
    """So many that none of the measured seconds lacks any, the burst and the start included."""
    return range(per_second * (MEASURED_SECONDS + 30))


def request_limit(bench, n_gateways):
    bench.start_redis()
    bench.start_server("--rpm", 3000, "--burst-seconds", 10, "--latency", 0.2)
    bench.write_providers({"name": "p", "rpm": 3000, "burst_seconds": 10, "max_in_flight": 256})
    bench.submit([body_of("call %d" % i) for i in calls_for(60)])
    utilisation(bench, 3000, n_gateways, lambda _line: 1)


def three_gateways_use_the_token_limit(bench):
    bench.start_redis()
    bench.start_server("--rpm", 6000, "--tpm", 200000, "--burst-seconds", 10, "--latency", 0.3)
    bench.write_providers({"name": "p", "rpm": 6000, "tpm": 200000, "burst_seconds": 10,
                           "max_in_flight": 256})
    bench.submit([body_of("call %d " % i + "words " * (i % 40), max_tokens=40)
                  for i in calls_for(100)])
    utilisation(bench, 200000, 3, lambda l: l["tokens_in"] + l["tokens_out"])


def output_that_counts_as_it_is_written_is_reserved_by_experience(bench):
    """max_tokens is 50 times what replies need: reserving it would use a tenth of the limit."""
    bench.start_redis()
    bench.start_server("--otpm", 60000, "--burst-seconds", 10, "--latency", 1, "--count-actual")
    bench.write_providers({"name": "p", "otpm": 60000, "burst_seconds": 10, "max_in_flight": 512,
                           "reserve_output": "p90"})
    bench.submit([body_of("call %d" % i, max_tokens=512) for i in calls_for(150)])
    utilisation(bench, 60000, 2, lambda l: l["tokens_out"], warm_seconds=12)


def a_sliding_minute_is_kept_too(bench):
    """A provider that counts the last 60 seconds exactly: cap = depth + rate x 60."""
    bench.start_redis()
    bench.start_server("--rpm", 1200, "--window", "sliding")
    # 1,200 in any minute: 1,190 a minute and a bucket of half a second
    bench.write_providers({"name": "p", "rpm": 1180, "burst_seconds": 1, "max_in_flight": 64})
    bench.submit([body_of("call %d" % i) for i in range(2500)])
    for i in range(3):
        bench.start_gateway("g%d" % i)
    time.sleep(75)
    stats = bench.stats()
    check(stats.get("violations", 0) == 0, "no violation in %d requests" % stats["received"])
    check(stats["received"] >= 0.97 * 1200 * 75 / 60 * 0.985, "and the rate is used")


def three_sweeps_share_fairly(bench):
    bench.start_redis()
    bench.start_server("--rpm", 3000, "--burst-seconds", 2, "--latency", 0.1)
    bench.write_providers({"name": "p", "rpm": 3000, "burst_seconds": 2, "max_in_flight": 64})
    weights = {"a": 1, "b": 1, "c": 2}
    owner = {}
    for sweep, weight in weights.items():
        bench.redis.run("HSET", "interp:ledger:" + sweep, "weight", weight)
        ids = bench.submit([body_of("%s %d" % (sweep, i)) for i in range(1200)], sweep=sweep)
        owner.update(dict.fromkeys(ids, sweep))
    for i in range(3):
        bench.start_gateway("g%d" % i)
    time.sleep(8)
    calls = {s: bench.ledger(s).get("calls", 0) for s in weights}
    total = sum(calls.values())
    check(total > 300, "%d calls done" % total)
    for sweep, weight in weights.items():
        share, due = calls[sweep] / total, weight / sum(weights.values())
        check(abs(share - due) <= 0.01, "sweep %s of weight %d got %.2f %%, due %.2f %%" %
              (sweep, weight, 100 * share, 100 * due))


def priority_goes_first_and_starves_nobody(bench):
    bench.start_redis()
    bench.start_server("--rpm", 3000, "--burst-seconds", 1)
    bench.write_providers({"name": "p", "rpm": 3000, "burst_seconds": 1, "max_in_flight": 16})
    bench.submit([body_of("low %d" % i) for i in range(400)], sweep="low", priority=1)
    bench.submit([body_of("high %d" % i) for i in range(400)], sweep="high", priority=9)
    bench.start_gateway()
    bench.wait_until(lambda: bench.ledger("high").get("calls", 0) >= 300, 15)
    high, low = bench.ledger("high")["calls"], bench.ledger("low").get("calls", 0)
    check(0.08 <= low / (high + low) <= 0.12, "low priority got %d beside %d" % (low, high))


def a_budget_is_never_passed_and_a_raised_one_goes_on(bench):
    bench.start_redis()
    bench.start_server("--latency", 0.02)
    bench.write_providers({"name": "p", "dollars_per_million_input": 100,
                           "dollars_per_million_output": 1000, "max_in_flight": 32})
    ids = bench.submit([body_of("call %d" % i) for i in range(300)])
    bench.redis.run("HSET", "interp:ledger:s", "budget_microdollars", 1000000)
    bench.start_gateway("g0")
    bench.start_gateway("g1")
    bench.wait_until(lambda: bench.ledger().get("exhausted"), 20)
    ledger = bench.ledger()
    spent = ledger["spent_microdollars"]
    check(ledger.get("exhausted") == 1, "the ledger says exhausted")
    check(spent <= 1000000, "spent %d of 1,000,000 microdollars" % spent)
    check(spent >= 900000, "and it was used")
    check(ledger["reserved_microdollars"] == 0, "nothing is reserved")
    states = bench.states(ids)
    check(states.count("done") == ledger["calls"] and "failed" not in states,
          "%d calls wait, none failed" % states.count("queued"))
    received = bench.stats()["received"]
    time.sleep(1)
    check(bench.stats()["received"] == received, "nothing more is sent")
    bench.redis.run("HSET", "interp:ledger:s", "budget_microdollars", 100000000)
    check(set(bench.wait_settled(ids, 20)) == {"done"}, "with a larger budget all are done")
    check("exhausted" not in bench.ledger(), "and it is not exhausted any more")
    day = [k for k in bench.redis.run("KEYS", "interp:ledger:day-*")]
    check(day == [], "no daily ledger without a daily budget")


def a_daily_budget_holds_over_sweeps(bench):
    bench.start_redis()
    bench.start_server()
    bench.write_providers({"name": "p", "dollars_per_million_input": 100,
                           "dollars_per_million_output": 1000}, dollars_per_day=0.5)
    for sweep in ("a", "b"):
        bench.submit([body_of("%s %d" % (sweep, i)) for i in range(100)], sweep=sweep)
    bench.start_gateway()
    key = "day-%d" % (time.time() // 86400)
    bench.wait_until(lambda: bench.ledger(key).get("exhausted"), 20)
    spent = [bench.ledger(s).get("spent_microdollars", 0) for s in ("a", "b", key)]
    check(spent[0] + spent[1] == spent[2] and 400000 <= spent[2] <= 500000,
          "two sweeps spent %d + %d of the day's 500,000" % (spent[0], spent[1]))


def an_overestimated_limit_is_found_by_the_429s(bench):
    """providers.yaml says 12,000 a minute, the endpoint allows 3,000 and counts refusals."""
    bench.start_redis()
    bench.start_server("--rpm", 3000, "--burst-seconds", 2, "--latency", 0.1)
    bench.write_providers({"name": "p", "rpm": 12000, "burst_seconds": 2, "max_in_flight": 64})
    ids = bench.submit([body_of("call %d" % i) for i in range(700)])
    for i in range(3):
        bench.start_gateway("g%d" % i)
    check(set(bench.wait_settled(ids, 80)) == {"done"}, "all done")
    stats = bench.stats()
    refused = stats.get("violations", 0) / stats["received"]
    check(refused < 0.25, "%.1f %% of the requests were refused" % (100 * refused))
    share = stats["status_200"] / (3000 / 60 * (stats["seconds"] + 2))
    check(share > 0.5, "%.0f %% of the allowed rate was used all the same" % (100 * share))


def concurrency_with(bench, n_calls, *server_options):
    bench.start_redis()
    bench.start_server("--latency", 0.05, *server_options)
    bench.write_providers({"name": "p", "max_in_flight": 64})
    ids = bench.submit([body_of("call %d" % i) for i in range(n_calls)])
    bench.start_gateway()
    check(set(bench.wait_settled(ids, 90)) == {"done"}, "all done")
    return bench.stats()


def an_endpoint_that_stays_quick_gets_more_at_once(bench):
    peak = concurrency_with(bench, 1500)["peak_in_flight"]
    check(32 <= peak <= 64, "constant latency: concurrency grew to %d" % peak)


def an_endpoint_with_four_slots_is_kept_busy_and_not_flooded(bench):
    """Beyond four at once a request only waits there."""
    stats = concurrency_with(bench, 700, "--slots", 4)
    check(4 <= stats["peak_in_flight"] <= 20, "at most %d were there at once" %
          stats["peak_in_flight"])
    rate, most = stats["status_200"] / stats["seconds"], 4 / 0.05
    check(rate >= 0.85 * most, "%.1f a second of the %.0f that four slots can do" % (rate, most))


def a_cancelled_sweep_leaves_replies_and_ledger_alone(bench):
    bench.start_redis()
    bench.start_server("--rpm", 600, "--burst-seconds", 1, "--latency", 0.3)
    bench.write_providers({"name": "p", "rpm": 600, "burst_seconds": 1, "max_in_flight": 64})
    shared = [body_of("shared %d" % i) for i in range(5)]
    ids = bench.submit([body_of("own %d" % i) for i in range(200)], sweep="a")
    shared_ids = bench.submit(shared, sweep="a")
    bench.submit(shared, sweep="b")
    bench.start_gateway()
    bench.wait_until(lambda: bench.states(ids).count("done") >= 10, 20)
    bench.forget("a")
    check(set(bench.wait_settled(shared_ids, 20)) == {"done"}, "what another sweep wants is done")
    bench.wait_until(lambda: bench.redis.run("EXISTS", "interp:held:{p}") == 0, 5)
    bench.forget("b")
    received = bench.stats()["received"]
    check(received < 100, "%d of 205 calls were sent" % received)
    check(bench.stats()["sent_more_than_once"] == 0, "none twice")
    bench.kill("g1", 15)
    keys = set(bench.redis.run("KEYS", "*"))
    calls = {k for k in keys if k.startswith("interp:call:")}
    check(len(calls) == received, "the replies that were paid for are kept")
    rest = keys - calls - {"interp:served:{p}"}  # which expires
    check(rest == {"interp:ledger:a", "interp:ledger:b", "interp:limit:{p}", "interp:replies",
                   "interp:doorbell", "interp:attempts"}, "nothing else is left: %s" % sorted(rest))


if __name__ == "__main__":
    tests = [one_gateway_uses_the_request_limit, three_gateways_use_the_request_limit,
             three_gateways_use_the_token_limit, three_sweeps_share_fairly,
             priority_goes_first_and_starves_nobody,
             a_budget_is_never_passed_and_a_raised_one_goes_on, a_daily_budget_holds_over_sweeps,
             an_overestimated_limit_is_found_by_the_429s,
             an_endpoint_that_stays_quick_gets_more_at_once,
             an_endpoint_with_four_slots_is_kept_busy_and_not_flooded,
             a_cancelled_sweep_leaves_replies_and_ledger_alone]
    long_tests = [a_sliding_minute_is_kept_too,
                  output_that_counts_as_it_is_written_is_reserved_by_experience]
    run(tests + (long_tests if os.environ.get("LONG") or sys.argv[1:] else []))
