#include "worker/model/json_fields.h"

#include <string.h>

status_t json_parse(json_t **out, const char *text, size_t n_bytes, bool is_unique,
                    struct error *err)
{
    json_error_t where;
    json_t *value = json_loadb(text, n_bytes, is_unique ? JSON_REJECT_DUPLICATES : 0, &where);
    if (!value && where.text[0] == '\0') /* jansson says nothing when it has no memory */
        return error_set(err, ST_NO_MEMORY, "JSON of %zu bytes", n_bytes);
    if (!value) return error_set(err, ST_CORRUPT, "line %d: %s", where.line, where.text);
    *out = value;
    return ST_OK;
}

static bool is_absent(const json_t *value)
{
    return !value || json_is_null(value);
}

status_t json_read_bool(const json_t *object, const char *key, bool otherwise, bool *out,
                        struct error *err)
{
    const json_t *value = json_object_get(object, key);
    if (!is_absent(value) && !json_is_boolean(value))
        return error_set(err, ST_CORRUPT, "'%s' is not true or false", key);
    *out = is_absent(value) ? otherwise : json_is_true(value);
    return ST_OK;
}

status_t json_read_string(const json_t *object, const char *key, const char *otherwise,
                          const char **out, struct error *err)
{
    const json_t *value = json_object_get(object, key);
    if (is_absent(value)) {
        *out = otherwise;
        return ST_OK;
    }
    const char *text = json_string_value(value);
    if (!text || strlen(text) != json_string_length(value))
        return error_set(err, ST_CORRUPT, "'%s' is not a string", key);
    *out = text;
    return ST_OK;
}

status_t json_need_string(const json_t *object, const char *key, const char **out,
                          struct error *err)
{
    const char *text = NULL;
    const status_t status = json_read_string(object, key, NULL, &text, err);
    if (status != ST_OK) return status;
    if (!text) return error_set(err, ST_CORRUPT, "'%s' is missing", key);
    *out = text;
    return ST_OK;
}

status_t json_read_count(const json_t *object, const char *key, size_t otherwise, size_t *out,
                         struct error *err)
{
    const json_t *value = json_object_get(object, key);
    if (!is_absent(value) && (!json_is_integer(value) || json_integer_value(value) < 0))
        return error_set(err, ST_CORRUPT, "'%s' is not a count", key);
    *out = is_absent(value) ? otherwise : (size_t)json_integer_value(value);
    return ST_OK;
}

status_t json_need_array(const json_t *object, const char *key, json_t **out, struct error *err)
{
    json_t *value = json_object_get(object, key);
    if (!json_is_array(value)) return error_set(err, ST_CORRUPT, "'%s' is not a list", key);
    *out = value;
    return ST_OK;
}
