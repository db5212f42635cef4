#!/usr/bin/env python3
"""Make tests/golden/malformed: files that a reader must refuse in one line that names the reason.

  models/NAME/      config.json and *.safetensors; `valid` is the base that all others damage
  tokenizers/NAME/  tokenizer.json; `valid` likewise
  cases.json        {"models": {NAME: PATTERN}, "tokenizers": {NAME: PATTERN}}: the refusal must
                    match `grep -wE PATTERN` (null: must be accepted)

Run: python tests/golden/make_malformed.py    (needs numpy)
"""

import copy
import json
import shutil
import struct
from pathlib import Path

import numpy as np

OUT = Path(__file__).resolve().parent / "malformed"

GPT2 = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_embd": 4, "n_head": 2,
        "n_layer": 1, "n_positions": 8, "vocab_size": 8, "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5}
GPT2_SHAPES = {
    "wte.weight": (8, 4), "wpe.weight": (8, 4), "ln_f.weight": (4,), "ln_f.bias": (4,),
    "h.0.ln_1.weight": (4,), "h.0.ln_1.bias": (4,), "h.0.ln_2.weight": (4,), "h.0.ln_2.bias": (4,),
    "h.0.attn.c_attn.weight": (4, 12), "h.0.attn.c_attn.bias": (12,),
    "h.0.attn.c_proj.weight": (4, 4), "h.0.attn.c_proj.bias": (4,),
    "h.0.mlp.c_fc.weight": (4, 16), "h.0.mlp.c_fc.bias": (16,),
    "h.0.mlp.c_proj.weight": (16, 4), "h.0.mlp.c_proj.bias": (4,)}
LLAMA = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 4,
         "num_attention_heads": 2, "num_key_value_heads": 1, "num_hidden_layers": 1,
         "intermediate_size": 8, "vocab_size": 8, "max_position_embeddings": 16,
         "hidden_act": "silu", "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
         "tie_word_embeddings": True}
LLAMA_SHAPES = {
    "model.embed_tokens.weight": (8, 4), "model.norm.weight": (4,),
    "model.layers.0.input_layernorm.weight": (4,),
    "model.layers.0.post_attention_layernorm.weight": (4,),
    "model.layers.0.self_attn.q_proj.weight": (4, 4),
    "model.layers.0.self_attn.k_proj.weight": (2, 4),
    "model.layers.0.self_attn.v_proj.weight": (2, 4),
    "model.layers.0.self_attn.o_proj.weight": (4, 4),
    "model.layers.0.mlp.gate_proj.weight": (8, 4), "model.layers.0.mlp.up_proj.weight": (8, 4),
    "model.layers.0.mlp.down_proj.weight": (4, 8)}


# ---- safetensors bytes --------------------------------------------------------------------------

def tensors_of(shapes):
    rng = np.random.default_rng(11)
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def layout(tensors):
    """The header as a dict, and the data."""
    header, data = {}, b""
    for name, array in tensors.items():
        raw = array.tobytes()
        dtype = {"float32": "F32", "float64": "F64", "int64": "I64"}[str(array.dtype)]
        header[name] = {"dtype": dtype, "shape": list(array.shape),
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    return header, data


def pack(header, data, length=None):
    """The file; `header` is a dict, or bytes to take as they are."""
    if not isinstance(header, bytes):
        header = json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def bad_headers():
    """(name, file bytes, pattern). The damage is done to the tensor h.0.ln_2.bias."""
    header, data = layout(tensors_of(GPT2_SHAPES))
    target = "h.0.ln_2.bias"
    begin, end = header[target]["data_offsets"]
    good = pack(header, data)

    def edited(**fields):
        changed = copy.deepcopy(header)
        changed[target].update(fields)
        return pack({k: {f: v for f, v in t.items() if v is not None}
                     for k, t in changed.items()}, data)

    yield "empty-file", b"", "model.safetensors"
    yield "seven-bytes", good[:7], "model.safetensors"
    yield "only-length", good[:8], "model.safetensors"
    yield "truncated-header", good[:100], "model.safetensors"
    yield "truncated-data", good[:-1], "model.safetensors"
    yield "no-data", good[:-len(data)], "model.safetensors"
    yield "trailing-bytes", good + b"\0" * 5, "model.safetensors"
    yield "header-length-over-file", pack(header, data, len(good)), "header"
    yield "header-length-huge", pack(header, data, 2 ** 63 + 5), "header"
    yield "header-length-wraps", pack(header, data, 2 ** 64 - 8), "header"
    yield "header-length-zero", pack(header, data, 0), "header"
    yield "header-not-json", pack(b"{'single': quotes}", data), "header"
    yield "header-not-object", pack(b"[1, 2, 3]", data), "header"
    yield "header-not-utf8", pack(b'{"\xff\xfe": 1}', data), "header"
    yield "header-deep", pack(b'{"a":' + b"[" * 20000 + b"]" * 20000 + b"}", data), "header"
    yield "entry-not-object", pack({**header, target: [1, 2]}, data), target
    yield "offsets-overlap", edited(data_offsets=[begin - 4, end - 4]), "data_offsets"
    yield "offsets-gap", edited(data_offsets=[begin + 4, end + 4]), "data_offsets"
    yield "offsets-reversed", edited(data_offsets=[end, begin]), "data_offsets"
    yield "offsets-past-end", edited(data_offsets=[len(data) - 8, len(data) + 8]), "data_offsets"
    yield "offsets-negative", edited(data_offsets=[-16, 0]), "data_offsets"
    yield "offsets-overflow", edited(data_offsets=[2 ** 64 - 16, 2 ** 64]), "header|data_offsets"
    yield "offsets-fraction", edited(data_offsets=[begin + 0.5, end + 0.5]), "data_offsets"
    yield "offsets-one", edited(data_offsets=[begin]), "data_offsets"
    yield "offsets-missing", edited(data_offsets=None), "data_offsets"
    yield "shape-lies", edited(shape=[5]), target
    yield "shape-overflow", edited(shape=[2 ** 33, 2 ** 33]), target
    yield "shape-wraps-to-size", edited(shape=[2 ** 62 + 1, 4]), target
    yield "shape-negative", edited(shape=[-2, -2]), "shape"
    yield "shape-missing", edited(shape=None), "shape"
    yield "shape-deep", edited(shape=[1] * 64 + [4]), "shape"
    yield "dtype-unknown", edited(dtype="F7"), "F7"
    yield "dtype-missing", edited(dtype=None), "dtype"
    yield "dtype-float8", edited(dtype="F8_E4M3", shape=[16]), "F8_E4M3"
    text = json.dumps(header, separators=(",", ":")).encode()
    entry = json.dumps({target: header[target]}, separators=(",", ":")).encode()[1:-1]
    twice = pack(text[:-1] + b"," + entry + b"}", data)
    yield "duplicate-name", twice, f"duplicate|{target}|header"


# ---- models -------------------------------------------------------------------------------------

def model_bytes(shapes, **changes):
    tensors = tensors_of(shapes)
    tensors.update(changes)
    return pack(*layout({k: v for k, v in tensors.items() if v is not None}))


def with_value(shapes, name, value):
    array = tensors_of(shapes)[name]
    array.flat[-1] = value
    return model_bytes(shapes, **{name: array})


def changed(config, **fields):
    return {k: v for k, v in {**config, **fields}.items() if v != "(absent)"}


def bad_models():
    """(name, config.json text, model.safetensors bytes, pattern or None)."""
    gpt2, llama = model_bytes(GPT2_SHAPES), model_bytes(LLAMA_SHAPES)
    yield "valid", GPT2, gpt2, None
    yield "valid-llama", LLAMA, llama, None
    yield "config-not-json", "{\"model_type\": gpt2}", gpt2, "config.json"
    yield "config-not-object", "[]", gpt2, "config.json"
    for name, fields, pattern in (
            ("unknown-architecture", {"model_type": "bert"}, "bert"),
            ("no-architecture", {"model_type": "(absent)", "architectures": "(absent)"},
             "model_type"),
            ("unknown-activation", {"activation_function": "swish_wide"}, "swish_wide"),
            ("missing-n-embd", {"n_embd": "(absent)"}, "n_embd"),
            ("text-for-number", {"n_layer": "one"}, "n_layer"),
            ("zero-heads", {"n_head": 0}, "n_head"),
            ("negative-layers", {"n_layer": -1}, "n_layer"),
            ("too-many-layers", {"n_layer": 2_000_000_000}, "n_layer"),
            ("heads-do-not-divide", {"n_head": 3}, "n_head"),
            ("vocab-lies", {"vocab_size": 9}, "wte.weight"),
            ("more-layers-than-tensors", {"n_layer": 2}, "h.1.[a-z_.0-9]+"),
            ("quantized", {"quantization_config": {"quant_method": "gptq", "bits": 4}},
             "quantization_config")):
        yield name, changed(GPT2, **fields), gpt2, pattern
    for name, fields, pattern in (
            ("llama-rope-unknown", {"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, "yarn"),
            ("llama-rope-conflict", {"rope_parameters": {"rope_type": "default",
                                                         "rope_theta": 5000.0}}, "rope_theta"),
            ("llama-rope-incomplete", {"rope_scaling": {"rope_type": "llama3", "factor": 8.0}},
             "low_freq_factor|high_freq_factor|original_max_position_embeddings"),
            ("llama-kv-heads", {"num_attention_heads": 4, "num_key_value_heads": 3},
             "num_key_value_heads"),
            ("llama-dtype-conflict", {"dtype": "float32", "torch_dtype": "bfloat16"},
             "dtype|torch_dtype"),
            ("llama-missing-head", {"tie_word_embeddings": False}, "lm_head.weight"),
            ("llama-odd-head-dim", {"head_dim": 3}, "head_dim")):
        yield name, changed(LLAMA, **fields), llama, pattern
    norm, attn = "ln_f.weight", "h.0.attn.c_attn.weight"
    yield "missing-tensor", GPT2, model_bytes(GPT2_SHAPES, **{norm: None}), norm
    yield ("unknown-tensor", GPT2,
           model_bytes(GPT2_SHAPES, **{"h.0.attn.q_norm.weight": np.ones(4, np.float32)}),
           "h.0.attn.q_norm.weight")
    yield ("transposed-tensor", GPT2,
           model_bytes(GPT2_SHAPES, **{attn: np.ones((12, 4), np.float32)}), attn)
    yield ("integer-weights", GPT2, model_bytes(GPT2_SHAPES, **{attn: np.ones((4, 12), np.int64)}),
           "I64")
    yield "nan-weight", GPT2, with_value(GPT2_SHAPES, attn, np.nan), attn
    yield "infinite-weight", GPT2, with_value(GPT2_SHAPES, norm, -np.inf), norm
    for name, content, pattern in bad_headers():
        yield name, GPT2, content, pattern


def write_indexed():
    """Models in several files whose index is wrong: (name, pattern)."""
    tensors = tensors_of(GPT2_SHAPES)
    names = sorted(tensors)
    parts = {"a.safetensors": names[:8], "b.safetensors": names[8:]}
    right = {name: part for part, members in parts.items() for name in members}
    cases = {
        "index-valid": (right, None),
        "index-missing-file": ({**right, names[0]: "c.safetensors"}, "c.safetensors"),
        "index-wrong-file": ({**right, names[0]: "b.safetensors"}, names[0]),
        "index-outside": ({**right, names[0]: "../valid/model.safetensors"},
                          "../valid/model.safetensors"),
        "index-incomplete": ({k: v for k, v in right.items() if k != names[1]}, names[1]),
        "index-not-text": ({**right, names[0]: 7}, names[0]),
    }
    for case, (weight_map, _) in cases.items():
        folder = fresh("models", case)
        (folder / "config.json").write_text(json.dumps(GPT2))
        (folder / "model.safetensors.index.json").write_text(
            json.dumps({"metadata": {}, "weight_map": weight_map}))
        for part, members in parts.items():
            (folder / part).write_bytes(pack(*layout({n: tensors[n] for n in members})))
    return {case: pattern for case, (_, pattern) in cases.items()}


# ---- tokenizers ---------------------------------------------------------------------------------

def base_tokenizer():
    vocab = {"a": 0, "b": 1, "c": 2, "ab": 3, "\u0120": 4, "\u0120a": 5}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
                  "use_regex": True}
    return {"version": "1.0", "truncation": None, "padding": None,
            "added_tokens": [{"id": 6, "content": "<end>", "single_word": False, "lstrip": False,
                              "rstrip": False, "normalized": False, "special": True}],
            "normalizer": None, "pre_tokenizer": byte_level, "post_processor": None,
            "decoder": byte_level,
            "model": {"type": "BPE", "dropout": None, "unk_token": None,
                      "continuing_subword_prefix": "", "end_of_word_suffix": "",
                      "fuse_unk": False, "vocab": vocab,
                      "merges": ["a b", "\u0120 a"]}}


def bad_tokenizers():
    """(name, tokenizer.json text, pattern or None)."""
    base = base_tokenizer()

    def model(**fields):
        return {**base, "model": {**base["model"], **fields}}

    split = {"type": "Split", "behavior": "Isolated", "invert": False}
    for name, document, pattern in (
            ("valid", base, None),
            ("not-json", "{\"model\": ", "tokenizer.json"),
            ("no-model", changed(base, model="(absent)"), "model"),
            ("type-wordpiece", model(type="WordPiece"), "WordPiece"),
            ("type-unigram", model(type="Unigram", vocab=[["a", -1.0]]), "Unigram"),
            ("dropout", model(dropout=0.1), "dropout"),
            ("subword-prefix", model(continuing_subword_prefix="##"), "continuing_subword_prefix"),
            ("word-suffix", model(end_of_word_suffix="</w>"), "end_of_word_suffix"),
            ("merge-unknown-piece", model(merges=["a z"]), "merges|merge"),
            ("merge-unknown-result", model(merges=["b c"]), "merges|merge"),
            ("merge-one-piece", model(merges=["ab"]), "merges|merge"),
            ("vocab-negative-id", model(vocab={"a": -1}, merges=[]), "vocab"),
            ("vocab-huge-id", model(vocab={"a": 4_000_000_000}, merges=[]), "vocab"),
            ("vocab-text-id", model(vocab={"a": "0"}, merges=[]), "vocab"),
            ("vocab-same-id", model(vocab={"a": 0, "b": 0}, merges=[]), "vocab"),
            ("normalizer-unknown", {**base, "normalizer": {"type": "Nmt"}}, "Nmt"),
            ("pre-tokenizer-unknown", {**base, "pre_tokenizer": {"type": "BertPreTokenizer"}},
             "BertPreTokenizer"),
            ("pre-tokenizer-regex", {**base, "pre_tokenizer": {
                **split, "pattern": {"Regex": "(unclosed"}}}, "(pattern|regex|Regex|Split)"),
            ("pre-tokenizer-behaviour", {**base, "pre_tokenizer": {
                **split, "behavior": "Sideways", "pattern": {"String": " "}}}, "Sideways"),
            ("decoder-unknown", {**base, "decoder": {"type": "CTC"}}, "CTC"),
            ("post-processor-unknown", {**base, "post_processor": {"type": "BertProcessing"}},
             "BertProcessing"),
            ("added-huge-id", {**base, "added_tokens": [
                {**base["added_tokens"][0], "id": 2 ** 40}]}, "added_tokens|added")):
        yield name, document, pattern


# ---- files --------------------------------------------------------------------------------------

def fresh(kind, name):
    folder = OUT / kind / name
    folder.mkdir(parents=True)
    return folder


def text_of(document):
    return document if isinstance(document, str) else json.dumps(document, ensure_ascii=False)


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    cases = {"models": {}, "tokenizers": {}}
    for name, config, weights, pattern in bad_models():
        folder = fresh("models", name)
        (folder / "config.json").write_text(text_of(config))
        (folder / "model.safetensors").write_bytes(weights)
        cases["models"][name] = pattern
    folder = fresh("models", "no-config")
    (folder / "model.safetensors").write_bytes(model_bytes(GPT2_SHAPES))
    cases["models"]["no-config"] = "config.json"
    folder = fresh("models", "no-weights")
    (folder / "config.json").write_text(json.dumps(GPT2))
    cases["models"]["no-weights"] = "safetensors|model.safetensors"
    cases["models"].update(write_indexed())
    for name, document, pattern in bad_tokenizers():
        (fresh("tokenizers", name) / "tokenizer.json").write_text(text_of(document))
        cases["tokenizers"][name] = pattern
    (OUT / "cases.json").write_text(json.dumps(cases, indent=2) + "\n")
    print({kind: len(entries) for kind, entries in cases.items()})


if __name__ == "__main__":
    main()
