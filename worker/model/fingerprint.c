#include "worker/model/fingerprint.h"

#include "common/buffer.h"
#include "common/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILES_MAX = 1024, STAMP_MAX_BYTES = 1 << 20, CHUNK_BYTES = 1 << 20 };
static const off_t whole_file_bytes = (off_t)1 << 30, end_bytes = (off_t)64 << 20;

struct file_list {
    char *names[FILES_MAX]; /* each owned */
    size_t n;
};

static bool is_part(const char *name)
{
    static const char *const exact[] = {"config.json", "tokenizer.json", "cfg.json",
                                        "model.safetensors.index.json"};
    static const char suffix[] = ".safetensors";
    const size_t n = strlen(name), n_suffix = sizeof suffix - 1;
    for (size_t i = 0; i < sizeof exact / sizeof exact[0]; i++)
        if (strcmp(name, exact[i]) == 0) return true;
    return n > n_suffix && strcmp(name + n - n_suffix, suffix) == 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void free_list(struct file_list *list)
{
    for (size_t i = 0; i < list->n; i++) free(list->names[i]);
    list->n = 0;
}

static status_t fill_list(DIR *open_directory, const char *directory, struct file_list *out,
                          struct error *err)
{
    const struct dirent *entry;
    while ((entry = readdir(open_directory))) {
        if (!is_part(entry->d_name)) continue;
        if (out->n == FILES_MAX)
            return error_set(err, ST_TOO_LARGE, "%s: more than %d files", directory, FILES_MAX);
        out->names[out->n] = strdup(entry->d_name);
        if (!out->names[out->n]) return error_set(err, ST_NO_MEMORY, "%s", directory);
        out->n++;
    }
    if (out->n == 0)
        return error_set(err, ST_NOT_FOUND, "%s: neither a model nor a dictionary", directory);
    qsort(out->names, out->n, sizeof out->names[0], compare_names);
    return ST_OK;
}

static status_t list_files(const char *directory, struct file_list *out, struct error *err)
{
    *out = (struct file_list){.n = 0};
    DIR *open_directory = opendir(directory);
    if (!open_directory)
        return error_set(err, errno == ENOENT ? ST_NOT_FOUND : ST_IO, "open %s: %s", directory,
                         strerror(errno));
    const status_t status = fill_list(open_directory, directory, out, err);
    (void)closedir(open_directory);
    if (status != ST_OK) free_list(out);
    return status;
}

/* --- content ------------------------------------------------------------------------------- */

static status_t add_range(struct hash_stream *stream, int fd, off_t low, off_t high,
                          unsigned char *chunk, struct error *err)
{
    status_t status = ST_OK;
    while (low < high && status == ST_OK) {
        const size_t wanted = high - low < CHUNK_BYTES ? (size_t)(high - low) : CHUNK_BYTES;
        const ssize_t n = pread(fd, chunk, wanted, low);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return error_set(err, ST_IO, "%s", n ? strerror(errno) : "cut off meanwhile");
        status = hash_stream_add(stream, chunk, (size_t)n, err);
        low += n;
    }
    return status;
}

static status_t add_content(struct hash_stream *stream, int fd, off_t size, struct error *err)
{
    unsigned char number[8];
    unsigned char *chunk = malloc(CHUNK_BYTES);
    if (!chunk) return error_set(err, ST_NO_MEMORY, "%d bytes", CHUNK_BYTES);
    for (size_t i = 0; i < sizeof number; i++)
        number[i] = (unsigned char)((uint64_t)size >> (8 * i));
    const bool is_whole = size <= whole_file_bytes;
    status_t status = hash_stream_add(stream, number, sizeof number, err);
    if (status == ST_OK) status = add_range(stream, fd, 0, is_whole ? size : end_bytes, chunk, err);
    if (status == ST_OK && !is_whole)
        status = add_range(stream, fd, size - end_bytes, size, chunk, err);
    free(chunk);
    return status;
}

static status_t add_file(struct hash_stream *stream, const char *directory, const char *name,
                         struct error *err)
{
    struct stat info;
    char *path = file_join(directory, name);
    if (!path) return error_set(err, ST_NO_MEMORY, "%s", directory);
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    status_t status = fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode)
                          ? ST_OK
                          : error_set(err, ST_IO, "not a readable file");
    if (status == ST_OK) status = hash_stream_add(stream, name, strlen(name) + 1, err);
    if (status == ST_OK) status = add_content(stream, fd, info.st_size, err);
    if (status != ST_OK) (void)error_wrap(err, "%s", path);
    if (fd >= 0) (void)close(fd); /* read-only */
    free(path);
    return status;
}

status_t fingerprint_compute(const char *directory, char out[HASH_HEX_SIZE], struct error *err)
{
    struct file_list files;
    struct hash_stream *stream = NULL;
    status_t status = list_files(directory, &files, err);
    if (status != ST_OK) return status;
    status = hash_stream_create(&stream, err);
    for (size_t i = 0; i < files.n && status == ST_OK; i++)
        status = add_file(stream, directory, files.names[i], err);
    if (status == ST_OK) status = hash_stream_hex(stream, out, err);
    hash_stream_destroy(&stream);
    free_list(&files);
    return status;
}

void fingerprint_shuffle(char hex[HASH_HEX_SIZE], uint64_t shuffle_seed)
{
    char text[HASH_HEX_SIZE + 40];
    if (shuffle_seed == 0) return;
    const int n = snprintf(text, sizeof text, "%s|weights shuffled|%016llx", hex,
                           (unsigned long long)shuffle_seed);
    hash_sha256_hex(text, (size_t)n, hex);
}

/* --- stamp --------------------------------------------------------------------------------- */

static status_t add_stamp(const char *directory, const char *name, struct buffer *text,
                          struct error *err)
{
    struct stat info;
    char *path = file_join(directory, name);
    if (!path) return error_set(err, ST_NO_MEMORY, "%s", directory);
    const status_t status =
        stat(path, &info) == 0
            ? buffer_printf(text, err, "%s|%lld|%lld.%09ld|%llu\n", name, (long long)info.st_size,
                            (long long)info.st_mtim.tv_sec, info.st_mtim.tv_nsec,
                            (unsigned long long)info.st_ino)
            : error_set(err, ST_IO, "stat %s: %s", path, strerror(errno));
    free(path);
    return status;
}

status_t fingerprint_stamp(const char *directory, uint64_t *out, struct error *err)
{
    struct file_list files;
    struct buffer text;
    status_t status = list_files(directory, &files, err);
    if (status != ST_OK) return status;
    buffer_init(&text, STAMP_MAX_BYTES);
    for (size_t i = 0; i < files.n && status == ST_OK; i++)
        status = add_stamp(directory, files.names[i], &text, err);
    if (status == ST_OK) *out = hash_name64(text.bytes, text.n_bytes);
    buffer_fini(&text);
    free_list(&files);
    return status;
}
