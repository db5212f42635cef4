/* See store.h. hiredis does the protocol; this file adds the URL, script loading, one error
 * vocabulary and the rule that a broken connection is dropped at once and made anew later. */
#include "common/store.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

enum { STORE_SCRIPTS_MAX = 32, STORE_ARGS_MAX = 4096 };

struct store {
    redisContext *redis; /* NULL while disconnected */
    char *url;
    int timeout_ms;
    struct store_script *scripts[STORE_SCRIPTS_MAX]; /* borrowed */
    size_t n_scripts;
    bool has_lost_scripts; /* somebody flushed them: connect anew, which loads them */
    size_t n_queued;
    uint64_t n_connections;
};

struct address {
    char socket_path[256];
    char host[256];
    int port;
    int database;
    char user[64];
    char password[256];
};

static status_t parse_authority(const char *text, struct address *out)
{
    const char *at = strrchr(text, '@');
    if (at) {
        const int n = sscanf(text, "%63[^:@]:%255[^@]", out->user, out->password);
        if (n != 2 && sscanf(text, ":%255[^@]", out->password) != 1) return ST_BAD_INPUT;
        text = at + 1;
    }
    out->port = 6379;
    /* At most 9 digits, so that no number overflows. */
    /* NOLINTNEXTLINE(cert-err34-c) */
    const int n = sscanf(text, "%255[^:/]:%9d/%9d", out->host, &out->port, &out->database);
    return n >= 1 && out->port > 0 && out->port < 65536 ? ST_OK : ST_BAD_INPUT;
}

static status_t parse_url(const char *url, struct address *out, struct error *err)
{
    memset(out, 0, sizeof *out);
    if (strncmp(url, "unix:", 5) == 0 && url[5] && strlen(url + 5) < sizeof out->socket_path) {
        (void)snprintf(out->socket_path, sizeof out->socket_path, "%s", url + 5);
        return ST_OK;
    }
    if (strncmp(url, "redis://", 8) == 0 && parse_authority(url + 8, out) == ST_OK) return ST_OK;
    return error_set(err, ST_BAD_INPUT,
                     "Redis URL must be unix:/path or redis://[user:password@]host:port[/db]");
}

static void drop_connection(struct store *store)
{
    if (store->redis) redisFree(store->redis);
    store->redis = NULL;
    store->n_queued = 0;
    store->has_lost_scripts = false;
}

static status_t unreachable(struct store *store, struct error *err)
{
    char cause[160];
    (void)snprintf(cause, sizeof cause, "%s", store->redis ? store->redis->errstr : "no memory");
    drop_connection(store);
    const char *at = strrchr(store->url, '@'); /* never print a password */
    return error_set(err, ST_UNREACHABLE, "Redis at %s: %s", at ? at + 1 : store->url, cause);
}

/* Errors that pass by themselves: the server is there and cannot do it now. To the caller they
 * are what a lost connection is: nothing was done, ask again. */
static bool is_passing(const char *text)
{
    static const char *const codes[] = {"LOADING ",     "MASTERDOWN ", "READONLY ",
                                        "OOM ",         "MISCONF ",    "NOSCRIPT ",
                                        "CLUSTERDOWN ", "NOREPLICAS ", "BUSY Redis"};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (strncmp(text, codes[i], strlen(codes[i])) == 0) return true;
    return false;
}

static status_t check_reply(struct store *store, const redisReply *reply, struct error *err)
{
    if (reply->type != REDIS_REPLY_ERROR) return ST_OK;
    if (strncmp(reply->str, "NOSCRIPT", 8) == 0) store->has_lost_scripts = true;
    if (is_passing(reply->str)) return error_set(err, ST_UNREACHABLE, "Redis: %s", reply->str);
    const bool ours = strncmp(reply->str, "FENCED", 6) == 0;
    return error_set(err, ours ? ST_CONFLICT : ST_INTERNAL, "Redis: %s", reply->str);
}

/* One command on a fresh connection, before the handle counts as connected. */
static status_t greet(struct store *store, struct error *err, const char *a, const char *b,
                      const char *c)
{
    const char *args[] = {a, b, c};
    redisReply *reply = redisCommandArgv(store->redis, c ? 3 : b ? 2 : 1, args, NULL);
    if (!reply) return unreachable(store, err);
    const status_t status = check_reply(store, reply, err);
    freeReplyObject(reply);
    return status;
}

static status_t authenticate(struct store *store, const struct address *address, struct error *err)
{
    status_t status = ST_OK;
    if (address->password[0])
        status = address->user[0] ? greet(store, err, "AUTH", address->user, address->password)
                                  : greet(store, err, "AUTH", address->password, NULL);
    if (status == ST_OK && address->database) {
        char number[16];
        (void)snprintf(number, sizeof number, "%d", address->database);
        status = greet(store, err, "SELECT", number, NULL);
    }
    return status;
}

static status_t load_script(struct store *store, struct store_script *script, struct error *err)
{
    redisReply *reply = redisCommand(store->redis, "SCRIPT LOAD %s%s",
                                     script->prelude ? script->prelude : "", script->source);
    if (!reply) return unreachable(store, err);
    status_t status = check_reply(store, reply, err);
    if (status == ST_OK && reply->type == REDIS_REPLY_STRING && reply->len == 40)
        (void)snprintf(script->sha1_hex, sizeof script->sha1_hex, "%s", reply->str);
    else if (status == ST_OK)
        status = error_set(err, ST_INTERNAL, "unexpected reply");
    freeReplyObject(reply);
    if (status != ST_OK) (void)error_wrap(err, "script %s", script->name);
    return status;
}

static status_t dial(struct store *store, struct error *err)
{
    struct address address;
    status_t status = parse_url(store->url, &address, err);
    if (status != ST_OK) return status;
    const struct timeval limit = {store->timeout_ms / 1000, store->timeout_ms % 1000 * 1000};
    store->redis = address.socket_path[0]
                       ? redisConnectUnixWithTimeout(address.socket_path, limit)
                       : redisConnectWithTimeout(address.host, address.port, limit);
    if (!store->redis || store->redis->err) return unreachable(store, err);
    if (redisSetTimeout(store->redis, limit) != REDIS_OK) return unreachable(store, err);
    status = authenticate(store, &address, err);
    if (status == ST_OK) status = greet(store, err, "PING", NULL, NULL); /* LOADING: not yet */
    for (size_t i = 0; status == ST_OK && i < store->n_scripts; i++)
        status = load_script(store, store->scripts[i], err);
    if (status == ST_OK)
        store->n_connections++;
    else
        drop_connection(store);
    return status;
}

uint64_t store_n_connections(const struct store *store)
{
    return store->n_connections;
}

status_t store_connect(struct store *store, struct error *err)
{
    if (store->redis && !store->redis->err && !store->has_lost_scripts) return ST_OK;
    drop_connection(store);
    return dial(store, err);
}

status_t store_open(struct store **out, const char *url, int timeout_ms, struct error *err)
{
    struct store *store = calloc(1, sizeof *store);
    if (!store) return error_set(err, ST_NO_MEMORY, "store handle");
    store->timeout_ms = timeout_ms;
    store->url = strdup(url);
    status_t status = store->url ? dial(store, err) : error_set(err, ST_NO_MEMORY, "store URL");
    if (status != ST_OK) {
        store_close(&store);
        return status;
    }
    *out = store;
    return ST_OK;
}

void store_close(struct store **store)
{
    if (!*store) return;
    drop_connection(*store);
    free((*store)->url);
    free(*store);
    *store = NULL;
}

status_t store_register_script(struct store *store, struct store_script *script, struct error *err)
{
    if (store->n_scripts == STORE_SCRIPTS_MAX)
        return error_set(err, ST_TOO_LARGE, "more than %d scripts", STORE_SCRIPTS_MAX);
    status_t status = store_connect(store, err);
    if (status == ST_OK) status = load_script(store, script, err);
    if (status == ST_OK) store->scripts[store->n_scripts++] = script;
    return status;
}

/* The reply to the one command that was appended. */
static status_t take_reply(struct store *store, int append_result, redisReply **out,
                           struct error *err)
{
    void *raw = NULL;
    if (append_result != REDIS_OK) return unreachable(store, err);
    if (redisGetReply(store->redis, &raw) != REDIS_OK || !raw) return unreachable(store, err);
    redisReply *reply = raw;
    const status_t status = check_reply(store, reply, err);
    if (status != ST_OK || !out)
        freeReplyObject(reply);
    else
        *out = reply;
    return status;
}

static status_t ready_to_run(struct store *store, struct error *err)
{
    if (store->n_queued) { /* a caller gave up between queue and drain: nothing was sent */
        const size_t n_queued = store->n_queued;
        drop_connection(store);
        return error_set(err, ST_INTERNAL, "%zu commands were left in the pipeline", n_queued);
    }
    return store_connect(store, err);
}

status_t store_run(struct store *store, redisReply **reply, struct error *err, const char *format,
                   ...)
{
    const status_t status = ready_to_run(store, err);
    if (status != ST_OK) return status;
    va_list args;
    va_start(args, format);
    const int result = redisvAppendCommand(store->redis, format, args);
    va_end(args);
    return take_reply(store, result, reply, err);
}

/* hiredis declares argument arrays without const; it does not write through them. */
static const char **plain(const char *const *args)
{
    union {
        const char *const *in;
        const char **out;
    } cast = {.in = args};
    return cast.out;
}

status_t store_run_argv(struct store *store, redisReply **reply, size_t n_args,
                        const char *const *args, const size_t *n_arg_bytes, struct error *err)
{
    const status_t status = ready_to_run(store, err);
    if (status != ST_OK) return status;
    const int result = redisAppendCommandArgv(store->redis, (int)n_args, plain(args), n_arg_bytes);
    return take_reply(store, result, reply, err);
}

/* EVALSHA sha n_keys args..., into arrays the caller frees with free(*all). */
static status_t script_command(const struct store_script *script, char n_keys_text[24],
                               size_t n_keys, size_t n_args, const char *const *args,
                               const size_t *n_arg_bytes, const char ***all, size_t **n_all_bytes,
                               struct error *err)
{
    if (n_args > STORE_ARGS_MAX)
        return error_set(err, ST_TOO_LARGE, "script %s: %zu arguments", script->name, n_args);
    const char **list = malloc((n_args + 3) * (sizeof *list + sizeof(size_t)));
    if (!list) return error_set(err, ST_NO_MEMORY, "script %s", script->name);
    size_t *lengths = (size_t *)(void *)(list + n_args + 3);
    (void)snprintf(n_keys_text, 24, "%zu", n_keys);
    list[0] = "EVALSHA";
    list[1] = script->sha1_hex;
    list[2] = n_keys_text;
    memcpy(list + 3, args, n_args * sizeof *args);
    for (size_t i = 0; i < n_args + 3; i++)
        lengths[i] = i >= 3 && n_arg_bytes ? n_arg_bytes[i - 3] : strlen(list[i]);
    *all = list;
    *n_all_bytes = lengths;
    return ST_OK;
}

status_t store_run_script(struct store *store, redisReply **reply,
                          const struct store_script *script, size_t n_keys, size_t n_args,
                          const char *const *args, const size_t *n_arg_bytes, struct error *err)
{
    char n_keys_text[24];
    const char **all;
    size_t *lengths;
    status_t status = ready_to_run(store, err); /* may reload the script: before its SHA is read */
    if (status != ST_OK) return status;
    status =
        script_command(script, n_keys_text, n_keys, n_args, args, n_arg_bytes, &all, &lengths, err);
    if (status != ST_OK) return status;
    status = store_run_argv(store, reply, n_args + 3, all, lengths, err);
    free(all);
    return status;
}

status_t store_queue(struct store *store, struct error *err, const char *format, ...)
{
    const status_t status = store->n_queued ? ST_OK : store_connect(store, err);
    if (status != ST_OK) return status;
    va_list args;
    va_start(args, format);
    const int result = redisvAppendCommand(store->redis, format, args);
    va_end(args);
    if (result != REDIS_OK) return unreachable(store, err);
    store->n_queued++;
    return ST_OK;
}

status_t store_queue_argv(struct store *store, size_t n_args, const char *const *args,
                          const size_t *n_arg_bytes, struct error *err)
{
    const status_t status = store->n_queued ? ST_OK : store_connect(store, err);
    if (status != ST_OK) return status;
    if (redisAppendCommandArgv(store->redis, (int)n_args, plain(args), n_arg_bytes) != REDIS_OK)
        return unreachable(store, err);
    store->n_queued++;
    return ST_OK;
}

status_t store_queue_script(struct store *store, const struct store_script *script, size_t n_keys,
                            size_t n_args, const char *const *args, const size_t *n_arg_bytes,
                            struct error *err)
{
    char n_keys_text[24];
    const char **all;
    size_t *lengths;
    status_t status = store->n_queued ? ST_OK : store_connect(store, err);
    if (status != ST_OK) return status;
    status =
        script_command(script, n_keys_text, n_keys, n_args, args, n_arg_bytes, &all, &lengths, err);
    if (status != ST_OK) return status;
    status = store_queue_argv(store, n_args + 3, all, lengths, err);
    free(all);
    return status;
}

size_t store_n_queued(const struct store *store)
{
    return store->n_queued;
}

status_t store_drain(struct store *store, store_reply_fn *on_reply, void *context,
                     struct error *err)
{
    status_t status = ST_OK;
    const size_t n_replies = store->n_queued;
    for (size_t i = 0; i < n_replies; i++) {
        void *raw = NULL;
        if (!store->redis || redisGetReply(store->redis, &raw) != REDIS_OK || !raw)
            return unreachable(store, err);
        const status_t reply_status = check_reply(store, raw, err);
        if (status == ST_OK) status = reply_status;
        if (on_reply) on_reply(context, i, raw);
        freeReplyObject(raw);
    }
    store->n_queued = 0;
    return status;
}
