/* Brute force: every window of the world for every slot, sorted whole. Shares the keys and bins
 * with the code under test (they have tests of their own), and nothing else. */
#include "common/evidence_key.h"
#include "common/evidence_view.h"
#include "tests/unit/evidence_world.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

struct fact { /* one window, seen by one slot */
    struct evidence_window window;
    uint64_t key;
    float max_value;
    uint32_t n_activations;
    uint16_t position[EVIDENCE_MAX_WINDOW_TOKENS];
    float value[EVIDENCE_MAX_WINDOW_TOKENS];
    bool has_hard_token, has_neighbour, is_long;
};

struct facts {
    const struct evidence_limits *limits;
    const struct evidence_frozen *frozen;
    uint32_t slot;
    float threshold;
    struct fact *item;
    size_t n;
    uint64_t n_tokens, n_firing_tokens, n_positive, sum_fixed;
    uint64_t n_hard[EVIDENCE_HARD_TOKENS], n_on_hard[EVIDENCE_HARD_TOKENS];
    uint32_t values[EVIDENCE_VALUE_BINS], windows[EVIDENCE_RESERVOIR_BINS];
    uint32_t positions[EVIDENCE_POSITION_BUCKETS];
    bool *fires_in; /* [n_documents] */
};

static float value_at(const struct sparse_rows *rows, size_t token, uint32_t slot)
{
    for (size_t i = rows->row_start[token]; i < rows->row_start[token + 1]; i++)
        if (rows->feature[i] == slot) return rows->value[i];
    return 0;
}

static void note_token(struct facts *facts, struct fact *fact, uint32_t token, float value)
{
    facts->n_tokens++;
    for (size_t i = 0; facts->frozen && i < EVIDENCE_HARD_TOKENS; i++) {
        if (facts->frozen->hard_tokens[facts->slot][i] != token) continue;
        facts->n_hard[i]++;
        facts->n_on_hard[i] += value > facts->threshold;
        fact->has_hard_token = true;
    }
    if (!(value > 0)) return;
    facts->n_positive++;
    facts->n_firing_tokens += value > facts->threshold;
    facts->sum_fixed += (uint64_t)((double)value * 1048576.0 + 0.5);
    facts->values[evidence_value_bin(value)]++;
    if (value > fact->max_value) fact->max_value = value;
}

static void note_neighbours(const struct facts *facts, struct fact *fact,
                            const struct world_unit *unit, size_t place)
{
    for (size_t i = 0; facts->frozen && i < EVIDENCE_NEIGHBOURS; i++) {
        const uint32_t neighbour = facts->frozen->neighbours[facts->slot][i];
        if (neighbour == EVIDENCE_NO_SLOT) return;
        if (value_at(&unit->rows, place, neighbour) > facts->frozen->strong_value[neighbour])
            fact->has_neighbour = true;
    }
}

static void note_window(const struct world *world, struct facts *facts,
                        const struct world_unit *unit, const struct capture_segment *segment,
                        uint32_t start)
{
    const struct evidence_limits *limits = facts->limits;
    struct fact *fact = &facts->item[facts->n++];
    const uint32_t left = segment->length - start;
    const uint32_t n = left < limits->window_tokens ? left : limits->window_tokens;
    memset(fact, 0, sizeof *fact);
    fact->window = (struct evidence_window){segment->document_index,
                                            segment->document_offset + start, (uint16_t)n};
    fact->key = evidence_key(evidence_window_number(world->document_keys[segment->document_index],
                                                    fact->window.document_offset),
                             evidence_slot_number(facts->slot));
    fact->is_long = n >= limits->min_window_tokens;
    for (uint32_t i = 0; i < n; i++) {
        const size_t place =
            (size_t)segment->row * unit->unit.row_tokens + segment->start + start + i;
        const float value = value_at(&unit->rows, place, facts->slot);
        note_token(facts, fact, unit->tokens[place], value);
        note_neighbours(facts, fact, unit, place);
        if (value > facts->threshold)
            facts->positions[evidence_position_bucket(segment->start + start + i)]++;
        if (!(value > 0)) continue;
        fact->position[fact->n_activations] = (uint16_t)i;
        fact->value[fact->n_activations++] = value;
    }
    if (!(fact->max_value > facts->threshold)) return;
    facts->fires_in[segment->document_index] = true;
    if (fact->is_long) facts->windows[evidence_reservoir_bin(fact->max_value)]++;
}

static void gather(const struct world *world, uint32_t slot, const struct evidence_limits *limits,
                   const struct evidence_frozen *frozen, struct facts *facts)
{
    struct fact *item = facts->item;
    bool *fires_in = facts->fires_in;
    *facts = (struct facts){.limits = limits,
                            .frozen = frozen,
                            .slot = slot,
                            .item = item,
                            .threshold = frozen ? frozen->fire_threshold[slot] : 0,
                            .fires_in = fires_in};
    memset(fires_in, 0, world->params.n_documents * sizeof *fires_in);
    for (uint32_t i = 0; i < world->params.n_units; i++) {
        const struct world_unit *unit = &world->units[i];
        for (uint32_t j = 0; j < unit->unit.n_segments; j++)
            for (uint32_t at = 0; at < unit->segments[j].length; at += limits->window_tokens)
                note_window(world, facts, unit, &unit->segments[j], at);
    }
}

static int by_key(const void *left, const void *right)
{
    const struct fact *a = left, *b = right;
    if (a->key != b->key) return a->key < b->key ? -1 : 1;
    return (a->window.document_index > b->window.document_index) -
           (a->window.document_index < b->window.document_index);
}

static int by_near_key(const void *left, const void *right)
{
    const struct fact *a = left, *b = right;
    const uint64_t x = evidence_near_key(a->key), y = evidence_near_key(b->key);
    if (x != y) return x < y ? -1 : 1;
    return by_key(left, right);
}

static int by_neighbour_key(const void *left, const void *right)
{
    const struct fact *a = left, *b = right;
    const uint64_t x = evidence_neighbour_key(a->key), y = evidence_neighbour_key(b->key);
    if (x != y) return x < y ? -1 : 1;
    return by_key(left, right);
}

static int by_value(const void *left, const void *right)
{
    const struct fact *a = left, *b = right;
    if (a->max_value != b->max_value) return a->max_value > b->max_value ? -1 : 1;
    return by_key(left, right);
}

static bool same_window(const struct evidence_window *a, const struct evidence_window *b)
{
    return a->document_index == b->document_index && a->document_offset == b->document_offset &&
           a->n_tokens == b->n_tokens;
}

static void expect_counts(const struct evidence_counts *counts, const uint32_t *want, uint32_t n,
                          uint32_t slot, const char *what)
{
    for (uint32_t i = 0; i < n; i++)
        cr_assert_eq(evidence_counts_at(counts, i), want[i], "slot %u: %s in bin %u: %u, not %u",
                     slot, what, i, evidence_counts_at(counts, i), want[i]);
}

static void expect_statistics(const struct world *world, const struct facts *facts,
                              const struct evidence_view *view,
                              const struct evidence_limits *limits)
{
    uint32_t n_documents = 0;
    for (uint32_t i = 0; i < world->params.n_documents; i++) n_documents += facts->fires_in[i];
    if (n_documents > limits->doc_k) n_documents = limits->doc_k;
    cr_assert_eq(view->n_tokens, facts->n_tokens);
    cr_assert_eq(view->n_firing_tokens, facts->n_firing_tokens, "slot %u", view->slot);
    cr_assert_eq(view->n_positive_tokens, facts->n_positive, "slot %u", view->slot);
    cr_assert_eq(view->sum, (double)facts->sum_fixed / 1048576.0, "slot %u", view->slot);
    cr_assert_eq(view->n_documents, n_documents, "slot %u: %u documents, not %u", view->slot,
                 view->n_documents, n_documents);
    expect_counts(view->value_counts, facts->values, EVIDENCE_VALUE_BINS, view->slot, "values");
    expect_counts(view->window_counts, facts->windows, EVIDENCE_RESERVOIR_BINS, view->slot,
                  "windows");
    if (limits->counts_positions)
        expect_counts(view->position_counts, facts->positions, EVIDENCE_POSITION_BUCKETS,
                      view->slot, "positions");
    for (size_t i = 0; i < EVIDENCE_HARD_TOKENS; i++) {
        cr_assert_eq(view->n_hard_tokens[i], facts->n_hard[i], "slot %u", view->slot);
        cr_assert_eq(view->n_firing_on_hard[i], facts->n_on_hard[i], "slot %u", view->slot);
    }
}

static void expect_entry(const struct evidence_view *view, size_t index, const struct fact *fact)
{
    const struct evidence_entry entry = evidence_view_firing(view, index);
    cr_assert(same_window(&entry.window, &fact->window), "slot %u: window %zu", view->slot, index);
    cr_assert_eq(entry.max_value, fact->max_value, "slot %u: window %zu", view->slot, index);
    cr_assert_eq(entry.n_activations, fact->n_activations);
    cr_assert_arr_eq(entry.position, fact->position, fact->n_activations * sizeof(uint16_t));
    cr_assert_arr_eq(entry.value, fact->value, fact->n_activations * sizeof(float));
}

static void expect_firing(struct facts *facts, const struct evidence_view *view, float threshold,
                          const struct evidence_limits *limits)
{
    size_t n_top = 0, reservoir[EVIDENCE_MAX_BIN_K];
    qsort(facts->item, facts->n, sizeof *facts->item, by_value);
    for (size_t i = 0; i < facts->n && n_top < limits->top_k; i++)
        if (facts->item[i].max_value > threshold && facts->item[i].is_long)
            expect_entry(view, n_top++, &facts->item[i]);
    cr_assert_eq(view->n_top, n_top, "slot %u", view->slot);
    qsort(facts->item, facts->n, sizeof *facts->item, by_key);
    for (uint32_t bin = 0; bin < EVIDENCE_RESERVOIR_BINS; bin++) {
        const size_t n = evidence_view_reservoir(view, bin, reservoir);
        size_t n_want = 0;
        for (size_t i = 0; i < facts->n && n_want < limits->bin_k; i++) {
            const struct fact *fact = &facts->item[i];
            if (!(fact->max_value > threshold) || !fact->is_long ||
                evidence_reservoir_bin(fact->max_value) != bin)
                continue;
            cr_assert_lt(n_want, n, "slot %u: bin %u holds %zu", view->slot, bin, n);
            expect_entry(view, reservoir[n_want++], fact);
        }
        cr_assert_eq(n, n_want, "slot %u: bin %u", view->slot, bin);
    }
}

static void expect_silent(struct facts *facts, const struct evidence_view *view, float threshold,
                          const struct evidence_limits *limits)
{
    size_t n_silent = 0, n_near = 0;
    for (size_t i = 0; i < facts->n; i++) { /* sorted by key from before */
        const struct fact *fact = &facts->item[i];
        if (fact->max_value > threshold || !fact->is_long || n_silent == limits->silent_k) continue;
        const struct evidence_window got = evidence_view_silent(view, n_silent++);
        cr_assert(same_window(&got, &fact->window), "slot %u: silent %zu", view->slot, n_silent);
    }
    cr_assert_eq(view->n_silent, n_silent, "slot %u", view->slot);
    qsort(facts->item, facts->n, sizeof *facts->item, by_near_key);
    for (size_t i = 0; i < facts->n; i++) {
        const struct fact *fact = &facts->item[i];
        if (fact->max_value > threshold || !fact->is_long || !fact->has_hard_token ||
            n_near == limits->near_miss_k)
            continue;
        const struct evidence_window got = evidence_view_near_miss(view, n_near++);
        cr_assert(same_window(&got, &fact->window), "slot %u: near miss %zu", view->slot, n_near);
    }
    cr_assert_eq(view->n_near_miss, n_near, "slot %u", view->slot);
}

static void expect_neighbours(struct facts *facts, const struct evidence_view *view,
                              float threshold, const struct evidence_limits *limits)
{
    size_t n = 0;
    qsort(facts->item, facts->n, sizeof *facts->item, by_neighbour_key);
    for (size_t i = 0; i < facts->n && n < limits->neighbour_k; i++) {
        const struct fact *fact = &facts->item[i];
        if (fact->max_value > threshold || !fact->is_long || !fact->has_neighbour) continue;
        cr_assert_lt(n, view->n_neighbour, "slot %u", view->slot);
        const struct evidence_window got = evidence_view_neighbour(view, n++);
        cr_assert(same_window(&got, &fact->window), "slot %u: neighbour %zu", view->slot, n);
    }
    cr_assert_eq(view->n_neighbour, n, "slot %u", view->slot);
}

void world_expect_exact(const struct world *world, const struct evidence_state *state,
                        const struct evidence_frozen *frozen)
{
    const struct evidence_limits limits = evidence_state_identity(state)->limits;
    size_t n_max = 0;
    for (uint32_t i = 0; i < world->params.n_units; i++)
        for (uint32_t j = 0; j < world->units[i].unit.n_segments; j++)
            n_max += world->units[i].segments[j].length / limits.window_tokens + 1;
    struct facts facts = {.item = malloc(n_max * sizeof *facts.item),
                          .fires_in = malloc(world->params.n_documents)};
    cr_assert(facts.item && facts.fires_in);
    for (uint32_t slot = 0; slot < world->params.n_slots; slot++) {
        struct evidence_view view;
        struct error err = {0};
        cr_assert_eq(evidence_view_open(state, slot, &view, &err), ST_OK, "%s", err.text);
        gather(world, slot, &limits, frozen, &facts);
        const float threshold = frozen ? frozen->fire_threshold[slot] : 0;
        expect_statistics(world, &facts, &view, &limits);
        expect_firing(&facts, &view, threshold, &limits);
        expect_silent(&facts, &view, threshold, &limits);
        expect_neighbours(&facts, &view, threshold, &limits);
    }
    free(facts.item);
    free(facts.fires_in);
}
