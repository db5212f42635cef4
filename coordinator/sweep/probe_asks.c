#include "coordinator/sweep/probe_asks.h"

#include "common/size.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_BUCKETS = 256, ID_DIGITS = 16 };

void probe_queue_push(struct probe_queue *queue, struct probe_ask *ask)
{
    ask->queue_next = NULL;
    if (queue->last)
        queue->last->queue_next = ask;
    else
        queue->first = ask;
    queue->last = ask;
    queue->n++;
}

struct probe_ask *probe_queue_pop(struct probe_queue *queue)
{
    struct probe_ask *ask = queue->first;
    if (!ask) return NULL;
    queue->first = ask->queue_next;
    if (!queue->first) queue->last = NULL;
    queue->n--;
    return ask;
}

/* An id is a hash already: its first digits choose the bucket. */
static size_t bucket_of(const char *id, size_t n_buckets)
{
    char digits[ID_DIGITS + 1];
    memcpy(digits, id, ID_DIGITS);
    digits[ID_DIGITS] = '\0';
    return (size_t)strtoull(digits, NULL, 16) & (n_buckets - 1);
}

void probe_asks_fini(struct probe_asks *asks)
{
    for (size_t i = 0; i < asks->n_buckets; i++)
        while (asks->buckets[i]) {
            struct probe_ask *ask = asks->buckets[i];
            asks->buckets[i] = ask->bucket_next;
            free(ask);
        }
    free(asks->buckets);
    *asks = (struct probe_asks){0};
}

struct probe_ask *probe_asks_find(const struct probe_asks *asks, const char *id)
{
    struct probe_ask *ask = asks->n_buckets ? asks->buckets[bucket_of(id, asks->n_buckets)] : NULL;
    while (ask && strcmp(ask->id, id) != 0) ask = ask->bucket_next;
    return ask;
}

static status_t grow(struct probe_asks *asks, struct error *err)
{
    if (asks->n < asks->n_buckets) return ST_OK;
    const size_t n = asks->n_buckets ? 2 * asks->n_buckets : FIRST_BUCKETS;
    struct probe_ask **buckets = calloc(n, sizeof(struct probe_ask *));
    if (!buckets) return error_set(err, ST_NO_MEMORY, "%zu probes", n);
    for (size_t i = 0; i < asks->n_buckets; i++)
        while (asks->buckets[i]) {
            struct probe_ask *ask = asks->buckets[i];
            asks->buckets[i] = ask->bucket_next;
            const size_t to = bucket_of(ask->id, n);
            ask->bucket_next = buckets[to];
            buckets[to] = ask;
        }
    free(asks->buckets);
    asks->buckets = buckets;
    asks->n_buckets = n;
    return ST_OK;
}

status_t probe_asks_add(struct probe_asks *asks, const char *id, const char *text, size_t n_bytes,
                        struct probe_ask **out, struct error *err)
{
    size_t n_all;
    const status_t status = grow(asks, err);
    if (status != ST_OK) return status;
    if (!size_add(sizeof **out, n_bytes, &n_all))
        return error_set(err, ST_TOO_LARGE, "a text of %zu bytes", n_bytes);
    struct probe_ask *ask = calloc(1, n_all);
    if (!ask) return error_set(err, ST_NO_MEMORY, "probe");
    memcpy(ask->id, id, sizeof ask->id);
    if (n_bytes) memcpy(ask->text, text, n_bytes);
    ask->n_bytes = n_bytes;
    struct probe_ask **bucket = &asks->buckets[bucket_of(id, asks->n_buckets)];
    ask->bucket_next = *bucket;
    *bucket = ask;
    asks->n++;
    *out = ask;
    return ST_OK;
}

void probe_asks_drop(struct probe_asks *asks, struct probe_ask *ask)
{
    struct probe_ask **at = &asks->buckets[bucket_of(ask->id, asks->n_buckets)];
    while (*at != ask) at = &(*at)->bucket_next;
    *at = ask->bucket_next;
    asks->n--;
    free(ask);
}
