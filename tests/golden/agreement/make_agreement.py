#!/usr/bin/env python3
"""Reference numbers of tests/unit/test_agreement.c: tests/golden/agreement/cases.json.

Cohen's kappa from scikit-learn 1.9, Fleiss' from statsmodels 0.15, the interval of a small case
from all n^n equally likely resamples of its documents (scikit-learn again). Answers: 1 fires,
0 silent, -1 no answer.
"""
import itertools
import json
import pathlib
import warnings

import numpy as np
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import fleiss_kappa


def fleiss(answers):
    table = np.stack([(answers == 0).sum(0), (answers == 1).sum(0)], 1)
    return float(fleiss_kappa(table, method="fleiss"))


def make_case(rng, n_judges, n_windows, skill, share, n_failed):
    truth = rng.random(n_windows) < share
    answers = np.stack([np.where(rng.random(n_windows) < skill, truth, rng.random(n_windows) < 0.5)
                        for _ in range(n_judges)]).astype(int)
    for _ in range(n_failed):
        answers[rng.integers(n_judges), rng.integers(n_windows)] = -1
    kept = answers[:, (answers >= 0).all(0)]
    return {"answers": answers.tolist(),
            "documents": [int(d) for d in rng.integers(0, max(2, n_windows // 2), n_windows)],
            "n_windows": kept.shape[1], "fleiss": fleiss(kept),
            "cohen": float(cohen_kappa_score(kept[0], kept[1]))}


def exact_interval():
    """Five documents; percentiles of kappa over the 5^5 resamples where it is defined."""
    documents = [([1, 1], [1, 0]), ([0, 1, 0], [0, 1, 1]), ([1], [1]), ([0, 0], [0, 0]),
                 ([1, 0, 0], [0, 0, 0])]
    values = []
    for drawn in itertools.product(documents, repeat=len(documents)):
        a, b = sum((d[0] for d in drawn), []), sum((d[1] for d in drawn), [])
        if len(set(a + b)) > 1:
            values.append(cohen_kappa_score(a, b))
    return {"documents": documents, "low": float(np.quantile(values, 0.025)),
            "high": float(np.quantile(values, 0.975)),
            "kappa": float(cohen_kappa_score(sum((d[0] for d in documents), []),
                                             sum((d[1] for d in documents), [])))}


def main():
    warnings.simplefilter("error")
    rng = np.random.default_rng(1960)
    cases = [make_case(rng, *p) for p in (
        (2, 40, 0.8, 0.5, 0), (2, 40, 0.3, 0.9, 6), (3, 60, 0.9, 0.3, 5), (7, 25, 0.5, 0.5, 0),
        (4, 12, 0.0, 0.5, 1))]
    lines = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
    exact = json.dumps(exact_interval(), separators=(",", ":"))
    path = pathlib.Path(__file__).with_name("cases.json")
    path.write_text('{"cases":[\n%s],\n"exact":%s}\n' % (lines, exact))


if __name__ == "__main__":
    main()
