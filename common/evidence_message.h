/* A message of evidence: header, table of documents and windows, records of slots.
 *
 * Two kinds share the layout (EVIDENCE.md): a worker's *partial* of one unit, and a stored
 * *block* of merged slots. Records name windows and documents by their place in the table. */
#ifndef COMMON_EVIDENCE_MESSAGE_H
#define COMMON_EVIDENCE_MESSAGE_H

#include "common/buffer.h"
#include "common/evidence.h"
#include "common/evidence_bytes.h"
#include "common/evidence_header.h"
#include "common/evidence_record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Documents ascending, windows ascending by (document, offset) and of documents in the list. */
struct evidence_table {
    uint32_t n_documents, n_windows;
    uint32_t *document;             /* [n_documents], index in the corpus */
    struct evidence_window *window; /* [n_windows] */
};

struct evidence_message {
    enum evidence_kind kind; /* EVIDENCE_PARTIAL or EVIDENCE_BLOCK */
    struct evidence_identity identity;
    uint64_t unit_number;         /* of a partial; 0 in a block */
    uint64_t n_units;             /* merged into a block; 1 in a partial */
    uint32_t first_slot, n_slots; /* records lie in this range; a partial covers all */
    uint64_t documents_check;     /* sum of evidence_document_check over the table's documents */
    uint32_t n_tokens;            /* in segments, of the unit or of all merged units */
    struct evidence_bin_counts positions; /* those tokens by position bucket, if counted */
    struct evidence_table table;          /* borrowed by a writer, owned by a reader */
};

/* Write header and table, then records with evidence_record_encode (slots ascending), then say
 * how many. Errors: ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t evidence_message_begin(const struct evidence_message *message,
                                           struct buffer *out, size_t *patch_at, struct error *err);
void evidence_message_end(struct buffer *out, size_t patch_at, uint32_t n_records);

/* Reads a message record by record. Embedded; call evidence_reader_close. */
struct evidence_reader {
    struct evidence_message message;
    struct evidence_record *record; /* the one read last */
    struct evidence_record_bounds bounds;
    struct evidence_cursor records; /* from the first record on */
    struct evidence_cursor cursor;
    uint32_t n_records, n_read, next_slot;
};

/* Check and take in header and table of untrusted bytes, which are borrowed until close.
 * Errors: ST_PROTOCOL (not evidence of this kind and version), ST_CORRUPT, ST_NO_MEMORY. */
MUST_CHECK status_t evidence_reader_open(struct evidence_reader *reader, enum evidence_kind kind,
                                         const void *bytes, size_t n_bytes, struct error *err);
void evidence_reader_close(struct evidence_reader *reader); /* fine after a failed open */

/* The next record into reader->record; *is_end when there was none, and then all bytes were
 * used. Errors: ST_CORRUPT, ST_NO_MEMORY. */
MUST_CHECK status_t evidence_reader_next(struct evidence_reader *reader, bool *is_end,
                                         struct error *err);
/* Back to the first record. */
void evidence_reader_rewind(struct evidence_reader *reader);

/* Only the header, of either kind (message->table stays empty). Errors as above. */
MUST_CHECK status_t evidence_message_peek(enum evidence_kind kind, const void *bytes,
                                          size_t n_bytes, struct evidence_message *message,
                                          struct error *err);

#endif
