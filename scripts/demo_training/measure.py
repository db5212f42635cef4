"""Measures what was written, as others would read it: transformers and SAELens on the files."""
import gzip
import json

import numpy as np
import torch
from sae_lens import SAE
from torch.nn import functional as F
from transformers import AutoModelForCausalLM, AutoTokenizer

from . import induction
from .corpus import order_key
from .dictionary import HOOK_NAME, LAYER
from .tokens import END_ID

BATCH_ROWS = 32
LOSS_ROWS = 512
TEST_PERCENT = 30
ENOUGH_TEST_DOCUMENTS = 20


def documents(path):
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [(d["id"], d["text"]) for d in map(json.loads, lines)]


def packed(tokenizer, docs, context):
    """Every document on its own rows, END first, padded: (ids, is-token mask, document number)."""
    rows, owners = [], []
    for number, (_, text) in enumerate(docs):
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        for start in range(0, len(ids), context - 1):
            rows.append([END_ID] + ids[start:start + context - 1])
            owners.append(number)
    ids = np.full((len(rows), context), END_ID, dtype=np.int64)
    mask = np.zeros((len(rows), context), dtype=bool)
    for number, row in enumerate(rows):
        ids[number, :len(row)] = row
        mask[number, 1:len(row)] = True          # END itself is no token of the corpus
    return torch.from_numpy(ids), torch.from_numpy(mask), torch.tensor(owners)


class Tally:
    """Sums over the corpus: reconstruction error, firing counts, documents a feature fires in."""

    def __init__(self, features, width, document_count):
        self.tokens, self.error, self.square, self.active = 0, 0.0, 0.0, 0
        self.total = torch.zeros(width, dtype=torch.float64)
        self.fired = torch.zeros(features, dtype=torch.int64)
        self.fires_in = torch.zeros(document_count, features, dtype=torch.bool)

    def add(self, x, rebuilt, acts, owners):
        """Tokens x [n, width], what the dictionary made of them, the document of each token."""
        self.tokens += len(x)
        self.error += (x - rebuilt).double().square().sum().item()
        self.square += x.double().square().sum().item()
        self.total += x.double().sum(0)
        token, feature = acts.nonzero(as_tuple=True)
        self.active += len(token)
        self.fired += feature.bincount(minlength=len(self.fired))
        self.fires_in[owners[token], feature] = True

    def result(self):
        variance = self.square - (self.total.square().sum() / self.tokens).item()
        share = self.fired.double() / self.tokens
        return {"tokens": self.tokens, "l0_mean": self.active / self.tokens,
                "explained_variance": 1 - self.error / variance,
                "dead_share": (self.fired == 0).double().mean().item(),
                "dense_share_over_half": (share > 0.5).double().mean().item(),
                "firing_share_median": share.median().item(),
                "firing_share_max": share.max().item()}


@torch.no_grad()
def dictionary_quality(model, sae, tokenizer, docs, context):
    """Figures over every token of `docs`; `<|endoftext|>` positions are not counted."""
    ids, mask, owners = packed(tokenizer, docs, context)
    tally = Tally(sae.cfg.d_sae, sae.cfg.d_in, len(docs))
    for start in range(0, len(ids), BATCH_ROWS):
        part = slice(start, start + BATCH_ROWS)
        keep = mask[part]
        x = model(ids[part], output_hidden_states=True).hidden_states[LAYER][keep]
        acts = sae.encode(x)
        tally.add(x, sae.decode(acts), acts, owners[part, None].expand(keep.shape)[keep])
        if start // BATCH_ROWS % 20 == 0:
            print(f"measuring: row {start:,} of {len(ids):,}", flush=True)
    test = torch.tensor([order_key(name + "#test") % 100 < TEST_PERCENT for name, _ in docs])
    enough = tally.fires_in[test].sum(0) >= ENOUGH_TEST_DOCUMENTS
    return {"documents": len(docs), **tally.result(), "test_documents": int(test.sum()),
            "share_firing_in_20_test_documents": enough.double().mean().item()}


@torch.no_grad()
def loss_recovered(model, sae, tokenizer, docs, context):
    """Next-token loss with the stream before block LAYER whole, rebuilt, and set to zero."""
    ids, mask, _ = packed(tokenizer, docs, context)
    ids = ids[mask[:, 1:].all(1)][:LOSS_ROWS]            # rows without padding
    changes = {"clean": lambda x: x, "rebuilt": lambda x: sae.decode(sae.encode(x)),
               "zero": torch.zeros_like}
    losses = {}
    for name, change in changes.items():
        hook = model.transformer.h[LAYER].register_forward_pre_hook(
            lambda module, args, change=change: (change(args[0]), *args[1:]))
        total = 0.0
        for part in ids.split(BATCH_ROWS):
            logits = model(part).logits[:, :-1]
            total += F.cross_entropy(logits.flatten(0, 1), part[:, 1:].flatten()).item() * len(part)
        hook.remove()
        losses[name] = total / len(ids)
    recovered = (losses["zero"] - losses["rebuilt"]) / (losses["zero"] - losses["clean"])
    return {"rows": len(ids), "loss_clean": losses["clean"], "loss_rebuilt": losses["rebuilt"],
            "loss_zero_ablated": losses["zero"], "loss_recovered": recovered}


@torch.no_grad()
def prefix_matching(model, tokens):
    """The best head's score on repeated natural segments and on repeated single tokens."""
    found = {}
    for name, rows in (("natural_segments", induction.natural_rows(tokens)),
                       ("drawn_tokens", induction.drawn_rows(tokens))):
        segment = (rows.shape[1] - 1) // 2
        out = model(rows, output_attentions=True)
        table = torch.stack([a.diagonal(-(segment - 1), -2, -1)[..., -segment:].mean((0, 2))
                             for a in out.attentions])
        best = int(table.argmax())
        second = F.cross_entropy(out.logits[:, segment:-1].flatten(0, 1),
                                 rows[:, segment + 1:].flatten()).item()
        first = F.cross_entropy(out.logits[:, :segment].flatten(0, 1),
                                rows[:, 1:segment + 1].flatten()).item()
        found[name] = {"segment_tokens": segment, "rows": len(rows), "score": table.max().item(),
                       "head": f"{best // table.shape[1]}.{best % table.shape[1]}",
                       "loss_first_copy": first, "loss_second_copy": second}
    return found


def all_of(out, demo_tokens):
    """Everything that sae_quality.json holds, from the files under `out`."""
    model = AutoModelForCausalLM.from_pretrained(out / "model", dtype=torch.float32,
                                                 attn_implementation="eager").eval()
    tokenizer = AutoTokenizer.from_pretrained(out / "model")
    sae = SAE.load_from_disk(out / "sae").eval()
    context = model.config.n_positions
    demo = documents(out / "corpus/demo.jsonl.gz")
    other = documents(out / "corpus/out_of_distribution.jsonl.gz")
    norms = sae.W_dec.norm(dim=1)
    return {
        "hook_name": HOOK_NAME, "features": sae.cfg.d_sae, "k": sae.cfg.k,
        "weights": "float16 as stored, computed in float32 by SAELens",
        "decoder_norm_range": [norms.min().item(), norms.max().item()],
        "demo": dictionary_quality(model, sae, tokenizer, demo, context),
        "out_of_distribution": dictionary_quality(model, sae, tokenizer, other, context),
        "loss": loss_recovered(model, sae, tokenizer, demo, context),
        "prefix_matching": prefix_matching(model, demo_tokens),
    }
