#include "tests/unit/evidence_world.h"

#include "common/evidence_block.h"
#include "common/evidence_key.h"
#include "common/hash.h"
#include "worker/tasks/capture_accumulator.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

uint64_t world_random(uint64_t *state)
{
    return hash_mix64((*state)++);
}

static void *must(void *pointer)
{
    cr_assert_not_null(pointer, "out of memory");
    return pointer;
}

/* Where the next token of the corpus comes from. */
struct source {
    uint64_t random;
    uint32_t document, offset, length;
};

static void next_document(struct source *source)
{
    source->document++;
    source->offset = 0;
    source->length = 3 + (uint32_t)(world_random(&source->random) % 300);
}

static void fill_row(struct world_unit *unit, uint32_t row, struct source *source,
                     const struct world *world)
{
    const uint32_t row_tokens = unit->unit.row_tokens;
    uint32_t at = 1; /* behind the beginning-of-text token */
    unit->tokens[row * row_tokens] = 0;
    while (at < row_tokens) {
        if (source->offset == source->length) next_document(source);
        const uint32_t left = source->length - source->offset;
        const uint32_t n = left < row_tokens - at ? left : row_tokens - at;
        cr_assert_lt(source->document, world->params.n_documents, "world ran out of documents");
        unit->segments[unit->unit.n_segments++] = (struct capture_segment){
            row, at, n, source->document, source->offset, world->document_keys[source->document]};
        for (uint32_t i = 0; i < n; i++) {
            /* drawn in this order by every compiler, for bytes that are pinned */
            const uint64_t draw = world_random(&source->random);
            const uint64_t bound =
                world_random(&source->random) % (world->params.vocabulary - 1) + 1;
            unit->tokens[row * row_tokens + at + i] = 1 + (uint32_t)(draw % bound);
        }
        source->offset += n;
        at += n;
    }
}

/* Values spread over seven octaves, many of them equal, so that ties are met. */
static float made_up_value(uint64_t random)
{
    const float base = (float)(1 + random % 16) / 16.0f;
    return base * (float)(1u << (random >> 8) % 7) / 8.0f;
}

static int compare_u32(const void *left, const void *right)
{
    uint32_t a, b;
    memcpy(&a, left, sizeof a);
    memcpy(&b, right, sizeof b);
    return (a > b) - (a < b);
}

static size_t fill_token(const struct world *world, uint32_t token, uint64_t *random,
                         struct sparse_rows *rows, size_t at)
{
    const uint32_t n_slots = world->params.n_slots;
    const size_t first = at;
    for (uint32_t i = 0; i < world->params.firing_per_token; i++) {
        /* half of the slots belong to the token, half to chance; low slots fire often */
        const uint64_t draw = world_random(random);
        const uint32_t slot = (uint32_t)(draw & 1 ? hash_mix64(token * 64u + i) % n_slots
                                                  : (draw >> 8) % ((draw >> 40) % n_slots + 1));
        rows->feature[at++] = slot;
    }
    qsort(rows->feature + first, at - first, sizeof *rows->feature, compare_u32);
    size_t end = first;
    for (size_t i = first; i < at; i++)
        if (end == first || rows->feature[end - 1] != rows->feature[i])
            rows->feature[end++] = rows->feature[i];
    for (size_t i = first; i < end; i++) rows->value[i] = made_up_value(world_random(random));
    return end;
}

static void fill_activations(const struct world *world, struct world_unit *unit, uint64_t *random)
{
    struct sparse_rows *rows = &unit->rows;
    const size_t n_tokens = (size_t)unit->unit.n_rows * unit->unit.row_tokens;
    const size_t max_values = n_tokens * world->params.firing_per_token;
    rows->n_rows = n_tokens;
    rows->row_start = must(malloc((n_tokens + 1) * sizeof *rows->row_start));
    rows->feature = must(malloc((max_values + 1) * sizeof *rows->feature));
    rows->value = must(malloc((max_values + 1) * sizeof *rows->value));
    rows->row_start[0] = 0;
    for (size_t i = 0; i < n_tokens; i++)
        rows->row_start[i + 1] =
            fill_token(world, unit->tokens[i], random, rows, rows->row_start[i]);
}

static void fill_unit(struct world *world, uint32_t index, struct source *source,
                      enum evidence_split split)
{
    const struct world_params *params = &world->params;
    struct world_unit *unit = &world->units[index];
    const size_t n_tokens = (size_t)params->n_rows * params->row_tokens;
    unit->tokens = must(malloc(n_tokens * sizeof *unit->tokens));
    unit->segments = must(malloc(n_tokens * sizeof *unit->segments));
    unit->unit = (struct capture_unit){.unit_number = 1000 + index,
                                       .split = split,
                                       .n_rows = params->n_rows,
                                       .row_tokens = params->row_tokens,
                                       .tokens = unit->tokens,
                                       .segments = unit->segments};
    for (uint32_t row = 0; row < params->n_rows; row++) fill_row(unit, row, source, world);
    fill_activations(world, unit, &source->random);
}

void world_init(struct world *world, const struct world_params *params, enum evidence_split split)
{
    struct source source = {.random = params->seed, .document = UINT32_MAX};
    *world = (struct world){.params = *params};
    world->document_keys = must(malloc(params->n_documents * sizeof *world->document_keys));
    for (uint32_t i = 0; i < params->n_documents; i++)
        world->document_keys[i] = hash_mix64(params->seed * 7919 + i);
    /* two documents of one name: keys alone do not order windows */
    if (params->n_documents > 3) world->document_keys[3] = world->document_keys[1];
    world->documents = (struct evidence_documents){world->document_keys, params->n_documents};
    world->units = must(calloc(params->n_units, sizeof *world->units));
    for (uint32_t i = 0; i < params->n_units; i++) fill_unit(world, i, &source, split);
}

void world_fini(struct world *world)
{
    for (uint32_t i = 0; i < world->params.n_units; i++) {
        free(world->units[i].tokens);
        free(world->units[i].segments);
        free(world->units[i].rows.row_start);
        free(world->units[i].rows.feature);
        free(world->units[i].rows.value);
    }
    free(world->units);
    free(world->document_keys);
}

/* In two portions, as a forward pass that works in batches brings them. */
static void add_rows(struct capture_accumulator *accumulator, const struct sparse_rows *rows)
{
    const size_t n_first = rows->n_rows / 3;
    struct sparse_rows part = *rows;
    struct error err = {0};
    part.n_rows = n_first;
    cr_assert_eq(capture_accumulator_add(accumulator, &part, &err), ST_OK, "%s", err.text);
    part.n_rows = rows->n_rows - n_first;
    part.row_start = rows->row_start + n_first;
    cr_assert_eq(capture_accumulator_add(accumulator, &part, &err), ST_OK, "%s", err.text);
}

struct world_bytes world_partial(const struct world *world, uint32_t index,
                                 const struct evidence_identity *identity,
                                 const struct evidence_frozen *frozen,
                                 const struct evidence_thresholds *thresholds)
{
    const struct world_unit *unit = &world->units[index];
    struct capture_accumulator *accumulator = NULL;
    struct buffer out;
    struct error err = {0};
    buffer_init(&out, EVIDENCE_MAX_PARTIAL_BYTES);
    cr_assert_eq(capture_accumulator_create(&accumulator, identity, frozen, &err), ST_OK, "%s",
                 err.text);
    cr_assert_eq(capture_accumulator_begin(accumulator, &unit->unit, thresholds, &err), ST_OK, "%s",
                 err.text);
    add_rows(accumulator, &unit->rows);
    cr_assert_eq(capture_accumulator_finish(accumulator, &out, &err), ST_OK, "%s", err.text);
    capture_accumulator_destroy(&accumulator);
    return (struct world_bytes){out.bytes, out.n_bytes};
}

struct evidence_state *world_state(const struct world *world,
                                   const struct evidence_identity *identity)
{
    struct evidence_state *state = NULL;
    struct error err = {0};
    const struct evidence_state_params params = {
        .identity = *identity, .n_slots = identity->n_slots, .documents = &world->documents};
    cr_assert_eq(evidence_state_create(&state, &params, &err), ST_OK, "%s", err.text);
    return state;
}

struct world_bytes world_canonical(const struct evidence_state *state)
{
    struct buffer out;
    struct error err = {0};
    buffer_init(&out, EVIDENCE_MAX_BLOCK_BYTES);
    cr_assert_eq(evidence_block_encode(state, 0, evidence_state_n_slots(state), &out, &err), ST_OK,
                 "%s", err.text);
    return (struct world_bytes){out.bytes, out.n_bytes};
}

status_t world_lookup(void *context, const struct evidence_window *window, uint32_t *tokens,
                      struct error *err)
{
    const struct world *world = context;
    for (uint32_t i = 0; i < world->params.n_units; i++) {
        const struct world_unit *unit = &world->units[i];
        for (uint32_t j = 0; j < unit->unit.n_segments; j++) {
            const struct capture_segment *segment = &unit->segments[j];
            if (segment->document_index != window->document_index ||
                window->document_offset < segment->document_offset ||
                window->document_offset + window->n_tokens >
                    segment->document_offset + segment->length)
                continue;
            memcpy(tokens,
                   unit->tokens + segment->row * unit->unit.row_tokens + segment->start +
                       (window->document_offset - segment->document_offset),
                   window->n_tokens * sizeof *tokens);
            return ST_OK;
        }
    }
    return error_set(err, ST_NOT_FOUND, "no such window");
}
