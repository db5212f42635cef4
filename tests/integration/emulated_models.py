#!/usr/bin/env python3
"""The CUDA backend on the host emulator, from the worker's command line.

The golden models and dictionaries (with TEST_BACKEND: on another one) within the CPU's tolerance,
with the same features firing; refusals in one line; and no CUDA library in the worker itself. Standard
library only.

Run: BUILD=build/release tests/integration/emulated_models.py
"""
# tsan: yes
# timeout: 600
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import model_parity
from cluster import BUILD, SLOWDOWN, check, run

WORKER = str(BUILD / "interp-worker")
BACKEND = os.environ.get("TEST_BACKEND", "emu")
MODES = ({}, {"INTERP_EMU_GUARD": "1"}, {"INTERP_EMU_ARITHMETIC": "device"},
         {"INTERP_EMU_ORDER": "random", "INTERP_EMU_DEFERRED": "1"})


def golden_files_agree(_cluster):
    os.environ["INTERP_BACKEND"] = BACKEND
    with tempfile.TemporaryDirectory() as folder:
        for mode in MODES[:1] if SLOWDOWN > 1 else MODES:  # a sanitizer looks by itself
            os.environ.update(mode)
            model_parity.check_models(WORKER, folder, "f32")
            for name in mode:
                del os.environ[name]
        model_parity.check_models(WORKER, folder, "bf16x3")
        model_parity.check_dictionaries(WORKER, folder)
    del os.environ["INTERP_BACKEND"]
    check(not model_parity.failures, "; ".join(model_parity.failures[:5]))


def refusals_are_one_line(_cluster):
    model = model_parity.GOLDEN / "models" / "gpt2-tied"
    cases = (({}, "cuda:x", 2, "backend 'cuda:x' is not auto, cpu, cuda"),
             ({}, "emu:3", 3, "backend emu:3: this machine has 1 device, emu:0"),
             ({"INTERP_PLUGIN_DIR": "/nonexistent"}, "cuda", 3, "there is no /nonexistent/"),
             ({"INTERP_EMU_MEMORY_MIB": "1"}, "emu", 1, "bytes on the device, "))
    for environment, backend, code, words in cases:
        done = subprocess.run([WORKER, "activations", model, "--tokens", model / "tokens.jsonl",
                               "--hook", "logits", "-o", "/nonexistent/out", "--backend", backend],
                              env=os.environ | environment, capture_output=True, text=True,
                              timeout=60, check=False)
        lines = done.stderr.splitlines()
        check(done.returncode == code and len(lines) == 1 and words in lines[0],
              "%s: exit %d: %s" % (backend, done.returncode, done.stderr))


def the_worker_itself_knows_no_cuda(_cluster):
    linked = subprocess.run(["ldd", WORKER], capture_output=True, text=True, check=True).stdout
    check("libc.so" in linked, linked)
    check("cuda" not in linked and "cublas" not in linked and "interp_emu" not in linked, linked)


if __name__ == "__main__":
    run([the_worker_itself_knows_no_cuda, refusals_are_one_line, golden_files_agree])
