#!/usr/bin/env python3
"""`interpctl probe` on real workers: the activations of capture, bit for bit; the same answers when
coordinator or worker are killed while a probe is under way; errors that name the thing."""
import json
import os
import pathlib
import signal
import struct
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import (BUILD, DEMO, SHARED, check, check_store_is_clean, label_sweep, run, say,
                     small_dictionary, wait_until)
from safetensors_file import Tensors

BOS = json.loads((DEMO / "model/config.json").read_text())["bos_token_id"]
HOOK = "blocks.2.hook_resid_pre"
TEXTS = ["Once upon a time there was a little girl who lived by the sea.",
         "int main(void) { return 0; }",
         "The cat sat on the mat; the dog ran after it, and they were never seen again.",
         "x", "Caf\u00e9 \U0001f600 \u4e2d\u6587", "one\ntwo\nthree",
         "word " * 300]
SOURCE = ("--model", DEMO / "model", "--hook", HOOK)


def reference(rows, dictionary):
    """What `interp-worker activations` writes for rows of tokens: values(row, token, feature)."""
    (SHARED / "rows.jsonl").write_text("".join(json.dumps({"tokens": row}) + "\n" for row in rows))
    out = SHARED / "acts.safetensors"
    subprocess.run([BUILD / "interp-worker", "activations", DEMO / "model", "--tokens",
                    SHARED / "rows.jsonl", "--dictionary", dictionary, "-o", out], check=True)
    (_, n_ctx, n_features), values = (Tensors(out).shape("feature_acts"),
                                      Tensors(out).values("feature_acts"))
    return lambda row, token, feature: values[(row * n_ctx + token) * n_features + feature]


def f32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def probe(cluster, *words, texts=TEXTS):
    answer = cluster.json("probe", *words, *texts)
    check(answer["state"] == "done" and len(answer["probes"]) == len(texts), "an answer for each")
    return answer


def compare(answer, values, feature):
    """Every activation is the reference's; returns how many are above 0."""
    n_firing = 0
    for row, got in enumerate(answer["probes"]):
        check(got["error"] is None, got["error"])
        for i, value in enumerate(got["activations"]):
            want = values(row, i + 1, feature)  # token 0 of the row is BOS
            check(f32(value) == want, "feature %d, text %d, token %d: %.9g, not %.9g" %
                  (feature, row, i, value, want))
            n_firing += want > 0
        check(f32(got["max"]) == max(map(f32, got["activations"])), "the maximum")
    return n_firing


def a_finished_sweeps_features_have_the_bits_of_capture(cluster):
    cluster.up(workers=2)
    sweep = cluster.submit(label_sweep("bits", 30000, 40, "scoring: {null_pairs: 0}"))
    cluster.wait(sweep)
    first = probe(cluster, sweep, 0)
    rows = [[BOS] + got["token_ids"] for got in first["probes"]]
    check(len(rows[-1]) == 128 and first["probes"][-1]["is_cut"], "cut at the context")
    check(not first["probes"][0]["is_cut"], "a short text is whole")
    for text, got in zip(TEXTS[:-1], first["probes"]):
        check("".join(got["tokens"]) == text, "tokens join to the text")
    values = reference(rows, small_dictionary())
    firing = [feature for feature in range(512)
              if any(values(row, token, feature) > 0
                     for row in range(len(rows)) for token in range(1, len(rows[row])))]
    check(len(firing) >= 20, "%d features fire" % len(firing))
    silent = [feature for feature in range(512) if feature not in firing][:3]
    for feature in firing[:24] + silent:
        n_above = compare(probe(cluster, sweep, feature), values, feature)
        check((n_above > 0) == (feature not in silent), "feature %d: %d above 0" % (feature, n_above))
    check_store_is_clean(cluster)


def evidence_is_what_a_probe_of_its_text_says(cluster):
    """A captured window that begins its document, probed as a text."""
    cluster.up(workers=1)
    sweep = cluster.submit(label_sweep("evidence", 30000, 512, "scoring: {null_pairs: 0}"))
    cluster.wait(sweep)
    n = 0
    for line in cluster.canonical(sweep)["results.jsonl"].splitlines():
        record = json.loads(line)
        for window in record["evidence"]:
            if window["offset"] or "\ufffd" in window["text"] or n >= 40:
                continue
            got = probe(cluster, sweep, record["feature"], texts=[window["text"]])["probes"][0]
            if got["tokens"] != window["tokens"]:
                continue  # the window ends where a longer word is one token
            same = ["%.5g" % a == "%.5g" % b
                    for a, b in zip(got["activations"], window["activations"])]
            check(all(same), "feature %d: %s" % (record["feature"], window["text"]))
            check(got["fires"] == (window["kind"] == "firing"), "the verdict is the window's kind")
            n += 1
    check(n >= 10, "%d windows compared" % n)


def begin_probe(cluster, *words):
    """The command under way: asked, and not answered because the worker is stopped."""
    command = [BUILD / "interpctl", "probe", *map(str, words), *TEXTS, "-o", "json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env=dict(os.environ, INTERP_ENDPOINT=cluster.endpoint))
    wait_until(lambda: cluster.redis.run("SCARD", "interp:user_probes") == 1, "it is under way")
    return process


def end_probe(process):
    out, errors = process.communicate(timeout=60)
    check(process.returncode == 0, "exit %d: %s" % (process.returncode, errors))
    return json.loads(out)


def killed_on_the_way(cluster):
    cluster.up(workers=1)
    subject = (*SOURCE, "--dictionary", small_dictionary(), 13)
    want = probe(cluster, *subject)

    cluster.send_signal("w1", signal.SIGSTOP)
    process = begin_probe(cluster, *subject)
    wait_until(lambda: cluster.redis.run("KEYS", "interp:probe_tasks:user-*"), "its task is out")
    cluster.kill("coordinator")
    cluster.start_coordinator()
    cluster.send_signal("w1", signal.SIGCONT)
    check(end_probe(process) == want, "the coordinator was killed: another answer")
    say("coordinator killed: the same answer")

    cluster.send_signal("w1", signal.SIGSTOP)
    process = begin_probe(cluster, *subject)
    wait_until(lambda: cluster.redis.run("KEYS", "interp:probe_tasks:user-*"), "its task is out")
    cluster.kill("w1")
    cluster.start_worker("w2")
    check(end_probe(process) == want, "the worker was killed: another answer")
    say("worker killed: the same answer")
    wait_until(lambda: not cluster.redis.run("SCARD", "interp:user_probes"), "forgotten")
    check_store_is_clean(cluster)


def a_probe_that_nobody_waits_for_is_forgotten(cluster):
    cluster.up(workers=1)
    cluster.send_signal("w1", signal.SIGSTOP)
    process = begin_probe(cluster, *SOURCE, "--dictionary", small_dictionary(), 13)
    process.kill()
    process.communicate()
    cluster.kill("coordinator")
    cluster.start_coordinator()
    wait_until(lambda: not cluster.redis.run("SCARD", "interp:user_probes"), "it is forgotten")
    check_store_is_clean(cluster)


def errors_name_the_thing(cluster):
    cluster.up(workers=0)
    dictionary = ("--dictionary", small_dictionary())
    subject = (*SOURCE, *dictionary)

    def error(*words, code):
        return cluster.ctl_both("probe", *words, code=code)[1]
    check("no worker is connected" in error(*subject, 13, "x", code=4), "no workers")
    cluster.start_worker("w1")
    check('no sweep "nothing"' in error("nothing", 13, "x", code=3), "no sweep")
    check("there are 512" in error(*subject, 512, "x", code=1), "no feature")
    check("4 layers" in error("--model", DEMO / "model", "--hook", "blocks.7.hook_resid_pre",
                              *dictionary, 1, "x", code=1), "no hook")
    check("no text" in error("nothing", 13, code=2), "no text")
    check("feature" in error(*subject, "many", "x", code=2), "no number")
    check("--hook" in error("--model", DEMO / "model", 1, "x", code=2), "no hook point")
    check("go with --model" in error("--hook", HOOK, "s", 1, "x", code=2), "a sweep has a hook")
    answer = json.loads(cluster.ctl("probe", *subject, 13, "-", "third", "-o", "json",
                                    stdin="first\n\nsecond\n"))
    texts = [got["text"] for got in answer["probes"]]
    check(texts == ["first", "second", "third"], "standard input's lines, then the rest: %s" % texts)
    out = cluster.ctl("probe", "--model", DEMO / "model", "--hook", "blocks.1.mlp.hook_post",
                      "--units", "neurons", 7, "He went home.")
    check("not known" in out and "home" in out, "a neuron without a sweep has no threshold")
    sweep = cluster.submit(label_sweep("later", 60000, 20))
    cluster.wait_phase(sweep, "capture-explain")
    check("features 0 to 511, not 512" in error(sweep, 512, "x", code=3), "of a running sweep")


if __name__ == "__main__":
    run([a_finished_sweeps_features_have_the_bits_of_capture,
         evidence_is_what_a_probe_of_its_text_says, killed_on_the_way,
         a_probe_that_nobody_waits_for_is_forgotten, errors_name_the_thing])
