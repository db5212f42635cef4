/* The bytes of partials, pinned: a faster accumulator must write what the first one wrote. The
 * numbers are those of commit bea921c, which inserted every window into sorted lists. */
#include "common/hash.h"
#include "tests/unit/evidence_world.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum { N_UNITS = 5 };

static void make_frozen(struct evidence_frozen *frozen, uint32_t n_slots)
{
    struct error err = {0};
    cr_assert_eq(evidence_frozen_init(frozen, n_slots, &err), ST_OK, "%s", err.text);
    for (uint32_t i = 0; i < n_slots; i++) {
        frozen->fire_threshold[i] = i % 3 == 0 ? 0.5f : 0;
        for (uint32_t j = 0; j < i % 5; j++) frozen->hard_tokens[i][j] = 1 + (i * 7 + j * 3) % 49;
        for (uint32_t j = 0; j < i % (EVIDENCE_NEIGHBOURS + 1) && j + 1 < n_slots; j++)
            frozen->neighbours[i][j] = (i + 1 + j) % n_slots;
        frozen->strong_value[i] = (float)(i % 4);
    }
}

/* A sweep of one worker with fresh thresholds for every unit: a number of all its partials. */
static uint64_t number_of_sweep(const struct world_params *params,
                                const struct evidence_identity *identity,
                                const struct evidence_frozen *frozen)
{
    struct world world;
    struct error err = {0};
    struct evidence_thresholds *thresholds = NULL;
    uint64_t number = 0;
    world_init(&world, params, identity->split);
    struct evidence_state *state = world_state(&world, identity);
    for (uint32_t i = 0; i < params->n_units; i++) {
        struct world_bytes partial = world_partial(&world, i, identity, frozen, thresholds);
        number = hash_mix64(number ^ hash_name64(partial.bytes, partial.n_bytes));
        cr_assert_eq(
            evidence_state_merge_partial(state, partial.bytes, partial.n_bytes, NULL, &err), ST_OK,
            "%s", err.text);
        free(partial.bytes);
        evidence_thresholds_destroy(&thresholds);
        cr_assert_eq(evidence_thresholds_create(&thresholds, state, &err), ST_OK);
    }
    evidence_thresholds_destroy(&thresholds);
    evidence_state_destroy(&state);
    world_fini(&world);
    return number;
}

static const struct {
    const char *name;
    struct world_params world;
    struct evidence_limits limits;
    uint64_t want, want_frozen;
} cases[] = {
    {"everything overflows",
     {11, 60, 400, N_UNITS, 5, 64, 50, 6},
     {5, 2, 7, 4, 3, 6, 8, 3, 1},
     UINT64_C(0x2bfe833afffbe334),
     UINT64_C(0x9c57ec1d6a9224dc)},
    {"slots that fire in every window, and hundreds of windows",
     {12, 9, 2000, N_UNITS, 16, 512, 300, 7},
     {20, 6, 20, 40, 24, 32, 16, 8, 1},
     UINT64_C(0x1b0abfcd8197d172),
     UINT64_C(0xfe9bb70ca8730532)},
    {"rare slots, and more asked for than there is",
     {13, 500, 600, N_UNITS, 4, 256, 50, 3},
     {256, 64, 1024, 1024, 1024, 256, 32, 8, 0},
     UINT64_C(0xf52e9e719f9034f2),
     UINT64_C(0x69392228330312ce)},
    {"no samples",
     {14, 30, 600, N_UNITS, 4, 300, 50, 5},
     {3, 0, 0, 0, 0, 1, 4, 1, 0},
     UINT64_C(0xe61e675f33b8e9f),
     UINT64_C(0xaf25ed5de64fdf58)},
    {"a window is a token",
     {15, 12, 600, N_UNITS, 3, 200, 50, 4},
     {7, 3, 9, 5, 4, 8, 1, 1, 1},
     UINT64_C(0x6a894e82eb26955b),
     UINT64_C(0xd9350f2f3293f878)},
};

Test(capture_bytes, are_those_of_the_first_accumulator)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct evidence_frozen frozen;
        make_frozen(&frozen, cases[i].world.n_slots);
        const struct evidence_identity plain = {.target_key = 77,
                                                .n_slots = cases[i].world.n_slots,
                                                .split = EVIDENCE_EXPLAIN,
                                                .limits = cases[i].limits};
        struct evidence_identity later = plain;
        later.split = EVIDENCE_TEST;
        later.frozen_key = evidence_frozen_key(&frozen);
        const uint64_t got = number_of_sweep(&cases[i].world, &plain, NULL);
        const uint64_t got_frozen = number_of_sweep(&cases[i].world, &later, &frozen);
        cr_expect_eq(got, cases[i].want, "%s: %#llx", cases[i].name, (unsigned long long)got);
        cr_expect_eq(got_frozen, cases[i].want_frozen, "%s, frozen: %#llx", cases[i].name,
                     (unsigned long long)got_frozen);
        evidence_frozen_fini(&frozen);
    }
}
