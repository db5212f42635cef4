#!/usr/bin/env python3
"""Spend follows uncertainty: what the rule of coordinator/session/session_outlook.h saves, and what
it costs in labels, beside always rounds.max rounds and beside stopping settled features only.

The agent (tests/support/scripted_agent.py) is right in a round with probability p, about the share
`known` of the features; the rest it never understands. Every rule starts from an empty store, so
calls are counted at the endpoint. Prints a table; SEEDS=3 SHARES=0.3,0.5,0.8 make it a larger one."""
# timeout: 300
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import Cluster, check, run, say
from sweep_agentic import eligible, finish, is_planted, start, sweep_text

RULES = (("always rounds.max", "rounds: {min: 5, max: 5}"),
         ("settled stop", "rounds: {}"),  # the default
         ("by evidence", "rounds: {patience: 4}"),
         ("patience 3", "rounds: {patience: 3}"))
SHARES = [float(p) for p in os.environ.get("SHARES", "0.5").split(",")]
SEEDS = int(os.environ.get("SEEDS", "1"))
KNOWN = float(os.environ.get("KNOWN", "0.6"))


def one(cluster, rule, more, seed):
    """Calls, rounds, labels that are the planted concept, supported ones, of one sweep."""
    before = cluster.llm_stats()["received"]
    sweep, rows = finish(cluster, sweep_text("spend", more="%s\nseed: %d" % (more, seed)))
    outlooks = cluster.status(sweep)["sessions"]["outlooks"]
    sessions = eligible(rows)
    check(sum(outlooks.values()) == len(sessions), "every session has one: %s" % outlooks)
    for row in sessions:
        n, outlook = len(row["session"]["rounds"]), row["session"]["outlook"]
        check(n == 5 or outlook in ("settled", "hopeless", "decided") and n >= 3, (rule, outlook, n))
    return {"calls": cluster.llm_stats()["received"] - before,
            "features": len(sessions),
            "rounds": sum(len(row["session"]["rounds"]) for row in sessions),
            "found": sum(map(is_planted, sessions)),
            "supported": sum(row["supported"] for row in sessions),
            "hopeless": outlooks["hopeless"]}


def sums_of(p, rule, more):
    """Of SEEDS sweeps in a cluster of their own: no reply is there already."""
    with Cluster() as cluster:
        start(cluster, "p=%g,known=%g" % (p, KNOWN), workers=2)
        each = [one(cluster, rule, more, 100 + seed) for seed in range(SEEDS)]
    return {key: sum(sums[key] for sums in each) for key in each[0]}


def spend_follows_uncertainty(_cluster):
    say("    p  %-18s %6s %7s %9s %7s %9s" % ("rule", "calls", "rounds", "supported", "found",
                                               "hopeless"))
    for p in SHARES:
        sums = {rule: sums_of(p, rule, more) for rule, more in RULES}
        for rule, of in sums.items():
            say("%5g  %-18s %6d %7d %9d %3d/%-3d %9d" % (p, rule, of["calls"], of["rounds"],
                of["supported"], of["found"], of["features"], of["hopeless"]))
        most, settled, mine, least = (sums[rule] for rule, _ in RULES)
        check(least["calls"] < mine["calls"] < settled["calls"] < most["calls"], "each saves calls")
        check(mine["hopeless"] > 0 and settled["hopeless"] == 0, "hopeless by the rule alone")
        check(settled["found"] == most["found"], "settled features lose nothing by stopping")


if __name__ == "__main__":
    run([spend_follows_uncertainty])
