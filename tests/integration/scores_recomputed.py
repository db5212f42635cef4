#!/usr/bin/env python3
"""The scores of coordinator/session/ (detection and fuzzing, simulation, agreement) against an
independent implementation: seeded judgements and judges' replies, equal to 1e-9, the bootstrap
intervals too. Scores come from the unit tests (tests/unit/test_score_dump.c)."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(os.environ.get("BUILD", ROOT / "build/release")) / "unit-tests"
DEBIANS = "/usr/bin/python3"
N_CASES = {"classification": 80, "agreement": 40, "simulation": 40}


def main():
    try:
        sys.path.insert(0, str(ROOT / "tests/support"))
        import recompute_scores
    except ModuleNotFoundError as missing:
        if os.path.exists(DEBIANS) and not os.path.samefile(sys.executable, DEBIANS):
            os.execv(DEBIANS, [DEBIANS] + sys.argv)  # which has what scripts/bootstrap installed
        print("skipped: %s (Debian: python3-numpy)" % missing)
        return 77
    if not PROGRAM.exists():
        print("skipped: %s is not built (make tests)" % PROGRAM)
        return 77
    with tempfile.TemporaryDirectory(prefix="interp-scores-") as folder:
        dump = pathlib.Path(folder) / "scores.jsonl"
        subprocess.run([PROGRAM, "--jobs=1", "--quiet", "--filter=score_dump/*"], check=True,
                       cwd=ROOT, env=dict(os.environ, SCORE_DUMP=str(dump)))
        lines = dump.read_text(encoding="utf-8").splitlines()
    counts, found = recompute_scores.recompute(lines)
    print("\n".join(found))
    print("recomputed: %s" % counts)
    if found or counts != N_CASES:
        print("the scores differ, or there are not %s of them" % N_CASES)
        return 1
    return check_that_a_difference_is_seen(recompute_scores, lines)


def check_that_a_difference_is_seen(recompute_scores, lines):
    """One value of each kind of score, off by 1e-8."""
    for score, path in (("classification", ["balanced_accuracy"]), ("simulation", ["pearson"]),
                        ("simulation", ["interval", 1]), ("agreement", ["fleiss", "kappa"])):
        case = next(case for case in map(json.loads, lines)
                    if case["score"] == score and case["got"].get("pearson", 0) is not None)
        holder = case["got"]
        for key in path[:-1]:
            holder = holder[key]
        holder[path[-1]] += 1e-8
        found = recompute_scores.recompute([json.dumps(case)])[1]
        if len(found) != 1 or "recomputed" not in found[0]:
            print("%s %s off by 1e-8 was not seen: %s" % (score, path, found))
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
