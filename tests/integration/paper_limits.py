#!/usr/bin/env python3
"""`interp-worker --bench`: what a data sheet allows, without a device; and beside it what is measured.

Standard library only. Run: BUILD=build/release tests/integration/paper_limits.py
"""
import json
import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import BUILD, check, run

WORKER = str(BUILD / "interp-worker")
GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden"
H100 = {"memory": 3.35e12, "link": 64e9, "f32": 67e12, "bf16": 989.5e12}


def bench(*arguments):
    return subprocess.run([WORKER, "--bench", *arguments], env=os.environ, capture_output=True,
                          text=True, timeout=250, check=False)


def lines(*arguments):
    done = bench(*arguments, "-o", "json")
    check(done.returncode == 0, f"{arguments}: {done.returncode}: {done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def check_limit(r):
    """The sum of the launches' least times, or the weights' way over the link."""
    least = max(sum(k["least_seconds"] for k in r["kernels"]), r["streamed_bytes"] / H100["link"])
    check((r["streamed_bytes"] > 0) == (r["weight_bytes"] > 80e9), f"{r['model']}: streamed")
    check(abs(r["limit_tokens_per_s"] * least / r["tokens"] - 1) < 1e-9, f"{r['model']}: limit")
    check(r["products_limit_tokens_per_s"] >= r["limit_tokens_per_s"], f"{r['model']}")
    check("data sheet" in r["source"], r["source"])


def check_threads(r, evidence):
    """A thread is at the device or at its evidence; two wait only for the device, which is one."""
    device = r["limit_tokens_per_s"]
    alone = 1 / (1 / device + 1 / evidence)
    check(abs(r["one_thread_tokens_per_s"] / alone - 1) < 1e-9, str(r))
    if r["streamed_bytes"]:
        check(r["two_threads_tokens_per_s"] is None, "streamed models have one thread")
    else:
        check(abs(r["two_threads_tokens_per_s"] / min(device, 2 * alone) - 1) < 1e-9, str(r))


def ablations_and_attributions_on_an_h100(_cluster):
    options = ("--dry-run", "--compute", "bf16", "--work")
    found = (lines("gpt2", "gpt2-xl", *options, "ablate", "attribute", "edges") +
             lines("llama-2-70b", *options, "ablate", "attribute", "edges"))
    check([(r["model"], r["work"], r["ctx"]) for r in found] ==
          [(m, w, c) for m in ("gpt2", "gpt2-xl") for w in ("ablate", "attribute", "edges")
           for c in (16, 128)] +
          [("llama-2-70b", w, c) for w in ("ablate", "attribute", "edges") for c in (16, 128)],
          "models and work")
    edges = {r["ctx"]: r for r in found if r["model"] == "llama-2-70b" and r["work"] == "edges"}
    check(edges[128]["limit_tokens_per_s"] > 20 and edges[16]["limit_tokens_per_s"] > 5,
          "maps of heads cross for blocks of tokens, not for each: %r" %
          {c: r["limit_tokens_per_s"] for c, r in edges.items()})
    nodes = {"gpt2": 12 * 13, "gpt2-xl": 48 * 26, "llama-2-70b": 80 * 65}
    for r in found:
        check(r["model"] != "llama-2-70b" or r["streamed_bytes"] > 2 * 70e9, "all layers, streamed")
        prompts = r["rows"] * r["ctx"]
        check_limit(r)
        check(r["tokens"] == prompts * (nodes[r["model"]] if r["work"] == "ablate" else 1), str(r))
        check(r.get("variants") == (nodes[r["model"]] if r["work"] == "ablate" else None), str(r))
        kernels = {k["kernel"] for k in r["kernels"]}
        wanted = {"ablate": {"edit_kernel", "diverge_kernel"},
                  "attribute": {"queries_kernel", "keys_kernel", "group_dots_kernel"},
                  "edges": {"queries_kernel", "contract_kernel", "add_parts_kernel"}}[r["work"]]
        check(wanted <= kernels, f"{r['work']}: {wanted - kernels}")
    text = bench("llama-2-70b", "--dry-run", "--work", "ablate", "--compute", "bf16", "--ctx", "16")
    said = " ".join(text.stdout.split())
    check("5200 variants, KL and 2 answers of each" in said and
          "variant-tokens/s" in said and "are streamed" in said, text.stdout)


def three_models_on_an_h100(_cluster):
    found = lines("--dry-run", "--device", "h100")
    check({(r["model"], r["compute"]) for r in found} ==
          {(m, c) for m in ("gpt2", "gpt2-xl", "llama-2-70b") for c in ("f32", "bf16x3", "bf16")},
          "models and types")
    for r in found:
        check(r["tokens"] == r["rows"] * r["ctx"], f"{r['model']}: tokens")
        check_limit(r)
        check_threads(r, 563e3)
    check_threads(lines("gpt2", "--dry-run", "--compute", "bf16", "--evidence", "200000")[0], 2e5)
    text = bench("gpt2", "llama-2-70b", "--dry-run", "--compute", "bf16").stdout
    wide = [line for line in text.splitlines() if len(line) > 80]
    check(not wide and not re.search(r"\de[+-]\d", text), f"{wide}\n{text}")
    text = " ".join(text.split())
    check(text.count(" tokens/s a thread: one thread ") == 2 and
          text.count(", two on the device ") == 1, text)


def every_kernel_is_on_its_roof(_cluster):
    """Recomputed from the figures of the data sheet."""
    for kernel in lines("gpt2", "--dry-run", "--compute", "bf16")[0]["kernels"]:
        is_link = kernel["kernel"] in ("upload", "download")
        memory = kernel["bytes"] / H100["link" if is_link else "memory"]
        math = kernel["flops"] / H100["bf16" if "bf16" in kernel["kernel"] and
                                      "cuBLAS" in kernel["kernel"] else "f32"]
        bound = "link" if is_link else "math" if math > memory else "memory"
        if kernel["kernel"] == "sparse_prepare_kernel":
            continue  # double
        check(kernel["bound"] == bound, str(kernel))
        check(abs(kernel["least_seconds"] / max(memory, math) - 1) < 1e-9, str(kernel))


def products_are_the_models(_cluster):
    """Two operations a weight and token, of GPT-2 XL and of Llama-2-70B, by their shapes."""
    weights = {"gpt2-xl": 48 * 12 * 1600**2,
               "llama-2-70b": 80 * (2 * 8192**2 + 2 * 8192 * 1024 + 3 * 8192 * 28672)}
    for r in lines("gpt2-xl", "llama-2-70b", "--dry-run", "--compute", "f32"):
        products = sum(k["flops"] for k in r["kernels"] if k["kernel"] == "cuBLAS f32")
        check(products == 2 * weights[r["model"]] * r["rows"] * r["ctx"], f"{r['model']}")
        screen = [k["flops"] for k in r["kernels"] if k["kernel"] == "cuBLAS bf16"]
        width = {"gpt2-xl": 1600, "llama-2-70b": 8192}[r["model"]]
        check(screen == [2 * width * 16384 * r["rows"] * r["ctx"]], "the encode's screen")


def measured_beside_the_limit(_cluster):
    small = ("--rows", "2", "--ctx", "16", "--seconds", "0.05", "--windows", "1", "--compute", "f32")
    with_encode = lines(GOLDEN / "models/gpt2-bare-names", "--dictionary",
                        GOLDEN / "dictionaries/topk", *small)[0]
    check(with_encode["measured_tokens_per_s"] > 0 and with_encode["n_features"] > 0 and
          with_encode["k"] > 0 and with_encode["candidates_per_token"] > 0, str(with_encode))
    check(with_encode["limit_tokens_per_s"] is None and with_encode["device"] is None,
          "a CPU's peaks are unknown")
    on_cpu = bench(GOLDEN / "models/gpt2-tied", *small).stdout
    check("_kernel" not in on_cpu and "roofline" not in on_cpu and "no limits: " in on_cpu and
          " tokens/s on cpu" in on_cpu, on_cpu)
    emulated = lines(GOLDEN / "models/llama-gqa-tied", "--backend", "emu", *small)[0]
    check(emulated["measured_tokens_per_s"] > 0 and emulated["n_features"] == 0, str(emulated))
    for r in lines(GOLDEN / "models/gpt2-tied", "--work", "ablate", "attribute", "edges", *small):
        check(r["measured_tokens_per_s"] > 0 and r["tokens"] and r["kernels"], str(r))


def bad_input_is_one_line(_cluster):
    for arguments, code, words in (
            (("--dry-run", "--device", "h1"), 2, "device 'h1' is none of h100, "),
            (("gpt3", "--dry-run"), 3, "'gpt3' is neither gpt2, gpt2-xl, llama-2-70b nor"),
            (("gpt2", "--dry-run", "--ctx", "4096"), 2, "--ctx 4096 is over the model's 1024"),
            (("gpt2", "--dry-run", "--hook", "blocks.12.hook_resid_pre"), 3, "has 12 layers"),
            (("gpt2", "--dry-run", "--work", "ablate", "--hook", "blocks.6.hook_resid_pre"), 2,
             "--hook is of a capture, which --work does not name: ablate is counted over the"),
            (("gpt2", "--dry-run", "--work", "edges", "--topk", "32"), 2, "--topk is of a capture"),
            (("gpt2", "--dry-run", "--work", "probe"), 2, "work 'probe' is none of capture, "),
            (("gpt2", "--dry-run", "--compute", "fp8"), 2, "fp8"),
            (("gpt2", "--dry-run", "--evidence", "0"), 2, "--evidence 0 is not above 0"),
            (("gpt2", "--dry-run", "--backend", "cuda"), 2, "--backend is of a measurement: "),
            (("gpt2", "--dry-run", "--windows", "2"), 2, "--windows is of a measurement: "),
            (("gpt2", "--features", "512"), 2, "--features is of --dry-run: "),
            (("gpt2", "--fired", "3"), 2, "--fired is of --dry-run: "),
            (("gpt2-xl",), 2, "gpt2-xl is a shape without weights")):
        done = bench(*arguments)
        text = done.stderr
        check(done.returncode == code and words in text and text.count("\n") == 1,
              f"{arguments}: {done.returncode}: {text}")


def a_bench_refuses_what_it_would_ignore(_cluster):
    for arguments, words in (
            (("--what", "ablate", "--hook", "blocks.6.hook_resid_pre"),
             "--hook is where forward and encode stop: --what ablate has none"),
            (("--what", "forwards"), "--what 'forwards' is none of forward, encode, all, ")):
        done = subprocess.run([WORKER, "bench", "--model", "/nonexistent", *arguments],
                              capture_output=True, text=True)
        check(done.returncode == 2 and words in done.stderr and done.stderr.count("\n") == 1,
              f"{arguments}: {done.returncode}: {done.stderr}")


if __name__ == "__main__":
    run([bad_input_is_one_line, a_bench_refuses_what_it_would_ignore, three_models_on_an_h100, ablations_and_attributions_on_an_h100,
         every_kernel_is_on_its_roof, products_are_the_models, measured_beside_the_limit])
