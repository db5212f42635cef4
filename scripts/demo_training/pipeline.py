"""The whole of train-demo, one stage after the other; every stage keeps what it made."""
import json
from pathlib import Path

import torch

from . import corpus, dictionary, language, measure, model, packages, report, tokens

MODEL_NAME = "interp-demo-gpt2-4l-128"
MIB = 1 << 20
BUDGET_BYTES = 16 * MIB


def prepare(work, out):
    """Texts, corpus and tokenizer: (package versions, token streams, document and token counts)."""
    root, versions = packages.fetch(work)
    found = corpus.read_all(root)
    train, held_out = corpus.split(found)
    demo, other = corpus.committed(found), corpus.out_of_distribution(found)
    corpus.write_jsonl_gz(demo, out / "corpus/demo.jsonl.gz")
    corpus.write_jsonl_gz(other, out / "corpus/out_of_distribution.jsonl.gz")
    packages.licence_texts(root, out / "LICENSES")
    tokenizer = tokens.train_tokenizer(train, out / "model", model.Shape().context)
    named = {"train": train, "held_out": held_out, "demo": demo, "other": other}
    streams = {name: tokens.cached_stream(work, name, tokenizer, documents)
               for name, documents in named.items()}
    counts = {name: (len(named[name]), len(streams[name])) for name in named}
    for name, (document_count, token_count) in counts.items():
        print(f"{name}: {document_count:,} documents, {token_count:,} tokens", flush=True)
    return versions, streams, counts


def make_dictionary(work, out, streams, token_limit):
    """Trains the dictionary on the last language checkpoint and writes model/ and sae/."""
    language_model, state = model.load(work / "language.pt")
    model.export(language_model, out / "model", tokens.END_ID)
    training = dictionary.Run(work / "dictionary.pt", language_model, streams["train"],
                              token_limit, origin=("language step", state["step"]))
    sae = training.train()
    dictionary.export(sae, out / "sae", MODEL_NAME, language_model.shape.context)
    used = training.steps * dictionary.BATCH_TOKENS
    return state, {"tokens": used, "minutes": training.seconds / 60,
                   "language_minutes": state["seconds"] / 60,
                   "processor": f"{torch.get_num_threads()} threads of {processor_name()}"}


def processor_name():
    """As Linux names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return "an unknown processor"
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "an unknown processor"


def check_budget(out):
    size = sum(p.stat().st_size for p in out.rglob("*") if p.is_file())
    print(f"{out}: {size / MIB:.1f} MiB", flush=True)
    if size > BUDGET_BYTES:
        raise SystemExit(f"train-demo: {out} is over its budget of {BUDGET_BYTES / MIB:.0f} MiB")


def run(options):
    work, out = options.work, options.out
    work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(options.threads)
    versions, streams, counts = prepare(work, out)
    if options.stage in ("all", "language"):
        language.Run(work, streams["train"], streams["held_out"], options.tokens,
                     options.minutes).train()
    if options.stage == "language":
        return
    state, sae_run = make_dictionary(work, out, streams, options.dictionary_tokens)
    quality = measure.all_of(out, streams["demo"])
    print(json.dumps(report.rounded(quality), indent=2), flush=True)
    report.write(out, versions, counts, state, sae_run, quality)
    check_budget(out)
