#include "coordinator/gateway/call_script.h"

#include <stdlib.h>
#include <string.h>

extern const char embed_coordinator_gateway_prelude_lua[];

status_t call_script_init(struct call_script *script, struct store *store, const char *name,
                          const char *body, struct error *err)
{
    const size_t n_prelude = strlen(embed_coordinator_gateway_prelude_lua);
    const size_t n_body = strlen(body);
    *script = (struct call_script){.script = {.name = name}};
    script->source = malloc(n_prelude + n_body + 1);
    if (!script->source) return error_set(err, ST_NO_MEMORY, "script %s", name);
    memcpy(script->source, embed_coordinator_gateway_prelude_lua, n_prelude);
    memcpy(script->source + n_prelude, body, n_body + 1);
    script->script.source = script->source;
    return store_register_script(store, &script->script, err);
}

void call_script_fini(struct call_script *script)
{
    free(script->source);
    *script = (struct call_script){.source = NULL};
}
