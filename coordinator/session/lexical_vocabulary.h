/* What the lexical explainer can say about a single token: its spelling without case and
 * spacing, the beginnings, endings and pieces of that spelling, and classes such as "digits".
 * Made once per model from the token texts, then read-only and shared by all features.
 *
 * Spellings are interned: equal text, equal id, whether it is a whole word, a prefix, a suffix
 * or a piece. Tokens that are not whole UTF-8 characters have no spelling (LEXICAL_NO_TEXT).
 * Lower-casing covers ASCII, Latin-1, Greek and Cyrillic, by ranges, so that it never depends on
 * a locale. Immutable after creation; any thread. */
#ifndef COORDINATOR_SESSION_LEXICAL_VOCABULARY_H
#define COORDINATOR_SESSION_LEXICAL_VOCABULARY_H

#include "common/error.h"
#include "coordinator/session/window.h"

#include <stddef.h>
#include <stdint.h>

#define LEXICAL_NO_TEXT UINT32_MAX

enum {
    LEXICAL_MIN_AFFIX = 2, /* characters in a prefix or suffix */
    LEXICAL_MAX_AFFIX = 4,
    LEXICAL_N_AFFIXES = LEXICAL_MAX_AFFIX - LEXICAL_MIN_AFFIX + 1,
    LEXICAL_MIN_PIECE = 3, /* characters in a piece inside a word */
    LEXICAL_MAX_PIECE = 4,
    LEXICAL_MAX_PIECES = 16 /* per token: pieces of its first characters */
};

/* Classes of tokens; a token is in any number of them. */
enum lexical_class {
    CLASS_DIGITS, /* only digits, besides white space */
    CLASS_HAS_DIGIT,
    CLASS_CAPITALISED,  /* one capital, then at least one small letter and no further capital */
    CLASS_ALL_CAPITALS, /* at least two letters, all capital */
    CLASS_ONE_LETTER,
    CLASS_PUNCTUATION, /* only punctuation or symbols, besides white space */
    CLASS_LINE_BREAK,  /* holds one */
    CLASS_WHITE_SPACE, /* nothing else */
    CLASS_WORD_START,  /* white space, then a letter */
    CLASS_WORD_PIECE,  /* starts with a small letter, no white space before */
    CLASS_NOT_ASCII,
    LEXICAL_N_CLASSES
};

/* "digits", "a line break", ... for labels. */
const char *lexical_class_name(enum lexical_class token_class);

struct lexical_token {
    uint32_t folded;                      /* the whole spelling */
    uint32_t prefixes[LEXICAL_N_AFFIXES]; /* of 2, 3, 4 characters; LEXICAL_NO_TEXT if shorter */
    uint32_t suffixes[LEXICAL_N_AFFIXES];
    uint32_t first_piece; /* in the pool of pieces */
    uint16_t n_pieces;
    uint16_t classes; /* bit c: enum lexical_class c */
};

struct lexical_vocabulary; /* opaque */

/* Keeps its own copy of what it needs, except `texts`, which is borrowed for its life. On ST_OK
 * the caller owns *out. Errors: ST_NO_MEMORY, ST_TOO_LARGE. */
MUST_CHECK status_t lexical_vocabulary_create(struct lexical_vocabulary **out,
                                              const struct token_texts *texts, struct error *err);
void lexical_vocabulary_destroy(struct lexical_vocabulary **vocabulary); /* NULL-safe */

size_t lexical_vocabulary_n_tokens(const struct lexical_vocabulary *vocabulary);
size_t lexical_vocabulary_n_spellings(const struct lexical_vocabulary *vocabulary);
/* A token outside the vocabulary has no spelling, no pieces and no class. */
const struct lexical_token *lexical_vocabulary_token(const struct lexical_vocabulary *vocabulary,
                                                     uint32_t token);
/* Interned ids of the token's distinct pieces, [n_pieces]. */
const uint32_t *lexical_vocabulary_pieces(const struct lexical_vocabulary *vocabulary,
                                          const struct lexical_token *token);
/* The spelling behind an id, UTF-8 of *n_bytes bytes, not NUL-terminated. */
const char *lexical_vocabulary_spelling(const struct lexical_vocabulary *vocabulary, uint32_t id,
                                        size_t *n_bytes);
/* The token's own bytes. */
struct token_text lexical_vocabulary_text(const struct lexical_vocabulary *vocabulary,
                                          uint32_t token);

#endif
