#!/usr/bin/env python3
"""Make tests/golden/steering: what transformers and SAELens compute when features are steered.

The forward pass is that of transformers, the change is made by a hook of torch: for a dictionary
x + decode(f') - decode(f), with f what SAELens encodes from x and f' what is wanted of it; for
neurons, residual dimensions and heads the column itself.

  cases.json             edits: [{name, model, hook, units, dictionary?, norm_scaling_factor?, begin,
                         end, interventions: [[slot, "add" | "set", value]], kl}], tokens of
                         tests/golden/models; slots as in a capture of all features; kl: mean of
                         KL(clean || steered) over the changed tokens, in float64
                         generations: [{has_bos, prompt, where, interventions, kl, changes: [[token, p_clean,
                         p_steered]], clean: [tokens], steered: [tokens]}] on config/demo, greedy
  expected.safetensors   NAME: logits with the edit, float32 [n_rows, n_tokens, n_vocab]

Run: python tests/golden/make_steering.py     (needs torch, transformers, sae-lens; models/ and
dictionaries/ must exist)
"""

import json
import shutil
from pathlib import Path

import torch
from safetensors.numpy import save_file as save_numpy
from sae_lens import SAE
from transformers import AutoModelForCausalLM, AutoTokenizer

HERE = Path(__file__).resolve().parent
OUT = HERE / "steering"
DEMO = HERE.parents[1] / "config" / "demo"
N_NEW = 12
N_CHANGES = 10


# ---- the model, changed on its way --------------------------------------------------------------

class Steered:
    """A model of transformers, with `change(x)` at one hook point ([..., d], heads flattened)."""

    def __init__(self, folder):
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.is_gpt2 = self.model.config.model_type == "gpt2"
        self.n_heads = self.model.config.num_attention_heads

    def place(self, hook):
        """The module to hook, and whether its input or its output is the hook point."""
        layer, rest = hook.removeprefix("blocks.").split(".", 1)
        core = self.model.transformer if self.is_gpt2 else self.model.model
        block = (core.h if self.is_gpt2 else core.layers)[int(layer)]
        attention = block.attn if self.is_gpt2 else block.self_attn
        out = attention.c_proj if self.is_gpt2 else attention.o_proj
        down = block.mlp.c_proj if self.is_gpt2 else block.mlp.down_proj
        return {"hook_resid_pre": (block, True), "hook_resid_post": (block, False),
                "attn.hook_z": (out, True), "hook_attn_out": (out, False),
                "mlp.hook_post": (down, True), "hook_mlp_out": (block.mlp, False)}[rest]

    def logits(self, tokens, hook=None, change=None):
        handle = None
        if hook:
            module, is_input = self.place(hook)
            if is_input:
                handle = module.register_forward_pre_hook(
                    lambda _, args: (change(args[0]), *args[1:]))
            else:
                handle = module.register_forward_hook(
                    lambda _, args, out: (change(out[0]), *out[1:]) if isinstance(out, tuple)
                    else change(out))
        with torch.no_grad():
            logits = self.model(tokens, use_cache=False).logits
        if handle:
            handle.remove()
        return logits


# ---- the change ---------------------------------------------------------------------------------

def wanted_acts(acts, interventions):
    wanted = acts.clone()
    for slot, kind, value in interventions:
        wanted[..., slot] = value if kind == "set" else wanted[..., slot] + value
    return wanted


def dictionary_change(sae, is_centred, interventions):
    def change(x):
        def reconstruct(edit):
            at = x - x.mean(dim=-1, keepdim=True) if is_centred else x
            acts = sae.encode(at)
            return sae.decode(edit(acts))
        with torch.no_grad():
            return x + reconstruct(lambda f: wanted_acts(f, interventions)) - reconstruct(
                lambda f: f)
    return change


def column_change(interventions):
    """Slot 2 i is max(x_i, 0), slot 2 i + 1 max(-x_i, 0)."""
    def change(x):
        out = x.clone()
        for slot, kind, value in interventions:
            sign = -1.0 if slot % 2 else 1.0
            activation = torch.relu(sign * x[..., slot // 2])
            out[..., slot // 2] += sign * (value - activation if kind == "set" else value)
        return out
    return change


def head_change(n_heads, interventions):
    def change(x):
        out = x.clone().reshape(*x.shape[:-1], n_heads, -1)
        for slot, kind, value in interventions:
            assert kind == "set" and value == 0
            out[..., slot, :] = 0
        return out.reshape(x.shape)
    return change


def within(change, begin, end):
    """Only tokens [begin, end) are changed."""
    def changed(x):
        out = x.clone()
        out[:, begin:end] = change(x)[:, begin:end]
        return out
    return changed


def load_sae(folder, factor=None):
    sae = SAE.load_from_disk(folder, device="cpu", dtype="float32")
    if factor:
        sae.fold_activation_norm_scaling_factor(factor)
    sae.turn_off_forward_pass_hook_z_reshaping()
    return sae


def make_change(model, case):
    if case["units"] == "dictionary":
        folder = HERE / "dictionaries" / case["dictionary"]
        sae = load_sae(folder, case.get("norm_scaling_factor"))
        config = json.loads((folder / "cfg.json").read_text())
        kwargs = config.get("metadata", config).get("model_from_pretrained_kwargs") or {}
        change = dictionary_change(sae, kwargs.get("center_writing_weights", False),
                                   case["interventions"])
    elif case["units"] == "heads":
        change = head_change(model.n_heads, case["interventions"])
    else:
        change = column_change(case["interventions"])
    return within(change, case["begin"], case["end"])


def mean_kl(clean, steered):
    p, q = clean.double().log_softmax(-1), steered.double().log_softmax(-1)
    return float((p.exp() * (p - q)).sum(-1).mean())


# ---- edits --------------------------------------------------------------------------------------

DICTIONARIES = (
    "standard", "standard-constant-norm", "standard-layer-norm", "standard-expected-folded",
    "standard-expected-unfolded", "standard-hook-z", "standard-mlp-out-f16", "standard-centred",
    "topk", "topk-rescaled", "topk-layer-norm", "topk-rescaled-expected-unfolded", "jumprelu",
    "jumprelu-constant-norm", "gated", "gated-expected-unfolded", "batchtopk")


def busy_feature(name):
    from safetensors.numpy import load_file
    acts = load_file(HERE / "dictionaries" / name / "expected.safetensors")["feature_acts"]
    return int((acts > 0).reshape(-1, acts.shape[-1]).sum(0).argmax())


def dictionary_cases():
    known = json.loads((HERE / "dictionaries" / "cases.json").read_text())["encode"]
    for name in DICTIONARIES:
        busy = busy_feature(name)
        others = [f for f in (3, 17, 42) if f != busy]
        yield {"name": f"dictionary-{name}", "units": "dictionary", "dictionary": name,
               **known[name], "begin": 2, "end": 13,
               "interventions": [[busy, "set", 0.0], [others[0], "set", 2.5],
                                 [others[1], "add", -1.25]]}


def unit_cases():
    for model in ("gpt2-tied", "llama-gqa-tied", "llama-biases"):
        yield {"name": f"neurons-{model}", "model": model, "units": "neurons",
               "hook": "blocks.1.mlp.hook_post", "begin": 1, "end": 9,
               "interventions": [[10, "set", 0.0], [13, "set", 0.0], [24, "add", 1.5],
                                 [7, "set", 2.0]]}
        yield {"name": f"heads-{model}", "model": model, "units": "heads",
               "hook": "blocks.0.attn.hook_z", "begin": 0, "end": 12,
               "interventions": [[1, "set", 0.0]]}
        for hook in ("blocks.0.hook_resid_pre", "blocks.1.hook_resid_post",
                     "blocks.1.hook_attn_out", "blocks.0.hook_mlp_out"):
            yield {"name": f"residual-{model}-{hook.split('.')[-1]}", "model": model,
                   "units": "residual", "hook": hook, "begin": 3, "end": 10,
                   "interventions": [[4, "set", 0.0], [5, "set", 0.0], [9, "add", 2.0],
                                     [16, "set", 1.5]]}


def read_tokens(model):
    lines = (HERE / "models" / model / "tokens.jsonl").read_text().splitlines()
    return torch.tensor([json.loads(line)["tokens"] for line in lines])


def make_edits():
    cases, expected = [], {}
    for case in [*dictionary_cases(), *unit_cases()]:
        model, tokens = Steered(HERE / "models" / case["model"]), read_tokens(case["model"])
        clean = model.logits(tokens)
        steered = model.logits(tokens, case["hook"], make_change(model, case))
        span = slice(case["begin"], case["end"])
        case["kl"] = mean_kl(clean[:, span], steered[:, span])
        assert case["kl"] > 1e-4, case
        expected[case["name"]] = steered.contiguous().numpy()
        cases.append(case)
        print(f"{case['name']}: KL {case['kl']:.4f}")
    return cases, expected


# ---- generations on the demo model --------------------------------------------------------------

GENERATIONS = (  # behind BOS?, prompt, where, interventions
    (True, "The old man sat down by the", "all", [[1054, "add", 4.0]]),
    (True, "The old man sat down by the", "new", [[1054, "set", 6.0], [7, "add", 2.0]]),
    (True, "She said that it was not", "last", [[300, "add", 8.0]]),
    (True, "int main(void) {", "all", [[2048, "set", 3.0], [1054, "set", 0.0]]),
    (False, "The old man sat down by the", "all", [[1054, "add", 4.0]]),
    (False, "She said that it was not", "new", [[300, "set", 9.0]]),
    (False, "He went to the house of", "last", [[1054, "add", 9.0], [2048, "set", 5.0]]),
)


def span_of(where, n_bos, n_prompt, n):
    begin = n_bos if where == "all" else n_prompt - 1
    return begin, n_prompt if where == "last" else n


def continue_greedily(model, hook, change, where, n_bos, prompt):
    tokens = list(prompt)
    for _ in range(N_NEW):
        begin, end = span_of(where, n_bos, len(prompt), len(tokens))
        edit = within(change, begin, end) if change else None
        logits = model.logits(torch.tensor([tokens]), hook if change else None, edit)[0, -1]
        top = logits.topk(2).values
        assert float(top[0] - top[1]) > 1e-3, "too close to call: choose another prompt"
        tokens.append(int(logits.argmax()))
    return tokens[len(prompt):]


def make_generations():
    model, sae = Steered(DEMO / "model"), load_sae(DEMO / "sae")
    tokenizer = AutoTokenizer.from_pretrained(DEMO / "model")
    hook = sae.cfg.metadata.hook_name
    cases = []
    for has_bos, text, where, interventions in GENERATIONS:
        bos = [tokenizer.bos_token_id] * has_bos
        prompt = bos + tokenizer(text, add_special_tokens=False)["input_ids"]
        change = dictionary_change(sae, False, interventions)
        begin, end = span_of(where, len(bos), len(prompt), len(prompt))
        clean = model.logits(torch.tensor([prompt]))
        steered = model.logits(torch.tensor([prompt]), hook, within(change, begin, end))
        p, q = (x[0, -1].double().softmax(-1) for x in (clean, steered))
        order = (q - p).abs().argsort(descending=True)[:N_CHANGES]
        cases.append({
            "has_bos": has_bos, "prompt": text, "where": where, "interventions": interventions,
            "n_prompt_tokens": len(prompt) - len(bos),
            "kl": mean_kl(clean[:, begin:end], steered[:, begin:end]),
            "changes": [[int(t), float(p[t]), float(q[t])] for t in order],
            "clean": continue_greedily(model, hook, None, where, len(bos), prompt),
            "steered": continue_greedily(model, hook, change, where, len(bos), prompt)})
        print(f"{text!r} {where}: KL {cases[-1]['kl']:.4f}\n"
              f"  clean   {tokenizer.decode(cases[-1]['clean'])!r}\n"
              f"  steered {tokenizer.decode(cases[-1]['steered'])!r}")
    return cases


def main():
    edits, expected = make_edits()
    generations = make_generations()
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    (OUT / "cases.json").write_text(
        json.dumps({"edits": edits, "generations": generations}, indent=1) + "\n")
    save_numpy(expected, OUT / "expected.safetensors")


if __name__ == "__main__":
    main()
