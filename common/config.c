#include "common/config_table.h"

#include "common/file.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- the checked tree with defaults filled in, as JSON whose scalars are all text -------- */

static json_t *complete_table(const struct config_key *keys, const struct yaml_node *mapping);

static json_t *complete_list(const struct config_key *key, const struct yaml_node *node)
{
    json_t *list = json_array();
    for (const struct yaml_node *item = node->first; list && item; item = item->next) {
        json_t *value = key->type == CONFIG_TYPE_LIST ? complete_table(key->keys, item)
                                                      : json_string(item->text);
        if (json_array_append_new(list, value) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

/* "a,b" -> ["a", "b"] */
static json_t *default_flags(const char *names)
{
    json_t *list = json_array();
    while (list && *names) {
        const size_t n = strcspn(names, ",");
        if (json_array_append_new(list, json_stringn(names, n)) != 0) {
            json_decref(list);
            return NULL;
        }
        names += n;
        if (*names == ',') names++;
    }
    return list;
}

/* The value of `key`; *is_absent when it has neither value nor default. */
static json_t *complete_value(const struct config_key *key, const struct yaml_node *node,
                              bool *is_absent)
{
    *is_absent = false;
    if (key->type == CONFIG_TYPE_SECTION) return complete_table(key->keys, node);
    if (node) return node->kind == YAML_SCALAR ? json_string(node->text) : complete_list(key, node);
    if (!key->default_text) {
        *is_absent = true;
        return NULL;
    }
    if (key->type == CONFIG_TYPE_FLAGS) return default_flags(key->default_text);
    return json_string(key->default_text);
}

static json_t *complete_table(const struct config_key *keys, const struct yaml_node *mapping)
{
    json_t *object = json_object();
    for (const struct config_key *key = keys; object && key->name; key++) {
        const struct yaml_node *node = mapping ? yaml_node_child(mapping, key->name) : NULL;
        bool is_absent;
        json_t *value = complete_value(key, node, &is_absent);
        if (is_absent) continue;
        if (json_object_set_new(object, key->name, value) != 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

/* --- loading --------------------------------------------------------------------------- */

static status_t fill(void **out, const struct config_schema *schema, const struct yaml_tree *tree,
                     const char *text, struct error *err)
{
    const cyaml_config_t config = {.mem_fn = cyaml_mem, .flags = CYAML_CFG_NO_ALIAS};
    struct config_cyaml cyaml;
    void *data = NULL;
    cyaml_err_t result;
    status_t status = config_cyaml_init(&cyaml, schema, err);
    if (status != ST_OK) return status;
    result = cyaml_load_data((const uint8_t *)text, strlen(text), &config, &cyaml.top, &data, NULL);
    if (result == CYAML_ERR_OOM)
        status = error_set(err, ST_NO_MEMORY, "%s: no memory", yaml_tree_name(tree));
    else if (result != CYAML_OK)
        status = error_set(err, ST_BAD_INPUT, "%s: a value cannot be loaded: %s",
                           yaml_tree_name(tree), cyaml_strerror(result));
    else
        *out = data;
    config_cyaml_fini(&cyaml);
    return status;
}

status_t config_load(void **out, const struct config_schema *schema, const struct yaml_tree *tree,
                     struct error *err)
{
    json_t *complete;
    char *text;
    status_t status = config_check(schema, tree, err);
    if (status != ST_OK) return status;
    complete = complete_table(schema->keys, yaml_tree_root(tree));
    text = complete ? json_dumps(complete, JSON_COMPACT) : NULL;
    json_decref(complete);
    if (!text) return error_set(err, ST_NO_MEMORY, "%s: no memory", yaml_tree_name(tree));
    status = fill(out, schema, tree, text, err);
    free(text);
    return status;
}

status_t config_load_text(void **out, const struct config_schema *schema, const char *text,
                          size_t n_bytes, const char *name, struct error *err)
{
    struct yaml_tree *tree = NULL;
    status_t status = yaml_tree_parse(&tree, text, n_bytes, name, err);
    if (status == ST_OK) status = config_load(out, schema, tree, err);
    yaml_tree_destroy(&tree);
    return status;
}

status_t config_load_file(void **out, const struct config_schema *schema, const char *path,
                          struct error *err)
{
    char *text = NULL;
    size_t n_bytes;
    status_t status = file_read(path, YAML_MAX_BYTES, &text, &n_bytes, err);
    if (status == ST_OK) status = config_load_text(out, schema, text, n_bytes, path, err);
    free(text);
    return status;
}

/* --- releasing ------------------------------------------------------------------------- */

static void release_table(const struct config_key *keys, char *base)
{
    for (const struct config_key *key = keys; key->name; key++) {
        void *member = base + key->offset;
        if (key->type == CONFIG_TYPE_SECTION) release_table(key->keys, member);
        if (key->type == CONFIG_TYPE_TEXT) free(*(char **)member);
        if (key->type != CONFIG_TYPE_TEXTS && key->type != CONFIG_TYPE_LIST) continue;
        const size_t n_items = *(size_t *)(void *)(base + key->count_offset);
        char *items = *(char **)member;
        for (size_t i = 0; items && i < n_items; i++) {
            if (key->type == CONFIG_TYPE_LIST)
                release_table(key->keys, items + i * key->size);
            else
                free(((char **)(void *)items)[i]);
        }
        free(items);
    }
}

void config_destroy(void **config, const struct config_schema *schema)
{
    if (!config || !*config) return;
    release_table(schema->keys, *config);
    free(*config);
    *config = NULL;
}

status_t config_error(const struct yaml_tree *tree, const char *path, struct error *err,
                      status_t status, const char *format, ...)
{
    const struct yaml_node *deepest;
    char text[ERROR_TEXT_MAX];
    va_list args;
    (void)yaml_tree_find(tree, path, &deepest);
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return error_set(err, status, "%s:%u: %s: %s", yaml_tree_name(tree), deepest->line, path, text);
}
