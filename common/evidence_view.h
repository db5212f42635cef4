/* Reading one slot of a merged state: what a session, a report or a page needs to know.
 *
 * A view borrows the state and is void after its next merge. */
#ifndef COMMON_EVIDENCE_VIEW_H
#define COMMON_EVIDENCE_VIEW_H

#include "common/evidence.h"
#include "common/evidence_bins.h"
#include "common/evidence_counts.h"
#include "common/evidence_state.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct evidence_slot; /* opaque: evidence_slot.h */

struct evidence_view {
    uint32_t slot;              /* absolute */
    uint64_t n_tokens;          /* of the split */
    uint64_t n_firing_tokens;   /* value > fire threshold */
    uint64_t n_positive_tokens; /* value > 0: the same unless the slot has a threshold */
    uint64_t n_firing_windows;  /* of at least min_window_tokens */
    double density;             /* n_firing_tokens / n_tokens; 0 without tokens */
    double sum;                 /* of the values > 0 */
    double mean_positive;       /* sum / n_positive_tokens; 0 if none */
    bool is_sum_saturated;      /* sum reached the 64-bit fixed point's end: it is a bound */
    float max_value;            /* 0 if none */
    uint32_t n_documents;       /* with firing tokens; a lower bound unless exact */
    bool is_n_documents_exact;
    uint64_t n_firing_on_hard[EVIDENCE_HARD_TOKENS]; /* firing tokens of that hard type */
    uint64_t n_hard_tokens[EVIDENCE_HARD_TOKENS];    /* tokens of that type in the split */
    size_t n_firing; /* kept firing windows: evidence_view_firing() */
    size_t n_top;    /* of which the first n_top are the top windows */
    size_t n_silent;
    size_t n_near_miss;
    size_t n_neighbour;
    const struct evidence_counts *value_counts;    /* tokens > 0 by value bin */
    const struct evidence_counts *window_counts;   /* firing windows by reservoir bin */
    const struct evidence_counts *position_counts; /* firing tokens by position bucket */
    const struct evidence_state *state;
    const struct evidence_slot *slot_state;
};

/* `slot` is absolute. Errors: ST_NOT_FOUND if the state does not cover it. */
MUST_CHECK status_t evidence_view_open(const struct evidence_state *state, uint32_t slot,
                                       struct evidence_view *out, struct error *err);

/* A kept firing window with the slot's values > 0 in it. */
struct evidence_entry {
    struct evidence_window window;
    float max_value;
    uint16_t n_activations;
    const uint16_t *position; /* [n_activations], ascending, within the window; borrowed */
    const float *value;       /* [n_activations], > 0; borrowed */
};

/* Kept firing window `index` < n_firing: ordered by maximum (largest first), then key. */
struct evidence_entry evidence_view_firing(const struct evidence_view *view, size_t index);

/* Silent window, near miss or neighbour's window `index`: ordered by key, that is, at random. */
struct evidence_window evidence_view_silent(const struct evidence_view *view, size_t index);
struct evidence_window evidence_view_near_miss(const struct evidence_view *view, size_t index);
struct evidence_window evidence_view_neighbour(const struct evidence_view *view, size_t index);

/* The reservoir of a bin: indices (for evidence_view_firing) of its up to bin_k windows of
 * smallest key, smallest first; a uniform sample of the bin's firing windows. Returns how many;
 * `out` has room for EVIDENCE_MAX_BIN_K. */
size_t evidence_view_reservoir(const struct evidence_view *view, uint32_t bin, size_t *out);

/* Tokens with a value > threshold: exact if the threshold is an edge of a value bin (as
 * evidence_freeze_threshold gives), else a lower bound that leaves the threshold's bin out. */
uint64_t evidence_view_n_above(const struct evidence_view *view, float threshold);

/* The value below which a share q of the slot's values > 0 lies: upper edge of its bin. */
float evidence_view_quantile(const struct evidence_view *view, double q);

/* F1 of the best predictor that knows only the position in the row (a set of position buckets)
 * or only one token type (the best hard token): near 1 means the slot is explained by it. 0 if
 * nothing fired or was not counted. */
double evidence_view_position_f1(const struct evidence_view *view);
double evidence_view_token_f1(const struct evidence_view *view, uint32_t *best_hard_token);

#endif
