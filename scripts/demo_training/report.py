"""Writes what a reader needs to trust the demo: RECIPE.md, loss_curve.csv, sae_quality.json."""
import csv
import json

import torch

from . import corpus, dictionary, language
from .packages import PACKAGES

CURVE_FIELDS = ("step", "tokens", "seconds", "train_loss", "held_out_loss", "prefix_matching",
                "copying_loss")


def write_curve(curve, path):
    with open(path, "w", newline="") as out:
        table = csv.DictWriter(out, CURVE_FIELDS, lineterminator="\n")
        table.writeheader()
        for row in curve:
            table.writerow({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()})


def rounded(value):
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    if isinstance(value, list):
        return [rounded(v) for v in value]
    return round(value, 6) if isinstance(value, float) else value


def source_table(versions):
    lines = ["| Debian package | version | text | licence of the text | in the committed corpus |",
             "|---|---|---|---|---|"]
    for p in PACKAGES:
        lines.append(f"| {p.name} | {versions[p.name]} | {p.attribution} | {p.licence} | "
                     f"{'yes' if p.committed else 'no (training only)'} |")
    return "\n".join(lines)


def curve_table(curve):
    lines = ["| tokens | minutes | train loss | held-out loss | prefix matching | copying loss |",
             "|---|---|---|---|---|---|"]
    step = max(len(curve) // 12, 1)
    for row in [*curve[:-1][::step], curve[-1]]:
        lines.append(f"| {row['tokens'] / 1e6:.1f}M | {row['seconds'] / 60:.1f} | "
                     f"{row['train_loss']:.2f} | {row['held_out_loss']:.2f} | "
                     f"{row['prefix_matching']:.2f} | {row['copying_loss']:.2f} |")
    return "\n".join(lines)


def quality_table(quality):
    demo, other, loss = quality["demo"], quality["out_of_distribution"], quality["loss"]
    names = (("tokens", "tokens", "{:,}"), ("documents", "documents", "{:,}"),
             ("mean L0", "l0_mean", "{:.1f}"),
             ("explained variance", "explained_variance", "{:.3f}"),
             ("never firing", "dead_share", "{:.2%}"),
             ("firing on more than half of the tokens", "dense_share_over_half", "{:.2%}"),
             ("firing in >= 20 test documents", "share_firing_in_20_test_documents", "{:.1%}"))
    lines = ["| | demo corpus | out of distribution |", "|---|---|---|"]
    lines += [f"| {t} | {f.format(demo[k])} | {f.format(other[k])} |" for t, k, f in names]
    lines += ["", f"Loss recovered: {loss['loss_recovered']:.3f} (next-token loss on "
              f"{loss['rows']} rows of the demo corpus: {loss['loss_clean']:.3f} whole, "
              f"{loss['loss_rebuilt']:.3f} with the dictionary's reconstruction in place, "
              f"{loss['loss_zero_ablated']:.3f} with the stream set to zero)."]
    return "\n".join(lines)


def prefix_lines(found):
    titles = {"natural_segments": "running text of the demo corpus",
              "drawn_tokens": "single tokens drawn from the demo corpus"}
    return "\n".join(
        f"- {titles[k]}: **{v['score']:.2f}** (head {v['head']}; loss "
        f"{v['loss_first_copy']:.2f} on the first copy, {v['loss_second_copy']:.2f} on the second)"
        for k, v in found.items())


def recipe(versions, counts, state, sae_run, quality):
    """The page as one text; each paragraph comes from the figures of this run."""
    return "\n\n".join((*opening(counts, state, sae_run, quality),
                        *texts_part(versions, counts), *language_part(state),
                        *induction_part(quality), *dictionary_part(sae_run, quality))) + "\n"


def paragraph(text):
    return " ".join(text.split())


def opening(counts, state, sae_run, quality):
    shape = state["shape"]
    yield "# The demo model and its dictionary: how they were made"
    yield "Everything here was made by these commands, from Debian 12 and PyPI alone:"
    yield ("    sh scripts/oracles-env\n"
           "    .oracles/bin/python scripts/train-demo")
    yield paragraph(f"""{sae_run['language_minutes']:.0f} minutes for the language model and
        {sae_run['minutes']:.0f} for the dictionary, on {sae_run['processor']} shared with other
        work; torch {torch.__version__.split('+')[0]}. Seeds are fixed; floating-point sums depend
        on the processor and the thread count, so another machine makes an equally good model, not
        the same bytes.""")
    rows = (
        ("model/", f"GPT-2 architecture: {shape['layers']} layers x {shape['width']}, "
         f"{shape['heads']} heads, context {shape['context']}, vocabulary "
         f"{shape['vocabulary']:,}; float16; byte-level BPE; id 0 (end of text) is BOS and EOS"),
        ("sae/", f"SAELens TopK dictionary, {quality['features']:,} features, k = {quality['k']}, "
         f"{quality['hook_name']}; weights float16, to be computed in float32"),
        ("corpus/demo.jsonl.gz", f"the corpus that the demo labels on: {counts['demo'][0]:,} "
         f"documents, {counts['demo'][1]:,} tokens"),
        ("corpus/out_of_distribution.jsonl.gz", "SQLite's documentation, which neither model nor "
         f"dictionary ever saw: {counts['other'][0]:,} documents, {counts['other'][1]:,} tokens"),
        ("LICENSES/", "the licence files of the committed texts"))
    yield "| path | what |\n|---|---|\n" + "\n".join(f"| {p} | {w} |" for p, w in rows)


def texts_part(versions, counts):
    yield "## Texts"
    yield source_table(versions)
    yield paragraph(f"""The model trained on {counts['train'][0]:,} documents
        ({counts['train'][1]:,} tokens); {counts['held_out'][0]:,} documents were held out:
        {corpus.HELD_OUT_PERCENT} % of every source by a hash of the document's name, and of the
        novels one (Persuasion) whole. Up to half of the demo corpus, source by source, is held-out
        text; the rest is text that the model saw. Only texts in the public domain or under the
        WordNet licence are in the committed corpus; texts under other licences were read for
        training and are not distributed here. Document ids begin with the source.""")


def language_part(state):
    yield "## Language model"
    yield paragraph(f"""AdamW {language.PEAK_RATE} (0.9, 0.95), weight decay
        {language.WEIGHT_DECAY} on the blocks' matrices, {language.WARM_UP_STEPS} steps of warm-up,
        cosine to {language.FINAL_RATE}; {language.BATCH_ROWS} rows of {state['shape']['context']}
        tokens a step, each beginning with `<|endoftext|>`; bf16 autocast; position embeddings
        started at five times the usual spread. {100 * language.REPEATED_SHARE:.0f} % of the rows
        are a natural segment of 4 to 62 tokens repeated to fill the row, until prefix matching on
        held-out text reached {language.HEAD_FORMED}; {100 * language.LATE_REPEATED_SHARE:.0f} %
        after that.""")
    yield curve_table(state["curve"])
    yield paragraph("""Losses are nats a token: train over the mixture of natural and repeated
        rows, held-out over natural rows only. All points are in loss_curve.csv.""")


def induction_part(quality):
    prefix = quality["prefix_matching"]["natural_segments"]
    yield "## Induction head"
    yield paragraph(f"""Prefix matching as TransformerLens defines it (`<|endoftext|>`,
        {prefix['segment_tokens']} tokens, the same again; {prefix['rows']} rows), best head:""")
    yield prefix_lines(quality["prefix_matching"])


def dictionary_part(sae_run, quality):
    yield "## Dictionary"
    yield paragraph(f"""Residual stream before block {dictionary.LAYER}, natural rows of the
        training text, {sae_run['tokens']:,} tokens in batches of {dictionary.BATCH_TOKENS:,};
        encoder started as the decoder's transpose, decoder rows kept at unit length, Adam
        {dictionary.PEAK_RATE}, linear fall over the last
        {100 * (1 - dictionary.DECAY_FROM):.0f} %. No dead-feature loss. Measured after rounding to
        float16, with the files loaded by transformers and SAELens, over every position but
        `<|endoftext|>`:""")
    yield quality_table(quality)
    yield paragraph("""A feature counts as firing where SAELens gives it a value above 0. The 30 %
        of documents that count as test here are drawn by hash; a sweep draws its own. All figures
        are in sae_quality.json.""")


def write(out, versions, counts, state, sae_run, quality):
    write_curve(state["curve"], out / "loss_curve.csv")
    (out / "sae_quality.json").write_text(json.dumps(rounded(quality), indent=2) + "\n")
    (out / "RECIPE.md").write_text(recipe(versions, counts, state, sae_run, quality))
