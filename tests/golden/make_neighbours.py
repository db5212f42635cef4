#!/usr/bin/env python3
"""Writes tests/golden/neighbours.json: rows of a small dictionary (some equal, one the negative of another,
one zero, one a multiple), and of each row its nearest others by cosine, among all and among the even
ones. Cosines are of exact sums (math.fsum), then rounded to single precision; equal ones by number.

    python3 tests/golden/make_neighbours.py      (numpy)
"""
import json
import math
import pathlib

import numpy

N, D, K = 90, 16, 8


def rows():
    rng = numpy.random.default_rng(11)
    made = rng.standard_normal((N, D)).astype(numpy.float32)
    made[17] = made[40] = made[3]
    made[50] = -made[3]
    made[60] = 2.5 * made[3]
    made[70] = 0
    made[71:80] = made[71] + 0.01 * rng.standard_normal((9, D)).astype(numpy.float32)
    return made


def cosine(a, b):
    dot = math.fsum(float(x) * float(y) for x, y in zip(a, b))
    norms = [math.sqrt(math.fsum(float(x) ** 2 for x in row)) for row in (a, b)]
    return float(numpy.float32(min(1.0, dot / (norms[0] * norms[1])))) if all(norms) else 0.0


def nearest(made, i, others):
    found = sorted((-cosine(made[i], made[j]), j) for j in others if j != i)
    return [[j, -c] for c, j in found[:K] if -c > 0]


if __name__ == "__main__":
    made = rows()
    golden = {"rows": made.astype(float).tolist(),
              "all": [nearest(made, i, range(N)) for i in range(N)],
              "even": [nearest(made, i, range(0, N, 2)) for i in range(N)]}
    path = pathlib.Path(__file__).resolve().parent / "neighbours.json"
    path.write_text(json.dumps(golden) + "\n")
