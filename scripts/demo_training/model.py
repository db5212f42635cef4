"""The GPT-2 architecture in plain torch, and its conversion to a Hugging Face directory."""
import json
from dataclasses import asdict, dataclass

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Shape:
    vocabulary: int = 4096
    context: int = 128
    width: int = 128
    layers: int = 4
    heads: int = 4


class Block(nn.Module):
    def __init__(self, shape):
        super().__init__()
        width = shape.width
        self.heads = shape.heads
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention_in, self.attention_out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp_in, self.mlp_out = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        rows, length, width = x.shape
        parts = self.attention_in(self.ln_1(x)).view(rows, length, 3, self.heads, -1)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.attention_out(mixed.transpose(1, 2).reshape(rows, length, width))
        return x + self.mlp_out(F.gelu(self.mlp_in(self.ln_2(x)), approximate="tanh"))


class Gpt2(nn.Module):
    """Logits [rows, length, vocabulary] from ids [rows, length]; output tied to the embedding."""

    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        self.tokens = nn.Embedding(shape.vocabulary, shape.width)
        self.positions = nn.Embedding(shape.context, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.ln_f = nn.LayerNorm(shape.width)
        self.apply(self.start)
        nn.init.normal_(self.positions.weight, std=5 * 0.02)   # makes positions usable early
        for block in self.blocks:
            for layer in (block.attention_out, block.mlp_out):
                nn.init.normal_(layer.weight, std=0.02 / (2 * shape.layers) ** 0.5)

    @staticmethod
    def start(module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)

    def residual(self, ids, layers):
        """The residual stream before block `layers`: [rows, length, width]."""
        x = self.tokens(ids) + self.positions.weight[:ids.shape[1]]
        for block in self.blocks[:layers]:
            x = block(x)
        return x

    def finish(self, x, layers):
        """Logits from the residual stream before block `layers`."""
        for block in self.blocks[layers:]:
            x = block(x)
        return F.linear(self.ln_f(x), self.tokens.weight)

    def forward(self, ids):
        return self.finish(self.residual(ids, 0), 0)

    def loss(self, rows):
        """Mean next-token loss of `rows` [n, context + 1], in nats."""
        logits = self(rows[:, :-1])
        return F.cross_entropy(logits.flatten(0, 1).float(), rows[:, 1:].flatten())


def hf_tensors(model):
    """The weights under GPT-2's names; Conv1D keeps [in, out], so matrices are transposed."""
    state = model.state_dict()
    out = {"transformer.wte.weight": state["tokens.weight"],
           "transformer.wpe.weight": state["positions.weight"],
           "transformer.ln_f.weight": state["ln_f.weight"],
           "transformer.ln_f.bias": state["ln_f.bias"]}
    names = {"attention_in": "attn.c_attn", "attention_out": "attn.c_proj",
             "mlp_in": "mlp.c_fc", "mlp_out": "mlp.c_proj"}
    for layer in range(model.shape.layers):
        ours, theirs = f"blocks.{layer}.", f"transformer.h.{layer}."
        for norm in ("ln_1", "ln_2"):
            for part in ("weight", "bias"):
                out[f"{theirs}{norm}.{part}"] = state[f"{ours}{norm}.{part}"]
        for mine, name in names.items():
            out[f"{theirs}{name}.weight"] = state[f"{ours}{mine}.weight"].T
            out[f"{theirs}{name}.bias"] = state[f"{ours}{mine}.bias"]
    return {name: tensor.contiguous().half() for name, tensor in out.items()}


def export(model, folder, end_id):
    """Writes config.json and model.safetensors (float16)."""
    shape = model.shape
    config = {
        "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2",
        "activation_function": "gelu_new", "attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0,
        "bos_token_id": end_id, "eos_token_id": end_id, "initializer_range": 0.02,
        "layer_norm_epsilon": 1e-5, "n_ctx": shape.context, "n_positions": shape.context,
        "n_embd": shape.width, "n_head": shape.heads, "n_layer": shape.layers, "n_inner": None,
        "reorder_and_upcast_attn": False, "scale_attn_by_inverse_layer_idx": False,
        "scale_attn_weights": True, "tie_word_embeddings": True, "torch_dtype": "float16",
        "use_cache": True, "vocab_size": shape.vocabulary}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    weights = folder / "model.safetensors"
    save_file(hf_tensors(model), str(weights), metadata={"format": "pt"})
    weights.chmod(0o644)


def save(model, path, extra):
    """An atomic checkpoint: the file is whole or it is the one before."""
    part = path.with_suffix(".part")
    torch.save({"shape": asdict(model.shape), "model": model.state_dict(), **extra}, part)
    part.replace(path)


def load(path):
    """(model, the checkpoint's dictionary)"""
    checkpoint = torch.load(path, weights_only=False)
    model = Gpt2(Shape(**checkpoint["shape"]))
    model.load_state_dict(checkpoint["model"])
    return model, checkpoint
