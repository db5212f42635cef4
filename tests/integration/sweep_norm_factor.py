#!/usr/bin/env python3
"""norm_scaling_factor: a dictionary whose factor (expected_average_only_in) was not folded into its
weights is captured with the factor of the sweep as the folded one is, and is refused without it. (Against SAELens: tests/golden/dictionaries, *-expected-unfolded.)"""
import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import BUILD, DEMO, SHARED, check, check_store_is_clean, label_sweep, run
from safetensors_file import pack, read_tensors, unpack, write_tensors
from small_dictionary import write_small_dictionary

FACTOR = 2  # a power of two: scaling rounds nothing
NORM = "expected_average_only_in"


def scaled(tensor, by):
    """Half floats times `by`; those that would lose bits become 0 first (in both dictionaries)."""
    shape, data = tensor
    values = [x if abs(x) >= 2.0 ** -12 else 0.0 for x in unpack("F16", data)]
    return shape, pack("F16", [x * by for x in values])


def write_pair():
    """The same dictionary with its factor folded in, and with the factor still to apply: what reads
    is divided by it, what is written multiplied (W_enc; W_dec, b_dec)."""
    if (SHARED / "folded").exists():
        return
    write_small_dictionary(DEMO / "sae", SHARED / "folded")
    write_small_dictionary(DEMO / "sae", SHARED / "unfolded", normalize_activations=NORM)
    tensors = read_tensors(SHARED / "folded" / "sae_weights.safetensors", "F16")
    for name, by in (("folded", 1), ("unfolded", FACTOR)):
        changed = {**tensors, "W_enc": scaled(tensors["W_enc"], 1 / by),
                   "W_dec": scaled(tensors["W_dec"], by), "b_dec": scaled(tensors["b_dec"], by)}
        write_tensors(SHARED / name / "sae_weights.safetensors", changed, "F16")


def sweep_over(name, factor=None):
    more = "scoring: {null_pairs: 0, bootstrap_resamples: 100}"
    text = label_sweep(name, 40000, 60, more)
    lines = []
    for line in text.splitlines():
        lines.append("    dictionary: %s" % (SHARED / name)
                     if line.strip().startswith("dictionary:") else line)
        if factor and lines[-1].strip().startswith("dictionary:"):
            lines.append("    norm_scaling_factor: %g" % factor)
    return "\n".join(lines) + "\n"


def what_was_captured(cluster, sweep):
    """Per feature what does not depend on names (which windows are drawn does): counts, maximum."""
    rows = map(json.loads, cluster.canonical(sweep)["results.jsonl"].splitlines())
    return {row["feature"]: (row["firing"], row["fire_threshold"], row["status"]) for row in rows}


def activations(cluster, name, *options):
    """The bytes of every activation of a text, as interp-worker reads them."""
    text, out = cluster.home / "text.txt", cluster.home / (name + ".safetensors")
    text.write_text("The cat sat on the mat. One day in March the ship sailed home.\n")
    subprocess.run([BUILD / "interp-worker", "activations", DEMO / "model", "--hook",
                    "blocks.2.hook_resid_pre", "--dictionary", SHARED / name, *options, "--text",
                    text, "-o", out], check=True, capture_output=True)
    return out.read_bytes()


def a_factor_of_the_sweep_is_as_good_as_a_folded_one(cluster):
    write_pair()
    cluster.up(workers=2)
    folded = cluster.submit(sweep_over("folded"))
    unfolded = cluster.submit(sweep_over("unfolded", FACTOR))
    other = cluster.submit(sweep_over("unfolded", FACTOR * 1.5).replace("name: unfolded",
                                                                        "name: other"))
    for sweep in (folded, unfolded, other):
        cluster.wait(sweep)
    mine = what_was_captured(cluster, folded)
    check(any(firing["n_firing_tokens"] for firing, _, _ in mine.values()), "features fire")
    check(what_was_captured(cluster, unfolded) == mine, "folded and unfolded: the same")
    check(what_was_captured(cluster, other) != mine, "another factor reads otherwise")
    check(activations(cluster, "unfolded", "--norm-scaling-factor", str(FACTOR)) ==
          activations(cluster, "folded"), "the same, to the bit")
    check_store_is_clean(cluster)


def a_factor_that_is_missing_or_not_used_is_refused(cluster):
    cluster.up(workers=1)
    missing = cluster.submit(sweep_over("unfolded"))
    unused = cluster.submit(sweep_over("folded", FACTOR))
    for sweep, words in ((missing, "norm_scaling_factor must be given"),
                         (unused, "norm_scaling_factor is given and not used")):
        reason = cluster.wait(sweep, "failed")["reason"]
        check(words in reason and "targets[0]" in reason, reason)


def probe(cluster, *more, feature=0, code=0):
    """What one feature does on a text, without a sweep: JSON, or why not."""
    out, err = cluster.ctl_both("probe", "--model", DEMO / "model", "--hook",
                                "blocks.2.hook_resid_pre", *more, "-o", "json", str(feature),
                                "One day in March the ship sailed home.", code=code)
    return err if code else json.loads(out)["probes"][0]


def a_probe_without_a_sweep_takes_the_factor_too(cluster):
    write_pair()
    cluster.up(workers=1)
    folded = [probe(cluster, "--dictionary", SHARED / "folded", feature=i) for i in range(20)]
    check(any(max(one["activations"]) > 0 for one in folded), "some feature fires")
    unfolded = [probe(cluster, "--dictionary", SHARED / "unfolded", "--norm-scaling-factor",
                      str(FACTOR), feature=i) for i in range(20)]
    check(unfolded == folded, "the same, to the bit")
    missing = probe(cluster, "--dictionary", SHARED / "unfolded", code=1)
    check("norm_scaling_factor must be given" in missing, missing)
    refused = probe(cluster, "--units", "residual", "--norm-scaling-factor", "2", code=2)
    check("needs --dictionary" in refused, refused)


if __name__ == "__main__":
    run([a_factor_of_the_sweep_is_as_good_as_a_folded_one,
         a_factor_that_is_missing_or_not_used_is_refused,
         a_probe_without_a_sweep_takes_the_factor_too])
