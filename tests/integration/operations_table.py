#!/usr/bin/env python3
"""The table of kernels/README.md of what the emulator runs beside the CPU says what is there.

A row for every operation of kernels/selftest/op_slots.h and for nothing else; the test that it names
calls the operation on both sides and runs in all modes; the arrays of sizes that it names hold 1, 31,
257 and something that is none of them. Standard library only.

Run: tests/integration/operations_table.py
"""
# asan: no
# ubsan: no
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
ODD = {1, 31, 257}
ROW = re.compile(r"^\| `(\w+)` \| ((?:`\w+`(?:, )?)+) \| [^|]+ \| `(\w+\.c)` \|$", re.MULTILINE)


def operations():
    text = (ROOT / "kernels/selftest/op_slots.h").read_text(encoding="utf-8")
    listed = text[text.index("#define OP_SLOTS(X)"):text.index("#define OP_OTHER_SLOTS(X)")]
    return re.findall(r"X\((\w+)\)", listed)


def sizes(test, name):
    """The whole numbers of an array of that name."""
    found = re.search(rf"\b{name}(?:\[\w*\])+ = (\{{.*?\}});", test, re.DOTALL)
    return {int(n) for n in re.findall(r"(?<![\w.])\d+(?![\w.])", found.group(1))} if found else set()


def faults(operation, arrays, file):
    path = ROOT / "tests/unit" / file
    if not path.exists():
        return [f"{operation}: there is no {path}"]
    test = path.read_text(encoding="utf-8")
    wrong = []
    if not re.search(rf"ON_BOTH\(&?\w+, {operation}, |ops->{operation}\(", test):
        wrong.append(f"{operation} is not called by {file}")
    if "EMULATED_MODES, EMULATED_N_MODES" not in test:
        wrong.append(f"{file} does not run in all modes")
    for name in re.findall(r"\w+", arrays):
        found = sizes(test, name)
        if not ODD < found:
            wrong.append(f"{operation}: {name} of {file} lacks {sorted(ODD - found) or 'a real size'}")
        if test.count(name) < 2:
            wrong.append(f"{operation}: {name} of {file} is not used")
    return wrong


def main():
    text = (ROOT / "kernels/README.md").read_text(encoding="utf-8")
    rows = ROW.findall(text[text.index("| operation | sizes |"):])
    names = [row[0] for row in rows]
    wanted = operations()
    failures = [f"kernels/README.md: operations {names}, not {wanted}"] if (
        sorted(names) != sorted(wanted)) else []
    for row in rows:
        failures += faults(*row)
    for failure in failures:
        print(failure)
    print(f"{len(rows)} operations")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
