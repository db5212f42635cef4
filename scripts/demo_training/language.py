"""Trains the language model: half of the rows repeated until an induction head has formed."""
import math
import time

import numpy as np
import torch

from . import induction
from .model import Gpt2, Shape, load, save
from .tokens import Rows

SEED = 1
BATCH_ROWS = 32
PEAK_RATE = 3e-3
FINAL_RATE = 1e-4
WARM_UP_STEPS = 200
WEIGHT_DECAY = 0.05
MEASURE_EVERY = 200
HEAD_FORMED = 0.70        # prefix matching from which fewer repeated rows are drawn
REPEATED_SHARE = 0.5
LATE_REPEATED_SHARE = 0.2
HELD_OUT_ROWS = 128


def rate(step, progress):
    """Warm-up, then a cosine down to FINAL_RATE at progress 1."""
    if step < WARM_UP_STEPS:
        return PEAK_RATE * (step + 1) / WARM_UP_STEPS
    return FINAL_RATE + (PEAK_RATE - FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * min(progress, 1)))


def optimizer_for(model):
    matrices = [p for n, p in model.named_parameters() if p.dim() == 2 and n.startswith("blocks")]
    known = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if id(p) not in known]
    return torch.optim.AdamW([{"params": matrices, "weight_decay": WEIGHT_DECAY},
                              {"params": rest, "weight_decay": 0.0}],
                             lr=PEAK_RATE, betas=(0.9, 0.95), fused=True)


def held_out_rows(tokens, context, count=HELD_OUT_ROWS):
    rows = Rows(tokens, context, seed=3)
    return torch.from_numpy(rows.batch(count, 0.0))


@torch.no_grad()
def measure(model, held_rows, held_tokens):
    table, copying = induction.scores(model, induction.natural_rows(held_tokens))
    return {"held_out_loss": model.loss(held_rows).item(), "prefix_matching": table.max().item(),
            "copying_loss": copying}


def compiled_loss(model):
    """torch.compile where a C++ compiler is found (twice as fast), plain torch elsewhere."""
    try:
        loss = torch.compile(model.loss)
        loss(torch.zeros(BATCH_ROWS, model.shape.context + 1, dtype=torch.int64)).backward()
        model.zero_grad()
        return loss
    except Exception as error:                     # any back-end failure: slower, not different
        print(f"no torch.compile here ({type(error).__name__}): running plain", flush=True)
        model.zero_grad()
        return model.loss


class Run:
    """One training run, resumable from its checkpoint."""

    def __init__(self, work, train_tokens, held_tokens, token_limit, minute_limit):
        self.path = work / "language.pt"
        self.held_tokens = held_tokens
        self.token_limit, self.second_limit = token_limit, 60 * minute_limit
        self.step, self.seconds, self.train_loss, self.curve = 0, 0.0, float("nan"), []
        self.formed = False
        torch.manual_seed(SEED)
        self.model = Gpt2(Shape())
        state = None
        if self.path.exists():
            self.model, state = load(self.path)
        self.optimizer = optimizer_for(self.model)
        self.rows = Rows(train_tokens, self.model.shape.context, SEED)
        self.held_rows = held_out_rows(held_tokens, self.model.shape.context)
        if state:
            self.resume(state)

    def resume(self, state):
        self.optimizer.load_state_dict(state["optimizer"])
        self.rows.random.bit_generator.state = state["random"]
        self.step, self.seconds, self.curve = state["step"], state["seconds"], state["curve"]
        self.formed, self.train_loss = state["formed"], state["train_loss"]
        print(f"resumed at step {self.step}", flush=True)

    def checkpoint(self):
        save(self.model, self.path, {
            "optimizer": self.optimizer.state_dict(),
            "random": self.rows.random.bit_generator.state,
            "step": self.step, "seconds": self.seconds, "curve": self.curve,
            "formed": self.formed, "train_loss": self.train_loss})

    def tokens_seen(self):
        return self.step * BATCH_ROWS * self.model.shape.context

    def progress(self):
        return max(self.tokens_seen() / self.token_limit, self.seconds / self.second_limit)

    def one_step(self, loss_of):
        share = LATE_REPEATED_SHARE if self.formed else REPEATED_SHARE
        rows = torch.from_numpy(self.rows.batch(BATCH_ROWS, share))
        for group in self.optimizer.param_groups:
            group["lr"] = rate(self.step, self.progress())
        with torch.autocast("cpu", torch.bfloat16):
            loss = loss_of(rows)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step += 1
        value = loss.item()
        self.train_loss = value if np.isnan(self.train_loss) else (
            0.98 * self.train_loss + 0.02 * value)

    def report(self):
        found = measure(self.model, self.held_rows, self.held_tokens)
        self.formed = self.formed or found["prefix_matching"] >= HEAD_FORMED
        self.curve.append({"step": self.step, "tokens": self.tokens_seen(),
                           "seconds": round(self.seconds), "train_loss": self.train_loss, **found})
        left = self.seconds * (1 / max(self.progress(), 1e-9) - 1)
        print(f"language {self.tokens_seen() / 1e6:6.2f}M tokens {100 * self.progress():5.1f} %  "
              f"train {self.train_loss:.3f}  held-out {found['held_out_loss']:.3f}  "
              f"prefix matching {found['prefix_matching']:.3f}  "
              f"copying {found['copying_loss']:.2f}  "
              f"{self.tokens_seen() / max(self.seconds, 1):,.0f} tokens/s  "
              f"ETA {left / 60:.1f} min", flush=True)
        self.checkpoint()

    def train(self):
        """Runs to the token or minute limit, whichever comes first; returns the model."""
        if self.progress() < 1:
            loss_of = compiled_loss(self.model)
        while self.progress() < 1:
            start = time.monotonic()
            self.one_step(loss_of)
            self.seconds += time.monotonic() - start
            if self.step % MEASURE_EVERY == 0 or self.progress() >= 1:
                self.report()
        return self.model
