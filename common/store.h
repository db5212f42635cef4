/* Access to Redis: one connection, pipelines, scripts, reconnect.
 *
 *   command   store_run()      one round trip
 *   pipeline  store_queue*() any number of times, then store_drain(): one round trip
 *
 * A lost connection makes the running call fail with ST_UNREACHABLE; nothing is resent behind
 * the caller's back, because only the caller knows whether its commands are idempotent. The
 * next call connects again and loads every registered script. A handle belongs to one thread.
 *
 * URL: "unix:/path/to/socket" or "redis://[user:password@]host:port[/db]". */
#ifndef COMMON_STORE_H
#define COMMON_STORE_H

#include "common/error.h"

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

/* A Lua script known by its SHA-1: `prelude` (functions that scripts share; may be NULL) and then
 * `source`, which both live as long as the store (embedded text). */
struct store_script {
    const char *name;
    const char *prelude;
    const char *source;
    char sha1_hex[41]; /* filled by store_register_script() */
};

/* Connect. `timeout_ms` bounds connecting and every reply. The caller owns *out.
 * Errors: ST_BAD_INPUT (URL), ST_UNREACHABLE, ST_NO_MEMORY. */
MUST_CHECK status_t store_open(struct store **out, const char *url, int timeout_ms,
                               struct error *err);
void store_close(struct store **store); /* NULL-safe; sets *store = NULL */

/* Is the connection believed to be up? Connects if it is not. */
MUST_CHECK status_t store_connect(struct store *store, struct error *err);

/* How many connections were made so far. A number that changed says that commands acknowledged
 * before may be lost: Redis may have been restarted from a log that is synced every second. */
uint64_t store_n_connections(const struct store *store);

/* Load `script` now and after every reconnect. The struct must outlive the store. */
MUST_CHECK status_t store_register_script(struct store *store, struct store_script *script,
                                          struct error *err);

/* Run one command (hiredis format: %s, %b, %d, %lld). On ST_OK *reply is the caller's
 * (freeReplyObject); reply may be NULL to drop it. A Redis error reply is ST_CONFLICT when it
 * starts with the code of our scripts ("FENCED"), ST_UNREACHABLE when it passes by itself
 * (LOADING, READONLY, OOM, MISCONF, NOSCRIPT ...: nothing was done, ask again), else ST_INTERNAL,
 * with its text. Must not be called between store_queue and store_drain: it fails, and drops what
 * was queued. */
MUST_CHECK status_t store_run(struct store *store, redisReply **reply, struct error *err,
                              const char *format, ...);
MUST_CHECK status_t store_run_argv(struct store *store, redisReply **reply, size_t n_args,
                                   const char *const *args, const size_t *n_arg_bytes,
                                   struct error *err);
/* EVALSHA of a registered script: args hold the n_keys keys first, then the arguments.
 * n_arg_bytes may be NULL when all are C strings. */
MUST_CHECK status_t store_run_script(struct store *store, redisReply **reply,
                                     const struct store_script *script, size_t n_keys,
                                     size_t n_args, const char *const *args,
                                     const size_t *n_arg_bytes, struct error *err);

/* The same three, queued: nothing is sent before store_drain() or until hiredis' buffer. */
MUST_CHECK status_t store_queue(struct store *store, struct error *err, const char *format, ...);
MUST_CHECK status_t store_queue_argv(struct store *store, size_t n_args, const char *const *args,
                                     const size_t *n_arg_bytes, struct error *err);
MUST_CHECK status_t store_queue_script(struct store *store, const struct store_script *script,
                                       size_t n_keys, size_t n_args, const char *const *args,
                                       const size_t *n_arg_bytes, struct error *err);
size_t store_n_queued(const struct store *store);

/* Send what is queued and hand each reply to `on_reply` (may be NULL) in order; the reply is
 * borrowed for the call. Error replies are handed over too, and make the result ST_INTERNAL with
 * the first text once all were read. ST_UNREACHABLE: the rest was not confirmed. */
typedef void store_reply_fn(void *context, size_t index, const redisReply *reply);
MUST_CHECK status_t store_drain(struct store *store, store_reply_fn *on_reply, void *context,
                                struct error *err);

#endif
