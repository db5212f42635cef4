#!/usr/bin/env python3
"""Reference numbers for tests/unit/test_score.c, test_bootstrap.c and test_null_model.c.

Plain Python, no packages, none of our code: exact enumeration of all resamples of a small set of
documents, brute force over all pairs for AUROC, and the textbook definition of
Benjamini-Hochberg. Run it and compare with the constants in the tests.
"""
import itertools
import math


def balanced_accuracy(tp, fn, tn, fp):
    return (tp / (tp + fn) + tn / (tn + fp)) / 2


def auroc(firing, silent):
    wins = sum((f > s) + 0.5 * (f == s) for f in firing for s in silent)
    return wins / (len(firing) * len(silent))


def all_resamples(documents, score):
    """Exact distribution of the score over all n^n equally likely resamples that have one."""
    values = []
    for drawn in itertools.product(documents, repeat=len(documents)):
        sums = [sum(column) for column in zip(*drawn)]
        try:
            values.append(score(*sums))
        except ZeroDivisionError:
            pass
    return sorted(values)


def quantile(values, q):
    """Linear interpolation at (n - 1) q."""
    place = q * (len(values) - 1)
    low = math.floor(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (place - low) * (values[high] - values[low])


def benjamini_hochberg(p_values, q):
    """Which hypotheses are rejected: the definition, by trying every k."""
    m = len(p_values)
    order = sorted(p_values)
    k = max((k for k in range(1, m + 1) if order[k - 1] <= k * q / m), default=0)
    return [k > 0 and p <= order[k - 1] for p in p_values]


def main():
    print("balanced accuracy 18/20, 15/20:", balanced_accuracy(18, 2, 15, 5))
    print("f1 18 tp, 2 fn, 5 fp:", 36 / (36 + 2 + 5))
    firing, silent = [0.9, 0.8, 0.8, 0.4, 0.35], [0.8, 0.5, 0.4, 0.3, 0.1, 0.0]
    print("auroc:", repr(auroc(firing, silent)))
    print("auroc, one firing failed, one silent failed:",
          repr(auroc(firing + [-1], silent + [2])))

    # (tp, fn, tn, fp) of six documents: test_bootstrap.c, SIX
    six = [(2, 0, 1, 0), (1, 1, 2, 0), (0, 1, 1, 1), (3, 0, 0, 1), (1, 0, 1, 0), (0, 2, 2, 1)]
    values = all_resamples(six, balanced_accuracy)
    print("six documents:", len(values), "resamples with a score of", 6**6)
    print("  exact 2.5 %:", repr(quantile(values, 0.025)), "97.5 %:", repr(quantile(values, 0.975)))
    print("  exact mean:", repr(sum(values) / len(values)))
    f1 = all_resamples(six, lambda tp, fn, tn, fp:
                       2 * tp / (2 * tp + fn + fp) if tp + fn and tn + fp else 1 / 0)
    print("  exact F1 2.5 %:", repr(quantile(f1, 0.025)), "97.5 %:", repr(quantile(f1, 0.975)))
    rival = [(1, 1, 1, 0), (1, 1, 1, 1), (1, 0, 1, 1), (2, 1, 0, 1), (0, 1, 1, 0), (1, 1, 2, 1)]
    paired = [a + b for a, b in zip(six, rival)]
    difference = all_resamples(
        paired, lambda a, b, c, d, e, f, g, h:
        balanced_accuracy(a, b, c, d) - balanced_accuracy(e, f, g, h))
    print("  exact difference 2.5 %:", repr(quantile(difference, 0.025)),
          "97.5 %:", repr(quantile(difference, 0.975)))

    p_values = [0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.212, 0.216]
    print("BH q = .05:", benjamini_hochberg(p_values, 0.05))
    step_up = [0.04, 0.045, 0.03, 0.05]
    print("BH step-up, q = .05:", benjamini_hochberg(step_up, 0.05))


if __name__ == "__main__":
    main()
