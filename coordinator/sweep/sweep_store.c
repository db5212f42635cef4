#include "coordinator/sweep/sweep_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLIENT_KEY_DAYS = 30, ACTIVE_SWEEPS_MAX = 1000, NUMBER_SIZE = 24, N_KEYS = 3, N_ARGS = 10 };

extern const char embed_coordinator_sweep_submit_lua[];

status_t sweep_store_init(struct sweep_store *sweeps, struct store *store, struct error *err)
{
    *sweeps = (struct sweep_store){
        store, {.name = "submit", .source = embed_coordinator_sweep_submit_lua}};
    return store_register_script(store, &sweeps->submit, err);
}

static status_t take_id(const redisReply *reply, char id_out[SWEEP_ID_SIZE], bool *is_new,
                        struct error *err)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[0]->len >= SWEEP_ID_SIZE)
        return error_set(err, ST_INTERNAL, "submit script: unexpected reply");
    (void)snprintf(id_out, SWEEP_ID_SIZE, "%s", reply->element[0]->str);
    *is_new = reply->element[1]->integer == 1;
    return ST_OK;
}

status_t sweep_store_submit(struct sweep_store *sweeps, struct sweep *sweep,
                            const char *client_key, bool *is_new, struct error *err)
{
    char key[256], created[NUMBER_SIZE], started[NUMBER_SIZE], days[NUMBER_SIZE];
    char limit[NUMBER_SIZE];
    if ((size_t)snprintf(key, sizeof key, "interp:client:%s", client_key) >= sizeof key)
        return error_set(err, ST_BAD_INPUT, "client_key: too long");
    char *json = sweep_spec_to_json(sweep->spec);
    if (!json) return error_set(err, ST_NO_MEMORY, "sweep spec");
    (void)snprintf(created, sizeof created, "%lld", (long long)sweep->created_unix_ms);
    (void)snprintf(started, sizeof started, "%lld", (long long)sweep->started_unix_ms);
    (void)snprintf(days, sizeof days, "%d", CLIENT_KEY_DAYS);
    (void)snprintf(limit, sizeof limit, "%d", ACTIVE_SWEEPS_MAX);
    const char *args[N_ARGS] = {key,     "interp:sweep_serial",
                                "interp:sweeps",
                                sweep->spec->name,
                                json,    created,
                                started, sweep_state_name(sweep->state),
                                days,    limit};
    redisReply *reply;
    struct error problem = {0};
    status_t status = store_run_script(sweeps->store, &reply, &sweeps->submit, N_KEYS, N_ARGS, args,
                                       NULL, &problem);
    free(json);
    if (status != ST_OK) {
        const bool is_busy = strstr(problem.text, "BUSY ") != NULL;
        return error_set(err, is_busy ? ST_BUSY : status, "%s", problem.text);
    }
    status = take_id(reply, sweep->id, is_new, err);
    freeReplyObject(reply);
    return status;
}

status_t sweep_store_save(struct sweep_store *sweeps, const struct sweep *sweep, struct error *err)
{
    status_t status = store_queue(
        sweeps->store, err,
        "HSET interp:sweep:%s state %s reason %s started_unix_ms %lld finished_unix_ms %lld",
        sweep->id, sweep_state_name(sweep->state), sweep->reason, (long long)sweep->started_unix_ms,
        (long long)sweep->finished_unix_ms);
    if (status == ST_OK)
        status = store_queue(sweeps->store, err, "%s interp:active %s",
                             sweep->state == SWEEP_FAILED ? "SREM" : "SADD", sweep->id);
    return status == ST_OK ? store_drain(sweeps->store, NULL, NULL, err) : status;
}

status_t sweep_store_save_spec(struct sweep_store *sweeps, const struct sweep *sweep,
                               struct error *err)
{
    char *json = sweep_spec_to_json(sweep->spec);
    if (!json) return error_set(err, ST_NO_MEMORY, "sweep spec");
    const status_t status = store_run(sweeps->store, NULL, err, "HSET interp:sweep:%s spec %s",
                                      sweep->id, json);
    free(json);
    return status;
}

status_t sweep_store_forgotten(struct sweep_store *sweeps, const struct sweep *sweep,
                               struct error *err)
{
    return store_run(sweeps->store, NULL, err, "SREM interp:active %s", sweep->id);
}

static status_t read_active(struct sweep_store *sweeps, struct sweep *sweep, struct error *err)
{
    redisReply *reply;
    if (!sweep_state_is_over(sweep->state)) return ST_OK;
    const status_t status =
        store_run(sweeps->store, &reply, err, "SISMEMBER interp:active %s", sweep->id);
    if (status != ST_OK) return status;
    sweep->must_forget = reply->integer == 1;
    freeReplyObject(reply);
    return ST_OK;
}

/* The value of `name` in an HGETALL reply; "" if it is not there. */
static const redisReply *field(const redisReply *hash, const char *name)
{
    for (size_t i = 0; i + 1 < hash->elements; i += 2)
        if (strcmp(hash->element[i]->str, name) == 0) return hash->element[i + 1];
    return NULL;
}

static int64_t number_field(const redisReply *hash, const char *name)
{
    const redisReply *value = field(hash, name);
    return value ? strtoll(value->str, NULL, 10) : 0;
}

static status_t fill(const redisReply *hash, const char *id, struct sweep *out, struct error *err)
{
    const redisReply *spec = field(hash, "spec"), *state = field(hash, "state");
    const redisReply *reason = field(hash, "reason");
    if (!spec || !state) return error_set(err, ST_NOT_FOUND, "no sweep \"%s\"", id);
    memset(out, 0, sizeof *out);
    (void)snprintf(out->id, sizeof out->id, "%s", id);
    if (reason) (void)snprintf(out->reason, sizeof out->reason, "%s", reason->str);
    out->created_unix_ms = number_field(hash, "created_unix_ms");
    out->started_unix_ms = number_field(hash, "started_unix_ms");
    out->finished_unix_ms = number_field(hash, "finished_unix_ms");
    status_t status = sweep_state_parse(state->str, &out->state, err);
    const struct sweep_text text = {.yaml = spec->str, .n_bytes = spec->len, .name = id};
    if (status == ST_OK) status = sweep_spec_parse(&out->spec, &text, err);
    return status;
}

status_t sweep_store_load(struct sweep_store *sweeps, const char *id, struct sweep *out,
                          struct error *err)
{
    redisReply *reply;
    status_t status = store_run(sweeps->store, &reply, err, "HGETALL interp:sweep:%s", id);
    if (status != ST_OK) return status;
    status = fill(reply, id, out, err);
    freeReplyObject(reply);
    if (status == ST_OK) status = read_active(sweeps, out, err);
    if (status == ST_OK) return ST_OK;
    sweep_spec_free(&out->spec);
    (void)error_wrap(err, "stored sweep %s", id);
    return status;
}

status_t sweep_store_ids(struct sweep_store *sweeps, char ***ids, size_t *n, struct error *err)
{
    redisReply *reply;
    status_t status = store_run(sweeps->store, &reply, err, "ZRANGE interp:sweeps 0 -1");
    if (status != ST_OK) return status;
    char **list = calloc(reply->elements + 1, sizeof *list);
    if (!list) status = error_set(err, ST_NO_MEMORY, "%zu sweeps", reply->elements);
    for (size_t i = 0; status == ST_OK && i < reply->elements; i++)
        if (!(list[i] = strdup(reply->element[i]->str)))
            status = error_set(err, ST_NO_MEMORY, "%zu sweeps", reply->elements);
    if (status == ST_OK) {
        *n = reply->elements;
        *ids = list;
    } else {
        sweep_store_free_ids(list, reply->elements);
    }
    freeReplyObject(reply);
    return status;
}

void sweep_store_free_ids(char **ids, size_t n)
{
    for (size_t i = 0; ids && i < n; i++) free(ids[i]);
    free(ids);
}
