#include "common/evidence_block.h"

#include "common/evidence_key.h"
#include "common/evidence_state_parts.h"

#include <stdlib.h>

/* What encoding a block needs: the documents and windows its slots name, and a record. */
struct block {
    struct evidence_table table;
    struct evidence_record *record;
    struct order *order; /* [EVIDENCE_MAX_FIRING] */
};

struct order {
    uint32_t window; /* place in the table */
    uint32_t source; /* index in the slot's list */
};

static int compare_u32(const void *left, const void *right)
{
    uint32_t a, b;
    memcpy(&a, left, sizeof a);
    memcpy(&b, right, sizeof b);
    return (a > b) - (a < b);
}

static int compare_windows(const void *left, const void *right)
{
    const struct evidence_window *a = left, *b = right;
    if (a->document_index != b->document_index)
        return a->document_index < b->document_index ? -1 : 1;
    return (a->document_offset > b->document_offset) - (a->document_offset < b->document_offset);
}

static int compare_order(const void *left, const void *right)
{
    const struct order *a = left, *b = right;
    return (a->window > b->window) - (a->window < b->window);
}

static void count_slots(const struct evidence_slot *slots, uint32_t n_slots, size_t *n_documents,
                        size_t *n_windows)
{
    *n_documents = *n_windows = 0;
    for (uint32_t i = 0; i < n_slots; i++) {
        *n_documents += slots[i].n_documents;
        *n_windows += (size_t)slots[i].n_firing + slots[i].silent.n + slots[i].near_miss.n +
                      slots[i].neighbour.n;
    }
}

static void collect(const struct evidence_slot *slot, struct evidence_table *table)
{
    for (size_t i = 0; i < slot->n_documents; i++)
        table->document[table->n_documents++] = slot->document[i];
    for (size_t i = 0; i < slot->n_firing; i++)
        table->window[table->n_windows++] = evidence_firing_window(&slot->firing[i]);
    for (size_t i = 0; i < slot->silent.n; i++)
        table->window[table->n_windows++] = slot->silent.window[i];
    for (size_t i = 0; i < slot->near_miss.n; i++)
        table->window[table->n_windows++] = slot->near_miss.window[i];
    for (size_t i = 0; i < slot->neighbour.n; i++)
        table->window[table->n_windows++] = slot->neighbour.window[i];
}

/* Sorted and each once; of a window given with two lengths (by a worker that lies) the longer. */
static void make_unique(struct evidence_table *table)
{
    uint32_t n = 0;
    qsort(table->window, table->n_windows, sizeof *table->window, compare_windows);
    for (uint32_t i = 0; i < table->n_windows; i++) {
        const struct evidence_window *window = &table->window[i];
        if (n == 0 || compare_windows(&table->window[n - 1], window) != 0)
            table->window[n++] = *window;
        else if (table->window[n - 1].n_tokens < window->n_tokens)
            table->window[n - 1].n_tokens = window->n_tokens;
    }
    table->n_windows = n;
    n = 0;
    qsort(table->document, table->n_documents, sizeof *table->document, compare_u32);
    for (uint32_t i = 0; i < table->n_documents; i++)
        if (n == 0 || table->document[n - 1] != table->document[i])
            table->document[n++] = table->document[i];
    table->n_documents = n;
}

static status_t build_table(const struct evidence_slot *slots, uint32_t n_slots,
                            struct evidence_table *table, struct error *err)
{
    size_t n_documents, n_windows;
    count_slots(slots, n_slots, &n_documents, &n_windows);
    if (n_documents + n_windows > UINT32_MAX)
        return error_set(err, ST_TOO_LARGE, "evidence block of %zu windows", n_windows);
    table->document = malloc((n_documents + n_windows + 1) * sizeof *table->document);
    table->window = malloc((n_windows + 1) * sizeof *table->window);
    if (!table->document || !table->window)
        return error_set(err, ST_NO_MEMORY, "evidence block of %zu windows", n_windows);
    for (uint32_t i = 0; i < n_slots; i++) collect(&slots[i], table);
    for (uint32_t i = 0; i < table->n_windows; i++)
        table->document[table->n_documents++] = table->window[i].document_index;
    make_unique(table);
    return ST_OK;
}

/* The window is in the table. */
static uint32_t place_of(const struct evidence_table *table, const struct evidence_window *window)
{
    const struct evidence_window *found =
        bsearch(window, table->window, table->n_windows, sizeof *table->window, compare_windows);
    return (uint32_t)(found - table->window);
}

static void fill_counts(const struct evidence_counts *counts, struct evidence_bin_counts *out)
{
    out->n = 0;
    for (uint32_t i = 0; i < counts->n_bins; i++) {
        if (counts->count[i] == 0) continue;
        out->bin[out->n] = (uint16_t)(counts->first_bin + i);
        out->count[out->n++] = counts->count[i];
    }
}

static void fill_statistics(const struct evidence_slot *slot, struct evidence_record *record)
{
    record->n_firing_tokens = slot->n_firing_tokens;
    record->sum_fixed = slot->sum_fixed;
    record->max_value = slot->max_value;
    fill_counts(&slot->values, &record->values);
    fill_counts(&slot->windows, &record->windows);
    fill_counts(&slot->positions, &record->positions);
    for (size_t i = 0; i < EVIDENCE_HARD_TOKENS; i++) {
        record->n_hard_tokens[i] = slot->n_hard_tokens[i];
        record->n_firing_on_hard[i] = slot->n_firing_on_hard[i];
    }
}

static void fill_documents(const struct evidence_slot *slot, const struct evidence_table *table,
                           struct evidence_record *record)
{
    for (size_t i = 0; i < slot->n_documents; i++) {
        const uint32_t *found = bsearch(&slot->document[i], table->document, table->n_documents,
                                        sizeof *table->document, compare_u32);
        record->document[record->n_documents++] = (uint32_t)(found - table->document);
    }
    qsort(record->document, record->n_documents, sizeof *record->document, compare_u32);
}

static uint32_t fill_sample(const struct evidence_sample *sample,
                            const struct evidence_table *table, uint32_t *out)
{
    for (size_t i = 0; i < sample->n; i++) out[i] = place_of(table, &sample->window[i]);
    qsort(out, sample->n, sizeof *out, compare_u32);
    return sample->n;
}

static status_t fill_firing(const struct evidence_slot *slot, const struct evidence_table *table,
                            struct order *order, struct evidence_record *record, struct error *err)
{
    const status_t status = evidence_record_reserve(record, slot->n_pool, err);
    if (status != ST_OK) return status;
    for (uint32_t i = 0; i < slot->n_firing; i++) {
        const struct evidence_window window = evidence_firing_window(&slot->firing[i]);
        order[i] = (struct order){place_of(table, &window), i};
    }
    qsort(order, slot->n_firing, sizeof *order, compare_order);
    for (uint32_t i = 0; i < slot->n_firing; i++) {
        const struct evidence_firing *firing = &slot->firing[order[i].source];
        const uint32_t first = (uint32_t)record->n_activations;
        const uint16_t n = firing->n_activations;
        record->firing[i] =
            (struct evidence_firing_ref){order[i].window, first, n, firing->max_value};
        memcpy(record->position + first, slot->position + firing->first,
               n * sizeof *record->position);
        memcpy(record->value + first, slot->value + firing->first, n * sizeof *record->value);
        record->n_activations += n;
    }
    record->n_firing = slot->n_firing;
    return ST_OK;
}

static status_t fill_record(const struct block *block, const struct evidence_slot *slot,
                            uint32_t slot_index, struct error *err)
{
    struct evidence_record *record = block->record;
    evidence_record_reset(record, slot_index);
    fill_statistics(slot, record);
    fill_documents(slot, &block->table, record);
    record->n_silent = fill_sample(&slot->silent, &block->table, record->silent);
    record->n_near_miss = fill_sample(&slot->near_miss, &block->table, record->near_miss);
    record->n_neighbour = fill_sample(&slot->neighbour, &block->table, record->neighbour);
    return fill_firing(slot, &block->table, block->order, record, err);
}

static void fill_header(const struct evidence_state *state, struct evidence_message *message)
{
    const struct evidence_documents *documents = state->params.documents;
    message->identity = state->params.identity;
    message->n_units = state->n_units;
    message->n_tokens = state->n_tokens;
    for (uint32_t i = 0; i < EVIDENCE_POSITION_BUCKETS; i++) {
        if (state->position_tokens[i] == 0) continue;
        message->positions.bin[message->positions.n] = (uint16_t)i;
        message->positions.count[message->positions.n++] = state->position_tokens[i];
    }
    for (uint32_t i = 0; i < message->table.n_documents; i++) {
        const uint32_t index = message->table.document[i];
        message->documents_check += evidence_document_check(documents->key[index], index);
    }
}

static status_t write_records(const struct evidence_state *state, const struct block *block,
                              const struct evidence_message *message, struct buffer *out,
                              struct error *err)
{
    size_t patch_at;
    uint32_t n_records = 0, next_slot = message->first_slot;
    status_t status = evidence_message_begin(message, out, &patch_at, err);
    for (uint32_t i = 0; i < message->n_slots && status == ST_OK; i++) {
        const uint32_t slot_index = message->first_slot + i;
        const struct evidence_slot *slot = evidence_state_slot(state, slot_index);
        if (evidence_slot_is_empty(slot)) continue;
        status = fill_record(block, slot, slot_index, err);
        if (status == ST_OK)
            status = evidence_record_encode(block->record, slot_index - next_slot, out, err);
        next_slot = slot_index + 1;
        n_records++;
    }
    if (status == ST_OK) evidence_message_end(out, patch_at, n_records);
    return status;
}

status_t evidence_block_encode(const struct evidence_state *state, uint32_t first_slot,
                               uint32_t n_slots, struct buffer *out, struct error *err)
{
    const size_t n_before = out->n_bytes;
    struct block block = {0};
    const struct evidence_slot *slots = evidence_state_slot(state, first_slot);
    if (!slots || n_slots == 0 || !evidence_state_slot(state, first_slot + n_slots - 1))
        return error_set(err, ST_BAD_INPUT,
                         "evidence block of slots %u + %u, the state has %u + %u", first_slot,
                         n_slots, state->params.first_slot, state->params.n_slots);
    status_t status = build_table(slots, n_slots, &block.table, err);
    if (status == ST_OK) status = evidence_record_create(&block.record, err);
    block.order = malloc(EVIDENCE_MAX_FIRING * sizeof *block.order);
    if (status == ST_OK && !block.order) status = error_set(err, ST_NO_MEMORY, "evidence block");
    if (status == ST_OK) {
        struct evidence_message message = {.kind = EVIDENCE_BLOCK,
                                           .first_slot = first_slot,
                                           .n_slots = n_slots,
                                           .table = block.table};
        fill_header(state, &message);
        status = write_records(state, &block, &message, out, err);
    }
    if (status != ST_OK) out->n_bytes = n_before;
    evidence_record_destroy(&block.record);
    free(block.order);
    free(block.table.document);
    free(block.table.window);
    return status;
}

status_t evidence_block_peek(const void *bytes, size_t n_bytes,
                             struct evidence_state_params *params, struct error *err)
{
    struct evidence_message message;
    const status_t status = evidence_message_peek(EVIDENCE_BLOCK, bytes, n_bytes, &message, err);
    if (status != ST_OK) return status;
    *params = (struct evidence_state_params){
        .identity = message.identity, .first_slot = message.first_slot, .n_slots = message.n_slots};
    return ST_OK;
}

static bool totals_agree(const struct evidence_state *state, const struct evidence_message *message)
{
    if (state->n_units != message->n_units || state->n_tokens != message->n_tokens) return false;
    uint32_t bucket = 0;
    for (uint32_t i = 0; i < message->positions.n; i++) {
        for (; bucket < message->positions.bin[i]; bucket++)
            if (state->position_tokens[bucket] != 0) return false;
        if (state->position_tokens[bucket++] != message->positions.count[i]) return false;
    }
    for (; bucket < EVIDENCE_POSITION_BUCKETS; bucket++)
        if (state->position_tokens[bucket] != 0) return false;
    return true;
}

/* The block may join: same identity, slots covered and still empty, same totals. */
static status_t check_joins(const struct evidence_state *state,
                            const struct evidence_message *message, struct error *err)
{
    const struct evidence_state_params *params = &state->params;
    const uint32_t last = message->first_slot + message->n_slots - 1;
    if (!evidence_identity_equal(&params->identity, &message->identity))
        return error_set(err, ST_CONFLICT, "evidence block of another target, split or limits");
    if (!evidence_state_slot(state, message->first_slot) || !evidence_state_slot(state, last))
        return error_set(err, ST_CONFLICT, "evidence block of slots %u + %u, the state has %u + %u",
                         message->first_slot, message->n_slots, params->first_slot,
                         params->n_slots);
    for (uint32_t i = 0; i < message->n_slots; i++)
        if (!evidence_slot_is_empty(evidence_state_slot(state, message->first_slot + i)))
            return error_set(err, ST_CONFLICT, "evidence block over slot %u, which has evidence",
                             message->first_slot + i);
    if (state->n_units > 0 && !totals_agree(state, message))
        return error_set(err, ST_CONFLICT, "evidence blocks of different merged units");
    return ST_OK;
}

status_t evidence_block_load(struct evidence_state *state, const void *bytes, size_t n_bytes,
                             struct error *err)
{
    struct evidence_reader reader;
    const struct evidence_message *message = &reader.message;
    status_t status = evidence_reader_open(&reader, EVIDENCE_BLOCK, bytes, n_bytes, err);
    if (status == ST_OK) status = check_joins(state, message, err);
    if (status == ST_OK) status = evidence_state_merge_records(state, &reader, err);
    if (status == ST_OK) {
        state->n_units = message->n_units;
        state->n_tokens = message->n_tokens;
        memset(state->position_tokens, 0, sizeof state->position_tokens);
        for (uint32_t i = 0; i < message->positions.n; i++)
            state->position_tokens[message->positions.bin[i]] = message->positions.count[i];
    }
    evidence_reader_close(&reader);
    return status;
}
