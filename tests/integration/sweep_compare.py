#!/usr/bin/env python3
"""`interpctl compare SWEEP SWEEP`: labels that a user brought, judged twice: what was lost, gained
and by how much the scores moved is what this file computes from the results itself."""
# timeout: 120
import csv
import io
import json
import pathlib
import re
import statistics
import sys
from math import comb

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import check, run, say
from sweep_agentic import SETS, finish, start, sweep_text


def brought(cluster, name, is_right):
    path = cluster.home / (name + ".jsonl")
    path.write_text("".join(json.dumps(
        {"feature": i, "label": "the words " + ", ".join('"%s"' % word for word in words)
         if is_right(i) else 'the word "nonesuch"'}) + "\n" for i, words in enumerate(SETS)))
    return finish(cluster, sweep_text(name, "score_only", more="labels: %s" % path))


def accuracy(row):
    return row["scores"].get("detection", {}).get("random", {}).get("balanced_accuracy")


def what_changed_is_what_the_results_say(cluster):
    start(cluster, "")
    first, before = brought(cluster, "before", lambda i: i % 2)
    second, after = brought(cluster, "after", lambda i: i % 4 < 2)
    got = cluster.json("compare", first, second)
    pairs = list(zip(before, after))
    lost = sum(a["supported"] and not b["supported"] for a, b in pairs)
    gained = sum(b["supported"] and not a["supported"] for a, b in pairs)
    check(lost > 0 and gained > 0, "%d lost, %d gained" % (lost, gained))
    check((got["all"]["supported_lost"], got["all"]["supported_gained"]) == (lost, gained), got["all"])
    tail = sum(comb(lost + gained, k) for k in range(max(lost, gained), lost + gained + 1))
    check(abs(got["all"]["mcnemar_p"] - min(1, 2 * tail / 2 ** (lost + gained))) < 1e-12, "McNemar")
    check(got["all"]["labels_changed"] == sum(a["label"] != b["label"] for a, b in pairs), "labels")
    moved = [accuracy(b) - accuracy(a) for a, b in pairs
             if accuracy(a) is not None and accuracy(b) is not None]
    of = got["all"]["differences"]["detection.random"]
    check(of["n"] == len(moved) and abs(of["mean"] - statistics.fmean(moved)) < 1e-12, of)
    check(of["interval"][0] < of["mean"] < of["interval"][1], "an interval around it")
    check(sum(one["features"] for one in got["by_status"].values()) == len(pairs), "by status")
    check(got["differing"] == ["labels", "labels_sha256"], "they differ in the labels: %s" % got["differing"])
    again = cluster.json("compare", first, first)
    check(again["all"]["labels_changed"] == 0 and again["all"]["mcnemar_p"] == 1 and
          again["all"]["differences"]["detection.random"]["mean"] == 0, "itself: nothing")
    check(cluster.ctl("compare", first, second) == cluster.ctl("compare", first, second), "seeded")
    rows = list(csv.DictReader(io.StringIO(cluster.ctl("compare", first, second, "-o", "csv"))))
    check({(row["feature"], row["first.label"], row["second.label"]) for row in rows} ==
          {(str(a["feature"]), a["label"], b["label"]) for a, b in pairs}, "CSV has every pair")
    say("%d lost, %d gained, %+.3f" % (lost, gained, of["mean"]))
    what_cannot_be_compared(cluster, first)


def what_cannot_be_compared(cluster, first):
    text = sweep_text("other", "single_pass").replace("stand-in-judge", "lexical")
    text = text.replace("stand-in", "lexical")
    seeded = cluster.submit(text.replace("name: other", "name: seeded\nseed: 7"))
    other = cluster.submit(re.sub("hook: .*\n    dictionary: .*",
                                  "hook: blocks.1.mlp.hook_post\n    units: neurons\n"
                                  "    features: 0-3", text))
    for sweep in (seeded, other):
        cluster.wait(sweep, seconds=60)
    differing = cluster.json("compare", first, seeded)["differing"]
    check({"seed", "judge", "explainer", "mode"} <= set(differing), differing)
    refused = cluster.ctl_both("compare", first, other, code=2)[1]
    check("target 0 has the hook_point" in refused, refused)
    check("compare" in cluster.ctl_both("compare", first, code=2)[1], "two sweeps")
    cluster.ctl_both("compare", first, "nobody-9", code=3)


if __name__ == "__main__":
    run([what_changed_is_what_the_results_say])
