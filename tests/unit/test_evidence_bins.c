#include "common/evidence_bins.h"
#include "common/evidence_counts.h"
#include "common/evidence_key.h"

#include <criterion/criterion.h>
#include <math.h>

Test(evidence_bins, have_exclusive_lower_and_inclusive_upper_edges)
{
    for (uint32_t bin = 0; bin < EVIDENCE_VALUE_BINS; bin++) {
        const float edge = evidence_value_edge(bin);
        cr_expect_eq(evidence_value_bin(edge), bin, "edge %g of bin %u", (double)edge, bin);
        const uint32_t above = evidence_value_bin(nextafterf(edge, INFINITY));
        const uint32_t want = bin + 1 < EVIDENCE_VALUE_BINS ? bin + 1 : bin;
        cr_expect_eq(above, want, "just above %g: bin %u", (double)edge, above);
    }
}

Test(evidence_bins, cut_every_octave_into_eight_equal_parts)
{
    cr_expect_eq(evidence_value_edge(EVIDENCE_VALUE_BINS - 1), 65536.0f);
    cr_expect_eq(evidence_value_edge(127), 1.0f);
    cr_expect_eq(evidence_value_edge(128), 1.125f);
    cr_expect_eq(evidence_value_edge(135), 2.0f);
    cr_expect_eq(evidence_value_edge(0), 0x1p-16f * 1.125f);
}

Test(evidence_bins, clamp_small_and_large_values)
{
    cr_expect_eq(evidence_value_bin(1e-38f), 0);
    cr_expect_eq(evidence_value_bin(1e-45f), 0, "a denormal");
    cr_expect_eq(evidence_value_bin(3e38f), EVIDENCE_VALUE_BINS - 1);
    cr_expect_eq(evidence_reservoir_bin(3e38f), EVIDENCE_RESERVOIR_BINS - 1);
}

Test(evidence_bins, put_positions_into_buckets_that_never_fall)
{
    uint32_t last = 0;
    for (uint32_t position = 0; position < 70000; position++) {
        const uint32_t bucket = evidence_position_bucket(position);
        cr_assert(bucket == last || bucket == last + 1, "position %u: bucket %u after %u", position,
                  bucket, last);
        cr_assert_lt(bucket, EVIDENCE_POSITION_BUCKETS);
        last = bucket;
    }
    cr_expect_eq(evidence_position_bucket(7), 7);
    cr_expect_eq(evidence_position_bucket(8), evidence_position_bucket(9));
    cr_expect_neq(evidence_position_bucket(9), evidence_position_bucket(10));
    cr_expect_eq(evidence_position_bucket(127), 23);
}

Test(evidence_counts, keep_only_the_populated_range)
{
    struct evidence_counts counts = {0};
    struct error err = {0};
    const uint16_t bins[] = {100, 103}, low[] = {7};
    const uint32_t n[] = {5, 2}, one[] = {9};
    cr_assert_eq(evidence_counts_add(&counts, bins, n, 2, &err), ST_OK);
    cr_expect_eq(counts.n_bins, 4);
    cr_assert_eq(evidence_counts_add(&counts, low, one, 1, &err), ST_OK);
    cr_assert_eq(evidence_counts_add(&counts, bins, n, 2, &err), ST_OK);
    cr_expect_eq(evidence_counts_at(&counts, 7), 9);
    cr_expect_eq(evidence_counts_at(&counts, 100), 10);
    cr_expect_eq(evidence_counts_at(&counts, 101), 0);
    cr_expect_eq(evidence_counts_at(&counts, 103), 4);
    cr_expect_eq(evidence_counts_at(&counts, 255), 0);
    cr_expect_eq(evidence_counts_from(&counts, 101), 4);
    cr_expect_eq(evidence_counts_total(&counts), 23);
    evidence_counts_fini(&counts);
}

/* Sampling needs uniform keys that are independent between slots: over 64 slots the smallest
 * tenth of 4,000 windows must hold about a tenth, and two slots must share about a hundredth. */
Test(evidence_key, is_uniform_and_independent_between_slots)
{
    enum { N_WINDOWS = 4000, N_SLOTS = 64 };
    static bool is_low[N_SLOTS][N_WINDOWS];
    double worst_share = 0, worst_overlap = 0;
    for (uint32_t slot = 0; slot < N_SLOTS; slot++) {
        uint32_t n_low = 0;
        for (uint32_t i = 0; i < N_WINDOWS; i++) {
            const uint64_t window = evidence_window_number(hash_mix64(i / 10), i % 10 * 32);
            is_low[slot][i] = evidence_key(window, evidence_slot_number(slot)) < UINT64_MAX / 10;
            n_low += is_low[slot][i];
        }
        worst_share = fmax(worst_share, fabs(n_low / (double)N_WINDOWS - 0.1));
    }
    for (uint32_t slot = 1; slot < N_SLOTS; slot++) {
        uint32_t n_both = 0;
        for (uint32_t i = 0; i < N_WINDOWS; i++) n_both += is_low[slot][i] && is_low[slot - 1][i];
        worst_overlap = fmax(worst_overlap, fabs(n_both / (double)N_WINDOWS - 0.01));
    }
    cr_expect_lt(worst_share, 0.02, "share off by %g", worst_share);
    cr_expect_lt(worst_overlap, 0.008, "overlap off by %g", worst_overlap);
}

/* Stored blocks are sorted and sampled by these numbers: they may never change. */
Test(evidence_key, stays_what_it_was)
{
    const uint64_t window = evidence_window_number(12345, 64);
    const uint64_t key = evidence_key(window, evidence_slot_number(7));
    cr_expect_eq(key, UINT64_C(0xce2be464a5823096));
    cr_expect_eq(evidence_near_key(key), UINT64_C(0x97aeb1b8e58b7085));
    cr_expect_eq(evidence_neighbour_key(key), UINT64_C(0x947310722f4b7e49));
    cr_expect_eq(evidence_document_number(12345), UINT64_C(0xfa358389987d0875));
}
