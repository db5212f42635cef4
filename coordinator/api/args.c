#include "coordinator/api/operations.h"

#include <math.h>
#include <string.h>

status_t args_check(const json_t *args, const struct args_allowed *allowed, struct error *err)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)args, key, value)
    {
        bool known = false;
        for (size_t i = 0; allowed->names[i]; i++)
            known = known || strcmp(allowed->names[i], key) == 0;
        if (!known) return error_set(err, ST_BAD_INPUT, "unknown argument \"%s\"", key);
    }
    return ST_OK;
}

status_t args_text(const json_t *args, const char *name, const char **out, struct error *err)
{
    const json_t *value = json_object_get(args, name);
    if (!value) return error_set(err, ST_BAD_INPUT, "argument \"%s\" is missing", name);
    *out = json_string_value(value);
    return *out ? ST_OK : error_set(err, ST_BAD_INPUT, "argument \"%s\" is not a text", name);
}

status_t args_count(const json_t *args, const char *name, uint64_t otherwise, uint64_t *out,
                    struct error *err)
{
    const json_t *value = json_object_get(args, name);
    *out = otherwise;
    if (!value) return ST_OK;
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return error_set(err, ST_BAD_INPUT, "argument \"%s\" is not a whole number >= 0", name);
    *out = (uint64_t)json_integer_value(value);
    return ST_OK;
}

status_t args_sweep(struct api *api, const json_t *args, struct sweep **out, struct error *err)
{
    const char *id;
    const status_t status = args_text(args, "sweep", &id, err);
    return status == ST_OK ? registry_find(api->registry, id, out, err) : status;
}

json_t *json_time(int64_t unix_ms)
{
    char text[CLOCK_RFC3339_SIZE];
    return unix_ms ? json_string(clock_format_rfc3339(unix_ms, text)) : json_null();
}

json_t *json_optional(double value)
{
    return isfinite(value) && value >= 0 ? json_real(value) : json_null();
}
