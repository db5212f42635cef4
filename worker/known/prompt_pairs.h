/* The prompts of a known model: BOS, distinct tokens with A B among them, and A again; the answer
 * is B. The corrupted prompt has an unused token in place of the first A, so nothing answers.
 * The metric is logit(answer) - logit(distractor) at the last position; the distractor is another
 * token of the prompt. Two sets, search and held-out, share no prompt; in each, the place of the
 * first A goes through all that there are, so that a mean over templates finds every template where
 * a set has as many prompts. Pure; any thread. */
#ifndef WORKER_KNOWN_PROMPT_PAIRS_H
#define WORKER_KNOWN_PROMPT_PAIRS_H

#include "common/buffer.h"
#include "worker/known/known_plan.h"

enum { PROMPT_PAIRS_MAX = 4096 }; /* of each set */

struct prompt_pair {
    uint32_t match_position; /* of the first A: 1 .. n_tokens - 3 */
    uint32_t answer, distractor;
    uint64_t hash; /* of the clean tokens */
};

struct prompt_pairs {
    size_t n_search, n_pairs, n_tokens; /* the first n_search pairs are the search set */
    uint32_t *clean, *corrupted;        /* [n_pairs, n_tokens], owned */
    struct prompt_pair *pairs;          /* [n_pairs], owned */
};

/* n_each pairs in each set. On ST_OK the caller ends *out by prompt_pairs_fini().
 * Errors: ST_BAD_INPUT (n_each 0 or over PROMPT_PAIRS_MAX), ST_NO_MEMORY. */
MUST_CHECK status_t prompt_pairs_make(struct prompt_pairs *out, const struct known_plan *plan,
                                      size_t n_each, struct error *err);
void prompt_pairs_fini(struct prompt_pairs *pairs);

/* Append one JSON line a pair (README.md: prompts.jsonl). Errors: ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t prompt_pairs_print(const struct prompt_pairs *pairs, struct buffer *out,
                                       struct error *err);

#endif
