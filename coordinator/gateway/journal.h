/* The gateway's memory of what it sent and what came back, on its own disk.
 *
 *   send   durable before the request goes out
 *   reply  durable before Redis hears of it (the arguments of settle.lua)
 *   batch  what a batch of calls is and how far it is known to be, durable before each of its
 *          steps; the last record of a tag counts (batch_record.h)
 *
 * A directory of append-only segments. journal_append() only buffers; journal_sync() writes and
 * fdatasyncs everything at once (group commit), so nothing may be sent or stored between them.
 * After a crash a torn last record is as if it was never written, which is right for both kinds:
 * an unjournaled send did not go out, an unjournaled reply makes its send uncertain.
 *
 *   segment  := "IGJ1" record*
 *   record   := u32 n_payload | u32 crc32(payload) | payload       (little-endian)
 *   payload  := u8 kind | u8 n_fields | (u32 n_bytes | bytes) x n_fields | u8 0
 *
 * A segment goes when all that was appended to it is settled and JOURNAL_KEEP_MS have passed (a
 * Redis that loses its last second is told again), oldest first, so that a reply never goes before
 * its send. One process per directory (locked). Belongs to the gateway's loop thread. */
#ifndef COORDINATOR_GATEWAY_JOURNAL_H
#define COORDINATOR_GATEWAY_JOURNAL_H

#include "common/clock.h"
#include "common/error.h"

#include <stddef.h>
#include <stdint.h>

struct journal;

enum journal_kind { JOURNAL_SEND = 1, JOURNAL_REPLY = 2, JOURNAL_BATCH = 3 };

enum {
    JOURNAL_FIELDS_MAX = 8,
    JOURNAL_RECORD_MAX = 16 << 20,   /* bytes of a payload */
    JOURNAL_SEGMENT_BYTES = 8 << 20, /* a new segment begins behind this */
    JOURNAL_KEEP_MS = 15000,
    JOURNAL_ID_SIZE = 17 /* 16 hex digits and NUL */
};

/* Open or create. Errors: ST_BUSY (another process has it), ST_IO, ST_CORRUPT (its ID file),
 * ST_NO_MEMORY. `clock` is borrowed. On ST_OK the caller owns *out. */
MUST_CHECK status_t journal_open(struct journal **out, const char *directory,
                                 const struct clock *clock, struct error *err);
void journal_close(struct journal **journal); /* NULL-safe; unsynced records are lost */

/* Random name of this directory's journal, made at its creation. */
const char *journal_id(const struct journal *journal);

/* Buffer one record; *segment says which segment holds it, for journal_release(). Errors:
 * ST_TOO_LARGE, ST_NO_MEMORY, ST_IO. */
MUST_CHECK status_t journal_append(struct journal *journal, enum journal_kind kind, size_t n_fields,
                                   const char *const *fields, const size_t *n_bytes,
                                   uint64_t *segment, struct error *err);

/* Make everything appended durable. Errors: ST_IO (disk full, ...): nothing of it may be acted
 * upon; the records stay buffered and the next sync tries again. */
MUST_CHECK status_t journal_sync(struct journal *journal, struct error *err);

/* What one append to `segment` was about is settled. Deletes segments that are over. */
void journal_release(struct journal *journal, uint64_t segment);

/* The segment that the next record will probably be in; 0 before the first. */
uint64_t journal_last_segment(const struct journal *journal);

/* Delete segments whose time has come (called now and then). */
void journal_trim(struct journal *journal);

/* Bytes in all segments, for the dashboard. */
uint64_t journal_n_bytes(const struct journal *journal);

struct journal_record {
    enum journal_kind kind;
    size_t n_fields;
    const char *fields[JOURNAL_FIELDS_MAX]; /* each with a NUL behind; borrowed for the call */
    size_t n_bytes[JOURNAL_FIELDS_MAX];
};
typedef status_t journal_visit_fn(void *context, const struct journal_record *record,
                                  struct error *err);

/* Visit every whole record of every segment, oldest first; *n_torn counts segments that ended in a
 * broken record. Stops at the first error of `visit`. */
MUST_CHECK status_t journal_replay(struct journal *journal, journal_visit_fn *visit, void *context,
                                   size_t *n_torn, struct error *err);

#endif
