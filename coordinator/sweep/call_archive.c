#include "coordinator/sweep/call_archive.h"

#include "common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

enum { LEVEL = 3, FRAME_MAX_BYTES = 64 << 20, INDEX_MAX_BYTES = 1 << 30 };

struct frame {
    uint64_t record, offset, n_bytes;
};

struct call_archive {
    int fd;
    pthread_mutex_t mutex; /* of all below */
    uint64_t n_bytes;      /* the file so far */
    struct frame *frames;  /* [n], owned */
    size_t n, capacity;
};

status_t call_archive_create(struct call_archive **out, const char *path, struct error *err)
{
    struct call_archive *archive = calloc(1, sizeof *archive);
    if (!archive) return error_set(err, ST_NO_MEMORY, "%s", path);
    archive->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (archive->fd < 0) {
        free(archive);
        return error_set(err, ST_IO, "%s: %s", path, strerror(errno));
    }
    (void)pthread_mutex_init(&archive->mutex, NULL);
    *out = archive;
    return ST_OK;
}

void call_archive_destroy(struct call_archive **archive)
{
    struct call_archive *self = *archive;
    if (!self) return;
    (void)close(self->fd);
    (void)pthread_mutex_destroy(&self->mutex);
    free(self->frames);
    free(self);
    *archive = NULL;
}

/* --- appending ----------------------------------------------------------------------------- */

static bool write_at(int fd, const char *bytes, size_t n_bytes, uint64_t offset)
{
    for (size_t done = 0; done < n_bytes;) {
        const ssize_t n = pwrite(fd, bytes + done, n_bytes - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        done += (size_t)n;
    }
    return true;
}

static bool add_frame(struct call_archive *archive, struct frame frame)
{
    if (archive->n == archive->capacity) {
        const size_t capacity = archive->capacity ? 2 * archive->capacity : 256;
        struct frame *grown = realloc(archive->frames, capacity * sizeof *grown);
        if (!grown) return false;
        archive->frames = grown;
        archive->capacity = capacity;
    }
    archive->frames[archive->n++] = frame;
    return true;
}

void call_archive_append(struct call_archive *archive, uint64_t record, const void *lines,
                         size_t n_bytes)
{
    const size_t bound = ZSTD_compressBound(n_bytes);
    char *packed = n_bytes <= FRAME_MAX_BYTES ? malloc(bound) : NULL;
    const size_t n = packed ? ZSTD_compress(packed, bound, lines, n_bytes, LEVEL) : 0;
    if (packed && !ZSTD_isError(n)) {
        (void)pthread_mutex_lock(&archive->mutex);
        /* What fails leaves the end where it was: the next frame is written over it. */
        if (write_at(archive->fd, packed, n, archive->n_bytes) &&
            add_frame(archive, (struct frame){record, archive->n_bytes, n}))
            archive->n_bytes += n;
        (void)pthread_mutex_unlock(&archive->mutex);
    }
    free(packed);
}

/* --- reading ------------------------------------------------------------------------------- */

static status_t unpack(const char *packed, size_t n_packed, struct buffer *out, struct error *err)
{
    const unsigned long long n = ZSTD_getFrameContentSize(packed, n_packed);
    if (n > FRAME_MAX_BYTES) return error_set(err, ST_CORRUPT, "calls: a damaged frame");
    char *lines = malloc((size_t)n + 1);
    if (!lines) return error_set(err, ST_NO_MEMORY, "calls");
    const bool is_sound = ZSTD_decompress(lines, (size_t)n, packed, n_packed) == (size_t)n;
    const status_t status = is_sound ? buffer_append(out, lines, (size_t)n, err)
                                     : error_set(err, ST_CORRUPT, "calls: a damaged frame");
    free(lines);
    return status;
}

static status_t read_frame(int fd, const struct frame *frame, struct buffer *out, struct error *err)
{
    if (frame->n_bytes > FRAME_MAX_BYTES) return error_set(err, ST_CORRUPT, "calls: a huge frame");
    char *packed = malloc((size_t)frame->n_bytes + 1);
    if (!packed) return error_set(err, ST_NO_MEMORY, "calls");
    const ssize_t n = pread(fd, packed, (size_t)frame->n_bytes, (off_t)frame->offset);
    const status_t status = n == (ssize_t)frame->n_bytes
                                ? unpack(packed, (size_t)n, out, err)
                                : error_set(err, ST_IO, "calls: the file is cut");
    free(packed);
    return status;
}

static status_t none(uint64_t record, struct error *err)
{
    return error_set(err, ST_NOT_FOUND, "no calls of record %" PRIu64, record);
}

status_t call_archive_read(struct call_archive *archive, uint64_t record, struct buffer *out,
                           struct error *err)
{
    status_t status = ST_OK;
    size_t n_found = 0;
    (void)pthread_mutex_lock(&archive->mutex);
    for (size_t i = 0; i < archive->n && status == ST_OK; i++) {
        if (archive->frames[i].record != record) continue;
        status = read_frame(archive->fd, &archive->frames[i], out, err);
        n_found++;
    }
    (void)pthread_mutex_unlock(&archive->mutex);
    return status == ST_OK && n_found == 0 ? none(record, err) : status;
}

/* --- the index ----------------------------------------------------------------------------- */

static int compare(const void *left, const void *right)
{
    const struct frame *a = left, *b = right;
    if (a->record != b->record) return a->record < b->record ? -1 : 1;
    return a->offset < b->offset ? -1 : a->offset > b->offset;
}

status_t call_archive_save_index(struct call_archive *archive, const char *index_path,
                                 struct error *err)
{
    struct buffer text;
    status_t status = ST_OK;
    buffer_init(&text, INDEX_MAX_BYTES);
    if (archive->n) qsort(archive->frames, archive->n, sizeof *archive->frames, compare);
    for (size_t i = 0; i < archive->n && status == ST_OK; i++)
        status = buffer_printf(&text, err, "%" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
                               archive->frames[i].record, archive->frames[i].offset,
                               archive->frames[i].n_bytes);
    if (status == ST_OK)
        status = file_write_atomic(index_path, text.n_bytes ? (const void *)text.bytes : "",
                                   text.n_bytes, err);
    buffer_fini(&text);
    return status;
}

/* The numbers of one line; NULL if it is none, else where the next begins. */
static const char *parse_line(const char *line, struct frame *out)
{
    uint64_t *const numbers[] = {&out->record, &out->offset, &out->n_bytes};
    for (size_t i = 0; i < 3; i++) {
        char *end;
        *numbers[i] = strtoull(line, &end, 10);
        if (end == line || *end != (i < 2 ? ' ' : '\n')) return NULL;
        line = end + 1;
    }
    return line;
}

static status_t read_indexed(int fd, const char *index, uint64_t record, struct buffer *out,
                             struct error *err)
{
    struct frame frame;
    status_t status = ST_OK;
    size_t n_found = 0;
    while (index && *index && status == ST_OK) {
        index = parse_line(index, &frame);
        if (!index) return error_set(err, ST_CORRUPT, "calls.index is damaged");
        if (frame.record != record) continue;
        status = read_frame(fd, &frame, out, err);
        n_found++;
    }
    return status == ST_OK && n_found == 0 ? none(record, err) : status;
}

status_t call_archive_read_saved(const char *path, const char *index_path, uint64_t record,
                                 struct buffer *out, struct error *err)
{
    char *index = NULL;
    status_t status = file_read(index_path, INDEX_MAX_BYTES, &index, NULL, err);
    if (status != ST_OK) return status;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    status = fd >= 0 ? read_indexed(fd, index, record, out, err)
                     : error_set(err, errno == ENOENT ? ST_NOT_FOUND : ST_IO, "%s: %s", path,
                                 strerror(errno));
    if (fd >= 0) (void)close(fd);
    free(index);
    return status;
}
