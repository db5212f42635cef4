#include "coordinator/plan/token_file.h"

#include "common/file.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TAIL_TOKENS = 16384 }; /* appended ids wait here for a write that is worth its call */

struct token_file {
    int fd;
    uint64_t n_written; /* ids in the file; the tail comes behind them */
    size_t n_tail;
    uint32_t tail[TAIL_TOKENS];
};

status_t token_file_create(struct token_file **out, const char *directory, struct error *err)
{
    struct token_file *file = calloc(1, sizeof *file);
    if (!file) return error_set(err, ST_NO_MEMORY, "file of tokens");
    const status_t status = file_create_unnamed(directory, &file->fd, err);
    if (status == ST_OK)
        *out = file;
    else
        free(file);
    return status;
}

void token_file_destroy(struct token_file **file)
{
    if (!file || !*file) return;
    (void)close((*file)->fd);
    free(*file);
    *file = NULL;
}

static status_t write_tokens(struct token_file *file, const uint32_t *tokens, size_t n,
                             struct error *err)
{
    const status_t status =
        file_write_at(file->fd, tokens, n * sizeof *tokens, file->n_written * sizeof *tokens, err);
    if (status == ST_OK) file->n_written += n;
    return status;
}

status_t token_file_append(struct token_file *file, const uint32_t *tokens, size_t n,
                           struct error *err)
{
    if (n > TAIL_TOKENS - file->n_tail) {
        const status_t status = write_tokens(file, file->tail, file->n_tail, err);
        if (status != ST_OK) return status;
        file->n_tail = 0;
    }
    if (n > TAIL_TOKENS) return write_tokens(file, tokens, n, err);
    memcpy(file->tail + file->n_tail, tokens, n * sizeof *tokens);
    file->n_tail += n;
    return ST_OK;
}

status_t token_file_read(const struct token_file *file, uint64_t first, size_t n, uint32_t *out,
                         struct error *err)
{
    size_t n_on_disk = 0;
    if (first < file->n_written)
        n_on_disk = file->n_written - first < n ? (size_t)(file->n_written - first) : n;
    if (n_on_disk) {
        const status_t status =
            file_read_at(file->fd, out, n_on_disk * sizeof *out, first * sizeof *out, err);
        if (status != ST_OK) return status;
    }
    if (n > n_on_disk)
        memcpy(out + n_on_disk, file->tail + (first + n_on_disk - file->n_written),
               (n - n_on_disk) * sizeof *out);
    return ST_OK;
}
