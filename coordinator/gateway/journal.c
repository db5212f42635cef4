#include "coordinator/gateway/journal.h"

#include "common/buffer.h"
#include "common/file.h"
#include "coordinator/gateway/journal_record.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SEGMENTS_MAX = 4096, NAME_SIZE = 32 };
static const char segment_magic[4] = {'I', 'G', 'J', '1'};

struct segment {
    uint64_t number;
    uint64_t n_bytes;
    size_t n_open;       /* appended and not released */
    int64_t released_ms; /* when n_open last fell to 0, or when it was found at start */
};

struct journal {
    char *directory;
    const struct clock *clock;
    char id[JOURNAL_ID_SIZE];
    int lock_fd;
    int fd;                /* of the last segment, -1 before the first append */
    struct buffer pending; /* records not yet written */
    size_t n_written;      /* bytes of `pending` that are in the file, not yet synced */
    struct segment segments[SEGMENTS_MAX]; /* [n_segments], by number */
    size_t n_segments;
};

static status_t io_error(struct error *err, const char *verb, const char *path)
{
    return error_set(err, ST_IO, "journal: %s %s: %s", verb, path, strerror(errno));
}

static char *segment_path(const struct journal *journal, uint64_t number)
{
    char name[NAME_SIZE];
    (void)snprintf(name, sizeof name, "segment.%08llu", (unsigned long long)number);
    return file_join(journal->directory, name);
}

/* ---- opening ----------------------------------------------------------------------------- */

static status_t lock_directory(struct journal *journal, struct error *err)
{
    char *path = file_join(journal->directory, "lock");
    const struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    status_t status = ST_OK;
    if (!path) return error_set(err, ST_NO_MEMORY, "journal path");
    journal->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (journal->lock_fd < 0)
        status = io_error(err, "open", path);
    else if (fcntl(journal->lock_fd, F_SETLK, &whole) != 0)
        status =
            error_set(err, ST_BUSY, "journal %s is in use by another process", journal->directory);
    free(path);
    return status;
}

static status_t make_id(struct journal *journal, const char *path, struct error *err)
{
    unsigned char random[(JOURNAL_ID_SIZE - 1) / 2];
    const int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    const bool is_read = fd >= 0 && read(fd, random, sizeof random) == (ssize_t)sizeof random;
    if (fd >= 0) (void)close(fd);
    if (!is_read) return io_error(err, "read", "/dev/urandom");
    for (size_t i = 0; i < sizeof random; i++)
        (void)snprintf(journal->id + 2 * i, 3, "%02x", random[i]);
    return file_write_atomic(path, journal->id, JOURNAL_ID_SIZE - 1, err);
}

static status_t read_id(struct journal *journal, struct error *err)
{
    char *path = file_join(journal->directory, "ID"), *text = NULL;
    struct error missing;
    if (!path) return error_set(err, ST_NO_MEMORY, "journal path");
    error_clear(&missing);
    status_t status = file_read(path, 64, &text, NULL, &missing);
    if (status == ST_NOT_FOUND) {
        status = make_id(journal, path, err);
    } else if (status == ST_OK && strspn(text, "0123456789abcdef") == JOURNAL_ID_SIZE - 1) {
        (void)snprintf(journal->id, sizeof journal->id, "%.16s", text);
    } else {
        status = error_set(err, ST_CORRUPT,
                           "journal: %s is damaged; move %s away (its open calls "
                           "then count as uncertain)",
                           path, journal->directory);
    }
    free(text);
    free(path);
    return status;
}

static int by_number(const void *a, const void *b)
{
    const struct segment *x = a, *y = b;
    return (x->number > y->number) - (x->number < y->number);
}

static status_t find_segments(struct journal *journal, struct error *err)
{
    struct dirent *entry;
    DIR *dir = journal->directory ? opendir(journal->directory) : NULL;
    if (!dir) return io_error(err, "open", journal->directory);
    while ((entry = readdir(dir)) && journal->n_segments < SEGMENTS_MAX) {
        struct stat info;
        char *end = entry->d_name;
        if (strncmp(entry->d_name, "segment.", 8) != 0) continue;
        const uint64_t number = strtoull(entry->d_name + 8, &end, 10);
        if (number == 0 || *end) continue;
        char *path = segment_path(journal, number);
        if (path && stat(path, &info) == 0)
            journal->segments[journal->n_segments++] =
                (struct segment){.number = number,
                                 .n_bytes = (uint64_t)info.st_size,
                                 .released_ms = clock_monotonic_ms(journal->clock)};
        free(path);
    }
    (void)closedir(dir);
    qsort(journal->segments, journal->n_segments, sizeof journal->segments[0], by_number);
    return ST_OK;
}

status_t journal_open(struct journal **out, const char *directory, const struct clock *clock,
                      struct error *err)
{
    struct journal *journal = calloc(1, sizeof *journal);
    if (!journal) return error_set(err, ST_NO_MEMORY, "journal");
    journal->fd = journal->lock_fd = -1;
    journal->clock = clock;
    buffer_init(&journal->pending, (size_t)8 * JOURNAL_RECORD_MAX);
    journal->directory = strdup(directory);
    status_t status = journal->directory ? file_make_directories(directory, err)
                                         : error_set(err, ST_NO_MEMORY, "journal path");
    if (status == ST_OK) status = lock_directory(journal, err);
    if (status == ST_OK) status = read_id(journal, err);
    if (status == ST_OK) status = find_segments(journal, err);
    if (status != ST_OK) {
        journal_close(&journal);
        return status;
    }
    *out = journal;
    return ST_OK;
}

void journal_close(struct journal **journal)
{
    if (!*journal) return;
    if ((*journal)->fd >= 0) (void)close((*journal)->fd);
    if ((*journal)->lock_fd >= 0) (void)close((*journal)->lock_fd);
    buffer_fini(&(*journal)->pending);
    free((*journal)->directory);
    free(*journal);
    *journal = NULL;
}

const char *journal_id(const struct journal *journal)
{
    return journal->id;
}

uint64_t journal_last_segment(const struct journal *journal)
{
    return journal->fd >= 0 ? journal->segments[journal->n_segments - 1].number : 0;
}

uint64_t journal_n_bytes(const struct journal *journal)
{
    uint64_t total = 0;
    for (size_t i = 0; i < journal->n_segments; i++) total += journal->segments[i].n_bytes;
    return total;
}

/* ---- appending --------------------------------------------------------------------------- */

static status_t sync_directory(const struct journal *journal, struct error *err)
{
    const int fd = open(journal->directory, O_RDONLY | O_CLOEXEC);
    const bool is_synced = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0) (void)close(fd);
    return is_synced ? ST_OK : io_error(err, "sync", journal->directory);
}

static status_t start_segment(struct journal *journal, struct error *err)
{
    const size_t n = journal->n_segments;
    const uint64_t number = n ? journal->segments[n - 1].number + 1 : 1;
    if (n == SEGMENTS_MAX)
        return error_set(err, ST_TOO_LARGE, "journal %s: more than %d unsettled segments",
                         journal->directory, SEGMENTS_MAX);
    char *path = segment_path(journal, number);
    if (!path) return error_set(err, ST_NO_MEMORY, "journal path");
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
    status_t status = fd < 0 ? io_error(err, "create", path) : sync_directory(journal, err);
    if (status == ST_OK)
        status = buffer_append(&journal->pending, segment_magic, sizeof segment_magic, err);
    if (status != ST_OK && fd >= 0) {
        (void)unlink(path); /* else its number would be taken */
        (void)close(fd);
    }
    free(path);
    if (status != ST_OK) return status;
    if (journal->fd >= 0) (void)close(journal->fd);
    journal->fd = fd;
    journal->segments[journal->n_segments++] =
        (struct segment){.number = number, .n_bytes = sizeof segment_magic};
    return ST_OK;
}

static status_t make_room(struct journal *journal, struct error *err)
{
    const bool is_full = journal->fd >= 0 && journal->segments[journal->n_segments - 1].n_bytes >=
                                                 JOURNAL_SEGMENT_BYTES;
    if (journal->fd >= 0 && !is_full) return ST_OK;
    const status_t status = journal_sync(journal, err); /* what is pending belongs to the old one */
    return status == ST_OK ? start_segment(journal, err) : status;
}

status_t journal_append(struct journal *journal, enum journal_kind kind, size_t n_fields,
                        const char *const *fields, const size_t *n_bytes, uint64_t *segment,
                        struct error *err)
{
    status_t status = make_room(journal, err);
    const size_t before = journal->pending.n_bytes;
    if (status == ST_OK)
        status = journal_record_encode(&journal->pending, kind, n_fields, fields, n_bytes, err);
    if (status != ST_OK) return error_wrap(err, "journal %s", journal->directory);
    struct segment *last = &journal->segments[journal->n_segments - 1];
    last->n_bytes += journal->pending.n_bytes - before;
    last->n_open++;
    *segment = last->number;
    return ST_OK;
}

status_t journal_sync(struct journal *journal, struct error *err)
{
    struct buffer *pending = &journal->pending;
    if (pending->n_bytes == 0) return ST_OK;
    while (journal->n_written < pending->n_bytes) {
        const ssize_t n = write(journal->fd, pending->bytes + journal->n_written,
                                pending->n_bytes - journal->n_written);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return io_error(err, "write", journal->directory);
        journal->n_written += (size_t)n;
    }
    if (fdatasync(journal->fd) != 0) return io_error(err, "sync", journal->directory);
    pending->n_bytes = 0;
    journal->n_written = 0;
    return ST_OK;
}

void journal_release(struct journal *journal, uint64_t segment)
{
    for (size_t i = journal->n_segments; i > 0; i--) {
        struct segment *s = &journal->segments[i - 1];
        if (s->number != segment || s->n_open == 0) continue;
        if (--s->n_open == 0) s->released_ms = clock_monotonic_ms(journal->clock);
        return;
    }
}

void journal_trim(struct journal *journal)
{
    const int64_t now_ms = clock_monotonic_ms(journal->clock);
    const size_t n_closed = journal->n_segments - (journal->fd >= 0 && journal->n_segments);
    size_t n_over = 0;
    while (n_over < n_closed && journal->segments[n_over].n_open == 0 &&
           now_ms - journal->segments[n_over].released_ms >= JOURNAL_KEEP_MS) {
        char *path = segment_path(journal, journal->segments[n_over].number);
        const bool is_gone = path && (unlink(path) == 0 || errno == ENOENT);
        free(path);
        if (!is_gone) break; /* tried again later */
        n_over++;
    }
    journal->n_segments -= n_over;
    memmove(journal->segments, journal->segments + n_over,
            journal->n_segments * sizeof journal->segments[0]);
}

/* ---- replay ------------------------------------------------------------------------------ */

static status_t replay_segment(const struct journal *journal, const struct segment *segment,
                               journal_visit_fn *visit, void *context, size_t *n_torn,
                               struct error *err)
{
    char *path = segment_path(journal, segment->number), *bytes = NULL;
    size_t n_bytes = 0;
    if (!path) return error_set(err, ST_NO_MEMORY, "journal path");
    status_t status = file_read(path, (size_t)2 * JOURNAL_SEGMENT_BYTES + JOURNAL_RECORD_MAX,
                                &bytes, &n_bytes, err);
    free(path);
    if (status == ST_NOT_FOUND) {
        error_clear(err);
        return ST_OK;
    }
    if (status != ST_OK) return status;
    size_t at = sizeof segment_magic;
    bool is_torn = n_bytes < at || memcmp(bytes, segment_magic, at) != 0;
    while (status == ST_OK && !is_torn && at < n_bytes) {
        struct journal_record record;
        const size_t n_record = journal_record_decode(bytes + at, n_bytes - at, &record);
        if (n_record == 0) {
            is_torn = true;
        } else {
            status = visit(context, &record, err);
            at += n_record;
        }
    }
    if (is_torn && n_bytes > 0) (*n_torn)++;
    free(bytes);
    return status;
}

status_t journal_replay(struct journal *journal, journal_visit_fn *visit, void *context,
                        size_t *n_torn, struct error *err)
{
    *n_torn = 0;
    status_t status = journal_sync(journal, err);
    for (size_t i = 0; status == ST_OK && i < journal->n_segments; i++)
        status = replay_segment(journal, &journal->segments[i], visit, context, n_torn, err);
    return status;
}
