#!/usr/bin/env python3
"""How far attribution orders nodes as exact ablation does, on the known models.

Every head and MLP of the models of ../circuits: its resampled effect there (`node` records, value
`resample`, numpy in float64) beside its attribution on the same prompts. Prints a line a model:
Pearson's r and Spearman's rho of the two, how many of the k nodes whose effect is above
0.1 logits are among attribution's first k, and the worst miss. worker/README.md quotes it.

Run: BUILD=build/release .oracles/bin/python tests/golden/attributions/compare_exact.py [PART OF A NAME]
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from scipy.stats import pearsonr, spearmanr

from make_attributions import HERE, Model, score

CIRCUITS = HERE.parent / "circuits"


def read_pairs(folder, n):
    pairs = [json.loads(line) for line in open(folder / "prompts.jsonl")]
    return [{"clean": p["clean"], "corrupted": p["corrupted"], "answer_at": p["position"],
             "answers": [p["answer"]], "distractors": [p["distractor"]]}
            for p in pairs if p["set"] != "search"][:n]


def names_of(model):
    names = ["embed"]
    for i in range(model.n_layers):
        names += [f"L{i}H{h}" for h in range(model.n_heads)]
        names += [f"L{i}{kind}{g}" for kind in "KV" for g in range(model.n_kv)]
        names.append(f"L{i}MLP")
    return names


def compare(path):
    study = json.loads(path.read_text())
    worker = Path(os.environ.get("BUILD", "build/release")).resolve() / "interp-worker"
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "model"
        subprocess.run([worker, "known-model", study["arguments"][0], "-o", folder,
                        *study["arguments"][1:]], check=True, stdout=subprocess.DEVNULL)
        prompts = read_pairs(folder, study["n_evaluated"])
        model = Model(folder)
    clean = np.mean(study["clean_metric"])
    exact = {r["ablated"][0]: r["metric_mean"] - clean for r in study["records"]
             if r["what"] == "node" and r["value"] == "resample"}
    names = names_of(model)
    for method in ("eap", "eap_ig"):
        scores = sum(score(model, p, method, "logit_difference")[0] for p in prompts) / len(prompts)
        guess = dict(zip(names, scores.tolist()))
        a, b = (np.array([x[n] for n in exact]) for x in (exact, guess))
        k = max(1, int((np.abs(a) > 0.1).sum()))
        top = [set(np.argsort(-np.abs(x), kind="stable")[:k]) for x in (a, b)]
        worst = int(np.abs(a - b).argmax())
        print(f"{path.stem:32s} {method:7s} r {pearsonr(a, b)[0]:6.3f} rho {spearmanr(a, b)[0]:6.3f} "
              f"top {len(top[0] & top[1])}/{k} worst {list(exact)[worst]} exact {a[worst]:.3f} "
              f"attributed {b[worst]:.3f}", flush=True)


torch.set_num_threads(1)
for file in sorted(CIRCUITS.glob("*.json")):
    if "interleaved" in file.stem:  # transformers reads it by the other rule
        continue
    if not sys.argv[1:] or any(part in file.stem for part in sys.argv[1:]):
        compare(file)
