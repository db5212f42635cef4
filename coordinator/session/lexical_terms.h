/* The terms that match at one token of a window: what a lexical label could be made of. */
#ifndef COORDINATOR_SESSION_LEXICAL_TERMS_H
#define COORDINATOR_SESSION_LEXICAL_TERMS_H

#include "coordinator/session/lexical_candidates.h"

enum {
    LEXICAL_POSITION_STEPS = 8, /* first 1, 2, 4 ... 128 tokens */
    LEXICAL_TERMS_AT = 2 + LEXICAL_POSITION_STEPS + 2 * LEXICAL_N_CLASSES + 2 * LEXICAL_N_AFFIXES +
                       LEXICAL_MAX_PIECES + LEXICAL_MAX_DISTANCE + 4 + 2
};

/* Write all terms that match at `position` into out [LEXICAL_TERMS_AT]; returns how many. No
 * term twice. */
size_t lexical_terms_at(const struct lexical_vocabulary *vocabulary, const struct window *window,
                        size_t position, struct lexical_term *out);

enum lexical_family lexical_term_family(const struct lexical_term *term);

/* A number of the term's content: equal terms, equal keys. */
uint64_t lexical_term_key(const struct lexical_term *term);

#endif
