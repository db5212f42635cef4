#!/usr/bin/env python3
"""Kinds of features in sweeps. The dictionary is tests/golden/planted: a feature of one word has one
meaning, one of two or three words as many, each found, labelled and scored, by patterns and by a
scripted explainer; the same bytes on one and two workers and after a restart that costs no call."""
import collections
import gzip
import json
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import DEMO, ROOT, Cluster, check, check_store_is_clean, run, say

SETS = json.loads((ROOT / "tests/golden/planted/words.json").read_text())
MAX_TOKENS = 300000
TYPES = ("concrete", "syntactic", "abstract", "polysemantic")
SWEEP = """
kind: label
name: %(name)s
model: %(demo)s/model
corpus: {path: %(demo)s/corpus/demo.jsonl.gz, bos: true, max_tokens: %(tokens)d}
targets:
  - hook: blocks.0.hook_resid_pre
    dictionary: %(root)s/tests/golden/planted
explainer: %(explainer)s
judge: %(judge)s
scoring: {null_pairs: 120, n_firing: 15, n_silent: 15, bootstrap_resamples: 200}
thresholds: {min_test_documents: 5}
%(more)s
"""


def sweep_text(name, explainer="lexical", judge="lexical", more=""):
    return SWEEP % {"name": name, "demo": DEMO, "root": ROOT, "explainer": explainer,
                    "judge": judge, "more": more, "tokens": MAX_TOKENS}


def finish(cluster, text):
    sweep = cluster.submit(text)
    cluster.wait(sweep, seconds=120)
    files = cluster.canonical(sweep)
    rows = [json.loads(line) for line in files["results.jsonl"].splitlines()]
    check(len(rows) == len(SETS), "%d rows" % len(rows))
    return sweep, rows, files


def list_of(row):
    return row["meanings"]["list"] if row["meanings"] else []


def accuracy(meaning, kind="random"):
    return meaning["scores"].get("detection", {}).get(kind, {}).get("balanced_accuracy")


def balanced_sets():
    """Indices of the mixtures that can be told apart: each word stands for a quarter of the places
    where any of them occurs. (A group needs 15 % of the strong windows; the rarest may fire weaker.)"""
    counts, n_bytes = collections.Counter(), 0
    with gzip.open(DEMO / "corpus/demo.jsonl.gz", "rt") as lines:
        for line in lines:
            text = json.loads(line)["text"]
            n_bytes += len(text)
            counts.update(re.findall(r"(?<= )[a-z]{4,}\b", text))
            if n_bytes > 3 * MAX_TOKENS:
                break
    return [i for i, words in enumerate(SETS) if len(words) > 1 and
            min(counts[word] for word in words) >= sum(counts[word] for word in words) / 4]


def check_score(meaning):
    """Right, with an interval, and nothing is claimed of it. False where it has no test window."""
    for score in meaning["scores"].get("detection", {}).values():
        check(score["null"] is None and score["verdict"] is None, "no verdict without a null")
    value = accuracy(meaning)
    check(value is None or meaning["scores"]["detection"]["random"]["interval"], "an interval")
    check(value is None or value >= 0.9, "%s scores %s" % (meaning["label"], value))
    return value is not None


def check_mixture(row, words, is_balanced):
    """How many meanings are scored. Each names one word of the set, each another."""
    meanings = list_of(row)
    named = [[word for word in words if word in (one["label"] or "")] for one in meanings]
    check(all(len(names) == 1 for names in named), "%s: named %s" % (words, named))
    check(len({names[0] for names in named}) == len(meanings), "each another")
    check(not is_balanced or len(meanings) == len(words), "%s: found %s" % (words, named))
    if meanings:
        check(row["meanings"]["n_test_grouped"] >= 0.8 * row["meanings"]["n_test_firing"],
              "%s: test windows belong to a meaning" % words)
    return sum(check_score(one) for one in meanings)


def check_meanings(rows):
    balanced = balanced_sets()
    check(len(balanced) >= 10, "%d mixtures are balanced" % len(balanced))
    check({len(SETS[i]) for i in balanced} == {2, 3}, "of two words and of three")
    n_scored = 0
    for i, (row, words) in enumerate(zip(rows, SETS)):
        n = len(list_of(row))
        check((row["typing"]["type"] == "polysemantic") == (n > 0), "polysemantic: several meanings")
        check(row["typing"]["evidence"]["n_clusters"] == max(1, n), "as many groups")
        check(len(words) > 1 or n == 0, "%s has one meaning" % words)
        check(len(words) > 1 or row["typing"]["type"] == "concrete", "%s is concrete" % words)
        n_scored += check_mixture(row, words, i in balanced)
    check(n_scored >= 2 * len(balanced), "%d meanings are scored" % n_scored)
    return "all of %d balanced mixtures found, %d meanings are scored" % (
        len(balanced), n_scored)


def check_counts(rows, summary):
    for name in TYPES:
        mine = [row for row in rows if row["typing"] and row["typing"]["type"] == name]
        check(summary["types"][name] == {"n": len(mine),
                                         "n_supported": sum(row["supported"] for row in mine)},
              "summary: %s" % name)


def check_commands(cluster, sweep, rows):
    wanted = {row["feature"] for row in rows if row["typing"]["type"] == "polysemantic"}
    got = cluster.json("results", sweep, "--type", "polysemantic", "-n", "100")["rows"]
    check({row["feature"] for row in got} == wanted, "results --type")
    table = cluster.ctl("results", sweep, "-n", "100")
    check(" TYPE " in table and "polysemantic" in table, "a column of types")
    refused = cluster.ctl_both("results", sweep, "--type", "odd", code=2)
    check('--type "odd": concrete' in refused[1], refused[1])
    one = next(row for row in rows if list_of(row))
    page = cluster.ctl("show", sweep, one["feature"])
    check("polysemantic: %d groups of windows" % len(list_of(one)) in page, page)
    check("%d meanings" % len(list_of(one)) in page and "not tested against a null" in page, page)
    for meaning in list_of(one):
        check(meaning["label"] in page, "show tells the meaning")
    check("polysemantic" in cluster.ctl("status", sweep), "status counts types")


def patterns_find_the_meanings(cluster):
    cluster.up(workers=1)
    sweep, rows, files = finish(cluster, sweep_text("lexical"))
    told = check_meanings(rows)
    check_counts(rows, json.loads(files["summary.json"]))
    check_commands(cluster, sweep, rows)
    check_store_is_clean(cluster)
    with Cluster() as two:
        two.up(workers=2)
        check(finish(two, sweep_text("lexical"))[2] == files, "2 workers: the files differ")
    say(told)


def an_explainer_names_each(cluster):
    cluster.start_llm("--latency", 0.002, "--log-bodies", "--responder",
                      ROOT / "tests/support/one_word_responder.py")
    cluster.up(workers=2, gateways=1)
    text = sweep_text("named", "stand-in", "stand-in-judge", "budget_dollars: 50")
    _, rows, files = finish(cluster, text)
    told = check_meanings(rows)
    for row in rows:
        for one in list_of(row):
            check(one["lexical"]["label"] != one["label"], "the pattern stands beside")
            if accuracy(one) is not None:
                check(one["lexical"]["scores"]["detection"]["random"]["balanced_accuracy"] >= 0.8,
                      "and is scored on the same windows")
    n_calls = cluster.llm_stats()["received"]
    again = finish(cluster, text)[2]
    check(again["results.jsonl"] == files["results.jsonl"], "the same again")
    check(cluster.llm_stats()["received"] == n_calls, "and no call is paid twice")
    say("%s; %d calls, none again" % (told, n_calls))


def a_control_scores_no_meaning_on_foreign_windows(cluster):
    cluster.up(workers=1)
    _, rows, _ = finish(cluster, sweep_text("permuted", more="control: permuted"))
    meanings = [one for row in rows for one in list_of(row)]
    check(len(meanings) >= 20, "%d meanings" % len(meanings))
    n_scored = sum(accuracy(one) is not None for row in rows if row["status"] == "open"
                   for one in list_of(row))
    check(n_scored == 0, "%d are scored on another feature's windows" % n_scored)


if __name__ == "__main__":
    run([patterns_find_the_meanings, an_explainer_names_each,
         a_control_scores_no_meaning_on_foreign_windows])
