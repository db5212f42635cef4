#include "coordinator/intake/delimited.h"

#include "coordinator/intake/byte_source.h"

#include <stdlib.h>
#include <string.h>

enum { READ_BYTES = 128 * 1024 };

struct delimited {
    struct byte_source *source;
    size_t max_bytes;
    char *bytes; /* [capacity]; unread: [start, end); no delimiter before `scanned` */
    size_t capacity, start, scanned, end;
    bool is_end;
};

static status_t read_more(struct delimited *reader, struct error *err)
{
    size_t n_bytes;
    status_t status;
    memmove(reader->bytes, reader->bytes + reader->start, reader->end - reader->start);
    reader->scanned -= reader->start;
    reader->end -= reader->start;
    reader->start = 0;
    if (reader->capacity - reader->end < READ_BYTES) {
        const size_t capacity = 2 * reader->capacity;
        char *grown = realloc(reader->bytes, capacity);
        if (!grown) return error_set(err, ST_NO_MEMORY, "%zu bytes", capacity);
        reader->bytes = grown;
        reader->capacity = capacity;
    }
    status =
        byte_source_read(reader->source, reader->bytes + reader->end, READ_BYTES, &n_bytes, err);
    reader->end += n_bytes;
    reader->is_end = n_bytes == 0;
    return status;
}

status_t delimited_open(struct delimited **out, const char *path, size_t max_bytes,
                        struct error *err)
{
    struct delimited *reader = calloc(1, sizeof *reader);
    status_t status = ST_OK;
    if (!reader) return error_set(err, ST_NO_MEMORY, "%s: no memory", path);
    reader->max_bytes = max_bytes;
    reader->capacity = 2 * READ_BYTES;
    reader->bytes = malloc(reader->capacity);
    if (!reader->bytes) status = error_set(err, ST_NO_MEMORY, "%s: no memory", path);
    if (status == ST_OK) status = byte_source_open(&reader->source, path, err);
    while (status == ST_OK && reader->end < 3 && !reader->is_end) status = read_more(reader, err);
    if (status != ST_OK) {
        delimited_close(&reader);
        return status;
    }
    if (reader->end >= 3 && memcmp(reader->bytes, "\xEF\xBB\xBF", 3) == 0) reader->start = 3;
    reader->scanned = reader->start;
    *out = reader;
    return ST_OK;
}

void delimited_close(struct delimited **reader)
{
    if (!reader || !*reader) return;
    byte_source_close(&(*reader)->source);
    free((*reader)->bytes);
    free(*reader);
    *reader = NULL;
}

/* Where the delimiter begins in the unread bytes, or NULL; moves `scanned` on. */
static const char *find_delimiter(struct delimited *reader, const char *delimiter,
                                  size_t n_delimiter)
{
    if (n_delimiter == 0) return NULL;
    while (reader->end - reader->scanned >= n_delimiter) {
        const char *from = reader->bytes + reader->scanned;
        const size_t n_starts = reader->end - reader->scanned - n_delimiter + 1;
        const char *hit = memchr(from, delimiter[0], n_starts);
        reader->scanned += hit ? (size_t)(hit - from) : n_starts;
        if (!hit) return NULL;
        if (memcmp(hit, delimiter, n_delimiter) == 0) return hit;
        reader->scanned++;
    }
    return NULL;
}

static void take_run(struct delimited *reader, size_t n_run, size_t n_delimiter, const char **bytes,
                     size_t *n_bytes)
{
    *bytes = reader->bytes + reader->start;
    *n_bytes = n_run;
    reader->start += n_run + n_delimiter;
    reader->scanned = reader->start;
}

status_t delimited_next(struct delimited *reader, const char *delimiter, size_t n_delimiter,
                        const char **bytes, size_t *n_bytes, bool *has_run, struct error *err)
{
    *has_run = false;
    for (;;) {
        const char *hit = find_delimiter(reader, delimiter, n_delimiter);
        const size_t n_run = (hit ? (size_t)(hit - reader->bytes) : reader->end) - reader->start;
        if (n_run > reader->max_bytes)
            return error_set(err, ST_TOO_LARGE, "longer than %zu bytes", reader->max_bytes);
        if (hit || (reader->is_end && n_run > 0)) {
            take_run(reader, n_run, hit ? n_delimiter : 0, bytes, n_bytes);
            *has_run = true;
            return ST_OK;
        }
        if (reader->is_end) return ST_OK;
        const status_t status = read_more(reader, err);
        if (status != ST_OK) return status;
    }
}
