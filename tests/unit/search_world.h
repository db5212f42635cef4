/* Models of which everything is known, for the tests of searches: the metric as a closed form of
 * what is ablated, with noise of its own on every prompt.
 *
 * N nodes; `kind` says which of them answer and how they depend on each other. The others are
 * dead (every third: exactly no effect) or move the answer by a hair, each its own. Memory is that
 * of keep_alloc(). */
#ifndef TESTS_UNIT_SEARCH_WORLD_H
#define TESTS_UNIT_SEARCH_WORLD_H

#include "coordinator/circuit/circuit_search.h"
#include "tests/support/session_windows.h"

#include <math.h>

enum world_kind {
    WORLD_CHAIN,    /* 3 and 7, both needed */
    WORLD_OR,       /* (2 or 5), then 8 */
    WORLD_AND,      /* (2 and 5), then 8 */
    WORLD_GRADED,   /* 3, then 0.6 of 6 and 0.4 of 9 */
    WORLD_BACKUP,   /* 1, then 6; 9 wakes when 6 is silent */
    WORLD_HALF,     /* 1, then 6; 9 gives half of it when 6 is silent */
    WORLD_NEGATIVE, /* 3, then 7, less 0.4 by 9 */
    WORLD_THREE,    /* (2 or 5 or 6), then 8 */
    WORLD_TWO_ORS   /* (2 or 5), then (7 or 9) */
};
enum { WORLD_N_KINDS = WORLD_TWO_ORS + 1, WORLD_MAX_NODES = 4096 };

struct world {
    enum world_kind kind;
    uint32_t n; /* nodes, at least 12 */
    uint32_t n_prompts;
    bool is_divergence;
    uint64_t seed;
    uint32_t n_heads; /* of a layer; 0: 4 */
};

/* In [-1, 1), fixed for its names. */
static inline double world_noise(const struct world *world, uint64_t a, uint64_t b)
{
    const uint64_t mixed = hash_mix64(hash_mix64(world->seed ^ hash_mix64(a)) ^ b);
    return (double)(mixed >> 11) / 4503599627370496.0 - 1.0;
}

static inline bool world_is_true(const struct world *world, uint32_t node)
{
    static const uint32_t truths[WORLD_N_KINDS][5] = {
        [WORLD_CHAIN] = {2, 3, 7},        [WORLD_OR] = {3, 2, 5, 8},
        [WORLD_AND] = {3, 2, 5, 8},       [WORLD_GRADED] = {3, 3, 6, 9},
        [WORLD_BACKUP] = {3, 1, 6, 9},    [WORLD_HALF] = {3, 1, 6, 9},
        [WORLD_NEGATIVE] = {3, 3, 7, 9},  [WORLD_THREE] = {4, 2, 5, 6, 8},
        [WORLD_TWO_ORS] = {4, 2, 5, 7, 9}};
    for (uint32_t i = 1; i <= truths[world->kind][0]; i++)
        if (truths[world->kind][i] == node) return true;
    return false;
}

/* How much of the answer is left; off [n]. */
static inline double world_answer(enum world_kind kind, const bool *off)
{
    switch (kind) {
    case WORLD_CHAIN: return !off[3] && !off[7];
    case WORLD_OR: return (!off[2] || !off[5]) && !off[8];
    case WORLD_AND: return !off[2] && !off[5] && !off[8];
    case WORLD_GRADED: return off[3] ? 0.0 : 0.6 * !off[6] + 0.4 * !off[9];
    case WORLD_BACKUP: return off[1] ? 0.0 : !off[6] || !off[9];
    case WORLD_HALF: return off[1] ? 0.0 : !off[6] ? 1.0 : 0.5 * !off[9];
    case WORLD_NEGATIVE: return off[3] ? 0.0 : 1.0 * !off[7] - 0.4 * !off[9];
    case WORLD_THREE: return (!off[2] || !off[5] || !off[6]) && !off[8];
    case WORLD_TWO_ORS: return (!off[2] || !off[5]) && (!off[7] || !off[9]);
    }
    return 0.0;
}

/* The metric of prompt i: 4 and its noise for the whole answer; a hair for each idle node. */
static inline double world_difference(const struct world *world, const bool *off, uint32_t i)
{
    double value = (4.0 + 0.3 * world_noise(world, 1, i)) * world_answer(world->kind, off);
    for (uint32_t v = 0; v < world->n; v++)
        if (off[v] && v % 3 != 0 && !world_is_true(world, v))
            value += (24.0 / world->n) * 0.002 * world_noise(world, 2 + v, i);
    return value;
}

static inline double world_value(const struct world *world, const bool *off, uint32_t i)
{
    static const bool none[WORLD_MAX_NODES];
    const double value = world_difference(world, off, i);
    const double gap = value - world_difference(world, none, i);
    return world->is_divergence ? 0.1 * gap * gap : value;
}

static inline void world_row(const struct world *world, const struct search_variant *variant,
                             double *row)
{
    bool off[WORLD_MAX_NODES] = {false};
    for (size_t k = 0; k < variant->n_nodes; k++) off[variant->nodes[k]] = true;
    for (uint32_t i = 0; i < world->n_prompts; i++) row[i] = world_value(world, off, i);
}

static inline const struct component *world_candidates(const struct world *world)
{
    const uint32_t n_heads = world->n_heads > 0 ? world->n_heads : 4;
    struct component *heads = keep_alloc(world->n, sizeof *heads);
    for (uint32_t v = 0; v < world->n; v++)
        heads[v] =
            (struct component){.type = COMPONENT_HEAD, .layer = v / n_heads, .index = v % n_heads};
    return heads;
}

/* Each prompt its own unit. */
static inline struct prompt_units world_units(const struct world *world)
{
    uint32_t *units = keep_alloc(world->n_prompts, sizeof *units);
    for (uint32_t i = 0; i < world->n_prompts; i++) units[i] = i;
    return (struct prompt_units){units, world->n_prompts, world->n_prompts};
}

static inline struct circuit_search_params world_params(const struct world *world)
{
    struct circuit_search_params params = circuit_search_params_default(world->seed);
    params.candidates = world_candidates(world);
    params.nodes.n = world->n;
    params.units = world_units(world);
    params.is_divergence = world->is_divergence;
    return params;
}

/* One batch, answered; false when the search is over. */
static inline bool world_answer_once(const struct world *world, struct circuit_search *search)
{
    const struct search_variant none = {.n_nodes = 0};
    struct search_batch batch;
    struct error err = {.status = ST_OK};
    cr_assert_eq(circuit_search_ask(search, &batch, &err), ST_OK, "%s", err.text);
    if (batch.n == 0) return false;
    double *rows = malloc((batch.n + 1) * world->n_prompts * sizeof *rows);
    cr_assert(rows != NULL);
    for (size_t v = 0; v < batch.n; v++)
        world_row(world, &batch.variants[v], rows + v * world->n_prompts);
    world_row(world, &none, rows + batch.n * world->n_prompts);
    cr_assert_eq(circuit_search_tell(search, rows, rows + batch.n * world->n_prompts, &err), ST_OK,
                 "%s", err.text);
    free(rows);
    return true;
}

/* To the end. The caller destroys the search after the result. */
static inline struct circuit_search *world_search(const struct world *world,
                                                  const struct circuit_search_params *params,
                                                  struct circuit_search_result *result)
{
    struct circuit_search *search = NULL;
    struct error err = {.status = ST_OK};
    cr_assert_eq(circuit_search_create(&search, params, &err), ST_OK, "%s", err.text);
    while (world_answer_once(world, search)) {
    }
    cr_assert_eq(circuit_search_finish(search, result, &err), ST_OK, "%s", err.text);
    return search;
}

#endif
