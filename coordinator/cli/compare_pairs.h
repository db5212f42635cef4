/* Two sweeps over the same features, paired by target and feature; what changed, and how sure that
 * is. Pure; one thread.
 *
 *   difference   mean of (second - first) over the pairs that have the score in both; its interval
 *                is a 95 % percentile bootstrap over features (2,000 resamples, seeded): features
 *                are what was sampled here, documents are within each feature's own interval
 *   supported    lost: by the first alone, gained: by the second alone. Whether one supports
 *                more is McNemar's question; p is exact and two-sided: 2 P(X >= max(lost, gained))
 *                of lost + gained fair coins, at most 1 */
#ifndef COORDINATOR_CLI_COMPARE_PAIRS_H
#define COORDINATOR_CLI_COMPARE_PAIRS_H

#include "common/error.h"
#include "coordinator/session/bootstrap.h"

#include <jansson.h>

enum { COMPARE_N_SCORES = 5, COMPARE_ALL_STATUSES = -1 };
extern const char *const compare_score_names[COMPARE_N_SCORES]; /* "detection.random", ... */

/* What is kept of one record. */
struct compare_row {
    uint32_t target;
    uint64_t feature;
    int status;  /* enum feature_status */
    char *label; /* owned; NULL: none */
    bool is_supported;
    double scores[COMPARE_N_SCORES]; /* NAN: none */
    double low, high;                /* of the main score's own interval; NAN: none */
    json_t *subject;                 /* model, hook point, dictionary; owned */
};
struct compare_rows {
    struct compare_row *list; /* [n], by target and feature, owned */
    size_t n, capacity;
};
MUST_CHECK status_t compare_rows_add(struct compare_rows *rows, const json_t *record,
                                     uint32_t target, struct error *err);
void compare_rows_fini(struct compare_rows *rows);

struct compare_pair {
    const struct compare_row *first, *second;
};
struct compare_pairs {
    struct compare_pair *list; /* [n], owned; rows are borrowed */
    size_t n, n_only_first, n_only_second;
};
/* Errors: ST_BAD_INPUT (a target of one is another model, hook point or dictionary in the other; no
 * feature in common), ST_NO_MEMORY. */
MUST_CHECK status_t compare_pairs_make(struct compare_pairs *out, const struct compare_rows *first,
                                       const struct compare_rows *second, struct error *err);
void compare_pairs_fini(struct compare_pairs *pairs);

bool compare_pair_changed(const struct compare_pair *pair); /* another label, or one alone */
/* Second minus first; NAN where either has none. */
double compare_pair_difference(const struct compare_pair *pair, size_t score);

struct compare_difference {
    size_t n; /* pairs with the score in both */
    double mean;
    struct interval interval; /* undefined below 2 pairs */
};
struct compare_summary {
    size_t n, n_changed, n_both, n_lost, n_gained;
    double mcnemar_p; /* 1 where nothing was lost or gained */
    struct compare_difference scores[COMPARE_N_SCORES];
};
/* Of the pairs whose feature has that status in the first sweep, or of all. */
MUST_CHECK status_t compare_summarise(const struct compare_pairs *pairs, int status_wanted,
                                      uint64_t seed, struct compare_summary *out,
                                      struct error *err);

#endif
