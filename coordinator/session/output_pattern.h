/* What the tokens that a feature promotes have in common, in words: the output side's description.
 *
 * Each token is a text of its own. A term (lexical_terms.h) that at least 6 of 10 promoted tokens
 * share, that is rare in the vocabulary (window_traits.h) names them; of several the one that
 * most share, then the simplest. It describes what the direction writes; what the feature does to a
 * text is another question. Pure; any thread. */
#ifndef COORDINATOR_SESSION_OUTPUT_PATTERN_H
#define COORDINATOR_SESSION_OUTPUT_PATTERN_H

#include "coordinator/session/lexical_pattern.h"

/* A sample of the vocabulary, to compare with; shared by all features of a sweep. */
struct output_background;
MUST_CHECK status_t output_background_create(struct output_background **out,
                                             const struct lexical_vocabulary *vocabulary,
                                             size_t n_vocab, struct error *err);
void output_background_destroy(struct output_background **background); /* NULL-safe */

/* tokens [n], n at most OUTPUT_PATTERN_MAX_TOKENS. *has_pattern is false, and `out` "", where they
 * share nothing. Errors: ST_TOO_LARGE, ST_NO_MEMORY. */
enum { OUTPUT_PATTERN_MAX_TOKENS = 64 };
MUST_CHECK status_t output_pattern_describe(const struct output_background *background,
                                            const uint32_t *tokens, size_t n, bool *has_pattern,
                                            char out[LEXICAL_LABEL_SIZE], struct error *err);

#endif
