#include "common/evidence_message.h"

enum {
    HEADER_MAX_BYTES = EVIDENCE_HEADER_MAX_BYTES + 2 * 8 + 6 * EVIDENCE_VARINT64_MAX +
                       EVIDENCE_POSITION_BUCKETS * 2 * EVIDENCE_VARINT32_MAX,
    WINDOW_MAX_BYTES = 2 * EVIDENCE_VARINT32_MAX + 2,
};

static unsigned char *put_header(unsigned char *at, const struct evidence_message *message)
{
    at = evidence_put_header(at, message->kind, &message->identity);
    if (message->kind == EVIDENCE_PARTIAL) {
        at = evidence_put_u64(at, message->unit_number);
    } else {
        at = evidence_put_varint(at, message->n_units);
        at = evidence_put_varint(at, message->first_slot);
        at = evidence_put_varint(at, message->n_slots);
    }
    at = evidence_put_u64(at, message->documents_check);
    at = evidence_put_varint(at, message->n_tokens);
    at = evidence_put_varint(at, message->positions.n);
    uint32_t next = 0;
    for (uint32_t i = 0; i < message->positions.n; i++) {
        at = evidence_put_varint(at, message->positions.bin[i] - next);
        at = evidence_put_varint(at, message->positions.count[i] - 1u);
        next = message->positions.bin[i] + 1u;
    }
    return at;
}

static unsigned char *put_table(unsigned char *at, const struct evidence_table *table)
{
    uint32_t next = 0;
    at = evidence_put_varint(at, table->n_documents);
    for (uint32_t i = 0; i < table->n_documents; i++) {
        at = evidence_put_varint(at, table->document[i] - next);
        next = table->document[i] + 1;
    }
    uint32_t place = 0, next_offset = 0; /* place of the window's document in the list */
    at = evidence_put_varint(at, table->n_windows);
    for (uint32_t i = 0; i < table->n_windows; i++) {
        const struct evidence_window *window = &table->window[i];
        uint32_t n_skipped = 0;
        while (table->document[place] != window->document_index) place++, n_skipped++;
        if (n_skipped > 0) next_offset = 0;
        at = evidence_put_varint(at, n_skipped);
        at = evidence_put_varint(at, window->document_offset - next_offset);
        at = evidence_put_varint(at, window->n_tokens - 1u);
        next_offset = window->document_offset + 1;
    }
    return at;
}

status_t evidence_message_begin(const struct evidence_message *message, struct buffer *out,
                                size_t *patch_at, struct error *err)
{
    const struct evidence_table *table = &message->table;
    const size_t max_bytes = HEADER_MAX_BYTES + (size_t)table->n_documents * EVIDENCE_VARINT32_MAX +
                             (size_t)table->n_windows * WINDOW_MAX_BYTES + sizeof(uint32_t);
    void *room;
    const status_t status = buffer_reserve(out, max_bytes, &room, err);
    if (status != ST_OK) return status;
    unsigned char *at = put_table(put_header(room, message), table);
    *patch_at = out->n_bytes + (size_t)(at - (unsigned char *)room);
    (void)evidence_put_u32(at, 0);
    out->n_bytes = *patch_at + sizeof(uint32_t);
    return ST_OK;
}

void evidence_message_end(struct buffer *out, size_t patch_at, uint32_t n_records)
{
    evidence_put_u32(out->bytes + patch_at, n_records);
}
