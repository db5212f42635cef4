"""What became of planted features: is the concept found, is the label supported, by type. Reads the
records of a sweep over tests/golden/concepts. Standard library only.

A label is `found` (it names every meaning and nothing else), `part` (some of what it names is
planted, nothing is foreign or something is missing), or `other`. Labels of the scripted agent are
read back as they were written; those of the lexical explainer by READINGS: which of its clauses
say what a context is.
"""
import collections
import random
import re

import concept_agent

STATUSES = ("dead", "dense", "position")
N_RESAMPLES = 1000

# Words that stand right before the place, for contexts that the lexical explainer can express.
AFTER = {
    "the word after the article the": "the", "the word after the article a or an": "a an",
    "the word after of": "of", "the word after to": "to", "the word after in": "in",
    "the word after and": "and", "the word after or": "or", "the word after with": "with",
    "the word after no or without": "no without", "the word after used": "used",
    "the word after a negation such as not or never": "not never cannot 't",
    "the word after a form of to be": "is was were be been are am",
    "the word after a modal verb": "would could should must can will may might shall",
    "the name after a title such as Mr. or Miss": "mr. mrs. . miss lady sir captain colonel",
    "the word after a possessive": "'s s'",
    "the word after his, her or their": "his her their my your its",
    "the verb after a personal pronoun": "i you he she we they",
    "the word after a comma": ",", "the word after a semicolon": ";",
    "the word after a dash": "-- —",
    "the second part of a hyphenated word": "-",
    "the word after See or See also": "see also {",
    "the word after a conjunction such as that or which": "that which who whom",
    "the word after very, so or too": "very so too",
    "the word after have, has or had": "have has had having",
    "the first word of a new line": "\\n",
    "the word that begins a new sentence": ". ! ? .\"",
    "the first word of a numbered list item": ". 1 2 3 4 5 6 7 8 9 \\n",
    "the word after a closing quotation mark, such as said she": ",\" !\" ?\" .\"",
}
# Where what stands before it tells the first word of a place alone: part of the concept.
BEGINS_AFTER = {
    "text inside double quotation marks": "\"", "text inside parentheses": "(",
    "text inside curly braces": "{", "the first words of a definition": "):",
    "the headwords of a dictionary entry": "\\n", "the name of an entry of the jargon file": ":",
}


NAMES_WORDS = re.compile('(the|any of the) (token|word)s? "')
# What is spelled like a word says it in part: other words may be spelled so too.
AFFIXES = (("a token starting with ", str.startswith), ("a token ending in ", str.endswith),
           ("a token containing ", str.__contains__))
CLASSES = {"the first word of a new line": ("a line break", "white space"),
           "the word after a number": ("a number in digits",)}


def quoted(clause):
    return [word.replace('\\"', '"').strip().lower() for word in re.findall(
        r'"((?:[^"\\]|\\.)*)"', clause)]


def spelled_in(clause, word):
    return any(clause.startswith(start) and any(has(word, affix) for affix in quoted(clause))
               for start, has in AFFIXES)


def in_clause(clause, meaning):
    """Of a lexical clause: how many of its words say this meaning, whether all of it is said."""
    words = quoted(clause)
    if "words" in meaning:
        known = [word.lower() for word in meaning["words"]] if NAMES_WORDS.match(clause) else []
        return {word for word in words if word in known}, False
    classes = CLASSES.get(meaning["context"])
    if classes and clause.startswith("the token right after ") and any(
            name in clause for name in classes):
        return {"a class of tokens"}, True
    begins = BEGINS_AFTER.get(meaning["context"], "").split()
    known = AFTER.get(meaning["context"], "").split() + begins
    if not clause.startswith("the token right after "):
        known = []
    return {word for word in words if word in known}, bool(known) and not begins


def read_lexical(label, meanings):
    """found, part or other: the clauses of a lexical label against what was planted. A context is
    found when every word of the label stands before it by its rule."""
    missing, n_said, n_known, is_spelled = set(), 0, 0, False
    for i, meaning in enumerate(meanings):
        missing |= {(i, word.lower()) for word in meaning.get("words", ["the context"])}
    for clause in label.split("; or "):
        hits = set()
        for i, meaning in enumerate(meanings):
            words, is_whole = in_clause(clause, meaning)
            hits |= words
            missing -= {(i, word) for word in words}
            if words and is_whole:
                missing.discard((i, "the context"))
            is_spelled |= any(spelled_in(clause, word.lower())
                              for word in meaning.get("words", []))
        n_said += max(1, len(quoted(clause)))
        n_known += len(hits)
    if not n_known:
        return "part" if is_spelled else "other"
    return "found" if not missing and n_known == n_said else "part"


def flat(meanings):
    return {("context", m["context"]) if "context" in m else ("word", word)
            for m in meanings for word in m.get("words", [""])}


def read_scripted(label, meanings):
    named, wanted = flat(concept_agent.meanings_of(label)), flat(meanings)
    return "found" if named == wanted else "part" if named & wanted else "other"


def reading(row, meanings):
    if not row["label"]:
        return "none"
    read = read_lexical if row["explainer"] == "lexical" else read_scripted
    return read(row["label"], meanings)


def planted_of(rows):
    """(feature as planted, its record) of every record."""
    by_hook = {d["hook"]: d["features"] for d in concept_agent.CONCEPTS["dictionaries"]}
    return [(by_hook[row["target"]["hook_point"]][row["feature"]], row) for row in rows]


def mean_with_interval(values):
    """Over features: 95 % percentile bootstrap, seeded."""
    if not values:
        return "-"
    draw = random.Random(1)
    means = sorted(sum(draw.choices(values, k=len(values))) / len(values)
                   for _ in range(N_RESAMPLES))
    return "%.2f [%.2f, %.2f]" % (sum(values) / len(values), means[N_RESAMPLES // 40],
                                  means[-1 - N_RESAMPLES // 40])


def score_of(row, name, kind):
    value = row["scores"].get(name, {}).get(kind, {}) if row["scores"] else {}
    return value.get("balanced_accuracy")


class Count:
    """Of one type of feature."""

    def __init__(self):
        self.n = 0
        self.read, self.supported = collections.Counter(), collections.Counter()
        self.scores = collections.defaultdict(list)

    def add(self, feature, row):
        what = reading(row, feature["meanings"])
        self.n += 1
        self.read[what] += 1
        self.supported[what] += row["supported"]
        for name, kind in (("detection", "random"), ("detection", "hard"), ("fuzzing", "random")):
            value = score_of(row, name, kind)
            if value is not None:
                self.scores[name, kind].append(value)

    def cells(self):
        pairs = ["%d / %d" % (self.supported[what], self.read[what])
                 for what in ("found", "part", "other")]
        return [self.n, self.read["found"], *pairs] + [
            mean_with_interval(self.scores[key])
            for key in (("detection", "random"), ("detection", "hard"), ("fuzzing", "random"))]


def counts(rows):
    """type -> Count, in the order in which types were planted; features with a status of their own
    are left out."""
    out = {}
    for feature, row in planted_of(rows):
        if feature["type"] not in STATUSES:
            out.setdefault(feature["type"], Count()).add(feature, row)
    return out


def table(rows):
    """Markdown. "supported / all", of labels that name the whole concept, a part of it, none."""
    lines = ["| planted | n | found | supported: found | part | other | detection | hard | "
             "fuzzing |",
             "|---" * 9 + "|"]
    lines += ["| %s | %s |" % (kind, " | ".join(map(str, count.cells())))
              for kind, count in counts(rows).items()]
    return "\n".join(lines)


def total(rows, what):
    """(labels of that reading, those of them that are supported)."""
    each = counts(rows).values()
    return sum(c.read[what] for c in each), sum(c.supported[what] for c in each)


def null_line(rows):
    """What foreign labels score, and from which score on a label can be supported at all."""
    nulls = [row["scores"]["detection"]["random"]["null"] for row in rows
             if row["scores"] and row["scores"].get("detection")]
    null = next((null for null in nulls if null), None)
    return null and "detection of foreign labels: mean %.2f, sd %.3f over %d; z is 3 at %.2f" % (
        null["mean"], null["sd"], null["n"], null["mean"] + 3 * null["sd"])


TYPES = ("concrete", "syntactic", "abstract", "polysemantic")


def found_meanings(feature, row):
    """How many of the planted meanings have a group whose label names that meaning and no other."""
    found = set()
    for one in row["meanings"]["list"] if row["meanings"] else []:
        if row["explainer"] == "lexical":
            named = [i for i, meaning in enumerate(feature["meanings"]) if any(
                in_clause(clause, meaning)[0] for clause in (one["label"] or "").split("; or "))]
        else:
            said = flat(concept_agent.meanings_of(one["label"] or ""))
            named = [i for i, meaning in enumerate(feature["meanings"]) if flat([meaning]) & said]
        if len(named) == 1:
            found.add(named[0])
    return len(found)


def typing_table(rows):
    """Markdown: the type that the evidence gave, by what was planted; of the polysemantic ones, the
    planted meanings that a group of windows has a label for."""
    lines = ["| planted | n | %s | none | meanings planted | with a group of their own |" %
             " | ".join(TYPES), "|---" * (5 + len(TYPES)) + "|"]
    for kind in counts(rows):
        mine = [(f, row) for f, row in planted_of(rows) if f["type"] == kind]
        said = collections.Counter(row["typing"]["type"] if row["typing"] else "none"
                                   for _, row in mine)
        lines.append("| %s | %d | %s | %d | %d | %d |" % (
            kind, len(mine), " | ".join(str(said[name]) for name in TYPES), said["none"],
            sum(len(f["meanings"]) for f, _ in mine), sum(found_meanings(*each) for each in mine)))
    return "\n".join(lines)


def contradictions(rows):
    """One line for each label that is right and not supported, or supported and not right."""
    lines = []
    for feature, row in planted_of(rows):
        what = reading(row, feature["meanings"])
        if feature["meanings"] and row["supported"] != (what == "found"):
            lines.append("%s %s/%d %s: %s | planted: %s | %s | %s" % (
                "SUPPORTED" if row["supported"] else "unsupported",
                row["target"]["hook_point"], row["feature"], what, row["label"],
                concept_agent.label_of(feature["meanings"]), row["status"],
                row["scores"].get("detection", {}).get("random", {}).get("verdict")
                if row["scores"] else "not scored"))
    return lines
