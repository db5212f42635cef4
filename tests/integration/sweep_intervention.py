#!/usr/bin/env python3
"""The intervention score end to end: planted features, real workers that steer them, a scripted
judge. A judge that knows is right, one that guesses or always says the same is at chance, one that
cannot be read is wrong throughout; the same bytes on one worker, on two, and after kills; nothing is
computed or paid for twice."""
# timeout: 300
import json
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import DEMO, ROOT, check, check_store_is_clean, run, say, wait_until

N_LABELS = 5
RESPONDER = ROOT / "tests/support/choice_responder.py"
SWEEP = """
kind: label
name: %(name)s
model: %(demo)s/model
corpus: {path: %(demo)s/corpus/demo.jsonl.gz, bos: true, max_tokens: 120000}
targets:
  - hook: blocks.0.hook_resid_pre
    dictionary: %(root)s/tests/golden/planted
explainer: stand-in
judge: stand-in-judge
scores: [detection, intervention]
scoring: {null_pairs: 0, n_firing: 10, n_silent: 10, bootstrap_resamples: 200,
          intervention_prompts: 6, intervention_tokens: 8%(more)s}
budget_dollars: 50
thresholds: {min_test_documents: 5}
"""


def start(cluster, choice, workers=1):
    os.environ["AGENT_SCRIPT"], os.environ["CHOICE"] = "p=1", choice
    cluster.start_llm("--latency", 0.002, "--log-bodies", "--responder", RESPONDER)
    cluster.up(workers=workers, gateways=1)


def change_judge(cluster, choice):
    os.environ["CHOICE"] = choice
    cluster.kill("llm")
    cluster.start_llm("--latency", 0.002, "--log-bodies", "--responder", RESPONDER)


def submit(cluster, name, more=""):
    return cluster.submit(SWEEP % {"name": name, "demo": DEMO, "root": ROOT, "more": more})


def rows_of(cluster, sweep):
    cluster.wait(sweep, seconds=120)
    return [json.loads(line) for line in cluster.canonical(sweep)["results.jsonl"].splitlines()]


def scored(rows):
    found = [row["intervention"] for row in rows if row["intervention"]]
    for one in found:
        check((one["accuracy"] is None) == (one["undefined"] is not None), "a score or a reason")
    return [one for one in found if one["accuracy"] is not None]


def forget_replies(cluster):
    """What an earlier judge said of the same questions."""
    for key in cluster.redis.run("KEYS", "interp:call:*"):
        cluster.redis.run("DEL", key)


def n_choices(cluster):
    return sum("Continuation A:" in json.dumps(line.get("body", "")) for line in cluster.llm_log())


def tail(n, n_right):
    """P(X >= n_right), X binomial (n, 1/5), in whole numbers."""
    from fractions import Fraction
    from math import comb
    return float(sum(Fraction(comb(n, i) * 4 ** (n - i), 5 ** n) for i in range(n_right, n + 1)))


def judges_of_every_kind(cluster):
    start(cluster, "right", workers=2)
    accuracy = {}
    for choice in ("right", "random", "constant", "prose"):
        if choice != "right":
            forget_replies(cluster)
            change_judge(cluster, choice)
        sweep = submit(cluster, "judge-" + choice)
        rows = rows_of(cluster, sweep)
        found = scored(rows)
        n = sum(one["n_prompts"] for one in found)
        accuracy[choice] = sum(one["n_right"] for one in found) / n
        say("%s judge: %.3f of %d choices about %d features" % (choice, accuracy[choice], n,
                                                               len(found)))
        check(len(found) >= 12, "%d features are scored" % len(found))
        for one in found:
            check(one["n_labels"] == N_LABELS and one["wanted_kl"] == 0.5, "as asked")
            check(abs(one["kl"] - 0.5) <= 0.05 + 1e-9, "KL %g" % one["kl"])
            check(one["strength"] > 0 and 1 <= one["n_prompts"] <= 6, "strength and prompts")
            check(one["accuracy"] == one["n_right"] / one["n_prompts"] or
                  abs(one["accuracy"] - one["n_right"] / one["n_prompts"]) < 1e-11, "the share")
            check(one["interval"][0] <= one["accuracy"] <= one["interval"][1], "within its interval")
            check(abs(one["p"] - tail(one["n_prompts"], one["n_right"])) <= 1e-9, "the binomial p")
            check(one["n_failed"] == (one["n_prompts"] if choice == "prose" else 0), "failures")
        for row in rows:
            check("intervention" in row["prompts"], "the prompt's version is in the record")
    check(accuracy["right"] >= 0.97, "a judge that knows")
    for choice in ("random", "constant"):
        check(0.08 <= accuracy[choice] <= 0.34, "%s: at chance" % choice)
    check(accuracy["prose"] == 0, "what cannot be read is wrong")
    told = next(row["feature"] for row in rows if row["intervention"])
    out = cluster.ctl("show", "judge-right-1", told)
    check("intervention" in out and "among 5 labels" in out and "steered" in out, "show tells it")
    out = cluster.ctl("trace", "judge-right-1", told, "--raw")
    check("choice" in out, "trace has the calls")
    check_store_is_clean(cluster)


def the_same_bytes(cluster):
    """One worker; then two with one killed and the coordinator killed, all generations anew."""
    start(cluster, "right")
    first = submit(cluster, "bytes")
    rows_of(cluster, first)
    asked = n_choices(cluster)
    check(asked > 60, "%d choices were asked for" % asked)
    cluster.start_worker("w2")
    wait_until(lambda: len(cluster.workers()) == 2, "two workers")
    again = submit(cluster, "again")
    wait_until(lambda: cluster.redis.run("HLEN", "interp:generations:" + again) >= 3,
               "generations are under way", 60)
    cluster.kill("w1")
    cluster.kill("coordinator")
    n_stored = cluster.redis.run("HLEN", "interp:generations:" + again)
    cluster.start_coordinator()
    rows_of(cluster, again)
    check(cluster.canonical(first) == cluster.canonical(again), "other bytes")
    check(n_choices(cluster) == asked, "a choice was paid for twice")
    say("worker and coordinator killed with %d generations stored: the same bytes" % n_stored)
    check_store_is_clean(cluster)


def what_has_no_score_says_why(cluster):
    start(cluster, "right")
    rows = rows_of(cluster, submit(cluster, "far", ", intervention_kl: 20"))
    reasons = [row["intervention"]["undefined"] for row in rows if row["intervention"]]
    check(reasons and all(reason and reason.startswith("no effect: the mean KL is")
                          for reason in reasons), "no feature moves it so far: %s" % reasons[:2])
    lexical = SWEEP.replace("stand-in-judge", "lexical").replace("stand-in", "lexical")
    errors = cluster.ctl_both("submit", "-", code=2,
                              stdin=lexical % {"name": "l", "demo": DEMO, "root": ROOT, "more": ""})[1]
    check("intervention needs a provider as 'judge'" in errors, errors)
    few = SWEEP.replace("tests/golden/planted", "tests/golden/planted\n    features: 0-2")
    rows = rows_of(cluster, cluster.submit(few % {"name": "few", "demo": DEMO, "root": ROOT,
                                                  "more": ""}))
    check(all("fewer than 5 different labels" in row["intervention"]["undefined"]
              for row in rows if row["intervention"]), "too few labels")
    plan = json.loads(cluster.ctl("submit", "-", "--dry-run", "-o", "json",
                                  stdin=SWEEP % {"name": "p", "demo": DEMO, "root": ROOT,
                                                 "more": ""}))
    check(plan["estimate"]["judge"]["calls"] == 24 * (3 + 6), "the estimate counts choices: %s" %
          plan["estimate"]["judge"])


if __name__ == "__main__":
    run([judges_of_every_kind, the_same_bytes, what_has_no_score_says_why])
