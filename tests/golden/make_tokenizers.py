#!/usr/bin/env python3
"""Make tests/golden/tokenizers: tokenizer.json files of each kind and what HF tokenizers does.

Each NAME/tokenizer.json is trained here on a little text (WordNet glosses, the jargon file, and
the lines below) and then written in the exact shape of the published files of its family.

  strings.jsonl            {"kind": ..., "b64": ...} a line: the bytes of one input string.
  NAME/encoded.jsonl.gz    a line for each string, in order:
                             {"ids": [...], "special": [...] or null, "b64": ...}
                           `ids` without, `special` with special tokens (null: the same as ids);
                           `b64`: the UTF-8 of decode(ids, skip_special_tokens=False).
  NAME/decoded.jsonl.gz    random id sequences, mostly not valid UTF-8: {"ids": [...], "b64": ...}

Invalid UTF-8 in a string is read as Python's bytes.decode("utf-8", errors="replace") does: one
U+FFFD for each maximal subpart of an ill-formed sequence (Unicode 15, section 3.9, table 3-8).

Run: python tests/golden/make_tokenizers.py [NAME...]   (needs tokenizers, and the Debian packages
wordnet-base and jargon-text)
"""

import base64
import gzip
import io
import json
import random
import sys
import unicodedata
from pathlib import Path

from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

HERE = Path(__file__).resolve().parent / "tokenizers"
SPACE_MARK = "\u2581"
LLAMA3_REGEX = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
                r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2_REGEX = LLAMA3_REGEX.replace(r"\p{N}{1,3}", r"\p{N}")

# Written for this file, so that some merges cross the bytes of other scripts and of code.
OTHER_TEXT = """\
Der schnelle Fuchs springt über den faulen Hund, und größere Bären schlafen länger.
Où est la bibliothèque ? Elle est fermée à Noël, dit le garçon naïf.
El niño comió una manzana en la montaña mañana por la mañana.
Быстрая лиса прыгает через ленивую собаку, а медведь спит в лесу зимой.
Η γρήγορη αλεπού πηδάει πάνω από το τεμπέλικο σκυλί το πρωί.
敏捷的狐狸跳过了懒狗。我们今天学习神经网络和语言模型。
素早い狐がのろまな犬を飛び越える。今日はニューラルネットワークを学びます。
빠른 여우가 게으른 개를 뛰어넘는다. 오늘은 신경망을 배웁니다.
الثعلب السريع يقفز فوق الكلب الكسول في الصباح الباكر.
השועל המהיר קופץ מעל הכלב העצלן בבוקר.
तेज़ लोमड़ी आलसी कुत्ते के ऊपर से कूदती है और घर जाती है।
สุนัขจิ้งจอกกระโดดข้ามสุนัขขี้เกียจในตอนเช้า
😀 😃 😄 👍 👍🏽 👩‍💻 👨‍👩‍👧‍👦 🇩🇪 🇫🇷 🏳️‍🌈 ❤️ 🎉🎉🎉
def main(argv):\n    for i in range(10):\n        print("i =", i, f"{i:>4}")\n\treturn 0\n
int main(void)\n{\n    while (x != 0) {\n        x = (x >> 1) ^ (x & 0xff);\n    }\n    return 0;\n}\n
I'm sure they're here; it's what we'd've said, isn't it? You'll see: I've 12 of 3,456,789.00!
In 1999 and 2024, 10 12 100 1000 and 12345 of 67890; m² cm³ 10² x²³ ½ 1½ ٣٤ ٣٤ ２０ ２０ ① ② Ⅷ Ⅷ.
IT'S WHAT THEY'LL SAY, ISN'T IT? I'M SURE WE'VE SEEN 1999, 2024 AND 31415926535.
"""


def training_lines():
    """A few hundred thousand characters of freely licensed English, and the lines above."""
    lines = []
    with open("/usr/share/wordnet/data.noun", encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file):
            if " | " in line and number % 40 == 0:
                lines.append(line.split(" | ", 1)[1].strip())
    with gzip.open("/usr/share/doc/jargon-text/jargon.txt.gz", "rt", encoding="utf-8",
                   errors="replace") as file:
        text = file.read()
    lines += text[200_000:350_000].split("\n\n")
    return lines + OTHER_TEXT.replace("\\n", "\n").replace("\\t", "\t").split("\n") * 6


# ---- vocabularies -------------------------------------------------------------------------------

def train(pre_tokenizer, specials, vocab_size, alphabet, lines):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, special_tokens=specials,
                                  initial_alphabet=alphabet, show_progress=False,
                                  limit_alphabet=400)
    tokenizer.train_from_iterator(lines, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], [tuple(pair) for pair in model["merges"]]


def train_byte_level(pre_tokenizer, specials, vocab_size):
    return train(pre_tokenizer, specials, vocab_size, pre_tokenizers.ByteLevel.alphabet(),
                 training_lines())


def train_sentencepiece(vocab_size, with_bytes):
    specials = ["<unk>", "<s>", "</s>"]
    if with_bytes:
        specials += [f"<0x{byte:02X}>" for byte in range(256)]
    lines = [SPACE_MARK + line.replace(" ", SPACE_MARK) for line in training_lines()]
    # Words with the mark in front and runs of marks, as sentencepiece makes them.
    split = pre_tokenizers.Split(Regex(f"{SPACE_MARK}*[^{SPACE_MARK}]*"), "isolated")
    return train(split, specials, vocab_size, [], lines)


# ---- the shapes of published files --------------------------------------------------------------

def added(token_id, content, special=True, **flags):
    token = {"id": token_id, "content": content, "single_word": False, "lstrip": False,
             "rstrip": False, "normalized": not special, "special": special}
    return {**token, **flags}


def bpe(vocab, merges, pairs, **fields):
    model = {"type": "BPE", "dropout": None, "unk_token": None,
             "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": False,
             "byte_fallback": False, "ignore_merges": False}
    model.update(fields)
    model["vocab"] = vocab
    model["merges"] = [list(p) if pairs else " ".join(p) for p in merges]
    return model


def byte_level(add_prefix_space=False, trim_offsets=True, use_regex=True):
    return {"type": "ByteLevel", "add_prefix_space": add_prefix_space,
            "trim_offsets": trim_offsets, "use_regex": use_regex}


def split_isolated(pattern):
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated",
            "invert": False}


def template(bos, bos_id):
    return {"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": bos, "type_id": 0}},
                       {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"SpecialToken": {"id": bos, "type_id": 0}},
                     {"Sequence": {"id": "A", "type_id": 0}},
                     {"SpecialToken": {"id": bos, "type_id": 1}},
                     {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {bos: {"id": bos, "ids": [bos_id], "tokens": [bos]}}}


def document(model, added_tokens, normalizer, pre_tokenizer, post_processor, decoder):
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added_tokens,
            "normalizer": normalizer, "pre_tokenizer": pre_tokenizer,
            "post_processor": post_processor, "decoder": decoder, "model": model}


def gpt2():
    """GPT-2: string merges, empty strings where newer files have null, no newer keys."""
    vocab, merges = train_byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False), [], 1400)
    end = len(vocab)
    vocab["<|endoftext|>"] = end  # the last id, as in the published file
    model = bpe(vocab, merges, pairs=False, continuing_subword_prefix="", end_of_word_suffix="")
    for newer in ("byte_fallback", "ignore_merges"):
        del model[newer]
    old_byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    return document(model, [added(end, "<|endoftext|>")], None, old_byte_level,
                    {**old_byte_level, "trim_offsets": False}, dict(old_byte_level))


def gpt2_added():
    """GPT-2 with a leading space added and added tokens with every flag."""
    vocab, merges = train_byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False), [], 800)
    n = len(vocab)
    tokens = [
        added(n, "<|endoftext|>"),
        added(n + 1, "<mask>", lstrip=True),
        added(n + 2, "<right>", rstrip=True),
        added(n + 3, "<both>", lstrip=True, rstrip=True),
        added(n + 4, "word", special=False, single_word=True),
        added(n + 5, "two words", special=False),
        added(n + 6, "    ", special=False, normalized=False),
        added(n + 7, "<|end", special=False),  # a prefix of another added token
        added(n + 8, "\u00e9t\u00e9", special=False),  # not ASCII
        added(n + 9, "<sw>", single_word=True, lstrip=True, rstrip=True),
    ]
    return document(bpe(vocab, merges, pairs=True), tokens, None,
                    byte_level(add_prefix_space=True), byte_level(trim_offsets=False),
                    byte_level())


def llama3():
    """Llama-3: a Split regex, ignore_merges with whole words that no merge reaches."""
    regex = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(LLAMA3_REGEX), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    vocab, merges = train_byte_level(regex, [], 1600)
    for word in ("\u0120interpretability", "hello", "\u0120Kubernetes", "123", "\u0120\u0120\u0120",
                 "\u0120transformer", "\u00f0\u0141\u013a\u0122", "()", "\u0120{\u010a"):
        vocab.setdefault(word, len(vocab))
    n = len(vocab)
    names = ["<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>",
             "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    tokens = [added(n + i, name) for i, name in enumerate(names)]
    return document(
        bpe(vocab, merges, pairs=False, ignore_merges=True), tokens, None,
        {"type": "Sequence",
         "pretokenizers": [split_isolated(LLAMA3_REGEX), byte_level(use_regex=False)]},
        {"type": "Sequence",
         "processors": [byte_level(add_prefix_space=True, trim_offsets=False),
                        template(names[0], n)]},
        byte_level(add_prefix_space=True))


def smollm2():
    """SmolLM2: single digits, then the GPT-2 split; special tokens at the low ids.

    Trained without the digit splitter, so that its absence would show: merges of digits exist.
    """
    names = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<repo_name>", "<reponame>",
             "<file_sep>", "<filename>", "<gh_stars>", "<empty_output>"]
    vocab, merges = train_byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False), names,
                                     1400)
    tokens = [added(vocab[name], name) for name in names]
    digits = {"type": "Digits", "individual_digits": True}
    return document(
        bpe(vocab, merges, pairs=True), tokens, None,
        {"type": "Sequence", "pretokenizers": [digits, byte_level()]}, None,
        byte_level(add_prefix_space=True))


def sentencepiece_decoder():
    return {"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": SPACE_MARK}, "content": " "},
        {"type": "ByteFallback"}, {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}


def prepend_and_replace():
    return {"type": "Sequence", "normalizers": [
        {"type": "Prepend", "prepend": SPACE_MARK},
        {"type": "Replace", "pattern": {"String": " "}, "content": SPACE_MARK}]}


def sentencepiece_tokens():
    return [added(0, "<unk>"), added(1, "<s>"), added(2, "</s>")]


def llama2():
    """Llama-2 as first published: the space mark comes from the normalizer."""
    vocab, merges = train_sentencepiece(1500, with_bytes=True)
    model = bpe(vocab, merges, pairs=False, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    del model["ignore_merges"]
    return document(model, sentencepiece_tokens(), prepend_and_replace(), None,
                    template("<s>", 1), sentencepiece_decoder())


def llama2_added():
    """Llama-2 with further added tokens, some matched on the normalized text, none special."""
    vocab, merges = train_sentencepiece(900, with_bytes=True)
    n = len(vocab)
    tokens = [{**token, "normalized": True} for token in sentencepiece_tokens()] + [
        added(n, "<mask>", lstrip=True),
        added(n + 1, "two words", special=False),
        added(n + 2, "word", special=False, normalized=False, single_word=True),
        added(n + 3, "[INST]", special=False, normalized=False),
        added(n + 4, "[/INST]", special=False, normalized=False, rstrip=True),
    ]
    return document(
        bpe(vocab, merges, pairs=True, unk_token="<unk>", fuse_unk=True, byte_fallback=True),
        tokens, prepend_and_replace(), None, template("<s>", 1), sentencepiece_decoder())


def llama2_metaspace_first():
    """Llama-2 as newer tools write it: a Metaspace pre-tokenizer that does not split."""
    vocab, merges = train_sentencepiece(1100, with_bytes=True)
    tokens = sentencepiece_tokens() + [added(len(vocab), "<|user|>", special=False)]
    return document(
        bpe(vocab, merges, pairs=True, unk_token="<unk>", fuse_unk=True, byte_fallback=True),
        tokens, None,
        {"type": "Metaspace", "replacement": SPACE_MARK, "prepend_scheme": "first",
         "split": False},
        template("<s>", 1), sentencepiece_decoder())


def metaspace_always():
    """Metaspace that splits and always prepends, no byte fallback: unknown characters fuse."""
    vocab, merges = train_sentencepiece(900, with_bytes=False)
    metaspace = {"type": "Metaspace", "replacement": SPACE_MARK, "prepend_scheme": "always",
                 "split": True}
    return document(
        bpe(vocab, merges, pairs=True, unk_token="<unk>", fuse_unk=True),
        sentencepiece_tokens(), None, metaspace, template("<s>", 1), dict(metaspace))


def qwen2_nfc():
    """Qwen2: an NFC normalizer. Not of a family of the first release: support it or refuse it."""
    regex = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(QWEN2_REGEX), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    vocab, merges = train_byte_level(regex, [], 900)
    n = len(vocab)
    names = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    return document(
        bpe(vocab, merges, pairs=False, continuing_subword_prefix="", end_of_word_suffix=""),
        [added(n + i, name) for i, name in enumerate(names)], {"type": "NFC"},
        {"type": "Sequence",
         "pretokenizers": [split_isolated(QWEN2_REGEX),
                           byte_level(trim_offsets=False, use_regex=False)]},
        byte_level(trim_offsets=False, use_regex=False),
        byte_level(trim_offsets=False, use_regex=False))


TOKENIZERS = {
    "gpt2": gpt2,
    "gpt2-added": gpt2_added,
    "llama3": llama3,
    "smollm2": smollm2,
    "llama2": llama2,
    "llama2-added": llama2_added,
    "llama2-metaspace-first": llama2_metaspace_first,
    "metaspace-always": metaspace_always,
    "qwen2-nfc": qwen2_nfc,
}


# ---- strings ------------------------------------------------------------------------------------

SPACES = ["\t", "\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x1d", "\x1f", "\x85", "\xa0", "\u1680",
          "\u180e", "\u2000", "\u2003", "\u2009", "\u200b", "\u2028", "\u2029", "\u202f", "\u205f",
          "\u2060", "\u3000", "\ufeff"]
EMOJI = ["😀", "👍", "👍🏽", "👩‍💻", "👨‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪", "🇫🇷🇩🇪",
         "❤️", "☺", "☺️", "#️⃣", "🧑🏿‍🚀", "🫠", "🤦🏼‍♂️", "🏴󠁧󠁢󠁥󠁮󠁧󠁿"]
CONTRACTIONS = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"]
ADDED = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<mask>", "<right>", "<both>", "<sw>",
         "word", "two words", "    ", "<|end", "\u00e9t\u00e9", "<|begin_of_text|>", "<|eot_id|>",
         "<s>", "</s>", "<unk>", "[INST]", "[/INST]", "<|user|>", "<filename>", "<0x0A>",
         "<|start_header_id|>", "<|endoftext", "|endoftext|>", "<<s>>", SPACE_MARK]
SCRIPTS = {
    "cjk": "敏捷的狐狸跳过了懒狗我们今天学习神经网络漢字仮名交じり文龘𠀀𪚥㐀ニューラルひらがな신경망을배웁니다",
    "rtl": "الثعلب السريع يقفز فوق الكلب שועל מהיר קופץ שָׁלוֹם مُحَمَّد \u200f\u200e\u202b\u202c",
    "indic": "तेज़ लोमड़ी आलसी कुत्ते के ऊपर से कूदती है "
             "தமிழ் മലയാളം ಕನ್ನಡ สุนัขจิ้งจอก ខ្មែរ မြန်မာ",
    "european": "Größe naïve façade mañana Żółć čeština Ελληνικά "
                "Быстрая лиса İstanbul ıssız ﬁ ﬂ Ǆ ß ẞ ſ",
    "math": "∀x∈ℝ: ∑ᵢ xᵢ² ≥ 0, ⌊π⌋=3 ½ ⅓ Ⅷ ② ℵ₀ → ∞ ≠ 𝔸𝕓𝒄 𝟘𝟙𝟚 ﷺ ™ © €£¥ ×÷±",
}
DIGIT_SETS = ["0123456789", "٠١٢٣٤٥٦٧٨٩", "०१२३४५६७८९", "０１２３４５６７８９", "⁰¹²³⁴⁵⁶⁷⁸⁹",
              "₀₁₂₃₄₅₆₇₈₉", "①②③④⑤⑥⑦⑧⑨⑩", "ⅠⅡⅢⅣⅤⅥⅦⅧⅨⅩ", "½⅓¼⅕⅙", "一二三四五六七八九十", "𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗"]
COMBINING = [chr(c) for c in (0x300, 0x301, 0x308, 0x323, 0x327, 0x335, 0x20dd, 0x591, 0x64b, 0x93c,
                              0xe31, 0x1ab0, 0xfe0f, 0x302a)]
INVALID = [b"\x80", b"\xbf", b"\xc0\x80", b"\xc1\xbf", b"\xc3", b"\xc3(", b"\xe2\x82", b"\xe2(\xa1",
           b"\xe0\x80\x80", b"\xe0\x9f\xbf", b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xef\xbf", b"\xf0",
           b"\xf0\x9f", b"\xf0\x9f\x98", b"\xf0\x80\x80\x80", b"\xf4\x90\x80\x80",
           b"\xf5\x80\x80\x80",
           b"\xf8\x88\x80\x80\x80", b"\xfe", b"\xff", b"\xff\xfe", b"\xfc\x84\x80\x80\x80\x80",
           b"\xf1\x80\x80\xe1\x80\xc2", b"\xed\xa0\x80\xed\xb0\x80",
           b"\xf0\x9f\x98\xf0\x9f\x98\x80"]
CODE = ["for (int i = 0; i < n; i++) {\n\t\tsum += a[i];\n\t}\n",
        "x = {'a': 1, \"b\": [2,3]}\n\n\n",
        "SELECT * FROM t WHERE a >= 10 AND b != 'c';", "<div class=\"x\">&nbsp;</div>\r\n",
        "https://example.org/a?b=c&d=%20e#f", "C:\\Users\\n\\t\\0", "#!/bin/sh\nset -eu\n",
        "if x==1:\n    y=2\n        z=3\n", "/* comment */ // another\n", "a->b::c.d[e](f){g}",
        "----------------", "================================", "....", "?!?!?!", "``code``",
        "$100.00 + 5% = €95,00", "foo_bar_baz fooBarBaz FOO-BAR",
        "\\begin{align} x &= y \\\\ \\end{align}",
        "e-mail: a.b+c@d.example", "0x1F 0b101 1e-5 3.14159 1_000_000", "[[[]]] ((())) {{{}}}"]


def words(rng, n):
    pool = ("the of and to in is was that it for on with as his they be at one have this from or "
            "had by hot but some what there we can out other were all your when up use word how "
            "said an each she interpretability transformer hello Kubernetes neural network I'm "
            "don't it's we'll they're You've HE'D IT'S 1999 3,456 42nd U.S.A. e.g. naïve").split()
    return " ".join(rng.choice(pool) for _ in range(n))


def random_characters(rng, n):
    """Any assigned character that is neither a surrogate nor private, from every plane."""
    out = []
    while len(out) < n:
        top = rng.choice([0x80, 0x250, 0x3000, 0xffff, 0x1ffff, 0x10ffff])
        char = chr(rng.randrange(top))
        if unicodedata.category(char) not in ("Cn", "Cs", "Co"):
            out.append(char)
    return "".join(out)


def fixed_strings():
    for text in ("", " ", "  ", "   ", "a", " a", "a ", "  a", "a  ", "  a  ", "hello", " hello",
                 "hello world", "hello  world", "hello   world ", "\n", "\n\n", " \n", "\n ",
                 "\n\n\n a", "a\n\n\nb", "a \n b", "\t\ta", "a\t b", "\r", "\r\n", "a\r\n\r\nb",
                 "\r\n \r\n\r", "a\r\rb", " \r\n", "   \n   x", "x   \n", "\0", "a\0b", "\0\0\0",
                 "\x01\x02\x7f", SPACE_MARK, SPACE_MARK + "a", "a" + SPACE_MARK + " b",
                 " " + SPACE_MARK + " ", "\ufffd", "\ufeffa", "it'\u017f", "I'\u212ad", "'\u017f a",
                 "''s", "' s", "'", "''", "'sa", "a'sb", "'S'T'RE'VE'M'LL'D", "’s don’t",
                 "e\u0301", "\u00e9", "A\u030a", "\u212b", "\u1e9b\u0323",
                 "\ud55c", "\u1112\u1161\u11ab"):
        yield "fixed", text.encode()
    for space in SPACES:
        for form in (space, space * 3, f"a{space}b", f"{space}a", f"a{space}", f"a {space} b",
                     f"a{space} b", f"a {space}b", f"1{space}{space}2", f"!{space}\n{space}?"):
            yield "space", form.encode()
    for byte in list(range(32)) + [127]:
        yield "control", f"a{chr(byte)}b {chr(byte)}".encode()
    for emoji in EMOJI:
        for form in (emoji, f"a{emoji}b", f" {emoji} {emoji}", emoji * 4):
            yield "emoji", form.encode()
    for contraction in CONTRACTIONS:
        for form in (contraction, contraction.upper(), contraction.title()):
            for text in (f"I{form}", f"you{form} go", f"x {form}y", f"1{form}"):
                yield "contraction", text.encode()
    for text in ADDED:
        for form in (text, f"a{text}b", f"a {text} b", f" {text}  ", f"{text}{text}",
                     f"{text}\n{text}",
                     f"x  {text}  y", f"é{text}é", f"_{text}_", f"1{text}2", f"-{text}."):
            yield "added", form.encode()
    for kind, text in SCRIPTS.items():
        yield kind, text.encode()
        for word in text.split(" "):
            yield kind, word.encode()
    for text in CODE:
        yield "code", text.encode()
        yield "code", (" " * 7 + text + " " * 3).encode()
    for bad in INVALID:
        for form in (bad, b"a" + bad + b"b", b" " + bad + b" " + bad, bad + "é😀".encode(), bad * 3):
            yield "invalid", form


def random_strings(rng):
    for digits in DIGIT_SETS:
        for n in (1, 2, 3, 4, 5, 7, 16, 50):
            yield "digits", "".join(rng.choice(digits) for _ in range(n)).encode()
        yield "digits", (
            f"a{digits[:3]}b {digits[:4]} {digits[0]},{digits[1:4]}.{digits[2]}").encode()
    for n in (100, 1000):
        yield "digits", "".join(rng.choice("0123456789") for _ in range(n)).encode()
    for mark in COMBINING:
        for form in (mark, f"e{mark}", f"a{mark}b{mark * 3}c", f" {mark}",
                     f"1{mark} '{mark}s", f"é{mark}"):
            yield "combining", form.encode()
    for n in range(1, 61):
        yield "words", words(rng, n).encode()
    for _ in range(60):
        pieces = [rng.choice([words(rng, 2), rng.choice(SPACES), " " * rng.randrange(6),
                              rng.choice(EMOJI), rng.choice(ADDED), rng.choice(CONTRACTIONS),
                              rng.choice(CODE), random_characters(rng, 3), "\n" * rng.randrange(4)])
                  for _ in range(rng.randrange(2, 9))]
        yield "mixed", "".join(pieces).encode()
    for n in [1] * 20 + [2] * 20 + [5] * 20 + [20] * 30 + [60] * 10:
        yield "unicode", random_characters(rng, n).encode()
    for n in [1, 2, 3, 4, 8] * 8 + [40] * 10:
        yield "bytes", bytes(rng.randrange(256) for _ in range(n))
    for n in (100, 500, 3000):
        yield "long", b"a" * n
        yield "long", ("ab" * n).encode()
        yield "long", "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(n)).encode()
        yield "long", (" " * n).encode()
        yield "long", ("\n" * n).encode()
        yield "long", ("é" * n).encode()
        yield "long", ("漢字" * (n // 2)).encode()
        yield "long", ("😀" * (n // 4)).encode()
        yield "long", ("=" * n).encode()


def all_strings():
    seen, out = set(), []
    for kind, data in list(fixed_strings()) + list(random_strings(random.Random(20240607))):
        if data not in seen:
            seen.add(data)
            out.append((kind, data))
    return out


# ---- files --------------------------------------------------------------------------------------

def b64(data):
    return base64.b64encode(data).decode()


def write_gz(path, lines):
    """gzip without a name or a time inside: the same lines give the same file."""
    raw = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as file:
        for line in lines:
            file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
    path.write_bytes(raw.getvalue())


def encoded(tokenizer, data):
    text = data.decode("utf-8", errors="replace")
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    special = tokenizer.encode(text).ids
    return {"ids": ids, "special": None if special == ids else special,
            "b64": b64(tokenizer.decode(ids, skip_special_tokens=False).encode())}


def decoded(tokenizer, rng):
    ids = [rng.randrange(tokenizer.get_vocab_size()) for _ in range(rng.choice([1, 2, 5, 20]))]
    if rng.random() < 0.5:  # mostly single bytes or byte tokens: ill-formed UTF-8
        ids = [i % 300 for i in ids]
    return {"ids": ids, "b64": b64(tokenizer.decode(ids, skip_special_tokens=False).encode())}


def make(name, strings):
    folder = HERE / name
    folder.mkdir(parents=True, exist_ok=True)
    # Published files have both: the older ones escape everything that is not ASCII.
    text = json.dumps(TOKENIZERS[name](), ensure_ascii=name.startswith("gpt2"),
                      separators=(",", ":"))
    (folder / "tokenizer.json").write_text(text, encoding="utf-8")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    rows = [encoded(tokenizer, data) for _, data in strings]
    write_gz(folder / "encoded.jsonl.gz", rows)
    rng = random.Random(name)
    write_gz(folder / "decoded.jsonl.gz", [decoded(tokenizer, rng) for _ in range(200)])
    print(f"{name}: {tokenizer.get_vocab_size()} ids, {sum(len(r['ids']) for r in rows)} tokens")


def main():
    HERE.mkdir(parents=True, exist_ok=True)
    strings = all_strings()
    with open(HERE / "strings.jsonl", "w") as out:
        for kind, data in strings:
            out.write(json.dumps({"kind": kind, "b64": b64(data)}, separators=(",", ":")) + "\n")
    print(f"{len(strings)} strings")
    for name in sys.argv[1:] or TOKENIZERS:
        make(name, strings)


if __name__ == "__main__":
    main()
