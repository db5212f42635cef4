#!/usr/bin/env python3
"""Planted features of known concepts, labelled by the lexical explainer and by a scripted agent:
are the concepts found, does "supported" mean right, which type is found? Prints tables by what was
planted.

The dictionaries are tests/golden/concepts (make_concepts.py there), the agent and its judge
tests/support/concept_agent.py. Some of each type by default; LONG=1 takes all of them, the whole
demo corpus and the default thresholds (scripts/bench-labels)."""
# timeout: 600
import json
import os
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import concept_report
from concept_agent import CONCEPTS
from cluster import DEMO, ROOT, check, check_store_is_clean, run, say

IS_LONG = bool(os.environ.get("LONG"))
N_OF_TYPE = 1000 if IS_LONG else 7  # of each type, in each dictionary
SWEEP = """
kind: label
name: %s
mode: %s
model: %s/model
corpus: {path: %s/corpus/demo.jsonl.gz, bos: true, max_tokens: %d}
targets:
%s
explainer: %s
judge: %s
scoring: {null_pairs: 1000, n_firing: %d, n_silent: %d, bootstrap_resamples: %d}
thresholds: {min_test_documents: %d}
budget_dollars: 100
"""


def chosen(features):
    seen, out = {}, []
    for i, feature in enumerate(features):
        seen[feature["type"]] = seen.get(feature["type"], 0) + 1
        if seen[feature["type"]] <= N_OF_TYPE:
            out.append(i)
    return out


def sweep_text(name, mode, explainer, judge):
    targets = "\n".join(
        "  - {hook: %s, dictionary: %s, features: \"%s\"}" % (
            d["hook"], ROOT / "tests/golden/concepts" / d["name"],
            ",".join(map(str, chosen(d["features"])))) for d in CONCEPTS["dictionaries"])
    size = (0, 20, 20, 2000, 20) if IS_LONG else (240000, 10, 10, 100, 8)
    return SWEEP % (name, mode, DEMO, DEMO, size[0], targets, explainer, judge, *size[1:])


def finish(cluster, *words):
    sweep = cluster.submit(sweep_text(*words))
    cluster.wait(sweep, seconds=1500)
    rows = [json.loads(line) for line in cluster.canonical(sweep)["results.jsonl"].splitlines()]
    summary = json.loads(cluster.canonical(sweep)["summary.json"])
    check(summary["leak_count"] == 0, "no window leaks")
    return rows


def report(name, rows):
    say(name)
    if "RESULTS" in os.environ:
        name = re.sub("[^a-z0-9.]+", "-", name.split(";")[0].lower())
        path = pathlib.Path(os.environ["RESULTS"], name + ".jsonl")
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    print(concept_report.table(rows))
    print(concept_report.null_line(rows))
    print(concept_report.typing_table(rows))
    for line in concept_report.contradictions(rows):
        print("    " + line)


def statuses_need_no_label(rows):
    """Dead, dense and position features are told without anybody's label being believed."""
    for feature, row in concept_report.planted_of(rows):
        if feature["type"] in concept_report.STATUSES:
            check(row["status"] == feature["type"], "%s is %s" % (feature["type"], row["status"]))
            check(not row["supported"], "nothing is claimed of a %s feature" % row["status"])
        else:
            check(row["status"] in ("open", "token", "insufficient"), row["status"])


def words_are_named(rows, share, share_supported):
    """Of the token sets: most concepts are found, most right labels supported, and no label that
    names none of the words is."""
    each = [count for kind, count in concept_report.counts(rows).items() if "token" in kind]
    n_found = sum(count.read["found"] for count in each)
    n_right = sum(count.supported["found"] for count in each)
    check(n_found >= share * sum(count.n for count in each), "%d concepts are found" % n_found)
    check(n_right >= share_supported * n_found, "%d of %d right labels supported" % (
        n_right, n_found))
    check(sum(count.supported["other"] for count in each) == 0, "no wrong label is supported")


def the_lexical_explainer_names_what_can_be_spelled(cluster):
    cluster.up(workers=2)
    rows = finish(cluster, "lexical", "single_pass", "lexical", "lexical")
    report("lexical explainer, lexical judge", rows)
    statuses_need_no_label(rows)
    words_are_named(rows, 0.6, 0.9)


def supported_is_right(rows):
    """False discoveries among the supported: the rate that Benjamini-Hochberg was asked for."""
    n_found = concept_report.total(rows, "found")[1]
    n_part, n_other = (concept_report.total(rows, what)[1] for what in ("part", "other"))
    check(n_other <= 1 + 0.05 * n_found, "%d wrong labels are supported" % n_other)
    say("supported: %d right, %d that name a part, %d wrong" % (n_found, n_part, n_other))


def start_agent(cluster, script):
    os.environ["AGENT_SCRIPT"] = script
    cluster.start_llm("--latency", 0, "--responder", ROOT / "tests/support/concept_agent.py")


def a_scripted_agent_is_supported_where_it_is_right(cluster):
    shares = ("0.8", "0.4") if IS_LONG else ("0.8",)
    start_agent(cluster, "p=" + shares[0])
    cluster.up(workers=2, gateways=1)
    for p in shares:
        if p != shares[0]:
            cluster.kill("llm")
            start_agent(cluster, "p=" + p)
            cluster.redis.run("FLUSHALL")
        rows = finish(cluster, "agent-" + p, "agentic", "stand-in", "stand-in-judge")
        report("scripted agent, right with p = %s a round; %d calls" %
               (p, cluster.llm_stats()["received"]), rows)
        statuses_need_no_label(rows)
        supported_is_right(rows)
        if p == "0.8":
            words_are_named(rows, 0.9, 0.6)
    check_store_is_clean(cluster)


if __name__ == "__main__":
    run([the_lexical_explainer_names_what_can_be_spelled,
         a_scripted_agent_is_supported_where_it_is_right])
