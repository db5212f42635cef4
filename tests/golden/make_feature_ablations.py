#!/usr/bin/env python3
"""Make tests/golden/feature_ablations.json: what transformers and SAELens compute when features of a
dictionary, or what it does not explain, are ablated.

The forward pass is that of transformers; hooks of torch change it: x + decode(f') - decode(f) for
features, with f what SAELens encodes from x in that very run, and x + error' - error for the error
x - decode(f). error' and f' are 0, the mean over the reference prompts at the same position, or what
the corrupted prompt has. `upstream`: columns 3 to 7 of the residual stream in front of layer 0 are 0.

Run: .oracles/bin/python tests/golden/make_feature_ablations.py [PART OF A NAME]
"""

import json
import sys
from pathlib import Path

import torch

from make_steering import DICTIONARIES, HERE, Steered, load_sae, read_tokens

N_CTX, N_PROMPTS, N_REFERENCE, ANSWER, DISTRACTOR = 9, 3, 4, 5, 11
UPSTREAM = (3, 8)
LATE = [[6, 8], [5, 7], [8]]  # named positions of each prompt


def prompts_of(model):
    """Clean, corrupted and reference prompts [n, N_CTX] of the golden model's tokens."""
    flat = read_tokens(model).reshape(-1)
    rows = [flat[i * 2:i * 2 + N_CTX] for i in range(N_PROMPTS + N_REFERENCE)]
    clean = torch.stack(rows[:N_PROMPTS])
    corrupted = clean.clone()
    corrupted[:, 2] = flat[-1 - torch.arange(N_PROMPTS)]
    return clean, corrupted, torch.stack(rows[N_PROMPTS:])


class Study:
    """A dictionary at its hook point."""

    def __init__(self, name, known):
        folder = HERE / "dictionaries" / name
        config = json.loads((folder / "cfg.json").read_text())
        kwargs = config.get("metadata", config).get("model_from_pretrained_kwargs") or {}
        self.is_centred = kwargs.get("center_writing_weights", False)
        self.sae = load_sae(folder, known.get("norm_scaling_factor"))
        self.model, self.hook = Steered(HERE / "models" / known["model"]), known["hook"]
        self.clean, self.corrupted, self.reference = prompts_of(known["model"])
        acts = [self.read(tokens) for tokens in (self.clean, self.corrupted, self.reference)]
        self.acts = acts[0][0]
        self.values = {"zero": [torch.zeros_like(part) for part in acts[0]], "resample": acts[1],
                       "mean": [part.mean(0, keepdim=True).expand_as(other)
                                for part, other in zip(acts[2], acts[0])]}

    def encode(self, x):
        return self.sae.encode(x - x.mean(-1, keepdim=True) if self.is_centred else x)

    def explain(self, x):
        """Activations and error."""
        acts = self.encode(x)
        return acts, x - self.sae.decode(acts).reshape(x.shape)

    def read(self, tokens):
        found = []

        def look(x):
            found.append(self.explain(x))
            return x
        self.model.logits(tokens, self.hook, look)
        return found[0]

    def change(self, changes):
        """changes: [(feature or None for the error, value, is at named positions)]"""
        late = torch.zeros(N_PROMPTS, N_CTX, dtype=torch.bool)
        for prompt, positions in enumerate(LATE):
            late[prompt, positions] = True
        all_of_them = torch.ones_like(late)

        def apply(x):
            acts, error = self.explain(x)
            wanted, out = acts.clone(), x
            for feature, value, is_late in changes:
                where = late if is_late else all_of_them
                new_acts, new_error = self.values[value]
                if feature is None:
                    out = torch.where(where[..., None], out + new_error - error, out)
                else:
                    wanted[..., feature] = torch.where(where, new_acts[..., feature],
                                                       wanted[..., feature])
            self.encode(x)  # decode() undoes the norm of the last encode(), once
            after = self.sae.decode(wanted)
            self.encode(x)
            return out + (after - self.sae.decode(acts)).reshape(x.shape)
        return apply

    def run(self, changes, is_upstream):
        """[answer logit, distractor logit] of every prompt."""
        handle = None
        if is_upstream:
            def silence(_, args):
                x = args[0].clone()
                x[..., UPSTREAM[0]:UPSTREAM[1]] = 0
                return (x, *args[1:])
            module, _ = self.model.place("blocks.0.hook_resid_pre")
            handle = module.register_forward_pre_hook(silence)
        with torch.no_grad():
            logits = self.model.logits(self.clean, self.hook if changes else None,
                                       self.change(changes) if changes else None)
        if handle:
            handle.remove()
        return logits[:, -1, [ANSWER, DISTRACTOR]].double().tolist()


def variants(features):
    busy, second, rare = features
    for value in ("zero", "mean", "resample"):
        yield [(busy, value, False)], False
        yield [(rare, value, False)], False
        yield [(busy, value, False), (second, value, True)], False
        yield [(None, value, False)], False
        yield [(None, value, True), (second, value, False)], False
        yield [(busy, value, False)], True


def study(name, known):
    s = Study(name, known)
    counts = (s.acts > 0).reshape(-1, s.acts.shape[-1]).sum(0)
    order = counts.argsort(descending=True, stable=True)
    here = (s.acts > 0).any(1)  # [n_prompts, n_features]
    some = [int(f) for f in order if 0 < int(here[:, f].sum()) < N_PROMPTS]
    features = [int(order[0]), int(order[1]), some[0] if some else int(order[-1])]
    records = []
    for changes, is_upstream in [([], False), *variants(features)]:
        records.append({"changes": [list(c) for c in changes], "upstream": is_upstream,
                        "logits": [[round(x, 7) for x in row]
                                   for row in s.run(changes, is_upstream)]})
    silent = [[int(f), [int(p) for p in range(N_PROMPTS) if not here[p, f]]] for f in features]
    moved = max(abs(a - b) for r in records[1:] for x, y in zip(r["logits"], records[0]["logits"])
                for a, b in zip(x, y))
    assert moved > 1e-3, (name, moved)
    print(f"{name}: features {features}, silent {silent}, largest effect {moved:.4f}")
    return {"name": name, **known, "clean": s.clean.tolist(), "corrupted": s.corrupted.tolist(),
            "reference": s.reference.tolist(), "silent": silent, "records": records}


def main():
    torch.set_grad_enabled(False)
    known = json.loads((HERE / "dictionaries" / "cases.json").read_text())["encode"]
    wanted = sys.argv[1:]
    cases = [study(name, known[name]) for name in DICTIONARIES
             if not wanted or any(part in name for part in wanted)]
    out = {"answer": ANSWER, "distractor": DISTRACTOR, "positions": LATE,
           "upstream": list(UPSTREAM), "cases": cases}
    text = json.dumps(out, separators=(",", ":")).replace('{"changes"', '\n{"changes"') \
        .replace('{"name"', '\n{"name"')
    Path(HERE / "feature_ablations.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
