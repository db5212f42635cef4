#!/usr/bin/env python3
"""`interp-worker activations`, `inspect` and `head-scores` against the golden files, through the program itself.

Every model of tests/golden/models (all recorded hook points and the logits), every dictionary of
tests/golden/dictionaries from the tokens of its model to its feature activations, every malformed
model and dictionary (one line that says the word, exit code, nothing written), and SmolLM2-135M
where `scripts/fetch-model smollm2` has put it. Standard library only.

Run: BUILD=build/release tests/integration/model_parity.py [INTERP_WORKER]
"""

import array
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from safetensors_file import Tensors

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"
TOLERANCE = 1e-4  # of the largest value of a tensor
failures = []


def check(is_right, text):
    if not is_right:
        failures.append(text)
        print("FAIL", text)


def worst_error(got, want):
    """Largest difference as a share of the largest wanted value; NaN counts as infinite."""
    largest = max(map(abs, want))
    worst = max(abs(a - b) if a == a else float("inf") for a, b in zip(got, want))
    return worst / largest if largest else worst


def run(worker, *arguments):
    return subprocess.run([worker, *map(str, arguments)], capture_output=True, text=True,
                          timeout=600)


def activations(worker, model, tokens, folder, *arguments):
    """Tensors that the command writes; its failure is ours."""
    out = Path(folder) / "out.safetensors"
    done = run(worker, "activations", model, "--tokens", tokens, "-o", out, *arguments)
    if done.returncode != 0:
        check(False, f"activations {model}: exit {done.returncode}: {done.stderr.strip()}")
        return None
    return Tensors(out)


def compare(label, got, want):
    check(got is not None and len(got) == len(want), f"{label}: another size")
    if got is not None and len(got) == len(want):
        error = worst_error(got, want)
        check(error <= TOLERANCE, f"{label}: relative error {error:.1e}")
        return error
    return float("inf")


def check_models(worker, folder, compute):
    worst, n = 0.0, 0
    for model in sorted((GOLDEN / "models").iterdir()):
        expected = Tensors(model / "expected.safetensors")
        names = expected.names()
        got = activations(worker, model, model / "tokens.jsonl", folder, "--compute", compute,
                          "--hook", *names)
        for name in names if got else ():
            check(got.shape(name) == expected.shape(name), f"{model.name} {name}: shape")
            worst = max(worst, compare(f"{model.name} {name}", got.values(name),
                                       expected.values(name)))
            n += 1
    check(n > 100, f"only {n} tensors of golden models")
    print(f"models, compute {compute}: {n} tensors, largest relative error {worst:.1e}")


def check_dictionaries(worker, folder):
    cases = json.loads((GOLDEN / "dictionaries" / "cases.json").read_text())
    worst = 0.0
    for name, case in cases["encode"].items():
        dictionary, model = GOLDEN / "dictionaries" / name, GOLDEN / "models" / case["model"]
        factor = case.get("norm_scaling_factor")
        extra = ("--norm-scaling-factor", factor) if factor else ()
        got = activations(worker, model, model / "tokens.jsonl", folder, "--dictionary",
                          dictionary, *extra)
        if not got:
            continue
        want = Tensors(dictionary / "expected.safetensors").values("feature_acts")
        values = got.values("feature_acts")
        check([v > 0 for v in values] == [v > 0 for v in want], f"{name}: other features fire")
        worst = max(worst, compare(name, values, want))
    check(len(cases["encode"]) > 20, "too few dictionaries")
    print(f"dictionaries: {len(cases['encode'])}, largest relative error {worst:.1e}")


def check_refusal(worker, label, pattern, *arguments):
    done = run(worker, *arguments)
    lines = done.stderr.strip().splitlines()
    check(done.returncode != 0 and len(lines) == 1,
          f"{label}: exit {done.returncode}, {len(lines)} lines: {done.stderr.strip()[:200]}")
    # The folder is named after its fault: look for the pattern without it.
    said = " ".join(lines).replace(str(arguments[-1]), "")
    check(re.search(rf"(?<![A-Za-z0-9_])({pattern})(?![A-Za-z0-9_])", said),
          f"{label}: '{' '.join(lines)}' does not say {pattern}")


def check_refusals(worker):
    cases = json.loads((GOLDEN / "dictionaries" / "cases.json").read_text())["refuse"]
    model = GOLDEN / "models" / "gpt2-bare-names"
    for name, pattern in cases.items():
        check_refusal(worker, f"refuse/{name}", pattern, "inspect", model, "--dictionary",
                      GOLDEN / "dictionaries" / "refuse" / name)
    print(f"dictionaries refused by name: {len(cases)}")


def check_malformed(worker):
    folder = GOLDEN / "malformed"
    cases = json.loads((folder / "cases.json").read_text())
    n = 0
    for name, pattern in cases.get("models", {}).items():
        path = folder / "models" / name
        if pattern is None:
            done = run(worker, "inspect", path)
            check(done.returncode == 0, f"{name} is right, and refused: {done.stderr.strip()}")
        else:
            check_refusal(worker, f"models/{name}", pattern, "inspect", path)
        n += 1
    check(n > 0, "no malformed models")
    print(f"malformed models: {n}")


def check_bad_commands(worker, folder):
    """Bad input: one line, the right exit code, no file left."""
    model = GOLDEN / "models" / "gpt2-tied"
    out = Path(folder) / "none.safetensors"
    tokens = Path(folder) / "bad.jsonl"
    cases = [
        (3, "blocks.7", ["--hook", "blocks.7.hook_resid_pre", "--tokens", model / "tokens.jsonl"]),
        (3, "hook_nothing", ["--hook", "hook_nothing", "--tokens", model / "tokens.jsonl"]),
        (2, "hook_pattern", ["--hook", "blocks.0.attn.hook_pattern", "--tokens",
                             model / "tokens.jsonl"]),
        (3, "absent.jsonl", ["--hook", "logits", "--tokens", Path(folder) / "absent.jsonl"]),
        (2, "line 2", ["--hook", "logits", "--tokens", tokens]),
        (2, "--text", ["--hook", "logits"]),
        (2, "compute", ["--hook", "logits", "--tokens", model / "tokens.jsonl", "--compute",
                        "f64"]),
    ]
    tokens.write_text('{"tokens":[1,2]}\n{"tokens":[1,131]}\n')
    for code, word, arguments in cases:
        done = run(worker, "activations", model, "-o", out, *arguments)
        lines = done.stderr.strip().splitlines()
        check(done.returncode == code, f"{word}: exit {done.returncode}, not {code}")
        check(len(lines) == 1 and word in lines[0], f"{word}: said {lines}")
    check(not [p for p in Path(folder).iterdir() if p.name.startswith("none")],
          "a failed command left a file")
    print(f"bad commands: {len(cases)}")


def check_head_scores(worker, folder):
    """Those of TransformerLens; random words said twice give each head of induction its due."""
    tokens, n, worst = Path(folder) / "sequences.jsonl", 0, 0.0
    for golden in sorted((GOLDEN / "head_scores").glob("*.json")):
        expected = json.loads(golden.read_text())
        tokens.write_text("".join(json.dumps({"tokens": ids}) + "\n"
                                  for ids in expected["sequences"]))
        done = run(worker, "head-scores", GOLDEN / "models" / golden.stem, "--tokens", tokens,
                   "-o", "json")
        check(done.returncode == 0, f"head-scores {golden.stem}: {done.stderr.strip()}")
        got = json.loads(done.stdout or '{"heads": []}')["heads"]
        for want in expected["scores"]:
            for how in ("mul", "abs", "attention"):
                rows = want[how]
                check(len(got) == sum(map(len, rows)), f"{golden.stem}: {len(got)} heads")
                for head in got:
                    value = head[want["pattern"]][how]
                    error = abs(value - rows[head["layer"]][head["head"]])
                    worst, n = max(worst, error), n + 1
    check(n > 0, "no head scores")
    check(worst < 1e-5, f"head scores: off by {worst:.1e}")
    known = Path(folder) / "known"
    check(run(worker, "known-model", "induction", "-o", known).returncode == 0, "known model")
    truth = {node["role"]: node["name"]
             for node in json.loads((known / "circuit.json").read_text())["nodes"]}
    done = run(worker, "head-scores", known, "--words", "8", "-n", "4", "--top", "1", "--bos",
               "true", "--compute", "bf16x3", "--backend", "cpu", "--seed", "3")
    first = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()[1:]}
    layer, head = re.fullmatch(r"L(\d+)H(\d+)", first["induction"][0]).groups()
    check(truth["induction"] in (f"a{layer}.h{head}", f"L{layer}H{head}")
          and float(first["induction"][1]) > 0.99, f"induction head: {first}, {truth}")
    small = run(worker, "head-scores", known, "--words", "8", "-n", "4", "--device-memory", "10KiB")
    check(small.returncode == 1 and len(small.stderr.splitlines()) == 1
          and "does not fit on cpu" in small.stderr and " of 10240 bytes are free" in small.stderr,
          f"head-scores on a small device: exit {small.returncode}: {small.stderr}")
    told = run(worker, "head-scores", "--help").stdout
    check("--device-memory" in told and "tf32" in told and "cuda:UUID" in told, told)
    print(f"head scores: {n}, largest error {worst:.1e}")


def check_plans(worker):
    """What inspect plans is what a task would load: every dictionary once, the context asked for."""
    model = GOLDEN / "models" / "gpt2-bare-names"
    first, second = (GOLDEN / "dictionaries" / name for name in ("standard", "gated"))
    alone, one, both = (
        json.loads(run(worker, "inspect", model, "--ctx", "32", "-o", "json",
                       *(["--dictionary", *which] if which else [])).stdout)
        for which in ([], [first], [first, second, first]))
    for report, n in ((alone, 0), (one, 1), (both, 2)):
        check(report["plan"]["n_dictionaries"] == n and report["plan"]["sequence_tokens"] == 32,
              f"a plan for {n} dictionaries: {report['plan']}")
    sizes = [d["device_bytes"] for d in both["dictionaries"]]
    check(len(sizes) == 3 and one["dictionary"]["device_bytes"] == sizes[0], f"sizes: {sizes}")
    check(0 < one["plan"]["dictionary_bytes"] < both["plan"]["dictionary_bytes"]
          and both["plan"]["dictionary_bytes"] >= sizes[0] + sizes[1], "their weights")
    check(both["plan"]["sequence_bytes"] > one["plan"]["sequence_bytes"], "their inputs")
    swapped = run(worker, "inspect", "--dictionary", first, model, "--ctx", "32", "-o", "json")
    check(swapped.returncode == 0 and json.loads(swapped.stdout)["plan"]["n_dictionaries"] == 1,
          f"the model behind the dictionary: {swapped.stderr}")
    print("plans: 4")


def check_smollm2(worker, folder):
    places = [os.environ.get("SMOLLM2", ""), ROOT / "models" / "smollm2"]
    model = next((Path(p) for p in places if p and (Path(p) / "model.safetensors").exists()), None)
    if not model:
        print("SmolLM2: skipped (scripts/fetch-model smollm2 has not been run)")
        return
    golden = GOLDEN / "smollm2"
    slices = json.loads((golden / "slices.json").read_text())
    expected = Tensors(golden / "expected.safetensors")
    got = activations(worker, model, golden / "tokens.jsonl", folder, "--hook", *slices)
    worst = 0.0
    for name, step in slices.items() if got else ():
        width = got.shape(name)[-1]
        kept = -(-width // step)
        values = got.values(name)
        thinned = array.array("f", (v for i in range(0, len(values), width)
                                    for v in values[i:i + width:step]))
        check(len(thinned) == len(values) // width * kept, f"{name}: slices")
        worst = max(worst, compare(f"SmolLM2 {name}", thinned, expected.values(name)))
    print(f"SmolLM2-135M: {len(slices)} tensors, largest relative error {worst:.1e}")


def main():
    build = Path(os.environ.get("BUILD", ROOT / "build" / "release"))
    worker = sys.argv[1] if len(sys.argv) > 1 else str(build / "interp-worker")
    with tempfile.TemporaryDirectory() as folder:
        check_models(worker, folder, "f32")
        check_models(worker, folder, "bf16x3")
        check_dictionaries(worker, folder)
        check_refusals(worker)
        check_malformed(worker)
        check_bad_commands(worker, folder)
        check_head_scores(worker, folder)
        check_plans(worker)
        check_smollm2(worker, folder)
    print("model parity:", "FAILED" if failures else "passed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
