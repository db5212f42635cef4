#!/usr/bin/env python3
"""scripts/repeated-words: prompts that say a sequence again. `interp-worker prompts` reads each as
token ids, and what the script promises of texts holds of ids; equal seeds, equal bytes. The prompts
of config/sweeps/induction_smollm2.jsonl are of the same make."""
import json
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import BUILD, DEMO, ROOT, check, run

N, WORDS, AGAIN = 20, 6, 3


def script(*arguments):
    command = [ROOT / "scripts" / "repeated-words", DEMO / "model", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def ids_of(text):
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.write(text)
        file.flush()
        done = subprocess.run([BUILD / "interp-worker", "prompts", "--model", DEMO / "model",
                               "--bos", "false", "--file", file.name], capture_output=True,
                              text=True, check=False)
    check(done.returncode == 0, done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


def check_ids(clean, corrupted, answer, distractor):
    n_words = len(set(clean))
    first, again = clean[:n_words], clean[n_words:]
    check(again == first[:len(again)], "the first words again: %s" % clean)
    check(corrupted[n_words:] == again, "said again in the corrupted prompt too")
    check(len(set(corrupted)) == n_words + len(again) and not set(corrupted[:n_words]) & set(clean),
          "other words in its first copy: %s, %s" % (clean, corrupted))
    check(answer == first[len(again)], "the answer is the next word")
    check(distractor in first[len(again) + 1:], "the distractor is a word not said again")


def prompts_repeat_words(_cluster):
    made = script("-n", N, "--words", WORDS, "--again", AGAIN, "--seed", 3)
    check(made.returncode == 0, made.stderr)
    check(made.stdout == script("-n", N, "--words", WORDS, "--again", AGAIN, "--seed", 3).stdout,
          "equal seeds, equal bytes")
    check(made.stdout != script("-n", N, "--words", WORDS, "--again", AGAIN, "--seed", 4).stdout,
          "another seed, other words")
    prompts = ids_of(made.stdout)
    check(len(prompts) == N, "%d prompts" % len(prompts))
    for p in prompts:
        check(len(p["clean"]) == WORDS + AGAIN, "a word is a token: %s" % p)
        check_ids(p["clean"], p["corrupted"], *p["answers"], *p["distractors"])


def what_cannot_be_is_refused(_cluster):
    refused = script("--words", 4, "--again", 3)
    check(refused.returncode == 2 and "--again" in refused.stderr, refused.stderr)


def the_example_is_of_this_make(_cluster):
    lines = (ROOT / "config/sweeps/induction_smollm2.jsonl").read_text().splitlines()
    check(len(lines) == 60, "60 prompts")
    for p in map(json.loads, lines):
        bos, *clean = p["clean"].split(" ")
        check(bos == "<|endoftext|>" and len(clean) == 10, "BOS and ten words: %s" % p)
        check_ids(clean, p["corrupted"].split(" ")[1:], p["answer"].strip(),
                  p["distractor"].strip())


if __name__ == "__main__":
    run([prompts_repeat_words, what_cannot_be_is_refused, the_example_is_of_this_make])
