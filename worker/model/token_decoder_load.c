/* The "decoder" object of tokenizer.json into steps. */
#include "worker/model/json_fields.h"
#include "worker/model/token_decoder.h"

#include <stdlib.h>
#include <string.h>

static status_t read_character(const json_t *value, const char *key, const char *otherwise,
                               char out[UTF8_MAX_BYTES + 1], struct error *err)
{
    const char *text = NULL;
    size_t n_used = 0;
    const status_t status = json_read_string(value, key, otherwise, &text, err);
    if (status != ST_OK) return status;
    if (text && text[0]) (void)utf8_read(text, &n_used);
    if (!text || n_used == 0 || n_used != strlen(text))
        return error_set(err, ST_CORRUPT, "'%s' is not one character", key);
    memcpy(out, text, n_used + 1);
    return ST_OK;
}

static status_t load_replace(struct token_decoder_step *step, const json_t *value,
                             struct error *err)
{
    const char *content = NULL;
    status_t status = json_need_string(value, "content", &content, err);
    if (status == ST_OK)
        status = text_pattern_load(&step->pattern, json_object_get(value, "pattern"), err);
    if (status != ST_OK) return status;
    step->content = strdup(content);
    return step->content ? ST_OK : error_set(err, ST_NO_MEMORY, "Replace");
}

static status_t load_strip(struct token_decoder_step *step, const json_t *value, struct error *err)
{
    status_t status = read_character(value, "content", NULL, step->character, err);
    if (status == ST_OK) status = json_read_count(value, "start", 0, &step->n_start, err);
    if (status == ST_OK) status = json_read_count(value, "stop", 0, &step->n_stop, err);
    return status;
}

static status_t load_metaspace(struct token_decoder_step *step, const json_t *value,
                               struct error *err)
{
    const char *scheme = NULL;
    bool adds_space = true;
    status_t status = read_character(value, "replacement", "\xe2\x96\x81", step->character, err);
    if (status == ST_OK) status = json_read_bool(value, "add_prefix_space", true, &adds_space, err);
    if (status == ST_OK)
        status = json_read_string(value, "prepend_scheme", adds_space ? "always" : "never", &scheme,
                                  err);
    if (status == ST_OK) step->drops_first = strcmp(scheme, "never") != 0;
    return status;
}

static status_t load_by_type(struct token_decoder_step *step, const char *type, const json_t *value,
                             struct error *err)
{
    static const struct {
        const char *type;
        enum token_decoder_kind kind;
        status_t (*load)(struct token_decoder_step *, const json_t *, struct error *);
    } types[] = {
        {"ByteLevel", DECODER_BYTE_LEVEL, NULL},
        {"Replace", DECODER_REPLACE, load_replace},
        {"ByteFallback", DECODER_BYTE_FALLBACK, NULL},
        {"Fuse", DECODER_FUSE, NULL},
        {"Strip", DECODER_STRIP, load_strip},
        {"Metaspace", DECODER_METASPACE, load_metaspace},
    };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (strcmp(type, types[i].type) != 0) continue;
        step->kind = types[i].kind;
        return types[i].load ? types[i].load(step, value, err) : ST_OK;
    }
    return error_set(err, ST_UNSUPPORTED, "type '%.64s' is not supported", type);
}

static status_t load_steps(struct token_decoder *decoder, json_t *value, unsigned depth,
                           struct error *err)
{
    const char *type = NULL;
    json_t *members = NULL;
    status_t status = json_need_string(value, "type", &type, err);
    if (status != ST_OK) return status;
    if (strcmp(type, "Sequence") != 0) {
        if (decoder->n_steps == TOKEN_DECODER_MAX_STEPS)
            return error_set(err, ST_TOO_LARGE, "more than %d steps", TOKEN_DECODER_MAX_STEPS);
        return load_by_type(&decoder->steps[decoder->n_steps++], type, value, err);
    }
    if (depth == TOKEN_DECODER_MAX_DEPTH)
        return error_set(err, ST_TOO_LARGE, "Sequence nested deeper than %d",
                         TOKEN_DECODER_MAX_DEPTH);
    status = json_need_array(value, "decoders", &members, err);
    for (size_t i = 0; status == ST_OK && i < json_array_size(members); i++)
        status = load_steps(decoder, json_array_get(members, i), depth + 1, err);
    return status;
}

status_t token_decoder_load(struct token_decoder *out, json_t *value, struct error *err)
{
    struct token_decoder decoder = {0};
    if (value && !json_is_null(value)) {
        const status_t status = load_steps(&decoder, value, 0, err);
        if (status != ST_OK) {
            token_decoder_fini(&decoder);
            error_wrap(err, "decoder");
            return status;
        }
    }
    *out = decoder;
    return ST_OK;
}

void token_decoder_fini(struct token_decoder *decoder)
{
    for (size_t i = 0; i < decoder->n_steps; i++) {
        text_pattern_fini(&decoder->steps[i].pattern);
        free(decoder->steps[i].content);
    }
    *decoder = (struct token_decoder){0};
}
