/* The records of a sweep that has ended, out of its results.jsonl. The file of the sweep that was
 * asked for last stays open (sweep_cache). Loop thread only. */
#ifndef COORDINATOR_SWEEP_FINISHED_RECORDS_H
#define COORDINATOR_SWEEP_FINISHED_RECORDS_H

#include "coordinator/report/results_file.h"
#include "coordinator/sweep/sweep.h"

/* Borrowed until another sweep's is asked for; NULL: the sweep is not finished, or has none. */
struct results_file *finished_records_file(const struct sweep *sweep);

size_t finished_records_count(const struct sweep *sweep); /* 0 without a file */

/* Append record `index` without its line break. Errors: ST_NOT_FOUND, ST_TOO_LARGE,
 * ST_NO_MEMORY. */
MUST_CHECK status_t finished_records_append(const struct sweep *sweep, size_t index,
                                            struct buffer *out, struct error *err);

#endif
