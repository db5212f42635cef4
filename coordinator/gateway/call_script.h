/* The Lua scripts of this folder: each is prelude.lua plus its own file, joined once.
 * A struct call_script is used by one thread and must outlive the store it is registered with. */
#ifndef COORDINATOR_GATEWAY_CALL_SCRIPT_H
#define COORDINATOR_GATEWAY_CALL_SCRIPT_H

#include "common/store.h"

struct call_script {
    struct store_script script; /* for store_run_script(), store_queue_script() */
    char *source;               /* owned */
};

/* Join `body` to the prelude and register it. Errors: ST_NO_MEMORY, store errors. */
MUST_CHECK status_t call_script_init(struct call_script *script, struct store *store,
                                     const char *name, const char *body, struct error *err);
void call_script_fini(struct call_script *script);

#endif
