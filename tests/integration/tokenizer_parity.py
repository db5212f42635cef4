#!/usr/bin/env python3
"""`interp-worker tokenize` against HF tokenizers: ids and texts of the golden strings that fit on
a line, exit codes, and SmolLM2's own tokenizer where that model has been fetched.

BUILD names the folder of the programs (build/release); SMOLLM2 the model (models/smollm2)."""
import base64
import gzip
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"
WORKER = pathlib.Path(os.environ.get("BUILD", ROOT / "build" / "release")) / "interp-worker"
SMOLLM2 = pathlib.Path(os.environ.get("SMOLLM2", ROOT / "models" / "smollm2"))
failures = []


def check(holds, what):
    if not holds:
        failures.append(what)
        print("FAIL", what)


def tokenize(model, lines, *options):
    """The answers, one a line; None if the command failed."""
    done = subprocess.run([WORKER, "tokenize", model, *options], input=b"".join(
        line + b"\n" for line in lines), capture_output=True, check=False)
    if done.returncode:
        check(False, f"{model} {options}: {done.stderr.decode().strip()}")
        return None
    return [json.loads(line) for line in done.stdout.decode().split("\n")[:-1]]


def golden_lines(path):
    """(bytes of the string, ids, ids with special tokens, decoded text) of those on one line."""
    with open(GOLDEN / "tokenizers" / "strings.jsonl", encoding="utf-8") as strings, \
            gzip.open(path, "rt", encoding="utf-8") as encoded:
        for string, line in zip(strings, encoded):
            text, want = base64.b64decode(json.loads(string)["b64"]), json.loads(line)
            if b"\n" not in text:
                special = want["ids"] if want["special"] is None else want["special"]
                yield text, want["ids"], special, base64.b64decode(want["b64"]).decode()


def compare(name, model, encoded):
    texts, ids, special, decoded = map(list, zip(*golden_lines(encoded)))
    arrays = [json.dumps(row).encode() for row in ids]
    for what, got, want in (
            ("ids", tokenize(model, texts), ids),
            ("ids with special tokens", tokenize(model, texts, "--special"), special),
            ("texts", tokenize(model, arrays, "--decode"), decoded)):
        if got is None:
            continue
        check(len(got) == len(want), f"{name}: {len(got)} {what}, not {len(want)}")
        wrong = [i for i, pair in enumerate(zip(got, want)) if pair[0] != pair[1]]
        check(not wrong, f"{name}: {len(wrong)} wrong {what}, first for {texts[wrong[0]]!r}"
              if wrong else "")
    print(f"{name}: {len(texts)} strings")


def refusals():
    """Exit codes, and one line on stderr."""
    cases = [(["/no/such/model"], 3), ([], 2), (["x", "--bogus"], 2),
             ([GOLDEN / "malformed" / "tokenizers" / "type-unigram"], 2),
             ([GOLDEN / "tokenizers" / "gpt2", "--decode"], 2)]
    for arguments, code in cases:
        done = subprocess.run([WORKER, "tokenize", *arguments], input=b"[1,\n",
                              capture_output=True, check=False)
        check(done.returncode == code, f"{arguments}: exit {done.returncode}, not {code}")
        check(done.stderr.count(b"\n") == 1, f"{arguments}: {done.stderr!r} is not one line")
        check(done.stdout == b"", f"{arguments}: prints {done.stdout!r}")


def main():
    for encoded in sorted((GOLDEN / "tokenizers").glob("*/encoded.jsonl.gz")):
        compare(encoded.parent.name, encoded.parent, encoded)
    if (SMOLLM2 / "tokenizer.json").exists():
        compare("SmolLM2", SMOLLM2, GOLDEN / "smollm2" / "encoded.jsonl.gz")
    else:
        print(f"SmolLM2: skipped, {SMOLLM2} has not been fetched")
    refusals()
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
