#!/usr/bin/env python3
# timeout: 600
"""The estimate of a circuit sweep that a dry run shows, against what the sweep then measured."""
import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import check, run, say, wait_until
from made_models import HOME, folder, known

HEAD_BYTES = 8 + 64  # of a file of measured values: kept_answer.h


def plan(cluster, yaml, *options):
    return json.loads(cluster.ctl("submit", "-", "--dry-run", "-o", "json", *options, stdin=yaml))


def measured(cluster, sweep, summary):
    """Variants of the verdict: two numbers a variant and prompt, a clean variant among them."""
    path = cluster.data / "sweeps" / sweep / "measured-verdict.bin"
    n_numbers = (path.stat().st_size - HEAD_BYTES) // 8
    return n_numbers // (2 * summary["prompts"]["verdict"]) - 1


def expect_bounds(cluster, yaml):
    told = plan(cluster, yaml)["estimate"]
    sweep = cluster.submit(yaml)
    cluster.wait(sweep, seconds=200)
    summary = cluster.json("circuit", sweep)["summary"]
    n_verdict = measured(cluster, sweep, summary)
    check(told["candidates"] == summary["n_candidates"], "candidates: %s" % told)
    search, verdict = told["search_variants"], told["verdict_variants"]
    check(search["least"] <= summary["n_variants"] <= search["usual"] <= search["most"],
          "%s: search %d, %s" % (yaml, summary["n_variants"], search))
    check(verdict["least"] <= n_verdict <= verdict["usual"] <= verdict["most"],
          "verdict %d, %s" % (n_verdict, verdict))
    prompts = [json.loads(line) for line in
               (cluster.data / "sweeps" / sweep / "prompts.jsonl").read_text().splitlines()]
    n_tokens = max(len(prompt["clean"]) for prompt in prompts)
    n_real = (summary["n_variants"] * summary["prompts"]["search"] +
              n_verdict * summary["prompts"]["verdict"]) * n_tokens
    usual = told["variant_tokens_usual"]
    check(n_real <= usual <= told["variant_tokens_most"], "variant-tokens %d, %s" % (n_real, told))
    check(usual < 40 * n_real, "within a factor of 40: %d, %s" % (n_real, told))
    print("  %d variant-tokens, usually under %.1f times that" % (n_real, usual / n_real))
    return told, summary, n_verdict


def what_was_measured_lies_within(cluster):
    cluster.up(workers=2)
    few = "verdict: {n_random: 20, n_subsets: 4, n_resamples: 100}\n"
    for kind, more in (("induction", ""), ("induction", "search: {conditional: false}\n"),
                       ("backup", ""), ("or-gate", "search: {edges: acdc}\n"),
                       ("negative", "ablation: {values: [mean, resample], mean_over: template}\n"),
                       ("llama-induction", "candidates: [heads, kv_groups, mlps]\nlayers: 1\n")):
        model = known(kind)
        yaml = ("kind: circuit\nname: e\nmodel: %s\ntask: {prompts: %s/prompts.jsonl}\n%s%s"
                % (model, model, few, more))
        told, summary, _ = expect_bounds(cluster, yaml)
        if "conditional: false" in more:
            check(told["search_variants"] == {"least": summary["n_variants"],
                                              "usual": summary["n_variants"],
                                              "most": summary["n_variants"]}, "exactly")
    yaml = ("kind: circuit\nname: e\nmodel: %s\ntask: {generator: induction, n_prompts: 40, "
            "n_tokens: 12}\n%s" % (known("induction"), few))
    expect_bounds(cluster, yaml)
    brought = HOME / "brought.json"
    brought.write_text(json.dumps(json.loads((model / "circuit.json").read_text())["circuit"]))
    _, summary, n_verdict = expect_bounds(cluster, yaml + "circuit: %s\n" % brought)
    check(summary["n_variants"] == 0 and n_verdict > 0, "nothing is searched")


def time_is_told_once_it_was_measured(cluster):
    cluster.up(workers=1)
    model = known("induction")
    yaml = ("kind: circuit\nname: e\nmodel: %s\ntask: {prompts: %s/prompts.jsonl}\n"
            "verdict: {n_random: 20, n_resamples: 100}\n" % (model, model))
    check(plan(cluster, yaml, "--state", cluster.home)["estimate"]["seconds_most"] is None,
          "nobody measured it")
    cluster.wait(cluster.submit(yaml), seconds=100)
    told = plan(cluster, yaml, "--state", cluster.home)["estimate"]
    rate = told["variant_tokens_per_second"]
    check(rate > 0 and abs(told["seconds_most"] - told["variant_tokens_most"] / rate) < 1e-6, told)
    text = cluster.ctl("submit", "-", "--dry-run", "--state", cluster.home, stdin=yaml)
    worker = cluster.workers()["w1"]
    on = told["measured_on"]
    check((on["backend"], on["isa"], on["run_threads"]) ==
          (worker["backend"], worker["isa"], worker["n_threads"]), "%s: %s" % (on, worker))
    check(abs(rate - on["run_threads"] * on["thread_tokens_per_second"]) < 1e-6 * rate, told)
    for words in ("10 candidates", "variants\n", "variant-tokens\n", "  time        about ",
                  "variant-tokens/s: %d run thread" % on["run_threads"],
                  "(%s), each as fast as" % on["isa"],
                  "no call to a language model"):
        check(words in text, "'%s' is not in the plan:\n%s" % (words, text))
    check("ollar" not in text, "no dollars where nobody is paid")


def thread_rate(cluster, yaml):
    told = plan(cluster, yaml, "--state", cluster.home)["estimate"]["measured_on"]
    return told["thread_tokens_per_second"]


def reach_verdict(cluster, yaml, share):
    """A sweep whose verdict has `share` of its units done, and not all."""
    sweep = cluster.submit(yaml)

    def is_there():
        now = cluster.status(sweep)
        check(now["state"] == "running", now["state"])
        return now["phase"] == "verdict" and now["n_units"] and \
            now["n_units_done"] >= share * now["n_units"]
    wait_until(is_there, "the verdict is under way", 120, step=0.005)
    return sweep


def pauses_and_earlier_lives_are_no_work(cluster):
    cluster.up(workers=1)
    model = known("induction")
    yaml = ("kind: circuit\nname: e\nmodel: %s\ntask: {generator: induction, n_prompts: 150, "
            "n_tokens: 24}\nsearch: {conditional: false}\nablation: {n_batch: 2}\n"
            "prompt_splits: {search: 2, reference: 2, verdict: 96}\n"
            "verdict: {n_random: 40, n_resamples: 100}\n" % model)
    began = time.monotonic()
    cluster.wait(cluster.submit(yaml), seconds=200)
    seconds, rate = time.monotonic() - began, thread_rate(cluster, yaml)
    say("a sweep of %.1f s, %.0f variant-tokens/s" % (seconds, rate))

    sweep = reach_verdict(cluster, yaml, 0.05)
    cluster.ctl("pause", sweep)
    time.sleep(9 * seconds)
    cluster.ctl("resume", sweep)
    cluster.wait(sweep, seconds=200)
    paused = thread_rate(cluster, yaml)
    check(rate / 5 < paused < 5 * rate, "with a pause %.0f, without %.0f" % (paused, rate))

    sweep = reach_verdict(cluster, yaml, 0.5)
    cluster.kill("coordinator")
    cluster.start_coordinator()
    cluster.wait(sweep, seconds=200)
    restarted = thread_rate(cluster, yaml)
    check(rate / 5 < restarted < 5 * rate, "restarted %.0f, else %.0f" % (restarted, rate))


if __name__ == "__main__":
    with folder:
        run([what_was_measured_lies_within, time_is_told_once_it_was_measured,
             pauses_and_earlier_lives_are_no_work])
