#!/usr/bin/env python3
# timeout: 600
"""Features of a dictionary, neurons and residual dimensions as components of a circuit sweep, where
the truth is known: the dictionary's features are directions that the model was built of
(tests/support/known_dictionary.py), beside decoys that fire exactly as they do and do nothing."""
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import Cluster, check, check_store_is_clean, run
from known_dictionary import prompts_of_few_words, write_known_dictionary

WORKER = pathlib.Path(os.environ["BUILD"]) / "interp-worker"
HOOK = "blocks.1.hook_resid_pre"
WORDS = (3, 5) # said twice in every prompt: their features do it, and have decoys
FEW = "verdict: {n_random: 20, n_subsets: 4, n_resamples: 300}"
FILES = ("circuit.json", "verdict.json", "measures.json", "results.jsonl", "summary.json")
folder = tempfile.TemporaryDirectory(prefix="interp-features-")
model = pathlib.Path(folder.name) / "model"
dictionary = pathlib.Path(folder.name) / "dictionary"
prompts = pathlib.Path(folder.name) / "prompts.jsonl"


def make_all():
    subprocess.run([WORKER, "known-model", "induction", "--seed", "5", "--size", "24", "--prompts",
                    "4", "-o", model], check=True, stdout=subprocess.DEVNULL)
    truth = json.loads((model / "circuit.json").read_text())
    previous, = [n for n in truth["nodes"] if n["role"] == "previous_token"]
    n_known = write_known_dictionary(model, previous["head"], dictionary)
    pairs = prompts_of_few_words(model, WORDS, 90, random.Random(11))
    prompts.write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    return truth, n_known


def feature(number):
    return "%s.f%d" % (HOOK, number)


TRUE = [feature(word) for word in WORDS]


def decoys(n_known):
    return [feature(n_known + word - 1) for word in WORDS]


def sweep_of(name, more, of_dictionary="", search="value: resample"):
    return ("kind: circuit\nname: %s\nmodel: %s\ntask: {prompts: %s}\nsearch: {%s}\n%s\n"
            "dictionaries:\n  - {hook: %s, dictionary: %s%s}\n%s\n"
            % (name, model, prompts, search, FEW, HOOK, dictionary, of_dictionary, more))


def finish(cluster, yaml):
    sweep = cluster.submit(yaml)
    cluster.wait(sweep, seconds=200)
    return sweep


def records_of(cluster, sweep):
    lines = (cluster.data / "sweeps" / sweep / "results.jsonl").read_text().splitlines()
    return {r["component"]: r for r in map(json.loads, lines)}


def found_in(records):
    return sorted(name for name, r in records.items() if r["in_circuit"])


def features_are_found_and_decoys_rejected(cluster):
    cluster.up(workers=2)
    for value in ("zero", "mean", "resample"):
        sweep = finish(cluster, sweep_of("features-" + value, "candidates: []",
                                         search="value: " + value))
        records = records_of(cluster, sweep)
        check(len(records) == n_known + 8, "every feature is a candidate: %d" % len(records))
        check(found_in(records) == sorted(TRUE), "%s: found %s" % (value, found_in(records)))
        for name in TRUE:
            check(records[name]["type"] == "sae_feature" and records[name]["hook_point"] == HOOK, name)
            check(records[name]["effect"]["mean"] > 1, "%s: half of the prompts need it" % name)
        for name in decoys(n_known):
            check(abs(records[name]["effect"]["mean"]) < 0.02, "%s under %s: the decoy %s"
                  % (name, value, records[name]["effect"]))
        told = cluster.json("circuit", sweep, "-o", "json")
        for ablated in ("mean", "resample"):
            verdict = told["verdict"]["values"][ablated]
            for what in ("sufficiency", "necessity"):
                check(abs(verdict[what]["ratio"] - 1) < 0.03, "%s: %s %s" % (ablated, what, verdict))
        check(told["summary"]["outcome"] == "verified", str(told["summary"]))
    check_store_is_clean(cluster)


def heads_and_features_make_one_circuit(cluster):
    cluster.up(workers=1)
    sweep = finish(cluster, sweep_of("together", "candidates: [heads, mlps]"))
    records = records_of(cluster, sweep)
    check(found_in(records) == sorted(TRUE + truth["circuit"]), "found %s" % found_in(records))
    check(cluster.json("circuit", sweep, "-o", "json")["summary"]["outcome"] == "verified", "believed")
    drawn = cluster.ctl("circuit", sweep, "--dot")
    check(all('"%s"' % name in drawn for name in TRUE), "the drawing has the features")


def what_is_not_explained_is_a_component_where_asked(cluster):
    """The query, the word at the end of the prompt, is in no feature: without the rest of the stream
    nothing is answered. The corrupted prompt has that word too, so its rest does as well."""
    cluster.up(workers=1)
    error = HOOK + ".error"
    for value, is_needed in (("zero", True), ("resample", False)):
        sweep = finish(cluster, sweep_of("error-" + value, "candidates: []",
                                         ", error_term: true", "value: " + value))
        records = records_of(cluster, sweep)
        want = sorted(TRUE + [error] * is_needed)
        check(found_in(records) == want, "%s: found %s" % (value, found_in(records)))


def a_list_names_the_features(cluster):
    cluster.up(workers=1)
    sweep = finish(cluster, sweep_of("few", "candidates: []", ', features: "0-3,7"'))
    records = records_of(cluster, sweep)
    check(sorted(records) == sorted(map(feature, (0, 1, 2, 3, 7))), "these: %s" % sorted(records))
    check(found_in(records) == [TRUE[0]], "found %s" % found_in(records))


def expect_pairs_are_told(cluster, sweep, n_others):
    """More than are tested: in the summary, the report and the status."""
    n = n_others * (n_others - 1) // 2
    summary = cluster.json("circuit", sweep)["summary"]
    check(summary["pairs"]["others"] == {"n": n, "n_tested": 496} and not summary["is_truncated"],
          summary)
    said, = summary["not_looked_at"]
    check(said.startswith("496 of %d pairs" % n), said)
    check("not looked at\n  - " + said in cluster.ctl("circuit", sweep), "the report says it")
    check("; not everywhere: see circuit" in cluster.ctl("status", sweep), "the status as well")


def neurons_and_dimensions_are_searched_by_list(cluster):
    """The known model's MLPs write where nobody reads: none of their neurons is in its circuit."""
    cluster.up(workers=2)
    yaml = ("kind: circuit\nname: neurons\nmodel: %s\ntask: {prompts: %s}\n%s\n"
            "candidates: [heads, neurons]\nneurons: 0-19\n" % (model, prompts, FEW))
    sweep = finish(cluster, yaml)
    records = records_of(cluster, sweep)
    check(len(records) == 2 * (4 + 20), "heads and 20 neurons a layer: %d" % len(records))
    check(found_in(records) == sorted(truth["circuit"]), "found %s" % found_in(records))
    expect_pairs_are_told(cluster, sweep, len(records) - len(truth["circuit"]))
    yaml = ("kind: circuit\nname: dimensions\nmodel: %s\ntask: {prompts: %s}\n%s\n"
            "candidates: [residual]\ndimensions: 0-9\nlayers: 1\n" % (model, prompts, FEW))
    records = records_of(cluster, finish(cluster, yaml))
    check(sorted(records) == sorted("%s[%d]" % (HOOK, i) for i in range(10)), "ten dimensions")
    check(all(r["effect"]["mean"] != 0 for r in records.values()), "each is a part of every feature")


def the_same_on_one_and_two_workers(cluster):
    with Cluster() as two:
        kept = []
        for n_workers, on in ((1, cluster), (2, two)):
            on.up(workers=n_workers)
            sweep = finish(on, sweep_of("same", "candidates: [heads]\nablation: {n_batch: 4}",
                                        ", error_term: true"))
            kept.append({f: (on.data / "sweeps" / sweep / f).read_bytes() for f in FILES})
        for name in FILES:
            check(kept[0][name] == kept[1][name], name + " differs between 1 and 2 workers")


def the_plan_names_the_components(cluster):
    cluster.up(workers=1)
    said = cluster.ctl("submit", "-", "--dry-run", stdin=sweep_of(
        "plan", "candidates: [heads, neurons]", ", error_term: true", "order: attribution"))
    for text in ("heads, neurons", "features all and the error term at " + HOOK,
                 "; ordered by eap_ig"):
        check(text in said, "%r does not say %r" % (said, text))


def what_cannot_be_combined_is_refused_by_name(cluster):
    cluster.up(workers=1)
    second = "  - {hook: %s, dictionary: %s}\n" % (HOOK, dictionary)
    base = "kind: circuit\nname: refused\nmodel: %s\ntask: {prompts: %s}\n" % (model, prompts)
    one = "  - {hook: %s, dictionary: %s}\n" % (HOOK, dictionary)
    for more, text in (
            ("search: {edges: acdc}\ndictionaries:\n" + one, "features of dictionaries have none"),
            ("search: {edges: acdc}\ncandidates: [heads, neurons]\n", "neurons have none"),
            ("search: {edges: acdc}\ncandidates: [heads, residual]\n", "dimensions have none"),
            ("dictionaries:\n" + one + one, "a second dictionary at " + HOOK),
            ("dictionaries:\n" + one.replace(HOOK, "blocks.1.hook_nothing"), "is no hook point"),
            ("candidates: []\n", "at least one kind of components is wanted")):
        said = cluster.ctl_both("submit", "-", stdin=base + more, code=2)[1]
        check(text in said, "%r does not say %r" % (said, text))
    sweep = cluster.submit(sweep_of("too-many", "candidates: []", ', features: "0-40"'))
    cluster.wait(sweep, "failed", seconds=60)
    check("dictionaries[0].features" in cluster.status(sweep)["reason"],
          str(cluster.status(sweep)["reason"]))


if __name__ == "__main__":
    with folder:
        truth, n_known = make_all()
        run([features_are_found_and_decoys_rejected, heads_and_features_make_one_circuit,
             what_is_not_explained_is_a_component_where_asked, a_list_names_the_features,
             neurons_and_dimensions_are_searched_by_list, the_same_on_one_and_two_workers,
             the_plan_names_the_components, what_cannot_be_combined_is_refused_by_name])
