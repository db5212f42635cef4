#!/usr/bin/env python3
"""Adjoints of single operations by torch's autograd, float64: adjoints.json.

Inputs are rounded to float32 first, so both sides read the same numbers. Layouts are those of
kernels/backend.h.

Run: .oracles/bin/python tests/golden/attributions/make_adjoints.py
"""

import json
from pathlib import Path

import torch
from torch.nn import functional as F

draw = torch.Generator().manual_seed(5)


def random(*shape, scale=1.0):
    return (torch.randn(*shape, generator=draw) * scale).float().double()


def listed(x):
    return [float(f"{v:.9g}") for v in x.flatten().tolist()]


def slopes(output, d_output, inputs):
    return torch.autograd.grad((output * d_output).sum(), inputs)


def norm(kind, n_rows=3, d=37, eps=1e-2):
    x, w, d_y = random(n_rows, d, scale=2) + 1, random(d), random(n_rows, d)
    x = x.float().double().requires_grad_()
    y = F.layer_norm(x, (d,), w, None, eps) if kind == "layer" else F.rms_norm(x, (d,), w, eps)
    (d_x,) = slopes(y, d_y, (x,))
    return {"kind": kind, "n_rows": n_rows, "d": d, "eps": eps, "x": listed(x), "weight": listed(w),
            "d_y": listed(d_y), "d_x": listed(d_x)}


def activation(kind, is_gated, n_rows=3, d=19):
    functions = {"gelu_tanh": lambda v: F.gelu(v, approximate="tanh"), "gelu_erf": F.gelu,
                 "silu": F.silu, "relu": F.relu}
    rows = random(n_rows, 2 * d, scale=2).requires_grad_()
    bias, d_out = random(2 * d), random(n_rows, d)
    pre, up = (rows + bias).chunk(2, -1)
    y = functions[kind](pre) * (up if is_gated else 1)
    (d_rows,) = slopes(y, d_out, (rows,))
    return {"kind": kind, "is_gated": is_gated, "n_rows": n_rows, "d": d, "rows": listed(rows),
            "bias": listed(bias), "d_out": listed(d_out), "d_rows": listed(d_rows)}


def attention(n_heads, n_kv, d_head, n_ctx=9, scale=0.4):
    width = (n_heads + 2 * n_kv) * d_head
    qkv, d_z = random(n_ctx, width).requires_grad_(), random(n_ctx, n_heads * d_head)
    q, k, v = (x.reshape(n_ctx, -1, d_head).transpose(0, 1)[None]
               for x in qkv.split([n_heads * d_head, n_kv * d_head, n_kv * d_head], -1))
    z = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale, enable_gqa=True)
    (d_qkv,) = slopes(z[0].transpose(0, 1).reshape(n_ctx, -1), d_z, (qkv,))
    return {"n_heads": n_heads, "n_kv_heads": n_kv, "d_head": d_head, "n_ctx": n_ctx,
            "scale": scale, "qkv": listed(qkv), "d_z": listed(d_z), "d_qkv": listed(d_qkv)}


out = {"norms": [norm("layer"), norm("rms")],
       "activations": [activation(k, g) for k in ("gelu_tanh", "gelu_erf", "silu", "relu")
                       for g in (False, True)],
       "attentions": [attention(3, 3, 5), attention(4, 2, 8)]}
(Path(__file__).resolve().parent / "adjoints.json").write_text(
    json.dumps(out, separators=(",", ":")) + "\n")
