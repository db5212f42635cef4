#include "common/evidence_message.h"

#include <stdlib.h>

static void get_positions(struct evidence_cursor *cursor, struct evidence_message *message)
{
    struct evidence_bin_counts *positions = &message->positions;
    const uint32_t n = evidence_get_count(cursor, EVIDENCE_POSITION_BUCKETS);
    uint32_t next = 0;
    uint64_t total = 0;
    for (uint32_t i = 0; i < n && !cursor->is_bad; i++) {
        const uint32_t gap = evidence_get_count(cursor, EVIDENCE_POSITION_BUCKETS);
        if (gap >= EVIDENCE_POSITION_BUCKETS - next) evidence_fail(cursor);
        positions->bin[i] = (uint16_t)(next + gap);
        positions->count[i] = evidence_get_count(cursor, UINT32_MAX - 1u) + 1u;
        total += positions->count[i];
        next += gap + 1;
    }
    positions->n = n;
    const uint32_t want = message->identity.limits.counts_positions ? message->n_tokens : 0;
    if (!cursor->is_bad && total != want) evidence_fail(cursor);
}

static status_t get_header(struct evidence_cursor *cursor, enum evidence_kind kind,
                           struct evidence_message *message, struct error *err)
{
    *message = (struct evidence_message){.kind = kind, .n_units = 1};
    const status_t status = evidence_get_header(cursor, kind, &message->identity, err);
    if (status != ST_OK) return status;
    message->n_slots = message->identity.n_slots;
    if (kind == EVIDENCE_PARTIAL) {
        message->unit_number = evidence_get_u64(cursor);
    } else {
        message->n_units = evidence_get_varint(cursor);
        message->first_slot = evidence_get_count(cursor, EVIDENCE_MAX_SLOTS);
        message->n_slots = evidence_get_count(cursor, EVIDENCE_MAX_SLOTS);
    }
    message->documents_check = evidence_get_u64(cursor);
    message->n_tokens = evidence_get_count(cursor, UINT32_MAX);
    get_positions(cursor, message);
    if (cursor->is_bad || message->n_slots > message->identity.n_slots || message->n_slots == 0 ||
        message->first_slot > message->identity.n_slots - message->n_slots)
        return error_set(err, ST_CORRUPT, "evidence header is cut short or contradicts itself");
    return ST_OK;
}

static status_t get_documents(struct evidence_cursor *cursor, struct evidence_table *table,
                              struct error *err)
{
    const uint32_t n = evidence_get_count(cursor, EVIDENCE_MAX_DOCUMENTS);
    if (n > evidence_left(cursor)) evidence_fail(cursor);
    if (cursor->is_bad || n == 0) return ST_OK;
    table->document = malloc(n * sizeof *table->document);
    if (!table->document) return error_set(err, ST_NO_MEMORY, "evidence of %u documents", n);
    uint32_t next = 0;
    for (uint32_t i = 0; i < n && !cursor->is_bad; i++) {
        const uint32_t gap = evidence_get_count(cursor, EVIDENCE_MAX_DOCUMENTS);
        if (gap >= EVIDENCE_MAX_DOCUMENTS - next) evidence_fail(cursor);
        table->document[i] = next + gap;
        next += gap + 1;
    }
    table->n_documents = n;
    return ST_OK;
}

/* One window after the last; false if it does not fit. */
static bool get_window(struct evidence_cursor *cursor, const struct evidence_table *table,
                       const struct evidence_limits *limits, uint64_t state[2],
                       struct evidence_window *window)
{
    uint64_t place = state[0], next_offset = state[1];
    const uint32_t n_skipped = evidence_get_count(cursor, EVIDENCE_MAX_DOCUMENTS);
    place += n_skipped;
    if (n_skipped > 0) next_offset = 0;
    const uint64_t offset = next_offset + evidence_get_count(cursor, UINT32_MAX);
    const uint32_t n_tokens = evidence_get_count(cursor, limits->window_tokens - 1u) + 1u;
    if (cursor->is_bad || place >= table->n_documents || offset + n_tokens > UINT32_MAX ||
        n_tokens < limits->min_window_tokens)
        return false;
    *window =
        (struct evidence_window){table->document[place], (uint32_t)offset, (uint16_t)n_tokens};
    state[0] = place;
    state[1] = offset + 1;
    return true;
}

static status_t get_windows(struct evidence_cursor *cursor, const struct evidence_limits *limits,
                            struct evidence_table *table, struct error *err)
{
    const size_t n = evidence_get_count(cursor, UINT32_MAX);
    if (n > evidence_left(cursor) / 3) evidence_fail(cursor);
    if (cursor->is_bad || n == 0) return ST_OK;
    table->window = malloc(n * sizeof *table->window);
    if (!table->window) return error_set(err, ST_NO_MEMORY, "evidence of %zu windows", n);
    uint64_t state[2] = {0, 0};
    for (size_t i = 0; i < n && !cursor->is_bad; i++)
        if (!get_window(cursor, table, limits, state, &table->window[i])) evidence_fail(cursor);
    table->n_windows = (uint32_t)n;
    return ST_OK;
}

static status_t get_table(struct evidence_cursor *cursor, struct evidence_message *message,
                          struct error *err)
{
    status_t status = get_documents(cursor, &message->table, err);
    if (status == ST_OK)
        status = get_windows(cursor, &message->identity.limits, &message->table, err);
    if (status == ST_OK && cursor->is_bad)
        status = error_set(err, ST_CORRUPT, "evidence table is cut short or out of order");
    return status;
}

status_t evidence_message_peek(enum evidence_kind kind, const void *bytes, size_t n_bytes,
                               struct evidence_message *message, struct error *err)
{
    struct evidence_cursor cursor = {bytes, (const unsigned char *)bytes + n_bytes, false};
    return get_header(&cursor, kind, message, err);
}

status_t evidence_reader_open(struct evidence_reader *reader, enum evidence_kind kind,
                              const void *bytes, size_t n_bytes, struct error *err)
{
    memset(reader, 0, sizeof *reader);
    struct evidence_cursor cursor = {bytes, (const unsigned char *)bytes + n_bytes, false};
    struct evidence_message *message = &reader->message;
    status_t status = get_header(&cursor, kind, message, err);
    if (status == ST_OK) status = get_table(&cursor, message, err);
    if (status != ST_OK) return status;
    reader->n_records = evidence_get_u32(&cursor);
    if (cursor.is_bad) return error_set(err, ST_CORRUPT, "evidence without records");
    reader->records = cursor;
    reader->bounds = (struct evidence_record_bounds){
        .limits = message->identity.limits,
        .n_tokens = message->n_tokens,
        .end_slot = message->first_slot + message->n_slots,
        .n_documents = message->table.n_documents,
        .n_windows = message->table.n_windows,
        .windows = message->table.window,
    };
    evidence_reader_rewind(reader);
    return evidence_record_create(&reader->record, err);
}

void evidence_reader_close(struct evidence_reader *reader)
{
    evidence_record_destroy(&reader->record);
    free(reader->message.table.document);
    free(reader->message.table.window);
    reader->message.table = (struct evidence_table){0};
}

void evidence_reader_rewind(struct evidence_reader *reader)
{
    reader->cursor = reader->records;
    reader->n_read = 0;
    reader->next_slot = reader->message.first_slot;
}

status_t evidence_reader_next(struct evidence_reader *reader, bool *is_end, struct error *err)
{
    *is_end = reader->n_read == reader->n_records;
    if (*is_end) {
        if (evidence_left(&reader->cursor) == 0) return ST_OK;
        return error_set(err, ST_CORRUPT, "evidence with %zu bytes behind its last record",
                         evidence_left(&reader->cursor));
    }
    const status_t status = evidence_record_decode(&reader->cursor, &reader->bounds,
                                                   &reader->next_slot, reader->record, err);
    if (status == ST_OK) reader->n_read++;
    return status;
}
