#!/usr/bin/env python3
"""Ablation, patching of nodes and edges, features of dictionaries, steering, generation, head scores
and the logit lens on the CUDA backend: the unit tests of these tasks, which hold them against
independent passes and against each other, run once more with the host emulator as their backend,
or TEST_BACKEND.

Run: BUILD=build/release tests/integration/emulated_tasks.py
"""
# asan: no
# ubsan: no
# timeout: 600
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BUILD", ROOT / "build/release"))
BACKEND = os.environ.get("TEST_BACKEND", "emu")
# Suite: at least so many tests; fewer mean that it has been renamed.
SUITES = {"ablate_task": 7, "feature_ablations": 4, "generate_task": 9, "head_scores_task": 5,
          "logit_lens": 3, "steering": 4, "variants": 13, "variants_compared": 5,
          "variants_edges": 6, "variants_nodes": 4}


def run(suite):
    """Passed and failed tests, and what was said."""
    done = subprocess.run([BUILD / "unit-tests", "--jobs=2", "--timeout=300", "--tap=-",
                           "--filter=%s/*" % suite], cwd=ROOT, capture_output=True, text=True,
                          env=os.environ | {"TEST_BACKEND": BACKEND}, check=False)
    lines = done.stdout.splitlines()
    passed = [line for line in lines if line.startswith("ok ") and "# SKIP" not in line]
    return len(passed), done.returncode, done.stdout + done.stderr


def main():
    if not (BUILD / "unit-tests").exists():
        print("there are no unit tests in %s" % BUILD)
        return 77
    failures = 0
    for suite, least in SUITES.items():
        n_passed, code, text = run(suite)
        is_right = code == 0 and n_passed >= least
        print("%-18s %2d passed%s" % (suite, n_passed, "" if is_right else ", FAILED"), flush=True)
        if not is_right:
            failures += 1
            print("\n".join(line for line in text.splitlines() if "SKIP" not in line)[-4000:])
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
