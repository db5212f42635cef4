"""A scripted explainer and judge for llm_server.py that knows the features of golden/concepts.

The explainer recognises a feature by the highlighted tokens of the examples: of all planted
concepts the one that predicts them best; of its meanings the one that is shown alone, if one is.
AGENT_SCRIPT=p=0.5: a round's label is right with this probability, drawn from examples and round.
A right label names every meaning. Another is plausible: a part of the concept, the concept that
comes next in predicting the examples, or a word of the examples.

The judge knows nothing of features: it reads the label, '; or ' between clauses, each quoted words
or a context of context_rules.py, finds those in a text (fuzzing: asks whether at least half of the
highlights are at such places) and answers. What the label does not say in these forms it cannot
predict. Deterministic: replies depend on the request alone.
"""
import functools
import hashlib
import json
import os
import pathlib
import re

import concept_texts
import context_rules

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONCEPTS = json.loads((ROOT / "tests/golden/concepts/concepts.json").read_text())
P_RIGHT = float(os.environ.get("AGENT_SCRIPT", "p=1").removeprefix("p="))


def share(text):
    """A number in [0, 1) that depends on the text alone."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:12], 16) / 16 ** 12


# ---- labels: a list of meanings, each {"words": [...]} or {"context": phrase} -----------------


def clause(meaning):
    if "context" in meaning:
        return meaning["context"]
    words = ", ".join('"%s"' % word for word in meaning["words"])
    return ("the word " if len(meaning["words"]) == 1 else "the words ") + words


def label_of(meanings):
    return "; or ".join(map(clause, meanings))


def meanings_of(label):
    """What a reader makes of a label; clauses that say nothing known are left out."""
    out = []
    for part in label.split("; or "):
        words = re.findall(r'"(.+?)"', part)
        if part in context_rules.RULES:
            out.append({"context": part})
        elif words:
            out.append({"words": words})
    return out


@functools.lru_cache(None)
def words_regex(words):
    return re.compile(r"(?<![A-Za-z])(?:%s)(?![A-Za-z])" % "|".join(map(re.escape, words)))


def places(meanings, text):
    """Character ranges of `text` that any of the meanings covers."""
    found = []
    for meaning in meanings:
        if "context" in meaning:
            found += context_rules.places(meaning["context"], text)
        else:
            found += [match.span() for match in words_regex(tuple(meaning["words"])).finditer(text)]
    return found


# ---- texts of a prompt ------------------------------------------------------------------------


def unmarked(line):
    """(text, ranges that were between << and >>), with line breaks as they were."""
    text, ranges, start = "", [], None
    for piece in re.split("(<<|>>)", line.replace("↵", "\n")):
        if piece == "<<":
            start = len(text)
        elif piece == ">>":
            if start is not None:
                ranges.append((start, len(text)))
            start = None
        else:
            text += piece
    return text, ranges


def touch(range_, ranges):
    return any(start < range_[1] and range_[0] < end for start, end in ranges)


@functools.lru_cache(64)
def examples_of(prompt):
    shown = re.split(r"In these texts (?:the feature|it) does not fire", prompt)[0]
    return tuple(re.findall(r"^Example \d+: (.*)$", shown, re.M))


# ---- the explainer ----------------------------------------------------------------------------


def planted():
    """Every concept once."""
    return list({label_of(feature["meanings"]): feature["meanings"]
                 for dictionary in CONCEPTS["dictionaries"]
                 for feature in dictionary["features"] if feature["meanings"]}.values())


def fit_of(meanings, texts):
    """F1 of the highlights as these meanings predict them."""
    n_right = n_said = n_true = 0
    for text, highlights in texts:
        said = places(meanings, text)
        n_said += len(said)
        n_true += len(highlights)
        n_right += sum(touch(highlight, said) for highlight in highlights)
        n_right += sum(touch(place, highlights) for place in said)
    return n_right / max(1, n_said + n_true)


@functools.lru_cache(None)
def recognised(examples):
    """The two concepts that predict the examples best, the second of other meanings; or None."""
    texts = [unmarked(line) for line in examples]
    whole = "\n".join(text for text, _ in texts)
    ranked = []
    for meanings in planted():
        if any("context" in meaning or any(word in whole for word in meaning["words"])
               for meaning in meanings):
            ranked.append((fit_of(meanings, texts), label_of(meanings), meanings))
    ranked.sort(key=lambda entry: (-entry[0], entry[1]))
    first = ranked[0][2] if ranked and ranked[0][0] >= 0.4 else None
    second = next((meanings for fit, _, meanings in ranked[1:] if fit > 0 and
                   not any(meaning in (first or []) for meaning in meanings)), None)
    return first, second


def shown(meanings, examples):
    """The one meaning that is shown alone (the windows of one group), else all of them."""
    texts = [unmarked(line) for line in examples]
    seen = [meaning for meaning in meanings if any(
        touch(place, highlights)
        for text, highlights in texts for place in places([meaning], text))]
    return seen if len(seen) == 1 else meanings


def a_word(examples, number):
    plain = re.findall(r"[a-z]{5,}", re.sub(r"<<.+?>>", "", " ".join(examples)))
    return [{"words": [plain[number * 7 % len(plain)]]}] if plain else []


def a_part(meanings):
    if len(meanings) > 1:
        return meanings[:1]
    words = meanings[0].get("words", [])
    return [{"words": words[:1]}] if len(words) > 1 else []


def hypothesis(prompt):
    examples, number = examples_of(prompt), 1 + len(re.findall(r"^Round \d+: ", prompt, re.M))
    first, second = recognised(examples)
    draw = "%s %d" % ("\n".join(examples), number)
    if first and share(draw) < P_RIGHT:
        return label_of(shown(first, examples))
    others = [other for other in (first and a_part(first), second, a_word(examples, number))
              if other]
    if not others:
        return "something else"
    return label_of(others[int(share("other " + draw) * len(others))])


def try_texts(meanings, fires, start, n):
    """n texts that the label covers, or near misses that no part of it covers; by turns of each
    meaning."""
    sources, out = [], []
    for i, meaning in enumerate(meanings):
        at = start + 600 * i  # or near misses of two token sets would be the same texts
        if "context" in meaning:
            sources.append(concept_texts.of_context(meaning["context"], fires, at))
        else:
            write = concept_texts.of_words if fires else concept_texts.without_words
            sources.append(write(meaning["words"], at))
    for _ in range(20 * n):
        text = next(sources[len(out) % len(sources)])
        if bool(places(meanings, text.replace("↵", "\n"))) == fires and len(out) < n:
            out.append(text)
    return out


def experiments(prompt):
    label = prompt.split("Description to be tested: ")[1].split("\n")[0]
    n = int(re.search(r"Write (\d+) of each", prompt).group(1))
    tried = len(re.findall(r"^- ", prompt, re.M))
    meanings = meanings_of(label) or [{"words": ["quiet hope"]}]
    return {"fires": try_texts(meanings, True, tried, n),
            "silent": try_texts(meanings, False, tried, n),
            "hard_fires": try_texts(meanings, True, tried + 95, n),
            "hard_silent": try_texts(meanings, False, tried + 95, n)}


# ---- the judge --------------------------------------------------------------------------------


def answer(line, meanings, is_fuzzing):
    text, highlights = unmarked(line)
    found = places(meanings, text)
    if not is_fuzzing:
        return int(bool(found))
    return int(2 * sum(touch(each, found) for each in highlights) >= max(1, len(highlights)))


def judge(prompt):
    label = prompt.split("Description of the feature: ")[1].split("\n")[0]
    meanings, is_fuzzing = meanings_of(label), "highlighted tokens fit" in prompt
    lines = re.findall(r"^Text \d+: (.*)$", prompt, re.M)
    return {"answers": [answer(line, meanings, is_fuzzing) for line in lines]}


def reply(body):
    prompt = body["messages"][-1]["content"]
    if "Description of the feature:" in prompt:
        return json.dumps(judge(prompt))
    if "Description to be tested:" in prompt:
        return json.dumps(experiments(prompt))
    return json.dumps({"label": hypothesis(prompt), "type": "concrete"})
