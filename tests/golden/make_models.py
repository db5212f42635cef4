#!/usr/bin/env python3
"""Make tests/golden/models: tiny random-weight checkpoints and what transformers computes on them.

Every checkpoint is written by hand (config.json in the spelling it stands for, tensors under the
names found in published files) and then read back by transformers, so the oracle also proves that
the files mean what we think they mean. Weights are large enough (standard deviation 0.2, norms and
biases random too) that a mistake in any of them shows in the logits.

Per model: config.json, *.safetensors, tokens.jsonl (one {"tokens": [...]} a line, equal lengths)
and expected.safetensors: float32 [n_rows, n_tokens, ...] under TransformerLens hook point names,
plus `logits`. Values are those of the unprocessed HF model in float32.

Run: python tests/golden/make_models.py [NAME...]    (needs torch, transformers, safetensors)
"""

import json
import sys
import zlib
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file as save_numpy
from safetensors.torch import save_file as save_torch
from transformers import AutoModelForCausalLM

HERE = Path(__file__).resolve().parent / "models"
N_ROWS = 2

GPT2 = {
    "activation_function": "gelu_new",
    "architectures": ["GPT2LMHeadModel"],
    "attn_pdrop": 0.1,
    "bos_token_id": 0,
    "embd_pdrop": 0.1,
    "eos_token_id": 0,
    "initializer_range": 0.02,
    "layer_norm_epsilon": 1e-5,
    "model_type": "gpt2",
    "resid_pdrop": 0.1,
}
LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "hidden_act": "silu",
    "initializer_range": 0.02,
    "mlp_bias": False,
    "model_type": "llama",
    "rms_norm_eps": 1e-5,
    "use_cache": True,
}
LLAMA3_ROPE = {
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    # Small, so that a row of 29 tokens has kept, blended and scaled frequencies.
    "original_max_position_embeddings": 32,
    "rope_type": "llama3",
}


def gpt2_shape(d_model, n_heads, n_layers, vocab, n_positions=64, n_inner=None):
    shape = {"n_embd": d_model, "n_head": n_heads, "n_layer": n_layers, "vocab_size": vocab,
             "n_positions": n_positions, "n_ctx": n_positions}
    if n_inner:
        shape["n_inner"] = n_inner
    return shape


def llama_shape(d_model, n_heads, n_kv_heads, n_layers, d_mlp, vocab, n_positions=256):
    return {"hidden_size": d_model, "num_attention_heads": n_heads,
            "num_key_value_heads": n_kv_heads, "num_hidden_layers": n_layers,
            "intermediate_size": d_mlp, "vocab_size": vocab,
            "max_position_embeddings": n_positions}


# name: (config, dtype, n_tokens, options)
MODELS = {
    # The plain published form: "transformer." prefix, tied head, one F32 file.
    "gpt2-tied": (
        {**GPT2, **gpt2_shape(36, 4, 2, 131), "torch_dtype": "float32"},
        torch.float32, 23, {"prefix": "transformer."}),
    # The openai-community/gpt2 form: no prefix, causal mask buffers in the file.
    "gpt2-bare-names": (
        {**GPT2, **gpt2_shape(32, 2, 3, 113, n_inner=72), "layer_norm_epsilon": 1e-4,
         "scale_attn_by_inverse_layer_idx": True},
        torch.float32, 21, {"prefix": "", "mask_buffers": True}),
    # F16 in three files with an index.
    "gpt2-f16-split": (
        {**GPT2, **gpt2_shape(40, 5, 2, 127), "torch_dtype": "float16"},
        torch.float16, 24, {"prefix": "transformer.", "n_files": 3}),
    # An untied head and exact GELU: both are config switches of the GPT-2 family.
    "gpt2-untied-gelu": (
        {**GPT2, **gpt2_shape(32, 4, 2, 101), "activation_function": "gelu",
         "scale_attn_weights": False, "tie_word_embeddings": False, "dtype": "float32"},
        torch.float32, 20, {"prefix": "transformer.", "head": True}),
    "llama-mha-untied": (
        {**LLAMA, **llama_shape(32, 4, 4, 2, 88, 127), "rope_theta": 10000.0,
         "tie_word_embeddings": False, "torch_dtype": "float32"},
        torch.float32, 23, {}),
    "llama-gqa-tied": (
        {**LLAMA, **llama_shape(48, 6, 2, 2, 64, 149), "rope_theta": 100000.0,
         "rms_norm_eps": 1e-6, "tie_word_embeddings": True, "torch_dtype": "float32"},
        torch.float32, 25, {}),
    "llama-biases": (
        {**LLAMA, **llama_shape(32, 4, 2, 2, 72, 103), "attention_bias": True, "mlp_bias": True,
         "rope_theta": 10000.0, "tie_word_embeddings": True, "torch_dtype": "float32"},
        torch.float32, 21, {}),
    "llama-rope-llama3": (
        {**LLAMA, **llama_shape(32, 2, 1, 2, 64, 109), "rope_theta": 10000.0,
         "rope_scaling": LLAMA3_ROPE, "tie_word_embeddings": False, "torch_dtype": "float32"},
        torch.float32, 29, {}),
    # The same meaning in the transformers 5 spelling, with linear scaling.
    "llama-rope-parameters": (
        {**LLAMA, **llama_shape(32, 2, 2, 2, 64, 107),
         "rope_parameters": {"rope_type": "linear", "rope_theta": 5000.0, "factor": 2.5},
         "tie_word_embeddings": False, "dtype": "float32"},
        torch.float32, 27, {}),
    "llama-bf16": (
        {**LLAMA, **llama_shape(40, 5, 1, 2, 56, 111), "rope_theta": 10000.0,
         "tie_word_embeddings": False, "torch_dtype": "bfloat16"},
        torch.bfloat16, 22, {"n_files": 2}),
    # head_dim is given and is not hidden_size / num_attention_heads.
    "llama-head-dim": (
        {**LLAMA, **llama_shape(36, 3, 1, 2, 64, 117), "head_dim": 20, "rope_theta": 10000.0,
         "rope_scaling": None, "tie_word_embeddings": True, "torch_dtype": "float32"},
        torch.float32, 21, {}),
}


class Weights:
    """Random tensors in one order, from one seed."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def normal(self, *shape, std=0.2, mean=0.0):
        return torch.from_numpy(self.rng.normal(mean, std, shape).astype(np.float32))

    def norm_scale(self, n):
        return self.normal(n, std=0.3, mean=1.0)


def gpt2_tensors(config, options, weights):
    d_model, prefix = config["n_embd"], options["prefix"]
    d_mlp = config.get("n_inner") or 4 * d_model
    tensors = {
        prefix + "wte.weight": weights.normal(config["vocab_size"], d_model, std=0.5),
        prefix + "wpe.weight": weights.normal(config["n_positions"], d_model, std=0.3),
        prefix + "ln_f.weight": weights.norm_scale(d_model),
        prefix + "ln_f.bias": weights.normal(d_model),
    }
    for layer in range(config["n_layer"]):
        block = f"{prefix}h.{layer}."
        for norm in ("ln_1", "ln_2"):
            tensors[f"{block}{norm}.weight"] = weights.norm_scale(d_model)
            tensors[f"{block}{norm}.bias"] = weights.normal(d_model)
        for name, n_in, n_out in (("attn.c_attn", d_model, 3 * d_model),
                                  ("attn.c_proj", d_model, d_model),
                                  ("mlp.c_fc", d_model, d_mlp), ("mlp.c_proj", d_mlp, d_model)):
            tensors[f"{block}{name}.weight"] = weights.normal(n_in, n_out)
            tensors[f"{block}{name}.bias"] = weights.normal(n_out)
        if options.get("mask_buffers"):
            n_ctx = config["n_positions"]
            tensors[f"{block}attn.bias"] = torch.tril(torch.ones(1, 1, n_ctx, n_ctx))
    if options.get("head"):
        tensors["lm_head.weight"] = weights.normal(config["vocab_size"], d_model)
    return tensors


def llama_tensors(config, weights):
    d_model, d_mlp = config["hidden_size"], config["intermediate_size"]
    d_head = config.get("head_dim") or d_model // config["num_attention_heads"]
    d_q, d_kv = config["num_attention_heads"] * d_head, config["num_key_value_heads"] * d_head
    tensors = {"model.embed_tokens.weight": weights.normal(config["vocab_size"], d_model, std=0.5),
               "model.norm.weight": weights.norm_scale(d_model)}
    for layer in range(config["num_hidden_layers"]):
        block = f"model.layers.{layer}."
        for norm in ("input_layernorm", "post_attention_layernorm"):
            tensors[f"{block}{norm}.weight"] = weights.norm_scale(d_model)
        for name, n_in, n_out, has_bias in (
                ("self_attn.q_proj", d_model, d_q, config["attention_bias"]),
                ("self_attn.k_proj", d_model, d_kv, config["attention_bias"]),
                ("self_attn.v_proj", d_model, d_kv, config["attention_bias"]),
                ("self_attn.o_proj", d_q, d_model, config["attention_bias"]),
                ("mlp.gate_proj", d_model, d_mlp, config["mlp_bias"]),
                ("mlp.up_proj", d_model, d_mlp, config["mlp_bias"]),
                ("mlp.down_proj", d_mlp, d_model, config["mlp_bias"])):
            tensors[f"{block}{name}.weight"] = weights.normal(n_out, n_in)
            if has_bias:
                tensors[f"{block}{name}.bias"] = weights.normal(n_out)
    if not config["tie_word_embeddings"]:
        tensors["lm_head.weight"] = weights.normal(config["vocab_size"], d_model)
    return tensors


def write_checkpoint(folder, config, tensors, n_files):
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.safetensors*"):
        old.unlink()
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    if n_files == 1:
        save_torch(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        return
    # Deal the tensors out in turn: a layer's tensors then lie in different files.
    weight_map = {}
    for index in range(n_files):
        name = f"model-{index + 1:05d}-of-{n_files:05d}.safetensors"
        part = {key: value for i, (key, value) in enumerate(sorted(tensors.items()))
                if i % n_files == index}
        save_torch(part, folder / name, metadata={"format": "pt"})
        weight_map.update({key: name for key in part})
    total = sum(t.numel() * t.element_size() for t in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")


class Recorder:
    """Collects hook point values by torch forward hooks."""

    def __init__(self):
        self.values = {}

    def keep(self, name, tensor, n_heads=None):
        tensor = tensor.detach().float()
        if n_heads:
            tensor = tensor.reshape(*tensor.shape[:-1], n_heads, -1)
        self.values[name] = tensor.contiguous().numpy().copy()

    def on_input(self, module, name, n_heads=None):
        module.register_forward_pre_hook(lambda m, args: self.keep(name, args[0], n_heads))

    def on_output(self, module, name, n_heads=None):
        def hook(_, __, out):
            self.keep(name, out[0] if isinstance(out, tuple) else out, n_heads)
        module.register_forward_hook(hook)


def hook_gpt2(model, recorder):
    n_heads = model.config.n_head
    for layer, block in enumerate(model.transformer.h):
        at = f"blocks.{layer}."

        def keep_qkv(_, __, out, at=at):
            for name, part in zip("qkv", out.chunk(3, dim=-1)):
                recorder.keep(f"{at}attn.hook_{name}", part, n_heads)

        recorder.on_input(block.ln_1, at + "hook_resid_pre")
        block.attn.c_attn.register_forward_hook(keep_qkv)
        recorder.on_input(block.attn.c_proj, at + "attn.hook_z", n_heads)
        recorder.on_output(block.attn.c_proj, at + "hook_attn_out")
        recorder.on_input(block.ln_2, at + "hook_resid_mid")
        recorder.on_input(block.mlp.c_proj, at + "mlp.hook_post")
        recorder.on_output(block.mlp.c_proj, at + "hook_mlp_out")
        recorder.on_output(block, at + "hook_resid_post")


def hook_llama(model, recorder):
    n_heads, n_kv_heads = model.config.num_attention_heads, model.config.num_key_value_heads
    for layer, block in enumerate(model.model.layers):
        at = f"blocks.{layer}."
        recorder.on_input(block.input_layernorm, at + "hook_resid_pre")
        # TransformerLens takes q and k before the rotation.
        recorder.on_output(block.self_attn.q_proj, at + "attn.hook_q", n_heads)
        recorder.on_output(block.self_attn.k_proj, at + "attn.hook_k", n_kv_heads)
        recorder.on_output(block.self_attn.v_proj, at + "attn.hook_v", n_kv_heads)
        recorder.on_input(block.self_attn.o_proj, at + "attn.hook_z", n_heads)
        recorder.on_output(block.self_attn.o_proj, at + "hook_attn_out")
        recorder.on_input(block.post_attention_layernorm, at + "hook_resid_mid")
        recorder.on_input(block.mlp.down_proj, at + "mlp.hook_post")
        recorder.on_output(block.mlp.down_proj, at + "hook_mlp_out")
        recorder.on_output(block, at + "hook_resid_post")


def record(model, rows):
    """Hook point values and logits of `rows` ([n_rows][n_tokens] ids), as float32 arrays."""
    recorder = Recorder()
    (hook_gpt2 if model.config.model_type == "gpt2" else hook_llama)(model, recorder)
    with torch.no_grad():
        recorder.keep("logits", model(torch.tensor(rows), use_cache=False).logits)
    return recorder.values


def load(folder):
    model, info = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    if info["missing_keys"] or info["mismatched_keys"]:
        raise SystemExit(f"{folder}: transformers misses {info}")
    unexpected = [k for k in info["unexpected_keys"] if not k.endswith("attn.bias")]
    if unexpected:
        raise SystemExit(f"{folder}: transformers does not know {unexpected}")
    return model.eval()


def make(name):
    config, dtype, n_tokens, options = MODELS[name]
    weights = Weights(zlib.crc32(name.encode()))
    if config["model_type"] == "gpt2":
        tensors = gpt2_tensors(config, options, weights)
    else:
        tensors = llama_tensors(config, weights)
    tensors = {key: value.to(dtype) for key, value in tensors.items()}
    folder = HERE / name
    write_checkpoint(folder, config, tensors, options.get("n_files", 1))
    rows = weights.rng.integers(0, config["vocab_size"], (N_ROWS, n_tokens)).tolist()
    with open(folder / "tokens.jsonl", "w") as out:
        for row in rows:
            out.write(json.dumps({"tokens": row}, separators=(",", ":")) + "\n")
    expected = record(load(folder), rows)
    save_numpy(expected, folder / "expected.safetensors")
    spread = float(np.std(expected["logits"]))
    print(f"{name}: {len(expected)} tensors, logits spread {spread:.2f}")


def main():
    for name in sys.argv[1:] or MODELS:
        make(name)


if __name__ == "__main__":
    main()
