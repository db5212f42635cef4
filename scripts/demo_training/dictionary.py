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
WARM_UP_STEPS = 50
REPORT_EVERY = 50


@dataclass(frozen=True)
class Width:
    features: int = 16384
    active: int = 40


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

    def state(self):
        return (self.rows.random.bit_generator.state, self.generator.get_state(), self.waiting)

    def restore(self, state):
        self.rows.random.bit_generator.state = state[0]
        self.generator.set_state(state[1])
        self.waiting = list(state[2])


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


class Run:
    """One training run, resumable from its checkpoint; `origin` names what it is a run of."""

    def __init__(self, path, model, tokens, token_limit, origin, width=Width()):
        torch.manual_seed(SEED)
        self.path, self.origin = path, (*origin, int(token_limit), width.features, width.active)
        self.steps = max(int(token_limit) // BATCH_TOKENS, 1)
        self.step, self.seconds = 0, 0.0
        self.source = Activations(model, tokens)
        self.sae = TopK(self.source.batch(), width)
        self.optimizer = torch.optim.Adam(self.sae.parameters(), lr=PEAK_RATE, fused=True)
        self.last_seen = torch.zeros(width.features, dtype=torch.int64)
        if path.exists():
            self.resume(torch.load(path, weights_only=False))

    def resume(self, state):
        if state["origin"] != self.origin:
            print("the dictionary's checkpoint is of another run: starting anew", flush=True)
            return
        self.sae.load_state_dict(state["sae"])
        self.sae.scale = state["scale"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.source.restore(state["source"])
        self.step, self.seconds, self.last_seen = (
            state["step"], state["seconds"], state["last_seen"])
        print(f"dictionary resumed at step {self.step}", flush=True)

    def checkpoint(self):
        part = self.path.with_suffix(".part")
        torch.save({"origin": self.origin, "sae": self.sae.state_dict(), "scale": self.sae.scale,
                    "optimizer": self.optimizer.state_dict(), "source": self.source.state(),
                    "step": self.step, "seconds": self.seconds, "last_seen": self.last_seen}, part)
        part.replace(self.path)

    def rate(self):
        left = (self.steps - self.step) / self.steps / (1 - DECAY_FROM)
        return PEAK_RATE * min(1.0, left, (self.step + 1) / WARM_UP_STEPS)

    def one_step(self):
        """Returns the explained variance of its batch."""
        self.optimizer.param_groups[0]["lr"] = self.rate()
        x = self.source.batch() / self.sae.scale
        rebuilt, chosen, values = self.sae(x)
        loss = (rebuilt - x).square().mean()
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.sae.tidy()
        self.last_seen[chosen[values > 0]] = self.step
        self.step += 1
        return 1 - loss.item() / (x - x.mean(0)).square().mean().item()

    def report(self, explained):
        seen, left = self.step * BATCH_TOKENS, self.steps - self.step
        quiet = (self.last_seen < self.step - 100).float().mean().item()
        print(f"dictionary {seen / 1e6:5.2f}M tokens {100 * self.step / self.steps:5.1f} %  "
              f"explained {explained:.3f}  silent for 100 steps {100 * quiet:.2f} %  "
              f"{seen / self.seconds:,.0f} tokens/s  "
              f"ETA {self.seconds / self.step * left / 60:.1f} min", flush=True)

    def train(self):
        """Runs to the token limit; returns the trained TopK module."""
        while self.step < self.steps:
            start = time.monotonic()
            explained = self.one_step()
            self.seconds += time.monotonic() - start
            if self.step % REPORT_EVERY == 0 or self.step == self.steps:
                self.report(explained)
                self.checkpoint()
        return self.sae


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
    weights = folder / "sae_weights.safetensors"
    save_file(halves, str(weights))
    weights.chmod(0o644)
