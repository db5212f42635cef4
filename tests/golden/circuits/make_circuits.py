#!/usr/bin/env python3
"""What ablations of known models give, by an independent forward pass (known_forward.py).

Each model is written by `interp-worker known-model`, read back from its files, and ablated: every
head and MLP alone, the true circuit, its complement, everything, pairs of circuit heads, every
edge into a circuit head's q, k, v and into the logits, and graphs of edges. One JSON file a model goes beside this
script; tests/golden/README.md says what is in it.

Run: BUILD=build/release .oracles/bin/python tests/golden/circuits/make_circuits.py [PART OF A NAME]
With --transformers also checks logits and token ids against transformers and tokenizers.
"""

import hashlib
import itertools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from known_forward import components, open_model, run

HERE = Path(__file__).resolve().parent
N_REFERENCE, N_EVALUATED = 64, 12
VALUES = ("zero", "mean_position", "mean_overall", "mean_template", "resample")
EDGE_VALUES = ("zero", "mean_position", "resample")
N_RANDOM_GRAPHS = 3
MODELS = [  # kind, seed, size, rope
    ("induction", 1, 32, None), ("induction", 2, 32, None), ("induction", 3, 16, None),
    ("induction", 4, 64, None),
    ("negative", 1, 32, None), ("negative", 2, 24, None),
    ("or-gate", 1, 32, None), ("or-gate", 2, 24, None),
    ("graded-gate", 1, 32, None), ("graded-gate", 2, 24, None),
    ("and-gate", 1, 32, None), ("and-gate", 2, 24, None),
    ("backup", 1, 32, None), ("backup", 2, 24, None),
    ("llama-induction", 1, 16, "half"), ("llama-induction", 2, 32, "half"),
    ("llama-induction", 1, 16, "interleaved"),
]


def name_of(part):
    if isinstance(part, str):
        return part
    return f"L{part[1]}H{part[2]}" if part[0] == "head" else f"L{part[1]}MLP"


def layer_of(part):
    return -1 if isinstance(part, str) else part[1]


def rounded(values):
    return np.round(np.asarray(values, np.float64), 6).tolist()


class Study:
    """One model, its evaluated prompts, and what replaces what is ablated."""

    def __init__(self, folder, rope):
        self.model = open_model(folder, rope)
        self.truth = json.loads((folder / "circuit.json").read_text())
        pairs = [json.loads(line) for line in (folder / "prompts.jsonl").read_text().splitlines()]
        reference = [p for p in pairs if p["set"] == "search"]
        self.templates = np.array([p["template"] for p in reference])
        self.pairs = [p for p in pairs if p["set"] == "held_out"][:N_EVALUATED]
        self.clean = np.array([p["clean"] for p in self.pairs])
        self.corrupted = np.array([p["corrupted"] for p in self.pairs])
        self.answers = np.array([p["answer"] for p in self.pairs])
        self.distractors = np.array([p["distractor"] for p in self.pairs])
        self.logits, self.wrote, self.patterns = run(self.model, self.clean)
        self.corrupted_logits, self.corrupted_wrote, _ = run(self.model, self.corrupted)
        _, self.reference_wrote, _ = run(self.model, np.array([p["clean"] for p in reference]))
        self.parts = components(self.model)
        self.circuit = [p for p in self.parts if name_of(p) in self.truth["circuit"]]

    def value(self, part, kind):
        """What `part` writes under an ablation, [n, T, d_model]."""
        clean, reference = self.wrote[part], self.reference_wrote[part]
        if kind == "zero":
            return np.zeros_like(clean)
        if kind == "resample":
            return self.corrupted_wrote[part]
        if kind == "mean_template":
            return np.stack([reference[self.templates == p["template"]].mean(0)
                             for p in self.pairs])
        mean = reference.mean(0) if kind == "mean_position" else reference.mean((0, 1))
        return np.broadcast_to(mean, clean.shape)

    def metric(self, logits):
        rows = np.arange(len(self.pairs))
        return logits[rows, -1, self.answers] - logits[rows, -1, self.distractors]

    def accuracy(self, logits):
        return float((logits[:, -1].argmax(-1) == self.answers).mean())

    def divergence(self, logits):
        """KL(model, ablated), summed over the vocabulary, at the answer position, per prompt."""
        def log_p(x):
            x = x[:, -1] - x[:, -1].max(-1, keepdims=True)
            return x - np.log(np.exp(x).sum(-1, keepdims=True))
        p = log_p(self.logits)
        return (np.exp(p) * (p - log_p(logits))).sum(-1)

    def record(self, head, logits):
        metric = self.metric(logits)
        return {**head, "metric_mean": round(float(metric.mean()), 6),
                "kl_mean": round(float(self.divergence(logits).mean()), 6),
                "metric": rounded(metric)}

    def ablate(self, what, parts, kind):
        logits, _, _ = run(self.model, self.clean, {p: self.value(p, kind) for p in parts})
        return self.record({"what": what, "ablated": [name_of(p) for p in parts], "value": kind},
                           logits)

    def patch(self, sender, receiver, channel, kind):
        delta = self.value(sender, kind) - self.wrote[sender]
        logits, _, _ = run(self.model, self.clean, edges={(receiver, channel): delta})
        head = {"what": "edge", "from": name_of(sender), "to": name_of(receiver), "value": kind}
        if channel:
            head["input"] = channel
        return self.record(head, logits)

    def node_records(self):
        rest = [p for p in self.parts if p not in self.circuit]
        groups = [("node", [p]) for p in self.parts]
        groups += [("pair", list(pair)) for pair in itertools.combinations(self.circuit, 2)]
        groups += [("circuit", rest), ("complement", self.circuit), ("empty", self.parts)]
        return [self.ablate(what, parts, kind) for what, parts in groups for kind in VALUES]

    def edge_records(self):
        sources = [*self.model.embed(self.clean)]
        records = []
        for receiver in [*self.circuit, "logits"]:
            inputs = [None] if receiver == "logits" else "qkv"
            senders = sources + [p for p in self.parts
                                 if receiver == "logits" or layer_of(p) < layer_of(receiver)]
            records += [self.patch(s, receiver, c, kind)
                        for s in senders for c in inputs for kind in EDGE_VALUES]
        return records

    def all_edges(self):
        """(sender, receiver, input) in the order of the model: layer by layer the q of every head,
        the k and v of every group, the MLP, at last the logits; senders in their order."""
        model, edges = self.model, []
        n_shared = getattr(model, "n_shared", 1)
        senders = ["embed"]
        for i in range(model.n_layers):
            receivers = [(("head", i, h), p) for p in "qkv" for h in range(model.n_heads)
                         if p == "q" or h % n_shared == 0]
            edges += [(s, r, p) for r, p in receivers for s in senders]
            senders += [("head", i, h) for h in range(model.n_heads)]
            edges += [(s, ("mlp", i), None) for s in senders]
            senders.append(("mlp", i))
        return edges + [(s, "logits", None) for s in senders]

    def true_edges(self):
        """Those of circuit.json, in which the embedding is two senders and every head has a key."""
        n_shared = getattr(self.model, "n_shared", 1)
        named = {name_of(p): p for p in self.parts}
        out = set()
        for edge in self.truth["edges"]:
            receiver, channel = named.get(edge["to"], edge["to"]), edge.get("input")
            if channel in ("k", "v"):
                receiver = (*receiver[:2], receiver[2] // n_shared * n_shared)
            sender = "embed" if "embed" in edge["from"] else named[edge["from"]]
            out.add((sender, receiver, channel))
        return out

    def sent(self, wrote, sender):
        parts = self.model.embed(self.clean) if sender == "embed" else [sender]
        return sum(wrote[p] for p in parts)

    def graph(self, name, ablated, kind):
        """All of `ablated` at once: a receiver's stream with their values in the place of what the
        senders write in this run. The embedding is never set to zero: a norm would divide by it."""
        ablated = [e for e in ablated if kind != "zero" or e[0] != "embed"]
        by_receiver = {}
        for sender, receiver, channel in ablated:
            values = sum(self.value(p, kind) for p in
                         (self.model.embed(self.clean) if sender == "embed" else [sender]))
            heads = [receiver]
            if channel in ("k", "v"):
                n_shared = getattr(self.model, "n_shared", 1)
                heads = [(*receiver[:2], receiver[2] + k) for k in range(n_shared)]
            for head in heads:
                by_receiver.setdefault((head, channel), []).append((sender, values))
        deltas = {key: lambda wrote, terms=terms: sum(v - self.sent(wrote, s) for s, v in terms)
                  for key, terms in by_receiver.items()}
        logits, _, _ = run(self.model, self.clean, edges=deltas)
        return self.record({"what": "graph", "name": name, "n_ablated": len(ablated),
                            "value": kind}, logits)

    def graph_records(self):
        every, true = self.all_edges(), self.true_edges()
        assert true <= set(every)
        circuit_keys = {e for e in true if e[2] == "k" and e[0] != "embed"}
        graphs = [("true", [e for e in every if e not in true]),
                  ("complement", [e for e in every if e in true]), ("empty", every),
                  ("true_without_keys", [e for e in every if e not in true - circuit_keys]),
                  ("keys", [e for e in every if e in circuit_keys])]
        state = 7
        for i in range(N_RANDOM_GRAPHS):
            ablated = []
            for edge in every:
                state = (state * 1664525 + 1013904223) % 2 ** 32
                if (state >> 8) % 16 <= 2 * i:
                    ablated.append(edge)
            graphs.append((f"random_{i}", ablated))
        return [self.graph(name, ablated, kind) for name, ablated in graphs
                for kind in EDGE_VALUES]

    def scores(self):
        """Attention of every head, mean over prompts: to the token before (all positions but the
        first), and from the answer position to what followed the first match, and to the match."""
        rows, out = np.arange(len(self.pairs)), []
        match = np.array([list(p["clean"]).index(p["clean"][-1]) for p in self.pairs])
        for part in (p for p in self.parts if p[0] == "head"):
            pattern = self.patterns[part]
            n = pattern.shape[-1]
            previous = pattern[:, np.arange(1, n), np.arange(n - 1)].mean()
            out.append({"component": name_of(part), "previous_token": round(float(previous), 6),
                        "induction": round(float(pattern[rows, -1, match + 1].mean()), 6),
                        "duplicate_token": round(float(pattern[rows, -1, match].mean()), 6)})
        return out


def verdicts(records):
    """Ratios of means: faithfulness (m(C) - m(empty)) / (m(M) - m(empty)), necessity likewise."""
    out = {}
    for kind in VALUES:
        m = {r["what"]: r["metric_mean"] for r in records if r["value"] == kind}
        span = m["model"] - m["empty"]
        out[kind] = {**{k: m[k] for k in ("model", "empty", "circuit", "complement")},
                     "faithfulness": round((m["circuit"] - m["empty"]) / span, 6),
                     "necessity": round((m["model"] - m["complement"]) / span, 6)}
    return out


def check_exact(study):
    """What must hold to the last bit, before anything is rounded."""
    for part in study.parts:
        if name_of(part) in study.truth["dead"]:
            for kind in VALUES:
                logits, _, _ = run(study.model, study.clean, {part: study.value(part, kind)})
                assert (logits == study.logits).all(), f"{name_of(part)} {kind} is not dead"


def check_transformers(folder, study):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64)
    with torch.no_grad():
        logits = model(torch.tensor(study.clean)).logits.numpy()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for pair in study.pairs:
        assert tokenizer(pair["clean_text"])["input_ids"] == pair["clean"], pair["clean_text"]
    print(f"    transformers: logits differ by {np.abs(logits - study.logits).max():.1e}")


def study_model(worker, folder, spec):
    kind, seed, size, rope = spec
    arguments = [kind, "--seed", str(seed), "--size", str(size), "--prompts", str(N_REFERENCE)]
    arguments += ["--rope", rope] if rope else []
    subprocess.run([worker, "known-model", *arguments, "-o", folder], check=True)
    study = Study(folder, rope)
    check_exact(study)
    records = study.node_records()
    clean = [study.record({"what": "model", "ablated": [], "value": v}, study.logits)
             for v in VALUES]
    hashes = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
              for name in ("model.safetensors", "circuit.json", "prompts.jsonl")}
    out = {"format": 1, "arguments": arguments, "sha256": hashes,
           "n_reference": N_REFERENCE, "n_evaluated": N_EVALUATED,
           "accuracy": {"clean": study.accuracy(study.logits),
                        "corrupted": study.accuracy(study.corrupted_logits)},
           "clean_metric": rounded(study.metric(study.logits)),
           "corrupted_metric": rounded(study.metric(study.corrupted_logits)),
           "clean_logits": rounded(study.logits[:, -1]),
           "corrupted_logits": rounded(study.corrupted_logits[:, -1]),
           "verdict": verdicts(clean + records), "scores": study.scores(),
           "records": records + study.edge_records() + study.graph_records()}
    if rope:
        other = "interleaved" if rope == "half" else "half"
        logits, _, _ = run(open_model(folder, other), study.clean)
        mean = round(float(study.metric(logits).mean()), 6)
        out["wrong_rope"] = {"rope": other, "metric_mean": mean,
                             "clean_logits": rounded(logits[:, -1])}
    if "--transformers" in sys.argv:
        check_transformers(folder, Study(folder, "half") if rope else study)
    return out


def save(path, out):
    """JSON with one line a record, so that a change shows where it is."""
    def compact(value):
        return json.dumps(value, separators=(",", ":"))
    lines = [f"{compact(key)}:[\n" + ",\n".join(map(compact, value)) + "\n]"
             if key in ("records", "scores", "clean_logits", "corrupted_logits")
             else f"{compact(key)}:{compact(value)}" for key, value in out.items()]
    path.write_text("{" + ",\n".join(lines) + "}\n")


def main():
    wanted = [a for a in sys.argv[1:] if not a.startswith("-")]
    worker = str(Path(os.environ.get("BUILD", "build/release")) / "interp-worker")
    for spec in MODELS:
        kind, seed, size, rope = spec
        name = f"{kind}-{size}-{seed}" + ("-interleaved" if rope == "interleaved" else "")
        if wanted and not any(part in name for part in wanted):
            continue
        with tempfile.TemporaryDirectory() as folder:
            out = study_model(worker, Path(folder) / "model", spec)
        save(HERE / f"{name}.json", out)
        v = out["verdict"]["zero"]
        print(f"{name:28} clean {v['model']:.4f} accuracy {out['accuracy']['clean']:.3f} faithful "
              f"{' '.join(str(out['verdict'][k]['faithfulness']) for k in VALUES)}", flush=True)


if __name__ == "__main__":
    main()
