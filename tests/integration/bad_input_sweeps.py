#!/usr/bin/env python3
"""Sweeps that cannot work: each fails with one clear line that names the thing, nothing is left
half-written, and where the cause can be mended `retry` goes on."""
import json
import os
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import DEMO, check, check_store_is_clean, run, say, small_dictionary, wait_until
from safetensors_file import Tensors, pack
from small_dictionary import write_small_dictionary

CORPUS = DEMO / "corpus/demo.jsonl.gz"


def sweep_of(**changes):
    keys = {"model": DEMO / "model", "corpus": CORPUS, "hook": "blocks.2.hook_resid_pre",
            "dictionary": small_dictionary(), "features": "0-9", "more": "", **changes}
    return """kind: label
name: bad
model: {model}
corpus:
  path: {corpus}
  bos: true
  max_tokens: 20000
targets:
  - hook: {hook}
    dictionary: {dictionary}
    features: "{features}"
scoring: {{null_pairs: 0, bootstrap_resamples: 100}}
{more}
""".format(**keys)


# --- things that are wrong ------------------------------------------------------------------


def model_with(folder, config=None, poisoned=None, n_bytes=None):
    shutil.copytree(DEMO / "model", folder)
    weights = folder / "model.safetensors"
    if config:
        told = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**told, **config}))
    if poisoned:
        tensors, data = Tensors(weights), bytearray(weights.read_bytes())
        check(tensors.dtype(poisoned) == "F16", "F16")
        at, _ = tensors.place(poisoned)
        data[at:at + 2] = pack("F16", [float("nan")])
        weights.write_bytes(data)
    if n_bytes:
        weights.write_bytes(weights.read_bytes()[:n_bytes])
    return folder


def dictionary_with(folder, **config):
    write_small_dictionary(DEMO / "sae", folder)
    told = json.loads((folder / "cfg.json").read_text())
    told["metadata"].update(config.pop("metadata", {}))
    (folder / "cfg.json").write_text(json.dumps({**told, **config}))
    return folder


def text(folder, name, data):
    path = folder / name
    path.write_bytes(data)
    return path


def bad_cases(home):
    """(what is wrong, changes to the sweep, words that its reason must hold)"""
    yield "layer", {"hook": "blocks.9.hook_resid_pre"}, ["blocks.9.hook_resid_pre", "4 layers"]
    yield "hook", {"hook": "blocks.2.hook_nonsense"}, ["blocks.2.hook_nonsense"]
    yield "range", {"features": "500-600"}, ["600", "512 features"]
    yield "width", {"dictionary": dictionary_with(home / "wide", d_in=64)}, ["wide", "W_enc"]
    yield "other hook", {"dictionary": dictionary_with(
        home / "other", metadata={"hook_name": "blocks.1.hook_resid_pre"})}, \
        ["other", "blocks.1.hook_resid_pre"]
    yield "no dictionary", {"dictionary": home / "nowhere"}, ["nowhere"]
    yield "architecture", {"dictionary": dictionary_with(home / "arch", architecture="magic")}, \
        ["arch", "magic"]
    yield "empty", {"corpus": text(home, "empty.jsonl", b"")}, ["empty.jsonl", "no document"]
    yield "blank", {"corpus": text(home, "blank.txt", b"\n\n  \n")}, ["blank.txt", "no document"]
    yield "binary", {"corpus": text(home, "binary.jsonl", bytes(range(256)) * 40)}, \
        ["binary.jsonl:1"]
    yield "latin-1", {"corpus": text(home, "latin.txt", b"caf\xe9 cr\xe8me " * 99)}, \
        ["latin.txt", "UTF-8"]
    yield "no JSON", {"corpus": text(home, "cut.jsonl", b'{"text": "a"}\n{"text": \n')}, \
        ["cut.jsonl:2", "JSON"]
    yield "no text", {"corpus": text(home, "keys.jsonl", b'{"text": "a"}\n{"txt": 3}\n')}, \
        ["keys.jsonl:2", "text"]
    yield "no gzip", {"corpus": text(home, "noise.jsonl.gz", b"\x1f\x8b\x08" + b"\x99" * 500)}, \
        ["noise.jsonl.gz"]
    yield "no corpus", {"corpus": home / "gone.jsonl"}, ["gone.jsonl", "No such file"]
    yield "no model", {"model": home / "nomodel"}, ["nomodel", "No such file"]
    yield "NaN", {"model": model_with(home / "nan",
                                      poisoned="transformer.h.0.attn.c_attn.weight")}, \
        ["nan", "h.0.attn.c_attn.weight", "not finite"]
    yield "family", {"model": model_with(home / "bert", config={"model_type": "bert",
                                                                "architectures": ["BertModel"]})}, \
        ["bert", "BertModel"]
    yield "cut short", {"model": model_with(home / "cut", n_bytes=100000)}, ["cut", "outside"]
    yield "no provider", {"more": "explainer: nobody\njudge: nobody"}, ["nobody", "explainer"]


def each_fails_with_a_line_that_names_it(cluster):
    cluster.up(workers=1)
    n = 0
    for what, changes, words in bad_cases(cluster.home):
        _, err = cluster.ctl_both("submit", "-", "--wait", "--quiet", stdin=sweep_of(**changes),
                                  code=1, seconds=30)
        sweep = cluster.json("list")["sweeps"][0]
        n += 1
        check(sweep["id"] == "bad-%d" % n and sweep["state"] == "failed", "%s: %s" % (what, sweep))
        check("\n" not in sweep["reason"], "%s: one line: %s" % (what, sweep["reason"]))
        for word in words:
            check(word in sweep["reason"], "%s: %r names no %r" % (what, sweep["reason"], word))
        check(err.count("\n") == 1 and sweep["reason"] in err, "%s: %s" % (what, err))
        folder = cluster.data / "sweeps" / sweep["id"]
        left = [path.name for path in folder.iterdir()] if folder.exists() else []
        check(left == [], "%s left %s" % (what, left))
        check(cluster.is_running("coordinator") and cluster.is_running("w1"), "%s: all live" % what)
    say("%d sweeps failed well" % n)
    for i in range(n):
        cluster.ctl("cancel", "bad-%d" % (i + 1))
    wait_until(lambda: cluster.redis.run("SCARD", "interp:active") == 0, "forgotten")
    check_store_is_clean(cluster)
    cluster.wait(cluster.submit(sweep_of()))


def a_bad_file_is_refused_before_it_is_sent(cluster):
    cluster.up(workers=0)
    good = sweep_of()
    for words, yaml in ((["modle", ":3:"], good.replace("model:", "modle:")),
                        (["max_tokens"], good.replace("20000", "20k")),
                        (["kind"], good.replace("kind: label", "kind: lable")),
                        (["targets"], good[:good.index("targets:")]),
                        (["null_pairs"], good.replace("null_pairs", "null_pear")),
                        (["null_pairs"], good.replace("null_pairs: 0", "null_pairs: -1")),
                        (["not YAML"], good.replace("corpus:", "corpus: [")),
                        (["features"], good.replace("0-9", "9-3")),
                        (["name"], good.replace("bad", "b/d"))):
        _, err = cluster.ctl_both("submit", "-", stdin=yaml, code=2)
        for word in words:
            check(word in err, "%r names no %r" % (err, word))
        check(err.count("\n") <= 2, err)
    check(cluster.json("list")["sweeps"] == [], "nothing was accepted")
    check(cluster.redis.run("KEYS", "interp:sweep:*") == [], "nothing was stored")


def what_was_mended_goes_on(cluster):
    cluster.up(workers=1)
    missing = cluster.home / "late-model"
    sweep = cluster.submit(sweep_of(model=missing))
    cluster.wait(sweep, "failed")
    check(cluster.json("dead", sweep)["total"] == 1, "listed")
    os.symlink(DEMO / "model", missing)
    cluster.ctl("retry", sweep)
    cluster.wait(sweep)
    check(cluster.json("dead")["total"] == 0, "nothing is dead any more")
    rows = cluster.canonical(sweep)["results.jsonl"].count(b"\n")
    check(rows == 10, "%d rows" % rows)
    check_store_is_clean(cluster)


def a_data_directory_that_cannot_be_written(cluster):
    cluster.start_redis()
    blocked = text(cluster.home, "file", b"in the way")
    cluster.start_coordinator("blocked", wait=False, data=blocked / "data")
    check(cluster.processes["blocked"].wait(timeout=20) == 1, "it ends")
    check(str(blocked) in cluster.log("blocked"), cluster.log("blocked"))
    check(cluster.log("blocked").count("error") <= 2, "one line")
    cluster.start_coordinator()
    cluster.start_worker("w1")
    sweep = cluster.submit(sweep_of())
    trap = cluster.data / "sweeps" / sweep / "results.jsonl"
    wait_until(lambda: trap.parent.exists(), "its folder")
    trap.mkdir()  # the results cannot be put there
    (trap / "x").mkdir()
    failed = cluster.wait(sweep, "failed")
    check("results.jsonl" in failed["reason"], failed["reason"])
    left = sorted(path.name for path in trap.parent.iterdir())
    left = [name for name in left if not name.startswith("kept-")]  # whole ones, for a retry
    check(left == ["results.jsonl"], "nothing half-written: %s" % left)
    shutil.rmtree(trap)
    cluster.ctl("retry", sweep)
    cluster.wait(sweep)
    shutil.rmtree(cluster.data / "sweeps")
    text(cluster.data, "sweeps", b"in the way")
    second = cluster.submit(sweep_of())
    failed = cluster.wait(second, "failed")
    check("sweeps" in failed["reason"], failed["reason"])
    (cluster.data / "sweeps").unlink()
    cluster.ctl("retry", second)
    cluster.wait(second)
    check_store_is_clean(cluster)


def prompts_that_are_not_there(cluster):
    cluster.start_llm()
    cluster.start_redis()
    prompts = cluster.home / "prompts"
    cluster.start_coordinator(prompts=prompts)
    cluster.start_worker("w1")
    cluster.start_gateway("g1")
    llm = sweep_of(features="0-3", more="explainer: stand-in\njudge: stand-in-judge")
    sweep = cluster.submit(llm)
    failed = cluster.wait(sweep, "failed")
    check("prompts/explainer.txt" in failed["reason"], failed["reason"])
    check(failed["phase"] != "label" and cluster.llm_stats()["received"] == 0, "before any work")
    shutil.copytree(pathlib.Path(__file__).resolve().parents[2] / "config/prompts", prompts)
    cluster.ctl("retry", sweep)
    cluster.wait(sweep)
    check_store_is_clean(cluster)


if __name__ == "__main__":
    run([each_fails_with_a_line_that_names_it, a_bad_file_is_refused_before_it_is_sent,
         what_was_mended_goes_on, a_data_directory_that_cannot_be_written,
         prompts_that_are_not_there])
