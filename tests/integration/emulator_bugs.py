#!/usr/bin/env python3
"""The CUDA emulator catches planted bugs, and no others.

Every bug of tests/emu/planted_bugs.cu is run in every mode of the emulator; the table of who caught
what must be the one of kernels/README.md, word for word. Without their mistakes all of them pass in
every mode. Standard library only.

Run: BUILD=build/release tests/integration/emulator_bugs.py [--table]    (--table prints it)
"""
# asan: no
# ubsan: no
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BUILD", ROOT / "build/release"))
SEEDS = [{"INTERP_EMU_SEED": str(seed)} for seed in range(1, 6)]
# Mode: the program, its environment, the seeds. A mode has caught a bug if any of its seeds has.
MODES = {
    "forward": ("plain", {}, SEEDS[:1]),
    "reverse": ("plain", {"INTERP_EMU_ORDER": "reverse"}, SEEDS[:1]),
    "random": ("plain", {"INTERP_EMU_ORDER": "random"}, SEEDS),
    "deferred": ("plain", {"INTERP_EMU_DEFERRED": "1"}, SEEDS),
    "guard": ("plain", {"INTERP_EMU_GUARD": "1"}, SEEDS[:1]),
    "device": ("plain", {"INTERP_EMU_ARITHMETIC": "device"}, SEEDS[:1]),
    "ASan+UBSan": ("asan", {}, SEEDS[:1]),
    "TSan": ("tsan", {}, SEEDS[:1]),
}
SANITIZER_OPTIONS = {
    "ASAN_OPTIONS": "detect_leaks=0:exitcode=98",
    "UBSAN_OPTIONS": "halt_on_error=1:exitcode=98",
    "TSAN_OPTIONS": "halt_on_error=1:exitcode=66",
}


def run(mode, what, seed):
    program, environment, _ = MODES[mode]
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("INTERP_EMU_", "TSAN_"))}
    done = subprocess.run([BUILD / "emu" / f"planted_bugs_{program}", what],
                          env=clean | SANITIZER_OPTIONS | environment | seed,
                          capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout, done.stderr


def verdict(mode, bug):
    """How the mode catches it: the value is wrong, or the run is ended; '' if it does not."""
    verdicts = set()
    for seed in MODES[mode][2]:
        code = run(mode, bug, seed)[0]
        verdicts.add("" if code == 0 else "value" if code == 1 else "ended")
    return "ended" if "ended" in verdicts else "value" if "value" in verdicts else "-"


def table(bugs):
    lines = ["| planted bug | " + " | ".join(MODES) + " |", "|---" * (len(MODES) + 1) + "|"]
    for bug in bugs:
        cells = [verdict(mode, bug) for mode in MODES]
        lines.append(f"| {bug.replace('_', ' ')} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    bugs = run("forward", "--list", {})[1].split()
    found = table(bugs)
    if "--table" in sys.argv[1:]:
        print(found)
        return 0
    failures = []
    for mode, (_, _, seeds) in MODES.items():
        for seed in seeds:
            code, _, errors = run(mode, "--sound", seed)
            if code:
                failures.append(f"{mode}, {seed}: sound kernels end with {code}\n{errors[:2000]}")
    uncaught = [line for line in found.splitlines()[2:] if "ended" not in line and "value" not in line]
    failures += [f"nobody catches it: {line}" for line in uncaught]
    if found not in (ROOT / "kernels/README.md").read_text(encoding="utf-8"):
        failures.append(f"kernels/README.md has another table than this:\n{found}")
    print("\n".join(failures) or f"{len(bugs)} bugs in {len(MODES)} modes as documented")
    return 1 if failures or len(bugs) < 15 else 0


if __name__ == "__main__":
    sys.exit(main())
