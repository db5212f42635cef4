/* DATA/sweeps/ID/results.jsonl: one canonical record a line, in order of target and feature, and
 * summary.json beside it. Written once, whole; read by line number through an index of offsets, and
 * by feature through another that is made on first use: nothing is parsed. No time, worker, retry
 * or cost is in either. Loop thread only. */
#ifndef COORDINATOR_REPORT_RESULTS_FILE_H
#define COORDINATOR_REPORT_RESULTS_FILE_H

#include "common/error.h"
#include "common/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct results_file;

/* Errors: ST_NOT_FOUND, ST_IO, ST_NO_MEMORY. The caller owns *out. */
MUST_CHECK status_t results_file_open(struct results_file **out, const char *path,
                                      struct error *err);
void results_file_close(struct results_file **file); /* NULL-safe */
size_t results_file_n_records(const struct results_file *file);
/* The line as it is, without its end, borrowed until close; no bytes if there is no such line or it
 * is no JSON object at first sight. */
struct wire_text results_file_record(const struct results_file *file, size_t index);

/* Which records: those of one target follow each other, their features ascend. */
struct results_wanted {
    const char *hook_point;
    const char *dictionary; /* NULL: none */
    size_t n_before; /* targets before it in the sweep with the same hook point and dictionary */
    uint64_t feature;
};
/* Errors: ST_NOT_FOUND, ST_NO_MEMORY. */
MUST_CHECK status_t results_file_find(struct results_file *file,
                                      const struct results_wanted *wanted, size_t *index,
                                      struct error *err);

#endif
