/* What `head_scores` tasks carry: how much of each head's attention lies where a previous-token, a
 * duplicate-token or an induction head would put it, summed for every sequence by itself.
 *
 * A[t, j] is a head's attention from token t to token j <= t of a sequence of T tokens. Where a
 * pattern is (TransformerLens, head_detector.py), j <= t:
 *
 *   previous_token    j = t - 1
 *   duplicate_token   j < t, and tokens j and t are the same
 *   induction         tokens j - 1 and t are the same, j - 1 < t: "prefix matching"
 *
 * With S = sum of A over the n_pairs places of the pattern, and total = sum of A (T but for
 * rounding), the scores of one sequence are
 *
 *   mul        S / total                             TransformerLens' "mul", its default
 *   abs        1 - (n_pairs + total - 2 S) / T       its "abs": 1 - mean |A - mask| T, not rounded
 *   attention  S / n_queries                         n_queries tokens t have a place in the pattern
 *
 * Over sequences mul and abs are means of the sequences' scores, as TransformerLens has it for a
 * list; attention is the sum of S over that of n_queries: 1 means that every token that could
 * attend so does so wholly. Sequences are added in their order, so equal sequences give equal bits
 * however they were cut into units.
 *
 *   unit     u32 first, u32 n, u32 is_listed; listed: n x (u32 T, T x u32 id)    little-endian
 *            not listed: the repeated random sequences [first, first + n) of the spec
 *   result   u32 n, u32 n_layers, u32 n_heads; of each sequence u32 T, 3 x (u32 n_pairs,
 *            u32 n_queries), then of each head, by layer, f64 total, 3 x f64 S
 *
 * The spec is worker/tasks/head_scores_task.c's. Untrusted on both sides. Pure; any thread. */
#ifndef COMMON_HEAD_SCORES_H
#define COMMON_HEAD_SCORES_H

#include "common/buffer.h"
#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum head_pattern { PATTERN_PREVIOUS_TOKEN, PATTERN_DUPLICATE_TOKEN, PATTERN_INDUCTION };

enum {
    HEAD_N_PATTERNS = PATTERN_INDUCTION + 1,
    HEAD_N_SUMS = 1 + HEAD_N_PATTERNS, /* total, then S of each pattern */
    HEAD_SCORES_MAX_SEQUENCES = 1024,  /* of a unit */
    HEAD_SCORES_MAX_TOKENS = 4096,     /* of a sequence; at least 2 */
    HEAD_SCORES_MAX_HEADS = 65536,     /* of a model, all layers */
    HEAD_SCORES_MAX_UNIT_BYTES = 20 * 1024 * 1024,
    HEAD_SCORES_MAX_RESULT_BYTES = 128 * 1024 * 1024
};

/* "previous_token", "duplicate_token", "induction"; or "?". */
const char *head_pattern_name(enum head_pattern pattern);

/* --- units --------------------------------------------------------------------------------- */

struct head_scores_unit {
    uint32_t first, n; /* sequences [first, first + n); of listed ones first is their name only */
    bool is_listed;
    uint32_t *lengths; /* [n], owned; listed */
    uint32_t *ids;     /* one sequence behind the other, owned; listed */
};

/* Errors: ST_BAD_INPUT (a number out of range), ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t head_scores_unit_encode(const struct head_scores_unit *unit, struct buffer *out,
                                            struct error *err);
/* On ST_OK the caller owns *out. Errors: ST_CORRUPT, ST_NO_MEMORY. */
MUST_CHECK status_t head_scores_unit_decode(const void *bytes, size_t n_bytes,
                                            struct head_scores_unit *out, struct error *err);
void head_scores_unit_fini(struct head_scores_unit *unit);

/* --- results ------------------------------------------------------------------------------- */

struct head_scores_sequence {
    uint32_t n_tokens;
    uint32_t n_pairs[HEAD_N_PATTERNS], n_queries[HEAD_N_PATTERNS];
};

struct head_scores_result {
    uint32_t n, n_layers, n_heads;
    struct head_scores_sequence *sequences; /* [n], owned */
    double *sums;                           /* [n, n_layers, n_heads, HEAD_N_SUMS], owned */
};

/* All zero, of that shape. Errors: ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t head_scores_result_init(struct head_scores_result *out, uint32_t n,
                                            uint32_t n_layers, uint32_t n_heads, struct error *err);
void head_scores_result_fini(struct head_scores_result *result); /* fine on a zeroed one */
/* Errors: ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t head_scores_result_encode(const struct head_scores_result *result,
                                              struct buffer *out, struct error *err);
/* On ST_OK the caller owns *out. Errors: ST_CORRUPT (sizes, numbers that are not finite or that no
 * attention has), ST_NO_MEMORY. */
MUST_CHECK status_t head_scores_result_decode(const void *bytes, size_t n_bytes,
                                              struct head_scores_result *out, struct error *err);

/* --- scores over sequences ------------------------------------------------------------------ */

struct head_scores {
    uint32_t n_layers, n_heads;
    uint64_t n_sequences, n_queries[HEAD_N_PATTERNS];
    double *sums; /* [n_layers, n_heads, HEAD_N_PATTERNS, 3]: of mul, abs and S; owned */
};

/* Errors: ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t head_scores_init(struct head_scores *out, uint32_t n_layers, uint32_t n_heads,
                                     struct error *err);
void head_scores_fini(struct head_scores *scores);
/* Add a unit's sequences; units in their order. Errors: ST_CORRUPT (another model's shape). */
MUST_CHECK status_t head_scores_add(struct head_scores *scores,
                                    const struct head_scores_result *result, struct error *err);

struct head_score {
    double mul, abs, attention; /* 0 where not defined */
    bool is_defined;            /* false: no sequence has a place in the pattern */
};
struct head_score head_scores_of(const struct head_scores *scores, uint32_t layer, uint32_t head,
                                 enum head_pattern pattern);

#endif
