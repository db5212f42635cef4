#include "worker/model/safetensors_header.h"

#include "common/size.h"
#include "worker/model/json_fields.h"
#include "worker/model/safetensors.h"

#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The parts of a file while it is checked. */
struct layout {
    const char *path;
    const unsigned char *header; /* [n_header] */
    size_t n_header;
    const unsigned char *data; /* [n_data] */
    size_t n_data;
};

static status_t split_file(const char *path, const unsigned char *bytes, size_t n_bytes,
                           struct layout *out, struct error *err)
{
    uint64_t n_header = 0;
    if (n_bytes < 8)
        return error_set(err, ST_CORRUPT, "%s: truncated: %zu bytes, the header length needs 8",
                         path, n_bytes);
    for (int i = 7; i >= 0; i--) n_header = n_header << 8 | bytes[i];
    if (n_header > SAFETENSORS_MAX_HEADER_BYTES)
        return error_set(err, ST_TOO_LARGE, "%s: header claims %llu bytes, at most %d are read",
                         path, (unsigned long long)n_header, (int)SAFETENSORS_MAX_HEADER_BYTES);
    if (n_header > n_bytes - 8)
        return error_set(err, ST_CORRUPT,
                         "%s: truncated: header claims %llu bytes, %zu follow its length", path,
                         (unsigned long long)n_header, n_bytes - 8);
    out->path = path;
    out->header = bytes + 8;
    out->n_header = (size_t)n_header;
    out->data = bytes + 8 + n_header;
    out->n_data = n_bytes - 8 - (size_t)n_header;
    return ST_OK;
}

static status_t load_header(const struct layout *layout, json_t **out, struct error *err)
{
    json_t *root = NULL;
    if (layout->n_header == 0 || layout->header[0] != '{')
        return error_set(err, ST_CORRUPT, "%s: header is not a JSON object", layout->path);
    const status_t status =
        json_parse(&root, (const char *)layout->header, layout->n_header, true, err);
    if (status != ST_OK) {
        error_wrap(err, "%s: header", layout->path);
        return status;
    }
    if (json_object_size(root) > SAFETENSORS_MAX_TENSORS) {
        const size_t n = json_object_size(root);
        json_decref(root);
        return error_set(err, ST_TOO_LARGE, "%s: %zu tensors, at most %d are read", layout->path, n,
                         (int)SAFETENSORS_MAX_TENSORS);
    }
    *out = root;
    return ST_OK;
}

static bool read_size(const json_t *value, size_t *out)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0) return false;
    *out = (size_t)json_integer_value(value);
    return true;
}

static status_t read_shape(const json_t *shape, struct tensor_view *view, struct error *err)
{
    if (!json_is_array(shape)) return error_set(err, ST_CORRUPT, "shape is missing or not a list");
    view->n_dims = json_array_size(shape);
    if (view->n_dims > TENSOR_MAX_DIMS)
        return error_set(err, ST_TOO_LARGE, "shape of %zu dimensions, at most %d", view->n_dims,
                         TENSOR_MAX_DIMS);
    for (size_t i = 0; i < view->n_dims; i++)
        if (!read_size(json_array_get(shape, i), &view->shape[i]))
            return error_set(err, ST_CORRUPT, "shape[%zu] is not a count", i);
    return ST_OK;
}

static status_t read_range(const json_t *offsets, const struct layout *layout,
                           struct tensor_view *view, struct error *err)
{
    size_t begin, end;
    if (json_array_size(offsets) != 2 || !read_size(json_array_get(offsets, 0), &begin) ||
        !read_size(json_array_get(offsets, 1), &end))
        return error_set(err, ST_CORRUPT, "data_offsets is not a pair of counts");
    if (begin > end || end > layout->n_data)
        return error_set(err, ST_CORRUPT,
                         "data_offsets %zu to %zu lie outside the %zu bytes of data", begin, end,
                         layout->n_data);
    view->data = layout->data + begin;
    view->n_bytes = end - begin;
    return ST_OK;
}

static status_t read_entry(const json_t *entry, const struct layout *layout,
                           struct tensor_view *view, struct error *err)
{
    size_t n_bytes;
    const char *dtype = json_string_value(json_object_get(entry, "dtype"));
    if (!json_is_object(entry)) return error_set(err, ST_CORRUPT, "entry is not an object");
    if (!dtype) return error_set(err, ST_CORRUPT, "dtype is missing or not a string");
    status_t status = tensor_dtype_parse(dtype, &view->dtype, err);
    if (status == ST_OK) status = read_shape(json_object_get(entry, "shape"), view, err);
    if (status == ST_OK)
        status = tensor_measure(view->dtype, view->shape, view->n_dims, &n_bytes, err);
    if (status == ST_OK)
        status = read_range(json_object_get(entry, "data_offsets"), layout, view, err);
    if (status == ST_OK && n_bytes != view->n_bytes)
        return error_set(err, ST_CORRUPT,
                         "shape and dtype %s make %zu bytes, data_offsets hold %zu", dtype, n_bytes,
                         view->n_bytes);
    return status;
}

static status_t check_metadata(const json_t *metadata, const char *path, struct error *err)
{
    const char *key;
    json_t *value;
    if (!json_is_object(metadata))
        return error_set(err, ST_CORRUPT, "%s: __metadata__ is not an object", path);
    json_object_foreach((json_t *)(uintptr_t)metadata, key, value) if (
        !json_is_string(value)) return error_set(err, ST_CORRUPT,
                                                 "%s: __metadata__ '%.64s' is not a string", path,
                                                 key);
    return ST_OK;
}

/* Views in the order of the header's keys; *n_views counts those whose name is allocated. */
static status_t read_entries(const struct layout *layout, json_t *root, struct tensor_view *views,
                             size_t *n_views, struct error *err)
{
    const char *name;
    json_t *entry;
    json_object_foreach(root, name, entry)
    {
        if (strcmp(name, "__metadata__") == 0) {
            const status_t status = check_metadata(entry, layout->path, err);
            if (status != ST_OK) return status;
            continue;
        }
        struct tensor_view *view = &views[*n_views];
        const status_t status = read_entry(entry, layout, view, err);
        if (status != ST_OK) {
            error_wrap(err, "%s: tensor '%.128s'", layout->path, name);
            return status;
        }
        view->name = strdup(name);
        if (!view->name) return error_set(err, ST_NO_MEMORY, "%s: tensor names", layout->path);
        ++*n_views;
    }
    return ST_OK;
}

static int compare_places(const void *left, const void *right)
{
    const struct tensor_view *a = left;
    const struct tensor_view *b = right;
    const unsigned char *a_data = a->data;
    const unsigned char *b_data = b->data;
    if (a_data != b_data) return a_data < b_data ? -1 : 1;
    if (a->n_bytes != b->n_bytes) return a->n_bytes < b->n_bytes ? -1 : 1;
    return strcmp(a->name, b->name);
}

/* The ranges, sorted, must tile the data exactly. */
static status_t check_tiling(const struct layout *layout, const struct tensor_view *views,
                             size_t n_views, struct error *err)
{
    size_t covered = 0;
    for (size_t i = 0; i < n_views; i++) {
        const size_t begin = (size_t)((const unsigned char *)views[i].data - layout->data);
        if (begin < covered)
            return error_set(err, ST_CORRUPT,
                             "%s: tensor '%.128s': data_offsets overlap the tensor before it",
                             layout->path, views[i].name);
        if (begin > covered)
            return error_set(err, ST_CORRUPT,
                             "%s: tensor '%.128s': data_offsets leave a gap of %zu bytes before it",
                             layout->path, views[i].name, begin - covered);
        covered += views[i].n_bytes;
    }
    if (covered != layout->n_data)
        return error_set(err, ST_CORRUPT, "%s: %zu bytes behind the last tensor", layout->path,
                         layout->n_data - covered);
    return ST_OK;
}

status_t safetensors_parse(const char *path, const void *bytes, size_t n_bytes,
                           struct tensor_view **views, size_t *n_views, struct error *err)
{
    struct layout layout = {0};
    json_t *root = NULL;
    struct tensor_view *parsed = NULL;
    size_t n_parsed = 0;
    status_t status = split_file(path, bytes, n_bytes, &layout, err);
    if (status == ST_OK) status = load_header(&layout, &root, err);
    if (status != ST_OK) goto done;
    parsed = calloc(json_object_size(root) + 1, sizeof *parsed);
    if (!parsed) {
        status = error_set(err, ST_NO_MEMORY, "%s: tensor list", path);
        goto done;
    }
    status = read_entries(&layout, root, parsed, &n_parsed, err);
    if (status != ST_OK) goto done;
    qsort(parsed, n_parsed, sizeof *parsed, compare_places);
    status = check_tiling(&layout, parsed, n_parsed, err);
    if (status != ST_OK) goto done;
    *views = parsed;
    *n_views = n_parsed;
    parsed = NULL;
done:
    json_decref(root);
    if (parsed) safetensors_views_free(parsed, n_parsed);
    return status;
}

void safetensors_views_free(struct tensor_view *views, size_t n_views)
{
    for (size_t i = 0; i < n_views; i++) free((void *)(uintptr_t)views[i].name);
    free(views);
}
