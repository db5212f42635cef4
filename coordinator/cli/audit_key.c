#include "coordinator/cli/audit_key.h"

#include "common/buffer.h"
#include "common/file.h"
#include "common/hash.h"
#include "coordinator/cli/document.h"
#include "coordinator/cli/json_field.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_MAX_BYTES = 8 * 1024 * 1024, SHEET_LETTERS = 5 };
static const char key_kind[] = "AuditKey";

/* --- items --------------------------------------------------------------------------------- */

/* A name for the sheet: letters without vowels, so that they are no word, month or number. */
static status_t name_sheet(const struct audit_key *key, char out[SHEET_LETTERS + 1],
                           struct error *err)
{
    static const char letters[] = "bcdfghjklmnpqrst"; /* 16 */
    struct buffer all;
    buffer_init(&all, KEY_MAX_BYTES);
    status_t status =
        buffer_printf(&all, err, "%s %llu", key->sweep, (unsigned long long)key->seed);
    for (size_t i = 0; i < key->n_items && status == ST_OK; i++) {
        const struct audit_item *item = &key->items[i];
        status =
            buffer_printf(&all, err, " %lu.%llu %lu.%llu", (unsigned long)item->target,
                          (unsigned long long)item->feature, (unsigned long)item->described_target,
                          (unsigned long long)item->described_feature);
    }
    uint64_t name = status == ST_OK ? hash_name64(all.bytes, all.n_bytes) : 0;
    for (size_t i = 0; i < SHEET_LETTERS; i++, name >>= 4) out[i] = letters[name & 15];
    out[SHEET_LETTERS] = '\0';
    buffer_fini(&all);
    return status;
}

status_t audit_key_fill(struct audit_key *key, const struct audit_label *labels,
                        const struct audit_pick *picks, size_t n_picks, struct error *err)
{
    char name[SHEET_LETTERS + 1];
    if (n_picks > AUDIT_MAX_ITEMS)
        return error_set(err, ST_TOO_LARGE, "a sheet of %zu items (%d at most)", n_picks,
                         AUDIT_MAX_ITEMS);
    key->items = calloc(n_picks + 1, sizeof *key->items);
    if (!key->items) return error_set(err, ST_NO_MEMORY, "a key of %zu items", n_picks);
    key->n_items = n_picks;
    for (size_t i = 0; i < n_picks; i++) {
        const struct audit_label *shown = &labels[picks[i].evidence];
        const struct audit_label *described = &labels[picks[i].description];
        key->items[i] = (struct audit_item){.feature = shown->feature,
                                            .target = shown->target,
                                            .is_decoy = shown != described,
                                            .described_feature = described->feature,
                                            .described_target = described->target};
        key->n_decoys += key->items[i].is_decoy;
    }
    const status_t status = name_sheet(key, name, err);
    for (size_t i = 0; i < n_picks; i++)
        (void)snprintf(key->items[i].id, AUDIT_ITEM_ID_SIZE, "%s-%03zu", name, i + 1);
    return status;
}

void audit_key_fini(struct audit_key *key)
{
    free(key->items);
    key->items = NULL;
    key->n_items = key->n_decoys = 0;
}

size_t audit_key_find(const struct audit_key *key, const char *id)
{
    size_t i = 0;
    while (i < key->n_items && strcmp(key->items[i].id, id) != 0) i++;
    return i;
}

char *audit_key_path(const char *sheet_path)
{
    static const char csv[] = ".csv", ending[] = ".key.json";
    const size_t n_path = strlen(sheet_path);
    size_t n = n_path;
    char *path = malloc(n_path + sizeof ending);
    if (!path) return NULL;
    memcpy(path, sheet_path, n_path + 1);
    if (n > strlen(csv) && strcmp(sheet_path + n - strlen(csv), csv) == 0) n -= strlen(csv);
    memcpy(path + n, ending, sizeof ending);
    return path;
}

/* --- writing ------------------------------------------------------------------------------- */

static json_t *item_json(const struct audit_item *item)
{
    return json_pack("{s:s, s:I, s:I, s:b, s:I, s:I}", "item", item->id, "feature",
                     (json_int_t)item->feature, "target", (json_int_t)item->target, "is_decoy",
                     item->is_decoy, "described_feature", (json_int_t)item->described_feature,
                     "described_target", (json_int_t)item->described_target);
}

static json_t *key_json(const struct audit_key *key)
{
    json_t *items = json_array();
    for (size_t i = 0; items && i < key->n_items; i++)
        if (json_array_append_new(items, item_json(&key->items[i])) != 0) {
            json_decref(items);
            return NULL;
        }
    return json_pack("{s:s, s:s, s:s, s:I, s:o, s:s, s:I, s:o}", "apiVersion", DOCUMENT_API_VERSION,
                     "kind", key_kind, "sweep", key->sweep, "seed", (json_int_t)key->seed, "target",
                     key->target < 0 ? json_null() : json_integer(key->target), "population",
                     key->is_of_supported ? "supported" : "scored", "population_size",
                     (json_int_t)key->n_population, "items", items);
}

status_t audit_key_write(const struct audit_key *key, const char *path, struct error *err)
{
    json_t *json = key_json(key);
    char *text = json ? json_dumps(json, JSON_INDENT(1)) : NULL;
    const status_t status = text ? file_write_atomic(path, text, strlen(text), err)
                                 : error_set(err, ST_NO_MEMORY, "the key %s", path);
    free(text);
    json_decref(json);
    return status;
}

/* --- reading ------------------------------------------------------------------------------- */

static bool read_count(const json_t *object, const char *name, uint64_t max, uint64_t *out)
{
    const json_t *value = json_field(object, name);
    if (!json_is_integer(value) || json_integer_value(value) < 0) return false;
    *out = (uint64_t)json_integer_value(value);
    return *out <= max;
}

static bool read_item(const json_t *json, struct audit_item *out)
{
    uint64_t target, described_target;
    const json_t *is_decoy = json_field(json, "is_decoy");
    const char *id = json_field_text(json, "item", "");
    if (!*id || strlen(id) >= AUDIT_ITEM_ID_SIZE || !json_is_boolean(is_decoy) ||
        !read_count(json, "feature", INT64_MAX, &out->feature) ||
        !read_count(json, "target", UINT32_MAX, &target) ||
        !read_count(json, "described_feature", INT64_MAX, &out->described_feature) ||
        !read_count(json, "described_target", UINT32_MAX, &described_target))
        return false;
    memcpy(out->id, id, strlen(id) + 1);
    out->target = (uint32_t)target;
    out->described_target = (uint32_t)described_target;
    out->is_decoy = json_is_true(is_decoy);
    return true;
}

static status_t read_items(const json_t *items, struct audit_key *out, const char *path,
                           struct error *err)
{
    const size_t n = json_array_size(items);
    out->items = calloc(n + 1, sizeof *out->items);
    if (!out->items) return error_set(err, ST_NO_MEMORY, "a key of %zu items", n);
    for (size_t i = 0; i < n; i++) {
        struct audit_item *item = &out->items[i];
        if (!read_item(json_array_get(items, i), item))
            return error_set(err, ST_BAD_INPUT, "%s: item %zu is not readable", path, i + 1);
        if (audit_key_find(out, item->id) < out->n_items)
            return error_set(err, ST_BAD_INPUT, "%s: item %s stands there twice", path, item->id);
        out->n_items++;
        out->n_decoys += item->is_decoy;
    }
    if (out->n_items - out->n_decoys > out->n_population)
        return error_set(err, ST_BAD_INPUT, "%s: more labels than the population has", path);
    return ST_OK;
}

static status_t parse_key(const json_t *json, struct audit_key *out, const char *path,
                          struct error *err)
{
    const json_t *items = json_field(json, "items");
    const char *sweep = json_field_text(json, "sweep", "");
    const char *population = json_field_text(json, "population", "");
    uint64_t target = 0;
    const bool has_target = json_field(json, "target") != NULL;
    if (strcmp(json_field_text(json, "kind", ""), key_kind) != 0)
        return error_set(err, ST_BAD_INPUT, "%s is not the key of a rating sheet", path);
    out->is_of_supported = strcmp(population, "supported") == 0;
    if (!*sweep || strlen(sweep) >= AUDIT_SWEEP_SIZE ||
        (!out->is_of_supported && strcmp(population, "scored") != 0) ||
        !read_count(json, "seed", INT64_MAX, &out->seed) ||
        (has_target && !read_count(json, "target", UINT32_MAX, &target)) ||
        !read_count(json, "population_size", INT64_MAX, &out->n_population) ||
        json_array_size(items) == 0 || json_array_size(items) > AUDIT_MAX_ITEMS)
        return error_set(err, ST_BAD_INPUT, "%s: a value is missing or wrong", path);
    memcpy(out->sweep, sweep, strlen(sweep) + 1);
    out->target = has_target ? (int64_t)target : -1;
    return read_items(items, out, path, err);
}

status_t audit_key_read(struct audit_key *out, const char *path, struct error *err)
{
    struct audit_key key = {.target = -1};
    char *text = NULL;
    size_t n_bytes = 0;
    json_error_t why;
    status_t status = file_read(path, KEY_MAX_BYTES, &text, &n_bytes, err);
    if (status != ST_OK) return status;
    json_t *json = json_loadb(text, n_bytes, JSON_REJECT_DUPLICATES, &why);
    status = json ? parse_key(json, &key, path, err)
                  : error_set(err, ST_BAD_INPUT, "%s:%d: %s", path, why.line, why.text);
    if (status == ST_OK)
        *out = key;
    else
        audit_key_fini(&key);
    json_decref(json);
    free(text);
    return status;
}
