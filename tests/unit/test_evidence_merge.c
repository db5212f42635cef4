/* The property that everything rests on: what is merged equals brute force over all units, for
 * every order and grouping, with fresh, stale or no thresholds at the workers. */
#include "common/evidence_block.h"
#include "tests/unit/evidence_world.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { N_UNITS = 9 };

static const struct world_params params = {.seed = 11,
                                           .n_slots = 60,
                                           .n_documents = 400,
                                           .n_units = N_UNITS,
                                           .n_rows = 5,
                                           .row_tokens = 64,
                                           .vocabulary = 50,
                                           .firing_per_token = 6};

/* Limits small enough that everything overflows. */
static struct evidence_identity make_identity(enum evidence_split split,
                                              const struct evidence_frozen *frozen)
{
    return (struct evidence_identity){
        .target_key = 77,
        .frozen_key = evidence_frozen_key(frozen),
        .n_slots = params.n_slots,
        .split = split,
        .limits = {.top_k = 5,
                   .bin_k = 2,
                   .silent_k = 7,
                   .near_miss_k = 4,
                   .neighbour_k = 3,
                   .doc_k = 6,
                   .window_tokens = 8,
                   .min_window_tokens = 3,
                   .counts_positions = 1},
    };
}

static void make_frozen(struct evidence_frozen *frozen)
{
    struct error err = {0};
    cr_assert_eq(evidence_frozen_init(frozen, params.n_slots, &err), ST_OK, "%s", err.text);
    for (uint32_t i = 0; i < params.n_slots; i++) {
        frozen->fire_threshold[i] = i % 3 == 0 ? 0.5f : 0;
        for (uint32_t j = 0; j < i % 5; j++) frozen->hard_tokens[i][j] = 1 + (i * 7 + j * 3) % 49;
        for (uint32_t j = 0; j < i % (EVIDENCE_NEIGHBOURS + 1); j++)
            frozen->neighbours[i][j] = (i + 1 + 5 * j) % params.n_slots;
        frozen->strong_value[i] = (float)(i % 4);
    }
}

static void merge(struct evidence_state *state, struct world_bytes partial)
{
    struct error err = {0};
    cr_assert_eq(evidence_state_merge_partial(state, partial.bytes, partial.n_bytes, NULL, &err),
                 ST_OK, "%s", err.text);
}

static void expect_equal_states(const struct evidence_state *a, const struct evidence_state *b)
{
    struct world_bytes x = world_canonical(a), y = world_canonical(b);
    cr_assert_eq(x.n_bytes, y.n_bytes, "canonical bytes %zu and %zu", x.n_bytes, y.n_bytes);
    cr_assert_arr_eq(x.bytes, y.bytes, x.n_bytes);
    free(x.bytes);
    free(y.bytes);
}

static void shuffle(uint32_t *order, size_t n, uint64_t *random)
{
    for (size_t i = n; i > 1; i--) {
        const size_t j = (size_t)(world_random(random) % i);
        const uint32_t swapped = order[i - 1];
        order[i - 1] = order[j];
        order[j] = swapped;
    }
}

Test(evidence_merge, equals_brute_force_before_anything_is_frozen)
{
    struct world world;
    const struct evidence_identity identity = make_identity(EVIDENCE_EXPLAIN, NULL);
    world_init(&world, &params, EVIDENCE_EXPLAIN);
    struct evidence_state *state = world_state(&world, &identity);
    for (uint32_t i = 0; i < N_UNITS; i++) {
        struct world_bytes partial = world_partial(&world, i, &identity, NULL, NULL);
        merge(state, partial);
        free(partial.bytes);
    }
    world_expect_exact(&world, state, NULL);
    evidence_state_destroy(&state);
    world_fini(&world);
}

Test(evidence_merge, equals_brute_force_with_thresholds_and_hard_tokens)
{
    struct world world;
    struct evidence_frozen frozen;
    make_frozen(&frozen);
    const struct evidence_identity identity = make_identity(EVIDENCE_TEST, &frozen);
    world_init(&world, &params, EVIDENCE_TEST);
    struct evidence_state *state = world_state(&world, &identity);
    for (uint32_t i = 0; i < N_UNITS; i++) {
        struct world_bytes partial = world_partial(&world, i, &identity, &frozen, NULL);
        merge(state, partial);
        free(partial.bytes);
    }
    world_expect_exact(&world, state, &frozen);
    evidence_state_destroy(&state);
    evidence_frozen_fini(&frozen);
    world_fini(&world);
}

/* Units in random order into 1, 2 or 3 groups, the groups then in random order into one. */
static struct evidence_state *merge_grouped(const struct world *world,
                                            const struct evidence_identity *identity,
                                            const struct world_bytes *partials, size_t n_groups,
                                            uint64_t *random)
{
    struct evidence_state *groups[3] = {NULL};
    struct error err = {0};
    uint32_t order[N_UNITS], group_order[3] = {0, 1, 2};
    for (uint32_t i = 0; i < N_UNITS; i++) order[i] = i;
    shuffle(order, N_UNITS, random);
    shuffle(group_order, n_groups, random);
    for (size_t i = 0; i < n_groups; i++) groups[i] = world_state(world, identity);
    for (size_t i = 0; i < N_UNITS; i++)
        merge(groups[world_random(random) % n_groups], partials[order[i]]);
    struct evidence_state *total = groups[group_order[0]];
    for (size_t i = 1; i < n_groups; i++) {
        cr_assert_eq(evidence_state_merge_state(total, groups[group_order[i]], &err), ST_OK, "%s",
                     err.text);
        evidence_state_destroy(&groups[group_order[i]]);
    }
    return total;
}

Test(evidence_merge, gives_equal_bytes_for_every_order_and_grouping)
{
    struct world world;
    struct evidence_frozen frozen;
    struct world_bytes partials[N_UNITS];
    uint64_t random = 5;
    make_frozen(&frozen);
    const struct evidence_identity identity = make_identity(EVIDENCE_TEST, &frozen);
    world_init(&world, &params, EVIDENCE_TEST);
    for (uint32_t i = 0; i < N_UNITS; i++)
        partials[i] = world_partial(&world, i, &identity, &frozen, NULL);
    struct evidence_state *first = merge_grouped(&world, &identity, partials, 1, &random);
    cr_expect_eq(evidence_state_n_units(first), N_UNITS);
    for (size_t trial = 0; trial < 30; trial++) {
        struct evidence_state *other =
            merge_grouped(&world, &identity, partials, 1 + trial % 3, &random);
        expect_equal_states(first, other);
        evidence_state_destroy(&other);
    }
    evidence_state_destroy(&first);
    for (uint32_t i = 0; i < N_UNITS; i++) free(partials[i].bytes);
    evidence_frozen_fini(&frozen);
    world_fini(&world);
}

/* Thresholds go through their bytes, as on the wire. */
static struct evidence_thresholds *thresholds_of(const struct evidence_state *state)
{
    struct evidence_thresholds *made = NULL, *read = NULL;
    struct buffer bytes;
    struct error err = {0};
    buffer_init(&bytes, 1 << 20);
    cr_assert_eq(evidence_thresholds_create(&made, state, &err), ST_OK, "%s", err.text);
    cr_assert_eq(evidence_thresholds_encode(made, &bytes, &err), ST_OK, "%s", err.text);
    cr_assert_eq(evidence_thresholds_decode(bytes.bytes, bytes.n_bytes, &read, &err), ST_OK, "%s",
                 err.text);
    evidence_thresholds_destroy(&made);
    buffer_fini(&bytes);
    return read;
}

/* Capture the units in a random order; each with the thresholds of some earlier moment. */
static struct evidence_state *merge_with_feedback(const struct world *world,
                                                  const struct evidence_identity *identity,
                                                  const struct evidence_frozen *frozen,
                                                  uint64_t *random, size_t *n_bytes)
{
    struct evidence_thresholds *history[N_UNITS + 1] = {NULL};
    struct evidence_state *state = world_state(world, identity);
    uint32_t order[N_UNITS];
    for (uint32_t i = 0; i < N_UNITS; i++) order[i] = i;
    shuffle(order, N_UNITS, random);
    *n_bytes = 0;
    for (size_t i = 0; i < N_UNITS; i++) {
        history[i] = thresholds_of(state);
        const struct evidence_thresholds *stale = history[world_random(random) % (i + 1)];
        struct world_bytes partial = world_partial(world, order[i], identity, frozen, stale);
        merge(state, partial);
        *n_bytes += partial.n_bytes;
        free(partial.bytes);
    }
    for (size_t i = 0; i < N_UNITS; i++) evidence_thresholds_destroy(&history[i]);
    return state;
}

Test(evidence_merge, does_not_depend_on_thresholds_however_stale)
{
    struct world world;
    struct evidence_frozen frozen;
    uint64_t random = 3;
    size_t n_bytes_plain = 0, n_bytes;
    make_frozen(&frozen);
    const struct evidence_identity identity = make_identity(EVIDENCE_VALIDATE, &frozen);
    world_init(&world, &params, EVIDENCE_VALIDATE);
    struct evidence_state *plain = world_state(&world, &identity);
    for (uint32_t i = 0; i < N_UNITS; i++) {
        struct world_bytes partial = world_partial(&world, i, &identity, &frozen, NULL);
        merge(plain, partial);
        n_bytes_plain += partial.n_bytes;
        free(partial.bytes);
    }
    for (size_t trial = 0; trial < 20; trial++) {
        struct evidence_state *fed =
            merge_with_feedback(&world, &identity, &frozen, &random, &n_bytes);
        expect_equal_states(plain, fed);
        cr_expect_lt(n_bytes, n_bytes_plain, "thresholds saved nothing");
        evidence_state_destroy(&fed);
    }
    evidence_state_destroy(&plain);
    evidence_frozen_fini(&frozen);
    world_fini(&world);
}

Test(evidence_merge, of_a_range_of_slots_equals_that_range_of_all)
{
    struct world world;
    struct error err = {0};
    const struct evidence_identity identity = make_identity(EVIDENCE_EXPLAIN, NULL);
    world_init(&world, &params, EVIDENCE_EXPLAIN);
    struct evidence_state *whole = world_state(&world, &identity), *part = NULL;
    const struct evidence_state_params range = {identity, 20, 13, &world.documents};
    cr_assert_eq(evidence_state_create(&part, &range, &err), ST_OK);
    for (uint32_t i = 0; i < N_UNITS; i++) {
        struct world_bytes partial = world_partial(&world, i, &identity, NULL, NULL);
        merge(whole, partial);
        merge(part, partial);
        free(partial.bytes);
    }
    struct buffer x, y;
    buffer_init(&x, EVIDENCE_MAX_BLOCK_BYTES);
    buffer_init(&y, EVIDENCE_MAX_BLOCK_BYTES);
    cr_assert_eq(evidence_block_encode(whole, 20, 13, &x, &err), ST_OK);
    cr_assert_eq(evidence_block_encode(part, 20, 13, &y, &err), ST_OK);
    cr_assert_eq(x.n_bytes, y.n_bytes);
    cr_assert_arr_eq(x.bytes, y.bytes, x.n_bytes);
    buffer_fini(&x);
    buffer_fini(&y);
    evidence_state_destroy(&whole);
    evidence_state_destroy(&part);
    world_fini(&world);
}
