/* A sweep's books by provider. In the ledger a provider's numbers are fields "NAME:what". */
#include "coordinator/gateway/call.h"

#include <stdlib.h>
#include <string.h>

static struct call_provider_cost *find(struct call_provider_cost *costs, size_t *n,
                                       const char *name, size_t n_name)
{
    for (size_t i = 0; i < *n; i++)
        if (strlen(costs[i].provider) == n_name && memcmp(costs[i].provider, name, n_name) == 0)
            return &costs[i];
    struct call_provider_cost *fresh = &costs[(*n)++];
    *fresh = (struct call_provider_cost){0};
    memcpy(fresh->provider, name, n_name);
    return fresh;
}

static void take_field(struct call_provider_cost *costs, size_t *n, const char *field,
                       const char *value)
{
    const char *colon = strchr(field, ':');
    const size_t n_name = colon ? (size_t)(colon - field) : 0;
    if (n_name == 0 || n_name > CALL_NAME_MAX) return; /* a field of the sweep as a whole */
    struct call_provider_cost *cost = find(costs, n, field, n_name);
    const long long number = strtoll(value, NULL, 10);
    const char *what = colon + 1;
    if (strcmp(what, "calls") == 0) cost->calls = (uint64_t)number;
    if (strcmp(what, "tokens_in") == 0) cost->tokens_in = (uint64_t)number;
    if (strcmp(what, "tokens_out") == 0) cost->tokens_out = (uint64_t)number;
    if (strcmp(what, "spent_microdollars") == 0) cost->spent_microdollars = number;
}

static int by_name(const void *a, const void *b)
{
    const struct call_provider_cost *x = a, *y = b;
    return strcmp(x->provider, y->provider);
}

status_t call_costs_read(struct store *store, const char *sweep_id, struct call_provider_cost **out,
                         size_t *n_out, struct error *err)
{
    redisReply *reply = NULL;
    const status_t status = store_run(store, &reply, err, "HGETALL interp:ledger:%s", sweep_id);
    if (status != ST_OK) return error_wrap(err, "ledger of sweep %s", sweep_id);
    struct call_provider_cost *costs = calloc(reply->elements / 2 + 1, sizeof *costs);
    size_t n = 0;
    for (size_t i = 0; costs && i + 1 < reply->elements; i += 2)
        take_field(costs, &n, reply->element[i]->str, reply->element[i + 1]->str);
    freeReplyObject(reply);
    if (!costs) return error_set(err, ST_NO_MEMORY, "ledger of sweep %s", sweep_id);
    qsort(costs, n, sizeof *costs, by_name);
    *out = costs;
    *n_out = n;
    return ST_OK;
}
