/* What one slot did in a unit, as a record. */
#include "common/evidence_key.h"
#include "worker/tasks/capture_accumulator_parts.h"

#include <stdlib.h>
#include <string.h>

static float fire_threshold(const struct capture_accumulator *accumulator, uint32_t slot)
{
    return accumulator->frozen ? accumulator->frozen->fire_threshold[slot] : 0;
}

/* Cut the slot's activations into one run per window, and mark the windows that fire. */
static size_t find_runs(struct capture_accumulator *accumulator, uint32_t slot)
{
    const struct capture_activation *grouped = accumulator->grouped;
    const size_t end = accumulator->slot_start[slot + 1];
    const float threshold = fire_threshold(accumulator, slot);
    size_t n_runs = 0;
    for (size_t i = accumulator->slot_start[slot]; i < end; n_runs++) {
        struct capture_run run = {.window = grouped[i].window, .first = (uint32_t)i};
        for (; i < end && grouped[i].window == run.window; i++, run.n++)
            if (grouped[i].value > run.max_value) run.max_value = grouped[i].value;
        run.is_firing = run.max_value > threshold;
        accumulator->runs[n_runs] = run;
        accumulator->is_firing[run.window] = run.is_firing;
    }
    return n_runs;
}

/* A histogram while it is being counted. */
struct tally {
    uint32_t count[EVIDENCE_VALUE_BINS];
    uint32_t low, high; /* populated range, empty if low > high */
};

static void tally_add(struct tally *tally, uint32_t bin)
{
    tally->count[bin]++;
    if (bin < tally->low) tally->low = bin;
    if (bin > tally->high) tally->high = bin;
}

/* Write the populated bins and leave the tally empty. */
static void tally_take(struct tally *tally, struct evidence_bin_counts *out)
{
    out->n = 0;
    for (uint32_t bin = tally->low; bin <= tally->high; bin++) {
        if (tally->count[bin] == 0) continue;
        out->bin[out->n] = (uint16_t)bin;
        out->count[out->n++] = tally->count[bin];
        tally->count[bin] = 0;
    }
    tally->low = EVIDENCE_VALUE_BINS;
    tally->high = 0;
}

static void count_hard_token(const struct capture_accumulator *accumulator, uint32_t slot,
                             uint32_t token, struct evidence_record *record)
{
    if (!accumulator->frozen) return;
    for (size_t i = 0; i < EVIDENCE_HARD_TOKENS; i++)
        record->n_firing_on_hard[i] += accumulator->frozen->hard_tokens[slot][i] == token;
}

static void count_values(struct capture_accumulator *accumulator, uint32_t slot,
                         struct tally *tally)
{
    struct evidence_record *record = accumulator->record;
    const float threshold = fire_threshold(accumulator, slot);
    const size_t end = accumulator->slot_start[slot + 1];
    for (size_t i = accumulator->slot_start[slot]; i < end; i++) {
        const struct capture_activation *activation = &accumulator->grouped[i];
        const float value = activation->value;
        tally_add(tally, evidence_value_bin(value));
        record->sum_fixed = evidence_sum_add(record->sum_fixed, evidence_sum_of(value));
        if (value > record->max_value) record->max_value = value;
        if (!(value > threshold)) continue;
        const struct capture_window *window = &accumulator->windows.item[activation->window];
        const uint32_t token =
            accumulator->unit->tokens[window->first_token + activation->position];
        record->n_firing_tokens++;
        count_hard_token(accumulator, slot, token, record);
    }
    tally_take(tally, &record->values);
}

static void count_positions(struct capture_accumulator *accumulator, uint32_t slot,
                            struct tally *tally)
{
    const float threshold = fire_threshold(accumulator, slot);
    const size_t end = accumulator->slot_start[slot + 1];
    for (size_t i = accumulator->slot_start[slot]; i < end; i++) {
        const struct capture_activation *activation = &accumulator->grouped[i];
        const struct capture_window *window = &accumulator->windows.item[activation->window];
        if (activation->value > threshold)
            tally_add(tally,
                      evidence_position_bucket(window->first_position + activation->position));
    }
    tally_take(tally, &accumulator->record->positions);
}

static void count_windows(struct capture_accumulator *accumulator, size_t n_runs,
                          struct tally *tally)
{
    for (size_t i = 0; i < n_runs; i++) {
        const struct capture_run *run = &accumulator->runs[i];
        if (run->is_firing &&
            accumulator->windows.item[run->window].table_place != CAPTURE_NO_PLACE)
            tally_add(tally, evidence_reservoir_bin(run->max_value));
    }
    tally_take(tally, &accumulator->record->windows);
}

static int compare_u32(const void *left, const void *right)
{
    uint32_t a, b;
    memcpy(&a, left, sizeof a);
    memcpy(&b, right, sizeof b);
    return (a > b) - (a < b);
}

/* The documents in which the slot fires that can enter its set of smallest numbers. At least one
 * is named if it fired, so that the record says so even when none can enter. */
static void list_documents(struct capture_accumulator *accumulator, uint32_t slot, size_t n_runs)
{
    struct evidence_record *record = accumulator->record;
    const uint64_t limit = accumulator->thresholds
                               ? evidence_thresholds_document(accumulator->thresholds, slot)
                               : UINT64_MAX;
    struct evidence_keyed list[EVIDENCE_MAX_DOC_K];
    size_t n = 0;
    uint32_t last = CAPTURE_NO_PLACE;
    for (size_t i = 0; i < n_runs; i++) {
        const uint32_t place =
            accumulator->windows.item[accumulator->runs[i].window].document_place;
        if (!accumulator->runs[i].is_firing || place == last) continue;
        last = place;
        const struct evidence_keyed item = {accumulator->windows.document_number[place],
                                            accumulator->windows.table.document[place], place};
        if (item.key <= limit)
            (void)evidence_insert_smallest(list, &n, accumulator->identity.limits.doc_k, &item);
    }
    if (n == 0 && last != CAPTURE_NO_PLACE)
        record->document[n++] = last;
    else
        for (size_t i = 0; i < n; i++) record->document[i] = list[i].source;
    record->n_documents = (uint32_t)n;
    qsort(record->document, n, sizeof *record->document, compare_u32);
}

/* Mark the firing runs that can enter the slot's top or a bin. Returns their activations. */
static size_t select_runs(struct capture_accumulator *accumulator, uint32_t slot, size_t n_runs)
{
    const uint64_t slot_number = evidence_slot_number(slot);
    size_t n = 0, n_activations = 0;
    for (size_t i = 0; i < n_runs; i++) {
        const struct capture_run *run = &accumulator->runs[i];
        const struct capture_window *window = &accumulator->windows.item[run->window];
        if (!run->is_firing || window->table_place == CAPTURE_NO_PLACE) continue;
        const uint64_t key = evidence_key(window->number, slot_number);
        if (accumulator->thresholds &&
            !evidence_thresholds_keep_firing(accumulator->thresholds, slot, run->max_value, key))
            continue;
        const struct evidence_firing firing = {.key = key,
                                               .max_value = run->max_value,
                                               .document_index = window->window.document_index,
                                               .first = (uint32_t)i};
        (void)evidence_insert_firing(accumulator->firing, &n, &accumulator->identity.limits,
                                     &firing);
    }
    for (size_t i = 0; i < n; i++) {
        struct capture_run *run = &accumulator->runs[accumulator->firing[i].first];
        run->is_kept = true;
        n_activations += run->n;
    }
    return n_activations;
}

/* Kept runs are in window order already. */
static void copy_runs(struct capture_accumulator *accumulator, size_t n_runs)
{
    struct evidence_record *record = accumulator->record;
    for (size_t i = 0; i < n_runs; i++) {
        const struct capture_run *run = &accumulator->runs[i];
        if (!run->is_kept) continue;
        record->firing[record->n_firing++] = (struct evidence_firing_ref){
            accumulator->windows.item[run->window].table_place, (uint32_t)record->n_activations,
            (uint16_t)run->n, run->max_value};
        for (uint32_t j = run->first; j < run->first + run->n; j++) {
            record->position[record->n_activations] = (uint16_t)accumulator->grouped[j].position;
            record->value[record->n_activations++] = accumulator->grouped[j].value;
        }
    }
}

/* A key below which about k of n uniform keys lie, with room to spare: a first guess that saves
 * looking at the rest. */
static uint64_t guess_limit(uint32_t k, uint32_t n)
{
    const uint64_t wanted = 2 * (uint64_t)k + 16;
    return wanted >= n ? UINT64_MAX : UINT64_MAX / n * wanted;
}

static void scan_silent(struct capture_accumulator *accumulator, uint64_t slot_number,
                        uint64_t limit)
{
    const struct capture_window *items = accumulator->windows.item;
    struct capture_hits *hits = &accumulator->hits;
    hits->n = 0;
    for (uint32_t i = 0; i < accumulator->windows.n; i++) {
        const uint64_t key = evidence_key(items[i].number, slot_number);
        if (key > limit || accumulator->is_firing[i] || items[i].table_place == CAPTURE_NO_PLACE)
            continue;
        hits->key[hits->n] = key;
        hits->place[hits->n++] = items[i].table_place;
    }
}

static void sample_silent(struct capture_accumulator *accumulator, uint32_t slot)
{
    const uint32_t k = accumulator->identity.limits.silent_k;
    const uint64_t slot_number = evidence_slot_number(slot);
    const uint64_t limit = accumulator->thresholds
                               ? evidence_thresholds_silent(accumulator->thresholds, slot)
                               : UINT64_MAX;
    if (k == 0) return;
    const uint64_t guess = guess_limit(k, accumulator->windows.n);
    scan_silent(accumulator, slot_number, guess < limit ? guess : limit);
    if (accumulator->hits.n < k && guess < limit) scan_silent(accumulator, slot_number, limit);
    accumulator->record->n_silent =
        (uint32_t)capture_hits_smallest(&accumulator->hits, k, accumulator->record->silent);
}

/* Windows without firing that hold the token, each once. */
static void scan_near_misses(struct capture_accumulator *accumulator, uint64_t slot_number,
                             uint64_t limit, const struct capture_token *token)
{
    struct capture_hits *hits = &accumulator->hits;
    for (uint32_t i = token->first; i < token->first + token->n_windows; i++) {
        const uint32_t place = accumulator->tokens.window[i];
        const struct capture_window *window = &accumulator->windows.item[place];
        if (accumulator->is_firing[place] || accumulator->is_marked[place] ||
            window->table_place == CAPTURE_NO_PLACE)
            continue;
        accumulator->is_marked[place] = true;
        const uint64_t key = evidence_near_key(evidence_key(window->number, slot_number));
        if (key > limit) continue;
        hits->key[hits->n] = key;
        hits->place[hits->n++] = window->table_place;
    }
}

static void sample_near_misses(struct capture_accumulator *accumulator, uint32_t slot)
{
    const struct capture_token *found[EVIDENCE_HARD_TOKENS] = {NULL};
    const uint32_t *hard = accumulator->frozen->hard_tokens[slot];
    struct evidence_record *record = accumulator->record;
    const uint64_t limit = accumulator->thresholds
                               ? evidence_thresholds_near_miss(accumulator->thresholds, slot)
                               : UINT64_MAX;
    accumulator->hits.n = 0;
    for (size_t i = 0; i < EVIDENCE_HARD_TOKENS; i++) {
        if (hard[i] == EVIDENCE_NO_TOKEN) continue;
        found[i] = capture_token_index_find(&accumulator->tokens, hard[i]);
        if (!found[i]) continue;
        record->n_hard_tokens[i] = found[i]->n_occurrences;
        scan_near_misses(accumulator, evidence_slot_number(slot), limit, found[i]);
    }
    for (size_t i = 0; i < EVIDENCE_HARD_TOKENS; i++)
        for (uint32_t j = 0; found[i] && j < found[i]->n_windows; j++)
            accumulator->is_marked[accumulator->tokens.window[found[i]->first + j]] = false;
    record->n_near_miss = (uint32_t)capture_hits_smallest(
        &accumulator->hits, accumulator->identity.limits.near_miss_k, record->near_miss);
    qsort(record->near_miss, record->n_near_miss, sizeof *record->near_miss, compare_u32);
}

/* Windows without firing in which the neighbour fires strongly, each once. */
static void scan_neighbour(struct capture_accumulator *accumulator, uint64_t slot_number,
                           uint64_t limit, uint32_t neighbour)
{
    struct capture_hits *hits = &accumulator->hits;
    const float strong = accumulator->frozen->strong_value[neighbour];
    const size_t end = accumulator->slot_start[neighbour + 1];
    for (size_t i = accumulator->slot_start[neighbour]; i < end; i++) {
        const uint32_t place = accumulator->grouped[i].window;
        const struct capture_window *window = &accumulator->windows.item[place];
        if (!(accumulator->grouped[i].value > strong) || accumulator->is_firing[place] ||
            accumulator->is_marked[place] || window->table_place == CAPTURE_NO_PLACE)
            continue;
        accumulator->is_marked[place] = true;
        const uint64_t key = evidence_neighbour_key(evidence_key(window->number, slot_number));
        if (key > limit) continue;
        hits->key[hits->n] = key;
        hits->place[hits->n++] = window->table_place;
    }
}

static void sample_neighbours(struct capture_accumulator *accumulator, uint32_t slot)
{
    const uint32_t *neighbours = accumulator->frozen->neighbours[slot];
    const uint32_t k = accumulator->identity.limits.neighbour_k;
    struct evidence_record *record = accumulator->record;
    const uint64_t limit = accumulator->thresholds
                               ? evidence_thresholds_neighbour(accumulator->thresholds, slot)
                               : UINT64_MAX;
    if (k == 0) return;
    accumulator->hits.n = 0;
    for (size_t i = 0; i < EVIDENCE_NEIGHBOURS && neighbours[i] != EVIDENCE_NO_SLOT; i++)
        scan_neighbour(accumulator, evidence_slot_number(slot), limit, neighbours[i]);
    for (size_t i = 0; i < EVIDENCE_NEIGHBOURS && neighbours[i] != EVIDENCE_NO_SLOT; i++)
        for (size_t j = accumulator->slot_start[neighbours[i]];
             j < accumulator->slot_start[neighbours[i] + 1]; j++)
            accumulator->is_marked[accumulator->grouped[j].window] = false;
    record->n_neighbour = (uint32_t)capture_hits_smallest(&accumulator->hits, k, record->neighbour);
    qsort(record->neighbour, record->n_neighbour, sizeof *record->neighbour, compare_u32);
}

static status_t record_firing(struct capture_accumulator *accumulator, uint32_t slot, size_t n_runs,
                              struct error *err)
{
    struct tally tally = {.low = EVIDENCE_VALUE_BINS};
    count_values(accumulator, slot, &tally);
    count_windows(accumulator, n_runs, &tally);
    if (accumulator->identity.limits.counts_positions) count_positions(accumulator, slot, &tally);
    list_documents(accumulator, slot, n_runs);
    const size_t n_activations = select_runs(accumulator, slot, n_runs);
    const status_t status = evidence_record_reserve(accumulator->record, n_activations, err);
    if (status == ST_OK) copy_runs(accumulator, n_runs);
    return status;
}

status_t capture_slot_record(struct capture_accumulator *accumulator, uint32_t slot,
                             struct error *err)
{
    status_t status = ST_OK;
    evidence_record_reset(accumulator->record, slot);
    const size_t n_runs = find_runs(accumulator, slot);
    if (n_runs > 0) status = record_firing(accumulator, slot, n_runs, err);
    sample_silent(accumulator, slot);
    if (accumulator->frozen) sample_near_misses(accumulator, slot);
    if (accumulator->frozen) sample_neighbours(accumulator, slot);
    for (size_t i = 0; i < n_runs; i++) accumulator->is_firing[accumulator->runs[i].window] = false;
    return status;
}
