#include "coordinator/sweep/sweep_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_SIZE = SWEEP_ID_SIZE + 16, CLIENT_KEY_SIZE = 256 };
enum { CLIENT_KEY_DAYS = 30, ACTIVE_SWEEPS_MAX = 1000, NUMBER_SIZE = 24, N_KEYS = 5, N_ARGS = 15 };

extern const char embed_coordinator_sweep_submit_lua[];

status_t sweep_store_init(struct sweep_store *sweeps, struct store *store, struct leader *leader,
                          struct error *err)
{
    *sweeps = (struct sweep_store){store, leader,
                                   leader_script("submit", embed_coordinator_sweep_submit_lua)};
    return store_register_script(store, &sweeps->submit, err);
}

static char *sweep_key(const char *id, char out[KEY_SIZE])
{
    (void)snprintf(out, KEY_SIZE, "interp:sweep:%s", id);
    return out;
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

static status_t client_key_of(const char *client_key, char out[CLIENT_KEY_SIZE], struct error *err)
{
    const int n = snprintf(out, CLIENT_KEY_SIZE, "interp:client:%s", client_key);
    return n > 0 && n < CLIENT_KEY_SIZE ? ST_OK
                                        : error_set(err, ST_BAD_INPUT, "client_key: too long");
}

status_t sweep_store_find(struct sweep_store *sweeps, const char *client_key,
                          char id_out[SWEEP_ID_SIZE], struct error *err)
{
    char key[CLIENT_KEY_SIZE];
    redisReply *reply;
    status_t status = client_key_of(client_key, key, err);
    if (status == ST_OK) status = store_run(sweeps->store, &reply, err, "GET %s", key);
    if (status != ST_OK) return status;
    (void)snprintf(id_out, SWEEP_ID_SIZE, "%s", reply->str ? reply->str : "");
    freeReplyObject(reply);
    return ST_OK;
}

status_t sweep_store_submit(struct sweep_store *sweeps, struct sweep *sweep, const char *client_key,
                            bool *is_new, struct error *err)
{
    char key[CLIENT_KEY_SIZE], created[NUMBER_SIZE], started[NUMBER_SIZE], days[NUMBER_SIZE];
    char limit[NUMBER_SIZE];
    status_t status = client_key_of(client_key, key, err);
    if (status != ST_OK) return status;
    char *json = sweep_spec_to_json(sweep->spec);
    if (!json) return error_set(err, ST_NO_MEMORY, "sweep spec");
    (void)snprintf(created, sizeof created, "%lld", (long long)sweep->created_unix_ms);
    (void)snprintf(started, sizeof started, "%lld", (long long)sweep->started_unix_ms);
    (void)snprintf(days, sizeof days, "%d", CLIENT_KEY_DAYS);
    (void)snprintf(limit, sizeof limit, "%d", ACTIVE_SWEEPS_MAX);
    struct leader_fence fence;
    leader_fence(sweeps->leader, &fence);
    const char *const first_task = sweep_engine_for(sweep->spec->kind)->first_task;
    /* clang-format off: keys, then arguments, as submit.lua lists them */
    const char *args[N_ARGS] = {key,
                                "interp:sweep_serial",
                                "interp:sweeps",
                                fence.keys[0],
                                fence.keys[1],
                                sweep->spec->name,
                                json,
                                created,
                                started,
                                sweep_state_name(sweep->state),
                                days,
                                limit,
                                fence.args[0],
                                fence.args[1],
                                first_task};
    /* clang-format on */
    redisReply *reply;
    struct error problem = {0};
    status = store_run_script(sweeps->store, &reply, &sweeps->submit, N_KEYS, N_ARGS, args, NULL,
                              &problem);
    free(json);
    if (status != ST_OK) {
        const bool is_busy = strstr(problem.text, "BUSY ") != NULL;
        if (status == ST_CONFLICT) leader_doubt(sweeps->leader);
        return error_set(err, is_busy ? ST_BUSY : status, "%s", problem.text);
    }
    status = take_id(reply, sweep->id, is_new, err);
    sweep->is_first_task_open = status == ST_OK && *is_new;
    freeReplyObject(reply);
    return status;
}

status_t sweep_store_save(struct sweep_store *sweeps, const struct sweep *sweep, struct error *err)
{
    char key[KEY_SIZE], started[NUMBER_SIZE], finished[NUMBER_SIZE];
    (void)snprintf(started, sizeof started, "%lld", (long long)sweep->started_unix_ms);
    (void)snprintf(finished, sizeof finished, "%lld", (long long)sweep->finished_unix_ms);
    const struct leader_command commands[] = {
        {{"HSET", sweep_key(sweep->id, key), "state", sweep_state_name(sweep->state), "reason",
          sweep->reason, "started_unix_ms", started, "finished_unix_ms", finished}},
        {{sweep->state == SWEEP_FAILED ? "SREM" : "SADD", "interp:active", sweep->id}}};
    return leader_write(sweeps->leader, commands, 2, err);
}

status_t sweep_store_save_spec(struct sweep_store *sweeps, const struct sweep *sweep,
                               struct error *err)
{
    char key[KEY_SIZE];
    char *json = sweep_spec_to_json(sweep->spec);
    if (!json) return error_set(err, ST_NO_MEMORY, "sweep spec");
    const struct leader_command command = {{"HSET", sweep_key(sweep->id, key), "spec", json}};
    const status_t status = leader_write(sweeps->leader, &command, 1, err);
    free(json);
    return status;
}

status_t sweep_store_forgotten(struct sweep_store *sweeps, const struct sweep *sweep,
                               struct error *err)
{
    const struct leader_command command = {{"SREM", "interp:active", sweep->id}};
    return leader_write(sweeps->leader, &command, 1, err);
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

/* The value of `name` in an HGETALL reply; NULL if it is not there. */
static const redisReply *field(const redisReply *hash, const char *name)
{
    for (size_t i = 0; i + 1 < hash->elements; i += 2)
        if (strcmp(hash->element[i]->str, name) == 0) return hash->element[i + 1];
    return NULL;
}

static void text_field(const redisReply *hash, const char *name, char *out, size_t size)
{
    const redisReply *value = field(hash, name);
    (void)snprintf(out, size, "%s", value ? value->str : "");
}

static int64_t number_field(const redisReply *hash, const char *name)
{
    const redisReply *value = field(hash, name);
    return value ? strtoll(value->str, NULL, 10) : 0;
}

static void fill(const redisReply *hash, const char *id, struct sweep *out)
{
    memset(out, 0, sizeof *out);
    (void)snprintf(out->id, sizeof out->id, "%s", id);
    text_field(hash, "reason", out->reason, sizeof out->reason);
    text_field(hash, "backend", out->share.pin.backend, sizeof out->share.pin.backend);
    text_field(hash, "isa", out->share.pin.isa, sizeof out->share.pin.isa);
    out->created_unix_ms = number_field(hash, "created_unix_ms");
    out->started_unix_ms = number_field(hash, "started_unix_ms");
    out->finished_unix_ms = number_field(hash, "finished_unix_ms");
}

/* What this version of the program must understand. */
static status_t parse(const redisReply *hash, struct sweep *out, struct error *err)
{
    const redisReply *spec = field(hash, "spec"), *state = field(hash, "state");
    out->state = SWEEP_FAILED;
    if (!spec || !state)
        return error_set(err, ST_CORRUPT, "no %s is stored", spec ? "state" : "spec");
    status_t status = sweep_state_parse(state->str, &out->state, err);
    const struct sweep_text text = {.yaml = spec->str, .n_bytes = spec->len, .name = "spec"};
    if (status == ST_OK) status = sweep_spec_parse_accepted(&out->spec, &text, err);
    return status == ST_OK || status == ST_NO_MEMORY ? status : ST_CORRUPT;
}

status_t sweep_store_load(struct sweep_store *sweeps, const char *id, struct sweep *out,
                          struct error *err)
{
    redisReply *reply;
    status_t status = store_run(sweeps->store, &reply, err, "HGETALL interp:sweep:%s", id);
    if (status != ST_OK) return status;
    fill(reply, id, out);
    status = reply->elements ? parse(reply, out, err)
                             : error_set(err, ST_NOT_FOUND, "no sweep \"%s\"", id);
    freeReplyObject(reply);
    if (status == ST_CORRUPT) (void)error_wrap(err, "stored sweep %s", id);
    if (status != ST_OK && status != ST_CORRUPT) return status;
    struct error problem = {0};
    const status_t active = read_active(sweeps, out, &problem);
    if (active == ST_OK) return status;
    sweep_spec_free(&out->spec);
    error_clear(err);
    return error_set(err, active, "%s", problem.text);
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
