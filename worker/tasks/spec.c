#include "worker/tasks/spec.h"

#include <stdlib.h>
#include <string.h>

status_t spec_text(const json_t *spec, const char *key, const char **out, struct error *err)
{
    *out = json_string_value(json_object_get(spec, key));
    return *out ? ST_OK : error_set(err, ST_PROTOCOL, "task spec: no text \"%s\"", key);
}

status_t spec_count(const json_t *spec, const char *key, uint64_t min, uint64_t max, uint64_t *out,
                    struct error *err)
{
    const json_t *value = json_object_get(spec, key);
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        (uint64_t)json_integer_value(value) < min || (uint64_t)json_integer_value(value) > max)
        return error_set(err, ST_PROTOCOL, "task spec: \"%s\" is no number from %llu to %llu", key,
                         (unsigned long long)min, (unsigned long long)max);
    *out = (uint64_t)json_integer_value(value);
    return ST_OK;
}

status_t spec_number(const json_t *spec, const char *key, double otherwise, double *out,
                     struct error *err)
{
    const json_t *value = json_object_get(spec, key);
    if (value && !json_is_number(value)) /* JSON has no number that is not finite */
        return error_set(err, ST_PROTOCOL, "task spec: \"%s\" is no number", key);
    *out = value ? json_number_value(value) : otherwise;
    return ST_OK;
}

status_t spec_key64(const json_t *spec, const char *key, uint64_t *out, struct error *err)
{
    const char *text;
    const status_t status = spec_text(spec, key, &text, err);
    if (status != ST_OK) return status;
    const size_t n = strspn(text, "0123456789abcdefABCDEF");
    if (n < 1 || n > 16 || text[n]) /* strtoull would take signs, spaces and overflows */
        return error_set(err, ST_PROTOCOL, "task spec: \"%s\" is no hexadecimal number", key);
    *out = strtoull(text, NULL, 16);
    return ST_OK;
}

status_t spec_array(const json_t *spec, const char *key, const json_t **out, struct error *err)
{
    *out = json_object_get(spec, key);
    return json_is_array(*out) ? ST_OK
                               : error_set(err, ST_PROTOCOL, "task spec: no list \"%s\"", key);
}
