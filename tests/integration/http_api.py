#!/usr/bin/env python3
"""The JSON API, /metrics and /healthz of a running cluster: a sweep seen from submit to results,
and what they say after a restart and while Redis is away."""
# timeout: 300
# tsan: yes
import pathlib
import re
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import http_cluster
from http_cluster import Cluster, check, wait


def an_empty_cluster_answers(cluster):
    overview = cluster.json("/api/v1/overview")
    check(overview["sweeps"] == [] and overview["recent_labels"] == [], "nothing there yet")
    check([worker["state"] for worker in overview["workers"]] == ["idle"], "one idle worker")
    check(cluster.json("/api/v1/sweeps") == {"sweeps": []}, "no sweeps")
    check(cluster.json("/api/v1/dead") == {"units": [], "total": 0}, "nothing dead")
    check(cluster.json("/healthz")["is_store_up"] is True, "healthy")
    check(cluster.json("/api/v1/sweeps/none-1", want=404)["error"]["status"] == "not_found", "404")


def a_sweep_is_seen_from_submit_to_results(cluster):
    sweep = cluster.submit_labels()
    done = cluster.wait_finished(sweep)
    check(done["progress"] == 1.0 and done["leak_count"] == 0, f"{done}")
    check(sum(done["statuses"].values()) == done["n_features"] == 64, f"{done['statuses']}")
    check(sum(split["n_documents"] for split in done["splits"].values()) == 120, "all documents")
    summary = cluster.json("/api/v1/overview")["sweeps"][0]
    check(summary["id"] == sweep and summary["n_labelled"] == done["n_labelled"], "one truth")
    return sweep


def results_are_paged_without_gap_or_overlap(cluster, sweep):
    rows, cursor = [], 0
    while cursor is not None:
        page = cluster.json(f"/api/v1/sweeps/{sweep}/results?cursor={cursor}&limit=25")
        check(page["total"] == 64 and len(page["rows"]) <= 25, "bounded")
        rows += page["rows"]
        cursor = page["next_cursor"]
    check([row["feature"] for row in rows] == list(range(64)), "each once, in order")
    for row in rows[:5]:
        one = cluster.json(f"/api/v1/sweeps/{sweep}/features/{row['feature']}")
        check(one == row, f"feature {row['feature']}: the same record by itself")
    for path, want in ((f"/api/v1/sweeps/{sweep}/features/64", 404),
                       (f"/api/v1/sweeps/{sweep}/features/x", 400),
                       (f"/api/v1/sweeps/{sweep}/results?limit=0", 400),
                       (f"/api/v1/sweeps/{sweep}/results?limit=1001", 400),
                       (f"/api/v1/sweeps/{sweep}/results?limt=1", 400)):
        check("message" in cluster.json(path, want=want)["error"], path)
    beyond = cluster.json(f"/api/v1/sweeps/{sweep}/results?cursor=1000000")
    check(beyond["rows"] == [] and beyond["next_cursor"] is None, "beyond the end: nothing")


def metrics_are_an_exposition(cluster):
    status, headers, text = cluster.get("/metrics")
    check(status == 200 and headers["Content-Type"] == "text/plain; version=0.0.4", "type")
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
    samples = re.findall(r"^([a-z_]+)(\{[^}]*\})? (\S+)$", text, re.M)
    check(len(text.splitlines()) == 2 * len(types) + len(samples), "nothing but help, type, sample")
    for name, _labels, value in samples:
        check(name in types, f"{name} has a type")
        check((types[name] == "counter") == name.endswith("_total"), f"{name}: _total on counters")
        float(value)
    settled = {name: float(value) for name, _labels, value in samples}
    check(settled["interp_units_settled_total"] > 0, "units were settled")


def only_reading_from_this_machine(cluster):
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        status, headers, _body = cluster.get("/api/v1/sweeps", method=method)
        check((status, headers["Allow"]) == (405, "GET, HEAD"), method)
    status, _headers, body = cluster.get("/", headers={"Host": "page.example"})
    check(status == 403 and "page.example" in body, "a foreign name for this machine")
    status, headers, _body = cluster.get("/")
    check("default-src 'self'" in headers["Content-Security-Policy"], "CSP")
    check("unsafe" not in headers["Content-Security-Policy"], "no inline code or style")


def redis_away_is_told(cluster):
    redis = cluster.processes["redis"]
    redis.send_signal(signal.SIGSTOP) # hangs, as a host does that has lost its disk
    try:
        wait("503 while Redis is away", 20, lambda: cluster.get("/healthz")[0] == 503)
        check(cluster.get("/")[0] == 200, "the page itself is there")
    finally:
        redis.send_signal(signal.SIGCONT)


def a_restart_keeps_the_address(cluster):
    before = cluster.address
    check(cluster.end("coordinator") == 0, "stops cleanly")
    cluster.start_coordinator(listen=before.removeprefix("http://"))
    check(cluster.address == before, "comes back at the same address")
    check(len(cluster.json("/api/v1/sweeps")["sweeps"]) == 1, "and knows its sweep")


def main():
    with Cluster() as cluster:
        cluster.start_redis()
        cluster.start_coordinator()
        cluster.start_worker()
        an_empty_cluster_answers(cluster)
        sweep = a_sweep_is_seen_from_submit_to_results(cluster)
        results_are_paged_without_gap_or_overlap(cluster, sweep)
        metrics_are_an_exposition(cluster)
        only_reading_from_this_machine(cluster)
        a_restart_keeps_the_address(cluster)
        redis_away_is_told(cluster)
    print(f"{http_cluster.N_CHECKS} checks passed")


main()
