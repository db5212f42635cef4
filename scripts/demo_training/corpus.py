"""Which documents the model trains on, which are held out, and which are committed."""
import gzip
import hashlib
import json
import re

from . import texts

SEED = 20240601
HELD_OUT_PERCENT = 12
HELD_OUT_BOOK = "austen-persuasion-"
MAX_DOCUMENT_CHARS = 1600
TRAIN_CAP_BYTES = {"perl": 1_500_000, "anarchism": 800_000}
COMMITTED_BYTES = {"wordnet": 880_000, "austen": 660_000, "jargon": 400_000, "devil": 250_000}
MIN_DOCUMENT_CHARS = 41
DEMO_DOCUMENT_CHARS = 480          # about 140 tokens: most documents fit one context
OUT_OF_DISTRIBUTION_BYTES = 200_000
TRAIN_SOURCES = ("wordnet", "austen", "jargon", "devil", "foldoc", "fortunes", "perl", "anarchism")
INDEX_PAGES = ("crossref", "index", "changes", "news", "chronology", "toc", "requirements")


def order_key(name):
    """A fixed pseudo-random number for a document: the split does not depend on any order."""
    return int.from_bytes(hashlib.blake2b(f"{SEED}:{name}".encode(), digest_size=8).digest(), "big")


def is_held_out(name):
    if name.startswith("austen-"):
        return name.startswith(HELD_OUT_BOOK)
    return order_key(name) % 100 < HELD_OUT_PERCENT


def cut(name, text):
    """Cuts a long document at sentence ends into documents of at most MAX_DOCUMENT_CHARS."""
    part = 0
    while len(text) > MAX_DOCUMENT_CHARS:
        ends = [m.end() for m in re.finditer(r"[.!?;][\"')]*\s|\n", text[:MAX_DOCUMENT_CHARS])]
        end = ends[-1] if ends and ends[-1] > 200 else MAX_DOCUMENT_CHARS
        yield f"{name}.{part}", text[:end].strip()
        text, part = text[end:].strip(), part + 1
    if len(text) >= MIN_DOCUMENT_CHARS:
        yield (f"{name}.{part}" if part else name), text


def even_pieces(name, text, limit_chars):
    """Cuts into pieces of about equal size and at most about `limit_chars`, at line or sentence
    ends: many small documents give a feature more of them to be tested on."""
    count = -(-len(text) // limit_chars)
    lines = [m.end() for m in re.finditer(r"\n+", text)]
    sentences = [m.end() for m in re.finditer(r"[.!?][\"')]*\s+", text)]
    ends = lines if len(lines) >= count else sorted(lines + sentences)
    start = 0
    for part in range(count):
        target = start + (len(text) - start) / (count - part)
        end = min((e for e in ends if e > start), key=lambda e: abs(e - target), default=len(text))
        end = len(text) if part == count - 1 else end
        piece = text[start:end].strip()
        if len(piece) >= MIN_DOCUMENT_CHARS:
            yield (f"{name}-{part}" if count > 1 else name), piece
        start = end


def capped(documents, limit_bytes):
    """The first documents in pseudo-random order that fit in `limit_bytes`."""
    chosen, used = [], 0
    for name, text in sorted(documents, key=lambda d: order_key(d[0] + "#pick")):
        size = len(text.encode())
        if used + size <= limit_bytes:
            chosen.append((name, text))
            used += size
    return chosen


def read_all(root):
    """{source: [(id, text)]} of every source, long documents cut; the same on every machine."""
    found = {}
    for source in (*TRAIN_SOURCES, "sqlite"):
        documents = [piece for name, text in getattr(texts, source)(root)
                     for piece in cut(name, text)]
        limit = TRAIN_CAP_BYTES.get(source)
        found[source] = capped(documents, limit) if limit else documents
    return found


def split(found):
    """(train, held_out): lists of (id, text) over the training sources."""
    everything = [d for source in TRAIN_SOURCES for d in found[source]]
    everything.sort(key=lambda d: order_key(d[0]))
    train = [d for d in everything if not is_held_out(d[0])]
    return train, [d for d in everything if is_held_out(d[0])]


def committed(found):
    """The corpus that the demo labels on: permissive sources, up to half of each held out."""
    chosen = []
    for source, limit in COMMITTED_BYTES.items():
        held = capped([d for d in found[source] if is_held_out(d[0])], limit // 2)
        used = sum(len(text.encode()) for _, text in held)
        chosen += held
        chosen += capped([d for d in found[source] if not is_held_out(d[0])], limit - used)
    return small_documents(chosen)


def small_documents(chosen):
    """`chosen` in pieces, in a pseudo-random order."""
    pieces = [p for name, text in chosen for p in even_pieces(name, text, DEMO_DOCUMENT_CHARS)]
    return sorted(pieces, key=lambda d: order_key(d[0] + "#order"))


def out_of_distribution(found):
    """Documents of a source that the model never saw."""
    prose = [d for d in found["sqlite"] if not any(word in d[0] for word in INDEX_PAGES)]
    chosen = capped([d for d in prose if "→" not in d[1]], OUT_OF_DISTRIBUTION_BYTES)
    return small_documents(chosen)


def write_jsonl_gz(documents, path):
    """One {"id", "text"} a line, gzip with a fixed time stamp: the same bytes every time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps({"id": name, "text": text}, ensure_ascii=False) + "\n"
                    for name, text in documents)
    path.write_bytes(gzip.compress(lines.encode(), 9, mtime=0))
