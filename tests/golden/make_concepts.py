#!/usr/bin/env python3
"""Writes tests/golden/concepts: dictionaries over the demo model whose every feature is known.

    words          blocks.0.hook_resid_pre    token sets and mixtures of them, exact by construction
    contexts_pre   blocks.3.hook_resid_pre    contexts (support/context_rules.py) as supervised
    contexts_post  blocks.3.hook_resid_post   probes, and mixtures of them

    BUILD=build/release OPENBLAS_NUM_THREADS=1 .oracles/bin/python \
        tests/golden/make_concepts.py [words] [contexts]          (both, unless one is named)

Token sets: make_planted.separate(), checked on every token of the demo corpus as the worker encodes
it. Contexts: logistic regression on three quarters of the corpus' documents, cut off where F1 is
best on them; precision, recall and F1 are those of the worker's own values on the other quarter. A
probe below MIN_F1 is not planted and is listed under "left_out". Each context goes to the hook
where its F1 is higher. A quarter of an hour on two busy cores; needs numpy, torch, tokenizers and
safetensors.
"""
import collections
import gzip
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy
import torch
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "tests/golden"), str(ROOT / "tests/support")]
import context_rules
import make_planted

OUT = ROOT / "tests/golden/concepts"
MODEL = make_planted.MODEL
WORKER = pathlib.Path(os.environ.get("BUILD", ROOT / "build/release")).resolve() / "interp-worker"
MIN_F1, N_STEPS, N_SEPARATE, ROW = 0.7, 120, 600, 127
HOOKS = {"contexts_pre": "blocks.3.hook_resid_pre", "contexts_post": "blocks.3.hook_resid_post"}
N_SINGLE, N_MIXED = 56, {2: 42, 3: 38}
# Drawn at random; those whose probe is good enough and finds 0.6 of each of its meanings.
CONTEXT_MIXTURES = {
    "contexts_pre": [
        ["the word after See or See also",
         "the word after used"],
        ["the word after have, has or had",
         "the word after with"],
        ["the word after of",
         "the word after to"],
        ["the word after of",
         "the word after the article a or an"],
        ["the word after a modal verb",
         "the word after in"],
        ["the word after a form of to be",
         "the word after in"]],
    "contexts_post": [
        ["text inside curly braces",
         "the first words of a definition"],
        ["text inside curly braces",
         "the headwords of a dictionary entry"],
        ["text inside double quotation marks",
         "the first words of a definition"],
        ["text inside parentheses",
         "the headwords of a dictionary entry"],
        ["text inside curly braces",
         "the name of an entry of the jargon file"],
        ["text inside double quotation marks",
         "the first words of a definition",
         "the headwords of a dictionary entry"],
        ["text inside curly braces",
         "text inside double quotation marks",
         "the headwords of a dictionary entry"],
        ["text inside curly braces",
         "text inside parentheses",
         "the headwords of a dictionary entry"]],
}
SETS = """his her their its our; would could should might; must may shall ought;
two three four five;
father mother sister brother; son daughter wife husband aunt uncle; said cried replied added;
white black red green blue yellow; large small great little huge; good bad better best worse;
very quite rather too extremely; always never often sometimes usually; before after during till;
North South East West; America Europe Asia Africa; English French Latin Greek German;
family genus order species class; tree plant flowers leaves shrub grass; computer machine system;
program code software file; hacker hackers user users; water air fire light; eyes face hand head;
morning evening night day; years days hours minutes months weeks; man woman boy girl child;
think know believe suppose understand; saw seen see look looked; came come go went gone;
give given gave; take taken took taking; make made making; happy dear sorry glad pleased;
love hope wish desire fear; house home room door; letter word words language; money business trade;
Elizabeth Emma Jane Anne; Unix Internet web; who whom whose; this that these those; he she they;
him them me us; and or but nor; something nothing anything everything; someone person people;
is are was were; has have had; do does did done; because though although however therefore;
above below under beneath; left right side top; high low deep short tall; old young new ancient;
bird fish animal animals dog; king prince lord; blood body heart skin bone; city town country state;
art music dance theater; war battle military army; food fruit wine meat;
sound noise voice silence"""


# ---- the corpus as the worker reads it --------------------------------------------------------


class Corpus:
    """The documents in rows of 127 tokens behind a BOS; of each token its document, and where its
    first visible character stands in the text."""

    def __init__(self):
        tokenizer = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
        with gzip.open(ROOT / "config/demo/corpus/demo.jsonl.gz", "rt") as lines:
            self.texts = [json.loads(line)["text"] for line in lines]
        self.rows, document, self.at = [], [], []
        for i, encoded in enumerate(tokenizer.encode_batch(self.texts, add_special_tokens=False)):
            ids = encoded.ids
            self.rows += [[0] + ids[k:k + ROW] for k in range(0, len(ids), ROW)]
            document += [i] * len(ids)
            self.at.append([first_visible(self.texts[i], *span) for span in encoded.offsets])
        self.document = numpy.array(document)
        self.tokens = numpy.concatenate([numpy.array(row[1:]) for row in self.rows])
        self.is_held_out = self.document % 4 == 0
        self.vocabulary = {token: tokenizer.id_to_token(token)
                           for token in range(tokenizer.get_vocab_size())}

    def marks(self, phrase):
        """Where the context's rule says that its feature fires: bool [n_tokens]."""
        out = []
        for text, at in zip(self.texts, self.at):
            marks = context_rules.covered(context_rules.places(phrase, text), len(text))
            out += [marks[k] for k in at]
        return numpy.array(out, bool)

    def values(self, *options, key):
        """What the worker computes at every token: [n_tokens, width]."""
        with tempfile.TemporaryDirectory() as folder:
            rows, acts = pathlib.Path(folder, "rows.jsonl"), pathlib.Path(folder, "acts")
            rows.write_text("".join(json.dumps({"tokens": row}) + "\n" for row in self.rows))
            subprocess.run([WORKER, "activations", MODEL, "--tokens", rows, "-o", acts, *options],
                           check=True)
            tensors = load_file(acts)
        lengths = tensors["row_lengths"]
        return numpy.concatenate([tensors[key][i, 1:n] for i, n in enumerate(lengths)])


def first_visible(text, start, end):
    piece = text[start:end]
    return start + len(piece) - len(piece.lstrip()) if piece.strip() else start


def quality(fires, wanted):
    """precision, recall, F1."""
    right, said, true = (fires & wanted).sum(), fires.sum(), wanted.sum()
    return {"precision": right / max(1, said), "recall": right / max(1, true),
            "f1": 2 * right / max(1, said + true)}


# ---- token sets -------------------------------------------------------------------------------


def whole_words(corpus):
    """word -> (token, documents), of tokens that are a whole word behind a space nearly always."""
    following = numpy.append(corpus.tokens[1:], 0)
    continues = numpy.array([corpus.vocabulary[t][0].isalpha() and corpus.vocabulary[t][0] != "Ġ"
                             for t in range(len(corpus.vocabulary))])
    n = numpy.bincount(corpus.tokens, minlength=len(continues))
    n_cut = numpy.bincount(corpus.tokens, weights=continues[following], minlength=len(continues))
    pairs = numpy.unique(numpy.stack([corpus.tokens, corpus.document], 1), axis=0)
    documents = numpy.bincount(pairs[:, 0], minlength=len(continues))
    return {text[1:]: (token, int(documents[token])) for token, text in corpus.vocabulary.items()
            if text[0] == "Ġ" and len(text) > 2 and text[1:].isalpha() and n[token] and
            n_cut[token] / n[token] < 0.05}


class WordFeatures:
    def __init__(self, corpus):
        weights = load_file(MODEL / "model.safetensors")
        self.tokens, self.positions = (
            next(v for k, v in weights.items() if k.endswith(end)).astype("float64")
            for end in ("wte.weight", "wpe.weight"))
        self.words = whole_words(corpus)
        self.ways, self.biases, self.features = [], [], []

    def documents(self, word):
        return self.words[word][1] if word in self.words else 0

    def plant(self, kind, meanings):
        """False: they cannot be separated from the other tokens."""
        members = [self.words[word][0] for words in meanings for word in words]
        way, bias, margin = make_planted.separate(self.tokens, self.positions, members,
                                                  N_SEPARATE)
        if margin <= 0.02:
            print("not separable:", meanings)
            return False
        self.ways.append(way / margin)
        self.biases.append(bias / margin)
        self.features.append({"type": kind, "meanings": [{"words": list(words)}
                                                         for words in meanings],
                              "tokens": [int(token) for token in members]})
        return True

    def plant_sets(self):
        used = set()
        for line in SETS.replace("\n", " ").split(";"):
            words = [word for word in line.split() if self.documents(word) >= 25][:4]
            if len(words) > 1 and self.plant("token set", [words]):
                used |= set(words)
        return used

    def plant_all(self, rng):
        used = self.plant_sets()
        free = sorted(set(self.words) - used, key=lambda word: (-self.documents(word), word))
        free = [word for word in free if len(word) > 2]
        single = [word for word in free if self.documents(word) >= 80]
        for word in rng.permutation(single)[:N_SINGLE]:
            used.add(str(word))
            self.plant("one token", [[str(word)]])
        rest = [word for word in free if word not in used and 28 <= self.documents(word) <= 250]
        rest = [str(word) for word in rng.permutation(rest)]
        for n, n_wanted in N_MIXED.items():
            n_planted = 0
            while n_planted < n_wanted and len(rest) >= 2 * n:
                meanings = [[rest.pop() for _ in range(1 + (n_planted + i) % 2)]
                            for i in range(n)]
                n_planted += self.plant("mixture of %d token sets" % n, meanings)
        print("%d words are left" % len(rest))

    def plant_statuses(self, rng):
        """Features that need no label: dead, dense, and of the first tokens alone."""
        for kind in ("dead", "dense", "position") * 2:
            way = rng.normal(size=self.tokens.shape[1])
            if kind == "position":
                n = 2 + 2 * len(self.features) % 5
                way, bias, margin = make_planted.separate(self.positions, self.tokens,
                                                          list(range(1, 1 + n)), N_SEPARATE)
                if margin <= 0:
                    print("the first %d positions are not separable" % n)
                    continue
                way, bias = way / margin, bias / margin
            else:
                values = self.tokens @ way
                bias = -1e3 if kind == "dead" else -numpy.quantile(values, 0.02)
            self.ways.append(way)
            self.biases.append(bias)
            self.features.append({"type": kind, "meanings": []})

    def check(self, corpus):
        """Each fires on its tokens and on no other, wherever they stand in the corpus."""
        fires = corpus.values("--hook", "blocks.0.hook_resid_pre", "--dictionary", OUT / "words",
                              key="feature_acts") > 0
        for i, feature in enumerate(self.features):
            if "tokens" in feature:
                wanted = numpy.isin(corpus.tokens, feature.pop("tokens"))
                assert (fires[:, i] == wanted).all(), "%s is not exact" % feature
                feature["n_firing"] = int(wanted.sum())
        print("words: %d features, exact on %d tokens" % (len(self.features), len(fires)))


# ---- contexts ---------------------------------------------------------------------------------


def fit(values, wanted, is_held_out):
    """Logistic regression on whitened values: encoder [d, n], bias [n] that fires where F1 is best,
    both for the values as they are."""
    mean = values.mean(0)
    spread = numpy.cov(values.T) + 1e-4 * numpy.eye(values.shape[1])
    whiten = numpy.linalg.cholesky(numpy.linalg.inv(spread))
    x = torch.tensor(((values - mean) @ whiten)[~is_held_out].astype("float32"))
    y = torch.tensor(wanted[~is_held_out].astype("float32"))
    way = torch.zeros(x.shape[1], y.shape[1], requires_grad=True)
    bias = torch.logit(y.mean(0).clamp(1e-5, 0.9)).requires_grad_()
    adam = torch.optim.Adam([way, bias])
    for step in range(N_STEPS):
        adam.param_groups[0]["lr"] = 0.1 * (1 - step / N_STEPS) + 0.002
        adam.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(x @ way + bias, y)
        loss.backward()
        adam.step()
    with torch.no_grad():
        scores = (x @ way + bias).numpy()
    cuts = [max(numpy.linspace(-3, 3, 41), key=lambda cut, j=j: quality(
        scores[:, j] > cut, wanted[~is_held_out, j])["f1"]) for j in range(y.shape[1])]
    encoder = whiten @ way.detach().numpy().astype("float64")
    bias = bias.detach().numpy() - mean @ encoder - numpy.array(cuts)
    return encoder, bias, spread @ encoder  # the last: what changes with the feature


def write_dictionary(name, hook, encoder, bias, decoder):
    folder = OUT / name
    folder.mkdir(parents=True, exist_ok=True)
    decoder = (decoder / numpy.linalg.norm(decoder, axis=0)).T
    save_file({"W_enc": encoder.astype("float32").copy(), "b_enc": bias.astype("float32"),
               "W_dec": decoder.astype("float32").copy(),
               "b_dec": numpy.zeros(len(encoder), "float32")}, folder / "sae_weights.safetensors")
    config = json.loads((make_planted.OUT / "cfg.json").read_text())
    config["d_sae"] = encoder.shape[1]
    config["metadata"]["hook_name"] = hook
    (folder / "cfg.json").write_text(json.dumps(config, indent=1) + "\n")


def rounded(entry):
    return {key: round(float(value), 3) for key, value in entry.items()}


def plant_contexts(corpus):
    """Fit at both hooks, keep each context where it does better, then mixtures of those kept."""
    names = list(context_rules.RULES)
    marks = {name: corpus.marks(name) for name in names}
    values = {key: corpus.values("--hook", hook, key=hook) for key, hook in HOOKS.items()}
    probes, left_out, features = collections.defaultdict(list), [], {}

    def candidates(key, lists):
        wanted = numpy.stack([numpy.any([marks[name] for name in each], 0) for each in lists], 1)
        encoder, bias, decoder = fit(values[key], wanted, corpus.is_held_out)
        held = corpus.is_held_out
        fires = (values[key][held] @ encoder.astype("float32") + bias.astype("float32")) > 0
        return [(quality(fires[:, j], wanted[held, j]), key, each,
                 (encoder[:, j], bias[j], decoder[:, j]),
                 min(float((fires[:, j] & marks[name][held]).sum() / marks[name][held].sum())
                     for name in each)) for j, each in enumerate(lists)]

    both = [candidates(key, [[name] for name in names]) for key in HOOKS]
    for pair in zip(*both):
        best = max(pair, key=lambda entry: entry[0]["f1"])
        if best[0]["f1"] >= MIN_F1:
            probes[best[1]].append(best)
        else:
            left_out.append({"contexts": best[2], **rounded(best[0])})
    for key in HOOKS:
        for entry in candidates(key, CONTEXT_MIXTURES[key]):
            assert entry[0]["f1"] >= MIN_F1 and entry[4] >= 0.6, entry[2]
            probes[key].append(entry)
    for key, entries in probes.items():
        encoder, bias, decoder = (numpy.stack([entry[3][i] for entry in entries], -1)
                                  for i in range(3))
        write_dictionary(key, HOOKS[key], encoder, bias, decoder)
        features[key] = check_contexts(corpus, key, [entry[2] for entry in entries], marks)
    return features, left_out


def check_contexts(corpus, key, lists, marks):
    """What the worker's own values are worth on documents that the probes were not fitted to."""
    fires = corpus.values("--hook", HOOKS[key], "--dictionary", OUT / key, key="feature_acts") > 0
    held, out = corpus.is_held_out, []
    for j, names in enumerate(lists):
        wanted = numpy.any([marks[name] for name in names], 0)
        measured = quality(fires[held, j], wanted[held])
        assert measured["f1"] >= MIN_F1 - 0.01, names
        kind = "context" if len(names) == 1 else "mixture of %d contexts" % len(names)
        out.append({"type": kind, "meanings": [{"context": name} for name in names],
                    "n_firing": int(fires[:, j].sum()), **rounded(measured)})
        print("%-14s %.2f (%.2f %.2f) %s" % (key, measured["f1"], measured["precision"],
                                            measured["recall"], names))
    return out


def plant_words(corpus):
    words = WordFeatures(corpus)
    rng = numpy.random.default_rng(11)
    words.plant_all(rng)
    words.plant_statuses(rng)
    encoder = numpy.stack(words.ways, -1)
    write_dictionary("words", "blocks.0.hook_resid_pre", encoder, numpy.array(words.biases),
                     encoder)
    words.check(corpus)
    return words.features


def main():
    parts = sys.argv[1:] or ["words", "contexts"]
    torch.manual_seed(1)
    torch.set_num_threads(2)
    corpus = Corpus()
    path = OUT / "concepts.json"
    whole = json.loads(path.read_text()) if path.exists() else {"dictionaries": []}
    features = {each["name"]: each["features"] for each in whole["dictionaries"]}
    if "words" in parts:
        features["words"] = plant_words(corpus)
    if "contexts" in parts:
        of_contexts, whole["left_out"] = plant_contexts(corpus)
        features.update(of_contexts)
    whole["dictionaries"] = [{"name": name, "hook": hook, "features": features[name]} for name, hook
                             in [("words", "blocks.0.hook_resid_pre"), *HOOKS.items()]
                             if name in features]
    path.write_text(json.dumps(whole, indent=0) + "\n")
    n = collections.Counter(f["type"] for d in whole["dictionaries"] for f in d["features"])
    print(sum(n.values()), dict(n))
    print("left out:", *whole.get("left_out", []), sep="\n  ")


if __name__ == "__main__":
    main()
