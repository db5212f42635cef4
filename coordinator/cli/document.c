#include "coordinator/cli/document.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

enum { DOCUMENT_DIGITS = 12 }; /* as results are stored: 4.5661, not 4.5660999999999996 */

static status_t failed(struct error *err)
{
    return error_set(err, ST_IO, "writing JSON: %s", strerror(errno ? errno : EIO));
}

status_t document_print(FILE *out, const char *kind, const json_t *answer, struct error *err)
{
    json_t *document = json_pack("{s:s, s:s}", "apiVersion", DOCUMENT_API_VERSION, "kind", kind);
    status_t status = ST_OK;
    const char *key;
    json_t *value;
    if (!document) return error_set(err, ST_NO_MEMORY, "JSON document");
    json_object_foreach((json_t *)(uintptr_t)answer, key, value)
    {
        /* the envelope's own words win: a sweep's "kind" is told as "sweep_kind" */
        const char *name = strcmp(key, "kind") == 0 ? "sweep_kind" : key;
        if (json_object_set(document, name, value) != 0)
            status = error_set(err, ST_NO_MEMORY, "JSON document");
    }
    if (status == ST_OK &&
        (json_dumpf(document, out, JSON_INDENT(2) | JSON_REAL_PRECISION(DOCUMENT_DIGITS)) != 0 ||
         fputc('\n', out) == EOF))
        status = failed(err);
    json_decref(document);
    return status;
}

status_t document_print_new(FILE *out, const char *kind, json_t *answer, struct error *err)
{
    const status_t status = answer ? document_print(out, kind, answer, err)
                                   : error_set(err, ST_NO_MEMORY, "JSON document");
    json_decref(answer);
    return status;
}

status_t document_print_line(FILE *out, const json_t *object, struct error *err)
{
    if (json_dumpf(object, out, JSON_COMPACT | JSON_REAL_PRECISION(DOCUMENT_DIGITS)) != 0 ||
        fputc('\n', out) == EOF)
        return failed(err);
    return ST_OK;
}

status_t document_print_lines(FILE *out, const json_t *array, struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = 0; i < json_array_size(array) && status == ST_OK; i++)
        status = document_print_line(out, json_array_get(array, i), err);
    return status;
}
