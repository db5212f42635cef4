#!/usr/bin/env python3
"""What features write: the tokens that a record says are promoted and suppressed are those of decoder
row times unembedding, computed here from the files with the standard library alone; neurons and
residual dimensions too; a head has none, and says why; shuffled weights give others."""
import json
import math
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import DEMO, ROOT, check, check_store_is_clean, run, say
from safetensors_file import Tensors

PLANTED = ROOT / "tests/golden/planted"
SWEEP = """
kind: label
name: %(name)s
model: %(demo)s/model
corpus: {path: %(demo)s/corpus/demo.jsonl.gz, bos: true, max_tokens: 40000}
targets:
  - hook: blocks.0.hook_resid_pre
    dictionary: %(planted)s
  - hook: blocks.3.mlp.hook_post
    units: neurons
    features: "3-4"
  - hook: blocks.1.hook_resid_post
    units: residual
    features: "7"
  - hook: blocks.1.attn.hook_z
    units: heads
explainer: lexical
judge: lexical
scoring: {null_pairs: 60, n_firing: 5, n_silent: 5, bootstrap_resamples: 100}
thresholds: {min_test_documents: 5}
%(more)s
"""


def folded_head():
    """Rows of the unembedding as TransformerLens folds them: times the final norm's gain, less each
    row's mean (layer norm), less the mean row."""
    tensors = Tensors(DEMO / "model/model.safetensors")
    n_vocab, width = tensors.shape("transformer.wte.weight")
    values = tensors.values("transformer.wte.weight")
    gain = tensors.values("transformer.ln_f.weight")
    rows = []
    for v in range(n_vocab):
        row = [a * g for a, g in zip(values[v * width:(v + 1) * width], gain)]
        mean = math.fsum(row) / width
        rows.append([a - mean for a in row])
    means = [math.fsum(column) / n_vocab for column in zip(*rows)]
    return [[a - m for a, m in zip(row, means)] for row in rows]


def directions():
    """(target, feature as records number it) -> direction in the residual stream."""
    planted = Tensors(PLANTED / "sae_weights.safetensors")
    (n, width), rows = planted.shape("W_dec"), planted.values("W_dec")
    found = {("dictionary", i): rows[i * width:(i + 1) * width] for i in range(n)}
    model = Tensors(DEMO / "model/model.safetensors")
    d_model = model.shape("transformer.h.3.mlp.c_proj.weight")[1]
    out = model.values("transformer.h.3.mlp.c_proj.weight")
    for unit in (3, 4):
        row = out[unit * d_model:(unit + 1) * d_model]
        found[("blocks.3.mlp.hook_post", 2 * unit)] = row
        found[("blocks.3.mlp.hook_post", 2 * unit + 1)] = [-a for a in row]
    for sign in (0, 1):
        basis = [0.0] * width
        basis[7] = -1.0 if sign else 1.0
        found[("blocks.1.hook_resid_post", 14 + sign)] = basis
    return found


def key_of(row):
    target = row["target"]
    return ("dictionary" if target["dictionary"] else target["hook_point"], row["feature"])


def check_side(row, logits, entries, sign):
    """The ten largest (sign 1) or lowest; equal to 1e-5 of the largest; tokens of near ties may swap."""
    scale = max(abs(x) for x in logits)
    order = sorted(range(len(logits)), key=lambda v: (-sign * logits[v], v))[:10]
    check(len(entries) == 10, "ten tokens")
    for entry, wanted in zip(entries, order):
        check(abs(entry["logit"] - logits[entry["id"]]) <= 1e-5 * scale,
              "%s token %d: %r, not %r" % (key_of(row), entry["id"], entry["logit"],
                                           logits[entry["id"]]))
        check(abs(logits[entry["id"]] - logits[wanted]) <= 1e-5 * scale, "%s: in order" % (key_of(row),))


def finish(cluster, name, more=""):
    sweep = cluster.submit(SWEEP % {"name": name, "demo": DEMO, "planted": PLANTED, "more": more})
    cluster.wait(sweep, seconds=120)
    check_store_is_clean(cluster)
    lines = cluster.canonical(sweep)["results.jsonl"].splitlines()
    return sweep, [json.loads(line) for line in lines]


def records_have_what_the_files_say(cluster):
    cluster.up(workers=2)
    sweep, rows = finish(cluster, "outputs")
    head, wanted = folded_head(), directions()
    n_checked = n_named = 0
    for row in rows:
        if row["target"]["hook_point"].endswith("hook_z"):
            check(row["promoted"] is None and row["suppressed"] is None, "a head has none")
            check(row["no_output"] == "a head writes no one direction", row["no_output"])
            continue
        way = wanted.pop(key_of(row))
        logits = [math.fsum(a * b for a, b in zip(way, u)) for u in head]
        check(row["no_output"] is None, "it is there")
        check_side(row, logits, row["promoted"], 1)
        check_side(row, logits, row["suppressed"], -1)
        n_checked += 1
        n_named += row["output_label"] is not None
    check(not wanted and n_checked == 24 + 4 + 2, "%d features were checked" % n_checked)
    page = cluster.ctl("show", sweep, "0")
    first = rows[0]["promoted"][0]
    check("promotes" in page and "%.2f" % first["logit"] in page and "suppresses" in page, page)
    page = cluster.ctl("show", sweep, "0", "--target", "3")
    check("a head writes no one direction" in page, page)
    say("%d features agree with the files to 1e-5; %d have something in common" % (n_checked, n_named))
    shuffled(cluster, rows)


def shuffled(cluster, rows):
    """The control of random weights has a decoder that is the same and an unembedding that is not."""
    _, others = finish(cluster, "shuffled", "control: random_weights")
    pairs = [(row, other) for row, other in zip(rows, others) if row["promoted"]]
    n_same = sum(row["promoted"] == other["promoted"] for row, other in pairs)
    check(n_same == 0, "%d features promote the same tokens with other weights" % n_same)


if __name__ == "__main__":
    run([records_have_what_the_files_say])
