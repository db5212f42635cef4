#include "coordinator/sweep/kept_answer.h"

#include "common/evidence_bytes.h"
#include "common/file.h"
#include "common/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NUMBER_BYTES = 8 };
static const char magic[8] = "icmeas1"; /* then the key, in hex; then the numbers */
enum { HEAD_BYTES = sizeof magic + HASH_HEX_SIZE - 1 };

static char *path_of(const struct sweep *sweep, const char *name)
{
    char file[64];
    (void)snprintf(file, sizeof file, "measured-%s.bin", name);
    return sweep_path(sweep, file);
}

bool kept_answer_exists(const struct sweep *sweep, const char *name)
{
    char *path = path_of(sweep, name);
    const bool exists = path && access(path, F_OK) == 0;
    free(path);
    return exists;
}

static size_t file_bytes(const struct kept_answer *answer)
{
    return HEAD_BYTES + answer->n * NUMBER_BYTES;
}

/* --- on disk ------------------------------------------------------------------------------ */

static status_t save(const struct kept_answer *answer, struct error *err)
{
    const size_t n_bytes = file_bytes(answer);
    unsigned char *bytes = malloc(n_bytes), *at = bytes;
    if (!bytes) return error_set(err, ST_NO_MEMORY, "%s", answer->path);
    memcpy(at, magic, sizeof magic);
    memcpy(at + sizeof magic, answer->key, HASH_HEX_SIZE - 1);
    at += HEAD_BYTES;
    for (size_t i = 0; i < answer->n; i++) {
        uint64_t bits;
        memcpy(&bits, &answer->numbers[i], sizeof bits);
        at = evidence_put_u64(at, bits);
    }
    const status_t status = file_write_atomic(answer->path, bytes, n_bytes, err);
    free(bytes);
    return status;
}

static void take_numbers(struct kept_answer *answer, const unsigned char *at)
{
    for (size_t i = 0; i < answer->n; i++, at += NUMBER_BYTES) {
        uint64_t bits = 0;
        for (unsigned b = 0; b < NUMBER_BYTES; b++) bits |= (uint64_t)at[b] << (8 * b);
        memcpy(&answer->numbers[i], &bits, sizeof bits);
    }
}

/* Another question's answers, a damaged file: asked again. */
static void load(struct kept_answer *answer)
{
    struct error ignored = {0};
    size_t n_bytes;
    char *bytes;
    if (file_read(answer->path, file_bytes(answer), &bytes, &n_bytes, &ignored) != ST_OK) return;
    answer->was_kept = n_bytes == file_bytes(answer) && memcmp(bytes, magic, sizeof magic) == 0 &&
                       memcmp(bytes + sizeof magic, answer->key, HASH_HEX_SIZE - 1) == 0;
    if (answer->was_kept)
        take_numbers(answer, (const unsigned char *)bytes + HEAD_BYTES);
    else
        log_event(LOG_WARN, "measured_again", LOG_TEXT("file", answer->path));
    free(bytes);
}

/* --- one answer --------------------------------------------------------------------------- */

status_t kept_answer_begin(struct kept_answer *answer, const struct kept_answer_params *params,
                           struct error *err)
{
    const struct sweep_task_params *task = params->task;
    *answer = (struct kept_answer){.work = params->work, .n = params->n};
    (void)snprintf(answer->name, sizeof answer->name, "%s", task->phase);
    answer->path = path_of(params->work->sweep, task->phase);
    answer->numbers = calloc(params->n + 1, sizeof *answer->numbers);
    if (!answer->path || !answer->numbers)
        return error_set(err, ST_NO_MEMORY, "%zu measured values", params->n);
    hash_sha256_hex(params->asked->bytes, params->asked->n_bytes, answer->key);
    load(answer);
    return answer->was_kept ? ST_OK : sweep_task_begin(answer->work, task, err);
}

static void take_time(struct kept_answer *answer, const struct task *task)
{
    answer->n_units = unit_table_n_units(task->units);
    answer->n_units_timed = task->n_units_timed;
    answer->worker_seconds = task->worker_seconds;
}

static status_t take_over(struct kept_answer *answer, kept_answer_fn *gather, void *context,
                          struct error *err)
{
    take_time(answer, answer->work->task);
    status_t status = gather ? gather(context, answer->numbers, err) : ST_OK;
    if (status == ST_OK) status = save(answer, err);
    answer->is_here = status == ST_OK;
    return status;
}

status_t kept_answer_poll(struct kept_answer *answer, kept_answer_fn *gather, void *context,
                          bool *is_over, struct error *err)
{
    struct sweep_task *work = answer->work;
    status_t status = ST_OK;
    *is_over = false;
    if (answer->was_kept) {
        char id[TASK_ID_SIZE];
        sweep_task_id(work->sweep, answer->name, id);
        status = dispatcher_forget_keys(work->sweep->context->dispatcher, id,
                                        "its numbers are on disk", err);
        *is_over = answer->is_here = status == ST_OK;
        return status;
    }
    if (!answer->is_here) {
        bool has_come;
        status = sweep_task_poll(work, &has_come, err);
        if (status != ST_OK || !has_come) return status;
        status = take_over(answer, gather, context, err);
    }
    if (status == ST_OK) status = sweep_task_end(work, err);
    *is_over = status == ST_OK;
    return status;
}

void kept_answer_fini(struct kept_answer *answer)
{
    free(answer->numbers);
    free(answer->path);
    *answer = (struct kept_answer){0};
}
