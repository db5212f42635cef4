#!/usr/bin/env python3
"""Labels out and in again: `interpctl export` in the formats of other tools, read here by their
definitions (and by delphi's own loader where scripts/delphi-env has installed it), then scored
anew from each format: the same labels, the same scores."""
# timeout: 180
import gzip
import json
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import ROOT, check, run, say
from sweep_agentic import finish, start, sweep_text

HOOK = "blocks.0.hook_resid_pre"


def by_definition(cluster, sweep, wanted):
    for name in ("jsonl", "delphi", "neuronpedia"):
        out, err = cluster.ctl_both("export", sweep, "--format", name, "--dir", cluster.home / name,
                                    "-o", "json")
        check("%d labels in" % len(wanted) in err, err)
        check(json.loads(out) == {"apiVersion": "interp/v1", "kind": "Export", "sweep": sweep,
                                  "format": name, "dir": str(cluster.home / name),
                                  "n_labels": len(wanted)}, out)
    lines = (cluster.home / "jsonl/labels.jsonl").read_text().splitlines()
    check({one["feature"]: one["label"] for one in map(json.loads, lines)} == wanted, "jsonl")
    files = {path.name: json.loads(path.read_text()) for path in (cluster.home / "delphi").iterdir()}
    check(files == {"%s_latent%d.txt" % (HOOK, feature): label
                    for feature, label in wanted.items()}, "delphi")
    source = cluster.home / "neuronpedia/model/0-planted"
    with gzip.open(source / "explanations/batch-0.jsonl.gz", "rt") as rows:
        rows = [json.loads(row) for row in rows]
    check({int(row["index"]): row["description"] for row in rows} == wanted, "neuronpedia")
    check({"id", "modelId", "layer", "index", "description", "authorId", "typeName",
           "explanationModelName", "createdAt"} == set(rows[0]), sorted(rows[0]))
    check(rows[0]["layer"] == "0-planted" and isinstance(rows[0]["index"], str), rows[0])
    with gzip.open(source / "features/batch-0.jsonl.gz", "rt") as rows:
        features = [json.loads(row) for row in rows]
    check(all(row["hookName"] == HOOK and row["maxActApprox"] >= 0 for row in features), "features")


def by_delphis_loader(cluster, wanted):
    """explanation_loader(record, directory) of eai-delphi, over the exported files."""
    python = ROOT / ".oracles/bin/python"
    if not (ROOT / ".delphi/delphi").exists() or not python.exists():
        say("delphi's own loader not asked: scripts/delphi-env installs it")
        return
    code = ("import asyncio, json, sys, types\n"
            "sys.path.insert(0, 'scripts')\n"
            "from bench_peer_delphi import Latent\n"
            "from delphi.explainers.explainer import explanation_loader as load\n"
            "get = lambda n: asyncio.run(load(types.SimpleNamespace(latent=Latent(sys.argv[2], n)),"
            " sys.argv[1])).explanation\n"
            "print(json.dumps({n: get(n) for n in map(int, sys.argv[3:])}))")
    out = subprocess.run([python, "-c", code, cluster.home / "delphi", HOOK,
                          *map(str, wanted)], capture_output=True, check=True, text=True,
                         cwd=ROOT,
                         env={**os.environ, "PYTHONPATH": str(ROOT / ".delphi"),
                              "HF_HUB_OFFLINE": "1"}).stdout
    check({int(k): v for k, v in json.loads(out.splitlines()[-1]).items()} == wanted, "delphi")
    say("delphi's own loader reads all of them")


def labels_go_out_and_come_in_again(cluster):
    start(cluster, "", workers=2)
    sweep, rows = finish(cluster, sweep_text("mine", "single_pass"))
    wanted = {row["feature"]: row["label"] for row in rows if row["label"]}
    check(len(wanted) > 15, "%d labels" % len(wanted))
    by_definition(cluster, sweep, wanted)
    by_delphis_loader(cluster, wanted)
    for name in ("jsonl/labels.jsonl", "delphi", "neuronpedia/model/0-planted/explanations"):
        text = sweep_text(name[:5], "score_only", more="labels: %s" % (cluster.home / name))
        again, scored = finish(cluster, text)
        got = cluster.json("compare", sweep, again)["all"]
        check(got["labels_changed"] == 0, "%s: %d labels changed" % (name, got["labels_changed"]))
        check(got["supported_lost"] == got["supported_gained"] == 0, got)
        check(got["differences"]["detection.random"]["mean"] == 0, "the same scores")
        check(all(row["explainer"] == "given" for row in scored), "nobody explained")
    refused = cluster.ctl_both("export", sweep, "--format", "csv", "--dir", "x", code=2)[1]
    check("one of jsonl|delphi|neuronpedia" in refused, refused)
    cluster.ctl_both("export", sweep, "--format", "jsonl", code=2)
    refused = cluster.ctl_both("export", sweep, "--format", "jsonl", "--dir", "x", "-o", "csv", code=2)[1]
    check("csv" in refused and "table" in refused and "json" in refused, refused)
    check(cluster.ctl("export", sweep, "--format", "jsonl", "--dir", cluster.home / "plain") == "",
          "without -o json nothing but the files")


if __name__ == "__main__":
    run([labels_go_out_and_come_in_again])
