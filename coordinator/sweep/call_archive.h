/* What a sweep asked of language models, word for word, for whoever audits it afterwards: the store
 * keeps replies by call id and forgets bodies as soon as there is a reply.
 *
 *   DATA/sweeps/ID/calls.zst     zstd frames one after another, so `zstdcat` reads it all; a frame
 *                                holds the calls of one stage of one session, a JSON object a line:
 *       {"ask","round","sheet","score","prompt","judge","call","provider","body"}
 *   DATA/sweeps/ID/calls.index   written when the sweep is over: "RECORD OFFSET BYTES\n" a frame,
 *                                by record (its number in results.jsonl) and offset
 *
 * It is made anew whenever the sweep starts: a replay asks everything again, so nothing is missing.
 * Not canonical: frames are in the order in which sessions came by. What cannot be written (a full
 * disk) is not kept, and nothing else suffers. Appending: any thread; the rest: see each. */
#ifndef COORDINATOR_SWEEP_CALL_ARCHIVE_H
#define COORDINATOR_SWEEP_CALL_ARCHIVE_H

#include "common/buffer.h"
#include "common/error.h"

#include <stddef.h>
#include <stdint.h>

struct call_archive;

/* An empty archive at `path`. The caller owns *out. Errors: ST_IO, ST_NO_MEMORY. */
MUST_CHECK status_t call_archive_create(struct call_archive **out, const char *path,
                                        struct error *err);
void call_archive_destroy(struct call_archive **archive); /* NULL-safe; nobody appends any more */

/* Keep the lines of one stage of a session. */
void call_archive_append(struct call_archive *archive, uint64_t record, const void *lines,
                         size_t n_bytes);
/* The lines of one record, appended to `out` in the order they were asked. Errors: ST_NOT_FOUND
 * (none), ST_IO, ST_CORRUPT, ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t call_archive_read(struct call_archive *archive, uint64_t record,
                                      struct buffer *out, struct error *err);

/* Nobody appends any more: write the index. Errors: ST_IO, ST_NO_MEMORY. */
MUST_CHECK status_t call_archive_save_index(struct call_archive *archive, const char *index_path,
                                            struct error *err);
/* As call_archive_read(), of a sweep that is over. */
MUST_CHECK status_t call_archive_read_saved(const char *path, const char *index_path,
                                            uint64_t record, struct buffer *out, struct error *err);

#endif
