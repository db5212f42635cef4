#!/usr/bin/env python3
"""Computes scores again from saved judgements and replies, and compares: an implementation that
shares nothing with coordinator/session/ but the definitions (reference: Bills et al. 2023,
Cohen 1960, Fleiss 1971). numpy only.

    python3 tests/support/recompute_scores.py DUMP.jsonl

A line of the dump is one case: {"score", "bootstrap": {resamples, confidence, seed, subject},
"got": what the coordinator's code said, ...} with

  classification  negatives ("random", "hard": near misses and windows of neighbours),
                  judgements [{document, truth, answer (1 fires, 0 silent, -1 none), probability}]
  agreement       judges: a list of judgements for each of them, over the same windows
  simulation      windows [{document, tokens as shown, activations, reply, logprobs}]: the replies
                  are read again here

    python3 tests/support/recompute_scores.py results.jsonl summary.json judged.jsonl replies.json \
        [judged-null.jsonl]

does the same for a sweep with keep_judged: its records and summary, what was judged
(coordinator/sweep/label_judged.c), and the stored replies, {call id: {content, logprobs}}; with the
judged pairs of the null also mean, sd, z and p of every score. Replies
are read here, by the rules of prompt_reply.h and simulation_reply.h.

Everything must be equal to 1e-9, the intervals too: the draws of the bootstrap are defined
(draw.h, bootstrap.h), so they are drawn again. Exit 1 and the differences if anything is not.
"""
import json
import math
import sys

import numpy as np

TOLERANCE = 1e-9
MASK = (1 << 64) - 1
DRAW_BOOTSTRAP = 4
MAX_REDRAWS = 10


# ---- draws --------------------------------------------------------------------------------
def mix(x):
    """splitmix64 (Steele, Lea and Flood 2014)."""
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


class Draw:
    def __init__(self, seed, subject):
        self.state = mix(mix(seed ^ mix(DRAW_BOOTSTRAP)) ^ mix(subject))

    def next(self):
        value = mix(self.state)
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        return value

    def documents_exactly(self, n):
        """n indices below n, by rejection (Lemire 2019)."""
        drawn = []
        while len(drawn) < n:
            product = (self.next() >> 32) * n
            if (product & 0xFFFFFFFF) >= (2**32 - n) % n:
                drawn.append(product >> 32)
        return drawn

    def documents_in_pairs(self, n):
        """n indices below n, two from each word, by multiplication alone."""
        drawn = []
        while len(drawn) < n:
            word = self.next()
            drawn += [((word & 0xFFFFFFFF) * n) >> 32, ((word >> 32) * n) >> 32]
        return drawn[:n]


def percentile_interval(documents, statistic, bootstrap, in_pairs):
    """([low, high] or None, number of resamples drawn again). `documents` in order of their
    keys; the statistic of a list of them is None where it has no value."""
    draw = Draw(bootstrap["seed"], bootstrap["subject"])
    wanted, n_redrawn, values = bootstrap["resamples"], 0, []
    while len(values) < wanted and n_redrawn < MAX_REDRAWS * wanted:
        drawn = (draw.documents_in_pairs if in_pairs else draw.documents_exactly)(len(documents))
        value = statistic([documents[i] for i in drawn])
        if value is None:
            n_redrawn += 1
        else:
            values.append(value)
    if len(values) < wanted:
        return None, n_redrawn
    tail = (1 - bootstrap["confidence"]) / 2
    return [float(q) for q in np.quantile(values, [tail, 1 - tail])], n_redrawn


def by_document(items, key=lambda item: item["document"]):
    return [[item for item in items if key(item) == document]
            for document in sorted({key(item) for item in items})]


# ---- classification -------------------------------------------------------------------------
def ratio(above, below):
    return above / below if below else None


def rates(judgements):
    """TP, FN, TN, FP; no answer is a wrong one."""
    firing = np.array([j["truth"] == "firing" for j in judgements], bool)
    said = np.array([j["answer"] for j in judgements], int)
    tp, tn = int((firing & (said == 1)).sum()), int((~firing & (said == 0)).sum())
    return tp, int(firing.sum()) - tp, tn, int((~firing).sum()) - tn


def balanced_accuracy(judgements):
    tp, fn, tn, fp = rates(judgements)
    return (tp / (tp + fn) + tn / (tn + fp)) / 2 if tp + fn and tn + fp else None


def auroc(judgements):
    if any(j["answer"] != -1 and j["probability"] is None for j in judgements):
        return None
    place = lambda j, failed: failed if j["answer"] == -1 else j["probability"]
    firing = np.array([place(j, -1.0) for j in judgements if j["truth"] == "firing"])
    silent = np.array([place(j, 2.0) for j in judgements if j["truth"] != "firing"])
    if not len(firing) or not len(silent):
        return None
    above = firing[:, None] > silent[None, :]
    return float((above + 0.5 * (firing[:, None] == silent[None, :])).mean())


def taking_part(judgements, negatives):
    kinds = {"random": ("silent_random",), "hard": ("silent_hard", "silent_neighbour")}[negatives]
    return [j for j in judgements if j["truth"] == "firing" or j["truth"] in kinds]


def neighbours(judgements):
    said = [j["answer"] for j in judgements if j["truth"] == "silent_neighbour"]
    return {"true_silent": said.count(0), "false_alarm": len(said) - said.count(0)} if said else None


def classification(case):
    used = taking_part(case["judgements"], case["negatives"])
    tp, fn, tn, fp = rates(used)
    out = {"balanced_accuracy": balanced_accuracy(used), "auroc": auroc(used), "interval": None,
           "recall": None, "precision": None, "f1": None, "n_redrawn": 0,
           "neighbours": neighbours(used)}
    if out["balanced_accuracy"] is None:  # one class is empty: nothing is defined
        return out
    interval, n_redrawn = percentile_interval(
        by_document(used), lambda drawn: balanced_accuracy(sum(drawn, [])), case["bootstrap"], True)
    return dict(out, recall=ratio(tp, tp + fn), precision=ratio(tp, tp + fp),
                f1=ratio(2 * tp, 2 * tp + fn + fp), interval=interval, n_redrawn=n_redrawn)


# ---- agreement ------------------------------------------------------------------------------
def cohen(rows):
    answers = np.array(rows)
    table = np.array([[((answers[:, 0] == a) & (answers[:, 1] == b)).sum() for b in (0, 1)]
                      for a in (0, 1)]) / len(answers)
    expected = float(table.sum(0) @ table.sum(1))
    if len(set(answers[:, :2].ravel())) == 1:
        return None
    return (float(np.trace(table)) - expected) / (1 - expected)


def fleiss(rows):
    answers = np.array(rows)
    n_judges = answers.shape[1]
    counts = np.stack([(answers == 0).sum(1), (answers == 1).sum(1)], 1)
    if len(set(answers.ravel())) == 1:
        return None
    observed = ((counts**2).sum(1) - n_judges) / (n_judges * (n_judges - 1))
    shares = counts.sum(0) / counts.sum()
    expected = (shares**2).sum()
    return float((observed.mean() - expected) / (1 - expected))


def agreement_of(judges, kappa, bootstrap):
    rows = [{"document": together[0]["document"], "answers": [j["answer"] for j in together]}
            for together in zip(*judges) if all(j["answer"] != -1 for j in together)]
    value = kappa([row["answers"] for row in rows]) if rows else None
    interval, n_redrawn = None, 0
    if value is not None:
        interval, n_redrawn = percentile_interval(
            by_document(rows), lambda drawn: kappa([r["answers"] for r in sum(drawn, [])]),
            bootstrap, False)
    return {"kappa": value, "n_windows": len(rows), "interval": interval, "n_redrawn": n_redrawn}


def agreement(case):
    return {"cohen": agreement_of(case["judges"][:2], cohen, case["bootstrap"]),
            "fleiss": agreement_of(case["judges"], fleiss, case["bootstrap"])}


# ---- simulation -----------------------------------------------------------------------------
NUMERALS = {str(i): i for i in range(11)}


def outcomes(entry):
    """Probability of each numeral at a place, as far as it is known."""
    known = {}
    for one in entry["top_logprobs"] + [entry]:
        if one["token"] in NUMERALS:
            value = NUMERALS[one["token"]]
            known[value] = max(known.get(value, -math.inf), one["logprob"])
    return {value: math.exp(logprob) for value, logprob in known.items()}


def expected_value(entries, at):
    """Of the number that begins at entry `at`."""
    share = outcomes(entries[at])
    if not share:
        return None
    if entries[at]["token"] == "1" and at + 1 < len(entries):
        goes_on = min(1.0, outcomes(entries[at + 1]).get(0, 0.0))
        ten = share.get(1, 0.0) * goes_on
        share[1] = share.get(1, 0.0) - ten
        share[10] = share.get(10, 0.0) + ten
    values, weights = np.array(list(share)), np.array(list(share.values()))
    return float(values @ weights / weights.sum())


def numerals(reply, tokens):
    """[(byte offset, value)] of the number behind each token; None where the lines do not fit."""
    found, offset = [], 0
    for line in reply.split("\n"):
        said, tab, number = line.rpartition("\t")
        if tab:
            if len(found) == len(tokens) or number not in NUMERALS or \
                    said.strip(" ") != tokens[len(found)].strip(" "):
                return None
            found.append((offset + len(said.encode()) + 1, NUMERALS[number]))
        offset += len(line.encode()) + 1
    return found if len(found) == len(tokens) else None


def read_reply(window):
    """A value for each token, or None where the reply does not fit the window."""
    entries = window["logprobs"]["content"]
    pieces = [bytes(entry["bytes"]) if entry.get("bytes") else entry["token"].encode()
              for entry in entries]
    if b"".join(pieces).decode() != window["reply"]:
        return None
    starts = dict(zip(np.cumsum([0] + [len(p) for p in pieces]).tolist(), range(len(pieces))))
    values = []
    for offset, _ in numerals(window["reply"], window["tokens"]) or [(None, None)]:
        at = starts.get(offset)
        while at is not None and not pieces[at]:
            at += 1
        values.append(None if at is None else expected_value(entries, at))
    return None if None in values else values


def pearson(windows):
    """Of all tokens at once; failed windows at the mean of what the judge said."""
    said = [v for w in windows if w["predicted"] is not None for v in w["predicted"]]
    if not said:
        return None
    mean = float(np.mean(said))
    t = np.concatenate([w["activations"] for w in windows])
    p = np.concatenate([w["predicted"] if w["predicted"] is not None
                        else [mean] * len(w["activations"]) for w in windows])
    if t.min() == t.max() or min(said) == max(said):
        return None
    return float(np.corrcoef(t, p)[0, 1])


def simulation(case):
    windows = case["windows"] = [dict({"predicted": None}, **w) if "predicted" in w
                                 else dict(w, predicted=read_reply(w)) for w in case["windows"]]
    answered = [w for w in windows if w["predicted"] is not None]
    out = {"pearson": pearson(windows), "r2": None, "absdev": None, "interval": None,
           "n_failed": len(windows) - len(answered), "n_redrawn": 0}
    if not answered:
        return out
    p = np.concatenate([w["predicted"] for w in answered])
    t = np.concatenate([w["activations"] for w in answered])
    fit = np.polyfit(p, t, 1) if p.min() < p.max() else [1.0, 0.0]
    p = np.concatenate([w["predicted"] if w["predicted"] is not None
                        else [p.mean()] * len(w["activations"]) for w in windows])
    t = np.concatenate([w["activations"] for w in windows])
    p = np.polyval(fit, p)
    if t.any():
        out["r2"] = float(1 - ((t - p)**2).mean() / (t**2).mean())
        out["absdev"] = float(1 - abs(t - p).mean() / abs(t).mean())
    if out["pearson"] is not None:
        out["interval"], out["n_redrawn"] = percentile_interval(
            by_document(windows), lambda drawn: pearson(sum(drawn, [])), case["bootstrap"], False)
    return out


# ---- a sweep --------------------------------------------------------------------------------
def objects_in(text):
    """The whole text as JSON, else every JSON value in it that begins with a brace."""
    try:
        yield json.loads(text)
        return
    except ValueError:
        pass
    text = text.rpartition("</think>")[2]
    for at, letter in enumerate(text):
        if letter == "{":
            try:
                yield json.JSONDecoder().raw_decode(text, at)[0]
            except ValueError:
                pass


def object_with(reply, key):
    return next((one for one in objects_in(reply) if isinstance(one, dict) and key in one), None)


def read_answers(reply, n):
    """n answers of 0 or 1, or -1 for all of them."""
    found = object_with(reply["content"], "answers") if reply else None
    answers = found["answers"] if found else None
    if not isinstance(answers, list) or len(answers) != n or \
            any(not isinstance(a, (bool, int)) or a not in (0, 1) for a in answers):
        return [-1] * n
    return [int(a) for a in answers]


def read_scale(content, tokens):
    found = object_with(content, "activations")
    rows = found["activations"] if found else None
    if not isinstance(rows, list) or len(rows) != len(tokens):
        return None
    values = []
    for row, token in zip(rows, tokens):
        value = row.get("value") if isinstance(row, dict) else None
        if isinstance(value, bool) or not isinstance(value, (int, float)) or \
                not 0 <= value <= 10 or row.get("token", "").strip(" ") != token.strip(" "):
            return None
        values.append(float(value))
    return values


def read_values(form, reply, tokens):
    """(values or None, were they expected values)"""
    if not reply:
        return None, False
    if form == "scale":
        return read_scale(reply["content"], tokens), False
    if reply["logprobs"]:
        values = read_reply({"reply": reply["content"], "tokens": tokens,
                             "logprobs": reply["logprobs"]})
        if values is not None:
            return values, True
    found = numerals(reply["content"], tokens)
    return (None, False) if found is None else ([float(value) for _, value in found], False)


def bootstrap_of(line, subject):
    return {"resamples": line["resamples"], "confidence": 0.95, "seed": int(line["seed"], 16),
            "subject": int(subject, 16) if subject else 0}


def sheet_judgements(sheet, replies):
    out = []
    for prompt in sheet["prompts"]:
        answers = read_answers(replies.get(prompt["call"]), len(prompt["items"]))
        out += [dict(item, answer=answer, probability=None)
                for item, answer in zip(prompt["items"], answers)]
    return out


def chosen(got, want):
    """Of what the sweep says, what is computed here."""
    return {key: got[key] for key in want} if got else got


def check_classes(record, judgements, line, sheet):
    for kind in ("random", "hard"):
        case = {"judgements": judgements, "negatives": kind,
                "bootstrap": bootstrap_of(line, sheet["subject"])}
        want = classification(case)
        used = taking_part(judgements, kind)
        want["n_documents"] = len({j["document"] for j in used})
        tp, fn, tn, fp = rates(used)
        failed = [j["truth"] == "firing" for j in used if j["answer"] == -1]
        want["counts"] = {"true_firing": tp, "missed": fn, "true_silent": tn, "false_alarm": fp,
                          "failed_firing": sum(failed), "failed_silent": len(failed) - sum(failed)}
        yield sheet["score"], chosen(record["scores"][sheet["score"]][kind], want), want


def check_simulation(record, line, replies):
    of, windows, n_expected = line["simulation"], [], 0
    for window in of["windows"]:
        values, is_expected = read_values(of["form"], replies.get(window["call"]),
                                          window["tokens"])
        n_expected += is_expected
        windows.append(dict(window, predicted=values))
    case = {"windows": windows, "bootstrap": bootstrap_of(line, of["subject"])}
    want = simulation(case)
    said = [v for w in windows if w["predicted"] for v in w["predicted"]]
    want = dict(want, r2=None, absdev=None, form=of["form"], n_expected=n_expected,
                n_windows=len(windows), n_tokens=sum(len(w["tokens"]) for w in windows),
                imputed=float(np.mean(said)) if said else None,
                n_documents=len({w["document"] for w in windows}))
    yield "simulation", chosen(record["scores"]["simulation"]["random"], want), want


def check_agreement(got, judges, bootstrap):
    def expected(kappa, of):
        want = agreement_of(of, kappa, bootstrap)
        del want["n_redrawn"]
        return dict(want, n_left_out=len(of[0]) - want["n_windows"])
    for i in range(1, len(judges)):
        want = expected(cohen, [judges[0], judges[i]])
        yield "cohen", chosen(got["cohen"][i - 1], want), want
    if len(judges) > 2:
        want = expected(fleiss, judges)
        yield "fleiss", chosen(got["fleiss"], want), want


def check_feature(record, line, replies, pooled):
    judges = {}
    for sheet in line["sheets"]:
        judgements = sheet_judgements(sheet, replies)
        judges.setdefault(sheet["score"], []).append(judgements)
        if sheet["judge"] == 0:
            yield from check_classes(record, judgements, line, sheet)
    for score, of in judges.items():
        if len(of) > 1:
            pooled.setdefault(score, []).append(of)
            yield from check_agreement(record["agreement"][score], of,
                                       bootstrap_of(line, line["agreement"]["subject"]))
    if line["simulation"]:
        yield from check_simulation(record, line, replies)


def null_scores(pairs, replies):
    """{(score, kind): what the judge gave to labels of other features} over all pairs."""
    found = {}
    for line in pairs:
        for sheet in line["sheets"]:
            judgements = sheet_judgements(sheet, replies)
            for kind in ("random", "hard"):
                value = balanced_accuracy(taking_part(judgements, kind))
                if value is not None:
                    found.setdefault((sheet["score"], kind), []).append(value)
        if line["simulation"]:
            of = line["simulation"]
            windows = [dict(w, predicted=read_values(of["form"], replies.get(w["call"]),
                                                     w["tokens"])[0]) for w in of["windows"]]
            value = simulation({"windows": windows, "bootstrap": bootstrap_of(line, of["subject"])})
            if value["pearson"] is not None:
                found.setdefault(("simulation", "random"), []).append(value["pearson"])
    return found


def against_null(score, null):
    """Of a score beside the pooled null: sd with n - 1, p counts ties as at least as large."""
    mean, sd = float(np.mean(null)), float(np.std(null, ddof=1)) if len(null) > 1 else 0.0
    constant = min(null) == max(null)
    above = int((np.array(null) >= score - 1e-12).sum())
    return {"n": len(null), "mean": mean, "sd": 0.0 if constant else sd,
            "z": None if constant else (score - mean) / sd, "p": (1 + above) / (1 + len(null))}


def check_null(record, nulls):
    for name, kinds in record["scores"].items():
        for kind, of in kinds.items():
            score = of["pearson" if name == "simulation" else "balanced_accuracy"]
            if of["null"] is not None and score is not None and (name, kind) in nulls:
                yield "null", of["null"], against_null(score, nulls[name, kind])


def recompute_sweep(results, summary, judged, replies, pairs=()):
    """As recompute(), of a sweep: lists of objects, and {call id: {content, logprobs}}; pairs: those
    of its null."""
    records = {(r["target"]["hook_point"], r["feature"]): r for r in results}
    hooks = list(dict.fromkeys(r["target"]["hook_point"] for r in results))
    counts, found, pooled = {}, [], {}

    def take(where, cases):
        for name, got, want in cases:
            counts[name] = counts.get(name, 0) + 1
            found.extend("%s, %s%s: %r, recomputed %r" % (where, name, *difference)
                         for difference in differences(got, want))
    for line in judged:
        record = records[hooks[line["target"]], line["feature"]]
        take("feature %d" % line["feature"], check_feature(record, line, replies, pooled))
    nulls = null_scores(pairs, replies)
    for record in results if nulls else ():
        take("feature %d" % record["feature"], check_null(record, nulls))
    for score, features in pooled.items():
        judges = [sum(of, []) for of in zip(*features)]
        take("summary", check_agreement(summary["agreement"][score], judges,
                                        bootstrap_of(judged[0], None)))
    return counts, found


def read_lines(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


# ---- comparing ------------------------------------------------------------------------------
SCORES = {"classification": classification, "agreement": agreement, "simulation": simulation}


def differences(got, want, path=""):
    """Yields (where, got, wanted) for everything that is not equal to TOLERANCE."""
    if isinstance(want, dict):
        for key in sorted(set(got) | set(want)):
            yield from differences(got.get(key, "missing"), want.get(key, "missing"),
                                   "%s.%s" % (path, key))
    elif isinstance(want, list) and isinstance(got, list) and len(want) == len(got):
        for i, (a, b) in enumerate(zip(got, want)):
            yield from differences(a, b, "%s[%d]" % (path, i))
    elif isinstance(want, (int, float)) and isinstance(got, (int, float)):
        if not abs(got - want) <= TOLERANCE:
            yield path, got, want
    elif got != want:
        yield path, got, want


def recompute(lines):
    """(counts by score, of values that are defined; differences as text)."""
    counts, found = {}, []
    for number, line in enumerate(lines, 1):
        case = json.loads(line)
        want = SCORES[case["score"]](case)
        counts[case["score"]] = counts.get(case["score"], 0) + 1
        found += ["line %d, %s%s: %r, recomputed %r" % (number, case["score"], *difference)
                  for difference in differences(case["got"], want)]
    return counts, found


def main():
    if len(sys.argv) in (5, 6):
        results, judged = read_lines(sys.argv[1]), read_lines(sys.argv[3])
        with open(sys.argv[2], encoding="utf-8") as summary, \
                open(sys.argv[4], encoding="utf-8") as replies:
            counts, found = recompute_sweep(
                results, json.load(summary), judged, json.load(replies),
                read_lines(sys.argv[5]) if len(sys.argv) == 6 else ())
    else:
        with open(sys.argv[1], encoding="utf-8") as lines:
            counts, found = recompute(lines)
    print("\n".join(found + ["%d cases of %s" % (n, score) for score, n in counts.items()]))
    return 1 if found or not counts else 0


if __name__ == "__main__":
    sys.exit(main())
