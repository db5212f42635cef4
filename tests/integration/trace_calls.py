#!/usr/bin/env python3
"""A session can be audited word for word: `trace --raw` shows what the endpoint received and sent,
with the books' tokens and dollars, while the sweep runs, when it is over, after a restart of the
coordinator; and says so when replies are forgotten."""
# timeout: 120
import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import check, run, say, wait_until
from sweep_agentic import eligible, finish, start, sweep_text


def all_of(cluster, sweep, feature):
    return cluster.json("trace", sweep, feature, "--raw")["calls"]


def the_words_are_those_of_the_wire(cluster):
    start(cluster, "p=0.4", workers=2)
    sweep, rows = finish(cluster, sweep_text("audit"))
    received = {json.dumps(json.loads(line["body"]), sort_keys=True)
                for line in cluster.llm_log() if line["event"] == "received"}
    feature = eligible(rows)[0]["feature"]
    calls = all_of(cluster, sweep, feature)
    rounds = eligible(rows)[0]["session"]["rounds"]
    check(sum(call["ask"] == "label" for call in calls) == len(rounds), "a label for every round")
    for call in calls:
        check(call["state"] == "done" and call["attempts"] == 1, call)
        check(json.dumps(call["body"], sort_keys=True) in received, "it was sent like this")
        check(call["reply"] and call["tokens_in"] > 0 and call["dollars"] >= 0, call)
    labels = [json.loads(call["reply"])["label"] for call in calls if call["ask"] == "label"]
    check(labels == [r["label"] for r in rounds], "the replies are the rounds' labels")
    every = [call for row in rows for call in
             (cluster.json("trace", sweep, row["feature"]).get("calls") or [])]
    ids = {call["call"] for call in every}
    check(all("body" not in call and "reply" not in call for call in every), "counted, not shown")
    texts = subprocess.run(["zstdcat", cluster.home / "data/sweeps" / sweep / "calls.zst"],
                           capture_output=True, check=True, text=True).stdout.splitlines()
    check({json.loads(text)["call"] for text in texts} == ids, "zstdcat reads the same")
    check(len(received) > len(ids) > 100, "all but the null's pairs: %d of %d" %
          (len(ids), len(received)))
    say("%d calls of %d features" % (len(ids), len(rows)))
    it_reads_well(cluster, sweep, feature, calls)
    after_a_restart_and_a_loss(cluster, sweep, feature, calls)


def it_reads_well(cluster, sweep, feature, calls):
    plain = cluster.ctl("trace", sweep, feature)
    check("CALLS FOR" in plain and "judge: validate, detection" in plain, plain)
    raw = cluster.ctl("trace", sweep, feature, "--raw")
    check(raw.count("\n=== ") == len(calls) and raw.count("--- reply\n") == len(calls), "all")
    one = calls[1]["call"]
    shown = cluster.ctl("trace", sweep, feature, "--call", one[:12])
    check(one[:16] in shown and shown.count("=== ") == 1, shown)
    for wrong, wanted in (("ffffffffffff", "no call of this feature"), ("xyz!", "hex digits")):
        code = 3 if wrong[0] == "f" else 2
        check(wanted in cluster.ctl_both("trace", sweep, feature, "--call", wrong, code=code)[1],
              wanted)


def after_a_restart_and_a_loss(cluster, sweep, feature, calls):
    cluster.kill("coordinator")
    cluster.start_coordinator()
    check(all_of(cluster, sweep, feature) == calls, "a restarted coordinator says the same")
    cluster.redis.run("DEL", "interp:call:" + calls[0]["call"])
    again = all_of(cluster, sweep, feature)
    check(again[0]["state"] == "forgotten" and again[0]["reply"] is None, again[0]["state"])
    check(again[0]["body"] == calls[0]["body"] and again[1:] == calls[1:], "the prompt stays")
    check("forgotten: the store does not keep this reply" in
          cluster.ctl("trace", sweep, feature, "--raw"), "said")


def a_running_sweep_has_them_too_and_a_lexical_one_none(cluster):
    start(cluster, "p=0", latency=0.05)
    sweep = cluster.submit(sweep_text("runs"))
    wait_until(lambda: any(cluster.json("trace", sweep, row["feature"]).get("calls")
                           for row in cluster.json("results", sweep)["rows"]), "calls", 60, 0.5)
    check(cluster.status(sweep)["state"] == "running", "it still runs")
    cluster.ctl("cancel", sweep)
    text = sweep_text("plain", "single_pass").replace("stand-in-judge", "lexical")
    sweep, rows = finish_lexical(cluster, text.replace("stand-in", "lexical"))
    refused = cluster.ctl_both("trace", sweep, rows[0]["feature"], "--raw", code=3)[1]
    check("without a language model" in refused, refused)


def finish_lexical(cluster, text):
    sweep = cluster.submit(text)
    cluster.wait(sweep, seconds=60)
    return sweep, cluster.json("results", sweep)["rows"]


if __name__ == "__main__":
    run([the_words_are_those_of_the_wire, a_running_sweep_has_them_too_and_a_lexical_one_none])
