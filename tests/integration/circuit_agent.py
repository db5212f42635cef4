#!/usr/bin/env python3
# timeout: 600
"""The agent of a circuit sweep: it is asked once, its proposals order the search and are scored;
whatever it answers, or when it answers nothing, circuit and verdict are those without it."""
import json
import os
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import ROOT, Cluster, check, check_store_is_clean, run, wait_until
from made_models import HOME, folder, known, truth

FEW = "verdict: {n_random: 20, n_subsets: 4, n_resamples: 300}"
RESPONDER = ROOT / "tests/support/circuit_responder.py"


def sweep_of(model, name, agent="{provider: stand-in}", more=""):
    search = "search: {agent: %s}\n" % agent if agent else ""
    return ("kind: circuit\nname: %s\nmodel: %s\ntask: {prompts: %s/prompts.jsonl}\n%s\n"
            "head_scores: {when: always, n_words: 10}\n%s%s\n"
            % (name, model, model, FEW, search, more))


def up(cluster, faults=None):
    cluster.start_llm("--responder", RESPONDER, "--log-bodies", faults=faults)
    cluster.up(workers=2, gateways=1)


def finish(cluster, yaml):
    sweep = cluster.submit(yaml)
    cluster.wait(sweep, seconds=120)
    told = cluster.json("circuit", sweep)
    check("nan" not in json.dumps(told).lower(), "no NaN in a report")
    return sweep, told


def without_names(told):
    """Circuit and verdict but for the name of the sweep."""
    circuit, verdict = dict(told["circuit"], name=""), dict(told["verdict"])
    verdict["circuit"] = dict(verdict["circuit"], name="")
    return json.dumps([circuit, verdict], sort_keys=True)


def skipped(cluster, sweep):
    return set(cluster.json("status", sweep)["skipped_phases"])


ANSWERS = ("scores", "all", "backwards", "prose", "half", "fenced", "unknown", "many", "same",
           "hostile", "types", "object", "empty", "refused")


def no_answer_changes_the_verdict(cluster):
    up(cluster, faults=[{"when": {"match": "agent-refused"}, "do": "status", "status": 400}])
    for kind, answers in (("induction", ANSWERS), ("backup", ("backwards", "unknown"))):
        model = known(kind)
        sweep, plain = finish(cluster, sweep_of(model, "plain", agent=None))
        check(plain["agent"] is None, "nobody was asked")
        text = cluster.ctl("circuit", sweep).replace("plain", "")
        for answer in answers:
            name = "agent-" + answer
            sweep, told = finish(cluster, sweep_of(model, name))
            check(without_names(told) == without_names(plain), "%s, %s: another verdict"
                  % (kind, answer))
            mine = cluster.ctl("circuit", sweep)
            check("\x1b" not in mine and "\u202e" not in mine, "nothing that a terminal obeys")
            check(mine.split("\nWhat the agent")[0].replace(name, "").strip() ==
                  text.split("\nWhat the agent")[0].strip(), answer + ": the same report")
            check_told(answer, told["agent"], model)
    both = sweep_of(known("induction"), "agent-scores").replace("{agent", "{order: attribution, agent")
    asked, told = finish(cluster, both)
    alone, plain = finish(cluster, sweep_of(known("induction"), "plain", agent=None))
    check({"attribution", "agent"} <= skipped(cluster, alone) and
          not {"attribution", "agent"} & skipped(cluster, asked), "what was not asked for is told")
    check(without_names(told) == without_names(plain), "ordered by both: the same verdict")
    check_store_is_clean(cluster)


def check_told(answer, agent, model):
    counts = {key: agent[key] for key in ("n_proposed", "n_named", "n_unknown", "n_unreadable",
                                          "n_repeated", "n_beyond")}
    n_candidates = len(truth(model)["nodes"])
    check(agent["provider"] == "stand-in" and agent["model"] == "explainer-1", "who was asked")
    check(agent["served_by"] == (None if answer == "refused" else "stand-in"), "who answered")
    check(agent["shown"]["candidates"] == {"n": n_candidates, "n_shown": n_candidates}, "all")
    check(len(agent["prompt_sha256"]) == 64 and len(agent["call"]) == 64, "with what")
    check(len(agent["proposals"]) == counts["n_proposed"] <= 2000, "what was proposed")
    check(all(len(p["role"] or "") < 64 for p in agent["proposals"]), "roles are short")
    if answer in ("prose", "half", "object", "empty", "refused"):
        check(agent["problem"] and counts["n_proposed"] == 0, "%s: %s" % (answer, agent))
        check(agent["score"]["auroc"] == 0.5, "all tied: half")
    else:
        check(agent["problem"] is None, "%s: %s" % (answer, agent["problem"]))
    if answer in ("all", "backwards"):
        check(counts["n_named"] == n_candidates, "%s: %s" % (answer, counts))
        check(agent["score"]["recall"] == 1, "all of the circuit is among all")
    if answer == "unknown":
        check(counts["n_named"] == 0 and counts["n_unreadable"] == 3, counts)
        check(agent["score"]["precision"] is None, "undefined without proposals")
    if answer == "many":
        check(counts["n_beyond"] == 8000 and counts["n_proposed"] == 2000, counts)
    if answer == "same":
        check(counts["n_proposed"] == 1 and counts["n_repeated"] == 500, counts)
    if answer == "types":
        check(counts["n_unreadable"] == 5 and counts["n_proposed"] == 2, counts)
    if answer == "fenced":
        check(agent["is_repaired"] and counts["n_proposed"] == 3, counts)


def what_heads_attend_to_is_shown_and_scored(cluster):
    """An agent that trusts attention patterns names the impostor as well: the score says so."""
    up(cluster)
    model = known("induction")
    sweep, told = finish(cluster, sweep_of(model, "agent-scores"))
    agent = told["agent"]
    named = {p["component"]: p for p in agent["proposals"]}
    for component in truth(model)["circuit"]:
        check(named[component]["in_circuit"] and named[component]["role"] == "copies the answer",
              named)
    impostor, = truth(model)["impostors"]
    check(impostor in named and not named[impostor]["in_circuit"], "the impostor looks right")
    right = len(truth(model)["circuit"])
    check(agent["score"]["precision"] == right / 4 and agent["score"]["recall"] == 1, agent)
    check(agent["score"]["auroc"] > 0.8, agent["score"])
    text = cluster.ctl("circuit", sweep)
    check("precision 0.5, recall 1" in text and "copies the answer" in text, text)
    shown = [json.loads(entry["body"]) if isinstance(entry["body"], str) else entry["body"]
             for entry in cluster.llm_log() if entry.get("body")]
    prompt = shown[0]["messages"][-1]["content"]
    held_out = [json.loads(line) for line in (model / "prompts.jsonl").read_text().splitlines()]
    check(any(p["clean_text"] in prompt for p in held_out if p["set"] == "search"), "some prompts")
    check(not any(p["clean_text"] in prompt for p in held_out if p["set"] == "held_out"),
          "no prompt of the verdict is shown")


def it_is_asked_and_paid_once(cluster):
    cluster.start_llm("--responder", RESPONDER, "--latency", "2")
    cluster.up(workers=1, gateways=1)
    model = known("induction")
    sweep = cluster.submit(sweep_of(model, "agent-all"))
    cluster.wait_phase(sweep, "agent")
    cluster.kill("coordinator")
    cluster.start_coordinator()
    cluster.wait(sweep, seconds=120)
    check(len([e for e in cluster.llm_log() if e["event"] == "received"]) == 1, "sent once")
    cost = cluster.json("cost", sweep)
    check(cost["together"]["calls"] == 1 and cost["together"]["dollars"] > 0, cost)
    first = cluster.json("circuit", sweep)
    again, told = finish(cluster, sweep_of(model, "agent-all"))  # the stored reply
    check(cluster.json("cost", again)["together"]["calls"] == 0, "nothing is paid twice")
    check(without_names(told) == without_names(first), "the same")
    check_store_is_clean(cluster)


def a_spent_budget_pauses_it(cluster):
    up(cluster)
    sweep = cluster.submit(sweep_of(known("induction"), "agent-all",
                                    more="budget_dollars: 0.000001"))
    reason = cluster.wait(sweep, "paused")["reason"]
    check("budget spent" in reason, reason)
    cluster.ctl("resume", sweep, "--budget", "1")
    cluster.wait(sweep, seconds=60)
    check(cluster.json("circuit", sweep)["agent"]["problem"] is None, "then it was asked")


def a_budget_of_nothing_is_no_budget_without_limit(cluster):
    up(cluster)
    nothing = sweep_of(known("induction"), "agent-all", more="budget_dollars: 0")
    plan = cluster.ctl("submit", "-", "--dry-run", "--providers", cluster.providers, stdin=nothing)
    check("budget      0 dollars: nothing may be spent" in plan, plan)
    sweep = cluster.submit(nothing)
    reason = cluster.wait(sweep, "paused")["reason"]
    check("budget_dollars is 0: nothing may be spent" in reason, reason)
    check(not [e for e in cluster.llm_log() if e["event"] == "received"], "nobody was asked")
    cluster.ctl("resume", sweep, "--budget", "0", code=2)
    cluster.ctl("resume", sweep, "--budget", "1")
    cluster.wait(sweep, seconds=60)
    check(cluster.json("circuit", sweep)["agent"]["problem"] is None, "then it was asked")


def with_fallback(cluster, more=""):
    """The providers file, in which the judge stands in for the one that is asked."""
    asked, judge = "model: explainer-1\n", "model: judge-1\n"
    config = cluster.providers.read_text()
    config = config.replace(asked, asked + "    fallback: stand-in-judge\n")
    cluster.providers.write_text(config.replace(judge, judge + more))


def a_fallback_that_answers_is_named(cluster):
    """The one that is asked refuses the key; the sweep does not wait for it."""
    cluster.start_llm("--responder", RESPONDER, faults=[
        {"when": {"match": "explainer-1"}, "do": "status", "status": 401}])
    with_fallback(cluster)
    cluster.up(workers=1, gateways=1)
    sweep, told = finish(cluster, sweep_of(known("induction"), "agent-all"))
    agent = told["agent"]
    check((agent["provider"], agent["model"]) == ("stand-in", "explainer-1"), "who was asked")
    check((agent["served_by"], agent["served_model"]) == ("stand-in-judge", "judge-1"), agent)
    text = cluster.ctl("circuit", sweep)
    check("its fallback stand-in-judge answered, model judge-1" in text, text)


def a_fallback_without_a_key_pauses_it(cluster):
    """Nobody waits without a word: which variable is missing is the reason, and a gateway that has
    it is enough to go on."""
    refused = {"when": {"match": "explainer-1"}, "do": "status", "status": 401}
    cluster.start_llm("--responder", RESPONDER, faults=[refused])
    with_fallback(cluster, "    api_key_env: KEY_OF_THE_JUDGE\n")
    cluster.up(workers=1, gateways=1)
    sweep = cluster.submit(sweep_of(known("induction"), "agent-all"))
    reason = cluster.wait(sweep, "paused", seconds=30)["reason"]
    check("HTTP 401" in reason and reason.endswith(
        "; fallback: provider stand-in-judge: environment variable KEY_OF_THE_JUDGE is not set; "
        "give it to the gateways and start them again"), reason)
    told = " ".join(cluster.ctl("status", sweep).split())
    check(reason in told, "people are told: " + told)
    os.environ["KEY_OF_THE_JUDGE"] = "a-key-for-nobody"
    cluster.start_gateway("g2")
    cluster.wait(sweep, seconds=60)
    check(cluster.json("circuit", sweep)["agent"]["served_by"] == "stand-in-judge", "it answered")


def a_provider_without_a_key_pauses_it(cluster):
    cluster.start_llm("--responder", RESPONDER)
    asked = "model: explainer-1\n"
    config = cluster.providers.read_text()
    cluster.providers.write_text(config.replace(asked, asked + "    api_key_env: NOBODYS_KEY\n"))
    cluster.up(workers=1, gateways=1)
    sweep = cluster.submit(sweep_of(known("induction"), "agent-all"))
    reason = cluster.wait(sweep, "paused", seconds=30)["reason"]
    check(reason == "provider stand-in: environment variable NOBODYS_KEY is not set; give it to "
                    "the gateways and start them again", reason)
    check(not [e for e in cluster.llm_log() if e["event"] == "received"], "nobody was asked")


def labels_of_heads(model, layers):
    """By the lexical explainer, on the model's own words."""
    corpus = HOME / "corpus.jsonl"
    pairs = [json.loads(line) for line in (model / "prompts.jsonl").read_text().splitlines()]
    corpus.write_text("".join(json.dumps({"id": str(i), "tokens": pair["clean"]}) + "\n"
                              for i, pair in enumerate(pairs)))
    targets = "".join("- {hook: blocks.%d.attn.hook_z, units: heads}\n" % layer for layer in layers)
    return ("kind: label\nname: heads\nmodel: %s\ncorpus: {path: %s, format: tokens, "
            "context_tokens: 24, window_tokens: 8, min_window_tokens: 2}\n"
            "scoring: {n_firing: 2, n_silent: 2, null_pairs: 0, bootstrap_resamples: 100}\n"
            "thresholds: {min_test_documents: 1, unit_quantile: 0.6}\ntargets:\n%s"
            % (model, corpus, targets))


def labels_of_another_sweep_are_shown(cluster):
    """Where components are at named positions too. What does not fit is refused when it is
    submitted."""
    up(cluster)
    model = known("induction")
    pairs = [json.loads(line) for line in (model / "prompts.jsonl").read_text().splitlines()]
    labels = labels_of_heads(model, (0, 1))
    cluster.submit(labels)
    cluster.wait("heads-1")
    named = {"L%dH%d" % (int(r["target"]["hook_point"].split(".")[1]), r["feature"]): r["label"]
             for r in cluster.json("results", "heads-1")["rows"] if r["label"]}
    check(named, "some heads have a label")
    placed = HOME / "placed.jsonl"
    placed.write_text("".join(json.dumps(dict(pair, positions={"end": -1})) + "\n"
                              for pair in pairs))
    for more in ("", "positions: [end]"):
        asks = sweep_of(model, "agent-all", "{provider: stand-in, labels: heads-1}", more)
        _, told = finish(cluster, asks.replace("%s/prompts.jsonl" % model, str(placed)))
        check(told["agent"]["labels"] == "heads-1", told["agent"])
        check(told["agent"]["shown"]["labels"] == {"n": len(named), "n_shown": len(named)},
              "%s: %s" % (more, told["agent"]["shown"]))
        check(told["agent"]["shown"]["heads"] == {"n": 8, "n_shown": 8}, told["agent"]["shown"])
        prompt = [json.loads(e["body"]) if isinstance(e["body"], str) else e["body"]
                  for e in cluster.llm_log() if e.get("body")][-1]["messages"][-1]["content"]
        for name in named:
            check(name + " fires on: " in prompt, "%s is not shown: %s" % (name, prompt))
    cluster.submit(labels.replace("name: heads", "name: control") + "control: permuted\n")
    cluster.wait("control-4")
    other = known("backup")
    for asks, words in ((sweep_of(model, "c", "{provider: stand-in, labels: control-4}"),
                         "control-4 is a control (permuted)"),
                        (sweep_of(other, "c", "{provider: stand-in, labels: heads-1}"),
                         "heads-1 is about the model %s, this sweep about %s" % (model, other)),
                        (sweep_of(model, "c", "{provider: stand-in, labels: agent-all-2}"),
                         "agent-all-2 is a circuit sweep")):
        _, err = cluster.ctl_both("submit", "-", "-q", stdin=asks, code=2)
        check("search.agent.labels: " + words in err and err.count("\n") == 1, err)


def labels_of_what_was_trained_again_are_refused(cluster):
    """The path says nothing of what is there: another model in its place has other heads."""
    up(cluster)
    model = HOME / "mine"
    shutil.copytree(known("induction"), model)
    cluster.submit(labels_of_heads(model, (0,)))
    cluster.wait("heads-1")
    asks = sweep_of(model, "agent-all", "{provider: stand-in, labels: heads-1}")
    finish(cluster, asks)
    with (model / "config.json").open("a") as config:
        config.write("\n")
    reason = cluster.wait(cluster.submit(asks), "failed")["reason"]
    check("search.agent.labels: heads-1 labelled another model of the same path" in reason, reason)


def what_cannot_be_asked_is_said(cluster):
    up(cluster)
    model = known("induction")
    sweep = cluster.submit(sweep_of(model, "agent-all", "{provider: nobody}"))
    reason = cluster.wait(sweep, "failed")["reason"]
    check("search.agent.provider: no provider \"nobody\"" in reason, reason)
    for agent, code, words in (("{provider: stand-in, labels: none-7}", 3,
                                "search.agent.labels: no sweep \"none-7\""),
                               ("{labels: none-7}", 2, ":7: search.agent.labels: "),
                               ("{max_tokens: 100}", 2, ":7: search.agent.max_tokens: ")):
        _, err = cluster.ctl_both("submit", "-", "-q", stdin=sweep_of(model, "c", agent), code=code)
        check(words in err and err.count("\n") == 1, err)
    plan = cluster.ctl("submit", "-", "--dry-run", "--providers", cluster.providers,
                       stdin=sweep_of(model, "agent-all"))
    check("one call" in plan, plan)
    check("has no price" not in plan and "budget      10 dollars at most" in plan, plan)
    cluster.write_providers(dollars_per_million_input=0, dollars_per_million_output=0)
    plan = cluster.ctl("submit", "-", "--dry-run", "--providers", cluster.providers,
                       stdin=sweep_of(model, "agent-all"))
    check("Provider stand-in has no price" in plan and "no budget holds them back" in plan, plan)


if __name__ == "__main__":
    with folder:
        run([no_answer_changes_the_verdict, what_heads_attend_to_is_shown_and_scored,
             it_is_asked_and_paid_once, a_spent_budget_pauses_it,
             a_budget_of_nothing_is_no_budget_without_limit, a_fallback_that_answers_is_named,
             a_fallback_without_a_key_pauses_it, a_provider_without_a_key_pauses_it,
             labels_of_another_sweep_are_shown,
             labels_of_what_was_trained_again_are_refused, what_cannot_be_asked_is_said])
