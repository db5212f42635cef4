#include "worker/link/settlement.h"

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
    N_KEYS = 3,
    NUMBER_SIZE = 24
};

extern const char embed_common_settle_lua[];

status_t settlement_init(struct settlement *settlement, const char *store_url, struct error *err)
{
    *settlement = (struct settlement){
        .script = {.name = "settle", .source = embed_common_settle_lua}};
    buffer_init(&settlement->bytes, RESULTS_MAX_BYTES);
    status_t status = store_open(&settlement->store, store_url, STORE_TIMEOUT_MS, err);
    if (status == ST_OK)
        status = store_register_script(settlement->store, &settlement->script, err);
    if (status != ST_OK) settlement_fini(settlement);
    return status;
}

void settlement_fini(struct settlement *settlement)
{
    store_close(&settlement->store);
    buffer_fini(&settlement->bytes);
}

struct buffer *settlement_room(struct settlement *settlement)
{
    return &settlement->bytes;
}

void settlement_add(struct settlement *settlement, uint64_t unit, int64_t now_ms)
{
    if (settlement->n_units == 0) settlement->first_ms = now_ms;
    settlement->units[settlement->n_units] = unit;
    settlement->ends[settlement->n_units++] = settlement->bytes.n_bytes;
}

bool settlement_is_due(const struct settlement *settlement, int64_t now_ms)
{
    return settlement->n_units == SETTLEMENT_MAX_UNITS ||
           settlement->bytes.n_bytes >= SETTLEMENT_MAX_BYTES ||
           (settlement->n_units && now_ms - settlement->first_ms >= SETTLEMENT_MAX_MS);
}

/* Arguments of settle.lua: 3 keys, lease, epoch, then (unit, bytes) pairs. */
struct arguments {
    char keys[N_KEYS][TASK_ID_SIZE + 32];
    char lease[NUMBER_SIZE], epoch[NUMBER_SIZE];
    char units[SETTLEMENT_MAX_UNITS][NUMBER_SIZE];
    const char *list[N_KEYS + 2 + 2 * SETTLEMENT_MAX_UNITS];
    size_t lengths[N_KEYS + 2 + 2 * SETTLEMENT_MAX_UNITS];
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

static void build_arguments(const struct settlement *settlement,
                            const struct settlement_target *target, struct arguments *args)
{
    static const char *const parts[N_KEYS] = {"done", "open", "revoked"};
    args->n = 0;
    for (size_t i = 0; i < N_KEYS; i++) {
        const int n = snprintf(args->keys[i], sizeof args->keys[i], "interp:{%s}:%s",
                               target->task, parts[i]);
        push(args, args->keys[i], (size_t)n);
    }
    push_number(args, args->lease, target->lease);
    push_number(args, args->epoch, target->epoch);
    for (size_t i = 0; i < settlement->n_units; i++) {
        const size_t start = i ? settlement->ends[i - 1] : 0;
        push_number(args, args->units[i], settlement->units[i]);
        const char *bytes = settlement->bytes.bytes ? (const char *)settlement->bytes.bytes : "";
        push(args, bytes + start, settlement->ends[i] - start);
    }
}

static status_t store_once(struct settlement *settlement, const struct arguments *args,
                           uint64_t *n_stored, uint64_t *n_duplicate, struct error *err)
{
    redisReply *reply;
    const status_t status = store_run_script(settlement->store, &reply, &settlement->script,
                                             N_KEYS, args->n, args->list, args->lengths, err);
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

status_t settlement_flush(struct settlement *settlement, const struct settlement_target *target,
                          uint64_t *n_stored, uint64_t *n_duplicate, struct error *err)
{
    struct arguments *args = malloc(sizeof *args);
    if (!args) return error_set(err, ST_NO_MEMORY, "settlement");
    build_arguments(settlement, target, args);
    status_t status;
    for (int64_t wait_ms = RETRY_FIRST_MS;; wait_ms *= 2) {
        struct error problem = {0};
        status = store_once(settlement, args, n_stored, n_duplicate, &problem);
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
    settlement->n_units = 0;
    settlement->bytes.n_bytes = 0;
    free(args);
    return status;
}
