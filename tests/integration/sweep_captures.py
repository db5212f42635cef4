#!/usr/bin/env python3
"""Evidence on disk: shared between sweeps, listed with who uses it, evicted when there is too much,
and missed by nobody but the clock."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import check, check_store_is_clean, label_sweep, run, wait_until

SCORING = "scoring: {null_pairs: 0, bootstrap_resamples: 100}"


def sweep_of(name, max_tokens):
    return label_sweep(name, max_tokens, 40, SCORING)


def folders(cluster):
    return sorted(path.name for path in (cluster.data / "captures").glob("*"))


def listed(cluster):
    return {row["key"]: row for row in cluster.json("captures")["captures"]}


def captures_are_shared_and_listed(cluster):
    cluster.up(workers=1)
    check("no captures" in cluster.ctl_both("captures")[1], "none yet")
    first = cluster.submit(sweep_of("first", 30000))
    cluster.wait_phase(first, "capture-rest", "label", "done")
    cluster.wait(first)
    (key,) = folders(cluster)
    row = listed(cluster)[key]
    size = sum(path.stat().st_size for path in (cluster.data / "captures" / key).glob("*"))
    check(row["n_bytes"] == size and row["is_complete"] and row["sweeps"] == [], str(row))
    text = cluster.ctl("captures")
    check(key[:12] in text and "LAST USED" in text, text)
    settled = cluster.metrics()["interp_units_settled_total"]
    again = cluster.submit(sweep_of("again", 30000))
    wait_until(lambda: listed(cluster)[key]["sweeps"] == [again] or
               cluster.status(again)["state"] == "finished", "it is in use", step=0.005)
    cluster.wait(again)
    check(folders(cluster) == [key], "nothing new was captured")
    check(listed(cluster)[key]["used_at"] > row["used_at"], "and it counts as used")
    check(cluster.metrics()["interp_units_settled_total"] < settled * 2, "by no worker either")


def the_oldest_goes_when_there_is_too_much(cluster):
    cluster.up(workers=1)
    results = {}

    def finish(name, tokens):
        sweep = cluster.submit(sweep_of(name, tokens))
        cluster.wait(sweep)
        results[name] = cluster.canonical(sweep)

    finish("a", 20000)
    limit = 2.9 * sum(row["n_bytes"] for row in listed(cluster).values())  # later ones are larger
    cluster.kill("coordinator")
    cluster.start_coordinator(more=("--captures-max-gib", "%.9f" % (limit / 2 ** 30)))
    for name, tokens in (("b", 25000), ("c", 30000), ("d", 35000)):
        finish(name, tokens)
    total = sum(row["n_bytes"] for row in listed(cluster).values())
    log = cluster.log("coordinator")
    check("captures_evicted" in log and "captures_not_evicted" not in log, log[-500:])
    check(0 < len(folders(cluster)) < 4, "some are gone: %s" % folders(cluster))
    check(total <= limit, "the rest fits: %d of %d bytes" % (total, limit))
    before = results["a"]
    finish("a", 20000)
    check(results["a"] == before, "captured again, to the same bytes")
    check_store_is_clean(cluster)


if __name__ == "__main__":
    run([captures_are_shared_and_listed, the_oldest_goes_when_there_is_too_much])
