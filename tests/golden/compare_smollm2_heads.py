#!/usr/bin/env python3
"""Head scores of SmolLM2-135M by this program beside TransformerLens' head_detector, on the same
tokens: repeated words with <|endoftext|> in front (scripts/repeated-words).

    BUILD=build/release .oracles/bin/python tests/golden/compare_smollm2_heads.py MODEL

TransformerLens runs in f32 from the folder that `scripts/fetch-model smollm2` makes; prints the
largest difference over all heads for each pattern and measure.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import torch
from transformer_lens import HookedTransformer, HookedTransformerConfig, head_detector
from transformer_lens.pretrained.weight_conversions import convert_llama_weights
from transformers import AutoModelForCausalLM

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORKER = pathlib.Path(os.environ.get("BUILD", ROOT / "build" / "release")) / "interp-worker"
PATTERNS = {"previous_token": "previous_token_head", "duplicate_token": "duplicate_token_head",
            "induction": "induction_head"}
N_SEQUENCES, N_WORDS, N_AGAIN = 8, 12, 10


def sequences(model):
    prompts = subprocess.run(
        [ROOT / "scripts" / "repeated-words", model, "-n", str(N_SEQUENCES), "--words",
         str(N_WORDS), "--again", str(N_AGAIN), "--bos", "<|endoftext|>", "--seed", "5"],
        capture_output=True, text=True, check=True).stdout
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.write(prompts)
        file.flush()
        ids = subprocess.run([WORKER, "prompts", "--model", model, "--file", file.name],
                             capture_output=True, text=True, check=True).stdout
    return [json.loads(line)["clean"] for line in ids.splitlines()]


def ours(model, rows):
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.write("".join(json.dumps({"tokens": row}) + "\n" for row in rows))
        file.flush()
        done = subprocess.run([WORKER, "head-scores", model, "--tokens", file.name, "-o", "json"],
                              capture_output=True, text=True, check=True)
    return {(head["layer"], head["head"]): head for head in json.loads(done.stdout)["heads"]}


def open_theirs(folder, n_ctx):
    hf = AutoModelForCausalLM.from_pretrained(folder, torch_dtype=torch.float32)
    c = hf.config
    config = HookedTransformerConfig(
        n_layers=c.num_hidden_layers, d_model=c.hidden_size, n_ctx=n_ctx, d_head=c.head_dim,
        n_heads=c.num_attention_heads, n_key_value_heads=c.num_key_value_heads,
        d_vocab=c.vocab_size, act_fn="silu", d_mlp=c.intermediate_size, normalization_type="RMS",
        final_rms=True, eps=c.rms_norm_eps, positional_embedding_type="rotary",
        rotary_dim=c.head_dim, rotary_base=c.rope_parameters["rope_theta"], gated_mlp=True,
        device="cpu")
    model = HookedTransformer(config, move_to_device=False)
    model.load_and_process_state_dict(convert_llama_weights(hf, config), fold_ln=False,
                                      center_writing_weights=False, center_unembed=False,
                                      fold_value_biases=False)
    return model


def theirs(model, rows):
    """(layer, head, pattern) -> mul, abs, attention, as common/head_scores.h has them."""
    shape = (model.cfg.n_layers, model.cfg.n_heads)
    sums = {(*at, p): [0.0, 0.0, 0.0] for p in PATTERNS
            for at in torch.cartesian_prod(*map(torch.arange, shape)).tolist()}
    n_queries = dict.fromkeys(PATTERNS, 0)
    for row in rows:
        _, cache = model.run_with_cache(torch.tensor([row]), remove_batch_dim=True)
        for pattern, name in PATTERNS.items():
            mask = getattr(head_detector, f"get_{name}_detection_pattern")(torch.tensor([row]))
            n_queries[pattern] += int((mask.sum(1) > 0).sum())
            for layer in range(shape[0]):
                for head, attention in enumerate(cache["pattern", layer, "attn"]):
                    into = sums[layer, head, pattern]
                    into[0] += head_detector.compute_head_attention_similarity_score(
                        attention, mask, exclude_bos=False, exclude_current_token=False,
                        error_measure="mul") / len(rows)
                    into[1] += (1 - float((attention - mask).abs().mean()) * len(row)) / len(rows)
                    into[2] += float((attention * mask).sum())
    return {at: [mul, absolute, summed / n_queries[at[2]]]
            for at, (mul, absolute, summed) in sums.items()}


def main():
    folder = sys.argv[1]
    rows = sequences(folder)
    mine, others = ours(folder, rows), theirs(open_theirs(folder, len(rows[0])), rows)
    for pattern in PATTERNS:
        for i, measure in enumerate(("mul", "abs", "attention")):
            worst = max(abs(head[pattern][measure] - others[*at, pattern][i])
                        for at, head in mine.items())
            print(f"{pattern:16} {measure:10} {len(mine)} heads, largest difference {worst:.1e}")


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    torch.set_num_threads(1)
    main()
