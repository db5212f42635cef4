#!/usr/bin/env python3
"""Eight gateways and four sweeps at one endpoint, everything counted at the endpoint: how much of the
allowed rate is used, that nothing goes over it, and that the sweeps get equal shares.

MEASURED_SECONDS=60 measures for longer."""
import collections
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from gateway_bench import ROOT, body_of, check, run
from gateway_books import hash_of

MEASURED_SECONDS = int(os.environ.get("MEASURED_SECONDS", "8"))
N_GATEWAYS, SWEEPS, BURST_SECONDS = 8, "abcd", 2


def submit_all(bench, bodies_of, priority_of=lambda sweep: 5):
    """hash of a body -> its sweep."""
    owner = {}
    for sweep in SWEEPS:
        bodies = bodies_of(sweep)
        owner.update((hash_of(body), sweep) for body in bodies)
        bench.submit(bodies, sweep=sweep, priority=priority_of(sweep))
    return owner


def run_under_load(bench, warm_seconds):
    """The log of the endpoint, and the part of it that is measured."""
    for i in range(N_GATEWAYS):
        bench.start_gateway("g%d" % i)
    bench.wait_until(lambda: bench.stats()["received"], 20)
    time.sleep(warm_seconds + MEASURED_SECONDS + 1)
    check(all(p.poll() is None for p in bench.processes.values()), "all of them live")
    log = bench.log()
    begin = log[0]["t"] + warm_seconds
    return log, [l for l in log if begin < l["t"] <= begin + MEASURED_SECONDS]


def done(lines):
    return [l for l in lines if l["event"] == "answered" and l["status"] == 200]


def check_rate(used, per_minute, what):
    share = used / (per_minute / 60 * MEASURED_SECONDS)
    check(share >= 0.97, "%.2f %% of the allowed %s are used" % (100 * share, what))
    check(share <= 1.01, "and no more than allowed")


def check_no_violation(bench):
    stats = bench.stats()
    check(stats.get("violations", 0) == 0,
          "no request or token over the limits in %d requests" % stats["received"])


def check_fair(amounts, names=SWEEPS):
    """Within 1 % of the mean."""
    mean = sum(amounts[s] for s in names) / len(names)
    spread = max(abs(amounts[s] / mean - 1) for s in names)
    check(spread <= 0.01, "shares %s: within %.2f %%" % ([amounts[s] for s in names], 100 * spread))


def share_of_calls(log, owner):
    return collections.Counter(owner[l["hash"]] for l in log if l["event"] == "received")


def share_of_tokens(log, owner, *kinds):
    amounts = collections.Counter()
    for line in done(log):
        amounts[owner[line["hash"]]] += sum(line[kind] for kind in kinds)
    return amounts


def requests_bind(bench):
    bench.start_redis()
    bench.start_server("--rpm", 6000, "--tpm", 600000, "--burst-seconds", BURST_SECONDS,
                       "--latency", 0.3)
    bench.write_providers({"name": "p", "rpm": 6000, "tpm": 600000, "max_in_flight": 256,
                           "burst_seconds": BURST_SECONDS})
    n = 25 * (MEASURED_SECONDS + 12)
    owner = submit_all(bench, lambda s: [body_of("%s %06d" % (s, i)) for i in range(n)])
    log, measured = run_under_load(bench, 3)
    check_rate(len(done(measured)), 6000, "requests")
    check_no_violation(bench)
    check_fair(share_of_calls(log, owner))


def tokens_bind_and_sweeps_have_calls_of_other_sizes(bench):
    """Output is reserved at max_tokens; a sweep with four times as large prompts gets as many
    tokens, not as many calls."""
    bench.start_redis()
    bench.start_server("--rpm", 60000, "--tpm", 900000, "--burst-seconds", BURST_SECONDS,
                       "--latency", 0.3)
    bench.write_providers({"name": "p", "rpm": 60000, "tpm": 900000, "max_in_flight": 512,
                           "burst_seconds": BURST_SECONDS})
    sizes = {"a": 30, "b": 60, "c": 90, "d": 120}  # tokens of the prompt
    owner = submit_all(bench, lambda s: [
        body_of(("%s %06d " % (s, i)).ljust(4 * (sizes[s] - 8), "x"), max_tokens=12)
        for i in range(int(4000 / sizes[s] * (MEASURED_SECONDS + 12)))])
    log, measured = run_under_load(bench, 3)
    check_rate(sum(l["tokens_in"] + l["tokens_out"] for l in done(measured)), 900000, "tokens")
    check_no_violation(bench)
    check_fair(share_of_tokens(log, owner, "tokens_in", "tokens_out"))


def output_is_reserved_by_experience(bench):
    """An endpoint that counts output as it is written; max_tokens is five times the mean reply."""
    per_minute, warm_seconds, burst_seconds = 600000, 10, 10
    bench.start_redis()
    bench.start_server("--otpm", per_minute, "--burst-seconds", burst_seconds, "--latency", 0.5,
                       "--count-actual", "--responder", ROOT / "tests/support/varied_responder.py")
    bench.write_providers({"name": "p", "otpm": per_minute, "burst_seconds": burst_seconds,
                           "max_in_flight": 512, "reserve_output": "p90"})
    n = 30 * (MEASURED_SECONDS + warm_seconds + 20)
    owner = submit_all(bench, lambda s: [body_of("%s %d" % (s, i), max_tokens=512)
                                         for i in range(n)])
    log, measured = run_under_load(bench, warm_seconds)
    check_rate(sum(l["tokens_out"] for l in done(measured)), per_minute, "output tokens")
    lines, rate = done(log), per_minute / 60
    level, lowest, at = rate * burst_seconds, 0, lines[0]["t"]
    for line in lines:  # the endpoint's bucket, from its log
        level = min(rate * burst_seconds, level + (line["t"] - at) * rate) - line["tokens_out"]
        lowest, at = min(lowest, level), line["t"]
    over = -lowest / (rate * (lines[-1]["t"] - lines[0]["t"]))
    check(over <= 0.01, "output went over the limit by %.2f %% of it" % (100 * over))
    check(bench.stats().get("violations", 0) == 0, "and nothing was refused")
    check_fair(share_of_tokens(log, owner, "tokens_out"))


def priorities_go_first_and_are_fair_among_equals(bench):
    bench.start_redis()
    bench.start_server("--rpm", 6000, "--burst-seconds", BURST_SECONDS, "--latency", 0.2)
    bench.write_providers({"name": "p", "rpm": 6000, "max_in_flight": 256,
                           "burst_seconds": BURST_SECONDS})
    n = 50 * (MEASURED_SECONDS + 12)
    owner = submit_all(bench, lambda s: [body_of("%s %06d" % (s, i)) for i in range(n)],
                       lambda sweep: 7 if sweep in "ab" else 3)
    log, measured = run_under_load(bench, 3)
    check_rate(len(done(measured)), 6000, "requests")
    check_no_violation(bench)
    calls = share_of_calls(log, owner)
    low = (calls["c"] + calls["d"]) / sum(calls.values())
    check(0.09 <= low <= 0.11, "low priority got %.1f %%: every tenth" % (100 * low))
    check_fair(calls, "ab")
    check(abs(calls["c"] - calls["d"]) <= 2, "and %d and %d among themselves" %
          (calls["c"], calls["d"]))


if __name__ == "__main__":
    run([requests_bind, tokens_bind_and_sweeps_have_calls_of_other_sizes,
         output_is_reserved_by_experience, priorities_go_first_and_are_fair_among_equals])
