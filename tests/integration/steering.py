#!/usr/bin/env python3
"""`interpctl steer` on real workers: continuations and KL as transformers gives them; the same
answer on any worker and after a kill of coordinator or worker; errors that name the thing."""
import json
import os
import pathlib
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import (BUILD, DEMO, ROOT, check, check_store_is_clean, label_sweep, run, say,
                     small_dictionary, wait_until)

HOOK = "blocks.2.hook_resid_pre"
SOURCE = ("--model", DEMO / "model", "--hook", HOOK)
DICTIONARY = ("--dictionary", DEMO / "sae")
PROMPT = "The old man sat down by the"


def steer(cluster, *words):
    answer = cluster.json("steer", *words)
    check(answer["state"] == "done", "done")
    return answer


def as_transformers_does(cluster):
    cluster.up(workers=1)
    golden = json.loads((ROOT / "tests/golden/steering/cases.json").read_text())["generations"]
    for want in golden:
        if want["has_bos"]:
            continue  # without a sweep a prompt is run as the tokenizer's template says: bare
        words = [("%d+=%r" if kind == "add" else "%d=%r") % (feature, value)
                 for feature, kind, value in want["interventions"]]
        got = steer(cluster, *SOURCE, *DICTIONARY, *words, "--prompt", want["prompt"],
                    "--where", want["where"], "--tokens", len(want["clean"]))
        name = "%s, %s" % (words, want["where"])
        both = got["continuations"][0]
        check(both["clean"]["token_ids"] == want["clean"], "clean: " + name)
        check(both["steered"]["token_ids"] == want["steered"], "steered: " + name)
        check(abs(got["kl"] - want["kl"]) <= 1e-4 * want["kl"], "%s: KL %.9g, not %.9g" %
              (name, got["kl"], want["kl"]))
        for mine, (token, clean, steered) in zip(got["changes"], want["changes"]):
            check(mine["token_id"] == token and abs(mine["clean"] - clean) < 1e-5 and
                  abs(mine["steered"] - steered) < 1e-5, "changed token %d: %s" % (token, name))
    ablated = steer(cluster, *SOURCE, *DICTIONARY, "--ablate", 1054, "--prompt", PROMPT)
    set_to_0 = steer(cluster, *SOURCE, *DICTIONARY, "1054=0", "--prompt", PROMPT)
    check(ablated == set_to_0, "--ablate is =0")


def the_same_on_any_worker(cluster):
    """Samples too; a sweep's features, its workers' kind; neurons and heads."""
    cluster.up(workers=2)
    sweep = cluster.submit(label_sweep("steered", 30000, 40, "scoring: {null_pairs: 0}"))
    cluster.wait(sweep)
    sampled = ("--prompt", PROMPT, "--temperature", "1", "--samples", "3", "--seed", "7",
               "--tokens", "12")
    subjects = [(sweep, "3=8", "17+=-4", *sampled),
                (*SOURCE, "--units", "residual", "3=2", *sampled),
                ("--model", DEMO / "model", "--hook", "blocks.1.attn.hook_z", "--units", "heads",
                 "--ablate", 2, *sampled)]
    answers = [steer(cluster, *subject) for subject in subjects]
    for answer in answers:
        check(len(answer["continuations"]) == 3 and answer["kl"] > 0, "three of each")
    texts = {one["clean"]["text"] for one in answers[0]["continuations"]}
    check(len(texts) > 1, "samples differ")
    check([one["clean"] for one in answers[1]["continuations"]] ==
          [one["clean"] for one in answers[2]["continuations"]], "the clean model is the same")
    cluster.kill("w1")
    for subject, answer in zip(subjects, answers):
        check(steer(cluster, *subject) == answer, "on the other worker")
    other = steer(cluster, *subjects[0][:-3], "8", "--tokens", "12")
    check(other["continuations"] != answers[0]["continuations"], "another seed draws others")
    check_store_is_clean(cluster)


def killed_on_the_way(cluster):
    cluster.up(workers=1)
    subject = (*SOURCE, "--dictionary", small_dictionary(), "13=4", "--prompt", PROMPT)
    want = steer(cluster, *subject)

    def begin():
        process = subprocess.Popen(
            [BUILD / "interpctl", "steer", *map(str, subject), "-o", "json"], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=dict(os.environ, INTERP_ENDPOINT=cluster.endpoint))
        wait_until(lambda: cluster.redis.run("KEYS", "interp:generate_tasks:user-*"),
                   "its task is out")
        return process

    def end(process):
        out, errors = process.communicate(timeout=60)
        check(process.returncode == 0, "exit %d: %s" % (process.returncode, errors))
        return json.loads(out)

    cluster.send_signal("w1", signal.SIGSTOP)
    process = begin()
    cluster.kill("coordinator")
    cluster.start_coordinator()
    cluster.send_signal("w1", signal.SIGCONT)
    check(end(process) == want, "the coordinator was killed: another answer")
    say("coordinator killed: the same answer")

    cluster.send_signal("w1", signal.SIGSTOP)
    process = begin()
    cluster.kill("w1")
    cluster.start_worker("w2")
    check(end(process) == want, "the worker was killed: another answer")
    say("worker killed: the same answer")
    wait_until(lambda: not cluster.redis.run("SCARD", "interp:user_probes"), "forgotten")
    check_store_is_clean(cluster)


def errors_name_the_thing(cluster):
    cluster.up(workers=0)
    subject = (*SOURCE, "--dictionary", small_dictionary())
    prompt = ("--prompt", "He went")

    def error(*words, code):
        return cluster.ctl_both("steer", *words, code=code)[1]
    check("no worker is connected" in error(*subject, "1=2", *prompt, code=4), "no workers")
    cluster.start_worker("w1")
    check('no sweep "nothing"' in error("nothing", "1=2", *prompt, code=3), "no sweep")
    check("there are 512" in error(*subject, "512=1", *prompt, code=1), "no feature")
    check("--prompt is missing" in error(*subject, "1=2", code=2), "no prompt")
    check("nothing to steer" in error(*subject, *prompt, code=2), "no feature")
    check("FEATURE=VALUE" in error(*subject, "13", *prompt, code=2), "no value")
    check("no number" in error(*subject, "13=x", *prompt, code=2), "no number")
    check("context of 128 tokens" in
          error(*subject, "1=2", "--prompt", "word " * 300, code=2), "a long prompt")
    check("context is 128" in
          error(*subject, "1=2", "--prompt", "a b", "--tokens", 200, code=2), "a long continuation")
    check("all the same" in error(*subject, "1=2", *prompt, "--samples", 2, code=2), "greedy")
    check("ablated, not steered" in
          error("--model", DEMO / "model", "--hook", "blocks.1.attn.hook_z", "--units", "heads",
                "1=2", *prompt, code=2), "a head")
    check("cannot be steered" in
          error("--model", DEMO / "model", "--hook", "blocks.1.ln1.hook_normalized", "--units",
                "residual", "1=2", *prompt, code=2), "a hook point")
    out = cluster.ctl("steer", *subject, "13=6", "--ablate", 7, *prompt, "--tokens", 6)
    for word in ("13 set to 6", "7 ablated", "KL(clean || steered)", "PROMPT", "clean", "steered"):
        check(word in out, word)


if __name__ == "__main__":
    run([as_transformers_does, the_same_on_any_worker, killed_on_the_way, errors_name_the_thing])
