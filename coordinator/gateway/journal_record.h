/* One record of the journal as bytes. Layout in journal.h. Pure functions. */
#ifndef COORDINATOR_GATEWAY_JOURNAL_RECORD_H
#define COORDINATOR_GATEWAY_JOURNAL_RECORD_H

#include "common/buffer.h"
#include "coordinator/gateway/journal.h"

/* Append a record. Errors: ST_TOO_LARGE, ST_NO_MEMORY; `out` unchanged then. */
MUST_CHECK status_t journal_record_encode(struct buffer *out, enum journal_kind kind,
                                          size_t n_fields, const char *const *fields,
                                          const size_t *n_bytes, struct error *err);

/* Read the record at `bytes`, where `n_left` bytes are left. Returns its length, 0 if it is cut,
 * damaged or malformed. NULs are put behind the fields, in place of the next length (already
 * read), so the bytes are changed and can be decoded once. */
size_t journal_record_decode(char *bytes, size_t n_left, struct journal_record *out);

#endif
