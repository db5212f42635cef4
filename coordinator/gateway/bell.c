#include "coordinator/gateway/bell.h"

#include "common/store.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BLOCK_MS = 400, TIMEOUT_MS = 3000, AWAY_MS = 400, CURSOR_SIZE = 48 };

struct bell {
    pthread_t thread;
    char *redis_url;
    void (*wake)(void *);
    void *context;
    atomic_bool should_stop;
    atomic_bool has_rung;
    struct store *store;      /* the thread's alone */
    char cursor[CURSOR_SIZE]; /* the thread's alone */
};

static void pause_ms(long ms)
{
    const struct timespec wait = {ms / 1000, ms % 1000 * 1000000};
    (void)nanosleep(&wait, NULL);
}

/* Wait for one ring. False if Redis does not answer. */
static bool listen_once(struct bell *bell)
{
    redisReply *reply = NULL;
    if (!bell->store && store_open(&bell->store, bell->redis_url, TIMEOUT_MS, NULL) != ST_OK)
        return false;
    if (store_run(bell->store, &reply, NULL, "XREAD COUNT 10 BLOCK %d STREAMS interp:doorbell %s",
                  BLOCK_MS, bell->cursor) != ST_OK) {
        store_close(&bell->store);
        return false;
    }
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 1) {
        const redisReply *entries = reply->element[0]->element[1];
        const redisReply *last = entries->element[entries->elements - 1];
        (void)snprintf(bell->cursor, sizeof bell->cursor, "%s", last->element[0]->str);
        atomic_store(&bell->has_rung, true);
        bell->wake(bell->context);
    }
    freeReplyObject(reply);
    return true;
}

static void *listen(void *argument)
{
    struct bell *bell = argument;
    while (!atomic_load(&bell->should_stop)) {
        if (listen_once(bell)) continue;
        (void)snprintf(bell->cursor, sizeof bell->cursor, "0"); /* a new Redis may count anew */
        pause_ms(AWAY_MS);
    }
    store_close(&bell->store);
    return NULL;
}

status_t bell_start(struct bell **out, const char *redis_url, void (*wake)(void *), void *context,
                    struct error *err)
{
    struct bell *bell = calloc(1, sizeof *bell);
    if (!bell) return error_set(err, ST_NO_MEMORY, "doorbell");
    *bell = (struct bell){.wake = wake, .context = context, .redis_url = strdup(redis_url)};
    atomic_init(&bell->should_stop, false);
    atomic_init(&bell->has_rung, false);
    (void)snprintf(bell->cursor, sizeof bell->cursor, "0");
    if (!bell->redis_url || pthread_create(&bell->thread, NULL, listen, bell) != 0) {
        free(bell->redis_url);
        free(bell);
        return error_set(err, ST_INTERNAL, "no thread for the doorbell");
    }
    *out = bell;
    return ST_OK;
}

void bell_stop(struct bell **bell)
{
    if (!*bell) return;
    atomic_store(&(*bell)->should_stop, true);
    (void)pthread_join((*bell)->thread, NULL);
    free((*bell)->redis_url);
    free(*bell);
    *bell = NULL;
}

bool bell_has_rung(struct bell *bell)
{
    return atomic_exchange(&bell->has_rung, false);
}
