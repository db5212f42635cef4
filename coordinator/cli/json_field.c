#include "coordinator/cli/json_field.h"

#include <math.h>
#include <string.h>

const json_t *json_field(const json_t *object, const char *path)
{
    const json_t *at = object;
    while (at && *path) {
        const size_t n = strcspn(path, ".");
        char name[64];
        if (n >= sizeof name) return NULL;
        memcpy(name, path, n);
        name[n] = '\0';
        at = json_object_get(at, name);
        path += n + (path[n] == '.');
    }
    return json_is_null(at) ? NULL : at;
}

const char *json_field_text(const json_t *object, const char *path, const char *otherwise)
{
    const char *text = json_string_value(json_field(object, path));
    return text ? text : otherwise;
}

double json_field_number(const json_t *object, const char *path)
{
    const json_t *value = json_field(object, path);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

bool json_field_is_true(const json_t *object, const char *path)
{
    return json_is_true(json_field(object, path));
}
