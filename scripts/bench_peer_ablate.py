#!/usr/bin/env python3
"""The peer of `interp-worker bench --what ablate`: the same node sweep in TransformerLens.

Reads one JSON request a line on stdin and answers with one JSON line:
  {"what": "open", "model": DIR, "threads": 1}   the checkpoint, as TransformerLens converts it
      from transformers' GPT-2 (nothing folded, nothing centred)
  {"what": "hooks", "seconds": S, "prompts": 8, "ctx": 16}   every head and MLP set to zero, one
      after the other, by run_with_hooks(), in an order that spreads them over the layers, for S
      seconds; answers with
      variant-tokens a second of processor time, and the effect of each node that it got to: by its
      number (layer by layer, heads first), the change of logit 1 less logit 2 at the end, mean over
      prompts
  {"what": "patching", ...}   the same of heads by the loop of transformer_lens.patching
      (generic_activation_patch), from a cache of zeros
Run by scripts/bench-ablate; needs torch, transformers, transformer-lens (scripts/oracles-env).
"""

import json
import random
import sys
import time
from importlib.metadata import version

import pandas
import torch
from transformer_lens import HookedTransformer, HookedTransformerConfig
from transformer_lens.patching import generic_activation_patch, layer_head_vector_patch_setter
from transformer_lens.pretrained.weight_conversions import convert_gpt2_weights
from transformers import AutoModelForCausalLM

ANSWERS = (1, 2)
N_STEP = 12  # nodes between two looks at the clock


def open_model(directory):
    source = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    c = source.config
    config = HookedTransformerConfig(
        n_layers=c.n_layer, d_model=c.n_embd, n_ctx=c.n_positions, d_head=c.n_embd // c.n_head,
        n_heads=c.n_head, d_mlp=4 * c.n_embd, d_vocab=c.vocab_size, act_fn="gelu_new",
        eps=c.layer_norm_epsilon, normalization_type="LN", device="cpu",
        default_prepend_bos=False)
    model = HookedTransformer(config)
    model.load_state_dict(convert_gpt2_weights(source, config), strict=False)
    return model.eval()


def tokens_of(n_prompts, n_ctx, n_vocab):
    """The tokens that `interp-worker bench` makes."""
    state, tokens = 1, []
    for _ in range(n_prompts * n_ctx):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2 ** 64
        tokens.append((state >> 33) % n_vocab)
    return torch.tensor(tokens).reshape(n_prompts, n_ctx)


def zero_head(head):
    def hook(z, hook):
        z[:, :, head] = 0.0
        return z
    return hook


def zero_all(out, hook):
    return torch.zeros_like(out)


class Sweep:
    def __init__(self, request):
        torch.set_num_threads(request["threads"])
        self.model = open_model(request["model"])
        layers, heads = self.model.cfg.n_layers, self.model.cfg.n_heads
        self.nodes = [(f"blocks.{i}.attn.hook_z", zero_head(h)) if h < heads else
                      (f"blocks.{i}.hook_mlp_out", zero_all)
                      for i in range(layers) for h in range(heads + 1)]
        self.order = random.Random(1).sample(range(len(self.nodes)), len(self.nodes))

    def load(self, request):
        """The prompts of one length."""
        self.tokens = tokens_of(request["prompts"], request["ctx"], self.model.cfg.d_vocab)
        self.clean = self.difference(self.model(self.tokens))
        shape = (*self.tokens.shape, self.model.cfg.n_heads, self.model.cfg.d_head)
        self.zeros = {f"blocks.{i}.attn.hook_z": torch.zeros(shape)
                      for i in range(self.model.cfg.n_layers)}
        self.at, self.effects = 0, {}

    def difference(self, logits):
        return logits[:, -1, ANSWERS[0]] - logits[:, -1, ANSWERS[1]]

    def next_nodes(self):
        nodes = [self.order[(self.at + i) % len(self.order)] for i in range(N_STEP)]
        self.at += N_STEP
        return nodes

    def hooks_step(self):
        for node in self.next_nodes():
            logits = self.model.run_with_hooks(self.tokens, fwd_hooks=[self.nodes[node]])
            self.effects[node] = float((self.difference(logits) - self.clean).abs().mean())

    def patching_step(self):
        each = self.model.cfg.n_heads + 1
        heads = [divmod(n, each) for n in self.next_nodes()]
        index = pandas.DataFrame([(i, h % self.model.cfg.n_heads) for i, h in heads],
                                 columns=["layer", "head"])
        generic_activation_patch(
            self.model, self.tokens, self.zeros, lambda logits: self.difference(logits).mean(),
            patch_setter=layer_head_vector_patch_setter, activation_name="z", index_df=index)

    def measure(self, what, seconds):
        step = self.hooks_step if what == "hooks" else self.patching_step
        self.model(self.tokens)
        n, began = 0, time.process_time()
        while time.process_time() - began < seconds or n == 0:
            step()
            n += N_STEP
        rate = n * self.tokens.numel() / (time.process_time() - began)
        return {"variant_tokens_per_cpu_s": rate,
                "effects": self.effects if what == "hooks" else {}}


def main():
    sweep = None
    print(json.dumps({"what": "peer", "torch": torch.__version__,
                      "transformer_lens": version("transformer-lens")}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        with torch.inference_mode():
            if request["what"] == "open":
                sweep = Sweep(request)
                answer = {"nodes": len(sweep.nodes)}
            else:
                sweep.load(request)
                answer = sweep.measure(request["what"], request["seconds"])
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
