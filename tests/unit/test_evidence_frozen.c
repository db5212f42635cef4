#include "common/evidence_bins.h"
#include "tests/unit/evidence_world.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N_SLOTS = 9 };

static void make_frozen(struct evidence_frozen *frozen)
{
    struct error err = {0};
    cr_assert_eq(evidence_frozen_init(frozen, N_SLOTS, &err), ST_OK, "%s", err.text);
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        frozen->fire_threshold[i] = (float)i / 4;
        for (uint32_t j = 0; j < i % 5; j++) frozen->hard_tokens[i][j] = i * 1000 + j;
        for (uint32_t j = 0; j < i; j++) frozen->neighbours[i][j] = (i + j) % N_SLOTS;
        frozen->strong_value[i] = (float)i / 8;
    }
}

Test(evidence_frozen, round_trips_and_refuses_every_truncation)
{
    struct evidence_frozen frozen, read;
    struct buffer bytes;
    struct error err = {0};
    make_frozen(&frozen);
    buffer_init(&bytes, 1 << 16);
    cr_assert_eq(evidence_frozen_encode(&frozen, &bytes, &err), ST_OK);
    for (size_t n = 0; n < bytes.n_bytes; n++)
        cr_assert_neq(evidence_frozen_decode(bytes.bytes, n, &read, NULL), ST_OK, "%zu bytes", n);
    cr_assert_eq(evidence_frozen_decode(bytes.bytes, bytes.n_bytes, &read, &err), ST_OK, "%s",
                 err.text);
    cr_expect_eq(evidence_frozen_key(&read), evidence_frozen_key(&frozen));
    cr_expect_arr_eq(read.fire_threshold, frozen.fire_threshold, N_SLOTS * sizeof(float));
    cr_expect_arr_eq(read.hard_tokens, frozen.hard_tokens, N_SLOTS * sizeof *read.hard_tokens);
    cr_expect_arr_eq(read.neighbours, frozen.neighbours, N_SLOTS * sizeof *read.neighbours);
    cr_expect_arr_eq(read.strong_value, frozen.strong_value, N_SLOTS * sizeof(float));
    evidence_frozen_fini(&read);
    evidence_frozen_fini(&frozen);
    buffer_fini(&bytes);
}

Test(evidence_frozen, key_tells_every_value_apart)
{
    struct evidence_frozen frozen;
    make_frozen(&frozen);
    const uint64_t key = evidence_frozen_key(&frozen);
    cr_expect_neq(key, 0);
    cr_expect_eq(evidence_frozen_key(NULL), 0);
    frozen.fire_threshold[8] += 1;
    cr_expect_neq(evidence_frozen_key(&frozen), key);
    frozen.fire_threshold[8] -= 1;
    frozen.hard_tokens[0][3] = 1;
    cr_expect_neq(evidence_frozen_key(&frozen), key);
    frozen.hard_tokens[0][3] = EVIDENCE_NO_TOKEN;
    cr_expect_eq(evidence_frozen_key(&frozen), key);
    frozen.neighbours[0][7] = 1;
    cr_expect_neq(evidence_frozen_key(&frozen), key);
    frozen.neighbours[0][7] = EVIDENCE_NO_SLOT;
    frozen.strong_value[3] = 7;
    cr_expect_neq(evidence_frozen_key(&frozen), key);
    evidence_frozen_fini(&frozen);
}

Test(evidence_frozen, neighbours_are_slots_of_the_target)
{
    struct evidence_frozen frozen, read;
    struct buffer bytes;
    make_frozen(&frozen);
    frozen.neighbours[2][1] = N_SLOTS;
    buffer_init(&bytes, 1 << 16);
    cr_assert_eq(evidence_frozen_encode(&frozen, &bytes, NULL), ST_OK);
    cr_expect_eq(evidence_frozen_decode(bytes.bytes, bytes.n_bytes, &read, NULL), ST_CORRUPT);
    evidence_frozen_fini(&frozen);
    buffer_fini(&bytes);
}

static const struct world_params params = {.seed = 21,
                                           .n_slots = N_SLOTS,
                                           .n_documents = 60,
                                           .n_units = 3,
                                           .n_rows = 3,
                                           .row_tokens = 48,
                                           .vocabulary = 12,
                                           .firing_per_token = 3};

/* Limits so wide that everything is kept: then the kept mass is the mass of the corpus. */
static struct evidence_state *keep_everything(const struct world *world)
{
    const struct evidence_identity identity = {.target_key = 1,
                                               .n_slots = N_SLOTS,
                                               .split = EVIDENCE_EXPLAIN,
                                               .limits = {.top_k = 256,
                                                          .bin_k = 64,
                                                          .silent_k = 5,
                                                          .doc_k = 32,
                                                          .window_tokens = 16,
                                                          .min_window_tokens = 1}};
    struct evidence_state *state = world_state(world, &identity);
    struct error err = {0};
    for (uint32_t i = 0; i < params.n_units; i++) {
        struct world_bytes partial = world_partial(world, i, &identity, NULL, NULL);
        cr_assert_eq(
            evidence_state_merge_partial(state, partial.bytes, partial.n_bytes, NULL, &err), ST_OK,
            "%s", err.text);
        free(partial.bytes);
    }
    return state;
}

/* Mass of every token for a slot, over all tokens in segments. */
static void masses_of(const struct world *world, uint32_t slot, float threshold, double *mass)
{
    for (uint32_t i = 0; i < params.n_units; i++) {
        const struct world_unit *unit = &world->units[i];
        for (size_t t = 0; t < unit->rows.n_rows; t++)
            for (size_t j = unit->rows.row_start[t]; j < unit->rows.row_start[t + 1]; j++)
                if (unit->rows.feature[j] == slot && unit->tokens[t] != 0 &&
                    unit->rows.value[j] > threshold)
                    mass[unit->tokens[t]] += (double)unit->rows.value[j];
    }
}

/* Values > 0 of a slot in segments; how many of them are above `least`. */
static size_t count_of_slot(const struct world *world, uint32_t slot, float least)
{
    size_t n = 0;
    for (uint32_t i = 0; i < params.n_units; i++) {
        const struct world_unit *unit = &world->units[i];
        for (size_t t = 0; t < unit->rows.n_rows; t++)
            for (size_t j = unit->rows.row_start[t]; j < unit->rows.row_start[t + 1]; j++)
                n += unit->rows.feature[j] == slot && unit->tokens[t] != 0 &&
                     unit->rows.value[j] > least;
    }
    return n;
}

Test(evidence_freeze, at_least_half_of_a_slots_values_are_strong_and_a_bin_higher_fewer)
{
    struct world world;
    struct evidence_frozen frozen;
    world_init(&world, &params, EVIDENCE_EXPLAIN);
    struct evidence_state *state = keep_everything(&world);
    cr_assert_eq(evidence_frozen_init(&frozen, N_SLOTS, NULL), ST_OK);
    cr_assert_eq(evidence_freeze_strong_values(state, &frozen, NULL), ST_OK);
    for (uint32_t slot = 0; slot < N_SLOTS; slot++) {
        const float strong = frozen.strong_value[slot];
        const size_t n = count_of_slot(&world, slot, 0);
        cr_assert_gt(n, 0);
        cr_assert_gt(strong, 0);
        cr_expect_geq(2 * count_of_slot(&world, slot, strong), n, "slot %u", slot);
        const float next = evidence_value_edge(evidence_value_bin(strong) + 1);
        cr_expect_leq(2 * count_of_slot(&world, slot, next), n, "slot %u", slot);
    }
    evidence_state_destroy(&state);
    world_fini(&world);
    evidence_frozen_fini(&frozen);
}

Test(evidence_freeze, hard_tokens_are_the_heaviest_firing_types)
{
    struct world world;
    struct evidence_frozen frozen;
    struct error err = {0};
    world_init(&world, &params, EVIDENCE_EXPLAIN);
    struct evidence_state *state = keep_everything(&world);
    cr_assert_eq(evidence_frozen_init(&frozen, N_SLOTS, &err), ST_OK);
    frozen.fire_threshold[2] = 2;
    cr_assert_eq(evidence_freeze_hard_tokens(state, world_lookup, &world, &frozen, &err), ST_OK,
                 "%s", err.text);
    for (uint32_t slot = 0; slot < N_SLOTS; slot++) {
        double mass[16] = {0};
        masses_of(&world, slot, frozen.fire_threshold[slot], mass);
        for (size_t i = 0; i < EVIDENCE_HARD_TOKENS; i++) {
            uint32_t best = EVIDENCE_NO_TOKEN;
            for (uint32_t t = 1; t < params.vocabulary; t++)
                if (mass[t] > 0 && (best == EVIDENCE_NO_TOKEN || mass[t] > mass[best])) best = t;
            cr_assert_eq(frozen.hard_tokens[slot][i], best, "slot %u, place %zu: %u, not %u", slot,
                         i, frozen.hard_tokens[slot][i], best);
            if (best != EVIDENCE_NO_TOKEN) mass[best] = 0;
        }
    }
    evidence_frozen_fini(&frozen);
    evidence_state_destroy(&state);
    world_fini(&world);
}

static status_t refuse(void *context, const struct evidence_window *window, uint32_t *tokens,
                       struct error *err)
{
    (void)context;
    (void)tokens;
    return error_set(err, ST_IO, "no tokens of document %u", window->document_index);
}

Test(evidence_freeze, passes_the_lookups_error_on)
{
    struct world world;
    struct evidence_frozen frozen;
    struct error err = {0};
    world_init(&world, &params, EVIDENCE_EXPLAIN);
    struct evidence_state *state = keep_everything(&world);
    cr_assert_eq(evidence_frozen_init(&frozen, N_SLOTS, &err), ST_OK);
    cr_expect_eq(evidence_freeze_hard_tokens(state, refuse, NULL, &frozen, &err), ST_IO);
    evidence_frozen_fini(&frozen);
    evidence_state_destroy(&state);
    world_fini(&world);
}

/* Tokens in segments whose value for slot 0 or 1 is above `edge`. */
static double count_above(const struct world *world, float edge)
{
    double n_above = 0;
    for (uint32_t i = 0; i < params.n_units; i++) {
        const struct world_unit *unit = &world->units[i];
        for (size_t t = 0; t < unit->rows.n_rows; t++)
            for (size_t j = unit->rows.row_start[t]; j < unit->rows.row_start[t + 1]; j++)
                n_above +=
                    unit->tokens[t] != 0 && unit->rows.feature[j] < 2 && unit->rows.value[j] > edge;
    }
    return n_above;
}

/* The threshold is an edge, and no other edge's tail is nearer to the wanted one. */
Test(evidence_freeze, threshold_is_the_edge_of_nearest_tail)
{
    static const double tails[] = {0.3, 0.1, 0.05, 0.01};
    const uint32_t slots[2] = {0, 1};
    struct world world;
    world_init(&world, &params, EVIDENCE_EXPLAIN);
    struct evidence_state *state = keep_everything(&world);
    const double n_tokens = (double)evidence_state_n_tokens(state);
    for (size_t i = 0; i < 4; i++) {
        const float threshold = evidence_freeze_threshold(state, slots, 2, tails[i]);
        double best = 1e9;
        cr_assert_eq(threshold, evidence_value_edge(evidence_value_bin(threshold)));
        for (uint32_t bin = 0; bin < EVIDENCE_VALUE_BINS; bin++)
            best = fmin(best,
                        fabs(count_above(&world, evidence_value_edge(bin)) / n_tokens - tails[i]));
        const double got = fabs(count_above(&world, threshold) / n_tokens - tails[i]);
        cr_expect_float_eq(got, best, 1e-12, "tail %g: off by %g, %g was possible", tails[i], got,
                           best);
    }
    evidence_state_destroy(&state);
    world_fini(&world);
}
