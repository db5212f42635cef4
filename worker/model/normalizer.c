#include "worker/model/normalizer.h"

#include "worker/model/json_fields.h"
#include "worker/model/utf8.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

static const char *const form_names[] = {
    [UNICODE_NFC] = "NFC", [UNICODE_NFD] = "NFD", [UNICODE_NFKC] = "NFKC", [UNICODE_NFKD] = "NFKD"};

/* ---- reading ---------------------------------------------------------------------------- */

static status_t take_text(struct normalizer_step *step, const json_t *value, const char *key,
                          struct error *err)
{
    const char *text = NULL;
    const status_t status = json_need_string(value, key, &text, err);
    if (status != ST_OK) return status;
    step->text = strdup(text);
    return step->text ? ST_OK : error_set(err, ST_NO_MEMORY, "normalizer");
}

static status_t read_step(struct normalizer_step *step, const char *type, const json_t *value,
                          struct error *err)
{
    for (size_t i = 0; i < sizeof form_names / sizeof form_names[0]; i++) {
        if (strcmp(type, form_names[i]) != 0) continue;
        step->kind = NORMALIZER_UNICODE;
        step->form = (enum unicode_form)i;
        return ST_OK;
    }
    if (strcmp(type, "Lowercase") == 0) {
        step->kind = NORMALIZER_LOWERCASE;
        return ST_OK;
    }
    if (strcmp(type, "Prepend") == 0) {
        step->kind = NORMALIZER_PREPEND;
        return take_text(step, value, "prepend", err);
    }
    if (strcmp(type, "Replace") == 0) {
        step->kind = NORMALIZER_REPLACE;
        const status_t status =
            text_pattern_load(&step->pattern, json_object_get(value, "pattern"), err);
        return status == ST_OK ? take_text(step, value, "content", err) : status;
    }
    if (strcmp(type, "Strip") == 0) {
        step->kind = NORMALIZER_STRIP;
        const status_t status = json_read_bool(value, "strip_left", true, &step->strip_left, err);
        if (status != ST_OK) return status;
        return json_read_bool(value, "strip_right", true, &step->strip_right, err);
    }
    return error_set(err, ST_UNSUPPORTED, "type '%.64s' is not supported", type);
}

static status_t add_steps(struct normalizer *normalizer, json_t *value, unsigned depth,
                          struct error *err)
{
    const char *type = NULL;
    json_t *members = NULL;
    status_t status = json_need_string(value, "type", &type, err);
    if (status != ST_OK) return status;
    if (strcmp(type, "Sequence") != 0) {
        if (normalizer->n_steps == NORMALIZER_MAX_STEPS)
            return error_set(err, ST_TOO_LARGE, "more than %d steps", NORMALIZER_MAX_STEPS);
        return read_step(&normalizer->steps[normalizer->n_steps++], type, value, err);
    }
    if (depth == NORMALIZER_MAX_DEPTH)
        return error_set(err, ST_TOO_LARGE, "Sequence nested deeper than %d", NORMALIZER_MAX_DEPTH);
    status = json_need_array(value, "normalizers", &members, err);
    for (size_t i = 0; status == ST_OK && i < json_array_size(members); i++)
        status = add_steps(normalizer, json_array_get(members, i), depth + 1, err);
    return status;
}

status_t normalizer_load(struct normalizer *out, json_t *value, struct error *err)
{
    struct normalizer normalizer = {0};
    if (value && !json_is_null(value)) {
        const status_t status = add_steps(&normalizer, value, 0, err);
        if (status != ST_OK) {
            normalizer_fini(&normalizer);
            error_wrap(err, "normalizer");
            return status;
        }
    }
    *out = normalizer;
    return ST_OK;
}

void normalizer_fini(struct normalizer *normalizer)
{
    for (size_t i = 0; i < normalizer->n_steps; i++) {
        free(normalizer->steps[i].text);
        text_pattern_fini(&normalizer->steps[i].pattern);
    }
    *normalizer = (struct normalizer){0};
}

bool normalizer_moves_start(const struct normalizer *normalizer)
{
    for (size_t i = 0; i < normalizer->n_steps; i++) {
        const struct normalizer_step *step = &normalizer->steps[i];
        if (step->kind == NORMALIZER_PREPEND) return true;
        if (step->kind == NORMALIZER_STRIP && step->strip_left) return true;
        if (step->kind == NORMALIZER_REPLACE && !step->text[0]) return true;
    }
    return false;
}

/* ---- applying --------------------------------------------------------------------------- */

/* One character at a time, without context; U+0130 is the one that becomes two. */
static status_t to_lower_case(const char *text, size_t n_bytes, struct buffer *out,
                              struct error *err)
{
    for (size_t at = 0, n_used; at < n_bytes; at += n_used) {
        char lower[UTF8_MAX_BYTES];
        const uint32_t codepoint = utf8_read(text + at, &n_used);
        const size_t n = utf8_write((uint32_t)utf8proc_tolower((utf8proc_int32_t)codepoint), lower);
        const status_t status = codepoint == 0x130 ? buffer_append(out, "i\xcc\x87", 3, err)
                                                   : buffer_append(out, lower, n, err);
        if (status != ST_OK) return status;
    }
    return ST_OK;
}

static status_t strip(const struct normalizer_step *step, const char *text, size_t n_bytes,
                      struct buffer *out, struct error *err)
{
    const size_t n_left = step->strip_left ? utf8_leading_space(text, n_bytes) : 0;
    n_bytes -= n_left;
    if (step->strip_right) n_bytes -= utf8_trailing_space(text + n_left, n_bytes);
    return buffer_append(out, text + n_left, n_bytes, err);
}

static status_t apply_step(const struct normalizer_step *step, struct regex_cursor *cursor,
                           const char *text, size_t n_bytes, struct buffer *out, struct error *err)
{
    if (step->kind == NORMALIZER_UNICODE)
        return unicode_form_apply(step->form, text, n_bytes, out, err);
    if (step->kind == NORMALIZER_LOWERCASE) return to_lower_case(text, n_bytes, out, err);
    if (step->kind == NORMALIZER_STRIP) return strip(step, text, n_bytes, out, err);
    if (step->kind == NORMALIZER_REPLACE)
        return text_pattern_replace(&step->pattern, cursor, text, n_bytes, step->text, out, err);
    const status_t status = buffer_append_text(out, step->text, err);
    return status == ST_OK ? buffer_append(out, text, n_bytes, err) : status;
}

status_t normalizer_apply(const struct normalizer *normalizer, struct regex_cursor *cursor,
                          const char *text, size_t n_bytes, struct buffer *out,
                          struct buffer *spare, struct error *err)
{
    out->n_bytes = 0;
    if (normalizer->n_steps == 0) return buffer_append(out, text, n_bytes, err);
    for (size_t i = 0; i < normalizer->n_steps && n_bytes > 0; i++) { /* empty text stays so */
        spare->n_bytes = 0;
        const status_t status =
            apply_step(&normalizer->steps[i], cursor, text, n_bytes, spare, err);
        if (status != ST_OK) return status;
        const struct buffer done = *spare;
        *spare = *out;
        *out = done;
        text = (const char *)out->bytes;
        n_bytes = out->n_bytes;
    }
    return ST_OK;
}
