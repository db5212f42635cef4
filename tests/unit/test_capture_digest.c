/* A unit's partial from the digest of its rows is the partial of the rows, byte for byte. The
 * digest is the plain one of the self-test, which test_kernels_digest.c holds the device's to. */
#include "kernels/selftest/reference_digest.h"
#include "tests/unit/evidence_world.h"
#include "worker/tasks/capture_accumulator.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const struct evidence_limits USUAL = {
    .top_k = 5, .bin_k = 2, .silent_k = 3, .doc_k = 4, .window_tokens = 8, .min_window_tokens = 3};

static struct evidence_identity identity_of(const struct world *world,
                                            struct evidence_limits limits)
{
    return (struct evidence_identity){.target_key = 5,
                                      .n_slots = world->params.n_slots,
                                      .split = EVIDENCE_EXPLAIN,
                                      .limits = limits};
}

static void init_world(struct world *world, uint64_t seed)
{
    const struct world_params params = {.seed = seed,
                                        .n_slots = 60,
                                        .n_documents = 40,
                                        .n_units = 12,
                                        .n_rows = 3,
                                        .row_tokens = 61,
                                        .vocabulary = 90,
                                        .firing_per_token = 9};
    world_init(world, &params, EVIDENCE_EXPLAIN);
}

/* The partial of a unit by its digest; *n_bytes of new memory. */
static unsigned char *digest_partial(struct capture_accumulator *accumulator,
                                     const struct world_unit *unit,
                                     const struct evidence_thresholds *thresholds, uint64_t number,
                                     size_t *n_bytes)
{
    struct digest_params params;
    struct reference_digest reference;
    struct buffer out;
    struct error err = {0};
    buffer_init(&out, EVIDENCE_MAX_PARTIAL_BYTES);
    cr_assert_eq(capture_accumulator_begin(accumulator, &unit->unit, thresholds, &err), ST_OK, "%s",
                 err.text);
    cr_assert(capture_accumulator_can_digest(accumulator));
    cr_assert_eq(capture_accumulator_ask_digest(accumulator, number, &params, &err), ST_OK);
    cr_assert_eq(reference_digest_init(&reference, &unit->rows, 60, &params, &err), ST_OK);
    cr_assert_eq(capture_accumulator_take_digest(accumulator, &reference.digest, &err), ST_OK, "%s",
                 err.text);
    cr_assert_eq(capture_accumulator_finish(accumulator, &out, &err), ST_OK, "%s", err.text);
    reference_digest_fini(&reference);
    *n_bytes = out.n_bytes;
    return out.bytes;
}

/* All units; thresholds of what is merged come in with the fourth, and others two units later. */
static void expect_same_sweep(struct evidence_limits limits, uint64_t seed)
{
    struct world world;
    struct capture_accumulator *accumulator = NULL;
    struct evidence_thresholds *thresholds = NULL;
    struct error err = {0};
    init_world(&world, seed);
    const struct evidence_identity identity = identity_of(&world, limits);
    struct evidence_state *state = world_state(&world, &identity);
    cr_assert_eq(capture_accumulator_create(&accumulator, &identity, NULL, &err), ST_OK);
    for (uint32_t i = 0; i < world.params.n_units; i++) {
        if (i > 2 && i % 2) {
            evidence_thresholds_destroy(&thresholds);
            cr_assert_eq(evidence_thresholds_create(&thresholds, state, &err), ST_OK);
        }
        const struct world_bytes wanted = world_partial(&world, i, &identity, NULL, thresholds);
        size_t n_bytes;
        unsigned char *bytes = digest_partial(accumulator, &world.units[i], thresholds,
                                              thresholds ? 1 + i - (i % 2 == 0) : 0, &n_bytes);
        cr_expect(n_bytes == wanted.n_bytes && memcmp(bytes, wanted.bytes, n_bytes) == 0,
                  "unit %u, seed %u: %zu bytes, not %zu", i, (unsigned)seed, n_bytes,
                  wanted.n_bytes);
        cr_assert_eq(evidence_state_merge_partial(state, bytes, n_bytes, NULL, &err), ST_OK, "%s",
                     err.text);
        free(bytes);
        free(wanted.bytes);
    }
    capture_accumulator_destroy(&accumulator);
    evidence_thresholds_destroy(&thresholds);
    evidence_state_destroy(&state);
    world_fini(&world);
}

Test(capture_digest, gives_the_partials_of_the_rows_under_every_limit)
{
    static const struct {
        uint32_t top_k, bin_k, silent_k, doc_k, window_tokens, min_window_tokens;
    } cases[] = {{5, 2, 3, 4, 8, 3}, {1, 1, 3, 4, 8, 3},   {1, 0, 1, 1, 8, 8}, {3, 3, 2, 1, 1, 1},
                 {2, 1, 3, 4, 5, 5}, {200, 9, 9, 9, 4, 2}, {1, 0, 5, 2, 16, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct evidence_limits limits = USUAL;
        limits.top_k = cases[i].top_k;
        limits.bin_k = cases[i].bin_k;
        limits.silent_k = cases[i].silent_k;
        limits.doc_k = cases[i].doc_k;
        limits.window_tokens = cases[i].window_tokens;
        limits.min_window_tokens = cases[i].min_window_tokens;
        expect_same_sweep(limits, 3 + i);
    }
}

/* Values of eighths alone: maxima are equal again and again. */
Test(capture_digest, gives_the_partials_of_the_rows_where_values_are_equal)
{
    struct world world;
    struct capture_accumulator *accumulator = NULL;
    struct error err = {0};
    init_world(&world, 8);
    const struct evidence_identity identity = identity_of(&world, USUAL);
    cr_assert_eq(capture_accumulator_create(&accumulator, &identity, NULL, &err), ST_OK);
    for (uint32_t i = 0; i < world.params.n_units; i++) {
        const struct sparse_rows *rows = &world.units[i].rows;
        for (size_t j = 0; j < rows->row_start[rows->n_rows]; j++)
            rows->value[j] = (float)(1 + j % 3) / 8;
        const struct world_bytes wanted = world_partial(&world, i, &identity, NULL, NULL);
        size_t n_bytes;
        unsigned char *bytes = digest_partial(accumulator, &world.units[i], NULL, 0, &n_bytes);
        cr_expect(n_bytes == wanted.n_bytes && memcmp(bytes, wanted.bytes, n_bytes) == 0, "unit %u",
                  i);
        free(bytes);
        free(wanted.bytes);
    }
    capture_accumulator_destroy(&accumulator);
    world_fini(&world);
}

static bool can_digest(const struct world *world, struct evidence_limits limits)
{
    struct capture_accumulator *accumulator = NULL;
    struct error err = {0};
    const struct evidence_identity identity = identity_of(world, limits);
    cr_assert_eq(capture_accumulator_create(&accumulator, &identity, NULL, &err), ST_OK, "%s",
                 err.text);
    cr_assert_eq(capture_accumulator_begin(accumulator, &world->units[0].unit, NULL, &err), ST_OK);
    const bool can = capture_accumulator_can_digest(accumulator);
    capture_accumulator_destroy(&accumulator);
    return can;
}

Test(capture_digest, leaves_positions_and_units_of_many_short_documents_to_the_rows)
{
    struct world world;
    struct evidence_limits limits = USUAL;
    init_world(&world, 3);
    cr_expect(can_digest(&world, limits));
    limits.counts_positions = 1;
    cr_expect_not(can_digest(&world, limits));
    limits.counts_positions = 0;
    limits.window_tokens = 1024; /* room for 2 windows: a unit has more documents */
    cr_expect_not(can_digest(&world, limits));
    world_fini(&world);
}

Test(capture_digest, refuses_one_that_is_over_or_of_other_slots)
{
    struct world world;
    struct capture_accumulator *accumulator = NULL;
    struct error err = {0};
    const struct digest over = {.is_over = true, .n_slots = 60}, other = {.n_slots = 59};
    init_world(&world, 3);
    const struct evidence_identity identity = identity_of(&world, USUAL);
    cr_assert_eq(capture_accumulator_create(&accumulator, &identity, NULL, &err), ST_OK);
    cr_assert_eq(capture_accumulator_begin(accumulator, &world.units[0].unit, NULL, &err), ST_OK);
    cr_expect_eq(capture_accumulator_take_digest(accumulator, &over, &err), ST_BAD_INPUT);
    cr_expect_eq(capture_accumulator_take_digest(accumulator, &other, &err), ST_BAD_INPUT);
    capture_accumulator_destroy(&accumulator);
    world_fini(&world);
}
