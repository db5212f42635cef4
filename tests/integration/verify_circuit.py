#!/usr/bin/env python3
# timeout: 600
"""interpctl verify-circuit: a circuit that the user brings is judged as one that was searched; and
what is wrong with circuits and prompts is said in a line, never as a NaN."""
import hashlib
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import Cluster, check, run
from made_models import HOME, folder, known, truth

FEW = "verdict: {n_random: 20, n_subsets: 4, n_resamples: 300}\n"
NOT_SEARCHED = "stability: not measured, no search found this circuit"


def write(name, text):
    path = HOME / name
    path.write_text(text if isinstance(text, str) else json.dumps(text))
    return path


def sweep_file(model, prompts=None, more=""):
    text = ("kind: circuit\nname: brought\nmodel: %s\ntask: {prompts: %s}\n%s%s"
            % (model, prompts or model / "prompts.jsonl", FEW, more))
    return write("sweep.yaml", text)


def judge(cluster, circuit, sweep, code):
    out, err = cluster.ctl_both("verify-circuit", circuit, sweep, "--wait", "--quiet", "-o",
                                "json", code=code)
    told = json.loads(out)
    check("nan" not in out.lower(), "no NaN in a report")
    check(told["summary"]["is_brought"] and told["summary"]["n_variants"] == 0, "nothing searched")
    return told, err


def refused(cluster, circuit, sweep, code, *words):
    """One clear line that has all the words."""
    out, err = cluster.ctl_both("verify-circuit", circuit, sweep, "--wait", "--quiet", code=code)
    check(out == "" and err.startswith("interpctl: ") and err.count("\n") == 1,
          "one line: %r %r" % (out, err))
    for word in words:
        check(word in err, "'%s' is not said: %s" % (word, err))


def keys_of_a_search_are_left_out_or_refused(cluster):
    """The sweep file of a search serves to verify a circuit; beside a circuit of one's own its
    keys would do nothing, and submit says so."""
    cluster.up(workers=2)
    model = known("induction")
    circuit = write("truth.json", (model / "circuit.json").read_text())
    search = "search: {value: mean, edges: acdc, fdr_q: 0.01, agent: {provider: nobody}}\n"
    judge(cluster, circuit, sweep_file(model, more=search), 0)
    for keys, named in (("edges: acdc", "edges"), ("fdr_q: 0.01", "fdr_q")):
        sweep = sweep_file(model, more="circuit: %s\nsearch: {%s}\n" % (circuit, keys))
        _, err = cluster.ctl_both("submit", sweep, "--dry-run", code=2)
        check("search.%s: is of a search, and a circuit that is brought is not searched" % named
              in err and err.count("\n") == 1, err)
    plan = cluster.ctl("submit", sweep_file(model, more="circuit: %s\n" % circuit), "--dry-run")
    check("circuit     %s\n" % circuit in plan and "search " not in plan, plan)


def the_true_circuit_holds_in_every_notation(cluster):
    cluster.up(workers=2)
    model = known("induction")
    names = truth(model)["circuit"]
    pairs = [[int(n[1]), int(n[3:])] for n in names]
    for name, text in (("truth.json", (model / "circuit.json").read_text()),
                       ("names.json", ["a%d.h%d" % tuple(pair) for pair in pairs]),
                       ("pairs.json", pairs),
                       ("roles.json", {"roles": {"previous": [pairs[0]], "copying": [pairs[1]]}}),
                       ("list.txt", "# by hand\n" + "\n".join(names) + "\n")):
        told, _ = judge(cluster, write(name, text), sweep_file(model), 0)
        check(told["summary"]["outcome"] == "partial", name + ": no search, so never verified")
        check(told["summary"]["reasons"] == [NOT_SEARCHED], "%s: %s" % (name, told["summary"]))
        check(told["summary"]["stability"] is None, "no stability")
        check([n["name"] for n in told["circuit"]["nodes"]] == names, name + ": its nodes")
    rows = cluster.json("results", "brought-1")["rows"]
    check([r["component"] for r in rows if r["reason"] == "brought"] == names, "the records")
    text = cluster.ctl("verify-circuit", HOME / "pairs.json", sweep_file(model), "-W", "-q")
    check("verdict: partial" in text and NOT_SEARCHED in text, "the report for people")
    # What the sweep found itself has the same numbers.
    found = cluster.ctl("submit", sweep_file(model), "--quiet", "--wait").strip()
    verdict = cluster.json("circuit", found)["verdict"]["values"]
    for value in ("zero", "mean", "resample"):
        for what in ("sufficiency", "necessity"):
            check(verdict[value][what] == told["verdict"]["values"][value][what],
                  "%s under %s: %s and %s" % (what, value, verdict[value][what],
                                              told["verdict"]["values"][value][what]))


def gates_and_backups_are_judged_by_their_classes(cluster):
    """Both ends of an AND count alone; a backup counts given the head that it stands in for."""
    cluster.up(workers=2)
    for kind in ("and-gate", "backup"):
        model = known(kind)
        routes = truth(model)["gate"]["routes"]
        rest = [name for name in truth(model)["circuit"] if name not in routes]
        listed = {"rest": rest, "route": routes} if kind == "backup" else {
            name: [name] for name in truth(model)["circuit"]}
        roles = {role: [[int(n[1]), int(n[3:])] for n in names] for role, names in listed.items()}
        told, _ = judge(cluster, write(kind + ".json", {"roles": roles}), sweep_file(model), 0)
        check(told["summary"]["reasons"] == [NOT_SEARCHED], "%s: %s" % (kind, told["summary"]))
        for value in ("mean", "resample"):
            verdict = told["verdict"]["values"][value]
            check(abs(verdict["sufficiency"]["ratio"] - 1) < 0.03, verdict["sufficiency"])
            check(abs(verdict["necessity"]["ratio"] - 1) < 0.03, verdict["necessity"])
            drops = {m["name"]: m["drop"]["value"] for m in verdict["members"]}
            for name in routes:  # silent routes show alone in an AND, and never in a backup's class
                check((drops[name] > 1) == (kind == "and-gate"), "%s: %s" % (kind, drops))
            check(all(m["conditional_clear"] for m in verdict["members"]), verdict["members"])
    # Each a class of its own: then nothing says that the backup is needed, nor the head it backs.
    alone, _ = judge(cluster, write("alone.json", truth(known("backup"))["circuit"]),
                     sweep_file(known("backup")), 1)
    check(alone["summary"]["outcome"] == "partial", alone["summary"])
    reasons = " ".join(alone["summary"]["reasons"])
    check(all(name in reasons for name in truth(known("backup"))["gate"]["routes"]), reasons)


def what_was_accepted_is_judged(cluster):
    """The files are changed and lost before anybody reads them, and the coordinator dies: nothing.
    What nobody brought is gone then."""
    cluster.up(workers=0)
    model = known("induction")
    mine = write("mine.json", truth(model)["circuit"])
    pairs = (model / "prompts.jsonl").read_bytes()
    prompts = HOME / "mine.jsonl"
    kept, kept_prompts = (hashlib.sha256(text).hexdigest() for text in (mine.read_bytes(), pairs))
    other = json.dumps(truth(model)["impostors"])

    def change():
        mine.write_text(other)
        prompts.write_text("no prompts\n")

    def lose():
        mine.unlink()
        prompts.unlink()

    for name, happens in (("changed", change), ("lost", lose)):
        mine.write_text(json.dumps(truth(model)["circuit"]))
        prompts.write_bytes(pairs)
        sweep = cluster.ctl("verify-circuit", mine, sweep_file(model, prompts), "-q").strip()
        spec = cluster.status(sweep)["spec"]
        check(spec["circuit_sha256"] == kept and spec["task"]["prompts_sha256"] == kept_prompts,
              "it says what it accepted: %s" % spec)
        happens()
        (cluster.data / "circuits" / ("0" * 64)).write_text("nobody's")
        cluster.kill("coordinator")
        cluster.start_coordinator()
        cluster.start_worker("w-" + name)
        cluster.wait(sweep)
        told = cluster.json("circuit", sweep)
        names = [n["name"] for n in told["circuit"]["nodes"]]
        check(names == truth(model)["circuit"], "%s: %s" % (name, names))
        check(told["summary"]["reasons"] == [NOT_SEARCHED], told["summary"])
        cluster.kill("w-" + name)
    for folder, name in (("circuits", kept), ("prompts", kept_prompts)):
        check([path.name for path in (cluster.data / folder).iterdir()] == [name], "one file")
    # The spec as it was accepted needs the file no more; another file under its name is refused.
    spec = cluster.status(sweep)["spec"]
    cluster.start_worker("w-again")
    again = cluster.submit(json.dumps(spec))
    cluster.wait(again)
    check(cluster.json("circuit", again)["verdict"] == told["verdict"], "the same verdict")
    (cluster.data / "circuits" / kept).unlink()
    mine.write_text(other)
    _, err = cluster.ctl_both("submit", "-", "--quiet", stdin=json.dumps(spec), code=None)
    check("circuit_sha256 says " + kept in err and err.count("\n") == 1, err)


def a_wrong_circuit_is_rejected(cluster):
    cluster.up(workers=2)
    model = known("induction")
    told, err = judge(cluster, write("wrong.json", truth(model)["impostors"]),
                      sweep_file(model), 1)
    check(told["summary"]["outcome"] == "rejected" and "rejected" in err, told["summary"])
    half, _ = judge(cluster, write("half.json", truth(model)["circuit"][1:]), sweep_file(model), 1)
    check(half["summary"]["outcome"] != "verified" and len(half["summary"]["reasons"]) > 1,
          half["summary"])


def what_does_not_fit_is_refused(cluster):
    cluster.up(workers=1)
    model = known("induction")
    sweep = sweep_file(model)
    nodes = [{"name": name} for name in truth(model)["circuit"]]
    refused(cluster, write("none.json", ["L9H0"]), sweep, 1, "none.json", "L9H0")
    refused(cluster, write("head.json", ["L0H77"]), sweep, 1, "head.json", "L0H77")
    refused(cluster, write("neuron.json", ["L0N5"]), sweep, 1, "neuron.json", "L0N5", "candidates")
    refused(cluster, write("word.json", ["nonsense"]), sweep, 2, "word.json", "nonsense")
    refused(cluster, write("cut.json", '{"nodes": ['), sweep, 2, "cut.json")
    refused(cluster, write("empty.json", []), sweep, 2, "empty.json")
    refused(cluster, HOME / "missing.json", sweep, 3, "missing.json")
    brought, _ = judge(cluster, write("mine.json", [n["name"] for n in nodes]), sweep, 0)
    other = known("backup")
    refused(cluster, write("other.json", brought["circuit"]), sweep_file(other), 1, "other.json",
            "model")
    changed = dict(brought["circuit"], model=dict(brought["circuit"]["model"],
                                                  fingerprint="0" * 64))
    refused(cluster, write("changed.json", changed), sweep_file(model), 1, "changed.json",
            "fingerprint")
    noop = write("noop.yaml", "kind: noop\nname: n\n")
    refused(cluster, HOME / "mine.json", noop, 2, "noop.yaml", "kind")


def pairs_of(model, change=lambda pair, index: None):
    """The held-out file with every pair changed, as JSON lines."""
    pairs = [json.loads(line) for line in (model / "prompts.jsonl").read_text().splitlines()]
    for index, pair in enumerate(pairs):
        change(pair, index)
    return "".join(json.dumps(pair) + "\n" for pair in pairs)


def prompts_that_measure_nothing_are_refused(cluster):
    cluster.up(workers=1)
    model = known("induction")
    mine = write("mine.json", truth(model)["circuit"])

    def shorter(pair, index):
        if index == 3:
            pair["corrupted"] = pair["corrupted"][:-1]
            pair.pop("corrupted_text", None)

    def long_answer(pair, index):
        if index == 3:
            pair["answer"] = [4, 5]
            pair.pop("answer_text", None)

    def same_answer(pair, _index):
        pair["distractor"] = pair["answer"]

    for name, text, words in (
            ("shorter", pairs_of(model, shorter), ("shorter.jsonl", "4", "token")),
            ("answers", pairs_of(model, long_answer), ("answers.jsonl", "4", "answer")),
            ("same", pairs_of(model, same_answer), ("same.jsonl", "distractor")),
            ("empty", "", ("empty.jsonl",))):
        prompts = write(name + ".jsonl", text)
        refused(cluster, mine, sweep_file(model, prompts), 1, *words)


def means_of_no_prompts_are_refused(cluster):
    cluster.up(workers=1)
    model = known("induction")

    def alone(pair, index):
        pair["template"] = "t%d" % index

    def held_out_alone(pair, index):
        pair["template"] = "t%d" % index if pair["set"] == "held_out" else "many"

    for change, words in ((alone, "template t0 has one search prompt"),
                          (held_out_alone, "no reference prompt stands for prompt")):
        prompts = write("alone.jsonl", pairs_of(model, change))
        refused(cluster, write("mine.json", truth(model)["circuit"]),
                sweep_file(model, prompts, "ablation: {mean_over: template}\n"), 1, "mean_over",
                words)


def a_flat_metric_is_undefined(cluster):
    cluster.up(workers=1)
    model = known("induction")

    def same(pair, _index):
        pair["corrupted"] = pair["clean"]
        if "clean_text" in pair:
            pair["corrupted_text"] = pair["clean_text"]

    prompts = write("flat.jsonl", pairs_of(model, same))
    only = "ablation: {values: [resample]}\n"
    told, _ = judge(cluster, write("mine.json", truth(model)["circuit"]),
                    sweep_file(model, prompts, only), 1)
    reasons = " ".join(told["summary"]["reasons"])
    check("undefined: flat metric" in reasons, reasons)
    value = told["verdict"]["values"]["resample"]
    check(value["undefined"] == "flat metric", value)
    check(value["sufficiency"] is None and value["necessity"] is None, "no ratio is told")
    check(told["summary"]["outcome"] != "verified", told["summary"])


if __name__ == "__main__":
    with folder:
        run([the_true_circuit_holds_in_every_notation, keys_of_a_search_are_left_out_or_refused,
             gates_and_backups_are_judged_by_their_classes, what_was_accepted_is_judged,
             a_wrong_circuit_is_rejected, what_does_not_fit_is_refused, prompts_that_measure_nothing_are_refused,
             means_of_no_prompts_are_refused, a_flat_metric_is_undefined])
