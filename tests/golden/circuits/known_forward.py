"""GPT-2 and Llama in numpy, float64, from their definition, with ablations and patched edges.

A second opinion on worker/known and on every engine that ablates: it shares no code with either and
reads nothing but the checkpoint's files. Small models only: nothing is cached or batched cleverly.

Words: a component is ("head", layer, head) or ("mlp", layer); what it writes is a head's z W_O, or
the MLP's output with its bias. Heads are query heads: under grouped queries several share k and v.
"""

import json
import struct
from pathlib import Path

import numpy as np


def read_tensors(path):
    data = Path(path).read_bytes()
    n = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + n])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        assert entry["dtype"] == "F32", name
        begin, end = entry["data_offsets"]
        values = np.frombuffer(data[8 + n + begin:8 + n + end], "<f4")
        tensors[name] = values.reshape(entry["shape"]).astype(np.float64)
    return tensors


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


class Gpt2:
    """config.json and model.safetensors of a GPT2LMHeadModel."""

    def __init__(self, config, tensors):
        self.n_layers, self.n_heads = config["n_layer"], config["n_head"]
        self.d_model = config["n_embd"]
        self.d_head = self.d_model // self.n_heads
        self.eps, self.t = config["layer_norm_epsilon"], tensors

    def layer(self, i, name):
        return self.t[f"transformer.h.{i}.{name}"]

    def embed(self, tokens):
        places = np.broadcast_to(self.t["transformer.wpe.weight"][:tokens.shape[1]],
                                 (*tokens.shape, self.d_model))
        return {"embed": self.t["transformer.wte.weight"][tokens], "pos_embed": places}

    def norm(self, x, name):
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred ** 2).mean(-1, keepdims=True) + self.eps)
        return scaled * self.t[f"transformer.{name}.weight"] + self.t[f"transformer.{name}.bias"]

    def norm_attention(self, x, i):
        return self.norm(x, f"h.{i}.ln_1")

    def norm_mlp(self, x, i):
        return self.norm(x, f"h.{i}.ln_2")

    def project(self, x, i, head, part):
        """q, k or v of one head, [.., d_head]."""
        at = "qkv".index(part) * self.d_model + head * self.d_head
        columns = slice(at, at + self.d_head)
        return x @ self.layer(i, "attn.c_attn.weight")[:, columns] \
            + self.layer(i, "attn.c_attn.bias")[columns]

    def turn(self, x):
        return x

    def output(self, i, head):
        """W_O of one head, [d_head, d_model]."""
        return self.layer(i, "attn.c_proj.weight")[head * self.d_head:(head + 1) * self.d_head]

    def output_bias(self, i):
        return self.layer(i, "attn.c_proj.bias")

    def mlp(self, x, i):
        pre = x @ self.layer(i, "mlp.c_fc.weight") + self.layer(i, "mlp.c_fc.bias")
        post = 0.5 * pre * (1 + np.tanh(np.sqrt(2 / np.pi) * (pre + 0.044715 * pre * pre * pre)))
        return post @ self.layer(i, "mlp.c_proj.weight") + self.layer(i, "mlp.c_proj.bias")

    def unembed(self, x):
        return self.norm(x, "ln_f") @ self.t["transformer.wte.weight"].T


class Llama:
    """The same of a LlamaForCausalLM; rope "half" (HF's order of rotary pairs) or "interleaved"."""

    def __init__(self, config, tensors, rope="half"):
        self.n_layers, self.n_heads = config["num_hidden_layers"], config["num_attention_heads"]
        self.d_model, self.d_head = config["hidden_size"], config["head_dim"]
        self.n_shared = self.n_heads // config["num_key_value_heads"]
        self.eps, self.t, self.rope = config["rms_norm_eps"], tensors, rope
        self.frequencies = config["rope_theta"] ** (-np.arange(0, self.d_head, 2) / self.d_head)

    def layer(self, i, name):
        return self.t[f"model.layers.{i}.{name}.weight"]

    def embed(self, tokens):
        return {"embed": self.t["model.embed_tokens.weight"][tokens]}

    def norm(self, x, weight):
        return x / np.sqrt((x ** 2).mean(-1, keepdims=True) + self.eps) * weight

    def norm_attention(self, x, i):
        return self.norm(x, self.layer(i, "input_layernorm"))

    def norm_mlp(self, x, i):
        return self.norm(x, self.layer(i, "post_attention_layernorm"))

    def project(self, x, i, head, part):
        at = (head if part == "q" else head // self.n_shared) * self.d_head
        return x @ self.layer(i, f"self_attn.{part}_proj")[at:at + self.d_head].T

    def turn(self, x):
        """Rotary positions of q or k [.., n_tokens, d_head]."""
        angles = np.arange(x.shape[-2])[:, None] * self.frequencies
        half = self.d_head // 2
        first, second = (slice(0, half), slice(half, None)) if self.rope == "half" \
            else (slice(0, None, 2), slice(1, None, 2))
        out = np.empty_like(x)
        out[..., first] = x[..., first] * np.cos(angles) - x[..., second] * np.sin(angles)
        out[..., second] = x[..., second] * np.cos(angles) + x[..., first] * np.sin(angles)
        return out

    def output(self, i, head):
        return self.layer(i, "self_attn.o_proj")[:, head * self.d_head:(head + 1) * self.d_head].T

    def output_bias(self, i):
        return 0.0

    def mlp(self, x, i):
        gate = x @ self.layer(i, "mlp.gate_proj").T
        post = gate / (1 + np.exp(-gate)) * (x @ self.layer(i, "mlp.up_proj").T)
        return post @ self.layer(i, "mlp.down_proj").T

    def unembed(self, x):
        return self.norm(x, self.t["model.norm.weight"]) @ self.t["lm_head.weight"].T


def open_model(folder, rope=None):
    config = json.loads((Path(folder) / "config.json").read_text())
    tensors = read_tensors(Path(folder) / "model.safetensors")
    if config["model_type"] == "gpt2":
        return Gpt2(config, tensors)
    return Llama(config, tensors, rope or "half")


def components(model):
    return [part for i in range(model.n_layers)
            for part in [*(("head", i, h) for h in range(model.n_heads)), ("mlp", i)]]


def attend(model, i, head, inputs):
    """(z, pattern) of one head; inputs: the normed stream that q, k and v each read."""
    q, k, v = (model.project(inputs[p], i, head, p) for p in "qkv")
    scores = model.turn(q) @ model.turn(k).swapaxes(-1, -2) / np.sqrt(model.d_head)
    n = scores.shape[-1]
    pattern = softmax(np.where(np.tril(np.ones((n, n), bool)), scores, -np.inf))
    return pattern @ v, pattern


def run(model, tokens, replace=None, edges=None):
    """Logits [n, T, V] and what every component wrote.

    replace: {component: what it writes instead}. edges: {(component, input): delta}: the stream as
    that one input ("q", "k", "v"; None of an MLP) of that component reads it, plus delta;
    ("logits", None) the last. A delta may be a function of what has been written in this run.
    """
    replace, edges = replace or {}, edges or {}
    wrote, patterns = dict(model.embed(tokens)), {}

    def read(stream, receiver, channel):
        delta = edges.get((receiver, channel), 0.0)
        return stream + (delta(wrote) if callable(delta) else delta)

    stream = sum(wrote.values())
    for i in range(model.n_layers):
        attention, normed = model.output_bias(i), model.norm_attention(stream, i)
        parts = [("head", i, head) for head in range(model.n_heads)]
        inputs = {part: {p: model.norm_attention(read(stream, part, p), i) if (part, p) in edges
                         else normed for p in "qkv"} for part in parts}
        for head, part in enumerate(parts):
            z, patterns[part] = attend(model, i, head, inputs[part])
            wrote[part] = replace.get(part, z @ model.output(i, head))
            attention = attention + wrote[part]
        stream = stream + attention
        part = ("mlp", i)
        wrote[part] = replace[part] if part in replace else \
            model.mlp(model.norm_mlp(read(stream, part, None), i), i)
        stream = stream + wrote[part]
    return model.unembed(read(stream, "logits", None)), wrote, patterns
