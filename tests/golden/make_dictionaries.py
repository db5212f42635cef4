#!/usr/bin/env python3
"""Make tests/golden/dictionaries: tiny SAELens dictionaries and what SAELens computes with them.

Each dictionary reads a hook point of a golden model, so that a case can be checked on its own
(`x` -> `feature_acts`) and through the whole program (tokens of the model -> `feature_acts`).

  cases.json                  what to do with each folder; see CASES and REFUSALS below
  NAME/cfg.json               written by sae_lens, or rewritten here into an older spelling
  NAME/sae_weights.safetensors
  NAME/expected.safetensors   x            [n_rows, n_tokens, d_in]; hook_z: [.., n_heads, d_head]
                              feature_acts [n_rows, n_tokens, d_sae]
                              reconstruction, of the shape of x
                              all float32; stored F16 or BF16 weights are used as float32
  refuse/NAME/...             dictionaries that must be refused, in one line that names the reason:
                              cases.json has the pattern for `grep -wE`

Every activation lies clear of its threshold: the set of active features does not change when x
moves by 3e-5 of its size, so a reader that adds in another order must find the same set.

Run: python tests/golden/make_dictionaries.py [NAME...]   (needs sae-lens; models/ must exist)
"""

import json
import shutil
import sys
import zlib
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file as load_numpy
from safetensors.numpy import save_file as save_numpy
from safetensors.torch import load_file, save_file
from sae_lens import SAE
from sae_lens.registry import get_sae_class, get_sae_training_class

HERE = Path(__file__).resolve().parent
OUT = HERE / "dictionaries"
NORMS = ("none", "expected_average_only_in", "constant_norm_rescale", "layer_norm")


def case(architecture, d_sae, **fields):
    base = {"architecture": architecture, "d_sae": d_sae, "model": "gpt2-bare-names",
            "hook": "blocks.1.hook_resid_pre", "norm": "none", "apply_b_dec": True,
            "dtype": torch.float32, "config": {}}
    return {**base, **fields}


CASES = {
    "standard": case("standard", 113),
    "standard-no-b-dec": case("standard", 101, apply_b_dec=False),
    "standard-constant-norm": case("standard", 103, norm="constant_norm_rescale"),
    "standard-layer-norm": case("standard", 107, norm="layer_norm", model="llama-mha-untied",
                                hook="blocks.0.hook_resid_post"),
    "standard-layer-norm-no-b-dec": case("standard", 100, norm="layer_norm", apply_b_dec=False),
    # expected_average_only_in: folded into the weights, and with the factor still to apply.
    "standard-expected-folded": case("standard", 109, norm="expected_average_only_in", factor=0.37,
                                     fold=True),
    "standard-expected-unfolded": case("standard", 109, norm="expected_average_only_in",
                                       factor=0.37),
    "standard-hook-z": case("standard", 127, hook="blocks.1.attn.hook_z"),
    "standard-mlp-out-f16": case("standard", 131, hook="blocks.0.hook_mlp_out",
                                 dtype=torch.float16),
    # The residual stream is centred over d_model first (TransformerLens' center_writing_weights).
    "standard-centred": case("standard", 105, centred=True),
    "topk": case("topk", 257, config={"k": 12}),
    "topk-few-positive": case("topk", 100, config={"k": 20}, bias=-4.0),
    "topk-rescaled": case("topk", 120, config={"k": 9, "rescale_acts_by_decoder_norm": True}),
    "topk-layer-norm": case("topk", 111, config={"k": 7}, norm="layer_norm"),
    "topk-constant-norm-f16": case("topk", 128, config={"k": 16}, norm="constant_norm_rescale",
                                   dtype=torch.float16, apply_b_dec=False),
    "topk-rescaled-expected-unfolded": case(
        "topk", 115, config={"k": 8, "rescale_acts_by_decoder_norm": True},
        norm="expected_average_only_in", factor=1.9),
    "jumprelu": case("jumprelu", 129),
    "jumprelu-no-b-dec-bf16": case("jumprelu", 117, apply_b_dec=False, dtype=torch.bfloat16),
    "jumprelu-constant-norm": case("jumprelu", 104, norm="constant_norm_rescale"),
    "jumprelu-expected-unfolded": case("jumprelu", 108, norm="expected_average_only_in",
                                       factor=0.51),
    "gated": case("gated", 121),
    "gated-layer-norm-no-b-dec": case("gated", 102, norm="layer_norm", apply_b_dec=False),
    "gated-expected-unfolded": case("gated", 106, norm="expected_average_only_in", factor=0.44),
    # Trained with a threshold over the batch: SAELens saves both as jumprelu.
    "batchtopk": case("batchtopk", 116, config={"k": 10.0}, training=True),
    "matryoshka": case("matryoshka_batchtopk", 96, training=True,
                       config={"k": 10.0, "matryoshka_widths": [24, 48, 96]}),
    # Before SAELens 6: flat, other names, defaults left out.
    "legacy-standard": case("standard", 110, legacy="standard"),
    "legacy-topk": case("topk", 114, config={"k": 11}, legacy="topk"),
    "legacy-hook-z": case("standard", 99, hook="blocks.1.attn.hook_z", legacy="hook_z"),
    "legacy-jumprelu-expected-true": case("jumprelu", 98, norm="expected_average_only_in",
                                          factor=0.63, legacy="jumprelu"),
}


# ---- making a dictionary ------------------------------------------------------------------------

def model_activations(spec):
    values = load_numpy(HERE / "models" / spec["model"] / "expected.safetensors")[spec["hook"]]
    return torch.from_numpy(values)


def sae_config(spec, d_in):
    find = get_sae_training_class if spec.get("training") else get_sae_class
    sae_class, config_class = find(spec["architecture"])
    config = config_class(d_in=d_in, d_sae=spec["d_sae"], device="cpu", dtype="float32",
                          apply_b_dec_to_input=spec["apply_b_dec"],
                          normalize_activations=spec["norm"], **spec["config"])
    config.metadata.model_name = spec["model"]
    config.metadata.hook_name = spec["hook"]
    config.metadata.context_size = 64
    config.metadata.prepend_bos = False
    config.metadata.sae_lens_version = "6.54.12"
    if spec.get("centred"):
        config.metadata.model_from_pretrained_kwargs = {"center_writing_weights": True}
    if spec["hook"].endswith("hook_z"):
        config.reshape_activations = "hook_z"
    return sae_class, config


def random_parameters(sae, rng, spec, flat):
    """Encoders that point at the data, biases that leave a fifth of the features active."""
    d_in, d_sae = sae.cfg.d_in, sae.cfg.d_sae

    def normal(*shape, std=1.0):
        return torch.from_numpy(rng.normal(0.0, std, shape).astype(np.float32))

    scale = float(flat.std())
    if spec["norm"] in ("constant_norm_rescale", "layer_norm"):
        scale = 1.0
    scale *= spec.get("factor", 1.0)
    decoder = normal(d_sae, d_in)
    decoder *= torch.from_numpy(rng.uniform(0.6, 1.6, (d_sae, 1)).astype(np.float32))
    decoder /= d_in ** 0.5
    values = {"W_dec": decoder, "W_enc": decoder.T.contiguous() + normal(d_in, d_sae, std=0.05),
              "b_dec": normal(d_in, std=0.3) * scale,
              "b_enc": normal(d_sae, std=0.3) + spec.get("bias", -0.5),
              "b_gate": normal(d_sae, std=0.3) - 0.5, "b_mag": normal(d_sae, std=0.3),
              "r_mag": normal(d_sae, std=0.2),
              "threshold": torch.from_numpy(rng.uniform(-0.1, 0.8, d_sae).astype(np.float32))}
    with torch.no_grad():
        for name, parameter in sae.named_parameters():
            parameter.copy_(values[name])
        if hasattr(sae, "topk_threshold"):
            sae.topk_threshold.fill_(0.35)


def save(sae, spec, folder):
    shutil.rmtree(folder, ignore_errors=True)
    if spec.get("fold"):
        sae.fold_activation_norm_scaling_factor(spec["factor"])
    if spec.get("training"):
        sae.save_inference_model(folder)
    else:
        sae.save_model(folder)
    (folder / "runner_cfg.json").unlink(missing_ok=True)
    if spec["dtype"] != torch.float32:
        weights = {key: value.to(spec["dtype"])
                   for key, value in load_file(folder / "sae_weights.safetensors").items()}
        save_file(weights, folder / "sae_weights.safetensors")
        edit_config(folder, lambda config: config.update(
            dtype=str(spec["dtype"]).removeprefix("torch.")))
    if spec.get("legacy"):
        make_legacy(folder, spec)


def edit_config(folder, edit):
    config = json.loads((folder / "cfg.json").read_text())
    config = edit(config) or config
    (folder / "cfg.json").write_text(json.dumps(config, indent=2) + "\n")


def make_legacy(folder, spec):
    """Rewrite cfg.json as SAELens 2 to 5 wrote it."""
    def flatten(config):
        flat = {
            "model_name": spec["model"], "hook_point_layer": 1, "hook_point_head_index": None,
            "dataset_path": "example/corpus", "context_size": 64, "d_in": config["d_in"],
            "d_sae": config["d_sae"], "dtype": "torch.float32", "device": "cuda",
            "l1_coefficient": 8e-05, "expansion_factor": 2, "seed": 42,
            "normalize_sae_decoder": False}
        kind = spec["legacy"]
        flat["hook_point" if kind in ("standard", "hook_z") else "hook_name"] = spec["hook"]
        if kind == "standard":  # the oldest: no architecture, no flags, a factor of ones
            weights = load_file(folder / "sae_weights.safetensors")
            weights["scaling_factor"] = torch.ones(config["d_sae"])
            save_file(weights, folder / "sae_weights.safetensors")
        if kind == "hook_z":  # the SAE names the hook only
            flat["normalize_activations"] = "none"
            flat["hook_point_head_index"] = None
        if kind == "topk":
            flat.update(architecture="standard", activation_fn_str="topk",
                        activation_fn_kwargs={"k": config["k"]}, normalize_activations=False,
                        apply_b_dec_to_input=True, sae_lens_training_version="3.18.2")
        if kind == "jumprelu":
            flat.update(architecture="jumprelu", activation_fn_str="relu",
                        activation_fn_kwargs={}, normalize_activations=True,
                        apply_b_dec_to_input=True, finetuning_scaling_factor=False,
                        sae_lens_training_version="5.10.0", prepend_bos=True)
        return flat
    edit_config(folder, flatten)


# ---- what SAELens computes ----------------------------------------------------------------------

def load(folder, spec):
    sae = SAE.load_from_disk(folder, device="cpu", dtype="float32")
    if "factor" in spec and not spec.get("fold"):
        # SAELens itself does nothing at run time for this setting: the factor of the release is
        # folded by its loader.
        assert sae.cfg.normalize_activations == "expected_average_only_in"
        sae.fold_activation_norm_scaling_factor(spec["factor"])
    if spec["hook"].endswith("hook_z"):
        sae.turn_on_forward_pass_hook_z_reshaping()
    return sae


def encode(sae, spec, x):
    if spec.get("centred"):
        x = x - x.mean(dim=-1, keepdim=True)
    with torch.no_grad():
        acts = sae.encode(x)
        return acts, sae.decode(acts)


def is_stable(sae, spec, x, acts, rng):
    """Whether small changes of x leave the set of active features alone."""
    size = x.norm(dim=-1, keepdim=True) / x.shape[-1] ** 0.5
    for _ in range(12):
        noise = torch.from_numpy(rng.normal(0.0, 3e-5, x.shape).astype(np.float32)) * size
        moved, _ = encode(sae, spec, x + noise)
        if not torch.equal(moved > 0, acts > 0):
            return False
    return True


def make(name):
    spec = CASES[name]
    x = model_activations(spec)
    d_in = x.shape[-1] if not spec["hook"].endswith("hook_z") else x.shape[-1] * x.shape[-2]
    folder = OUT / name
    for attempt in range(400):
        rng = np.random.default_rng([zlib.crc32(name.encode()), attempt])
        sae_class, config = sae_config(spec, d_in)
        sae = sae_class(config)
        random_parameters(sae, rng, spec, x)
        save(sae, spec, folder)
        loaded = load(folder, spec)
        acts, reconstruction = encode(loaded, spec, x)
        if is_stable(loaded, spec, x, acts, rng):
            break
    else:
        raise SystemExit(f"{name}: no stable draw")
    save_numpy({"x": x.numpy(), "feature_acts": acts.contiguous().numpy(),
                "reconstruction": reconstruction.contiguous().numpy()},
               folder / "expected.safetensors")
    active = float((acts > 0).float().mean())
    print(f"{name}: {active:.3f} active, attempt {attempt}")


# ---- dictionaries to refuse ---------------------------------------------------------------------

def tiny_config(architecture="standard", **fields):
    return {"d_in": 8, "d_sae": 12, "dtype": "float32", "device": "cpu",
            "apply_b_dec_to_input": True, "normalize_activations": "none",
            "reshape_activations": "none",
            "metadata": {"sae_lens_version": "6.54.12", "model_name": "gpt2-bare-names",
                         "hook_name": "blocks.1.hook_resid_pre"},
            "architecture": architecture, **fields}


def tiny_weights(**fields):
    rng = np.random.default_rng(5)
    weights = {"W_enc": rng.normal(size=(8, 12)), "W_dec": rng.normal(size=(12, 8)),
               "b_enc": rng.normal(size=12), "b_dec": rng.normal(size=8)}
    weights = {key: value.astype(np.float32) for key, value in weights.items()}
    weights.update(fields)
    return {key: value for key, value in weights.items() if value is not None}


def with_value(name, value):
    array = tiny_weights()[name].copy()
    array.flat[array.size // 2] = value
    return {name: array}


# name: (config, weights, grep -wE pattern that the one-line refusal must match)
REFUSALS = {
    "unknown-architecture": (tiny_config("quantum"), tiny_weights(), "quantum"),
    "matching-pursuit": (tiny_config("matching_pursuit"), tiny_weights(), "matching_pursuit"),
    "unknown-normalisation": (tiny_config(normalize_activations="covariance_whitening"),
                              tiny_weights(), "covariance_whitening"),
    "expected-average-without-factor": (
        tiny_config(normalize_activations="expected_average_only_in"), tiny_weights(),
        "norm_scaling_factor"),
    "unknown-reshape": (tiny_config(reshape_activations="fold_heads"), tiny_weights(),
                        "fold_heads"),
    "nan-weight": (tiny_config(), tiny_weights(**with_value("W_enc", np.nan)), "W_enc"),
    "infinite-bias": (tiny_config(), tiny_weights(**with_value("b_dec", np.inf)), "b_dec"),
    "scaling-factor": (tiny_config(), tiny_weights(scaling_factor=np.full(12, 1.5, np.float32)),
                       "scaling_factor"),
    "missing-b-dec": (tiny_config(), tiny_weights(b_dec=None), "b_dec"),
    "missing-threshold": (tiny_config("jumprelu"), tiny_weights(), "threshold"),
    "wrong-shape": (tiny_config(), tiny_weights(W_enc=np.zeros((12, 8), np.float32)), "W_enc"),
    "wrong-d-sae": (tiny_config(d_sae=13), tiny_weights(), "d_sae|W_enc|W_dec|b_enc"),
    "integer-weights": (tiny_config(), tiny_weights(W_enc=np.zeros((8, 12), np.int64)), "I64"),
    "topk-without-k": (tiny_config("topk"), tiny_weights(), "k"),
    "topk-k-zero": (tiny_config("topk", k=0), tiny_weights(), "k"),
    "topk-k-above-d-sae": (tiny_config("topk", k=13), tiny_weights(), "k"),
    "missing-d-in": ({k: v for k, v in tiny_config().items() if k != "d_in"}, tiny_weights(),
                     "d_in"),
}
TRANSCODERS = ("transcoder", "skip_transcoder", "jumprelu_transcoder")


def make_refusals():
    shutil.rmtree(OUT / "refuse", ignore_errors=True)
    words = {name: word for name, (_, _, word) in REFUSALS.items()}
    for name, (config, weights, _) in REFUSALS.items():
        folder = OUT / "refuse" / name
        folder.mkdir(parents=True)
        (folder / "cfg.json").write_text(json.dumps(config, indent=2) + "\n")
        save_numpy(weights, folder / "sae_weights.safetensors")
    for name in TRANSCODERS:
        sae_class, config_class = get_sae_class(name)
        torch.manual_seed(3)
        sae = sae_class(config_class(d_in=8, d_sae=12, d_out=8, apply_b_dec_to_input=False))
        sae.cfg.metadata.hook_name = "blocks.1.ln2.hook_normalized"
        sae.cfg.metadata.hook_name_out = "blocks.1.hook_mlp_out"
        sae.save_model(OUT / "refuse" / name)
        words[name] = name
    return words


def write_index(words):
    """cases.json: per folder the model, hook point and factor; per refusal the pattern."""
    encode_cases = {}
    for name, spec in CASES.items():
        entry = {"model": spec["model"], "hook": spec["hook"]}
        if "factor" in spec and not spec.get("fold"):
            entry["norm_scaling_factor"] = spec["factor"]
        encode_cases[name] = entry
    index = {"encode": encode_cases, "refuse": words}
    (OUT / "cases.json").write_text(json.dumps(index, indent=2) + "\n")


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[1:] or CASES:
        make(name)
    write_index(make_refusals())


if __name__ == "__main__":
    main()
