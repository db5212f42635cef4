#!/usr/bin/env python3
"""Control sweeps: what a sweep says where there is nothing to find.

Permuted windows and a random judge support no label beyond what Benjamini-Hochberg lets through
(a sweep with any supported label has probability 0.05 at most); the share of a model with shuffled
weights is printed beside the real one's. A judge that always says the same supports nothing.
LONG=40 runs so many seeds of the first two instead of 8 (at most 5 of 40 may support any label),
and compares random weights on the whole demo dictionary instead of the small one."""
import json
import os
import pathlib
import sys

# timeout: 900
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import (DEMO, ROOT, check, check_store_is_clean, label_sweep, run, say,
                     small_dictionary)

N_SEEDS = int(os.environ.get("LONG", 8))
N_FEATURES, N_TOKENS = 100, 60000
SCORES = ("detection", "fuzzing")
MOST_WITH_SUPPORTED = {8: 3, 40: 5}  # binomial(n, 0.05) is above these with probability < 2 %


def control_sweep(name, seed, control=None, more=""):
    lines = ["scoring: {null_pairs: 1000, bootstrap_resamples: 100, seed: %d}" % seed,
             "thresholds: {min_test_documents: 10}", more]
    if control:
        lines.append("control: %s" % control)
    return label_sweep(name, N_TOKENS, N_FEATURES, "\n".join(filter(None, lines)))


def records(cluster, sweep):
    return [json.loads(line)
            for line in cluster.canonical(sweep)["results.jsonl"].decode().splitlines()]


def n_supported(rows, score):
    return sum(row["scores"][score]["random"]["verdict"] == "supported"
               for row in rows if row["scores"])


def finish(cluster, yaml):
    sweep = cluster.submit(yaml)
    cluster.wait(sweep, seconds=900 if "LONG" in os.environ else 240)
    return sweep


def says_so(cluster, sweep, control):
    """Every output of a control says that it is one; of no other sweep."""
    rows = records(cluster, sweep)
    check(all(row.get("control") == control for row in rows), "records say so")
    summary = json.loads(cluster.canonical(sweep)["summary.json"])
    check(summary.get("control") == control, "the summary says so")
    check(cluster.status(sweep)["control"] == control, "status says so")
    listed = {row["id"]: row for row in cluster.json("list")["sweeps"]}
    check(listed[sweep]["control"] == control, "the list says so")
    shown = cluster.json("show", sweep, rows[0]["feature"])
    check(shown.get("control") == control, "show says so")
    for words in (("status", sweep), ("show", sweep, rows[0]["feature"]), ("results", sweep)):
        text = "\n".join(cluster.ctl_both(*words))
        check(("a baseline" in text) == bool(control), "%s: %s" % (words, text[:400]))
        check(not control or control in text, "%s names %s" % (words, control))


def count_supported(cluster, control):
    """Seeds of which any label is supported, and all labels that are; by score."""
    n_sweeps, n_labels, n_scored = dict.fromkeys(SCORES, 0), dict.fromkeys(SCORES, 0), 0
    for seed in range(1, N_SEEDS + 1):
        sweep = finish(cluster, control_sweep("%s-%d" % (control, seed), seed, control))
        rows = records(cluster, sweep)
        n_scored += sum(bool(row["scores"]) for row in rows)
        for score in SCORES:
            n = n_supported(rows, score)
            n_labels[score] += n
            n_sweeps[score] += n > 0
        check(sum(row["supported"] for row in rows) == n_supported(rows, "detection") ==
              json.loads(cluster.canonical(sweep)["summary.json"])["n_supported"], "counted")
    for score in SCORES:
        say("%s, %s: %d of %d seeds have a supported label; %d of %d scored labels supported"
            % (control, score, n_sweeps[score], N_SEEDS, n_labels[score], n_scored))
    check(n_scored > 0.8 * N_FEATURES * N_SEEDS, "labels were scored")
    for score in SCORES:
        check(n_sweeps[score] <= MOST_WITH_SUPPORTED.get(N_SEEDS, N_SEEDS // 5 + 2),
              "%s, %s: %d of %d sweeps support a label" % (control, score, n_sweeps[score], N_SEEDS))
    return sweep


def nothing_is_supported_where_there_is_nothing_to_find(cluster):
    cluster.up(workers=2)
    real = finish(cluster, control_sweep("real", 1))
    says_so(cluster, real, None)
    rows = records(cluster, real)
    for score in SCORES:
        say("real, %s: %d of %d scored labels supported"
            % (score, n_supported(rows, score), sum(bool(row["scores"]) for row in rows)))
    check(n_supported(rows, "fuzzing") > 20, "on their own windows such labels are supported")
    for control in ("permuted", "random_judge"):
        sweep = count_supported(cluster, control)
        says_so(cluster, sweep, control)
        judges = {row["judge"] for row in records(cluster, sweep)}
        check(judges == {"random" if control == "random_judge" else "lexical"}, judges)
    table = cluster.ctl("list")
    check("CONTROL" in table and "random_judge" in table, "a column of the list")
    check_store_is_clean(cluster)


def what_is_judged_is_anothers_and_nothing_else_changes(cluster):
    """Labels, statuses and evidence of a control are those of the real sweep."""
    cluster.up(workers=2)
    kept = ("label", "status", "firing", "evidence", "lexical", "fire_threshold")
    real = records(cluster, finish(cluster, control_sweep("real", 3)))
    for control in ("permuted", "random_judge"):
        other = records(cluster, finish(cluster, control_sweep(control, 3, control)))
        check([row["feature"] for row in other] == [row["feature"] for row in real], "features")
        for mine, its in zip(real, other):
            check(all(mine[key] == its[key] for key in kept), "%s changes %s" % (
                control, [key for key in kept if mine[key] != its[key]]))
        scored = [(mine["scores"], its["scores"]) for mine, its in zip(real, other)
                  if mine["scores"]]
        check(any(mine != its for mine, its in scored), "scores are others")
    again = cluster.canonical(finish(cluster, control_sweep("again", 3, "permuted")))
    first = [row for row in cluster.json("list")["sweeps"] if row["name"] == "permuted"][0]["id"]
    check(again == cluster.canonical(first), "the same seed, the same bytes")


def weights_sweep(name, seed, control=None):
    """In the long run over the demo's own dictionary, more of it, and more text."""
    text = control_sweep(name, seed, control)
    if "LONG" not in os.environ:
        return text
    for old, new in ((str(small_dictionary()), str(DEMO / "sae")),
                     ("max_tokens: %d" % N_TOKENS, "max_tokens: 240000"),
                     ("sample: %d" % N_FEATURES, "sample: 400")):
        check(old in text, old)
        text = text.replace(old, new)
    return text


def print_shares(cluster, sweeps):
    print("| weights | features | labels scored | supported: detection | supported: fuzzing |\n" +
          "|---" * 5 + "|")
    for control, sweep in sweeps.items():
        rows = records(cluster, sweep)
        n = sum(bool(row["scores"]) for row in rows)
        shares = ["%d, %.0f %%" % (k, 100 * k / max(1, n))
                  for k in (n_supported(rows, score) for score in SCORES)]
        print("| %s | %d | %d | %s |" % (control or "real", len(rows), n, " | ".join(shares)))


def shuffled_weights_are_a_model_of_their_own(cluster):
    """A number to compare with, not a gate: single tokens are predictable in a random network too."""
    cluster.up(workers=2)
    sweeps = {control: finish(cluster, weights_sweep(control or "real", 5, control))
              for control in (None, "random_weights")}
    says_so(cluster, sweeps["random_weights"], "random_weights")
    print_shares(cluster, sweeps)
    check(len(list((cluster.data / "captures").iterdir())) == 2, "captures are not mixed up")
    mine, its = (records(cluster, sweep) for sweep in sweeps.values())
    check([row["feature"] for row in mine] == [row["feature"] for row in its], "the same features")
    check(sum(a["firing"] == b["firing"] for a, b in zip(mine, its)) < len(mine) / 10,
          "another model fires otherwise")
    again = cluster.canonical(finish(cluster, weights_sweep("again", 5, "random_weights")))
    check(again == cluster.canonical(sweeps["random_weights"]), "from the capture on disk: equal")
    other = records(cluster, finish(cluster, weights_sweep("other", 6, "random_weights")))
    check(len(list((cluster.data / "captures").iterdir())) == 3, "another seed, another model")
    check([row["firing"] for row in other] != [row["firing"] for row in its], "it fires otherwise")
    feature = mine[0]["feature"]
    real, random = (json.loads(cluster.ctl("probe", sweep, feature, "The cat sat.", "-o", "json"))
                    for sweep in sweeps.values())
    check(real["probes"][0]["activations"] != random["probes"][0]["activations"] or
          not any(real["probes"][0]["activations"]), "probes ask the sweep's own model")
    check_store_is_clean(cluster)


# ---- with language models ---------------------------------------------------------------------
FEW = """explainer: stand-in
judge: %s
scoring: {null_pairs: 100, n_firing: 6, n_silent: 6, bootstrap_resamples: 100}
thresholds: {min_test_documents: 5}
%s"""


def few_labels(name, judge="stand-in-judge", more=""):
    return label_sweep(name, 60000, 12, FEW % (judge, more))


def start_with_models(cluster, responder="label_responder.py"):
    cluster.start_llm("--log-bodies", "--responder", ROOT / "tests/support" / responder)
    cluster.up(workers=2, gateways=1)


def constant_judge(cluster, answer):
    os.environ["CONSTANT_ANSWER"] = answer
    start_with_models(cluster, "constant_responder.py")
    rows = records(cluster, finish(cluster, few_labels("always-" + answer)))
    scores = [score for row in rows for of in row["scores"].values() for score in of.values()]
    never = "true_silent" if answer == "1" else "true_firing"
    check(len(scores) > 20, "labels were judged")
    check(not any(score["counts"][never] for score in scores), "the judge says %s" % answer)
    said = {score["verdict"] for score in scores}
    say("always %s: %d scores, %s" % (answer, len(scores), said))
    check(said == {"unsupported: judge is constant"}, said)
    check(not any(row["supported"] for row in rows), "nothing is supported")


def a_judge_that_always_says_yes_supports_nothing(cluster):
    constant_judge(cluster, "1")


def a_judge_that_always_says_no_supports_nothing(cluster):
    constant_judge(cluster, "0")


def a_random_judge_costs_no_call(cluster):
    start_with_models(cluster)
    sweep = finish(cluster, few_labels("coins", more="control: random_judge"))
    says_so(cluster, sweep, "random_judge")
    rows = records(cluster, sweep)
    asked = [json.loads(line["body"])["model"] for line in cluster.llm_log()
             if line["event"] == "received"]
    n_meanings = sum(len(row["meanings"]["list"]) for row in rows if row["meanings"])
    check(set(asked) == {"explainer-1"}, "no judge was asked: %s" % asked)
    check(len(asked) <= len(rows) + n_meanings, "a call for each label and meaning at most")
    check({row["judge"] for row in rows} == {"random"}, "records say who judged")
    check(sum(bool(row["scores"]) for row in rows) > 5, "labels were judged all the same")
    check(cluster.status(sweep)["calls"]["done"] == len(asked), "the books have the explainer alone")


def one_family_is_refused_and_told_when_allowed(cluster):
    start_with_models(cluster)
    yaml = few_labels("same", judge="stand-in")
    for words in ((), ("--dry-run", "--providers", cluster.providers)):
        said = "".join(cluster.ctl_both("submit", "-", *words, stdin=yaml, code=2))
        check("one family (alpha)" in said and "allow_same_family: true" in said, said)
    check(cluster.json("list")["sweeps"] == [], "nothing was accepted")
    sweep = finish(cluster, yaml + "allow_same_family: true\n")
    other = finish(cluster, few_labels("two"))
    for which, is_told in ((sweep, True), (other, False)):
        rows = records(cluster, which)
        summary = json.loads(cluster.canonical(which)["summary.json"])
        check(all(row.get("same_family_allowed", False) == is_told for row in rows), "records")
        check(summary.get("same_family_allowed", False) == is_told, "summary")
        check(cluster.status(which)["same_family_allowed"] == is_told, "status")
        for words in (("status", which), ("show", which, rows[0]["feature"]), ("results", which)):
            check(("of one family" in "\n".join(cluster.ctl_both(*words))) == is_told, words)
    plan = cluster.ctl_both("submit", "-", "--dry-run", "--providers", cluster.providers,
                            stdin=yaml + "allow_same_family: true\ncontrol: permuted\n")[0]
    check("of one family" in plan and "permuted" in plan, plan)
    check_store_is_clean(cluster)


if __name__ == "__main__":
    run([nothing_is_supported_where_there_is_nothing_to_find,
         what_is_judged_is_anothers_and_nothing_else_changes,
         shuffled_weights_are_a_model_of_their_own,
         a_judge_that_always_says_yes_supports_nothing,
         a_judge_that_always_says_no_supports_nothing,
         a_random_judge_costs_no_call,
         one_family_is_refused_and_told_when_allowed])
