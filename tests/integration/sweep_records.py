#!/usr/bin/env python3
"""Records by feature: every feature of every target is found, while the sweep runs and when it is over,
in pages and alone, and what was not labelled is not."""
import json
import pathlib
import sys
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import check, label_sweep, run, say, wait_until

MORE = """  - hook: blocks.1.mlp.hook_post
    units: neurons
    features: "3-5,40-59"
  - hook: blocks.1.attn.hook_z
    units: heads
scoring: {null_pairs: 300, bootstrap_resamples: 2000}
"""
N_RECORDS = 60 + 2 * 23 + 4  # a neuron has two sides


def fetch(cluster, path):
    """The JSON there; None if there is nothing."""
    address = (cluster.data / "http-address").read_text().rstrip("/")
    try:
        with urllib.request.urlopen(address + path) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as problem:
        check(problem.code == 404, "%s: %d" % (path, problem.code))
        return None


def all_records(cluster, sweep, limit):
    rows, cursor = [], 0
    while cursor is not None:
        page = fetch(cluster, "/api/v1/sweeps/%s/results?cursor=%d&limit=%d" %
                     (sweep, cursor, limit))
        check(len(page["rows"]) <= limit, "no more than asked for")
        rows += page["rows"]
        cursor = page["next_cursor"]
    return rows


def target_of(row):
    if row["target"]["dictionary"]:
        return 0
    return 1 if row["target"]["hook_point"].endswith("hook_post") else 2


def check_each(cluster, sweep, rows):
    for row in rows:
        found = fetch(cluster, "/api/v1/sweeps/%s/features/%d?target=%d" %
                      (sweep, row["feature"], target_of(row)))
        check(found == row, "feature %d of target %d" % (row["feature"], target_of(row)))
    names = [(target_of(row), row["feature"]) for row in rows]
    check(names == sorted(set(names)), "in order of target and feature, each once")


def each_feature_is_found(cluster):
    cluster.up(workers=2)
    sweep = cluster.submit(label_sweep("found", 40000, 60, MORE))
    wait_until(lambda: cluster.status(sweep)["n_labelled"] > 5, "labels arrive", step=0.005)
    cluster.ctl("pause", sweep)
    rows = all_records(cluster, sweep, 20)
    state = cluster.status(sweep)["state"]
    say("%s with %d of %d records" % (state, len(rows), N_RECORDS))
    check(state == "paused" and 5 < len(rows) <= N_RECORDS, "caught in the act")
    check_each(cluster, sweep, rows)
    cluster.ctl("resume", sweep)
    cluster.wait(sweep)
    rows = all_records(cluster, sweep, 7)
    check(len(rows) == N_RECORDS, "%d records" % len(rows))
    lines = cluster.canonical(sweep)["results.jsonl"].splitlines()
    check(rows == [json.loads(line) for line in lines], "the file's records")
    check_each(cluster, sweep, rows)
    for feature, target in ((12, 1), (5, 1), (4, 2), (999, 0), (2 ** 40, 1)):
        check(fetch(cluster, "/api/v1/sweeps/%s/features/%d?target=%d" %
                    (sweep, feature, target)) is None, "%d of %d" % (feature, target))


if __name__ == "__main__":
    run([each_feature_is_found])
