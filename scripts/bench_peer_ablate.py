#!/usr/bin/env python3
"""The peer of `interp-worker bench --what ablate`: the same node sweep in TransformerLens.

Reads one JSON request a line on stdin and answers with one JSON line:
  {"what": "open", "model": DIR, "prompts": 8, "ctx": 16, "threads": 1}   the checkpoint, as
      TransformerLens converts it from transformers' GPT-2 (nothing folded, nothing centred)
  {"what": "hooks", "seconds": S}      every head and MLP set to zero, one after the other, by
      run_with_hooks(); answers with variant-tokens a second of processor time
  {"what": "patching", "seconds": S}   the same of the heads by transformer_lens.patching's loop
      (get_act_patch_attn_head_out_all_pos), from a cache of zeros
  {"what": "effect"}   mean over nodes and prompts of the change of logit 1 less logit 2 at the end
Run by scripts/bench-ablate; needs torch, transformers, transformer-lens (scripts/oracles-env).
"""

import json
import random
import sys
import time

import torch
import transformer_lens
from transformer_lens import HookedTransformer, HookedTransformerConfig, patching
from transformer_lens.pretrained.weight_conversions import convert_gpt2_weights
from transformers import AutoModelForCausalLM

ANSWERS = (1, 2)


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
        self.tokens = tokens_of(request["prompts"], request["ctx"], self.model.cfg.d_vocab)
        layers, heads = range(self.model.cfg.n_layers), range(self.model.cfg.n_heads)
        self.nodes = [(f"blocks.{i}.attn.hook_z", zero_head(h)) for i in layers for h in heads]
        self.nodes += [(f"blocks.{i}.hook_mlp_out", zero_all) for i in layers]
        self.order = random.Random(1).sample(range(len(self.nodes)), len(self.nodes))
        self.at = 0

    def difference(self, logits):
        return logits[:, -1, ANSWERS[0]] - logits[:, -1, ANSWERS[1]]

    def ablate(self, node):
        return self.difference(self.model.run_with_hooks(self.tokens, fwd_hooks=[node]))

    def measure(self, seconds, step):
        """Best of the windows is the caller's: one window here, after a warm step."""
        step()
        n, began = 0, time.process_time()
        while time.process_time() - began < seconds or n == 0:
            n += step()
        return n * self.tokens.numel() / (time.process_time() - began)

    def hooks_step(self):
        """A few nodes at a time, in an order that spreads them over the layers."""
        for _ in range(12):
            self.ablate(self.nodes[self.order[self.at]])
            self.at = (self.at + 1) % len(self.order)
        return 12

    def patching_step(self):
        c = self.model.cfg
        zeros = torch.zeros(*self.tokens.shape, c.n_heads, c.d_head)
        cache = {f"blocks.{i}.attn.hook_z": zeros for i in range(c.n_layers)}
        patching.get_act_patch_attn_head_out_all_pos(
            self.model, self.tokens, cache, lambda logits: self.difference(logits).mean())
        return c.n_layers * c.n_heads

    def effect(self):
        clean = self.difference(self.model(self.tokens))
        return float(torch.stack([(self.ablate(n) - clean).abs() for n in self.nodes]).mean())


def main():
    sweep = None
    print(json.dumps({"what": "peer", "torch": torch.__version__,
                      "transformer_lens": getattr(transformer_lens, "__version__", "?")}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        with torch.inference_mode():
            if request["what"] == "open":
                sweep = Sweep(request)
                answer = {"nodes": len(sweep.nodes)}
            elif request["what"] == "effect":
                answer = {"mean_effect": sweep.effect()}
            else:
                step = sweep.hooks_step if request["what"] == "hooks" else sweep.patching_step
                answer = {"variant_tokens_per_cpu_s": sweep.measure(request["seconds"], step)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
