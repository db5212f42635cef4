#!/usr/bin/env python3
"""Writes tests/golden/planted: a dictionary whose features are known, for tests of agents.

Feature k fires on the tokens of a set of one to three words and on no other, by construction, at
blocks.0.hook_resid_pre of the demo model: its direction separates the members' embeddings from
those of all other tokens at all positions with a margin (regularised discriminant, then a
perceptron with margin on the worst violators). Sets that cannot be separated are passed over.

    .oracles/bin/python tests/golden/make_planted.py      (numpy, safetensors)
"""
import collections
import gzip
import json
import pathlib
import re

import numpy
from safetensors.numpy import load_file, save_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / "tests/golden/planted"
MODEL = ROOT / "config/demo/model"
N_FEATURES = 24


def common_words():
    """Words that are one token behind a space, the most frequent of the demo corpus first."""
    vocab = json.loads((MODEL / "tokenizer.json").read_text())["model"]["vocab"]
    seen = collections.Counter()
    with gzip.open(ROOT / "config/demo/corpus/demo.jsonl.gz", "rt") as lines:
        for line in lines:
            seen.update(set(re.findall(r"(?<= )[a-z]{4,}\b", json.loads(line)["text"])))
    return [(vocab["\u0120" + word], word) for word, _ in seen.most_common(600)
            if "\u0120" + word in vocab]


def separate(tokens, positions, members, n_steps=4000):
    """direction, bias, margin: members lie above the margin, all others below it."""
    others = numpy.ones(len(tokens), bool)
    others[members] = False
    spread = numpy.cov(tokens.T) + numpy.cov(positions.T) + 1e-3 * numpy.eye(tokens.shape[1])
    way = numpy.linalg.solve(spread, tokens[members].mean(0) - tokens.mean(0))
    way /= numpy.linalg.norm(way)
    best = None
    for step in range(n_steps):
        shift = positions @ way
        scores = tokens @ way
        low_member = members[int(numpy.argmin(scores[members]))]
        high_other = int(numpy.argmax(numpy.where(others, scores, -numpy.inf)))
        low = scores[low_member] + shift.min()
        high = scores[high_other] + shift.max()
        if best is None or low - high > best[2]:
            best = (way.copy(), -(low + high) / 2, low - high)
        worst = (tokens[low_member] + positions[int(numpy.argmin(shift))] -
                 tokens[high_other] - positions[int(numpy.argmax(shift))])
        way = way + 0.2 / (1 + step / 50) * worst / numpy.linalg.norm(worst)
        way /= numpy.linalg.norm(way)
    return best


def main():
    weights = load_file(MODEL / "model.safetensors")
    def named(end):
        return next(v for k, v in weights.items() if k.endswith(end)).astype("float64")
    tokens, positions = named("wte.weight"), named("wpe.weight")
    words = common_words()[40:]
    rng = numpy.random.default_rng(7)
    rng.shuffle(words)
    ways, biases, sets = [], [], []
    while len(sets) < N_FEATURES:
        chosen = [words.pop() for _ in range(1 + len(sets) % 3)]
        way, bias, margin = separate(tokens, positions, [int(token) for token, _ in chosen])
        print([str(word) for _, word in chosen], "margin %.3f" % margin)
        if margin > 0.02:
            ways.append(way / margin)
            biases.append(bias / margin)
            sets.append([str(word) for _, word in chosen])
    encoder = numpy.array(ways, "float32").T.copy()
    n, d = len(sets), encoder.shape[0]
    decoder = (encoder / numpy.linalg.norm(encoder, axis=0)).T.copy()
    OUT.mkdir(exist_ok=True)
    save_file({"W_enc": encoder, "W_dec": decoder, "b_enc": numpy.array(biases, "float32"),
               "b_dec": numpy.zeros(d, "float32")}, OUT / "sae_weights.safetensors")
    (OUT / "cfg.json").write_text(json.dumps({
        "d_in": d, "d_sae": n, "dtype": "float32", "device": "cpu",
        "apply_b_dec_to_input": True, "normalize_activations": "none",
        "reshape_activations": "none", "architecture": "standard",
        "metadata": {"sae_lens_version": "6.54.12", "model_name": "interp-demo-gpt2-4l-128",
                     "hook_name": "blocks.0.hook_resid_pre", "hook_head_index": None,
                     "prepend_bos": True, "exclude_special_tokens": False, "context_size": 128}},
        indent=1) + "\n")
    (OUT / "words.json").write_text(json.dumps(sets) + "\n")


if __name__ == "__main__":
    main()
