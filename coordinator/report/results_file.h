/* DATA/sweeps/ID/results.jsonl: one canonical record a line, in order of target and feature, and
 * summary.json beside it. Written once, whole; read by line number through an index of offsets
 * made on first use. No time, worker, retry or cost is in either. Loop thread only. */
#ifndef COORDINATOR_REPORT_RESULTS_FILE_H
#define COORDINATOR_REPORT_RESULTS_FILE_H

#include "common/error.h"

#include <jansson.h>
#include <stddef.h>

struct results_file;

/* Errors: ST_NOT_FOUND, ST_IO, ST_NO_MEMORY. The caller owns *out. */
MUST_CHECK status_t results_file_open(struct results_file **out, const char *path,
                                      struct error *err);
void results_file_close(struct results_file **file); /* NULL-safe */
size_t results_file_n_records(const struct results_file *file);
/* New reference; NULL if the line cannot be read. */
json_t *results_file_record(const struct results_file *file, size_t index);

#endif
