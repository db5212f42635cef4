#include "coordinator/sweep/finished_records.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct results_file *finished_records_file(const struct sweep *sweep)
{
    struct sweep_cache *cache = sweep->context->cache;
    if (sweep->state != SWEEP_FINISHED) return NULL;
    if (cache->results && strcmp(cache->results_sweep, sweep->id) == 0) return cache->results;
    results_file_close(&cache->results);
    char *path = sweep_path(sweep, "results.jsonl");
    if (path && results_file_open(&cache->results, path, NULL) == ST_OK)
        (void)snprintf(cache->results_sweep, sizeof cache->results_sweep, "%s", sweep->id);
    free(path);
    return cache->results;
}

size_t finished_records_count(const struct sweep *sweep)
{
    const struct results_file *file = finished_records_file(sweep);
    return file ? results_file_n_records(file) : 0;
}

status_t finished_records_append(const struct sweep *sweep, size_t index, struct buffer *out,
                                 struct error *err)
{
    const struct results_file *file = finished_records_file(sweep);
    const struct wire_text line = file ? results_file_record(file, index) : (struct wire_text){0};
    return line.n_bytes ? buffer_append(out, line.bytes, line.n_bytes, err)
                        : error_set(err, ST_NOT_FOUND, "record %zu is not there", index);
}
