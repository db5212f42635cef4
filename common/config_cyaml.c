/* The libcyaml schema that a table stands for. Every field is optional to libcyaml: what is
 * required was checked before, on the tree with its lines. */
#include "common/config_table.h"

#include <stdlib.h>

struct config_cyaml_block {
    struct config_cyaml_block *next;
    max_align_t bytes[];
};

static void *block_new(struct config_cyaml *schema, size_t n_items, size_t item_size)
{
    struct config_cyaml_block *block = calloc(1, sizeof *block + n_items * item_size);
    if (!block) return NULL;
    block->next = schema->blocks;
    schema->blocks = block;
    return block->bytes;
}

static const cyaml_strval_t *build_choices(struct config_cyaml *schema,
                                           const struct config_choice *choices, uint32_t *n_out)
{
    cyaml_strval_t *strings;
    uint32_t n = 0;
    while (choices[n].name) n++;
    strings = block_new(schema, n, sizeof *strings);
    for (uint32_t i = 0; strings && i < n; i++) {
        strings[i].str = choices[i].name;
        strings[i].val = choices[i].value;
    }
    *n_out = n;
    return strings;
}

static const cyaml_schema_field_t *build_fields(struct config_cyaml *schema,
                                                const struct config_key *keys);

static bool build_entry(struct config_cyaml *schema, const struct config_key *key,
                        cyaml_schema_value_t *value)
{
    cyaml_schema_value_t *entry = block_new(schema, 1, sizeof *entry);
    if (!entry) return false;
    entry->data_size = (uint32_t)key->size;
    if (key->type == CONFIG_TYPE_LIST) {
        entry->type = CYAML_MAPPING;
        entry->mapping.fields = build_fields(schema, key->keys);
        if (!entry->mapping.fields) return false;
    } else {
        entry->type = CYAML_STRING;
        entry->flags = CYAML_FLAG_POINTER;
        entry->data_size = sizeof(char);
        entry->string.max = UINT32_MAX;
    }
    value->type = CYAML_SEQUENCE;
    value->flags = CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL;
    value->sequence.entry = entry;
    value->sequence.max = UINT32_MAX;
    return true;
}

static bool build_value(struct config_cyaml *schema, const struct config_key *key,
                        cyaml_schema_value_t *value)
{
    value->flags = CYAML_FLAG_OPTIONAL;
    value->data_size = (uint32_t)key->size;
    switch (key->type) {
    case CONFIG_TYPE_BOOL: value->type = CYAML_BOOL; return true;
    case CONFIG_TYPE_INT: value->type = CYAML_INT; return true;
    case CONFIG_TYPE_COUNT: value->type = CYAML_UINT; return true;
    case CONFIG_TYPE_NUMBER: value->type = CYAML_FLOAT; return true;
    case CONFIG_TYPE_TEXT:
        value->type = CYAML_STRING;
        value->flags = CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL;
        value->data_size = sizeof(char);
        value->string.max = UINT32_MAX;
        return true;
    case CONFIG_TYPE_CHOICE:
    case CONFIG_TYPE_FLAGS:
        value->type = key->type == CONFIG_TYPE_CHOICE ? CYAML_ENUM : CYAML_FLAGS;
        value->flags = CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT;
        value->enumeration.strings = build_choices(schema, key->choices, &value->enumeration.count);
        return value->enumeration.strings != NULL;
    case CONFIG_TYPE_SECTION:
        value->type = CYAML_MAPPING;
        value->mapping.fields = build_fields(schema, key->keys);
        return value->mapping.fields != NULL;
    case CONFIG_TYPE_TEXTS:
    case CONFIG_TYPE_LIST: return build_entry(schema, key, value);
    }
    return false;
}

static const cyaml_schema_field_t *build_fields(struct config_cyaml *schema,
                                                const struct config_key *keys)
{
    cyaml_schema_field_t *fields;
    size_t n = 0;
    while (keys[n].name) n++;
    fields = block_new(schema, n + 1, sizeof *fields);
    for (size_t i = 0; fields && i < n; i++) {
        fields[i].key = keys[i].name;
        fields[i].data_offset = (uint32_t)keys[i].offset;
        fields[i].count_offset = (uint32_t)keys[i].count_offset;
        fields[i].count_size = sizeof(size_t);
        if (!build_value(schema, &keys[i], &fields[i].value)) return NULL;
    }
    return fields;
}

status_t config_cyaml_init(struct config_cyaml *schema, const struct config_schema *table,
                           struct error *err)
{
    *schema = (struct config_cyaml){.top = {.type = CYAML_MAPPING, .flags = CYAML_FLAG_POINTER}};
    schema->top.data_size = (uint32_t)table->size;
    schema->top.mapping.fields = build_fields(schema, table->keys);
    if (schema->top.mapping.fields) return ST_OK;
    config_cyaml_fini(schema);
    return error_set(err, ST_NO_MEMORY, "schema of %s files", table->kind);
}

void config_cyaml_fini(struct config_cyaml *schema)
{
    while (schema->blocks) {
        struct config_cyaml_block *next = schema->blocks->next;
        free(schema->blocks);
        schema->blocks = next;
    }
}
