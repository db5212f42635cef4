/* A lexical label: up to eight terms over tokens and their spelling; the feature is said to fire
 * wherever one of them matches. It predicts without a language model, on any window.
 *
 * A term looks at the token `distance` places before the position in question (0: the token
 * itself); a sequence ends there.
 *
 *     " New"  " York"  " is"        TERM_FOLDED "york", distance 1, matches at " is"
 *                                   TERM_SEQUENCE "new" "york", distance 0, at " York"
 *
 * Plain values, no pointers: a pattern can be copied and stored. Any thread. */
#ifndef COORDINATOR_SESSION_LEXICAL_PATTERN_H
#define COORDINATOR_SESSION_LEXICAL_PATTERN_H

#include "common/buffer.h"
#include "coordinator/session/lexical_vocabulary.h"
#include "coordinator/session/window.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LEXICAL_MAX_TERMS = 8,
    LEXICAL_MAX_SEQUENCE = 3,
    LEXICAL_MAX_DISTANCE = 3,
    LEXICAL_LABEL_SIZE = 513 /* 512 bytes and a NUL */
};

enum lexical_term_kind {
    TERM_TOKEN,  /* values[0]: token id */
    TERM_FOLDED, /* values[0]: spelling */
    TERM_PREFIX, /* values[0]: spelling */
    TERM_SUFFIX,
    TERM_PIECE,
    TERM_CLASS,        /* values[0]: enum lexical_class */
    TERM_SEQUENCE,     /* values[0 .. n_values): words in text order (lexical_word) */
    TERM_POSITION,     /* the first values[0] tokens of the document */
    TERM_REPEATED,     /* the token type stood earlier in the window */
    TERM_REPEATED_PAIR /* the token and the one before it stood so earlier in the window */
};

struct lexical_term {
    uint8_t kind; /* enum lexical_term_kind */
    uint8_t distance;
    uint8_t n_values;
    uint32_t values[LEXICAL_MAX_SEQUENCE];
};

struct lexical_pattern {
    uint32_t n_terms;
    struct lexical_term terms[LEXICAL_MAX_TERMS];
    double mark_threshold; /* share of marked tokens that must match: see ..._predict_marked() */
};

/* A token in a sequence: its spelling, or itself where it has none (white space, bytes). */
#define LEXICAL_WORD_IS_TOKEN UINT32_C(0x80000000)
static inline uint32_t lexical_word(const struct lexical_vocabulary *vocabulary, uint32_t token)
{
    const uint32_t folded = lexical_vocabulary_token(vocabulary, token)->folded;
    return folded == LEXICAL_NO_TEXT ? LEXICAL_WORD_IS_TOKEN | token : folded;
}

/* Does the term match at token `position` of the window? Nothing before the window is known. */
bool lexical_term_matches(const struct lexical_term *term,
                          const struct lexical_vocabulary *vocabulary, const struct window *window,
                          size_t position);
bool lexical_pattern_matches(const struct lexical_pattern *pattern,
                             const struct lexical_vocabulary *vocabulary,
                             const struct window *window, size_t position);

/* Detection: does the feature fire anywhere in the window? Reads tokens and offset only, never
 * the activations. */
bool lexical_pattern_predict(const struct lexical_pattern *pattern,
                             const struct lexical_vocabulary *vocabulary,
                             const struct window *window);

/* Fuzzing: are the marked tokens those on which it fires? marks [n_tokens]. True when at least
 * mark_threshold of the marked tokens match; false if none is marked. */
bool lexical_pattern_predict_marked(const struct lexical_pattern *pattern,
                                    const struct lexical_vocabulary *vocabulary,
                                    const struct window *window, const bool *marks);

/* Write the label, at most 512 bytes of UTF-8 and a NUL: any of the tokens " cat", " dog". */
MUST_CHECK status_t lexical_pattern_describe(const struct lexical_pattern *pattern,
                                             const struct lexical_vocabulary *vocabulary,
                                             char out[LEXICAL_LABEL_SIZE], struct error *err);

#endif
