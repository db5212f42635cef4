#!/usr/bin/env python3
"""Writes tests/golden/logit_lens: what TransformerLens says that a few directions do to the logits of
the models in tests/golden/models. Its own processing does the folding (fold_ln, center_unembed,
center_writing_weights), on state dicts that its own converters make of the models as transformers
reads them; products are in double.

    .oracles/bin/python tests/golden/make_logit_lens.py      (torch, transformers, transformer_lens)
"""
import json
import pathlib

import numpy
import torch
from transformer_lens import HookedTransformer, HookedTransformerConfig
from transformer_lens.pretrained.weight_conversions import (convert_gpt2_weights,
                                                            convert_llama_weights)
from transformers import AutoModelForCausalLM

HERE = pathlib.Path(__file__).resolve().parent
MODELS = {"gpt2-tied": convert_gpt2_weights, "gpt2-untied-gelu": convert_gpt2_weights,
          "llama-gqa-tied": convert_llama_weights, "llama-mha-untied": convert_llama_weights}
N_DIRECTIONS = 3


def processed(name):
    hf = AutoModelForCausalLM.from_pretrained(HERE / "models" / name, torch_dtype=torch.float32)
    c = hf.config
    is_gpt2 = name.startswith("gpt2")
    config = HookedTransformerConfig(
        n_layers=c.num_hidden_layers, d_model=c.hidden_size, n_ctx=c.max_position_embeddings,
        d_head=getattr(c, "head_dim", None) or c.hidden_size // c.num_attention_heads,
        n_heads=c.num_attention_heads,
        n_key_value_heads=None if is_gpt2 else c.num_key_value_heads,
        d_vocab=c.vocab_size, act_fn="gelu_new" if is_gpt2 else "silu",
        d_mlp=4 * c.hidden_size if is_gpt2 else c.intermediate_size,
        normalization_type="LN" if is_gpt2 else "RMS", final_rms=not is_gpt2,
        positional_embedding_type="standard" if is_gpt2 else "rotary", rotary_dim=None if is_gpt2
        else getattr(c, "head_dim", None) or c.hidden_size // c.num_attention_heads,
        gated_mlp=not is_gpt2, device="cpu")
    model = HookedTransformer(config, move_to_device=False)
    converter = MODELS[name]
    model.load_and_process_state_dict(converter(hf, config), fold_ln=True,
                                      center_writing_weights=is_gpt2, center_unembed=True)
    return model


def golden(name):
    model = processed(name)
    rng = numpy.random.default_rng(7)
    w_u = model.W_U.detach().double().numpy()
    layer = model.cfg.n_layers - 1
    w_out = model.blocks[layer].mlp.W_out.detach().double().numpy()
    w_o = model.blocks[layer].attn.W_O.detach().double().numpy()
    w_o = w_o.reshape(-1, w_o.shape[-1])
    cases = []
    for hook, writer in (("blocks.0.hook_resid_pre", numpy.eye(len(w_u))),
                         ("blocks.%d.mlp.hook_post" % layer, w_out),
                         ("blocks.%d.attn.hook_z" % layer, w_o)):
        directions = rng.standard_normal((N_DIRECTIONS, len(writer))).astype(numpy.float32)
        logits = directions.astype(float) @ writer @ w_u
        cases.append({"hook": hook, "directions": directions.astype(float).tolist(),
                      "logits": [[float("%.9g" % x) for x in row] for row in logits]})
    (HERE / "logit_lens").mkdir(exist_ok=True)
    (HERE / "logit_lens" / (name + ".json")).write_text(json.dumps(cases) + "\n")


if __name__ == "__main__":
    for model_name in MODELS:
        golden(model_name)
