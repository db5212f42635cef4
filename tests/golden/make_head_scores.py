#!/usr/bin/env python3
"""Writes tests/golden/head_scores: the scores of TransformerLens' head_detector on models of
tests/golden/models, for sequences of random tokens with repetitions.

    .oracles/bin/python tests/golden/make_head_scores.py     (torch, transformers, transformer_lens)

NAME.json: {"sequences": [[ids] ...], "scores": [{"pattern", "mul", "abs", "attention"} ...]}, each of
the last three [n_layers][n_heads], over all sequences as common/head_scores.h says. "mul" and "abs"
are what its compute_head_attention_similarity_score gives for its detection patterns ("abs" before it
rounds, which is checked), "attention" is summed in numpy. The model runs in double; its attention
patterns are compared with those of transformers in f32.
"""
import json
import pathlib

import numpy
import torch
from make_logit_lens import MODELS
from transformer_lens import HookedTransformer, HookedTransformerConfig, head_detector
from transformers import AutoModelForCausalLM

HERE = pathlib.Path(__file__).resolve().parent
PATTERNS = {"previous_token": "previous_token_head", "duplicate_token": "duplicate_token_head",
            "induction": "induction_head"}


def open_both(name):
    hf = AutoModelForCausalLM.from_pretrained(HERE / "models" / name, torch_dtype=torch.float32,
                                              attn_implementation="eager")
    c = hf.config
    is_gpt2 = name.startswith("gpt2")
    d_head = getattr(c, "head_dim", None) or c.hidden_size // c.num_attention_heads
    rope = getattr(c, "rope_parameters", None) or {}
    config = HookedTransformerConfig(
        n_layers=c.num_hidden_layers, d_model=c.hidden_size, n_ctx=c.max_position_embeddings,
        d_head=d_head, n_heads=c.num_attention_heads,
        n_key_value_heads=None if is_gpt2 else c.num_key_value_heads, d_vocab=c.vocab_size,
        act_fn=c.activation_function if is_gpt2 else "silu",
        use_attn_scale=c.scale_attn_weights if is_gpt2 else True,
        d_mlp=4 * c.hidden_size if is_gpt2 else c.intermediate_size,
        normalization_type="LN" if is_gpt2 else "RMS", final_rms=not is_gpt2,
        eps=c.layer_norm_epsilon if is_gpt2 else c.rms_norm_eps,
        positional_embedding_type="standard" if is_gpt2 else "rotary",
        rotary_dim=None if is_gpt2 else d_head,
        rotary_base=rope.get("rope_theta", 10000), gated_mlp=not is_gpt2, device="cpu",
        dtype=torch.float64)
    model = HookedTransformer(config, move_to_device=False)
    state = {key: value.double() for key, value in MODELS[name](hf, config).items()}
    model.load_and_process_state_dict(state, fold_ln=False, center_writing_weights=False,
                                      center_unembed=False, fold_value_biases=False)
    return hf, model.double()


def draw_sequences(n_vocab):
    """Halves said twice, words that come back, no repetition at all; several lengths."""
    rng = numpy.random.default_rng(5)
    sequences = []
    for length in (2, 9, 16, 24, 33):
        half = rng.permutation(n_vocab)[:length].tolist()
        sequences += [half, (half[:length // 2] * 2) or half,
                      rng.integers(0, 8, length).tolist()]
    return sequences


def attention_of(hf, model, ids):
    tokens = torch.tensor([ids])
    _, cache = model.run_with_cache(tokens, remove_batch_dim=True)
    with torch.no_grad():
        theirs = hf(tokens, output_attentions=True).attentions
    patterns = [cache["pattern", layer, "attn"] for layer in range(model.cfg.n_layers)]
    for ours, other in zip(patterns, theirs):
        assert (ours - other[0]).abs().max() < 1e-5
    return patterns


def similarity(attention, mask, measure):
    return head_detector.compute_head_attention_similarity_score(
        attention, mask, exclude_bos=False, exclude_current_token=False, error_measure=measure)


def score(pattern, sequences, attentions, shape):
    mul, absolute, summed, n_queries = (numpy.zeros(shape) for _ in range(4))
    for ids, layers in zip(sequences, attentions):
        detect = getattr(head_detector, f"get_{PATTERNS[pattern]}_detection_pattern")
        mask = detect(torch.tensor([ids])).double()
        n_queries += int((mask.sum(1) > 0).sum())
        for layer in range(shape[0]):
            for head in range(shape[1]):
                attention = layers[layer][head]
                one = 1 - float((attention - mask).abs().mean() * len(ids))
                assert abs(one - similarity(attention, mask, "abs")) < 6e-4
                mul[layer, head] += similarity(attention, mask, "mul") / len(sequences)
                absolute[layer, head] += one / len(sequences)
                summed[layer, head] += float((attention * mask).sum())
    values = {"mul": mul, "abs": absolute, "attention": summed / n_queries}
    return {"pattern": pattern, **{key: [[float("%.9g" % x) for x in row] for row in value]
                                   for key, value in values.items()}}


def golden(name):
    hf, model = open_both(name)
    sequences = draw_sequences(model.cfg.d_vocab)
    attentions = [attention_of(hf, model, ids) for ids in sequences]
    shape = (model.cfg.n_layers, model.cfg.n_heads)
    scores = [score(pattern, sequences, attentions, shape) for pattern in PATTERNS]
    (HERE / "head_scores").mkdir(exist_ok=True)
    (HERE / "head_scores" / (name + ".json")).write_text(
        json.dumps({"sequences": sequences, "scores": scores}) + "\n")


if __name__ == "__main__":
    for model_name in MODELS:
        golden(model_name)
