#!/usr/bin/env python3
"""Reference numbers of tests/unit/test_simulation.c and test_simulation_reply.c: cases.json.

The scores come from the PyPI package automated-interpretability (0.0.24, the published code of
Bills et al. 2023; it needs scikit-learn), intervals and imputation from numpy. What the package
leaves open is said here: a failed window gets the mean of the other predictions. Run again, it
writes the same bytes:

    python tests/golden/simulation/make_simulation.py

Cases: `scores` holds windows (document, activations, predictions or null) with the scores of the
package; `replies` holds the answer of a judge as a chat endpoint returns it (content, logprobs)
with the expected value at each token.
"""
import json
import pathlib

import numpy as np
from neuron_explainer.activations.activations import ActivationRecord
from neuron_explainer.explanations.calibrated_simulator import LinearCalibratedNeuronSimulator
from neuron_explainer.explanations.explanations import ActivationScale, SequenceSimulation
from neuron_explainer.explanations.scoring import (
    aggregate_scored_sequence_simulations, ScoredSequenceSimulation)
from neuron_explainer.explanations.simulator import compute_predicted_activation_stats_for_token

WORDS = ["The", " cat", " sat", " on", " the", " mat", ".", " It", " was", " black", " caf\u00e9",
         "!", " 7", "\u21b5", " dog", " ran"]


def scored(true, predicted):
    simulation = SequenceSimulation(
        tokens=["x"] * len(true), expected_activations=list(predicted),
        activation_scale=ActivationScale.SIMULATED_NORMALIZED_ACTIVATIONS,
        distribution_values=[], distribution_probabilities=[])
    return ScoredSequenceSimulation(
        simulation=simulation, true_activations=list(true), ev_correlation_score=None,
        rsquared_score=None, absolute_dev_explained_score=None)


def package_scores(windows, calibration=None):
    answered = [p for w in windows if w["predicted"] is not None for p in w["predicted"]]
    mean = float(np.mean(answered))
    filled = [w["predicted"] if w["predicted"] is not None else [mean] * len(w["activations"])
              for w in windows]
    whole = aggregate_scored_sequence_simulations(
        [scored(w["activations"], p) for w, p in zip(windows, filled)])
    out = {"pearson": float(whole.ev_correlation_score), "r2": whole.rsquared_score,
           "absdev": whole.absolute_dev_explained_score, "imputed": mean}
    if calibration:
        simulator = LinearCalibratedNeuronSimulator(None)
        simulator.calibrate_from_simulations(
            [ActivationRecord(tokens=[], activations=w["activations"]) for w in calibration],
            [SequenceSimulation(tokens=[], expected_activations=w["predicted"],
                                activation_scale=ActivationScale.SIMULATED_NORMALIZED_ACTIVATIONS,
                                distribution_values=[], distribution_probabilities=[])
             for w in calibration])
        fitted = aggregate_scored_sequence_simulations(
            [scored(w["activations"], simulator.apply_calibration(p))
             for w, p in zip(windows, filled)])
        out.update(calibration=calibration,
                   slope=float(simulator._regression.coef_[0]),
                   intercept=float(simulator._regression.intercept_),
                   fitted_pearson=float(fitted.ev_correlation_score),
                   fitted_r2=fitted.rsquared_score,
                   fitted_absdev=fitted.absolute_dev_explained_score)
    return out


def make_windows(rng, n_windows, noise, n_failed):
    windows = []
    for i in range(n_windows):
        n = int(rng.integers(4, 33))
        true = np.where(rng.random(n) < 0.2, rng.gamma(2.0, 3.0, n), 0.0).astype(np.float32)
        if i % 3 == 2:
            true[:] = 0.0
        said = np.clip(true / 2 + noise * rng.normal(size=n), 0.0, 10.0)
        windows.append({"document": int(rng.integers(1, n_windows)),
                        "activations": [float(t) for t in true],
                        "predicted": [float(p) for p in said]})
    for i in rng.choice(n_windows, n_failed, replace=False):
        windows[i]["predicted"] = None
    return windows


def score_cases(rng):
    for name, n_windows, noise, n_failed in (
            ("good judge", 30, 0.7, 0), ("bad judge", 30, 5.0, 0), ("failures", 24, 1.0, 7),
            ("one answered", 6, 1.0, 5), ("two windows", 2, 1.0, 0)):
        windows = make_windows(rng, n_windows, noise, n_failed)
        calibration = make_windows(rng, 12, noise, 0)
        yield {"name": name, "windows": windows, **package_scores(windows, calibration)}


def make_reply(rng, n_tokens):
    """A chat endpoint's logprobs for one `token TAB value` line a token."""
    tokens = [str(w) for w in rng.choice(WORDS, n_tokens)]
    content, expected = [], []
    plain = lambda text: {"token": text, "logprob": -0.01, "bytes": list(text.encode()),
                          "top_logprobs": [{"token": text, "logprob": -0.01}]}
    for token in tokens:
        cut = int(rng.integers(1, len(token) + 1))
        content += [plain(part) for part in (token[:cut], token[cut:]) if part]
        content.append(plain("\t"))
        values = rng.choice(11, int(rng.integers(1, 12)), replace=False)
        logits = rng.normal(scale=2.0, size=len(values) + 2)
        logprobs = logits - np.log(np.exp(logits).sum())
        top = {str(v): float(lp) for v, lp in zip(values, logprobs)}
        top["unknown"], top[" 3"] = float(logprobs[-2]), float(logprobs[-1])
        said = max((t for t in top if t.isdecimal()), key=top.get)
        expected.append(float(compute_predicted_activation_stats_for_token(top)[1]))
        content.append({"token": said, "logprob": top[said], "bytes": list(said.encode()),
                        "top_logprobs": [{"token": t, "logprob": lp} for t, lp in top.items()]})
        content.append(plain("\n"))
    return {"tokens": tokens, "content": "".join(c["token"] for c in content),
            "logprobs": {"content": content}, "expected": expected}


def main():
    rng = np.random.default_rng(20230509)
    parts = {"scores": list(score_cases(rng)),
             "replies": [make_reply(rng, n) for n in (1, 5, 17, 32)]}
    lines = ['"%s":[\n%s\n]' % (name, ",\n".join(json.dumps(c, separators=(",", ":")) for c in part))
             for name, part in parts.items()]
    path = pathlib.Path(__file__).with_name("cases.json")
    path.write_text("{%s}\n" % ",\n".join(lines))


if __name__ == "__main__":
    main()
