#!/usr/bin/env python3
"""How far f32 is from float64 on the known models, whatever the order of its sums: the tolerance that
tests/unit/test_known_graphs.c may ask for.

The forward pass of known_forward.py again, with products summed in f32 in an order drawn anew each
time and every value that one operation hands to the next rounded to f32. Prints the largest difference of
a prompt's clean metric from the golden one, over the draws, as a share of the largest metric.

Run: BUILD=build/release .oracles/bin/python tests/golden/circuits/f32_noise.py [--draws 40]
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from known_forward import Gpt2, open_model, run

HERE = Path(__file__).resolve().parent
MODELS = ("induction-32-1", "induction-16-3", "or-gate-24-2", "and-gate-24-2", "backup-24-2",
          "negative-24-2")


def f32(x):
    return x.astype(np.float32).astype(np.float64)


class F32Gpt2(Gpt2):
    """known_forward's, rounded."""

    def __init__(self, model, draw):
        self.__dict__.update(model.__dict__)
        self.draw = draw

    def dot(self, x, w):
        order = self.draw.permutation(x.shape[-1])
        return (x[..., order].astype(np.float32) @ w[order].astype(np.float32)).astype(np.float64)

    def norm(self, x, name):
        return f32(super().norm(f32(x), name))

    def project(self, x, i, head, part):
        at = "qkv".index(part) * self.d_model + head * self.d_head
        columns = slice(at, at + self.d_head)
        return f32(self.dot(x, self.layer(i, "attn.c_attn.weight")[:, columns])
                   + self.layer(i, "attn.c_attn.bias")[columns])

    def mlp(self, x, i):
        pre = f32(self.dot(x, self.layer(i, "mlp.c_fc.weight")) + self.layer(i, "mlp.c_fc.bias"))
        post = f32(0.5 * pre * (1 + np.tanh(np.sqrt(2 / np.pi) * (pre + 0.044715 * pre ** 3))))
        return f32(self.dot(post, self.layer(i, "mlp.c_proj.weight"))
                   + self.layer(i, "mlp.c_proj.bias"))

    def unembed(self, x):
        return self.dot(self.norm(x, "ln_f"), self.t["transformer.wte.weight"].T)


def shares(worker, name, n_draws):
    """Of each draw: the largest difference, as a share of the largest metric."""
    golden = json.loads((HERE / f"{name}.json").read_text())
    want = np.array(golden["clean_metric"])
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "model"
        subprocess.run([worker, "known-model", *golden["arguments"], "-o", place], check=True)
        model = open_model(place)
        pairs = [json.loads(line) for line in (place / "prompts.jsonl").read_text().splitlines()]
    pairs = [p for p in pairs if p["set"] == "held_out"][:golden["n_evaluated"]]
    clean, answer, distractor = (np.array([p[key] for p in pairs])
                                 for key in ("clean", "answer", "distractor"))
    rows, out = np.arange(len(pairs)), []
    for seed in range(n_draws):
        logits = run(F32Gpt2(model, np.random.default_rng(seed)), clean)[0][:, -1]
        metric = logits[rows, answer] - logits[rows, distractor]
        out.append(np.abs(metric - want).max() / np.abs(want).max())
    return np.array(out)


def main():
    n_draws = int(sys.argv[2]) if sys.argv[1:2] == ["--draws"] else 40
    worker = str(Path(os.environ.get("BUILD", "build/release")) / "interp-worker")
    for name in MODELS:
        out = shares(worker, name, n_draws)
        print(f"{name:16} {n_draws} draws: median {np.median(out):.1e}, largest {out.max():.1e}")


if __name__ == "__main__":
    main()
