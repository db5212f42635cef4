#!/usr/bin/env python3
"""scripts/gpu-check, as far as it goes without a GPU: the emulator passes its self-test, steps that
are not for it are skipped by name; a wrong step and a missing device are each one line.

Run: BUILD=build/release tests/integration/gpu_check.py
"""
# asan: no
# ubsan: no
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import BUILD, check, run

ROOT = pathlib.Path(__file__).resolve().parents[2]


def gpu_check(backend, *steps):
    return subprocess.run([ROOT / "scripts/gpu-check", *steps], capture_output=True, text=True,
                          env=os.environ | {"BUILD": str(BUILD), "TEST_BACKEND": backend}, check=False)


def the_emulator_is_checked_as_a_device_is(_cluster):
    done = gpu_check("emu", "selftest", "sanitize", "bench", "profile")
    check(done.returncode == 0, done.stdout + done.stderr)
    check("ok    selftest on emu:0\n" in done.stdout, done.stdout)
    check(done.stdout.endswith("\n1 passed, 0 failed, 3 skipped\n"), done.stdout)
    kept = (BUILD / "gpu-check" / "selftest-emu:0.txt").read_text()
    check(" passed, 0 failed" in kept, "what was said is kept: " + kept[-300:])


def what_is_wrong_is_one_line(_cluster):
    done = gpu_check("emu", "selftest", "paritty")
    check(done.returncode == 2 and "no step 'paritty'; there are selftest" in done.stderr and
          not done.stdout, done.stdout + done.stderr)
    done = gpu_check("cuda:99", "selftest")
    check(done.returncode == 1 and done.stdout == "0 passed, 1 failed, 0 skipped\n", done.stdout)
    check(done.stderr.startswith("gpu-check: ") and done.stderr.count("\n") == 1, done.stderr)


if __name__ == "__main__":
    run([the_emulator_is_checked_as_a_device_is, what_is_wrong_is_one_line])
