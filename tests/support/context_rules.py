"""Contexts in which a planted feature fires: each a phrase that a label can hold and a rule that
finds the places in a text. Standard library only.

A rule reads text alone, from any point on: a judge that is shown a window applies the same rule as
the generator that marked whole documents, and knows as little of what stood before the window as
a judge does. A token is inside a place when its first visible character is.
"""
import re

def every(pattern, flags=re.M):
    """The places that group 1 of every match covers."""
    regex = re.compile(pattern, flags)
    return lambda text: [match.span(1) for match in regex.finditer(text)]


def between(opening, closing):
    """From an opening bracket to its closing one, or to the end of the line; a line that begins
    inside counts from its beginning."""
    inside, begun = (re.compile(r"[%s]([^%s%s\n]+)" % (opening, opening, closing)),
                     re.compile(r"\A([^%s%s\n]*)[%s]" % (opening, closing, closing)))
    return lambda text: [match.span(1) for regex in (begun, inside)
                         for match in regex.finditer(text)]


def quoted(text):
    """Inside straight double quotation marks: one opens before a letter and behind a space."""
    places, start = [], None
    for match in re.finditer(r'"|\n', text):
        at = match.start()
        if match.group() == "\n":
            if start is not None:
                places.append((start, at))
            start = None
            continue
        before, behind = text[at - 1:at], text[at + 1:at + 2]
        opens = (not before or before in " (\n[-'") and behind.strip() != "" and behind not in ";,."
        if opens:
            start = at + 1
        else:
            if start is None and not places and "\n" not in text[:at]:
                start = 0
            if start is not None:
                places.append((start, at))
            start = None
    return places + ([(start, len(text))] if start is not None else [])


def repeated(text):
    """A word behind the same word as earlier in the text, where that pair stood before."""
    words = list(re.finditer(r"[A-Za-z]+", text))
    seen, places = set(), []
    for before, word in zip(words, words[1:]):
        pair = (before.group().lower(), word.group().lower())
        if pair in seen:
            places.append(word.span())
        seen.add(pair)
    return places


# Of a word the place is its first letter: its first token fires, no further piece of it.
AFTER = r"%s (%s)"
WORD = r"[A-Za-z]"
RULES = {
    "text inside double quotation marks": quoted,
    "text inside parentheses": between("(", ")"),
    "text inside square brackets": between(r"\[", r"\]"),
    "text inside curly braces": between("{", "}"),
    "the word after a negation such as not or never": every(
        r"(?:\b(?:not|never|cannot)|n't) ([a-z])", re.M | re.I),
    "the word after no or without": every(AFTER % (r"\b(?:[Nn]o|without)", WORD)),
    "the first word of a numbered list item": every(r"^\d+\. (\S)"),
    "the headwords of a dictionary entry": every(
        r"^([^(\n]{1,150})(?= \((?:noun|verb|adjective|adverb)\))"),
    "the first words of a definition": every(
        r"\((?:noun|verb|adjective|adverb)\): ((?:\S+ ?){1,4})"),
    "the word that begins a new sentence": every(r"[.!?][\"'”)]? ([A-Z])"),
    "the first word of a new line": every(r"\n(\S)"),
    "the word after the article the": every(AFTER % (r"\b[Tt]he", WORD)),
    "the word after the article a or an": every(AFTER % (r"\b[Aa]n?", WORD)),
    "the word after of": every(AFTER % (r"\bof", WORD)),
    "the word after to": every(AFTER % (r"\bto", WORD)),
    "the word after in": every(AFTER % (r"\bin", WORD)),
    "the word after and": every(AFTER % (r"\band", WORD)),
    "the word after or": every(AFTER % (r"\bor", WORD)),
    "the word after with": every(AFTER % (r"\bwith", WORD)),
    "the word after a form of to be": every(AFTER % (r"\b(?:is|was|were|be|been|are|am)", WORD)),
    "the word after a modal verb": every(
        AFTER % (r"\b(?:would|could|should|must|can|will|may|might|shall)", WORD)),
    "the name after a title such as Mr. or Miss": every(
        r"\b(?:Mr\.|Mrs\.|Miss|Lady|Sir|Captain|Colonel) ([A-Z])"),
    "the word after a possessive": every(AFTER % (r"[a-z](?:'s|s')", WORD)),
    "the word after his, her or their": every(
        AFTER % (r"\b(?:[Hh]is|[Hh]er|[Tt]heir|[Mm]y|[Yy]our|[Ii]ts)", WORD)),
    "the verb after a personal pronoun": every(
        AFTER % (r"\b(?:I|you|he|she|we|they|He|She|We|They|You)", WORD)),
    "the word after a comma": every(r", (%s)" % WORD),
    "the word after a semicolon": every(r"; \"?([A-Za-z])"),
    "the word after a dash": every(r"(?:--|—)\s?([A-Za-z])"),
    "the word after a number": every(r"\b\d+ (%s)" % WORD),
    "the second part of a hyphenated word": every(r"[a-z]-([a-z])"),
    "the word after a closing quotation mark, such as said she": every(
        r"[a-z][,!?.]\" ([a-z])"),
    "the name of an entry of the jargon file": every(r"^:([^:\n]{2,40}): "),
    "the word after See or See also": every(r"\bSee (?:also )?(\S)"),
    "the word after such as or especially": every(
        r"\b(?:such as|especially|for example|e\.g\.,?) ([A-Za-z])"),
    "the word after a conjunction such as that or which": every(
        AFTER % (r"\b(?:that|which|who|whom)", WORD)),
    "the word after very, so or too": every(AFTER % (r"\b(?:very|so|too)", WORD)),
    "the word after have, has or had": every(AFTER % (r"\b(?:have|has|had|having)", WORD)),
    "the word after used": every(AFTER % (r"\bused", WORD)),
    "a word repeated with the word before it": repeated,
}


def places(phrase, text):
    """Character ranges of `text` that the context covers, empty ones left out."""
    return [(start, end) for start, end in RULES[phrase](text) if start < end]


def covered(ranges, n):
    """A byte for every character: 1 inside one of the ranges."""
    marks = bytearray(n)
    for start, end in ranges:
        marks[start:end] = b"\1" * (end - start)
    return marks
