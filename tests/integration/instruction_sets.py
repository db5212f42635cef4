#!/usr/bin/env python3
"""What must be equal to the bit is so below AVX-512 too: the unit tests of products, ablations, edges,
features, attributions and head scores once more on a CPU limited to AVX2.

Run: BUILD=build/release tests/integration/instruction_sets.py
"""
# asan: no
# ubsan: no
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BUILD", ROOT / "build/release"))
# Suite: at least so many tests; fewer mean that it has been renamed.
SUITES = {"ablate_task": 7, "attribute_task": 8, "feature_ablations": 4, "head_scores_task": 5,
          "kernels_sparse": 12, "known_graphs": 6, "variants": 13, "variants_compared": 5,
          "variants_edges": 6, "variants_nodes": 4}


def run():
    """Names of what passed, the exit code, and what was said."""
    done = subprocess.run([BUILD / "unit-tests", "--jobs=2", "--timeout=120", "--tap=-",
                           "--filter=@(%s)/*" % "|".join(SUITES)], cwd=ROOT, capture_output=True,
                          text=True, env=os.environ | {"INTERP_CPU_ISA": "avx2"}, check=False)
    return re.findall(r"^ok - (\w+)::\w+ (?!.*# SKIP)", done.stdout, re.M), done


def main():
    words = pathlib.Path("/proc/cpuinfo").read_text().split()
    if "avx2" not in words or "fma" not in words:
        print("this CPU has no AVX2")
        return 77
    if "avx512f" not in words:
        print("this CPU has no AVX-512: the unit tests have run on AVX2")
        return 77
    if not (BUILD / "unit-tests").exists():
        print("there are no unit tests in %s" % BUILD)
        return 77
    passed, done = run()
    missing = [s for s, least in SUITES.items() if passed.count(s) < least]
    print("%d tests passed on AVX2" % len(passed))
    if done.returncode or missing:
        print("too few of: %s" % ", ".join(missing))
        print("\n".join(line for line in (done.stdout + done.stderr).splitlines()
                        if "SKIP" not in line)[-4000:])
    return 1 if done.returncode or missing else 0


if __name__ == "__main__":
    sys.exit(main())
