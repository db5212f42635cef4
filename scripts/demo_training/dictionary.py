"""Trains the sparse autoencoder (TopK) on the residual stream before one block.

The wide product is done once a step, without gradients, only to choose the k features of each
token; their pre-activations are then computed again from the chosen rows, so that forward and
backward cost k rows a token and not all of them.
"""
import json
import time
from dataclasses import dataclass

import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from .tokens import Rows

SEED = 2
LAYER = 2
HOOK_NAME = f"blocks.{LAYER}.hook_resid_pre"
BATCH_TOKENS = 2048
BUFFER_BATCHES = 8
PEAK_RATE = 1e-3
DECAY_FROM = 0.7           # share of the run after which the rate falls linearly
REPORT_EVERY = 50


@dataclass(frozen=True)
class Width:
    features: int = 16384
    active: int = 32


class Activations:
    """Rows of the residual stream: [tokens, d] batches from natural text, shuffled in a buffer."""

    def __init__(self, model, tokens):
        self.model, self.context = model.eval(), model.shape.context
        self.rows = Rows(tokens, self.context, SEED)
        self.generator = torch.Generator().manual_seed(SEED)
        self.waiting = []

    @torch.no_grad()
    def fill(self):
        count = BATCH_TOKENS * BUFFER_BATCHES // self.context
        ids = torch.from_numpy(self.rows.batch(count, 0.0))[:, :-1]
        values = self.model.residual(ids, LAYER).flatten(0, 1)
        order = torch.randperm(len(values), generator=self.generator)
        self.waiting = list(values[order].split(BATCH_TOKENS))

    def batch(self):
        if not self.waiting:
            self.fill()
        return self.waiting.pop()


class TopK(torch.nn.Module):
    """Works on inputs divided by `scale`, so that their mean square is about 1."""

    def __init__(self, sample, width):
        super().__init__()
        d = sample.shape[1]
        centre = sample.mean(0)
        self.active = width.active
        self.scale = (sample - centre).square().mean().sqrt().item()
        rows = F.normalize(torch.randn(width.features, d,
                                       generator=torch.Generator().manual_seed(SEED)))
        self.decoder = torch.nn.Parameter(rows.clone())         # [features, d], unit rows
        self.encoder = torch.nn.Parameter(rows.clone())         # [features, d]
        self.encoder_bias = torch.nn.Parameter(torch.zeros(width.features))
        self.centre = torch.nn.Parameter(centre / self.scale)

    def forward(self, x):
        """(reconstruction, chosen features [tokens, k], their values)."""
        x = x - self.centre
        with torch.no_grad():
            wide = torch.addmm(self.encoder_bias, x, self.encoder.T)
            chosen = wide.topk(self.active, sorted=False).indices
        values = torch.bmm(F.embedding(chosen, self.encoder), x[:, :, None])[..., 0]
        values = F.relu(values + self.encoder_bias[chosen])
        rebuilt = torch.bmm(values[:, None], F.embedding(chosen, self.decoder))[:, 0]
        return rebuilt + self.centre, chosen, values

    @torch.no_grad()
    def tidy(self):
        """Decoder rows back to unit length."""
        self.decoder.copy_(F.normalize(self.decoder))

    def weights(self):
        """Tensors as SAELens stores them, for unscaled inputs."""
        return {"W_enc": self.encoder.detach().T.contiguous(), "W_dec": self.decoder.detach(),
                "b_enc": self.encoder_bias.detach() * self.scale,
                "b_dec": self.centre.detach() * self.scale}


def train(model, tokens, token_limit, width=Width()):
    """Returns the trained TopK module; prints one line every REPORT_EVERY steps."""
    torch.manual_seed(SEED)
    source = Activations(model, tokens)
    sae = TopK(source.batch(), width)
    optimizer = torch.optim.Adam(sae.parameters(), lr=PEAK_RATE, fused=True)
    steps = max(int(token_limit) // BATCH_TOKENS, 1)
    last_seen = torch.zeros(width.features, dtype=torch.int64)
    start = time.monotonic()
    for step in range(steps):
        left = (steps - step) / steps / (1 - DECAY_FROM)
        optimizer.param_groups[0]["lr"] = PEAK_RATE * min(1.0, left, (step + 1) / 50)
        x = source.batch() / sae.scale
        rebuilt, chosen, values = sae(x)
        loss = (rebuilt - x).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        sae.tidy()
        last_seen[chosen[values > 0]] = step
        if (step + 1) % REPORT_EVERY == 0:
            spent = time.monotonic() - start
            explained = 1 - loss.item() / (x - x.mean(0)).square().mean().item()
            quiet = (last_seen < step - 100).float().mean().item() if step > 100 else 0.0
            print(f"dictionary {(step + 1) * BATCH_TOKENS / 1e6:5.2f}M tokens "
                  f"{100 * (step + 1) / steps:5.1f} %  explained {explained:.3f}  silent for "
                  f"100 steps {100 * quiet:.2f} %  {(step + 1) * BATCH_TOKENS / spent:,.0f} tokens/s"
                  f"  ETA {spent / (step + 1) * (steps - step - 1) / 60:.1f} min", flush=True)
    return sae


def export(sae, folder, model_name, context):
    """Writes cfg.json by SAELens itself, and its weights as float16."""
    from sae_lens.saes.sae import SAEMetadata
    from sae_lens.saes.topk_sae import TopKSAE, TopKSAEConfig
    features, d = sae.decoder.shape
    metadata = SAEMetadata(
        model_name=model_name, hook_name=HOOK_NAME, hook_head_index=None,
        model_class_name="HookedTransformer",
        model_from_pretrained_kwargs={},      # the raw residual stream, nothing centred or folded
        prepend_bos=True, exclude_special_tokens=False, context_size=context,
        dataset_path="corpus/demo.jsonl.gz", seqpos_slice=[None])
    config = TopKSAEConfig(d_in=d, d_sae=features, dtype="float32", device="cpu",
                           apply_b_dec_to_input=True, normalize_activations="none",
                           reshape_activations="none", metadata=metadata, k=sae.active,
                           rescale_acts_by_decoder_norm=False)
    holder = TopKSAE(config)
    holder.load_state_dict(sae.weights())
    holder.save_model(folder)
    cfg = folder / "cfg.json"
    cfg.write_text(json.dumps(json.loads(cfg.read_text()), indent=2) + "\n")
    halves = {name: tensor.half().contiguous() for name, tensor in sae.weights().items()}
    save_file(halves, str(folder / "sae_weights.safetensors"))
