/* The "pre_tokenizer" of tokenizer.json: how normalized text is cut into the words that are
 * merged one by one.
 *
 * Supported: Sequence, ByteLevel (last in its sequence), Split, Digits, Metaspace, Punctuation,
 * Whitespace, WhitespaceSplit. Each step takes a list of pieces (spans of one text) and makes
 * another; a step that rewrites text writes a new one. ByteLevel's spelling of bytes is left to
 * the merges (bpe.h). Read-only after load, any thread with its own piece lists. */
#ifndef WORKER_MODEL_PRETOKENIZER_H
#define WORKER_MODEL_PRETOKENIZER_H

#include "common/buffer.h"
#include "common/error.h"
#include "worker/model/text_pattern.h"
#include "worker/model/utf8.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PRETOKENIZER_MAX_STEPS = 16, PRETOKENIZER_MAX_DEPTH = 8 };

enum split_behavior {
    SPLIT_ISOLATED,      /* each match is a piece of its own */
    SPLIT_REMOVED,       /* matches vanish */
    SPLIT_CONTIGUOUS,    /* adjoining matches form one piece */
    SPLIT_WITH_PREVIOUS, /* a match ends the piece in front of it */
    SPLIT_WITH_NEXT      /* a match begins the piece behind it */
};

enum split_class { CLASS_NUMERIC, CLASS_PUNCTUATION, CLASS_WHITE_SPACE };

enum pretokenizer_kind {
    PRETOKENIZER_PREFIX_SPACE, /* ByteLevel's add_prefix_space */
    PRETOKENIZER_METASPACE,    /* spaces into marks, perhaps one in front; no cutting */
    PRETOKENIZER_SPLIT,        /* by pattern */
    PRETOKENIZER_SPLIT_CLASS,  /* by class: each such character is a match */
    PRETOKENIZER_CUT_BEFORE    /* in front of a mark that follows something else: see bpe.h */
};

enum prepend_scheme { PREPEND_NEVER, PREPEND_FIRST, PREPEND_ALWAYS };

struct pretokenizer_step {
    enum pretokenizer_kind kind;
    struct text_pattern pattern;
    enum split_behavior behavior;
    bool is_inverted; /* what lies between the matches counts as match */
    enum split_class class;
    char mark[UTF8_MAX_BYTES + 1]; /* Metaspace's replacement, NUL-terminated */
    enum prepend_scheme scheme;
};

struct pretokenizer {
    struct pretokenizer_step steps[PRETOKENIZER_MAX_STEPS];
    size_t n_steps;
    bool is_byte_level; /* ends in ByteLevel */
};

struct text_piece {
    uint32_t begin, end; /* bytes of the text; never empty */
    bool at_start;       /* begins where the document begins */
};

struct piece_list {
    struct text_piece *pieces; /* [n_pieces], owned */
    size_t n_pieces, capacity;
};

struct split_span {
    uint32_t begin, end;
    bool is_match;
};

/* One thread's working memory. After pretokenizer_run() `pieces` are spans of `text`. */
struct pretokenizer_scratch {
    const char *text; /* borrowed: the caller's text, or text_buffer's bytes */
    struct piece_list pieces, next_pieces;
    struct buffer text_buffer, next_text;
    struct split_span *spans;
    size_t n_spans, span_capacity;
};
void pretokenizer_scratch_init(struct pretokenizer_scratch *scratch, size_t max_bytes);
void pretokenizer_scratch_fini(struct pretokenizer_scratch *scratch);

/* Read the "pre_tokenizer" value; null and absent make none (a text is one piece).
 * Errors: ST_UNSUPPORTED (names it), ST_CORRUPT, ST_TOO_LARGE, ST_NO_MEMORY; nothing is left. */
MUST_CHECK status_t pretokenizer_load(struct pretokenizer *out, json_t *value, struct error *err);
void pretokenizer_fini(struct pretokenizer *pretokenizer);

/* Add a last step that cuts in front of `mark` (at most 4 bytes). ST_TOO_LARGE if it is full. */
MUST_CHECK status_t pretokenizer_add_cut(struct pretokenizer *pretokenizer, const char *mark,
                                         struct error *err);

/* True if a Metaspace step looks at where the document begins. */
bool pretokenizer_needs_start(const struct pretokenizer *pretokenizer);

/* Cut text [n_bytes < 2^32], well-formed, into scratch->pieces. `at_start`: it begins the
 * document. Errors: ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t pretokenizer_run(const struct pretokenizer *pretokenizer,
                                     struct pretokenizer_scratch *scratch,
                                     struct regex_cursor *cursor, const char *text, size_t n_bytes,
                                     bool at_start, struct error *err);

#endif
