/* What captures are on disk. */
#include "coordinator/api/operations.h"
#include "coordinator/sweep/captures.h"

#include <stdlib.h>
#include <string.h>

static json_t *json_users(struct api *api, const char *key)
{
    json_t *users = json_array();
    for (size_t i = 0; i < registry_count(api->registry); i++) {
        const struct sweep *sweep = registry_at(api->registry, i);
        const char *used = captures_key_of(sweep);
        if (used && strcmp(used, key) == 0)
            (void)json_array_append_new(users, json_string(sweep->id));
    }
    return users;
}

status_t api_captures(struct api *api, const json_t *args, json_t **out, struct error *err)
{
    const struct args_allowed allowed = {{NULL}};
    struct capture_entry *list = NULL;
    size_t n = 0;
    uint64_t total = 0;
    const struct sweep_context *context = registry_context(api->registry);
    status_t status = args_check(args, &allowed, err);
    if (status == ST_OK) status = captures_list(context->data_directory, &list, &n, err);
    json_t *captures = json_array();
    for (size_t i = 0; i < n; i++) {
        total += list[i].n_bytes;
        (void)json_array_append_new(
            captures,
            json_pack("{s:s s:I s:b s:o s:o s:o}", "key", list[i].key, "n_bytes",
                      (json_int_t)list[i].n_bytes, "is_complete", (int)list[i].is_complete,
                      "created_at", json_time(list[i].created_unix_ms), "used_at",
                      json_time(list[i].used_unix_ms), "sweeps", json_users(api, list[i].key)));
    }
    free(list);
    if (status == ST_OK)
        *out = json_pack(
            "{s:o s:I s:o}", "captures", captures, "n_bytes", (json_int_t)total, "max_bytes",
            context->captures_max_bytes ? json_integer((json_int_t)context->captures_max_bytes)
                                        : json_null());
    else
        json_decref(captures);
    return status;
}
