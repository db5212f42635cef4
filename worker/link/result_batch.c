#include "worker/link/result_batch.h"

#include "common/log.h"
#include "common/task.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    STORE_TIMEOUT_MS = 5000,
    RETRY_FIRST_MS = 50,
    RETRY_MAX_MS = 2000,
    RESULTS_MAX_BYTES = 256 * 1024 * 1024,
    N_KEYS = 4,
    NUMBER_SIZE = 24
};

extern const char embed_common_settle_lua[];

status_t result_batch_init(struct result_batch *batch, const char *store_url, struct error *err)
{
    *batch = (struct result_batch){.script = {.name = "settle", .source = embed_common_settle_lua}};
    buffer_init(&batch->bytes, RESULTS_MAX_BYTES);
    status_t status = store_open(&batch->store, store_url, STORE_TIMEOUT_MS, err);
    if (status == ST_OK) status = store_register_script(batch->store, &batch->script, err);
    if (status != ST_OK) result_batch_fini(batch);
    return status;
}

void result_batch_fini(struct result_batch *batch)
{
    store_close(&batch->store);
    buffer_fini(&batch->bytes);
}

struct buffer *result_batch_room(struct result_batch *batch)
{
    return &batch->bytes;
}

void result_batch_add(struct result_batch *batch, uint64_t unit, int64_t now_ms)
{
    if (batch->n_units == 0) batch->first_ms = now_ms;
    batch->units[batch->n_units] = unit;
    batch->ends[batch->n_units++] = batch->bytes.n_bytes;
}

bool result_batch_is_due(const struct result_batch *batch, int64_t now_ms)
{
    return batch->n_units == RESULT_BATCH_MAX_UNITS ||
           batch->bytes.n_bytes >= RESULT_BATCH_MAX_BYTES ||
           (batch->n_units && now_ms - batch->first_ms >= RESULT_BATCH_MAX_MS);
}

/* Arguments of settle.lua: its keys, lease, epoch, then (unit, bytes) pairs. */
struct arguments {
    char keys[N_KEYS][TASK_ID_SIZE + 32];
    char lease[NUMBER_SIZE], epoch[NUMBER_SIZE];
    char units[RESULT_BATCH_MAX_UNITS][NUMBER_SIZE];
    const char *list[N_KEYS + 2 + 2 * RESULT_BATCH_MAX_UNITS];
    size_t lengths[N_KEYS + 2 + 2 * RESULT_BATCH_MAX_UNITS];
    size_t n;
};

static void push(struct arguments *args, const char *bytes, size_t n_bytes)
{
    args->list[args->n] = bytes;
    args->lengths[args->n++] = n_bytes;
}

static void push_number(struct arguments *args, char text[NUMBER_SIZE], uint64_t number)
{
    const int n = snprintf(text, NUMBER_SIZE, "%llu", (unsigned long long)number);
    push(args, text, (size_t)n);
}

static void build_arguments(const struct result_batch *batch,
                            const struct result_batch_target *target, struct arguments *args)
{
    static const char *const parts[N_KEYS] = {"done", "open", "revoked", "closed"};
    args->n = 0;
    for (size_t i = 0; i < N_KEYS; i++) {
        const int n =
            snprintf(args->keys[i], sizeof args->keys[i], "interp:{%s}:%s", target->task, parts[i]);
        push(args, args->keys[i], (size_t)n);
    }
    push_number(args, args->lease, target->lease);
    push_number(args, args->epoch, target->epoch);
    for (size_t i = 0; i < batch->n_units; i++) {
        const size_t start = i ? batch->ends[i - 1] : 0;
        push_number(args, args->units[i], batch->units[i]);
        const char *bytes = batch->bytes.bytes ? (const char *)batch->bytes.bytes : "";
        push(args, bytes + start, batch->ends[i] - start);
    }
}

static status_t store_once(struct result_batch *batch, const struct arguments *args,
                           uint64_t *n_stored, uint64_t *n_duplicate, struct error *err)
{
    redisReply *reply;
    const status_t status = store_run_script(batch->store, &reply, &batch->script, N_KEYS, args->n,
                                             args->list, args->lengths, err);
    if (status != ST_OK) return status;
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2) {
        *n_stored = (uint64_t)reply->element[0]->integer;
        *n_duplicate = (uint64_t)reply->element[1]->integer;
    }
    freeReplyObject(reply);
    return ST_OK;
}

static void pause_ms(int64_t ms)
{
    const struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
    (void)nanosleep(&pause, NULL);
}

static void forget_all(struct result_batch *batch)
{
    batch->n_units = 0;
    batch->bytes.n_bytes = 0;
}

status_t result_batch_flush(struct result_batch *batch, const struct result_batch_target *target,
                            uint64_t *n_stored, uint64_t *n_duplicate, struct error *err)
{
    struct arguments *args = malloc(sizeof *args);
    if (!args) {
        forget_all(batch);
        return error_set(err, ST_NO_MEMORY, "result batch");
    }
    build_arguments(batch, target, args);
    status_t status;
    for (int64_t wait_ms = RETRY_FIRST_MS;; wait_ms *= 2) {
        struct error problem = {0};
        status = store_once(batch, args, n_stored, n_duplicate, &problem);
        if (status != ST_UNREACHABLE || atomic_load(target->stop)) {
            if (status != ST_OK) (void)error_set(err, status, "%s", problem.text);
            break;
        }
        if (wait_ms == RETRY_FIRST_MS)
            log_event(LOG_WARN, "store_away", LOG_TEXT("error", problem.text));
        if (wait_ms > RETRY_MAX_MS) wait_ms = RETRY_MAX_MS;
        atomic_fetch_add(target->ticks, 1);
        pause_ms(wait_ms);
    }
    forget_all(batch);
    free(args);
    return status;
}
