"""A GGUF file of the Llama family, with a byte-level BPE tokenizer, into an HF directory.

Two things are easy to get wrong:
- GGUF rotates interleaved pairs, HF rotates halves: the rows of q and k are in another order.
- The GGUF file names its pre-tokenizer only ("smollm"); what the name stands for is written out
  in PRE_TOKENIZERS. A bare ByteLevel would differ on superscripts and non-ASCII digits.
"""

import json

import numpy as np
from gguf import GGUFReader
from gguf.quants import dequantize
from safetensors.numpy import save_file

from .failure import FAILED, Failure

TOKEN_CONTROL = 3  # gguf token_type of special tokens
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
              "use_regex": True}
PRE_TOKENIZERS = {
    "smollm": {"type": "Sequence",
               "pretokenizers": [{"type": "Digits", "individual_digits": True}, BYTE_LEVEL]},
}
BLOCK_NAMES = {
    "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
TOP_NAMES = {"token_embd.weight": "model.embed_tokens.weight",
             "output_norm.weight": "model.norm.weight", "output.weight": "lm_head.weight"}


def read(path):
    reader = GGUFReader(path)
    fields = {name: field.contents() for name, field in reader.fields.items()
              if not name.startswith("GGUF.")}
    if fields.get("general.architecture") != "llama":
        raise Failure(FAILED, f"{path}: architecture {fields.get('general.architecture')}, "
                              "not llama")
    if fields["tokenizer.ggml.pre"] not in PRE_TOKENIZERS:
        raise Failure(FAILED, f"{path}: unknown pre-tokenizer {fields['tokenizer.ggml.pre']}")
    return reader, fields


def hf_name(name):
    if name in TOP_NAMES:
        return TOP_NAMES[name]
    block, layer, part, suffix = name.split(".")
    if block != "blk" or suffix != "weight" or part not in BLOCK_NAMES:
        raise Failure(FAILED, f"unknown GGUF tensor {name}")
    return f"model.layers.{layer}.{BLOCK_NAMES[part]}.weight"


def rotate_half_rows(weight, n_heads):
    """[n_heads * d_head, d_model], rows of a head as interleaved pairs -> first and second half."""
    n_rows, d_model = weight.shape
    pairs = weight.reshape(n_heads, n_rows // n_heads // 2, 2, d_model)
    return pairs.swapaxes(1, 2).reshape(n_rows, d_model)


def to_bf16(array):
    """Round to nearest even; numpy has no bfloat16, so the bits are kept as uint16."""
    bits = array.astype(np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def weights(reader, fields):
    """{HF name: float32 array}."""
    n_heads = fields["llama.attention.head_count"]
    n_kv_heads = fields["llama.attention.head_count_kv"]
    tensors = {}
    for tensor in reader.tensors:
        array = dequantize(tensor.data, tensor.tensor_type).astype(np.float32, copy=False)
        array = array.reshape([int(n) for n in reversed(tensor.shape)])
        name = hf_name(tensor.name)
        if name.endswith(("q_proj.weight", "k_proj.weight")):
            array = rotate_half_rows(array, n_heads if "q_proj" in name else n_kv_heads)
        tensors[name] = np.ascontiguousarray(array)
    return tensors


def config(fields, is_tied, torch_dtype):
    d_model, n_heads = fields["llama.embedding_length"], fields["llama.attention.head_count"]
    return {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
        "hidden_size": d_model, "num_attention_heads": n_heads,
        "num_key_value_heads": fields["llama.attention.head_count_kv"],
        "head_dim": d_model // n_heads,
        "num_hidden_layers": fields["llama.block_count"],
        "intermediate_size": fields["llama.feed_forward_length"],
        "vocab_size": fields["llama.vocab_size"],
        "max_position_embeddings": fields["llama.context_length"],
        # GGUF keeps float32: 1e-5 is 9.99999974e-06 there.
        "rms_norm_eps": float(np.format_float_positional(
            np.float32(fields["llama.attention.layer_norm_rms_epsilon"]))),
        "rope_theta": float(fields["llama.rope.freq_base"]), "rope_scaling": None,
        "attention_bias": False, "mlp_bias": False, "tie_word_embeddings": is_tied,
        "bos_token_id": fields["tokenizer.ggml.bos_token_id"],
        "eos_token_id": fields["tokenizer.ggml.eos_token_id"],
        "torch_dtype": torch_dtype,
    }


def tokenizer(fields):
    pieces = fields["tokenizer.ggml.tokens"]
    added = [{"id": index, "content": pieces[index], "single_word": False, "lstrip": False,
              "rstrip": False, "normalized": False, "special": True}
             for index, kind in enumerate(fields["tokenizer.ggml.token_type"])
             if kind == TOKEN_CONTROL]
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
        "normalizer": None, "pre_tokenizer": PRE_TOKENIZERS[fields["tokenizer.ggml.pre"]],
        "post_processor": None, "decoder": {**BYTE_LEVEL, "add_prefix_space": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None,
                  "continuing_subword_prefix": None, "end_of_word_suffix": None,
                  "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": {piece: index for index, piece in enumerate(pieces)},
                  "merges": fields["tokenizer.ggml.merges"]},
    }


def tokenizer_config(fields):
    pieces = fields["tokenizer.ggml.tokens"]
    return {"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": False,
            "bos_token": pieces[fields["tokenizer.ggml.bos_token_id"]],
            "eos_token": pieces[fields["tokenizer.ggml.eos_token_id"]],
            "chat_template": fields["tokenizer.chat_template"],
            "model_max_length": fields["llama.context_length"]}


def write_weights(tensors, path, dtype):
    if dtype == "f16":
        tensors = {name: array.astype(np.float16) for name, array in tensors.items()}
    save_file(tensors, path, metadata={"format": "pt"})


def write_bf16(tensors, path):
    """safetensors' numpy side has no bfloat16: write the bits as uint16, then name the type.

    "U16" and "BF16" have the same size, so only the header changes.
    """
    save_file({name: to_bf16(array) for name, array in tensors.items()}, path,
              metadata={"format": "pt"})
    with open(path, "r+b") as file:
        n_bytes = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(n_bytes))
        for name, entry in header.items():
            if name != "__metadata__":
                entry["dtype"] = "BF16"
        text = json.dumps(header, separators=(",", ":")).encode()
        rewritten = path.with_name(path.name + ".bf16")
        with open(rewritten, "wb") as out:
            text += b" " * (-len(text) % 8)
            out.write(len(text).to_bytes(8, "little") + text)
            while block := file.read(1 << 24):
                out.write(block)
    rewritten.replace(path)


def convert(gguf_path, folder, dtype):
    """Write config.json, tokenizer.json, tokenizer_config.json and model.safetensors."""
    reader, fields = read(gguf_path)
    tensors = weights(reader, fields)
    torch_dtype = {"f32": "float32", "f16": "float16", "bf16": "bfloat16"}[dtype]
    documents = {"config.json": config(fields, "lm_head.weight" not in tensors, torch_dtype),
                 "tokenizer.json": tokenizer(fields),
                 "tokenizer_config.json": tokenizer_config(fields)}
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n",
                                   encoding="utf-8")
    if dtype == "bf16":
        write_bf16(tensors, folder / "model.safetensors")
    else:
        write_weights(tensors, folder / "model.safetensors", dtype)
