#!/usr/bin/env python3
"""The peer of scripts/bench-llm: delphi's own client, explainer, scorers and pipeline at an endpoint.

    bench_peer_delphi.py URL MAX_CONCURRENT SECONDS CORPUS.jsonl.gz

Nothing of delphi is changed. Its records are made here from the corpus in place of its cache of
activations, with as many windows as our sweep shows, so that a feature takes as many calls: one
explanation, two prompts of ten texts for detection and two for fuzzing. MAX_CONCURRENT is what its
pipeline is run with; its own program sets it to 1 for web endpoints. Prints one JSON line.
Run by scripts/bench-llm; needs .delphi/ (scripts/delphi-env).
"""
import asyncio
import gzip
import json
import logging
import sys
import time
import types
from importlib.machinery import ModuleSpec


def leave_out_local_engine():
    """delphi imports vllm whether it is used or not: empty names stand in its place."""
    for name, parts in (("vllm", ("LLM", "SamplingParams")), ("vllm.distributed", ()),
                        ("vllm.distributed.parallel_state",
                         ("destroy_distributed_environment", "destroy_model_parallel")),
                        ("vllm.inputs", ("TokensPrompt",))):
        module = types.ModuleType(name)
        module.__spec__ = ModuleSpec(name, None)
        for part in parts:
            setattr(module, part, None)
        sys.modules[name] = module


leave_out_local_engine()
import torch  # noqa: E402
from delphi.clients import OpenRouter  # noqa: E402
from delphi.explainers import DefaultExplainer  # noqa: E402
from delphi.latents import ActivatingExample, Latent, LatentRecord, NonActivatingExample  # noqa: E402
from delphi.pipeline import Pipe, Pipeline, process_wrapper  # noqa: E402
from delphi.scorers import DetectionScorer, FuzzingScorer  # noqa: E402

N_EXPLAIN, N_TEST, PER_PROMPT, N_WINDOW = 20, 10, 10, 32


def words_of(path):
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            for word in json.loads(line)["text"].split():
                yield " " + word


def records(path):
    """Records without end: consecutive windows of the corpus, the middle word fires."""
    number, source = 0, words_of(path)
    while True:
        def window():
            nonlocal source
            taken = [word for _, word in zip(range(N_WINDOW), source)]
            if len(taken) < N_WINDOW:
                source = words_of(path)
                return window()
            return taken

        def firing():
            acts = torch.zeros(N_WINDOW)
            acts[N_WINDOW // 2] = 5.0
            return ActivatingExample(tokens=torch.zeros(N_WINDOW, dtype=torch.long),
                                     activations=acts, normalized_activations=acts * 2,
                                     str_tokens=window())

        def silent():
            return NonActivatingExample(tokens=torch.zeros(N_WINDOW, dtype=torch.long),
                                        activations=torch.zeros(N_WINDOW), str_tokens=window())

        yield LatentRecord(latent=Latent("layer", number),
                           train=[firing() for _ in range(N_EXPLAIN)],
                           test=[firing() for _ in range(N_TEST)],
                           not_active=[silent() for _ in range(N_TEST)])
        number += 1


class Tally:
    """What came of the features."""

    def __init__(self):
        self.scored = {}
        self.n_whole = self.n_lossy = 0

    def note(self, result):
        key = str(result.record.latent)
        self.scored.setdefault(key, []).append(all(one.prediction is not None
                                                   for one in result.score))
        if len(self.scored[key]) == 2:
            whole = all(self.scored[key])
            self.n_whole += whole
            self.n_lossy += not whole
        return result


def to_scorer(result):
    """As in delphi/__main__.py."""
    result = result[0] if isinstance(result, list) else result
    result.record.explanation = result.explanation
    result.record.extra_examples = result.record.not_active
    return result.record


async def run(url, max_concurrent, seconds, corpus):
    client = OpenRouter("stand-in", api_key="none", base_url=url, max_tokens=300)
    tally = Tally()
    scorers = [process_wrapper(kind(client, n_examples_shown=PER_PROMPT), preprocess=to_scorer,
                               postprocess=tally.note)
               for kind in (FuzzingScorer, DetectionScorer)]
    explainer = DefaultExplainer(client, threshold=0.3)
    pipeline = Pipeline(lambda: records(corpus), Pipe(process_wrapper(explainer)), Pipe(*scorers))
    began, ended = time.monotonic(), "stopped by the clock"
    try:
        await asyncio.wait_for(pipeline.run(max_concurrent), seconds)
    except asyncio.TimeoutError:
        pass
    except RuntimeError as error:
        ended = "ended by an error: %s" % error
    return {"features": tally.n_whole, "features_with_lost_answers": tally.n_lossy,
            "seconds": round(time.monotonic() - began, 2), "ended": ended}


if __name__ == "__main__":
    logging.disable(logging.ERROR)
    print(json.dumps(asyncio.run(run(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]),
                                     sys.argv[4]))))
