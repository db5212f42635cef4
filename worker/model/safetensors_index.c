#include "worker/model/safetensors_index.h"

#include "worker/model/json_fields.h"
#include "worker/model/safetensors.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Shards lie beside their index: any separator or dot name could leave the directory. */
static bool is_plain_name(const char *name)
{
    return name[0] != '\0' && !strchr(name, '/') && !strchr(name, '\\') && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0;
}

static int compare_entries(const void *left, const void *right)
{
    const struct safetensors_index_entry *a = left;
    const struct safetensors_index_entry *b = right;
    const int by_file = strcmp(a->file, b->file);
    return by_file ? by_file : strcmp(a->tensor, b->tensor);
}

static status_t read_entries(struct safetensors_index *index, const char *path, json_t *map,
                             struct error *err)
{
    const char *tensor;
    json_t *value;
    json_object_foreach(map, tensor, value)
    {
        const char *file = json_string_value(value);
        if (!file)
            return error_set(err, ST_CORRUPT, "%s: tensor '%.128s': its file is not a string", path,
                             tensor);
        if (!is_plain_name(file))
            return error_set(err, ST_CORRUPT,
                             "%s: tensor '%.128s': file '%.128s' is not a plain name", path, tensor,
                             file);
        index->entries[index->n_entries++] = (struct safetensors_index_entry){tensor, file};
    }
    return ST_OK;
}

static status_t find_map(const char *path, const json_t *root, json_t **out, struct error *err)
{
    json_t *map = json_object_get(root, "weight_map");
    if (!json_is_object(map))
        return error_set(err, ST_CORRUPT, "%s: weight_map is missing or not an object", path);
    if (json_object_size(map) == 0)
        return error_set(err, ST_CORRUPT, "%s: weight_map is empty", path);
    if (json_object_size(map) > SAFETENSORS_MAX_TENSORS)
        return error_set(err, ST_TOO_LARGE, "%s: %zu tensors, at most %d are read", path,
                         json_object_size(map), (int)SAFETENSORS_MAX_TENSORS);
    *out = map;
    return ST_OK;
}

status_t safetensors_index_parse(struct safetensors_index *out, const char *path, const char *text,
                                 size_t n_bytes, struct error *err)
{
    json_t *map = NULL;
    json_t *root = NULL;
    struct safetensors_index index = {0};
    status_t status = json_parse(&root, text, n_bytes, true, err);
    if (status != ST_OK) {
        error_wrap(err, "%s", path);
        return status;
    }
    index.document = root;
    status = find_map(path, root, &map, err);
    if (status != ST_OK) goto done;
    index.entries = calloc(json_object_size(map), sizeof *index.entries);
    if (!index.entries) {
        status = error_set(err, ST_NO_MEMORY, "%s: tensor list", path);
        goto done;
    }
    status = read_entries(&index, path, map, err);
    if (status != ST_OK) goto done;
    qsort(index.entries, index.n_entries, sizeof *index.entries, compare_entries);
    *out = index;
    return ST_OK;
done:
    safetensors_index_fini(&index);
    return status;
}

void safetensors_index_fini(struct safetensors_index *index)
{
    free(index->entries);
    json_decref(index->document);
    *index = (struct safetensors_index){0};
}
