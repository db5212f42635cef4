#!/usr/bin/env python3
"""Reference numbers of tests/unit/test_wilson.c: {k, n, population, low, high}.

The bounds are the roots of (k/n - p)^2 = z^2 p (1 - p) / n (N - n) / (N - 1), solved with 40 digits;
without a population (0) they are compared with statsmodels.
"""
import mpmath as mp
from statsmodels.stats.proportion import proportion_confint

CASES = [(0, 1, 0), (1, 1, 0), (0, 10, 0), (10, 10, 0), (1, 10, 0), (41, 50, 0), (7, 13, 0),
         (999, 1000, 0), (123456, 1000000, 0), (41, 50, 64), (41, 50, 51), (3, 4, 5),
         (50, 50, 213), (1, 13, 100000)]


def bounds(k, n, population):
    z = mp.sqrt(2) * mp.erfinv(mp.mpf("0.95"))
    share, n = mp.mpf(k) / n, mp.mpf(n)
    z2 = z * z * ((population - n) / (population - 1) if population else 1)
    a, b, c = 1 + z2 / n, -(2 * share + z2 / n), share ** 2
    root = mp.sqrt(max(mp.mpf(0), b * b - 4 * a * c))
    return (-b - root) / (2 * a), (-b + root) / (2 * a)


def main():
    mp.mp.dps = 40
    for k, n, population in CASES:
        low, high = bounds(k, n, population)
        if not population:
            theirs = proportion_confint(k, n, method="wilson")
            assert max(abs(low - theirs[0]), abs(high - theirs[1])) < 1e-14
        print("{%d, %d, %d, %s, %s}," % (k, n, population, mp.nstr(low, 17), mp.nstr(high, 17)))


main()
