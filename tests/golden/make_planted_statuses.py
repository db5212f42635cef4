#!/usr/bin/env python3
"""Writes tests/golden/planted_statuses: a dictionary with one feature for every status that needs no
language model, by construction, at blocks.0.hook_resid_pre of the demo model.

  0  dead          its bias keeps it silent
  1  dense         its bias makes it fire on every token
  2  position      one position's embedding, apart from those of all others under any token
  3  token         one frequent token, apart from all others at any position
  4  insufficient  a word of few documents
  5  open          three unlike words

    .oracles/bin/python tests/golden/make_planted_statuses.py      (numpy, safetensors)
"""
import json
import sys

import numpy
from safetensors.numpy import load_file, save_file

sys.path.insert(0, __file__.rsplit("/", 1)[0])
from make_planted import MODEL, ROOT, separate

OUT = ROOT / "tests/golden/planted_statuses"
POSITION = 5
FREQUENT, RARE = "might", "happiness"
OPEN = ("understand", "forward", "hour")


def main():
    weights = load_file(MODEL / "model.safetensors")
    vocab = json.loads((MODEL / "tokenizer.json").read_text())["model"]["vocab"]
    tokens = next(v for k, v in weights.items() if k.endswith("wte.weight")).astype("float64")
    positions = next(v for k, v in weights.items() if k.endswith("wpe.weight")).astype("float64")
    id_of = lambda word: vocab["\u0120" + word]
    found = [(numpy.zeros(tokens.shape[1]), -1.0), (numpy.zeros(tokens.shape[1]), 1.0)]
    for rows, others, members in ((positions, tokens, [POSITION]),
                                  (tokens, positions, [id_of(FREQUENT)]),
                                  (tokens, positions, [id_of(RARE)]),
                                  (tokens, positions, [id_of(word) for word in OPEN])):
        way, bias, margin = separate(rows, others, members)
        print(members, "margin %.3f" % margin)
        assert margin > 0.02
        found.append((way / margin, bias / margin))
    encoder = numpy.array([way for way, _ in found], "float32").T.copy()
    norms = numpy.maximum(numpy.linalg.norm(encoder, axis=0), 1e-6)
    OUT.mkdir(exist_ok=True)
    save_file({"W_enc": encoder, "W_dec": (encoder / norms).T.copy(),
               "b_enc": numpy.array([bias for _, bias in found], "float32"),
               "b_dec": numpy.zeros(len(encoder), "float32")}, OUT / "sae_weights.safetensors")
    config = json.loads((ROOT / "tests/golden/planted/cfg.json").read_text())
    config["d_sae"] = len(found)
    (OUT / "cfg.json").write_text(json.dumps(config, indent=1) + "\n")


if __name__ == "__main__":
    main()
