#!/usr/bin/env python3
"""Make tests/golden/prompt_sets: what HF tokenizers says of the texts of generated prompts.

  NAME.tokenizer.json   trained here on the words and sentences of worker/prompts, so that names are
                        one token: `digits` (the shape of SmolLM2: every digit by itself) and `marks`
                        (the shape of Llama-2: a space mark in front of a text, BOS)
  cases.json            [{"tokenizer", "generator", "corruption", "n_prompts", "n_tokens", "seed",
                          "bos": ID or null,
                          "prompts": [[clean ids, corrupted ids, answer ids, distractor ids], ...]}]

The texts are those that `interp-worker prompts` prints; the ids are HF's, of the text (behind BOS)
and of the text with each answer behind it. The script fails where the worker's ids are others.

Run: .oracles/bin/python tests/golden/prompt_sets/make_prompt_sets.py [DIR of another model to check]
(needs BUILD/interp-worker; BUILD is build/release)
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tokenizers import Tokenizer, pre_tokenizers

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(HERE.parent))
import make_tokenizers as shapes  # noqa: E402

WORKER = ROOT / os.environ.get("BUILD", "build/release") / "interp-worker"
DEMO = ROOT / "config/demo/model"


def training_lines():
    """Every literal of the generators, words behind a space, and single digits."""
    lines = []
    for name in ("word_tables", "ioi", "greater_than", "gendered_pronoun", "subject_verb"):
        code = (ROOT / f"worker/prompts/{name}.c").read_text()
        code = re.sub(r"/\*.*?\*/|#include[^\n]*", "", code, flags=re.S)
        for text in re.findall(r'"((?:[^"\\]|\\.)*)"', code):
            lines += ["so " + " ".join(re.sub(r"\{.\}|%\S+", "", text).split())] * 20
    return lines + [f"so he or she in {digit}" for digit in range(10)] * 20


def digits():
    vocab, merges = shapes.train(pre_tokenizers.ByteLevel(add_prefix_space=False),
                                 ["<|endoftext|>"], 4000, pre_tokenizers.ByteLevel.alphabet(),
                                 training_lines())
    splitter = {"type": "Digits", "individual_digits": True}
    return shapes.document(
        shapes.bpe(vocab, merges, pairs=False), [shapes.added(0, "<|endoftext|>")], None,
        {"type": "Sequence", "pretokenizers": [splitter, shapes.byte_level()]}, None,
        shapes.byte_level(add_prefix_space=True))


def marks():
    names = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    mark = shapes.SPACE_MARK
    lines = [mark + line.replace(" ", mark) for line in training_lines()]
    # sentencepiece lets no token cross from letters into other characters
    split = pre_tokenizers.Split(
        shapes.Regex(f"{mark}*\\p{{L}}+|{mark}+|[^\\p{{L}}{mark}]"), "isolated")
    vocab, merges = shapes.train(split, names, 4000, [], lines)
    model = shapes.bpe(vocab, merges, pairs=False, unk_token="<unk>", fuse_unk=True,
                       byte_fallback=True)
    return shapes.document(model, shapes.sentencepiece_tokens(), shapes.prepend_and_replace(), None,
                           shapes.template("<s>", 1), shapes.sentencepiece_decoder())


def write_tokenizers():
    for make in (digits, marks):
        path = HERE / f"{make.__name__}.tokenizer.json"
        path.write_text(json.dumps(make(), ensure_ascii=False, separators=(",", ":")) + "\n")


def generate(folder, case):
    command = [WORKER, "prompts", "--model", folder, "--generator", case["generator"], "-n",
               str(case["n_prompts"]), "--seed", str(case["seed"]), "--tokens",
               str(case["n_tokens"])]
    if case["corruption"]:
        command += ["--corruption", case["corruption"]]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in out.splitlines()]


def behind(tokenizer, text, answer):
    """The one token that the answer is behind the text."""
    before = tokenizer.encode(text, add_special_tokens=False).ids
    whole = tokenizer.encode(text + answer, add_special_tokens=False).ids
    assert whole[:-1] == before, (text, answer)
    return whole[-1]


def answer_text(tokenizer, token):
    """What the token adds to a text: decoders strip at the beginning."""
    lead = tokenizer.encode("so", add_special_tokens=False).ids
    return tokenizer.decode(lead + [token])[len(tokenizer.decode(lead)):]


def check(tokenizer, bos, line):
    ids = []
    for side in ("clean", "corrupted"):
        encoded = tokenizer.encode(line[side + "_text"], add_special_tokens=False).ids
        ids.append(([] if bos is None else [bos]) + encoded)
        assert ids[-1] == line[side], (side, line)
    for side in ("answers", "distractors"):
        ids.append([behind(tokenizer, line["clean_text"], answer_text(tokenizer, token))
                    for token in line[side]])
        assert ids[-1] == line[side], (side, line)
    return ids


def cases_of(name):
    generators = ("induction", "ioi", "ioi", "greater_than", "gendered_pronoun", "subject_verb")
    for index, generator in enumerate(generators):
        if name == "marks" and generator == "induction":
            continue  # its texts begin with a space
        yield {"tokenizer": name, "generator": generator,
               "corruption": "abc" if index == 2 else None, "n_prompts": 24, "n_tokens": 12,
               "seed": 11 + index}


def folder_of(name, tokenizer_file, scratch):
    folder = Path(scratch) / name
    folder.mkdir()
    config = json.loads((ROOT / "tests/golden/models/gpt2-tied/config.json").read_text())
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    config["vocab_size"] = tokenizer.get_vocab_size()
    del config["bos_token_id"]  # the template's
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text(Path(tokenizer_file).read_text())
    return folder, tokenizer


def run_cases(name, folder, tokenizer, bos):
    for case in cases_of(name):
        lines = generate(folder, case)
        case["bos"] = bos
        case["prompts"] = [check(tokenizer, bos, line) for line in lines]
        print(f"{name} {case['generator']}: {len(lines)} prompts, {lines[0]['clean_text']!r}")
        yield case


def main():
    if len(sys.argv) > 1:
        folder = Path(sys.argv[1])
        list(run_cases(folder.name, folder, Tokenizer.from_file(str(folder / "tokenizer.json")),
                       None))
        return
    write_tokenizers()
    cases = list(run_cases("demo", DEMO, Tokenizer.from_file(str(DEMO / "tokenizer.json")), None))
    with tempfile.TemporaryDirectory() as scratch:
        for name, bos in (("digits", None), ("marks", 1)):
            folder, tokenizer = folder_of(name, HERE / f"{name}.tokenizer.json", scratch)
            cases += run_cases(name, folder, tokenizer, bos)
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    (HERE / "cases.json").write_text(f"[{lines}]\n")


if __name__ == "__main__":
    main()
