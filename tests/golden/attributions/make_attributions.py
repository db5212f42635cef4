#!/usr/bin/env python3
"""Attribution patching by its definition, in torch, float64: what the worker's scores must equal.

    score[node]     = sum over prompts and positions of (corrupted - clean value) . dL/d value
    score[src, dst] = sum over prompts, positions of (corrupted - clean output of src) . dL/d input

A zero that requires a gradient is added wherever a slope is asked for: to the stream as every single
query, key, value and MLP reads it, to every z, key, value, MLP output; autograd does the rest. Both
families are written out here and checked against the logits of transformers first (known models:
written by `interp-worker known-model`, which has tests of its own).

One JSON file a model: `prompts` and `n_ctx` as the spec of an attribute task has them, and `cases`
with nodes and edges in the order of common/attribute.h.

Run: BUILD=build/release .oracles/bin/python tests/golden/attributions/make_attributions.py [NAME...]
"""

import json
import os
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

HERE = Path(__file__).resolve().parent
MODELS = HERE.parent / "models"
STEPS = 5
GOLDEN = ("gpt2-tied", "gpt2-untied-gelu", "llama-gqa-tied", "llama-head-dim", "llama-biases",
          "llama-rope-llama3")
KNOWN = {"known-induction": ("induction", None), "known-llama-half": ("llama-induction", "half")}
CASES = (("eap", "logit_difference"), ("eap", "probability_difference"), ("eap", "probability"),
         ("eap_ig", "logit_difference"), ("eap_ig", "kl"))


class Model:
    def __init__(self, folder):
        hf = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        c = self.config = hf.config
        self.hf, self.t = hf, {k: v.double() for k, v in hf.state_dict().items()}
        self.is_gpt2 = c.model_type == "gpt2"
        self.n_layers, self.n_heads = c.num_hidden_layers, c.num_attention_heads
        self.n_kv = self.n_heads if self.is_gpt2 else c.num_key_value_heads
        self.d_head = getattr(c, "head_dim", None) or c.hidden_size // self.n_heads
        self.scale = self.d_head ** -0.5 if getattr(c, "scale_attn_weights", True) else 1.0

    def embed(self, tokens):
        if not self.is_gpt2:
            return self.t["model.embed_tokens.weight"][tokens]
        return self.t["transformer.wte.weight"][tokens] + \
            self.t["transformer.wpe.weight"][:len(tokens)]

    def norm(self, x, name):
        if self.is_gpt2:
            return torch.nn.functional.layer_norm(
                x, x.shape[-1:], self.t[f"transformer.{name}.weight"],
                self.t[f"transformer.{name}.bias"], self.config.layer_norm_epsilon)
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.config.rms_norm_eps) * \
            self.t[f"model.{name}.weight"]

    def qkv(self, i):
        """Weights [d_model, n, d_head] and biases [n, d_head] of q, k and v."""
        out = []
        if self.is_gpt2:
            w = self.t[f"transformer.h.{i}.attn.c_attn.weight"].chunk(3, 1)
            b = self.t[f"transformer.h.{i}.attn.c_attn.bias"].chunk(3)
            return [(x.reshape(len(x), -1, self.d_head), y.reshape(-1, self.d_head))
                    for x, y in zip(w, b)]
        for name in "qkv":
            w = self.t[f"model.layers.{i}.self_attn.{name}_proj.weight"].T
            b = self.t.get(f"model.layers.{i}.self_attn.{name}_proj.bias", torch.zeros(w.shape[1]))
            out.append((w.reshape(len(w), -1, self.d_head), b.double().reshape(-1, self.d_head)))
        return out

    def rotate(self, x):
        """x [n, tokens, d_head]"""
        if self.is_gpt2:
            return x
        places = torch.arange(x.shape[1])[None]
        cos, sin = (y[0].double() for y in self.hf.model.rotary_emb(torch.zeros(1), places))
        low, high = x.chunk(2, -1)
        return x * cos + torch.cat([-high, low], -1) * sin

    def w_o(self, i):
        if self.is_gpt2:
            w, b = (self.t[f"transformer.h.{i}.attn.c_proj.{x}"] for x in ("weight", "bias"))
        else:
            w = self.t[f"model.layers.{i}.self_attn.o_proj.weight"].T
            b = self.t.get(f"model.layers.{i}.self_attn.o_proj.bias", torch.zeros(w.shape[1])).double()
        return w.reshape(self.n_heads, self.d_head, -1), b

    def mlp(self, i, x):
        if self.is_gpt2:
            name = f"transformer.h.{i}.mlp."
            x = x @ self.t[name + "c_fc.weight"] + self.t[name + "c_fc.bias"]
            kind = "tanh" if self.config.activation_function == "gelu_new" else "none"
            x = torch.nn.functional.gelu(x, approximate=kind)
            return x @ self.t[name + "c_proj.weight"] + self.t[name + "c_proj.bias"]
        name = f"model.layers.{i}.mlp."

        def linear(part, y):
            b = self.t.get(f"{name}{part}_proj.bias", torch.zeros(1)).double()
            return y @ self.t[f"{name}{part}_proj.weight"].T + b
        return linear("down", torch.nn.functional.silu(linear("gate", x)) * linear("up", x))

    def forward(self, stream, taps):
        """Logits [tokens, vocabulary]. taps collects (value, zero) under names; kv before rotation."""
        def tap(name, value):
            zero = torch.zeros_like(value, requires_grad=True)
            taps[name] = (value.detach(), zero)
            return value + zero

        n_tokens = len(stream)
        mask = torch.full((n_tokens, n_tokens), -torch.inf).triu(1)
        stream = tap("embed", stream)
        norms = ("h.{}.ln_1", "h.{}.ln_2") if self.is_gpt2 else \
            ("layers.{}.input_layernorm", "layers.{}.post_attention_layernorm")
        for i in range(self.n_layers):
            parts = []
            for kind, (w, b) in zip("qkv", self.qkv(i)):
                heads = [self.norm(tap(f"in.{i}.{kind}.{h}", stream), norms[0].format(i)) @ w[:, h]
                         + b[h] for h in range(w.shape[1])]
                parts.append(tap(f"{kind}.{i}", torch.stack(heads)))
            q, k, v = self.rotate(parts[0]), self.rotate(parts[1]), parts[2]
            group = self.n_heads // self.n_kv
            k, v = k.repeat_interleave(group, 0), v.repeat_interleave(group, 0)
            z = tap(f"z.{i}", (q @ k.mT * self.scale + mask).softmax(-1) @ v)
            w, b = self.w_o(i)
            stream = stream + torch.einsum("htd,hdm->tm", z, w) + b
            read = tap(f"in.{i}.mlp", stream)
            stream = stream + tap(f"mlp.{i}", self.mlp(i, self.norm(read, norms[1].format(i))))
        stream = tap("in.logits", stream)
        return self.norm(stream, "ln_f" if self.is_gpt2 else "norm") @ self.t["lm_head.weight"].T

    def senders(self, taps):
        """[n_senders, tokens, d_model]"""
        out = [taps["embed"][0]]
        for i in range(self.n_layers):
            out += list(torch.einsum("htd,hdm->htm", taps[f"z.{i}"][0], self.w_o(i)[0]))
            out.append(taps[f"mlp.{i}"][0])
        return torch.stack(out)


def metric_of(name, logits, clean, prompt):
    answers, distractors = prompt["answers"], prompt["distractors"]
    p = logits.softmax(-1)
    if name == "logit_difference":
        return logits[answers].mean() - logits[distractors].mean()
    if name == "probability":
        return p[answers].sum()
    if name == "probability_difference":
        return p[answers].sum() - p[distractors].sum()
    log_p = clean.log_softmax(-1)
    return (log_p.exp() * (log_p - logits.log_softmax(-1))).sum()


def score(model, prompt, method, metric):
    """Nodes and edges of one prompt."""
    clean, corrupted = {}, {}
    at = prompt["answer_at"]
    begin, end = (model.embed(torch.tensor(prompt[x])) for x in ("corrupted", "clean"))
    clean_logits = model.forward(end, clean)[at].detach()
    model.forward(begin, corrupted)
    difference = {k: corrupted[k][0] - clean[k][0] for k in clean}
    sent = model.senders(corrupted) - model.senders(clean)
    shares = [k / STEPS for k in range(STEPS)] if method == "eap_ig" else [1.0]
    nodes, edges = 0, 0
    for share in shares:
        taps = {}
        logits = model.forward(begin + share * (end - begin), taps)[at]
        metric_of(metric, logits, clean_logits, prompt).backward()
        slope = {k: zero.grad for k, (_, zero) in taps.items()}
        some, others = [(difference["embed"] * slope["embed"]).sum()], []
        for i in range(model.n_layers):
            n_before = 1 + i * (model.n_heads + 1)
            for kind in "zkv":
                some += list((difference[f"{kind}.{i}"] * slope[f"{kind}.{i}"]).sum((1, 2)))
            some.append((difference[f"mlp.{i}"] * slope[f"mlp.{i}"]).sum())
            for kind, n in (("q", model.n_heads), ("k", model.n_kv), ("v", model.n_kv)):
                for h in range(n):
                    others.append((sent[:n_before] * slope[f"in.{i}.{kind}.{h}"]).sum((1, 2)))
            others.append((sent[:n_before + model.n_heads] * slope[f"in.{i}.mlp"]).sum((1, 2)))
        others.append((sent * slope["in.logits"]).sum((1, 2)))
        nodes = nodes + torch.stack(some) / len(shares)
        edges = edges + torch.cat(others) / len(shares)
    return nodes, edges


def random_prompts(model, name):
    draw = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    n_vocab = model.config.vocab_size

    def ids(n):
        return torch.randint(n_vocab, (n,), generator=draw).tolist()
    prompts = []
    for i, n in enumerate((11, 7, 11, 4, 9)):
        clean = ids(n)
        corrupted = list(clean)
        corrupted[1] = (corrupted[1] + 7) % n_vocab
        corrupted[n // 2] = (corrupted[n // 2] + 11) % n_vocab
        prompts.append({"clean": clean, "corrupted": corrupted, "answer_at": n - 1 - (i == 2),
                        "answers": ids(1 + i % 2), "distractors": ids(2)})
    return prompts


def known_prompts(folder):
    pairs = [json.loads(line) for line in open(Path(folder) / "prompts.jsonl")]
    return [{"clean": p["clean"], "corrupted": p["corrupted"], "answer_at": p["position"],
             "answers": [p["answer"]], "distractors": [p["distractor"]]}
            for p in pairs if p["set"] != "search"][:6]


def check_logits(model, prompt):
    got = model.forward(model.embed(torch.tensor(prompt["clean"])), {})
    want = model.hf(torch.tensor([prompt["clean"]])).logits[0]
    worst = float((got - want).abs().max() / want.abs().max())
    assert worst < 1e-5, worst


def make(name, folder, prompts=None):
    model = Model(folder)
    prompts = prompts or random_prompts(model, name)
    check_logits(model, prompts[0])
    cases = []
    for method, metric in CASES:
        scores = [score(model, p, method, metric) for p in prompts]
        nodes, edges = (sum(x).tolist() for x in zip(*scores))
        cases.append({"method": method, "metric": metric, "steps": STEPS,
                      "nodes": [float(f"{x:.9g}") for x in nodes],
                      "edges": [float(f"{x:.9g}") for x in edges]})
    out = {"n_ctx": max(len(p["clean"]) for p in prompts), "prompts": prompts, "cases": cases}
    (HERE / f"{name}.json").write_text(json.dumps(out, separators=(",", ":")) + "\n")
    print(name, len(cases[0]["nodes"]), "nodes", len(cases[0]["edges"]), "edges")


def main():
    torch.set_num_threads(1)
    wanted = sys.argv[1:] or [*GOLDEN, *KNOWN]
    for name in wanted:
        if name in GOLDEN:
            make(name, MODELS / name)
            continue
        kind, rope = KNOWN[name]
        worker = Path(os.environ.get("BUILD", "build/release")) / "interp-worker"
        with tempfile.TemporaryDirectory() as root:
            command = [worker, "known-model", kind, "-o", f"{root}/model", "--seed", "1", "--size",
                       "16", "--prompts", "16"]
            subprocess.run(command + (["--rope", rope] if rope else []), check=True,
                           stdout=subprocess.DEVNULL)
            make(name, f"{root}/model", known_prompts(f"{root}/model"))


if __name__ == "__main__":
    main()
