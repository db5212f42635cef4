/* The JSON value inside an LLM's reply, strictly or with one repair.
 *
 *   strict   the whole content is one JSON value, bare or in one ```json fence
 *   repair   also: prose before and after; the first value that begins with { or [ and parses
 *
 * The text is data from outside: bounded in size and depth, invalid UTF-8 and duplicate keys
 * refused, nothing in it is ever executed, used as a path or as markup. Pure functions. */
#ifndef COORDINATOR_GATEWAY_REPLY_PARSE_H
#define COORDINATOR_GATEWAY_REPLY_PARSE_H

#include "common/error.h"

#include <jansson.h>
#include <stddef.h>

enum {
    REPLY_PARSE_MAX_BYTES = 1 << 20,
    REPLY_PARSE_MAX_DEPTH = 16,     /* of objects and arrays inside each other */
    REPLY_PARSE_MAX_STARTS = 64     /* places at which the repair tries to begin */
};

enum reply_parse_mode { REPLY_STRICT, REPLY_REPAIR };

/* On ST_OK the caller owns *out (json_decref). Errors: ST_BAD_INPUT (no JSON value, with what is
 * wrong where), ST_TOO_LARGE (bytes or depth). */
MUST_CHECK status_t reply_parse_json(const char *content, size_t n_bytes,
                                     enum reply_parse_mode mode, json_t **out, struct error *err);

#endif
