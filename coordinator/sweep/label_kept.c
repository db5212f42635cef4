#include "coordinator/sweep/label_kept.h"

#include "common/evidence_zstd.h"
#include "common/file.h"
#include "common/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NAME_SIZE = 64, MAX_BYTES = 1 << 30 };

static char *path_of(const struct sweep *sweep, const char *phase)
{
    char name[NAME_SIZE];
    (void)snprintf(name, sizeof name, "kept-%s", phase);
    return sweep_path(sweep, name);
}

/* A part for each target. */
struct kept_parts {
    struct buffer of[DESCRIBE_MAX_TARGETS]; /* [n] */
    size_t n;
};

static void init_parts(struct kept_parts *parts, const struct label_run *run)
{
    parts->n = run->sweep->spec->n_targets;
    for (size_t i = 0; i < parts->n; i++) buffer_init(&parts->of[i], MAX_BYTES);
}

static void fini_parts(struct kept_parts *parts)
{
    for (size_t i = 0; i < parts->n; i++) buffer_fini(&parts->of[i]);
}

/* --- writing ------------------------------------------------------------------------------- */

static status_t join(const struct label_run *run, const struct kept_parts *parts,
                     struct buffer *out, struct error *err)
{
    struct wire_text texts[DESCRIBE_MAX_TARGETS] = {{NULL, 0}};
    status_t status = buffer_printf(out, err, "%s\n", run->evidence_key);
    for (size_t i = 0; i < parts->n; i++)
        texts[i] = (struct wire_text){(const char *)parts->of[i].bytes, parts->of[i].n_bytes};
    return status == ST_OK ? wire_parts_encode(texts, parts->n, out, err) : status;
}

static status_t write_parts(const struct label_run *run, const char *phase,
                            const struct kept_parts *parts, struct error *err)
{
    struct buffer plain, packed;
    char *path = path_of(run->sweep, phase);
    buffer_init(&plain, MAX_BYTES);
    buffer_init(&packed, MAX_BYTES);
    status_t status = path ? join(run, parts, &plain, err)
                           : error_set(err, ST_NO_MEMORY, "name of a kept result");
    if (status == ST_OK) status = evidence_compress(plain.bytes, plain.n_bytes, &packed, err);
    if (status == ST_OK) status = file_write_atomic(path, packed.bytes, packed.n_bytes, err);
    buffer_fini(&plain);
    buffer_fini(&packed);
    free(path);
    return status;
}

status_t label_kept_write(const struct label_run *run, const char *phase, label_encode_fn *encode,
                          struct error *err)
{
    struct kept_parts parts;
    status_t status = ST_OK;
    init_parts(&parts, run);
    for (size_t i = 0; i < parts.n && status == ST_OK; i++)
        status = encode(run, i, &parts.of[i], err);
    if (status == ST_OK) status = write_parts(run, phase, &parts, err);
    fini_parts(&parts);
    return status;
}

/* --- reading ------------------------------------------------------------------------------- */

static status_t split(const struct label_run *run, const struct buffer *plain,
                      struct kept_parts *parts, struct error *err)
{
    const size_t n_key = strlen(run->evidence_key);
    struct wire_parts found;
    if (plain->n_bytes <= n_key || memcmp(plain->bytes, run->evidence_key, n_key) != 0)
        return error_set(err, ST_CONFLICT, "it is of another capture");
    status_t status = wire_parts_decode((const unsigned char *)plain->bytes + n_key + 1,
                                        plain->n_bytes - n_key - 1, &found, err);
    if (status == ST_OK && found.n != parts->n)
        status = error_set(err, ST_CORRUPT, "%zu parts for %zu targets", found.n, parts->n);
    for (size_t i = 0; i < parts->n && status == ST_OK; i++) {
        const struct wire_text part = wire_part(&found, i);
        status = buffer_append(&parts->of[i], part.bytes, part.n_bytes, err);
    }
    return status;
}

/* ST_NOT_FOUND: there is no such file. */
static status_t read_parts(const struct label_run *run, const char *phase, struct kept_parts *parts,
                           struct error *err)
{
    struct buffer plain;
    char *packed = NULL, *path = path_of(run->sweep, phase);
    size_t n_packed = 0;
    if (!path) return error_set(err, ST_NO_MEMORY, "name of a kept result");
    buffer_init(&plain, MAX_BYTES);
    status_t status = file_read(path, MAX_BYTES, &packed, &n_packed, err);
    if (status == ST_OK) status = evidence_decompress(packed, n_packed, MAX_BYTES, &plain, err);
    if (status == ST_OK) status = split(run, &plain, parts, err);
    free(packed);
    free(path);
    buffer_fini(&plain);
    return status;
}

status_t label_kept_read(struct label_run *run, const char *phase, label_decode_fn *decode,
                         bool *is_there, struct error *err)
{
    struct error why = {.status = ST_OK};
    struct kept_parts parts;
    init_parts(&parts, run);
    status_t status = read_parts(run, phase, &parts, &why);
    for (size_t i = 0; i < parts.n && status == ST_OK; i++)
        status = decode(run, i, &parts.of[i], &why);
    fini_parts(&parts);
    *is_there = status == ST_OK;
    if (status == ST_NO_MEMORY) return error_set(err, status, "%s", why.text);
    if (status != ST_OK && status != ST_NOT_FOUND) /* the phase runs again */
        log_event(LOG_WARN, "kept_unreadable", LOG_TEXT("sweep", run->sweep->id),
                  LOG_TEXT("phase", phase), LOG_TEXT("error", why.text));
    return ST_OK;
}

status_t label_kept_poll(struct label_run *run, label_job_fn *keep, bool *is_over,
                         struct error *err)
{
    *is_over = true;
    if (!run->work.task) return ST_OK;
    if (!run->is_keeping) {
        const status_t status = label_task_poll(run, is_over, err);
        if (status != ST_OK || !*is_over) return status;
        *is_over = false;
        run->is_keeping = true;
        return label_job_start(run, keep, err);
    }
    *is_over = run->n_jobs == 0;
    return ST_OK;
}

void label_kept_remove(const struct sweep *sweep, const char *phase)
{
    char *path = path_of(sweep, phase);
    if (path) (void)unlink(path);
    free(path);
}
