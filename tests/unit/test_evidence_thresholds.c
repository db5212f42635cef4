#include "common/evidence_bins.h"
#include "common/evidence_key.h"
#include "common/evidence_view.h"
#include "tests/unit/evidence_world.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static const struct world_params params = {.seed = 31,
                                           .n_slots = 40,
                                           .n_documents = 200,
                                           .n_units = 5,
                                           .n_rows = 6,
                                           .row_tokens = 64,
                                           .vocabulary = 40,
                                           .firing_per_token = 6};

static const struct evidence_identity identity = {.target_key = 3,
                                                  .n_slots = 40,
                                                  .split = EVIDENCE_TEST,
                                                  .limits = {.top_k = 4,
                                                             .bin_k = 2,
                                                             .silent_k = 6,
                                                             .near_miss_k = 2,
                                                             .doc_k = 5,
                                                             .window_tokens = 8,
                                                             .min_window_tokens = 2}};

static struct evidence_state *merge_units(const struct world *world, uint32_t n_units)
{
    struct evidence_state *state = world_state(world, &identity);
    struct error err = {0};
    for (uint32_t i = 0; i < n_units; i++) {
        struct world_bytes partial = world_partial(world, i, &identity, NULL, NULL);
        cr_assert_eq(
            evidence_state_merge_partial(state, partial.bytes, partial.n_bytes, NULL, &err), ST_OK,
            "%s", err.text);
        free(partial.bytes);
    }
    return state;
}

static struct evidence_thresholds *make_thresholds(const struct evidence_state *state)
{
    struct evidence_thresholds *thresholds = NULL;
    struct error err = {0};
    cr_assert_eq(evidence_thresholds_create(&thresholds, state, &err), ST_OK, "%s", err.text);
    return thresholds;
}

Test(evidence_thresholds, of_an_empty_state_keep_everything)
{
    struct world world;
    world_init(&world, &params, EVIDENCE_TEST);
    struct evidence_state *state = merge_units(&world, 0);
    struct evidence_thresholds *thresholds = make_thresholds(state);
    for (uint32_t slot = 0; slot < params.n_slots; slot++) {
        cr_expect(evidence_thresholds_keep_firing(thresholds, slot, 1e-30f, UINT64_MAX));
        cr_expect_eq(evidence_thresholds_silent(thresholds, slot), UINT64_MAX);
        cr_expect_eq(evidence_thresholds_near_miss(thresholds, slot), UINT64_MAX);
        cr_expect_eq(evidence_thresholds_neighbour(thresholds, slot), UINT64_MAX);
        cr_expect_eq(evidence_thresholds_document(thresholds, slot), UINT64_MAX);
    }
    evidence_thresholds_destroy(&thresholds);
    evidence_state_destroy(&state);
    world_fini(&world);
}

/* Everything in the state would survive its own thresholds, and the cut is tight: within the
 * rounding, a key above the largest one kept is refused. */
Test(evidence_thresholds, keep_what_is_kept_and_little_else)
{
    struct world world;
    world_init(&world, &params, EVIDENCE_TEST);
    struct evidence_state *state = merge_units(&world, params.n_units);
    struct evidence_thresholds *thresholds = make_thresholds(state);
    for (uint32_t slot = 0; slot < params.n_slots; slot++) {
        struct evidence_view view;
        struct error err = {0};
        cr_assert_eq(evidence_view_open(state, slot, &view, &err), ST_OK);
        uint64_t largest = 0;
        for (size_t i = 0; i < view.n_silent; i++) {
            const struct evidence_window window = evidence_view_silent(&view, i);
            const uint64_t key =
                evidence_key(evidence_window_number(world.document_keys[window.document_index],
                                                    window.document_offset),
                             evidence_slot_number(slot));
            if (key > largest) largest = key;
        }
        const uint64_t limit = evidence_thresholds_silent(thresholds, slot);
        if (view.n_silent == identity.limits.silent_k) {
            cr_expect_geq(limit, largest, "slot %u", slot);
            cr_expect_leq(limit, largest + largest / 512, "slot %u: a loose limit", slot);
        } else
            cr_expect_eq(limit, UINT64_MAX, "slot %u", slot);
        for (size_t i = 0; i < view.n_top; i++)
            cr_expect(evidence_thresholds_keep_firing(
                thresholds, slot, evidence_view_firing(&view, i).max_value, UINT64_MAX));
    }
    evidence_thresholds_destroy(&thresholds);
    evidence_state_destroy(&state);
    world_fini(&world);
}

Test(evidence_thresholds, drop_by_value_and_key_together)
{
    struct world world;
    world_init(&world, &params, EVIDENCE_TEST);
    struct evidence_state *state = merge_units(&world, params.n_units);
    struct evidence_thresholds *thresholds = make_thresholds(state);
    size_t n_dropped = 0;
    for (uint32_t slot = 0; slot < params.n_slots; slot++) {
        struct evidence_view view;
        struct error err = {0};
        cr_assert_eq(evidence_view_open(state, slot, &view, &err), ST_OK);
        if (view.n_top < identity.limits.top_k) continue;
        for (size_t i = view.n_top; i < view.n_firing; i++) { /* reservoirs below the top */
            const float value = evidence_view_firing(&view, i).max_value;
            size_t sample[EVIDENCE_MAX_BIN_K];
            const uint32_t bin = evidence_reservoir_bin(value);
            cr_expect(evidence_thresholds_keep_firing(thresholds, slot, value, 0));
            if (evidence_view_reservoir(&view, bin, sample) < identity.limits.bin_k)
                cr_expect(evidence_thresholds_keep_firing(thresholds, slot, value, UINT64_MAX));
            else if (value < evidence_view_firing(&view, view.n_top - 1).max_value * 0.9f)
                n_dropped += !evidence_thresholds_keep_firing(thresholds, slot, value, UINT64_MAX);
        }
    }
    cr_expect_gt(n_dropped, 20, "only %zu dropped", n_dropped);
    evidence_thresholds_destroy(&thresholds);
    evidence_state_destroy(&state);
    world_fini(&world);
}

Test(evidence_thresholds, refuse_every_truncation_and_survive_every_altered_byte)
{
    struct world world;
    struct buffer bytes;
    struct error err = {0};
    world_init(&world, &params, EVIDENCE_TEST);
    struct evidence_state *state = merge_units(&world, 2);
    struct evidence_thresholds *thresholds = make_thresholds(state), *read = NULL;
    buffer_init(&bytes, 1 << 20);
    cr_assert_eq(evidence_thresholds_encode(thresholds, &bytes, &err), ST_OK);
    for (size_t n = 0; n < bytes.n_bytes; n++)
        cr_assert_neq(evidence_thresholds_decode(bytes.bytes, n, &read, NULL), ST_OK, "%zu", n);
    for (size_t i = 0; i < bytes.n_bytes; i++) {
        bytes.bytes[i] ^= 0x41;
        if (evidence_thresholds_decode(bytes.bytes, bytes.n_bytes, &read, NULL) == ST_OK) {
            for (uint32_t slot = 0; slot < evidence_thresholds_identity(read)->n_slots; slot++)
                (void)evidence_thresholds_keep_firing(read, slot, 1.0f, 7);
            evidence_thresholds_destroy(&read);
        }
        bytes.bytes[i] ^= 0x41;
    }
    cr_assert_eq(evidence_thresholds_decode(bytes.bytes, bytes.n_bytes, &read, &err), ST_OK);
    cr_expect(evidence_identity_equal(evidence_thresholds_identity(read), &identity));
    evidence_thresholds_destroy(&read);
    evidence_thresholds_destroy(&thresholds);
    evidence_state_destroy(&state);
    buffer_fini(&bytes);
    world_fini(&world);
}

Test(evidence_thresholds, need_a_state_of_all_slots)
{
    struct evidence_documents documents = {0};
    const struct evidence_state_params part = {identity, 3, 5, &documents};
    struct evidence_state *state = NULL;
    struct evidence_thresholds *thresholds = NULL;
    struct error err = {0};
    cr_assert_eq(evidence_state_create(&state, &part, &err), ST_OK, "%s", err.text);
    cr_expect_eq(evidence_thresholds_create(&thresholds, state, &err), ST_BAD_INPUT);
    evidence_state_destroy(&state);
}
