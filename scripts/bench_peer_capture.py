#!/usr/bin/env python3
"""The peer of `interp-worker bench`: the same work in torch and transformers.

Reads one JSON request a line on stdin and answers with one JSON line:
  {"what": "forward", "model": DIR, "hook": "blocks.L.hook_resid_pre|post", "rows": 8, "ctx": 128,
   "dtype": "float32|bfloat16", "threads": 1, "seconds": 1}
  {"what": "encode" | "encode+top20", "dictionary": DIR, "activations": FILE, "threads": 1, ...}
  {"what": "values", "model": DIR, "tokens": [[..]]}  float32 logits, for parity, as a file path
Rates are tokens a second of wall time and, with one thread, of processor time.
Run by scripts/bench-capture; needs torch, transformers, safetensors (scripts/oracles-env).
"""

import json
import statistics
import sys
import time

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

models = {}
dictionaries = {}


def load_model(directory, dtype):
    key = directory, dtype
    if key not in models:
        models.clear()  # one at a time: they are large
        models[key] = AutoModelForCausalLM.from_pretrained(directory, dtype=dtype).eval()
    return models[key]


def n_layers_to(hook):
    """How many layers a hook on the residual stream needs."""
    _, layer, point = hook.split(".", 2)
    if point not in ("hook_resid_pre", "hook_resid_post"):
        raise SystemExit(f"the peer measures the residual stream only, not {hook}")
    return int(layer) + (point == "hook_resid_post")


def forward_step(request):
    """Run the layers up to the hook; nothing behind them."""
    model = load_model(request["model"], getattr(torch, request["dtype"]))
    body = model.transformer if hasattr(model, "transformer") else model.model
    name = "h" if hasattr(body, "h") else "layers"
    if not hasattr(body, "all_layers"):
        body.all_layers = list(getattr(body, name))
    setattr(body, name, torch.nn.ModuleList(body.all_layers[:n_layers_to(request["hook"])]))
    if hasattr(body.config, "num_hidden_layers"):
        body.config.num_hidden_layers = n_layers_to(request["hook"])
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(0, model.config.vocab_size, (request["rows"], request["ctx"]),
                           generator=generator)
    return lambda: body(tokens, use_cache=False), tokens.numel()


def encode_step(request):
    """relu(x W + b) in batches of 1,024, alone or with a running top 20 a feature."""
    key = request["dictionary"], request["activations"]
    if key not in dictionaries:
        weights = load_file(request["dictionary"] + "/sae_weights.safetensors")
        dictionaries.clear()
        # Linear wants [out, in]; torch packs nothing, so the layout is what a user would have.
        linear = torch.nn.Linear(*weights["W_enc"].shape)
        linear.weight.data = weights["W_enc"].float().T.contiguous()
        linear.bias.data = (weights["b_enc"]
                            - weights["b_dec"].float() @ weights["W_enc"].float()).float()
        dictionaries[key] = linear, load_file(request["activations"])["x"].float()
    linear, x = dictionaries[key]
    batches = x.split(1024)
    top = torch.zeros(linear.out_features, 20)

    def step():
        nonlocal top
        for batch in batches:
            acts = torch.relu(linear(batch))
            if request["what"] == "encode+top20":
                top = torch.cat([top, acts.T], dim=1).topk(20, dim=1).values
    return step, len(x)


def measure(step, n_tokens, request):
    """Best and median over the windows, as the other side reports them."""
    torch.set_num_threads(request["threads"])
    wall_rates, cpu_rates = [], []
    with torch.inference_mode():
        step()
        for _ in range(request.get("windows", 1)):
            wall, cpu, n = time.perf_counter(), time.process_time(), 0
            while time.perf_counter() - wall < request["seconds"] or n == 0:
                step()
                n += n_tokens
            wall_rates.append(n / (time.perf_counter() - wall))
            cpu_rates.append(n / (time.process_time() - cpu))
    return {"tokens_per_s": max(wall_rates), "tokens_per_s_median": statistics.median(wall_rates),
            "tokens_per_cpu_s": max(cpu_rates),
            "tokens_per_cpu_s_median": statistics.median(cpu_rates)}


def logits(request):
    """Write the float32 logits of the given rows to a safetensors file."""
    from safetensors.torch import save_file
    model = AutoModelForCausalLM.from_pretrained(request["model"], dtype=torch.float32).eval()
    with torch.inference_mode():
        values = model(torch.tensor(request["tokens"]), use_cache=False).logits
    save_file({"logits": values.contiguous()}, request["out"])
    return {"out": request["out"]}


def main():
    print(json.dumps({"what": "peer", "torch": torch.__version__}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        if request["what"] == "logits":
            answer = logits(request)
        else:
            make = forward_step if request["what"] == "forward" else encode_step
            answer = measure(*make(request), request)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
