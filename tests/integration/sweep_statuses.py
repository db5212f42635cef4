#!/usr/bin/env python3
"""Features that need no language model to be told apart, planted (tests/golden/planted_statuses) and
swept end to end: one for each status, and what becomes of each: dead has no label, insufficient no
score, dense and position no support, token may have all. No call is made about what nothing is to be
said of."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import DEMO, ROOT, check, check_store_is_clean, run, say

STATUSES = ["dead", "dense", "position", "token", "insufficient", "open"]
SWEEP = """
kind: label
name: %(name)s
model: %(demo)s/model
corpus: {path: %(demo)s/corpus/demo.jsonl.gz, bos: true, max_tokens: 500000}
targets:
  - hook: blocks.0.hook_resid_pre
    dictionary: %(root)s/tests/golden/planted_statuses
explainer: %(explainer)s
judge: %(judge)s
scoring: {null_pairs: 60, n_firing: 10, n_silent: 10, bootstrap_resamples: 100}
%(more)s
"""


def finish(cluster, name, explainer="lexical", judge="lexical", more=""):
    sweep = cluster.submit(SWEEP % {"name": name, "demo": DEMO, "root": ROOT, "more": more,
                                    "explainer": explainer, "judge": judge})
    cluster.wait(sweep, seconds=120)
    check_store_is_clean(cluster)
    files = cluster.canonical(sweep)
    rows = [json.loads(line) for line in files["results.jsonl"].splitlines()]
    check([row["status"] for row in rows] == STATUSES, "%s" % [row["status"] for row in rows])
    check(json.loads(files["summary.json"])["statuses"] == dict.fromkeys(STATUSES, 1), "one each")
    for row in rows:
        check(not row["supported"] or row["status"] in ("open", "token"), "only these may be")
    return sweep, dict(zip(STATUSES, rows))


def check_what_becomes_of_each(of):
    dead, dense, position = of["dead"], of["dense"], of["position"]
    check(dead["label"] is None and dead["no_label"] == "never fires", "dead: %s" % dead["no_label"])
    check(dead["typing"] is None and not dead["evidence"] and not dead["scores"], "and no evidence")
    check(dense["firing"]["density"] > 0.99, "dense: %s" % dense["firing"])
    check(position["firing"]["position_f1"] >= 0.9 > position["firing"]["token_f1"], "position")
    check(of["token"]["firing"]["token_f1"] >= 0.9, "token: %s" % of["token"]["firing"])
    rare = of["insufficient"]
    check(0 < rare["firing"]["n_test_documents"] < 20, "insufficient: %s" % rare["firing"])
    check(rare["label"] and not rare["scores"], "is labelled, no score is claimed")
    for status in ("position", "token", "open"):  # one that always fires has no silent window
        check(of[status]["scores"]["detection"]["random"]["balanced_accuracy"] is not None, status)


def patterns_alone_tell_them_apart(cluster):
    cluster.up(workers=1)
    sweep, of = finish(cluster, "alone")
    check_what_becomes_of_each(of)
    check("might" in of["token"]["label"], of["token"]["label"])
    check(of["token"]["typing"]["type"] == "concrete", "a token is concrete")
    check(of["open"]["typing"]["type"] == "polysemantic", "three unlike words are three meanings")
    got = cluster.json("results", sweep, "--status", "position,token", "-n", "10")["rows"]
    check([row["feature"] for row in got] == [2, 3], "results --status")
    say("%s" % {name: row["label"] for name, row in of.items()})


def models_are_not_asked_about_what_is_dead(cluster):
    cluster.start_llm("--latency", 0.002, "--log-bodies", "--responder",
                      ROOT / "tests/support/one_word_responder.py")
    cluster.up(workers=1, gateways=1)
    _, of = finish(cluster, "asked", "stand-in", "stand-in-judge", "budget_dollars: 50")
    check_what_becomes_of_each(of)
    bodies = [json.loads(line["body"]) for line in cluster.llm_log() if line["event"] == "received"]
    n_labels = sum("Description of the feature:" not in body["messages"][-1]["content"]
                   for body in bodies)
    n_meanings = sum(len(row["meanings"]["list"]) for row in of.values() if row["meanings"])
    check(n_labels == 5 + n_meanings, "%d labels were asked for, %d meanings" % (n_labels, n_meanings))


if __name__ == "__main__":
    run([patterns_alone_tell_them_apart, models_are_not_asked_about_what_is_dead])
