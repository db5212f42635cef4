#!/usr/bin/env python3
"""Providers that refuse, fail or talk nonsense: the sweep pauses with the reason or waits, and goes
on by itself once the fault is gone, to the same bytes. A spent budget pauses it until a user
resumes it with a larger one. A user's pause sends no more calls."""
# timeout: 300
import pathlib
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import Cluster, check, check_store_is_clean, label_sweep, run, say, wait_until

MORE = """explainer: stand-in
judge: stand-in-judge
scoring: {null_pairs: 0, n_firing: 10, n_silent: 10, bootstrap_resamples: 100}
"""
FAULTS = {  # what every request gets; words of the reason, or None where the sweep only waits
    "401": ({"do": "status", "status": 401}, ["stand-in", "401"]),
    "404": ({"do": "status", "status": 404}, ["stand-in", "404"]),
    "429": ({"do": "status", "status": 429, "retry_after": 1}, None),
    "500": ({"do": "status", "status": 500}, ["stand-in", "500"]),
    "HTML": ({"do": "html"}, ["stand-in"]),
    "half a body": ({"do": "half"}, ["stand-in"]),
    "half a JSON": ({"do": "half_keep"}, ["stand-in"]),
    "nothing": ({"do": "close"}, ["stand-in"]),
}

reference = {}


def expect_same(cluster, sweep, how):
    if not reference:
        with Cluster() as first:
            first.start_llm()
            first.up(workers=2, gateways=1)
            undisturbed = first.submit(label_sweep("p", 40000, 12, MORE))
            first.wait(undisturbed)
            reference.update(first.canonical(undisturbed))
    mine = cluster.canonical(sweep)
    for name in reference:
        check(mine[name] == reference[name], "%s: %s differs" % (how, name))
    check_store_is_clean(cluster)


def faulty(cluster, names):
    """One cluster, the faults one after the other; evidence is captured once."""
    cluster.start_llm()
    cluster.up(workers=2, gateways=1)
    for name in names:
        rule, words = FAULTS[name]
        cluster.kill("llm")
        cluster.start_llm(faults=[{"when": {}, **rule}])
        began = time.monotonic()
        n_before = cluster.llm_stats()["received"]
        sweep = cluster.submit(label_sweep("p", 40000, 12, MORE))
        if words is None:
            wait_until(lambda: cluster.llm_stats()["received"] > n_before + 4, "it asks")
            check(cluster.status(sweep)["state"] == "running", "%s: it waits" % name)
        else:
            paused = cluster.wait(sweep, "paused")
            for word in words:
                check(word in paused["reason"], "%s: %r" % (name, paused["reason"]))
            check("\n" not in paused["reason"], "one line")
        n_sent = cluster.llm_stats()["received"]
        cluster.kill("llm")
        cluster.start_llm()
        if name == "404":  # a restarted gateway asks again at once; else it takes 15 s
            cluster.kill("g1", signal.SIGTERM)
            cluster.start_gateway("g1")
        cluster.wait(sweep, seconds=80)
        say("%s: %s; %d requests were refused; %.0f s" %
            (name, "waited" if words is None else paused["reason"][:70], n_sent,
             time.monotonic() - began))
        expect_same(cluster, sweep, name)
        forget_replies(cluster)


def forget_replies(cluster):
    """So that the next sweep has to ask again."""
    for key in cluster.redis.run("KEYS", "interp:call:*"):
        cluster.redis.run("DEL", key)


def wrong_key_and_wrong_address(cluster):
    faulty(cluster, ["401", "404"])


def too_many_requests_and_server_errors(cluster):
    faulty(cluster, ["429", "500"])


def nonsense(cluster):
    faulty(cluster, ["HTML", "half a JSON"])


def broken_connections(cluster):
    faulty(cluster, ["half a body", "nothing"])


def a_provider_that_is_not_there(cluster):
    cluster.start_llm()
    cluster.kill("llm")
    cluster.up(workers=2, gateways=1)
    sweep = cluster.submit(label_sweep("p", 40000, 12, MORE))
    paused = cluster.wait(sweep, "paused")
    check("stand-in" in paused["reason"], paused["reason"])
    cluster.start_llm()
    cluster.wait(sweep)
    expect_same(cluster, sweep, "not there")


def a_spent_budget_pauses_until_it_is_raised(cluster):
    cluster.start_llm("--latency", "0.02")
    cluster.up(workers=2, gateways=1)
    nothing = cluster.submit(label_sweep("p", 40000, 12, MORE + "budget_dollars: 0\n"))
    paused = cluster.wait(nothing, "paused")
    check("budget_dollars is 0: nothing may be spent" in paused["reason"], paused["reason"])
    check(cluster.llm_stats()["received"] == 0, "nobody was asked")
    cluster.ctl("cancel", nothing)
    sweep = cluster.submit(label_sweep("p", 40000, 12, MORE + "budget_dollars: 0.004\n"))
    paused = cluster.wait(sweep, "paused")
    check("budget spent" in paused["reason"], paused["reason"])
    spend = paused["spend"]
    check(0 < spend["dollars"] + spend["reserved_dollars"] + spend["uncertain_dollars"] <= 0.004,
          spend)
    sent = cluster.llm_stats()["received"]
    cluster.ctl("resume", sweep)
    wait_until(lambda: cluster.status(sweep)["state"] == "paused", "the same budget is spent")
    check(cluster.llm_stats()["received"] == sent, "not one call more")
    cluster.kill("coordinator")
    cluster.start_coordinator()
    check(cluster.status(sweep)["state"] == "paused", "also after a restart")
    cluster.ctl("resume", sweep, "--budget", "-1", code=2)
    cluster.ctl("resume", sweep, "--budget", "1")
    now = cluster.wait(sweep)
    check(now["budget_dollars"] == 1 and now["spend"]["dollars"] > 0.003, now)
    check(cluster.llm_stats()["received"] == cluster.llm_stats()["distinct"], "nothing sent twice")
    expect_same(cluster, sweep, "budget")


ABSURD_USAGE = [None, "many", {"prompt_tokens": -5, "completion_tokens": -1},
                {"prompt_tokens": 10 ** 15, "completion_tokens": 10 ** 15},
                {"prompt_tokens": 0, "completion_tokens": 0},
                {"prompt_tokens": 1.5, "completion_tokens": [7]}]


def usage_that_is_missing_or_absurd(cluster):
    """Every answer's: it is estimated and marked, the budget still holds, the labels are the same."""
    cluster.start_llm("--latency", "0.02", faults=[
        {"when": {"every": len(ABSURD_USAGE) - i}, "do": "usage", "usage": usage}
        for i, usage in enumerate(ABSURD_USAGE)])
    cluster.up(workers=2, gateways=1)
    sweep = cluster.submit(label_sweep("p", 40000, 12, MORE + "budget_dollars: 0.004\n"))
    paused = cluster.wait(sweep, "paused")
    check("budget spent" in paused["reason"], paused["reason"])
    spend = paused["spend"]
    check(0 < spend["dollars"] + spend["reserved_dollars"] + spend["uncertain_dollars"] <= 0.004,
          spend)
    cluster.ctl("resume", sweep, "--budget", "1")
    cluster.wait(sweep)
    together, stats = cluster.json("cost", sweep)["together"], cluster.llm_stats()
    check(together["estimated"] == together["calls"] == stats["received"], together)
    for name in ("tokens_in", "tokens_out"):  # by bytes, as the stand-in counts
        share = together[name] / stats[name]
        check(0.8 <= share <= 1.6, "%s: %.2f of what was billed" % (name, share))
    check("gave no sound usage" in cluster.ctl("cost", sweep), "and it is told")
    expect_same(cluster, sweep, "usage")


def a_user_who_pauses_pays_no_more(cluster):
    cluster.start_llm("--latency", "0.2")
    cluster.up(workers=2, gateways=1)
    sweep = cluster.submit(label_sweep("p", 40000, 12, MORE))
    wait_until(lambda: cluster.llm_stats()["received"] > 10, "it asks")
    cluster.ctl("pause", sweep)
    wait_until(lambda: cluster.llm_stats()["in_flight"] == 0, "those in flight come home")
    sent = cluster.llm_stats()["received"]
    other = cluster.submit(label_sweep("other", 40000, 3, MORE + "seed: 1\n"))
    cluster.wait(other)
    told = cluster.status(other)["calls"]["done"]
    check(cluster.llm_stats()["received"] == sent + told, "only the other sweep asked")
    check(cluster.status(sweep)["state"] == "paused", "a user's pause is not ended by itself")
    cluster.ctl("resume", sweep)
    cluster.wait(sweep)
    expect_same(cluster, sweep, "paused")


if __name__ == "__main__":
    run([wrong_key_and_wrong_address, too_many_requests_and_server_errors, nonsense,
         broken_connections, a_provider_that_is_not_there,
         a_spent_budget_pauses_until_it_is_raised, usage_that_is_missing_or_absurd,
         a_user_who_pauses_pays_no_more])
