#!/usr/bin/env python3
"""interpctl audit-sample: a sheet drawn from a real sweep, filled in as raters and spreadsheets do,
and read back into shares with intervals."""
import csv
import io
import json
import pathlib
import random
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import check, label_sweep, run, say

HEADING = "item,description,text_1,text_2,text_3,text_4,fits,note".split(",")
WITH_NULL = label_sweep("audited", 120000, 512,
                        "scoring: {null_pairs: 1000, bootstrap_resamples: 100}")
WITHOUT_NULL = label_sweep("plain", 20000, 40, "scoring: {null_pairs: 0, bootstrap_resamples: 100}")


def records(cluster, sweep):
    return {row["feature"]: row for row in cluster.json("results", sweep)["rows"]}


def read_sheet(path):
    with open(path, encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def marked(window, threshold):
    """The window with its firing tokens in brackets, as `show` has it."""
    text, is_open = "", False
    for token, value in zip(window["tokens"], window["activations"]):
        if (value > threshold) != is_open:
            text += "]" if is_open else "["
            is_open = not is_open
        text += token.replace("\n", "\u21b5").replace("\t", "\u2192")
    return text + ("]" if is_open else "")


def unsafe(text):
    """Without the apostrophe that keeps a spreadsheet from computing it."""
    return text[1:] if re.match("'[=+@-]", text) else text


def fill(sheet, path, answers, **style):
    """A copy of the sheet with answers {item: fits}, written as a spreadsheet would."""
    rows = read_sheet(sheet)
    text = io.StringIO()
    writer = csv.DictWriter(text, HEADING, lineterminator=style.pop("end", "\r\n"), **style)
    writer.writeheader()
    for row in rows:
        writer.writerow(dict(row, fits=answers.get(row["item"], "")))
    path.write_bytes(text.getvalue().encode())
    return path


def check_population(key, all_records):
    supported = {f for f, row in all_records.items() if row["supported"]}
    check(key["population"] == "supported" and key["population_size"] == len(supported),
          "drawn from %s" % key["population_size"])
    true = [item["feature"] for item in key["items"] if not item["is_decoy"]]
    check(len(true) == len(set(true)) and set(true) <= supported, "items are believed labels")
    for item in key["items"]:
        check(item["described_feature"] in supported, "descriptions are believed labels")
        same = all_records[item["feature"]]["label"] == \
            all_records[item["described_feature"]]["label"]
        check(same != item["is_decoy"], "a decoy's label is another one")
    return len(true)


def check_sheet(rows, key, all_records):
    check([row["item"] for row in rows] == [item["item"] for item in key["items"]],
          "sheet and key have the same items")
    for row, item in zip(rows, key["items"]):
        check(list(row) == HEADING, "the columns are those of the heading and no others")
        check(re.fullmatch("[b-t]{5}-[0-9]{3}", row["item"]), "an opaque item")
        check(row["fits"] == row["note"] == "", "not filled in")
        shown, described = all_records[item["feature"]], all_records[item["described_feature"]]
        check(unsafe(row["description"]) == described["label"], "the label: %r" % row)
        for i in range(4):
            windows = shown["evidence"]
            want = marked(windows[i], shown["fire_threshold"]) if i < len(windows) else ""
            check(unsafe(row["text_%d" % (i + 1)]) == want, "%r is not %r" % (row, want))


def a_sheet_is_blind_repeatable_and_true(cluster):
    cluster.up(workers=2)
    sweep = cluster.submit(WITH_NULL)
    cluster.ctl("audit-sample", sweep, "--sheet", "early.csv", code=5)
    cluster.wait(sweep, seconds=120)
    sheet, key_file = cluster.home / "rating.csv", cluster.home / "rating.key.json"
    said = cluster.ctl("audit-sample", sweep, "-n", 12, "--seed", 3, "--sheet", sheet)
    check("raters must not see it" in said, said)
    key, all_records = json.loads(key_file.read_text()), records(cluster, sweep)
    rows = read_sheet(sheet)
    n_true = check_population(key, all_records)
    check(n_true == 12 and len(rows) == 15, "%d labels, %d rows" % (n_true, len(rows)))
    check_sheet(rows, key, all_records)
    say("12 of %d supported labels, 3 decoys" % key["population_size"])

    before = sheet.read_bytes(), key_file.read_bytes()
    _, error = cluster.ctl_both("audit-sample", sweep, "--sheet", sheet, code=5)
    check("rating.csv is there already" in error, error)
    check((sheet.read_bytes(), key_file.read_bytes()) == before, "nothing was overwritten")
    cluster.ctl("audit-sample", sweep, "-n", 12, "--seed", 4, "--sheet", sheet, "--force")
    check(sheet.read_bytes() != before[0], "another seed, another sheet")
    cluster.ctl("audit-sample", sweep, "-n", 12, "--seed", 3, "--sheet", sheet, "--force")
    check((sheet.read_bytes(), key_file.read_bytes()) == before, "the same seed, the same bytes")
    read_back(cluster, sweep, sheet, key)


def read_back(cluster, sweep, sheet, key):
    """Two raters, each with a spreadsheet of their own; the coordinator is gone by now."""
    cluster.kill("coordinator")
    true = [item["item"] for item in key["items"] if not item["is_decoy"]]
    decoys = [item["item"] for item in key["items"] if item["is_decoy"]]
    first = dict.fromkeys(true[:8], "yes") | dict.fromkeys(true[8:10], "no") | \
        {true[10]: "unsure"} | dict.fromkeys(decoys[1:], "no") | {decoys[0]: "Yes"}
    second = dict.fromkeys(true, "YES") | dict.fromkeys(decoys, " no ")
    a = fill(sheet, cluster.home / "a.csv", first, quoting=csv.QUOTE_ALL, delimiter=";")
    b = fill(sheet, cluster.home / "b.csv", second, end="\n")
    words = ("audit-sample", sweep, "--read", a, "--read", b, "--sheet-key",
             cluster.home / "rating.key.json")
    print(cluster.ctl(*words))
    report = cluster.json(*words)
    labels, falses = (report["sheets"][0][name] for name in ("labels", "decoys"))
    check([labels[name] for name in ("yes", "no", "unsure", "unanswered")] == [8, 2, 1, 1],
          "counted as they were filled in: %s" % labels)
    check(abs(labels["accepted"] - 8 / 11) < 1e-12, "the share of those answered")
    check(labels["interval"][0] < 8 / 11 < labels["interval"][1], "an interval around it")
    check(falses["yes"] == 1 and falses["no"] == 2, "one decoy accepted: %s" % falses)
    check(report["sheets"][1]["labels"]["accepted"] == 1, "the second accepts every label")
    check(report["all_raters"]["labels"]["yes"] == 8, "both accept what the first does")
    pair = report["agreement"][0]
    # yes-yes 8, no-no 2, yes-no 1 (the decoy), no-yes 2
    expected = (9 / 13) * (10 / 13) + (4 / 13) * (3 / 13)
    check(pair["n_items"] == 13, "items both said yes or no to: %s" % pair)
    check(abs(pair["kappa"] - (10 / 13 - expected) / (1 - expected)) < 1e-12, "kappa %s" % pair)
    refuse_sheets(cluster, sweep, sheet, true)


def refuse_sheets(cluster, sweep, sheet, true):
    filled = sheet.read_bytes().decode("utf-8-sig")
    cases = (("maybe", filled.replace(",,\r\n", ",maybe,\r\n", 1), "\"maybe\" is no answer"),
             ("missing", filled.replace(true[0], "zzzzz-001"), "\"zzzzz-001\" is not of this sheet"),
             ("twice", filled.replace(true[0], true[1]), "stands in line"),
             ("short", "item,fits\n%s,yes\n" % true[0], "is missing"),
             ("wrong", "a,b\n1,2\n", "no column \"item\""))
    for name, text, says in cases:
        path = cluster.home / (name + ".csv")
        path.write_bytes(text.encode())
        _, error = cluster.ctl_both("audit-sample", sweep, "--read", path, "--sheet-key",
                                    cluster.home / "rating.key.json", code=2)
        check(says in error and str(path) in error, "%s: %s" % (name, error))
    _, error = cluster.ctl_both("audit-sample", "other-1", "--read", sheet, code=2)
    check("is of sweep %s, not of other-1" % sweep in error, error)
    _, error = cluster.ctl_both("audit-sample", sweep, "--read", cluster.home / "a.csv", code=3)
    check("--sheet-key names it" in error, error)
    cluster.ctl("audit-sample", sweep, code=2)
    cluster.ctl("audit-sample", sweep, "--sheet", "x.csv", "--sheet-key", "x.csv", code=2)
    cluster.ctl("audit-sample", sweep, "--read", sheet, "--seed", 1, code=2)
    for name in ("early.csv", "early.key.json"):
        check(not (cluster.home / name).exists(), "nothing was written for a running sweep")


def without_a_null_model_every_scored_label_is_drawn_from(cluster):
    cluster.up()
    sweep = cluster.submit(WITHOUT_NULL)
    cluster.wait(sweep)
    said = cluster.ctl("audit-sample", sweep, "-n", 1000, "--decoys", 0, "--sheet", "all.csv")
    check("No null model ran" in said, said)
    key = json.loads((cluster.home / "all.key.json").read_text())
    scored = {f for f, row in records(cluster, sweep).items()
              if row["label"] and row["evidence"] and any(
                  row["scores"].get(name, {}).get("random", {}).get("balanced_accuracy") is not None
                  for name in ("detection", "fuzzing"))}
    check(scored and key["population"] == "scored", "drawn from %s" % key["population"])
    check({item["feature"] for item in key["items"]} == scored, "all of them, and no decoys")
    answers = {item["item"]: "yes" if i % 4 else "no" for i, item in enumerate(key["items"])}
    path = fill(cluster.home / "all.csv", cluster.home / "all.csv", answers)
    report = cluster.json("audit-sample", sweep, "--read", path)
    labels = report["sheets"][0]["labels"]
    check(max(abs(bound - labels["accepted"]) for bound in labels["interval"]) < 1e-12,
          "who asks for all of them knows the share: %s" % labels)
    cluster.ctl("audit-sample", sweep, "--target", 1, "--sheet", "none.csv", code=3)


run([a_sheet_is_blind_repeatable_and_true,
     without_a_null_model_every_scored_label_is_drawn_from])
