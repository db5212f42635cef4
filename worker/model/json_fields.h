/* Typed reads of JSON from model files. Objects: absent and null take the default, a value of
 * another type is an error that names the key. Pure, any thread. */
#ifndef WORKER_MODEL_JSON_FIELDS_H
#define WORKER_MODEL_JSON_FIELDS_H

#include "common/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Parse a text; with is_unique a key that stands twice in an object is an error. The caller
 * releases *out by json_decref(). Errors: ST_CORRUPT with line and reason, ST_NO_MEMORY. */
MUST_CHECK status_t json_parse(json_t **out, const char *text, size_t n_bytes, bool is_unique,
                               struct error *err);

/* All of these: ST_CORRUPT when the key holds another type. Strings are borrowed from the
 * object and have no NUL inside. */
MUST_CHECK status_t json_read_bool(const json_t *object, const char *key, bool otherwise, bool *out,
                                   struct error *err);
MUST_CHECK status_t json_read_string(const json_t *object, const char *key, const char *otherwise,
                                     const char **out, struct error *err);
/* As json_read_string, but absent and null are ST_CORRUPT too. */
MUST_CHECK status_t json_need_string(const json_t *object, const char *key, const char **out,
                                     struct error *err);
MUST_CHECK status_t json_read_count(const json_t *object, const char *key, size_t otherwise,
                                    size_t *out, struct error *err);
/* The list under `key`; ST_CORRUPT if it is absent or another type. */
MUST_CHECK status_t json_need_array(const json_t *object, const char *key, json_t **out,
                                    struct error *err);

#endif
