#!/usr/bin/env python3
"""`interp-worker bench --what attribute` on a device that has no room for all of --rows at once.

Run: BUILD=build/release tests/integration/bench_small_device.py
"""
import json
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import BUILD, SLOWDOWN, check, run

MODEL = pathlib.Path(__file__).resolve().parents[1] / "golden/models/llama-gqa-tied"
ROWS = 80


def bench(mib):
    return subprocess.run([BUILD / "interp-worker", "bench", "--model", MODEL, "--backend", "emu",
                           "--what", "attribute", "--rows", str(ROWS), "--ctx", "11", "--compute",
                           "f32", "--threads", "1", "--seconds", "0.01", "--windows", "1"],
                          env=os.environ | {"INTERP_EMU_MEMORY_MIB": str(mib)},
                          capture_output=True, text=True, timeout=200 * SLOWDOWN, check=False)


def what_fits_is_taken_and_told(_cluster):
    done = bench(10)
    check(done.returncode == 0, "exit %d: %s" % (done.returncode, done.stderr))
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    found = [line for line in lines if line["what"] == "attribute"]
    check([line["method"] for line in found] == ["atp", "eap", "eap_ig"], done.stdout)
    halved = [line for line in found if line["prompts_at_once"] < ROWS]
    check(halved and all(line["prompts"] == ROWS and line["cpu_s"] > 0 for line in found),
          "all prompts, some in batches: %s" % done.stdout)
    for line in halved:
        check("attribute: the device has room for %d of %d prompts at once"
              % (line["prompts_at_once"], ROWS) in done.stderr, done.stderr)


def what_does_not_fit_at_all_is_one_line(_cluster):
    done = bench(6)
    check(done.returncode != 0 and done.stderr.count("\n") == 1 and "does not fit" in done.stderr,
          "%d: %s" % (done.returncode, done.stderr))


if __name__ == "__main__":
    run([what_fits_is_taken_and_told, what_does_not_fit_at_all_is_one_line])
