/* The Lua scripts of this folder: each is prelude.lua and then its own file. */
#ifndef COORDINATOR_GATEWAY_CALL_SCRIPT_H
#define COORDINATOR_GATEWAY_CALL_SCRIPT_H

#include "common/store.h"

extern const char embed_coordinator_gateway_prelude_lua[];

/* For store_register_script(); `source` is embedded text. */
static inline struct store_script call_script(const char *name, const char *source)
{
    return (struct store_script){
        .name = name, .prelude = embed_coordinator_gateway_prelude_lua, .source = source};
}

#endif
