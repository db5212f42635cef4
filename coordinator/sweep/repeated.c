#include "coordinator/sweep/repeated.h"

#include "coordinator/sweep/circuit_kept.h"
#include "coordinator/sweep/labels_kept.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* What the user set, and nothing that was set since. NULL without memory. */
static json_t *keys_of(const struct sweep_spec *spec)
{
    char *text = sweep_spec_to_json(spec);
    json_t *json = text ? json_loads(text, JSON_ALLOW_NUL, NULL) : NULL;
    free(text);
    (void)json_object_del(json, "budget_dollars");
    (void)json_object_del(json, "circuit_sha256");
    (void)json_object_del(json, "labels_sha256");
    (void)json_object_del(json_object_get(json, "task"), "prompts_sha256");
    return json;
}

/* A key of either whose value the other has not; NULL: none. Borrowed from `a` or `b`. */
static const char *find_difference(json_t *a, json_t *b)
{
    json_t *const both[] = {a, b};
    const char *key;
    json_t *value;
    for (size_t i = 0; i < 2; i++)
        json_object_foreach(
            both[i], key,
            value) if (!json_equal(value, json_object_get(both[1 - i], key))) return key;
    return NULL;
}

static status_t check_keys(const struct sweep_spec *spec, const struct sweep *made,
                           struct error *err)
{
    json_t *mine = keys_of(spec), *known = keys_of(made->spec);
    const char *key = mine && known ? find_difference(mine, known) : NULL;
    status_t status = ST_OK;
    if (!mine || !known)
        status = error_set(err, ST_NO_MEMORY, "sweep %s", made->id);
    else if (key)
        status = error_set(err, ST_CONFLICT,
                           "this client key made %s of another sweep file (`%s` differs): a new "
                           "sweep needs a key of its own",
                           made->id, key);
    json_decref(mine);
    json_decref(known);
    return status;
}

status_t repeated_check(const struct sweep_spec *spec, const struct sweep *made, struct error *err)
{
    const status_t status = check_keys(spec, made, err);
    if (status != ST_OK) return status;
    return spec->kind == SWEEP_KIND_CIRCUIT ? circuit_kept_compare(spec, made->spec, made->id, err)
                                            : labels_kept_compare(spec, made->spec, made->id, err);
}
