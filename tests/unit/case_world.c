#include "tests/unit/case_world.h"

#include "common/hash.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CAT = 5, DOG = 9, FIRST_PLAIN = 10, ROW_TOKENS = CASE_DOCUMENT_TOKENS + 1 };

/* --- the rule ------------------------------------------------------------------------------ */

float case_world_value(const struct case_world *world, uint32_t slot, uint32_t document,
                       uint32_t offset)
{
    const uint32_t *tokens = world->tokens[document];
    const uint32_t before = offset > 0 ? tokens[offset - 1] : 1;
    if (slot == CASE_CAT)
        return tokens[offset] == CAT && before % 2 == 0 ? 1.0f + (float)(before % 8) : 0.0f;
    if (slot == CASE_KIN) return tokens[offset] % 20 == 0 ? 1.0f + (float)(offset % 4) : 0.0f;
    if (slot == CASE_DOG) return tokens[offset] == DOG ? 3.0f : 0.0f;
    return slot == CASE_DENSE ? 1.0f : 0.0f;
}

enum evidence_split case_world_split(uint32_t document)
{
    if (document < CASE_N_EXPLAIN) return EVIDENCE_EXPLAIN;
    if (document < CASE_N_EXPLAIN + CASE_N_VALIDATE) return EVIDENCE_VALIDATE;
    return document < CASE_N_DOCUMENTS - CASE_N_OOD ? EVIDENCE_TEST : EVIDENCE_OOD;
}

/* --- documents ----------------------------------------------------------------------------- */

static void write_document(uint32_t *tokens, uint64_t *random)
{
    for (uint32_t i = 0; i < CASE_DOCUMENT_TOKENS; i++)
        tokens[i] =
            FIRST_PLAIN + (uint32_t)(world_random(random) % (CASE_N_VOCABULARY - FIRST_PLAIN));
    for (uint32_t i = 0; i < 5; i++) tokens[world_random(random) % CASE_DOCUMENT_TOKENS] = CAT;
    if (world_random(random) % 2) tokens[world_random(random) % CASE_DOCUMENT_TOKENS] = DOG;
}

static bool fires_somewhere(const struct case_world *world, uint32_t document)
{
    for (uint32_t i = 0; i < CASE_DOCUMENT_TOKENS; i++)
        if (case_world_value(world, CASE_CAT, document, i) > 0) return true;
    return false;
}

static void write_documents(struct case_world *world)
{
    uint64_t random = 11;
    uint32_t next = 0;
    for (uint32_t i = 0; i < CASE_N_DOCUMENTS; i++) write_document(world->tokens[i], &random);
    for (uint32_t i = 0; i < CASE_N_COPIES; i++) {
        while (!fires_somewhere(world, next)) next++;
        memcpy(world->tokens[CASE_N_EXPLAIN + CASE_N_VALIDATE + i], world->tokens[next++],
               sizeof world->tokens[0]);
    }
}

static void fill_corpus(struct case_world *world)
{
    struct error err = {0};
    char id[16];
    cr_assert_eq(token_corpus_create(&world->corpus, "/tmp", &err), ST_OK);
    for (uint32_t i = 0; i < CASE_N_DOCUMENTS; i++) {
        (void)snprintf(id, sizeof id, "doc-%u", i);
        cr_assert_eq(token_corpus_add(world->corpus, case_world_split(i) == EVIDENCE_OOD, id,
                                      world->tokens[i], CASE_DOCUMENT_TOKENS, &err),
                     ST_OK, "%s", err.text);
    }
    world->documents = token_corpus_keys(world->corpus);
}

/* --- capture ------------------------------------------------------------------------------- */

/* The documents of one split as one unit: a row each, behind a beginning-of-text token. */
struct split_unit {
    uint32_t tokens[CASE_N_EXPLAIN * ROW_TOKENS];
    struct capture_segment segments[CASE_N_EXPLAIN];
    size_t row_start[CASE_N_EXPLAIN * ROW_TOKENS + 1];
    uint32_t feature[CASE_N_EXPLAIN * ROW_TOKENS * CASE_N_SLOTS];
    float value[CASE_N_EXPLAIN * ROW_TOKENS * CASE_N_SLOTS];
    size_t n_values;
};

static void add_token(const struct case_world *world, struct split_unit *unit, uint32_t document,
                      uint32_t offset)
{
    for (uint32_t slot = 0; slot < CASE_N_SLOTS; slot++) {
        const float value = case_world_value(world, slot, document, offset);
        if (!(value > 0)) continue;
        unit->feature[unit->n_values] = slot;
        unit->value[unit->n_values++] = value;
    }
}

static uint32_t fill_unit(const struct case_world *world, enum evidence_split split,
                          struct split_unit *unit)
{
    uint32_t n_rows = 0;
    size_t at = 0;
    for (uint32_t document = 0; document < CASE_N_DOCUMENTS; document++) {
        if (case_world_split(document) != split) continue;
        unit->segments[n_rows] = (struct capture_segment){
            n_rows, 1, CASE_DOCUMENT_TOKENS, document, 0, world->documents.key[document]};
        unit->tokens[at] = 0;
        unit->row_start[++at] = unit->n_values;
        for (uint32_t i = 0; i < CASE_DOCUMENT_TOKENS; i++) {
            unit->tokens[at] = world->tokens[document][i];
            add_token(world, unit, document, i);
            unit->row_start[++at] = unit->n_values;
        }
        n_rows++;
    }
    return n_rows;
}

static struct evidence_identity identity_of(const struct case_world *world,
                                            enum evidence_split split)
{
    const bool is_explain = split == EVIDENCE_EXPLAIN;
    return (struct evidence_identity){.target_key = 1,
                                      .n_slots = CASE_N_SLOTS,
                                      .split = split,
                                      .frozen_key =
                                          is_explain ? 0 : evidence_frozen_key(&world->frozen),
                                      .limits = {.top_k = 20,
                                                 .bin_k = 6,
                                                 .silent_k = is_explain ? 20 : 40,
                                                 .near_miss_k = is_explain ? 0 : 40,
                                                 .neighbour_k = is_explain ? 0 : 24,
                                                 .doc_k = 32,
                                                 .window_tokens = CASE_WINDOW_TOKENS,
                                                 .min_window_tokens = 1,
                                                 .counts_positions = split == EVIDENCE_VALIDATE}};
}

static void capture(struct case_world *world, enum evidence_split split)
{
    struct split_unit *unit = calloc(1, sizeof *unit);
    struct error err = {0};
    cr_assert(unit);
    const uint32_t n_rows = fill_unit(world, split, unit);
    struct world_unit only = {
        .unit = {1 + (uint64_t)split, split, n_rows, ROW_TOKENS, n_rows, unit->tokens,
                 unit->segments},
        .rows = {(size_t)n_rows * ROW_TOKENS, unit->row_start, unit->feature, unit->value}};
    const struct world of = {.params = {.n_units = 1, .n_slots = CASE_N_SLOTS},
                             .documents = world->documents,
                             .units = &only};
    const struct evidence_identity identity = identity_of(world, split);
    struct world_bytes partial =
        world_partial(&of, 0, &identity, split == EVIDENCE_EXPLAIN ? NULL : &world->frozen, NULL);
    const struct evidence_state_params params = {
        .identity = identity, .n_slots = CASE_N_SLOTS, .documents = &world->documents};
    cr_assert_eq(evidence_state_create(&world->states[split], &params, &err), ST_OK);
    cr_assert_eq(evidence_state_merge_partial(world->states[split], partial.bytes, partial.n_bytes,
                                              NULL, &err),
                 ST_OK, "%s", err.text);
    free(partial.bytes);
    free(unit);
}

struct case_world *case_world(void)
{
    static struct case_world *world;
    struct error err = {0};
    if (world) return world;
    world = calloc(1, sizeof *world);
    cr_assert(world);
    write_documents(world);
    fill_corpus(world);
    cr_assert_eq(evidence_frozen_init(&world->frozen, CASE_N_SLOTS, &err), ST_OK);
    world->frozen.hard_tokens[CASE_CAT][0] = CAT;
    world->frozen.hard_tokens[CASE_DOG][0] = DOG;
    world->frozen.neighbours[CASE_CAT][0] = CASE_KIN;
    world->frozen.strong_value[CASE_KIN] = 2.0f;
    for (unsigned split = 0; split < EVIDENCE_N_SPLITS; split++)
        capture(world, (enum evidence_split)split);
    return world;
}

struct feature_case_params case_world_params(const struct case_world *world, uint32_t slot,
                                             unsigned parts)
{
    struct feature_case_params params = {
        .corpus = world->corpus,
        .slot = slot,
        .subject = 100 + slot,
        .seed = 3,
        .parts = parts,
        .scores = 1u << CASE_DETECTION | 1u << CASE_FUZZING,
        .n_firing = 12,
        .n_silent = 12,
        .windows_per_prompt = 10,
        .overlap_jaccard = 0.8,
        .thresholds = triage_thresholds_default(),
    };
    for (unsigned split = 0; split < EVIDENCE_N_SPLITS; split++)
        params.states[split] = world->states[split];
    return params;
}
