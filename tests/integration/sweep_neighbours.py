#!/usr/bin/env python3
"""Hard negatives of neighbours on a real sweep. Some features of the dictionary are given the decoder row
of another one, which is then their neighbour by construction. What records and judged windows say is
computed again from the files alone: cosines from the decoder, and every window's truth from what
`interp-worker activations` writes for the same tokens."""
# timeout: 400
import gzip
import hashlib
import json
import math
import operator
import pathlib
import statistics
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import BUILD, DEMO, SHARED, check, check_store_is_clean, run, say
from safetensors_file import Tensors, pack, read_tensors, unpack, write_tensors
from small_dictionary import write_small_dictionary

N_FEATURES, N_DOCUMENTS, PIECE, WINDOW, N_NEIGHBOURS, N_DEAD = 512, 420, 127, 32, 8, 12
MASK = (1 << 64) - 1
HOOK = "blocks.2.hook_resid_pre"
SWEEP = """
kind: label
name: near
model: %s
corpus: {path: %s, bos: true, context_tokens: 128, window_tokens: 32}
targets:
  - {hook: %s, dictionary: %s, features: "%s"}
explainer: stand-in
judge: stand-in-judge
scores: [detection]
keep_judged: true
scoring: {null_pairs: 0, bootstrap_resamples: 100, n_firing: 10, n_silent: 10}
thresholds: {min_test_documents: 5}
%s
"""


def mix(x):
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def key_of(name):
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")


def is_explain(name):
    """plan/split.c: half of the documents, by their names; seed 0."""
    return (mix(key_of(name) ^ mix(0x73706C6974000000)) >> 32) * 100 >> 32 < 50


class World:
    """Corpus and dictionary, and what every feature does at every token."""

    def __init__(self):
        self.corpus, self.sae = SHARED / "near.jsonl", SHARED / "near-sae"
        self.write_corpus()
        write_small_dictionary(DEMO / "sae", self.sae, k=8)
        self.silence()
        self.read_values()
        self.plant()

    def write_corpus(self):
        self.names, texts = [], []
        with gzip.open(DEMO / "corpus/demo.jsonl.gz", "rt") as lines:
            for line in lines:
                text = " ".join(json.loads(line)["text"].split())[:600]
                if len(text) > 200 and text not in texts and len(texts) < N_DOCUMENTS:
                    texts.append(text)
        self.names = ["near-%d" % i for i in range(len(texts))]
        self.corpus.write_text("".join(json.dumps({"id": name, "text": text}) + "\n"
                                       for name, text in zip(self.names, texts)))
        done = subprocess.run([BUILD / "interp-worker", "tokenize", DEMO / "model"],
                              input="\n".join(texts) + "\n", text=True, capture_output=True,
                              check=True)
        self.tokens = [json.loads(line) for line in done.stdout.splitlines()]
        check(len(self.tokens) == len(texts), "a line of tokens for each document")

    def silence(self):
        """The last features never fire."""
        path = self.sae / "sae_weights.safetensors"
        tensors = read_tensors(path, "F16")
        shape, data = tensors["b_enc"]
        kept = data[:2 * (N_FEATURES - N_DEAD)]
        tensors["b_enc"] = (shape, kept + pack("F16", [-1000]) * N_DEAD)
        write_tensors(path, tensors, "F16")

    def read_values(self):
        bos = json.loads((DEMO / "model/config.json").read_text())["bos_token_id"]
        self.row_of, rows = {}, []
        for name, tokens in zip(self.names, self.tokens):
            for first in range(0, len(tokens), PIECE):
                self.row_of[key_of(name), first] = len(rows)
                rows.append([bos] + tokens[first:first + PIECE])
        path, out = SHARED / "near-rows.jsonl", SHARED / "near-acts.safetensors"
        path.write_text("".join(json.dumps({"tokens": row}) + "\n" for row in rows))
        subprocess.run([BUILD / "interp-worker", "activations", DEMO / "model", "--tokens", path,
                        "--dictionary", self.sae, "-o", out], check=True)
        shape, self.values = Tensors(out).shape("feature_acts"), Tensors(out).values("feature_acts")
        self.n_ctx, self.rows = shape[1], rows
        check(shape[2] == N_FEATURES, shape)

    def value(self, row, place, feature):
        return self.values[(row * self.n_ctx + place) * N_FEATURES + feature]

    def strongest(self, document, offset, feature):
        """In a window: the largest value, as the model computes it."""
        first = offset // PIECE * PIECE
        row, at = self.row_of[document, first], 1 + offset - first
        end = min(at + WINDOW, len(self.rows[row]))
        return max(self.value(row, place, feature) for place in range(at, end))

    def firing_values(self, of_split):
        """[values > 0] of every feature in the documents that are of the split."""
        found = [[] for _ in range(N_FEATURES)]
        for name, tokens in zip(self.names, self.tokens):
            for first in range(0, len(tokens) if of_split(name) else 0, PIECE):
                row = self.row_of[key_of(name), first]
                start = row * self.n_ctx * N_FEATURES
                for place in range(1, len(self.rows[row])):
                    at = start + place * N_FEATURES
                    for feature, value in enumerate(self.values[at:at + N_FEATURES]):
                        if value > 0:
                            found[feature].append(value)
        return found

    def plant(self):
        """Pairs of features that fire often: the second gets the decoder row of the first; a third
        one that never fires gets it too, and must be nobody's neighbour."""
        self.explain = self.firing_values(is_explain)
        often = sorted(range(N_FEATURES), key=lambda f: -len(self.explain[f]))[20:60]
        dead = [f for f in range(N_FEATURES) if not self.explain[f]]
        say("%d documents, %d features never fire" % (len(self.names), len(dead)))
        check(len(self.explain[often[-1]]) > 20 and len(dead) >= N_DEAD, "enough fire")
        self.pairs, self.dead = list(zip(often[0::2], often[1::2])), set(dead)
        tensors = read_tensors(self.sae / "sae_weights.safetensors", "F16")
        shape, data = tensors["W_dec"]
        n = len(data) // shape[0]
        rows = [data[i * n:(i + 1) * n] for i in range(shape[0])]
        for i, (first, second) in enumerate(self.pairs):
            rows[second] = rows[first]
            rows[dead[i % len(dead)]] = rows[first]
        tensors["W_dec"] = (shape, b"".join(rows))
        write_tensors(self.sae / "sae_weights.safetensors", tensors, "F16")
        self.decoder = [unpack("F16", row) for row in rows]

    def nearest(self, feature):
        """The nearest features that fire in explain documents, nearest first, and their cosines."""
        norm = lambda row: math.sqrt(math.fsum(x * x for x in row))
        mine = self.decoder[feature]
        cosines = [(math.fsum(map(operator.mul, mine, row)) / (norm(mine) * norm(row)), -other)
                   for other, row in enumerate(self.decoder)
                   if other != feature and other not in self.dead]
        return [(-other, cosine) for cosine, other in sorted(cosines, reverse=True)]


def read(cluster, sweep, name):
    path = cluster.data / "sweeps" / sweep / name
    return [json.loads(line) for line in path.read_text().splitlines()]


def submit(cluster, world, more=""):
    cluster.start_llm()
    cluster.up(workers=2, gateways=1)
    features = ",".join(str(f) for f in sorted(f for pair in world.pairs for f in pair))
    sweep = cluster.submit(SWEEP % (DEMO / "model", world.corpus, HOOK, world.sae, features, more))
    cluster.wait(sweep, seconds=150)
    return sweep, read(cluster, sweep, "results.jsonl"), read(cluster, sweep, "judged.jsonl")


def check_neighbours(world, rows):
    """They are those of the decoder; rows that are equal but for rounding may change places."""
    for row in rows:
        want = world.nearest(row["feature"])
        cosine_of = dict(want)
        got = row["neighbours"]
        check(len(set(got)) == N_NEIGHBOURS, row["feature"])
        for (_, cosine), neighbour in zip(want, got):
            check(neighbour in cosine_of, "%d has %d, which never fires" % (row["feature"], neighbour))
            check(abs(cosine_of[neighbour] - cosine) < 1e-6,
                  "%d: %d at %.8f, not %.8f" % (row["feature"], neighbour, cosine_of[neighbour], cosine))
    of = {row["feature"]: row["neighbours"] for row in rows}
    for first, second in world.pairs:
        check(of[first][0] == second and of[second][0] == first, "%d and %d" % (first, second))


def judged_windows(line):
    for prompt in line["sheets"][0]["prompts"]:
        for item in prompt["items"]:
            yield item["truth"], int(item["document"], 16), item["offset"]


def check_truth(world, rows, judged):
    """Counts of judged windows by kind, once each was looked at."""
    counts, n_strong = {}, 0
    neighbours = {row["feature"]: row["neighbours"] for row in rows}
    for line in judged:
        feature = line["feature"]
        for truth, document, offset in judged_windows(line):
            fires = world.strongest(document, offset, feature) > 0
            check(fires == (truth == "firing"), "%d at %d: %s" % (feature, offset, truth))
            counts[truth] = counts.get(truth, 0) + 1
            if truth != "silent_neighbour":
                continue
            near = [(n, world.strongest(document, offset, n)) for n in neighbours[feature]]
            check(max(value for _, value in near) > 0, "%d: no neighbour fires" % feature)
            n_strong += any(value > 0.9 * statistics.median(world.explain[n]) for n, value in near)
    check(n_strong == counts["silent_neighbour"], "%d of %s are strong" % (n_strong, counts))
    return counts


world = None


def planted_neighbours_are_found_and_their_windows_are_true(cluster):
    global world
    world = World()
    sweep, rows, judged = submit(cluster, world)
    check(len(rows) == 2 * len(world.pairs), "a record each")
    check_neighbours(world, rows)
    counts = check_truth(world, rows, judged)
    say("%d features judged, windows: %s" % (len(judged), counts))
    check(len(judged) > 20 and counts["silent_neighbour"] > 4 * len(judged), counts)
    near = sum(sum(row["scores"]["detection"]["hard"]["neighbours"].values()) for row in rows
               if row["scores"].get("detection", {}).get("hard", {}).get("neighbours"))
    check(near == counts["silent_neighbour"], "%d counted, %s judged" % (near, counts))
    page = cluster.ctl("show", sweep, judged[0]["feature"])
    check("neighbour" in page, page)
    check_store_is_clean(cluster)


def without_them_there_are_near_misses_alone(cluster):
    _, rows, judged = submit(cluster, world, "evidence: {neighbour_k: 0}")
    counts = {}
    for line in judged:
        for truth, _, _ in judged_windows(line):
            counts[truth] = counts.get(truth, 0) + 1
    check("silent_neighbour" not in counts and counts["silent_hard"] > 0, counts)
    check(not any("neighbours" in row for row in rows), "nobody was asked for them")
    check("phase=neighbours" in cluster.log("coordinator"), "the phase is there and empty")


if __name__ == "__main__":
    run([planted_neighbours_are_found_and_their_windows_are_true,
         without_them_there_are_near_misses_alone])
