#include "worker/tasks/capture_windows.h"

#include "common/evidence_key.h"

#include <stdlib.h>
#include <string.h>

void capture_windows_fini(struct capture_windows *windows)
{
    free(windows->item);
    free(windows->number);
    free(windows->document_number);
    free(windows->table.document);
    free(windows->table.window);
    *windows = (struct capture_windows){0};
}

static uint32_t windows_in(const struct capture_segment *segment, uint32_t window_tokens)
{
    return segment->length / window_tokens + (segment->length % window_tokens != 0);
}

/* Room for `n_windows` windows and `n_documents` documents. */
static status_t reserve(struct capture_windows *windows, uint32_t n_windows, uint32_t n_documents,
                        struct error *err)
{
    struct evidence_table *table = &windows->table;
    if (n_windows > windows->capacity) {
        const size_t n_padded = (size_t)n_windows + WINDOW_KEY_BLOCK;
        free(windows->item);
        free(windows->number);
        free(table->window);
        windows->item = malloc(n_windows * sizeof *windows->item);
        windows->number = malloc(n_padded * sizeof *windows->number);
        table->window = malloc(n_windows * sizeof *table->window);
        windows->capacity = windows->item && windows->number && table->window ? n_windows : 0;
    }
    if (n_documents > windows->document_capacity) {
        free(windows->document_number);
        free(table->document);
        windows->document_number = malloc(n_documents * sizeof *windows->document_number);
        table->document = malloc(n_documents * sizeof *table->document);
        windows->document_capacity = windows->document_number && table->document ? n_documents : 0;
    }
    if (windows->capacity < n_windows || windows->document_capacity < n_documents)
        return error_set(err, ST_NO_MEMORY, "capture unit of %u windows", n_windows);
    return ST_OK;
}

/* The document's key is kept in `number` until the documents are listed. */
static void cut_segment(struct capture_windows *windows, const struct capture_unit *unit,
                        const struct capture_segment *segment, uint32_t window_tokens)
{
    for (uint32_t at = 0; at < segment->length; at += window_tokens) {
        const uint32_t n_left = segment->length - at;
        windows->item[windows->n++] = (struct capture_window){
            .number = segment->document_key,
            .first_token = segment->row * unit->row_tokens + segment->start + at,
            .first_position = segment->start + at,
            .window = {segment->document_index, segment->document_offset + at,
                       (uint16_t)(n_left < window_tokens ? n_left : window_tokens)},
        };
    }
}

static int compare_windows(const void *left, const void *right)
{
    const struct evidence_window *a = &((const struct capture_window *)left)->window;
    const struct evidence_window *b = &((const struct capture_window *)right)->window;
    if (a->document_index != b->document_index)
        return a->document_index < b->document_index ? -1 : 1;
    return (a->document_offset > b->document_offset) - (a->document_offset < b->document_offset);
}

/* Windows are in order: list documents and the windows worth keeping, and number them. */
static void fill_table(struct capture_windows *windows, uint32_t min_window_tokens)
{
    struct evidence_table *table = &windows->table;
    for (uint32_t i = 0; i < windows->n; i++) {
        struct capture_window *item = &windows->item[i];
        const uint32_t document_index = item->window.document_index;
        const uint64_t document_key = item->number;
        if (table->n_documents == 0 || table->document[table->n_documents - 1] != document_index) {
            windows->document_number[table->n_documents] = evidence_document_number(document_key);
            table->document[table->n_documents++] = document_index;
            windows->documents_check += evidence_document_check(document_key, document_index);
        }
        item->document_place = table->n_documents - 1;
        item->number = evidence_window_number(document_key, item->window.document_offset);
        windows->number[i] = item->number;
        item->table_place = CAPTURE_NO_PLACE;
        if (item->window.n_tokens < min_window_tokens) continue;
        item->table_place = table->n_windows;
        table->window[table->n_windows++] = item->window;
    }
}

static void count_positions(struct capture_windows *windows)
{
    uint32_t count[EVIDENCE_POSITION_BUCKETS] = {0};
    struct evidence_bin_counts *positions = &windows->positions;
    for (uint32_t i = 0; i < windows->n; i++)
        for (uint32_t j = 0; j < windows->item[i].window.n_tokens; j++)
            count[evidence_position_bucket(windows->item[i].first_position + j)]++;
    for (uint32_t bucket = 0; bucket < EVIDENCE_POSITION_BUCKETS; bucket++) {
        if (count[bucket] == 0) continue;
        positions->bin[positions->n] = (uint16_t)bucket;
        positions->count[positions->n++] = count[bucket];
    }
}

status_t capture_windows_cut(struct capture_windows *windows, const struct capture_unit *unit,
                             const struct evidence_limits *limits, struct error *err)
{
    uint32_t n_windows = 0;
    for (uint32_t i = 0; i < unit->n_segments; i++)
        n_windows += windows_in(&unit->segments[i], limits->window_tokens);
    const status_t status = reserve(windows, n_windows, unit->n_segments, err);
    if (status != ST_OK) return status;
    windows->n = windows->n_tokens = windows->positions.n = 0;
    windows->documents_check = 0;
    windows->table.n_documents = windows->table.n_windows = 0;
    for (uint32_t i = 0; i < unit->n_segments; i++) {
        cut_segment(windows, unit, &unit->segments[i], limits->window_tokens);
        windows->n_tokens += unit->segments[i].length;
    }
    if (windows->n > 0) qsort(windows->item, windows->n, sizeof *windows->item, compare_windows);
    fill_table(windows, limits->min_window_tokens);
    if (windows->n > 0)
        memset(windows->number + windows->n, 0, WINDOW_KEY_BLOCK * sizeof *windows->number);
    if (limits->counts_positions) count_positions(windows);
    return ST_OK;
}
