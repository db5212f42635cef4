"""Does some head look back to what followed the last occurrence of the current token?

Prefix matching as TransformerLens defines it: on END + segment + segment, the mean attention that
position t of the second copy pays to the position after t's first occurrence (an offset of
segment length - 1 back).
"""
import numpy as np
import torch
from torch.nn import functional as F

from .tokens import END_ID

SEGMENT = 50
ROWS = 64


def natural_rows(tokens, seed=7, segment=SEGMENT, rows=ROWS):
    """[rows, 1 + 2 * segment]: END, then a running piece of text, twice."""
    random = np.random.default_rng(seed)
    starts = random.integers(0, len(tokens) - segment, rows)
    return _twice(np.stack([tokens[s:s + segment] for s in starts]))


def drawn_rows(tokens, seed=7, segment=SEGMENT, rows=ROWS):
    """The same with single tokens drawn independently from the corpus (no natural order left)."""
    random = np.random.default_rng(seed)
    words = tokens[tokens != END_ID]
    return _twice(words[random.integers(0, len(words), (rows, segment))])


def _twice(segments):
    start = np.full((len(segments), 1), END_ID)
    return torch.from_numpy(np.concatenate([start, segments, segments], 1).astype(np.int64))


@torch.no_grad()
def attention_patterns(model, ids):
    """Per layer: [rows, heads, query, key]."""
    x = model.residual(ids, 0)
    future = torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool).triu(1)
    for block in model.blocks:
        parts = block.attention_in(block.ln_1(x)).view(*x.shape[:2], 3, block.heads, -1)
        query, key, _ = parts.permute(2, 0, 3, 1, 4)
        scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
        yield scores.masked_fill(future, float("-inf")).softmax(-1)
        x = block(x)


@torch.no_grad()
def scores(model, rows):
    """(prefix matching [layers, heads], nats lost a token on the second copy)."""
    segment = (rows.shape[1] - 1) // 2
    table = [pattern.diagonal(-(segment - 1), -2, -1)[..., -segment:].mean((0, 2))
             for pattern in attention_patterns(model, rows)]
    logits = model(rows[:, :-1])[:, segment:]
    copying = F.cross_entropy(logits.flatten(0, 1), rows[:, segment + 1:].flatten())
    return torch.stack(table), copying.item()
