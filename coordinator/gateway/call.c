/* Submitting calls, hearing of replies, forgetting a sweep. See call.h. */
#include "coordinator/gateway/call.h"

#include "coordinator/gateway/call_script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const char embed_coordinator_gateway_submit_lua[];
extern const char embed_coordinator_gateway_forget_lua[];

struct call_client {
    struct store *store; /* borrowed */
    struct store_script submit;
    struct store_script forget;
};

status_t call_client_create(struct call_client **out, struct store *store, struct error *err)
{
    struct call_client *client = calloc(1, sizeof *client);
    if (!client) return error_set(err, ST_NO_MEMORY, "call client");
    client->store = store;
    client->submit = call_script("submit", embed_coordinator_gateway_submit_lua);
    client->forget = call_script("forget", embed_coordinator_gateway_forget_lua);
    status_t status = store_register_script(store, &client->submit, err);
    if (status == ST_OK) status = store_register_script(store, &client->forget, err);
    if (status != ST_OK) {
        call_client_destroy(&client);
        return status;
    }
    *out = client;
    return ST_OK;
}

void call_client_destroy(struct call_client **client)
{
    free(*client);
    *client = NULL;
}

status_t call_queue_submit(struct call_client *client, const struct call *call,
                           const char *sweep_id, unsigned priority, const char *tag,
                           struct error *err)
{
    char key[96], priority_text[12], n_bytes_text[24], max_tokens_text[24];
    if (!call_name_is_valid(sweep_id))
        return error_set(err, ST_BAD_INPUT, "sweep id '%.80s' is not valid", sweep_id);
    if (priority > CALL_PRIORITY_MAX)
        return error_set(err, ST_BAD_INPUT, "priority %u, at most %d", priority, CALL_PRIORITY_MAX);
    (void)snprintf(key, sizeof key, "interp:call:%s", call->id);
    (void)snprintf(priority_text, sizeof priority_text, "%u", priority);
    (void)snprintf(n_bytes_text, sizeof n_bytes_text, "%zu", call->n_body_bytes);
    (void)snprintf(max_tokens_text, sizeof max_tokens_text, "%llu",
                   (unsigned long long)call->max_tokens);
    const char *const args[] = {key, call->id,   call->provider, sweep_id,       priority_text,
                                tag, call->body, n_bytes_text,   max_tokens_text};
    return store_queue_script(client->store, &client->submit, 1, sizeof args / sizeof args[0], args,
                              NULL, err);
}

enum call_submit_outcome call_submit_outcome(const redisReply *reply)
{
    static const struct {
        const char *word;
        enum call_submit_outcome outcome;
    } words[] = {{"queued", CALL_SUBMIT_QUEUED},
                 {"joined", CALL_SUBMIT_JOINED},
                 {"stored", CALL_SUBMIT_STORED},
                 {"failed", CALL_SUBMIT_FAILED}};
    if (reply->type != REDIS_REPLY_STRING) return CALL_SUBMIT_ERROR;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(reply->str, words[i].word) == 0) return words[i].outcome;
    return CALL_SUBMIT_ERROR;
}

static void keep_cursor(char cursor[CALL_CURSOR_SIZE], const redisReply *entry)
{
    if (entry->type == REDIS_REPLY_ARRAY && entry->elements == 2 && entry->element[0]->str &&
        entry->element[0]->len < CALL_CURSOR_SIZE)
        (void)snprintf(cursor, CALL_CURSOR_SIZE, "%s", entry->element[0]->str);
}

status_t call_cursor_now(struct store *store, char cursor[CALL_CURSOR_SIZE], struct error *err)
{
    redisReply *reply = NULL;
    const status_t status = store_run(store, &reply, err, "XREVRANGE interp:replies + - COUNT 1");
    if (status != ST_OK) return error_wrap(err, "position of announcements");
    (void)snprintf(cursor, CALL_CURSOR_SIZE, "0-0");
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 1)
        keep_cursor(cursor, reply->element[0]);
    freeReplyObject(reply);
    return ST_OK;
}

/* One stream entry [entry id, [field, value, ...]]; false if it is not an announcement. */
static bool parse_announcement(const redisReply *entry, struct call_announcement *out)
{
    if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2) return false;
    const redisReply *fields = entry->element[1];
    *out = (struct call_announcement){.is_failed = false};
    if (fields->type != REDIS_REPLY_ARRAY) return false;
    for (size_t i = 0; i + 1 < fields->elements; i += 2) {
        const char *name = fields->element[i]->str, *value = fields->element[i + 1]->str;
        if (!name || !value) return false;
        if (strcmp(name, "id") == 0 && strlen(value) == HASH_HEX_SIZE - 1)
            (void)snprintf(out->id, sizeof out->id, "%s", value);
        if (strcmp(name, "state") == 0) out->is_failed = strcmp(value, "failed") == 0;
    }
    return out->id[0] != '\0';
}

status_t call_announcements(struct store *store, char cursor[CALL_CURSOR_SIZE], int block_ms,
                            struct call_announcement *out, size_t cap, size_t *n_out,
                            struct error *err)
{
    redisReply *reply = NULL;
    *n_out = 0;
    const status_t status =
        block_ms < 0
            ? store_run(store, &reply, err, "XREAD COUNT %llu STREAMS interp:replies %s",
                        (unsigned long long)cap, cursor)
            : store_run(store, &reply, err, "XREAD COUNT %llu BLOCK %d STREAMS interp:replies %s",
                        (unsigned long long)cap, block_ms ? block_ms : 1, cursor);
    if (status != ST_OK) return error_wrap(err, "announcements of replies");
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 1 &&
        reply->element[0]->elements == 2) {
        const redisReply *entries = reply->element[0]->element[1];
        for (size_t i = 0; i < entries->elements && *n_out < cap; i++) {
            if (parse_announcement(entries->element[i], &out[*n_out])) (*n_out)++;
            keep_cursor(cursor, entries->element[i]);
        }
    }
    freeReplyObject(reply);
    return ST_OK;
}

status_t call_forget_sweep(struct call_client *client, const char *sweep_id, struct error *err)
{
    const char *const args[] = {sweep_id, "500"};
    long long n_left = 1;
    if (!call_name_is_valid(sweep_id))
        return error_set(err, ST_BAD_INPUT, "sweep id '%.80s' is not valid", sweep_id);
    while (n_left > 0) {
        redisReply *reply = NULL;
        const status_t status =
            store_run_script(client->store, &reply, &client->forget, 0, 2, args, NULL, err);
        if (status != ST_OK) return error_wrap(err, "forget the calls of sweep %s", sweep_id);
        n_left = reply->type == REDIS_REPLY_INTEGER ? reply->integer : 0;
        freeReplyObject(reply);
    }
    return ST_OK;
}
