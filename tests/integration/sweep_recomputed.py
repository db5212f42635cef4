#!/usr/bin/env python3
"""A sweep with simulation and three judges: every score, kappa and interval of its records and its
summary is computed again by tests/support/recompute_scores.py from what was judged and from the stored
replies, and is equal to 1e-9. The judges are imperfect, and some of what they answer cannot be read.
The same bytes with another number of workers and a coordinator that is killed, and no call twice."""
# timeout: 400
import json
import os
import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import ROOT, check, check_store_is_clean, label_sweep, run, say, wait_until

DEBIANS = "/usr/bin/python3"
try:
    import recompute_scores
except ModuleNotFoundError as missing:
    if os.path.exists(DEBIANS) and not os.path.samefile(sys.executable, DEBIANS):
        os.execv(DEBIANS, [DEBIANS] + sys.argv)  # which has what scripts/bootstrap installed
    print("skipped: %s (Debian: python3-numpy)" % missing)
    sys.exit(77)

PROVIDERS = (("explains", "explainer-1", "alpha", "false"),
             ("first", "judge-logprobs", "beta", "true"),
             ("second", "judge-2", "gamma", "false"), ("third", "judge-3", "delta", "false"))
MORE = """explainer: explains
judge: %s
judges: [%s]
scores: [detection, fuzzing, simulation]
scoring: {null_pairs: 20, bootstrap_resamples: 200, n_simulated: 6}
keep_judged: true
"""
FILES = ("results.jsonl", "summary.json", "judged.jsonl", "judged-null.jsonl")
kept = {}  # what the first sweep left


def start(cluster, judge, judges, workers, latency=0):
    cluster.start_llm("--log-bodies", "--latency", latency, "--responder",
                      ROOT / "tests/support/imperfect_responder.py")
    cluster.providers = cluster.home / "four.yaml"
    cluster.providers.write_text("providers:\n" + "".join(
        "  - {name: %s, base_url: 'http://127.0.0.1:%d/v1', model: %s, family: %s, logprobs: %s, "
        "max_in_flight: 8, dollars_per_million_input: 0.15}\n" %
        (name, cluster.llm_port, model, family, has_logprobs)
        for name, model, family, has_logprobs in PROVIDERS))
    cluster.up(workers=workers, gateways=1)
    return cluster.submit(label_sweep("judges", 60000, 24, MORE % (judge, ", ".join(judges))))


def read_files(cluster, sweep):
    return {name: (cluster.data / "sweeps" / sweep / name).read_bytes() for name in FILES}


def stored_replies(cluster):
    replies = {}
    for key in cluster.redis.run("KEYS", "interp:call:*"):
        logprobs = cluster.redis.run("HGET", key, "logprobs")
        replies[key.split(":")[-1]] = {"content": cluster.redis.run("HGET", key, "content"),
                                       "logprobs": json.loads(logprobs) if logprobs else None}
    return replies


def recompute(cluster, sweep):
    """(records, counts of what was computed again); fails where anything differs."""
    files = read_files(cluster, sweep)
    rows = [json.loads(line) for line in files["results.jsonl"].splitlines()]
    judged = [json.loads(line) for line in files["judged.jsonl"].splitlines()]
    replies = stored_replies(cluster)
    summary = json.loads(files["summary.json"])
    pairs = [json.loads(line) for line in files["judged-null.jsonl"].splitlines()]
    counts, found = recompute_scores.recompute_sweep(rows, summary, judged, replies, pairs)
    say("%d records, %d replies: %s" % (len(rows), len(replies), counts))
    check(not found, "\n".join(found[:20]))
    check(len(judged) == sum("detection" in row["scores"] for row in rows), "a line a score")
    check_that_differences_are_seen(rows, summary, judged, replies)
    of_another = [dict(line, sheets=pairs[0]["sheets"]) for line in pairs]
    check(recompute_scores.recompute_sweep(rows, summary, judged, replies, of_another)[1],
          "another null is seen")
    return rows, counts


def check_that_differences_are_seen(rows, summary, judged, replies):
    """Other answers in one stored reply, and 1e-8 in a record."""
    one = [line for line in judged if line["simulation"]][:1]
    row = next(row for row in rows if row["feature"] == one[0]["feature"])
    differences = lambda replies: [
        text for text in recompute_scores.recompute_sweep(rows, summary, one, replies)[1]
        if not text.startswith("summary")]
    check(not differences(replies), "as it is")
    prompt = one[0]["sheets"][0]["prompts"][0]
    turned = [1 - max(0, a) for a in
              recompute_scores.read_answers(replies[prompt["call"]], len(prompt["items"]))]
    changed = {"content": json.dumps({"answers": turned}), "logprobs": None}
    check(differences(dict(replies, **{prompt["call"]: changed})), "another reply is seen")
    row["scores"]["simulation"]["random"]["pearson"] += 1e-8
    found = differences(replies)
    row["scores"]["simulation"]["random"]["pearson"] -= 1e-8
    check(len(found) == 1 and "simulation.pearson" in found[0], found)


def scored(rows, *path):
    for row in rows:
        value = row
        for key in path:
            value = value.get(key, {}) if value else {}
        if value:
            yield value


def everything_is_equal_when_computed_again(cluster):
    sweep = start(cluster, "first", ["second", "third"], workers=2)
    cluster.wait(sweep, seconds=120)
    rows, counts = recompute(cluster, sweep)
    n = counts["simulation"]
    check(n >= 15, "%d features have scores" % n)
    check(counts == {"detection": 2 * n, "fuzzing": 2 * n, "simulation": n,
                     "cohen": 4 * n + 4, "fleiss": 2 * n + 2, "null": 5 * n}, counts)
    simulated = list(scored(rows, "scores", "simulation", "random"))
    check(sum(s["n_failed"] for s in simulated) > 5, "some windows could not be read")
    check(sum(s["n_windows"] - s["n_failed"] - s["n_expected"] for s in simulated) > 5,
          "some had no log probabilities that spell them")
    check(all(s["null"]["n"] > 10 and s["verdict"] for s in simulated), "with a null of its own")
    failed = [s["counts"]["failed_firing"] for s in scored(rows, "scores", "detection", "random")]
    check(sum(failed) > 5, "some answers could not be read")
    near = [s["neighbours"] for s in scored(rows, "scores", "detection", "hard") if s["neighbours"]]
    n_near = sum(one["true_silent"] + one["false_alarm"] for one in near)
    say("%d windows of neighbours were judged, of %d features" % (n_near, len(near)))
    check(n_near > 5 * n and len(near) > n / 2, "windows of neighbours are judged")
    check(all(s["neighbours"] is None for s in scored(rows, "scores", "detection", "random")),
          "among the hard ones only")
    check(max(s["kappa"] for row in rows if "agreement" in row
              for s in row["agreement"]["detection"]["cohen"]) > 0.3, "judges agree somewhere")
    kept.update(read_files(cluster, sweep), n_calls=cluster.llm_stats()["received"])
    check_shown(cluster, sweep, rows)
    check_store_is_clean(cluster)


def check_shown(cluster, sweep, rows):
    feature = next(row["feature"] for row in rows if "simulation" in row["scores"])
    page = cluster.ctl("show", sweep, feature)
    check("simulation  random" in page and "judge-logprobs and judge-3" in page, page)
    check("all (Fleiss)" in cluster.ctl("status", sweep), "the sweep's own")
    wide = cluster.ctl("results", sweep, "-o", "wide")
    check("SIMULATION" in wide and "KAPPA" in wide, wide)
    names = {row["provider"] for row in cluster.json("cost", sweep)["providers"]}
    check(names == {"explains", "first", "second", "third"}, names)


def the_same_without_log_probabilities(cluster):
    sweep = start(cluster, "second", ["third"], workers=1)
    cluster.wait(sweep, seconds=120)
    rows, counts = recompute(cluster, sweep)
    check("fleiss" not in counts and counts["cohen"] > 20, counts)
    simulated = list(scored(rows, "scores", "simulation", "random"))
    check(all(s["form"] == "scale" and s["n_expected"] == 0 for s in simulated), "a scale")
    check(sum(s["n_windows"] - s["n_failed"] for s in simulated) > 50, "which is read")


def a_killed_coordinator_pays_nothing_twice(cluster):
    """One worker instead of two; the coordinator dies amid the calls, and again at the end."""
    sweep = start(cluster, "first", ["second", "third"], workers=1, latency=0.05)
    for share in (0.1, 0.4, 0.7):
        wait_until(lambda: cluster.llm_stats()["received"] > share * kept["n_calls"],
                   "%d %% of the calls are out" % (100 * share), 60)
        cluster.kill("coordinator", signal.SIGKILL)
        cluster.start_coordinator()
    cluster.wait(sweep, seconds=120)
    stats = cluster.llm_stats()
    say("%d calls, %d of them more than once" % (stats["received"], stats["sent_more_than_once"]))
    check(stats["received"] == kept["n_calls"] and stats["sent_more_than_once"] == 0,
          "no call twice, and none but those of the undisturbed sweep")
    again = read_files(cluster, sweep)
    for name in FILES:
        check(again[name] == kept[name], "%s differs" % name)


if __name__ == "__main__":
    run([everything_is_equal_when_computed_again, the_same_without_log_probabilities,
         a_killed_coordinator_pays_nothing_twice])
