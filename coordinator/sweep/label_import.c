#include "coordinator/sweep/label_import.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct given {
    uint64_t feature;
    uint32_t target;
    uint32_t line;
    enum feature_type type;
    char *text; /* owned, cleaned */
};

struct label_import {
    char *path;
    struct given *list; /* [n], by target and feature */
    size_t n, capacity;
};

/* --- one line ------------------------------------------------------------------------------ */

static status_t read_count(const struct label_import *import, const json_t *object, const char *key,
                           size_t line, uint64_t *out, struct error *err)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return error_set(err, ST_BAD_INPUT, "%s:%zu: \"%s\" must be a whole number from 0",
                         import->path, line, key);
    *out = (uint64_t)json_integer_value(value);
    return ST_OK;
}

static status_t read_label(const struct label_import *import, const json_t *object, size_t line,
                           struct given *out, struct error *err)
{
    char clean[PROMPT_MAX_LABEL_BYTES + 1];
    const json_t *label = json_object_get(object, "label");
    if (!json_is_string(label))
        return error_set(err, ST_BAD_INPUT, "%s:%zu: \"label\" must be a text", import->path, line);
    const size_t n = prompt_label_clean(json_string_value(label), json_string_length(label), clean);
    if (n == 0)
        return error_set(err, ST_BAD_INPUT, "%s:%zu: the label is empty", import->path, line);
    out->type = feature_type_parse(json_string_value(json_object_get(object, "type")));
    out->text = malloc(n + 1);
    if (!out->text) return error_set(err, ST_NO_MEMORY, "%s", import->path);
    memcpy(out->text, clean, n + 1);
    return ST_OK;
}

static status_t read_line(const struct label_import *import, const char *text, size_t n_bytes,
                          size_t line, size_t n_targets, struct given *out, struct error *err)
{
    json_error_t problem;
    uint64_t target = 0;
    json_t *object = json_loadb(text, n_bytes, JSON_REJECT_DUPLICATES, &problem);
    if (!json_is_object(object)) {
        const status_t refused =
            error_set(err, ST_BAD_INPUT, "%s:%zu: not a JSON object%s%.80s", import->path, line,
                      object ? "" : ": ", object ? "" : problem.text);
        json_decref(object);
        return refused;
    }
    out->line = (uint32_t)line;
    status_t status = read_count(import, object, "feature", line, &out->feature, err);
    if (status == ST_OK && json_is_integer(json_object_get(object, "target")))
        status = read_count(import, object, "target", line, &target, err);
    if (status == ST_OK && target >= n_targets)
        status = error_set(err, ST_BAD_INPUT, "%s:%zu: target %llu, but the sweep has %zu",
                           import->path, line, (unsigned long long)target, n_targets);
    out->target = (uint32_t)target;
    if (status == ST_OK) status = read_label(import, object, line, out, err);
    json_decref(object);
    return status;
}

/* --- the file ------------------------------------------------------------------------------ */

static int compare(const void *left, const void *right)
{
    const struct given *a = left, *b = right;
    if (a->target != b->target) return a->target < b->target ? -1 : 1;
    if (a->feature != b->feature) return a->feature < b->feature ? -1 : 1;
    return a->line < b->line ? -1 : a->line > b->line;
}

static status_t sort(struct label_import *import, struct error *err)
{
    if (import->n == 0) return error_set(err, ST_BAD_INPUT, "%s: holds no label", import->path);
    qsort(import->list, import->n, sizeof *import->list, compare);
    for (size_t i = 1; i < import->n; i++) {
        const struct given *a = &import->list[i - 1], *b = &import->list[i];
        if (a->target == b->target && a->feature == b->feature)
            return error_set(err, ST_BAD_INPUT,
                             "%s:%u: feature %llu has a label in line %u already", import->path,
                             b->line, (unsigned long long)b->feature, a->line);
    }
    return ST_OK;
}

static status_t add(struct label_import *import, const struct given *given, struct error *err)
{
    if (import->n == import->capacity) {
        const size_t capacity = import->capacity ? 2 * import->capacity : 256;
        struct given *grown = realloc(import->list, capacity * sizeof *grown);
        if (!grown) return error_set(err, ST_NO_MEMORY, "%s: %zu labels", import->path, capacity);
        import->list = grown;
        import->capacity = capacity;
    }
    import->list[import->n++] = *given;
    return ST_OK;
}

static bool is_blank(const char *text, size_t n_bytes)
{
    for (size_t i = 0; i < n_bytes; i++)
        if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r') return false;
    return true;
}

static status_t read_all(struct label_import *import, const char *text, size_t n_bytes,
                         size_t n_targets, struct error *err)
{
    size_t line = 0;
    status_t status = ST_OK;
    for (size_t at = 0; at < n_bytes && status == ST_OK;) {
        const char *end = memchr(text + at, '\n', n_bytes - at);
        const size_t n = end ? (size_t)(end - text) - at : n_bytes - at;
        struct given given = {0};
        line++;
        if (!is_blank(text + at, n)) {
            status = read_line(import, text + at, n, line, n_targets, &given, err);
            if (status == ST_OK) status = add(import, &given, err);
            if (status != ST_OK) free(given.text);
        }
        at += n + 1;
    }
    return status == ST_OK ? sort(import, err) : status;
}

status_t label_import_parse(struct label_import **out, const struct sweep_spec *spec,
                            const struct buffer *lines, struct error *err)
{
    struct label_import *import = calloc(1, sizeof *import);
    if (import) import->path = strdup(spec->labels);
    status_t status =
        import && import->path ? ST_OK : error_set(err, ST_NO_MEMORY, "%s", spec->labels);
    if (status == ST_OK)
        status = read_all(import, (const char *)lines->bytes, lines->n_bytes, spec->n_targets, err);
    if (status == ST_OK)
        *out = import;
    else
        label_import_destroy(&import);
    return status;
}

void label_import_destroy(struct label_import **import)
{
    struct label_import *self = *import;
    if (!self) return;
    for (size_t i = 0; i < self->n; i++) free(self->list[i].text);
    free(self->list);
    free(self->path);
    free(self);
    *import = NULL;
}

/* --- asking -------------------------------------------------------------------------------- */

static bool has_unit(const uint32_t *units, size_t n, uint64_t unit)
{
    size_t low = 0;
    while (n > 0) {
        const size_t half = n / 2;
        if (units[low + half] == unit) return true;
        if (units[low + half] < unit) {
            low += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return false;
}

status_t label_import_check(const struct label_import *import, uint32_t target,
                            const uint32_t *units, size_t n_units, bool is_signed,
                            struct error *err)
{
    for (size_t i = 0; i < import->n; i++) {
        const struct given *given = &import->list[i];
        const uint64_t unit = is_signed ? given->feature / 2 : given->feature;
        if (given->target == target && !has_unit(units, n_units, unit))
            return error_set(err, ST_NOT_FOUND, "%s:%u: targets[%u] has no feature %llu",
                             import->path, given->line, target, (unsigned long long)given->feature);
    }
    return ST_OK;
}

bool label_import_find(const struct label_import *import, uint32_t target, uint64_t feature,
                       struct prompt_label *out)
{
    size_t low = 0, n = import->n;
    while (n > 0) {
        const struct given *given = &import->list[low + n / 2];
        const bool is_before =
            given->target < target || (given->target == target && given->feature < feature);
        if (given->target == target && given->feature == feature) {
            *out = (struct prompt_label){.type = given->type};
            memcpy(out->text, given->text, strlen(given->text) + 1);
            return true;
        }
        low += is_before ? n / 2 + 1 : 0;
        n = is_before ? n - n / 2 - 1 : n / 2;
    }
    return false;
}

size_t label_import_count(const struct label_import *import)
{
    return import->n;
}
