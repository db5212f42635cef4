/* The launches of a digest behind its encode, in the order of sparse_digest.c. */
#include "kernels/cuda/accounting.h"

#include <math.h>

enum { FIRST_AND_N_BYTES = 6, NUMBER_AND_MAY_BYTES = 10 }; /* of a window, as kernels read it */
enum { CANDIDATE_BYTES = 16, GROUPED_BYTES = 6, WORD_BYTES = 4 };

static void add_cost(struct launch_costs *to, enum launch_kind kind, double n_bytes, double flops)
{
    struct launch_cost *cost = &to->of[kind];
    cost->n_launches++;
    cost->n_bytes += n_bytes;
    cost->flops += flops;
}

static void account_starts(struct launch_costs *to, double n_slots)
{
    add_cost(to, LAUNCH_SPARSE_STARTS, n_slots * WORD_BYTES + (n_slots + 1) * WORD_BYTES,
             2 * n_slots);
}

/* Windows adjoin each other: a row's start is the end of the one before. */
static void account_grouping(struct launch_costs *to, const struct accounted_digest *p)
{
    const double slots = (double)p->n_slots, windows = (double)p->n_windows;
    const double cells = slots * windows * WORD_BYTES, changed = 2 * p->n_runs * WORD_BYTES;
    add_cost(to, LAUNCH_DIGEST_COUNT,
             windows * FIRST_AND_N_BYTES + (windows + 1) * WORD_BYTES + p->n_values * WORD_BYTES +
                 changed,
             p->n_values);
    add_cost(to, LAUNCH_DIGEST_TOTAL, cells + slots * WORD_BYTES, slots * windows);
    account_starts(to, slots);
    add_cost(to, LAUNCH_DIGEST_PLACE, 2 * cells + slots * WORD_BYTES, 6 * slots * windows);
    add_cost(to, LAUNCH_DIGEST_GROUP,
             windows * FIRST_AND_N_BYTES + ((double)p->n_tokens + 1) * WORD_BYTES +
                 p->n_values * (8 + GROUPED_BYTES) + changed,
             p->n_values);
}

/* Kept windows are taken as spread evenly over all: the first one's begins where its slot does.
 * Ranks: each candidate of a slot beside each other one, as if all slots had equally many. */
static void account_selection(struct launch_costs *to, const struct accounted_digest *p)
{
    const double slots = (double)p->n_slots, windows = (double)p->n_windows;
    const double active = ceil(windows / 32) * WORD_BYTES;
    const double ranks = p->n_candidates * p->n_candidates / slots;
    const double starts = (slots + 1) * WORD_BYTES;
    const double cuts = p->has_cuts ? slots * sizeof(struct digest_cut) + (double)p->n_limits : 0;
    add_cost(to, LAUNCH_DIGEST_SELECT,
             starts + p->n_values * 4 + slots * windows * WORD_BYTES +
                 windows * NUMBER_AND_MAY_BYTES + cuts + slots * active +
                 2 * p->n_candidates * CANDIDATE_BYTES + p->n_words * WORD_BYTES +
                 slots * (sizeof(struct digest_slot) + 2 * WORD_BYTES),
             p->n_values * 6 + ranks * 6);
    account_starts(to, slots);
    account_starts(to, slots);
    add_cost(to, LAUNCH_DIGEST_PACK,
             starts + slots * (2 * WORD_BYTES + sizeof(uint16_t)) + 2 * p->n_words * WORD_BYTES +
                 p->n_kept * (1 - 1 / windows) * WORD_BYTES + 2 * p->n_pairs * GROUPED_BYTES,
             0);
}

void account_digest(struct launch_costs *to, const struct accounted_digest *p)
{
    const size_t n_slots = p->n_slots, n_active = (p->n_windows + 31) / 32;
    const size_t n_words = (size_t)p->n_words, n_pairs = (size_t)p->n_pairs;
    account_transfer(to, LAUNCH_UPLOAD, (p->n_tokens + 1) * sizeof(uint32_t));
    account_transfer(to, LAUNCH_UPLOAD, p->n_windows * sizeof(struct digest_window));
    account_grouping(to, p);
    account_selection(to, p);
    account_transfer(to, LAUNCH_DOWNLOAD, sizeof(uint32_t)); /* words, pairs */
    account_transfer(to, LAUNCH_DOWNLOAD, sizeof(uint32_t));
    account_transfer(to, LAUNCH_DOWNLOAD, n_slots * sizeof(struct digest_slot));
    account_transfer(to, LAUNCH_DOWNLOAD, n_slots * n_active * sizeof(uint32_t));
    account_transfer(to, LAUNCH_DOWNLOAD, n_words * sizeof(uint32_t));
    account_transfer(to, LAUNCH_DOWNLOAD, n_pairs * sizeof(uint16_t));
    account_transfer(to, LAUNCH_DOWNLOAD, n_pairs * sizeof(float));
}
