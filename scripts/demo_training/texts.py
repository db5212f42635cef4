"""From unpacked packages to documents: one reader a source, each yielding (id, text)."""
import gzip
import html
import re
import struct
import zlib

WORDNET_POS = {"noun": "noun", "verb": "verb", "adj": "adjective", "adv": "adverb"}
WORDNET_GROUP = 5            # synsets a document
AUSTEN_PIECE_CHARS = 800    # a document is about this much of one chapter
PIECE_CHARS = 800           # the same for dictionary entries, quotations and manual pages
FORTUNE_FILES_LEFT_OUT = {"art", "ascii-art", "drugs", "ethnic", "men-women", "songs-poems",
                          "translate-me", "politics", "sports"}
AUSTEN_BOOKS = ("sensesensibility", "prideprejudice", "mansfieldpark", "emma",
                "northangerabbey", "persuasion")


def pack_paragraphs(paragraphs, limit_chars):
    """Joins neighbouring paragraphs into pieces of about `limit_chars`."""
    piece, size = [], 0
    for paragraph in paragraphs:
        if size and size + len(paragraph) > limit_chars:
            yield "\n\n".join(piece)
            piece, size = [], 0
        piece.append(paragraph)
        size += len(paragraph)
    if piece:
        yield "\n\n".join(piece)


def flowed(paragraph):
    """One line of text: dictionaries are hard-wrapped, and line ends would be noise."""
    return " ".join(paragraph.split())


def wordnet(root):
    """Groups of neighbouring glosses: 'dog, domestic dog (noun): a member of ...'."""
    for suffix, name in WORDNET_POS.items():
        group, number = [], 0
        path = root / "usr/share/wordnet" / ("data." + suffix)
        for line in path.read_text("utf-8", "replace").splitlines():
            if line.startswith("  ") or "|" not in line:
                continue
            fields, gloss = line.split("|", 1)
            fields = fields.split()
            words = [re.sub(r"\(\w+\)$", "", w).replace("_", " ")
                     for w in fields[4:4 + 2 * int(fields[3], 16):2]]
            group.append(f"{', '.join(words)} ({name}): {flowed(gloss)}")
            if len(group) == WORDNET_GROUP:
                yield f"wordnet-{suffix}-{number:05d}", "\n".join(group)
                group, number = [], number + 1
        if group:
            yield f"wordnet-{suffix}-{number:05d}", "\n".join(group)


def r_strings(blob):
    """The strings of a serialised R character vector (XDR format 2 or 3)."""
    version = struct.unpack(">i", blob[2:6])[0]
    at = 14
    if version == 3:
        at += 4 + struct.unpack(">i", blob[14:18])[0]
    flags, count = struct.unpack(">ii", blob[at:at + 8])
    if flags & 0xFF != 16:
        return None
    at, strings = at + 8, []
    for _ in range(count):
        size = struct.unpack(">i", blob[at + 4:at + 8])[0]
        at += 8
        strings.append(blob[at:at + max(size, 0)].decode("utf-8", "replace"))
        at += max(size, 0)
    return strings


def austen_books(root):
    """The novels in R's lazy-load database: records of (length, zlib stream)."""
    data = (root / "usr/lib/R/site-library/janeaustenr/data/Rdata.rdb").read_bytes()
    while len(data) > 4:
        stream = zlib.decompressobj()
        lines = r_strings(stream.decompress(data[4:]))
        data = stream.unused_data
        if lines:
            yield lines


def austen(root):
    """Pieces of chapters, by paragraph."""
    for lines in austen_books(root):
        title = re.sub(r"\W+", "", " ".join(lines[:3]).lower())
        book = next((b for b in AUSTEN_BOOKS if title.startswith(b.replace("and", ""))
                     or b in title.replace("and", "")), None)
        if book is None:
            raise SystemExit(f"train-demo: unknown novel in janeaustenr: {lines[:3]}")
        paragraphs = [flowed(p) for p in "\n".join(lines[4:]).split("\n\n")]
        pieces = pack_paragraphs((p for p in paragraphs if p), AUSTEN_PIECE_CHARS)
        for number, piece in enumerate(pieces):
            yield f"austen-{book}-{number:04d}", piece


def jargon(root):
    """Entries of the lexicon (':word: n.' and its paragraphs), small ones joined."""
    text = gzip.open(root / "usr/share/doc/jargon-text/jargon.txt.gz").read().decode("utf-8")
    text = text[text.index("\n   :abbrev:"):]
    entries = re.split(r"\n(?=   :\S)", text)
    plain = []
    for entry in entries:
        head, _, body = entry.strip().partition("\n")
        paragraphs = [flowed(p) for p in body.split("\n\n")]
        plain.append("\n".join([flowed(head)] + [p for p in paragraphs if p])[:3000])
    for number, piece in enumerate(pack_paragraphs(plain, PIECE_CHARS)):
        yield f"jargon-{number:04d}", piece


def devil(root):
    """Entries of The Devil's Dictionary, verses kept as lines."""
    text = gzip.open(root / "usr/share/dictd/devil.dict.dz").read().decode("utf-8", "replace")
    text = text[text.index("ABASEMENT"):]
    entries = [e.strip() for e in re.split(r"\n(?=[A-Z][A-Z'-]+,? )", text)]
    lines = ["\n".join(" ".join(line.split()) for line in e.splitlines()) for e in entries]
    for number, piece in enumerate(pack_paragraphs([e for e in lines if e], PIECE_CHARS)):
        yield f"devil-{number:04d}", piece


def foldoc(root):
    """Entries: a headword at the margin, an indented body."""
    text = gzip.open(root / "usr/share/dictd/foldoc.dict.dz").read().decode("utf-8", "replace")
    entries = re.split(r"\n(?=\S)", text)
    plain = []
    for entry in entries:
        head, _, body = entry.partition("\n")
        paragraphs = [flowed(p) for p in body.split("\n\n")]
        if any(paragraphs):
            plain.append("\n".join([head.strip()] + [p for p in paragraphs if p])[:3000])
    for number, piece in enumerate(pack_paragraphs(plain, PIECE_CHARS)):
        yield f"foldoc-{number:05d}", piece


def fortunes(root):
    """Quotations, several a document, from the files with ordinary prose."""
    for path in sorted((root / "usr/share/games/fortunes").iterdir()):
        if path.suffix or path.name in FORTUNE_FILES_LEFT_OUT or not path.is_file():
            continue
        quotes = re.split(r"\n%\n?", path.read_text("utf-8", "replace").replace("\t", " "))
        quotes = ["\n".join(" ".join(x.split()) for x in q.strip().splitlines()) for q in quotes]
        for number, piece in enumerate(pack_paragraphs([q for q in quotes if q], PIECE_CHARS)):
            yield f"fortunes-{path.name}-{number:04d}", piece


def perl(root):
    """Perl manual pages with the POD markup taken off."""
    for path in sorted((root / "usr/share/perl").rglob("perl*.pod")):
        if "delta" in path.name:
            continue
        text = path.read_text("utf-8", "replace")
        text = re.sub(r"^=\w+ ?(?=\S)|^=\w+$", "", text, flags=re.M)
        text = re.sub(r"\b[A-Z]<+ ?([^<>]*?) ?>+", r"\1", text)
        paragraphs = [p if p.startswith(" ") else flowed(p) for p in text.split("\n\n")]
        pieces = pack_paragraphs((p for p in paragraphs if p.strip()), PIECE_CHARS)
        for number, piece in enumerate(pieces):
            yield f"perl-{path.stem}-{number:04d}", piece


def anarchism(root):
    """Sections of the FAQ, by paragraph."""
    folder = root / "usr/share/doc/anarchism/markdown"
    for path in sorted(folder.glob("sec*.md.gz")):
        text = gzip.open(path).read().decode("utf-8", "replace")
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text).replace("\\", "")
        paragraphs = [flowed(p) for p in text.split("\n\n")]
        for number, piece in enumerate(pack_paragraphs((p for p in paragraphs if p), PIECE_CHARS)):
            yield f"anarchism-{path.name.split('.')[0]}-{number:04d}", piece


def sqlite(root):
    """Prose paragraphs of SQLite's documentation: the out-of-distribution source."""
    for path in sorted((root / "usr/share/doc/sqlite3").glob("*.html")):
        page = path.read_text("utf-8", "replace")
        page = re.sub(r"<(script|style|pre|svg|table)\b.*?</\1>", " ", page, flags=re.S | re.I)
        blocks = re.findall(r"<(?:p|li|dd|h\d)\b[^>]*>(.*?)(?=</?(?:p|li|dd|h\d|ul|ol|dl|div)\b)",
                            page, flags=re.S | re.I)
        paragraphs = [flowed(html.unescape(re.sub(r"<[^>]+>", " ", b))) for b in blocks]
        paragraphs = [re.sub(r" ([.,;:)])", r"\1", p) for p in paragraphs if len(p) > 80]
        for number, piece in enumerate(pack_paragraphs(paragraphs, PIECE_CHARS)):
            yield f"sqlite-{path.stem}-{number:03d}", piece
