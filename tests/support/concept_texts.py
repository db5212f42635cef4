"""What an agent writes to test a label about a context: patterns of texts that the context is in,
and of near misses that resemble them without it. @a, @b, @c are nouns. Standard library only.

A text is one line, in which the symbol ↵ stands for a line break, as in every prompt."""

import itertools

NOUNS = ("window summer engine basket winter colour thunder paper silver garden bottle "
         "ladder pepper carpet mirror tunnel forest harbour castle feather blanket "
         "candle hammer pocket rocket saddle temple violin walnut doctor teacher farmer "
         "finger ribbon marble planet orchard valley meadow needle shadow cottage desert "
         "island tailor barrel cotton button kitten pigeon rabbit turtle turnip barley "
         "cellar").split()

TEXTS = {
    "text inside double quotation marks": (
        ['the @a (noun): a kind of @b; "the @a was kept in the @c"',
         'a @b used for a @a; "he put the @b near the @c"; "a @a without @b"',
         '"I have seen the @a and the @b," she said.'],
        ["the @a (noun): a kind of @b kept in the @c",
         "a @b used for a @a, as he put the @b near the @c",
         "I have seen the @a and the @b, she thought."]),
    "text inside parentheses": (
        ["the @a was kept there (a small @b or @c that nobody wanted)",
         "a kind of @b (especially a @a with a long @c)",
         "He had the @a (but not the @b) with him."],
        ["the @a was kept there, a small @b or @c that nobody wanted",
         "a kind of @b, especially a @a with a long @c", "He had the @a but not the @b with him."]),
    "text inside square brackets": (
        ["[from the @a of the @b] a kind of @c", ":@a: n. [common; from @b] See the @c."],
        ["from the @a of the @b, a kind of @c", ":@a: n. common; from @b"]),
    "text inside curly braces": (
        ["Compare {@a}, {@b} and {@c @a}.", "A kind of {@b} that is used on a {@a}.",
         "This is the {@a @c} of a {@b}."],
        ["Compare @a, @b and @c @a.", "A kind of @b that is used on a @a.",
         "This is the @a @c of a @b."]),
    "the word after a negation such as not or never": (
        ["She did not like the @a or the @b.", "He had never seen the @a of the @c.",
         "They could not find a @b."],
        ["She did like the @a or the @b.", "He had once seen the @a of the @c.",
         "They could find a @b."]),
    "the word after no or without": (
        ["There was no @a in the @b.", "He came without @a and @b.", "She had no @c at all."],
        ["There was some @a in the @b.", "He came with @a and @b.", "She had a @c at last."]),
    "the first word of a numbered list item": (
        ["1. The @a of a @b.", "2. A @a used with a @c.", "3. To put a @b near a @a."],
        ["The @a of a @b.", "A @a used with a @c.", "It is to put a @b near a @a."]),
    "the headwords of a dictionary entry": (
        ["@a, @b (noun): a kind of @c", "@a @b (noun): the @c of a @a",
         "@b (adjective): of the @a"],
        ["He saw a @a, a @b and a @c there.", "In the @a she found the @c of a @b.",
         "They had seen the @b of the @a."]),
    "the first words of a definition": (
        ["@a (noun): a small @b used with a @c", "@b, @a (noun): any of several @c of the @b",
         "@c (adjective): like a @a or @b"],
        ["He saw a small @b used with a @c.", "She thought of several @c of the @b.",
         "It looked like a @a or @b."]),
    "the word that begins a new sentence": (
        ["He saw the @a. They went to the @b.", "It was a @b. There was a @a in the @c.",
         "She had a @c. He gave it to the @a."],
        ["he saw the @a and they went to the @b", "it was a @b and there was a @a in the @c",
         "she had a @c and he gave it to the @a"]),
    "the first word of a new line": (
        ["the @a of the @b↵the @c of a @a", "He saw a @c.↵They had the @a."],
        ["the @a of the @b, the @c of a @a", "He saw a @c. They had the @a."]),
    "the word after the article the": (
        ["He went to the @a with a @b.", "She put the @b near a @c.", "They saw the @c of a @a."],
        ["He went to a @a with a @b.", "She put a @b near her @c.", "They saw his @c and a @a."]),
    "the word after the article a or an": (
        ["He went to a @a with the @b.", "She put a @b near the @c.", "They saw a @c in the @a."],
        ["He went to the @a with the @b.", "She put the @b near her @c.",
         "They saw his @c in the @a."]),
    "the word after of": (
        ["the @a of @b and @c", "He had a kind of @a in the @b.",
         "She thought of @c when they came."],
        ["the @a for @b and @c", "He had a good @a in the @b.", "She saw @c when they came."]),
    "the word after to": (
        ["He wanted to see the @a.", "She went to @b with the @c.", "They had to leave the @a."],
        ["He wanted the @a.", "She went by @b with the @c.", "They had left the @a."]),
    "the word after in": (
        ["He was in @a when they came.", "She lived in the @b.", "It is used in @c by them."],
        ["He was at @a when they came.", "She lived by the @b.", "It is used for @c by them."]),
    "the word after and": (
        ["the @a and the @b", "He came and saw a @c.", "a @b and @a of the kind"],
        ["the @a or the @b", "He came but saw a @c.", "a @b or @a of the kind"]),
    "the word after or": (
        ["a @a or a @b", "the @c or @a of the kind", "made of @b or @c"],
        ["a @a and a @b", "the @c and @a of the kind", "made of @b and @c"]),
    "the word after with": (
        ["He came with the @a.", "a @b with a long @c", "She was with @a in the house."],
        ["He came for the @a.", "a @b without a long @c", "She was near @a in the house."]),
    "the word after a form of to be": (
        ["The @a was in the house.", "They were at the @b.", "It is the @c that he saw."],
        ["The @a stood in the house.", "They lived at the @b.", "It had the @c that he saw."]),
    "the word after a modal verb": (
        ["He would take the @a.", "They could see a @b.", "She must have the @c."],
        ["He took the @a.", "They saw a @b.", "She had the @c."]),
    "the name after a title such as Mr. or Miss": (
        ["He saw Mrs. Weston near the @a.", "It was Miss Bingley who had the @b.",
         "She gave the @c to Mr. Elton."],
        ["He saw her sister near the @a.", "It was her friend who had the @b.",
         "She gave the @c to him."]),
    "the word after a possessive": (
        ["He saw her father's @a.", "It was the man's @b.", "She took her sister's @c with her."],
        ["He saw her father and the @a.", "It was the man with the @b.",
         "She took her sister and the @c with her."]),
    "the word after his, her or their": (
        ["He lost his @a there.", "They had their @b with them.", "She took her @c home."],
        ["He lost the @a there.", "They had a @b with them.", "She took the @c home."]),
    "the verb after a personal pronoun": (
        ["Then they went to the @a.", "He had the @b when she came.",
         "You know that I like the @c."],
        ["Then the men went to the @a.", "The man had the @b when the woman came.",
         "To know the @a is to like the @c."]),
    "the word after a comma": (
        ["a @a, @b or @c", "He saw it, but there was a @a.", "In the @b, they had a @c."],
        ["a @a and @b or @c", "He saw it but there was a @a.", "In the @b they had a @c."]),
    "the word after a semicolon": (
        ["He had a @a; it was in the @b.", "a kind of @c; used for the @a",
         "She saw the @b; but there was a @c."],
        ["He had a @a, it was in the @b.", "a kind of @c, used for the @a",
         "She saw the @b, but there was a @c."]),
    "the word after a dash": (
        ["He had a @a--it was in the @b.", "She saw it--the @c was there."],
        ["He had a @a, it was in the @b.", "She saw it, the @c was there."]),
    "the word after a number": (
        ["There were 20 men near the @a.", "It has 8 bits and 2 colours of @b.",
         "about 100 years of @c"],
        ["There were many men near the @a.", "It has few bits and two colours of @b.",
         "about many years of @c"]),
    "the second part of a hyphenated word": (
        ["a @a-shaped @b", "the well-known @c of the house", "a self-made @a with a long-lived @b"],
        ["a @a shaped @b", "the known @c of the house", "a man made @a with a long @b"]),
    "the word after a closing quotation mark, such as said she": (
        ['"I have seen the @a," said he.', '"It is a very good @b!" cried her mother.',
         '"You have the @c," replied she.'],
        ["He said that they had seen the @a.", "It was a very good @b, cried her mother.",
         "She replied that they had the @c."]),
    "the name of an entry of the jargon file": (
        [":@a @b: n. A kind of @c.", ":@c: vt. To use a @b.", ":@a: adj. Like a @b."],
        ["The @a @b is a kind of @c.", "To @c is to use a @b.", "He was like a @b."]),
    "the word after See or See also": (
        ["It is a @a. See also {@b}.", "A kind of @c. See {@a}."],
        ["It is a @a. Compare {@b}.", "A kind of @c or {@a}."]),
    "the word after such as or especially": (
        ["a thing such as a @a or @b", "a kind of @c, especially of @b"],
        ["a thing like a @a or @b", "a kind of @c and of @b"]),
    "the word after a conjunction such as that or which": (
        ["He said that the @a was there.", "a @b which is used for @c", "the man who had the @a"],
        ["He said the @a was there.", "a @b used for @c", "the man with the @a"]),
    "the word after very, so or too": (
        ["It was a very long @a.", "He was so happy at the @b.", "The @c is too large."],
        ["It was a long @a.", "He was happy at the @b.", "The @c is large."]),
    "the word after have, has or had": (
        ["He had seen the @a.", "They have a @b there.", "It has been a @c."],
        ["He saw the @a.", "They like a @b there.", "It was a @c."]),
    "the word after used": (
        ["a @a used for a @b", "It is used in the @c.", "often used with the @a"],
        ["a @a made for a @b", "It is kept in the @c.", "often seen with the @a"]),
    "a word repeated with the word before it": (
        ["the @a @b and the @a @b again", "a small @c was near a small @c"],
        ["the @a @b and a @c again", "a small @c was near a large @a"]),
}

PLACES = ["She spoke of the {} in her letter.", "There was a report about {} on that day.",
          "a kind of thing that has {} in it", "He had {} with him when they came.",
          "They wrote {} on the wall.", "the old {} was very long",
          "In the evening we heard of {} again.", "It is a common {} of the country."]


def fill(pattern, k):
    """Other nouns for another k: no two of the first 25,000 are equal."""
    n = len(NOUNS)
    for name, at in (("@a", k), ("@b", k + k // n + 7), ("@c", k + k // n // n + k // n + 17)):
        pattern = pattern.replace(name, NOUNS[at % n])
    return pattern


def of_context(phrase, fires, start):
    """Endless, from the start-th on."""
    patterns = TEXTS[phrase][0 if fires else 1]
    for k in itertools.count(start):
        yield fill(patterns[k % len(patterns)], k // len(patterns))


def of_words(words, start):
    """Sentences that hold one of the words each."""
    for k in itertools.count(start):
        yield PLACES[k % len(PLACES)].replace("{}", words[k % len(words)]).rstrip(".") + fill(
            " near the @a, and the @b.", k)


def without_words(words, start):
    return of_words([noun for noun in NOUNS if noun not in words], start)
