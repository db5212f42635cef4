#include "worker/model/token_template.h"

#include "worker/model/json_fields.h"
#include "worker/model/vocabulary.h"

#include <string.h>

enum { MAX_DEPTH = 8 };

static status_t append_special(struct token_list *list, const json_t *piece, const json_t *specials,
                               struct error *err)
{
    const char *name = NULL;
    json_t *ids = NULL;
    status_t status = json_need_string(piece, "id", &name, err);
    if (status != ST_OK) return status;
    const json_t *special = json_object_get(specials, name);
    if (!special) return error_set(err, ST_CORRUPT, "special token '%.64s' is not described", name);
    status = json_need_array(special, "ids", &ids, err);
    for (size_t i = 0; status == ST_OK && i < json_array_size(ids); i++) {
        const json_t *value = json_array_get(ids, i);
        const json_int_t id = json_is_integer(value) ? json_integer_value(value) : -1;
        if (id < 0 || id >= VOCABULARY_MAX_IDS)
            return error_set(err, ST_CORRUPT, "special token '%.64s': not an id", name);
        const uint32_t token = (uint32_t)id;
        status = token_list_append(list, &token, 1, err);
    }
    return status;
}

/* before = this template's prefix, then what is there already; after the other way round. */
static status_t wrap_around(struct token_template *around, const struct token_list *before,
                            const struct token_list *after, struct error *err)
{
    struct token_list joined = {0};
    status_t status = token_list_append(&joined, before->ids, before->n_ids, err);
    if (status == ST_OK)
        status = token_list_append(&joined, around->before.ids, around->before.n_ids, err);
    if (status == ST_OK) {
        const struct token_list old = around->before;
        around->before = joined;
        joined = old;
        status = token_list_append(&around->after, after->ids, after->n_ids, err);
    }
    token_list_fini(&joined);
    return status;
}

static status_t load_pieces(struct token_template *around, const json_t *value,
                            struct token_list lists[2], struct error *err)
{
    json_t *pieces = NULL;
    size_t n_sequences = 0;
    const json_t *specials = json_object_get(value, "special_tokens");
    status_t status = json_need_array(value, "single", &pieces, err);
    for (size_t i = 0; status == ST_OK && i < json_array_size(pieces); i++) {
        const json_t *piece = json_array_get(pieces, i);
        const json_t *special = json_object_get(piece, "SpecialToken");
        if (special)
            status = append_special(&lists[n_sequences ? 1 : 0], special, specials, err);
        else if (json_object_get(piece, "Sequence"))
            n_sequences++;
        else
            status = error_set(err, ST_UNSUPPORTED, "single[%zu] is of an unknown kind", i);
    }
    if (status == ST_OK && n_sequences != 1)
        status = error_set(err, ST_UNSUPPORTED, "the text stands %zu times in 'single', not once",
                           n_sequences);
    return status == ST_OK ? wrap_around(around, &lists[0], &lists[1], err) : status;
}

static status_t load_value(struct token_template *around, json_t *value, unsigned depth,
                           struct error *err)
{
    const char *type = NULL;
    json_t *members = NULL;
    status_t status = json_need_string(value, "type", &type, err);
    if (status != ST_OK || strcmp(type, "ByteLevel") == 0) return status;
    if (strcmp(type, "TemplateProcessing") == 0) {
        struct token_list lists[2] = {{0}, {0}};
        status = load_pieces(around, value, lists, err);
        token_list_fini(&lists[0]);
        token_list_fini(&lists[1]);
        return status;
    }
    if (strcmp(type, "Sequence") != 0)
        return error_set(err, ST_UNSUPPORTED, "type '%.64s' is not supported", type);
    if (depth == MAX_DEPTH)
        return error_set(err, ST_TOO_LARGE, "Sequence nested deeper than %d", MAX_DEPTH);
    status = json_need_array(value, "processors", &members, err);
    for (size_t i = 0; status == ST_OK && i < json_array_size(members); i++)
        status = load_value(around, json_array_get(members, i), depth + 1, err);
    return status;
}

status_t token_template_load(struct token_template *out, json_t *value, struct error *err)
{
    struct token_template around = {0};
    if (value && !json_is_null(value)) {
        const status_t status = load_value(&around, value, 0, err);
        if (status != ST_OK) {
            token_template_fini(&around);
            error_wrap(err, "post_processor");
            return status;
        }
    }
    *out = around;
    return ST_OK;
}

void token_template_fini(struct token_template *token_template)
{
    token_list_fini(&token_template->before);
    token_list_fini(&token_template->after);
}
