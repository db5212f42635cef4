/* What a table says in words: allowed values, help, the nearest valid key, JSON. */
#include "common/config_table.h"

#include <stdio.h>
#include <string.h>

enum { WORD_MAX = 64 };

static size_t min3(size_t a, size_t b, size_t c)
{
    const size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* Levenshtein distance (Levenshtein 1966) of words shorter than WORD_MAX. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t row[WORD_MAX];
    const size_t n_b = strlen(b);
    for (size_t j = 0; j <= n_b; j++) row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n_b; j++) {
            const size_t above = row[j];
            row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[n_b];
}

const char *config_nearest(const char *word, const char *const *names)
{
    const char *best = NULL;
    const size_t n_word = strlen(word);
    size_t best_distance = n_word / 3 > 2 ? n_word / 3 + 1 : 3;
    if (n_word >= WORD_MAX) return NULL;
    for (; *names; names++) {
        if (strlen(*names) >= WORD_MAX) continue;
        const size_t distance = edit_distance(word, *names);
        if (distance >= best_distance || distance >= strlen(*names)) continue;
        best_distance = distance;
        best = *names;
    }
    return best;
}

static void append_choices(const struct config_choice *choices, char *out, size_t size)
{
    const char *separator = "";
    for (; choices->name; choices++) {
        const size_t used = strlen(out);
        if (choices->is_reserved) continue;
        (void)snprintf(out + used, size - used, "%s%s", separator, choices->name);
        separator = " | ";
    }
}

static void describe_number(const struct config_key *key, char out[CONFIG_ALLOWED_SIZE])
{
    const char *what = key->type == CONFIG_TYPE_NUMBER ? "number" : "whole number";
    const char *of = key->unit ? " of " : "";
    const char *unit = key->unit ? key->unit : "";
    if (key->max >= 9e18)
        (void)snprintf(out, CONFIG_ALLOWED_SIZE, "%s%s%s, at least %.15g", what, of, unit,
                       key->min);
    else
        (void)snprintf(out, CONFIG_ALLOWED_SIZE, "%s%s%s, %.15g to %.15g", what, of, unit, key->min,
                       key->max);
}

char *config_describe(const struct config_key *key, char out[CONFIG_ALLOWED_SIZE])
{
    out[0] = '\0';
    switch (key->type) {
    case CONFIG_TYPE_BOOL: (void)snprintf(out, CONFIG_ALLOWED_SIZE, "true | false"); break;
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_COUNT:
    case CONFIG_TYPE_NUMBER: describe_number(key, out); break;
    case CONFIG_TYPE_TEXT: (void)snprintf(out, CONFIG_ALLOWED_SIZE, "text"); break;
    case CONFIG_TYPE_CHOICE: append_choices(key->choices, out, CONFIG_ALLOWED_SIZE); break;
    case CONFIG_TYPE_FLAGS:
        (void)snprintf(out, CONFIG_ALLOWED_SIZE, "a list of ");
        append_choices(key->choices, out, CONFIG_ALLOWED_SIZE);
        break;
    case CONFIG_TYPE_TEXTS:
    case CONFIG_TYPE_LIST:
        (void)snprintf(out, CONFIG_ALLOWED_SIZE, "a list of %.15g to %.15g %s", key->min, key->max,
                       key->type == CONFIG_TYPE_LIST ? "mappings" : "texts");
        break;
    case CONFIG_TYPE_SECTION: (void)snprintf(out, CONFIG_ALLOWED_SIZE, "a mapping"); break;
    }
    return out;
}

static status_t help_table(const struct config_key *keys, const char *path, struct buffer *out,
                           struct error *err)
{
    char full[CONFIG_PATH_SIZE], allowed[CONFIG_ALLOWED_SIZE];
    status_t status = ST_OK;
    for (const struct config_key *key = keys; status == ST_OK && key->name; key++) {
        (void)snprintf(full, sizeof full, "%s%s%s", path, *path ? "." : "", key->name);
        if (key->type != CONFIG_TYPE_SECTION) {
            status = buffer_printf(out, err, "%-30s %s\n%-30s   %s", full, key->help, "",
                                   config_describe(key, allowed));
            if (status == ST_OK)
                status = buffer_printf(out, err, "%s%s\n",
                                       key->is_required    ? "; required"
                                       : key->default_text ? "; default "
                                                           : "; optional",
                                       key->default_text ? key->default_text : "");
        }
        if (status != ST_OK || !key->keys) continue;
        if (key->type == CONFIG_TYPE_LIST)
            (void)strncat(full, "[]", sizeof full - strlen(full) - 1);
        status = help_table(key->keys, full, out, err);
    }
    return status;
}

status_t config_help(const struct config_schema *schema, struct buffer *out, struct error *err)
{
    const status_t status = buffer_printf(out, err, "Keys of a %s file:\n", schema->kind);
    return status == ST_OK ? help_table(schema->keys, "", out, err) : status;
}

/* --- JSON ------------------------------------------------------------------------------ */

static int64_t read_signed(const void *member, size_t size)
{
    switch (size) {
    case 1: return *(const int8_t *)member;
    case 2: return *(const int16_t *)member;
    case 4: return *(const int32_t *)member;
    default: return *(const int64_t *)member;
    }
}

static uint64_t read_unsigned(const void *member, size_t size)
{
    switch (size) {
    case 1: return *(const uint8_t *)member;
    case 2: return *(const uint16_t *)member;
    case 4: return *(const uint32_t *)member;
    default: return *(const uint64_t *)member;
    }
}

static json_t *json_choice(const struct config_key *key, int64_t value)
{
    for (const struct config_choice *choice = key->choices; choice->name; choice++)
        if (choice->value == value) return json_string(choice->name);
    return NULL;
}

static json_t *json_flags(const struct config_key *key, uint64_t bits)
{
    json_t *list = json_array();
    for (const struct config_choice *choice = key->choices; list && choice->name; choice++)
        if (bits & (unsigned)choice->value)
            (void)json_array_append_new(list, json_string(choice->name));
    return list;
}

static json_t *json_table(const struct config_key *keys, const char *base);

static json_t *json_list(const struct config_key *key, const char *base)
{
    const size_t n_items = *(const size_t *)(const void *)(base + key->count_offset);
    const char *items = *(const char *const *)(const void *)(base + key->offset);
    json_t *list = json_array();
    for (size_t i = 0; list && i < n_items; i++) {
        json_t *item = key->type == CONFIG_TYPE_LIST
                           ? json_table(key->keys, items + i * key->size)
                           : json_string(((const char *const *)(const void *)items)[i]);
        if (json_array_append_new(list, item) == 0) continue;
        json_decref(list);
        return NULL;
    }
    return list;
}

static json_t *json_value(const struct config_key *key, const char *base)
{
    const void *member = base + key->offset;
    switch (key->type) {
    case CONFIG_TYPE_BOOL: return json_boolean(*(const bool *)member);
    case CONFIG_TYPE_INT: return json_integer(read_signed(member, key->size));
    case CONFIG_TYPE_COUNT: return json_integer((json_int_t)read_unsigned(member, key->size));
    case CONFIG_TYPE_NUMBER: return json_real(*(const double *)member);
    case CONFIG_TYPE_TEXT: return json_string(*(const char *const *)member);
    case CONFIG_TYPE_CHOICE: return json_choice(key, read_signed(member, key->size));
    case CONFIG_TYPE_FLAGS: return json_flags(key, read_unsigned(member, key->size));
    case CONFIG_TYPE_SECTION: return json_table(key->keys, member);
    case CONFIG_TYPE_TEXTS:
    case CONFIG_TYPE_LIST: return json_list(key, base);
    }
    return NULL;
}

static json_t *json_table(const struct config_key *keys, const char *base)
{
    json_t *object = json_object();
    for (const struct config_key *key = keys; object && key->name; key++) {
        const void *member = base + key->offset;
        if (key->type == CONFIG_TYPE_TEXT && !*(const char *const *)member) continue;
        if (json_object_set_new(object, key->name, json_value(key, base)) == 0) continue;
        json_decref(object);
        return NULL;
    }
    return object;
}

json_t *config_to_json(const struct config_schema *schema, const void *config)
{
    return json_table(schema->keys, config);
}
