#!/usr/bin/env python3
"""Agentic sweeps over planted features with a scripted agent: the loop converges on what was
planted; each of four ways to fool oneself is caught by its guardrail, and is not when that is
switched off; broken replies end in something defined; killed processes change no byte.

The dictionary is tests/golden/planted, the agent tests/support/scripted_agent.py. SEED=n repeats."""
# timeout: 300
import collections
import gzip
import json
import os
import pathlib
import random
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import scripted_agent
from cluster import DEMO, ROOT, Cluster, check, check_store_is_clean, run, say, wait_until

SEED = int(os.environ.get("SEED", "0")) or random.randrange(1, 1 << 30)
SETS = scripted_agent.SETS
TINY = """
kind: label
name: %(name)s
mode: %(mode)s
model: %(demo)s/model
corpus: {path: %(demo)s/corpus/demo.jsonl.gz, bos: true, max_tokens: 120000}
targets:
  - hook: blocks.0.hook_resid_pre
    dictionary: %(root)s/tests/golden/planted
explainer: stand-in
judge: stand-in-judge
scoring: {null_pairs: 120, n_firing: 10, n_silent: 10, bootstrap_resamples: 200}
budget_dollars: 50
%(more)s
thresholds: {min_test_documents: 5%(thresholds)s}
"""


def sweep_text(name, mode="agentic", thresholds="", more=""):
    return TINY % {"name": name, "mode": mode, "demo": DEMO, "root": ROOT, "more": more,
                   "thresholds": "".join(", " + text for text in thresholds.split(";") if text)}


def start(cluster, script, latency=0.002, workers=1):
    """Everything up, with an agent of that script."""
    os.environ["AGENT_SCRIPT"] = script
    cluster.start_llm("--latency", latency, "--log-bodies", "--responder",
                      ROOT / "tests/support/scripted_agent.py")
    cluster.up(workers=workers, gateways=1)


def restart_agent(cluster, script):
    os.environ["AGENT_SCRIPT"] = script
    cluster.kill("llm")
    cluster.start_llm("--latency", 0.002, "--log-bodies", "--responder",
                      ROOT / "tests/support/scripted_agent.py")


def finish(cluster, text):
    sweep = cluster.submit(text)
    cluster.wait(sweep, seconds=90)
    rows = [json.loads(line) for line in cluster.canonical(sweep)["results.jsonl"].splitlines()]
    check(len(rows) == len(SETS), "%d rows" % len(rows))
    return sweep, rows


def verdicts(rows):
    """Of detection against random negatives, where a score may be claimed."""
    return collections.Counter(row["scores"]["detection"]["random"]["verdict"]
                               for row in rows if row["scores"])


def n_supported(rows):
    return sum(row["supported"] for row in rows)


def eligible(rows):
    return [row for row in rows if row["session"]["mode"] == "agentic"]


def is_planted(row):
    return all('"%s"' % word in (row["label"] or "") for word in SETS[row["feature"]])


def other_corpus(cluster, n_documents=900):
    """The last documents of the demo corpus, which no sweep here reads so far."""
    with gzip.open(DEMO / "corpus/demo.jsonl.gz", "rt") as lines:
        texts = [json.loads(line)["text"] for line in lines][-n_documents:]
    path = cluster.home / "other.jsonl"
    path.write_text("".join(json.dumps({"id": "other-%d" % i, "text": text}) + "\n"
                            for i, text in enumerate(texts)))
    return "ood: [{name: other, path: %s}]" % path


# --- the loop ----------------------------------------------------------------------------------


def the_loop_converges_on_what_was_planted(cluster):
    start(cluster, "p=0.4", workers=2)
    sweep, rows = finish(cluster, sweep_text("loop", more=other_corpus(cluster)))
    agentic = eligible(rows)
    found = [row for row in agentic if is_planted(row)]
    check(len(agentic) >= 15, "%d features went through the loop" % len(agentic))
    check(len(found) >= len(agentic) - 4, "%d of %d planted concepts found" %
          (len(found), len(agentic)))
    for row in agentic:
        session, rounds = row["session"], row["session"]["rounds"]
        check(row["supported"] == is_planted(row), "feature %d: supported if right" % row["feature"])
        check(3 <= len(rounds) <= 5, "between rounds.min and rounds.max")
        check(not session["settled"] or len(rounds) == 5 or row["supported"], "settled: supported")
        best = max(r["validate"]["random"]["balanced_accuracy"] for r in rounds)
        chosen = rounds[session["chosen_round"] - 1]
        check(chosen["validate"]["random"]["balanced_accuracy"] == best and
              chosen["label"] == row["label"], "the round that is best on validate is tested")
        check(all(r["adversarial"]["n"] in (0, 10) or r["n_dropped"] for r in rounds), "10 texts")
        texts = [e["text"] for r in rounds for e in r["experiments"]]
        check(len(set(texts)) == len(texts), "no text is tried twice")
        wrong = [e for e in rounds[-1]["experiments"] if e["fired"] is None]
        check(not wrong, "every experiment has an outcome")
    paid = [row["session"]["refinement"]["difference"] for row in agentic]
    check(any(d > 0 for d in paid), "refining paid for some")
    ood = [row for row in found if row["session"]["ood"]]
    check(ood and all(row["session"]["supported_ood"] for row in ood),
          "right labels hold on the other corpus: %d" % len(ood))
    summary = json.loads(cluster.canonical(sweep)["summary.json"])
    check(summary["leak_count"] == 0 and not any(row["dropped"]["leaked"] for row in rows),
          "no window leaks")
    check_what_prompts_show(cluster)
    check_store_is_clean(cluster)
    say("%d of %d planted concepts found, supported; %d calls" %
        (len(found), len(agentic), cluster.llm_stats()["received"]))


def plain(line):
    return line.replace("<<", "").replace(">>", "").strip()


def check_what_prompts_show(cluster):
    """Prompts of later rounds show failures; no prompt of the explainer shows a test window."""
    bodies = [json.loads(line["body"]) for line in cluster.llm_log() if line["event"] == "received"]
    texts = [body["messages"][-1]["content"] for body in bodies]
    check(any("you said it fires, but it is silent" in text for text in texts),
          "failed experiments are shown")
    check(any("A reader who knew only this description was wrong" in text for text in texts),
          "explain windows that were judged wrongly are shown")
    tested, shown = set(), set()
    for text in texts:
        if "highlighted tokens fit" in text:  # fuzzing: of test and other text alone
            tested |= {plain(line) for line in re.findall(r"^Text \d+: (.*)$", text, re.M)}
        elif "Description of the feature:" not in text:
            shown |= {plain(line) for line in re.findall(
                r"^(?:Example \d+|Silent \d+|- it fires|- it is silent): (.*)$", text, re.M)}
    check(len(shown) > 200 and len(tested) > 200, "%d shown, %d tested" % (len(shown), len(tested)))
    check(not shown & tested, "shown and tested: %s" % sorted(shown & tested)[:3])


# --- four ways to fool oneself, each with its guardrail on and off -----------------------------


def confirmation_bias(cluster):
    """An agent that only confirms proves nothing: adversarial texts are required."""
    start(cluster, "confirming")
    _, rows = finish(cluster, sweep_text("on"))
    check(n_supported(rows) == 0, "%d supported" % n_supported(rows))
    check(set(verdicts(rows)) == {"unsupported: adversarial round not passed"}, str(verdicts(rows)))
    _, rows = finish(cluster, sweep_text("off", "agentic", "adversarial_p: 1"))
    check(n_supported(rows) == len(eligible(rows)) > 0, "without the guardrail all are supported")


def overfitting_to_examples(cluster):
    """A label that quotes its examples fits them all, and no window that it has not seen."""
    start(cluster, "quoting")
    _, rows = finish(cluster, sweep_text("on", "agentic", "adversarial_p: 1"))
    check(n_supported(rows) == 0, "%d supported" % n_supported(rows))
    n_fit = 0
    for row in eligible(rows):
        quotes = re.findall(r'"(.+?)"', row["label"])
        shown = row["evidence"][:3]  # the strongest examples of its prompt
        n_fit += sum(any(quote in window["text"].replace("\n", "\u21b5") for quote in quotes)
                     for window in shown) / len(shown)
        recall = row["scores"]["detection"]["random"]["recall"]
        check(recall <= 0.2, "feature %d: it fits %.2f of unseen windows" % (row["feature"], recall))
    check(n_fit >= 0.8 * len(eligible(rows)), "measured on its examples %.1f of %d would pass" %
          (n_fit, len(eligible(rows))))


def premature_convergence(cluster):
    """A first label that is good enough is not the end: three rounds at least."""
    start(cluster, "narrow_first")
    several = [i for i, words in enumerate(SETS) if len(words) > 1]
    _, rows = finish(cluster, sweep_text("on", "agentic", "target_accuracy: 0.55"))
    on = [row for row in eligible(rows) if row["feature"] in several]
    check(all(len(row["session"]["rounds"]) >= 3 for row in on), "three rounds")
    _, rows = finish(cluster, sweep_text("off", "agentic", "target_accuracy: 0.55",
                                         "rounds: {min: 1}"))
    off = [row for row in eligible(rows) if row["feature"] in several]
    n_on, n_off = (sum(is_planted(row) for row in side) for side in (on, off))
    check(n_on == len(on), "with it %d of %d whole concepts" % (n_on, len(on)))
    check(n_off < n_on / 2, "without it %d" % n_off)
    say("whole concepts found: %d with three rounds, %d without" % (n_on, n_off))


def hallucinated_pattern(cluster):
    """A label about nothing, judged by chance: it does not beat the labels of other features."""
    start(cluster, "hallucinated")
    _, rows = finish(cluster, sweep_text("on", "agentic", "adversarial_p: 1"))
    check(n_supported(rows) == 0, "%d supported" % n_supported(rows))
    _, rows = finish(cluster, sweep_text("off", "agentic", "adversarial_p: 1;z_min: 0;fdr_q: 1"))
    check(n_supported(rows) >= 3, "without the null %d are supported" % n_supported(rows))


def constant_judges(cluster):
    for judge in ("always", "never"):
        if judge == "always":
            start(cluster, "judge=always")
        else:
            restart_agent(cluster, "judge=never")
            cluster.redis.run("FLUSHALL")
        _, rows = finish(cluster, sweep_text(judge))
        check(set(verdicts(rows)) == {"unsupported: judge is constant"}, str(verdicts(rows)))


# --- replies that are broken -------------------------------------------------------------------


def broken_replies(cluster):
    start(cluster, "p=0,bad=prose")
    for name in scripted_agent.BROKEN:
        if name != "prose":
            restart_agent(cluster, "p=0,bad=" + name)
        sweep, rows = finish(cluster, sweep_text(name, more="seed: %d\nrounds: {max: 3}" %
                                               (1 + len(name) * 7)))
        check(n_supported(rows) == 0, "%s: %d supported" % (name, n_supported(rows)))
        rounds = [r for row in eligible(rows) for r in row["session"]["rounds"]]
        if name in ("prose", "half", "empty", "blank", "numbers"):
            check(all(r["label"] is None and r["failure"] for r in rounds), name + ": no label")
            check(all(row["label"] is None and row["no_label"] for row in eligible(rows)), name)
        if name == "many":
            check(max(len(r["experiments"]) for r in rounds) == 20, "no more than asked for")
            check(all(r["n_dropped"] > 30000 for r in rounds), "the others are counted")
        if name == "same":
            check(all(len(r["experiments"]) <= 1 for r in rounds), "repeated texts are dropped")
        if name == "hostile":
            text = json.dumps(rows)
            check("\\u0001" not in text and "\\u001b" not in text and "\\u202e" not in text,
                  "no control characters in results")
        cluster.redis.run("FLUSHALL")
    check(cluster.is_running("coordinator") and cluster.is_running("w1"), "all live on")


# --- labels that a user brings -----------------------------------------------------------------


def labels_of_the_user(cluster):
    start(cluster, "")
    path = cluster.home / "labels.jsonl"
    lines = [{"feature": i, "label": "the words " + ", ".join('"%s"' % w for w in words)
              if i % 2 else "the word \"nonesuch\""} for i, words in enumerate(SETS[:-1])]
    path.write_text("\n".join(map(json.dumps, lines)) + "\n")
    _, rows = finish(cluster, sweep_text("mine", "score_only", more="labels: %s" % path))
    scored = [row for row in rows if row["scores"]]
    check(len(scored) >= 15, "%d scored" % len(scored))
    check(all(row["supported"] == is_planted(row) for row in scored), "supported if right")
    check(rows[-1]["label"] is None and rows[-1]["no_label"] == "no label was given", "none given")
    check(all(row["explainer"] == "given" for row in rows), "nobody explained")
    for text, wanted in (('{"feature": 1}', ':1: "label" must be a text'),
                         ('{"feature": 1, "label": "a"}\n{"feature": 1, "label": "b"}',
                          ":2: feature 1 has a label in line 1 already"),
                         ('{"feature": 1, "label": " "}', ":1: the label is empty"),
                         ('\nnot json', ":2: not a JSON object"), ("", "holds no label")):
        path.write_text(text)
        _, err = cluster.ctl_both("submit", "-", code=2, stdin=sweep_text(
            "bad", "score_only", more="labels: %s" % path))
        check(wanted in err, err)
    path.write_text('{"feature": 99, "label": "a"}')
    sweep = cluster.submit(sweep_text("far", "score_only", more="labels: %s" % path))
    path.unlink()  # what was there at submission counts
    cluster.wait(sweep, "failed")
    check(":1: targets[0] has no feature 99" in cluster.status(sweep)["reason"],
          cluster.status(sweep)["reason"])


# --- pauses, repeats, other targets ------------------------------------------------------------


def a_spent_budget_pauses_and_a_repeat_is_free(cluster):
    start(cluster, "p=0.4")
    sweep = cluster.submit(sweep_text("same").replace("budget_dollars: 50",
                                                      "budget_dollars: 0.02"))
    cluster.wait(sweep, "paused", 60)
    check("budget spent" in cluster.status(sweep)["reason"], "it says why")
    check(sum(cluster.status(sweep)["sessions"]["open"].values()) > 0, "sessions are open")
    cluster.ctl("resume", sweep, "--budget", "50")
    cluster.wait(sweep, seconds=90)
    wanted = cluster.canonical(sweep)
    n_calls = cluster.llm_stats()["received"]
    again, rows = finish(cluster, sweep_text("same"))
    check(cluster.canonical(again) == wanted, "the same bytes")
    check(cluster.llm_stats()["received"] == n_calls, "no call is paid for again")
    check(cluster.status(again)["spend"]["dollars"] == 0, "nothing is spent")
    cut = cluster.submit(sweep_text("cut", more="seed: 3"))
    wait_until(lambda: cluster.status(cut)["calls"]["done"] > 100, "calls")
    cluster.ctl("cancel", cut)
    wait_until(lambda: cluster.status(cut)["state"] == "cancelled", "cancelled")
    check("Round" in cluster.ctl("trace", again, "4").title(), "trace")
    check(cluster.json("trace", again, 4)["session"] == rows[4]["session"], "trace as JSON")
    wait_until(lambda: cluster.redis.run("SCARD", "interp:active") == 0, "nothing is active")
    check_store_is_clean(cluster)


def neurons_and_heads(cluster):
    """Experiments on units that need no dictionary, several targets in one sweep."""
    start(cluster, "p=0")
    more = "  - {hook: %s, units: %s, features: 0-3}\n"
    text = sweep_text("units").replace(
        "explainer:", more % ("blocks.1.mlp.hook_post", "neurons") +
        more % ("blocks.1.attn.hook_z", "heads") + "explainer:", 1)
    sweep = cluster.submit(text)
    cluster.wait(sweep, seconds=90)
    rows = [json.loads(line) for line in cluster.canonical(sweep)["results.jsonl"].splitlines()]
    units = eligible(rows[len(SETS):])
    check(len(rows) == len(SETS) + 8 + 4 and len(units) >= 4, "%d, %d" % (len(rows), len(units)))
    tried = [e for row in units for r in row["session"]["rounds"] for e in r["experiments"]]
    check(tried and all(e["fired"] is not None for e in tried), "every text has an outcome")
    check(any(e["fired"] for e in tried) and not all(e["fired"] for e in tried), "of both kinds")
    check(all((e["max"] > row["fire_threshold"]) == e["fired"] for row in units
              for r in row["session"]["rounds"] for e in r["experiments"] if e["fired"]),
          "what fired is above the frozen threshold")


# --- kills -------------------------------------------------------------------------------------


def killed_at_random_moments(cluster):
    """Restart is replay: the same bytes, and nothing that was stored is asked again."""
    with Cluster() as undisturbed:
        start(undisturbed, "p=0.4")
        sweep, _ = finish(undisturbed, sweep_text("same"))
        wanted = undisturbed.canonical(sweep)
        n_calls = undisturbed.llm_stats()["received"]
    rng = random.Random(SEED)
    start(cluster, "p=0.4", latency=0.03)
    sweep = cluster.submit(sweep_text("same"))
    for at in sorted(rng.uniform(0.02, 0.9) for _ in range(4)):
        wait_until(lambda: cluster.llm_stats()["received"] >= at * n_calls, "calls", 60)
        victims = rng.choice([["coordinator"], ["coordinator", "w1"], ["coordinator", "g1"]])
        say("kill -9 %s at call %d (SEED=%d)" % (" ".join(victims), at * n_calls, SEED))
        for name in victims:
            cluster.kill(name)
        if "w1" in victims:
            cluster.start_worker("w1")
        if "g1" in victims:
            cluster.start_gateway("g1")
        cluster.start_coordinator()
    cluster.wait(sweep, seconds=90)
    mine = cluster.canonical(sweep)
    for name in wanted:
        check(mine[name] == wanted[name], "%s differs (SEED=%d)" % (name, SEED))
    sends = collections.Counter(line["hash"] for line in cluster.llm_log()
                                if line["event"] == "received")
    n_twice = sum(n - 1 for n in sends.values())
    n_listed = cluster.redis.run("HLEN", "interp:uncertain")
    check(n_twice <= n_listed, "%d sent twice, %d listed" % (n_twice, n_listed))
    check_store_is_clean(cluster)
    say("the same bytes; %d calls, %d sent twice, all listed" % (len(sends), n_twice))


if __name__ == "__main__":
    print("SEED=%d" % SEED)
    run([the_loop_converges_on_what_was_planted, confirmation_bias, overfitting_to_examples,
         premature_convergence, hallucinated_pattern, constant_judges, broken_replies,
         labels_of_the_user, a_spent_budget_pauses_and_a_repeat_is_free, neurons_and_heads,
         killed_at_random_moments])
