#include "common/describe.h"

#include "common/evidence_zstd.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *json_id(uint32_t id)
{
    return id == UINT32_MAX ? json_null() : json_integer(id);
}

static char *facts_to_json(const struct description *description)
{
    json_t *targets = json_array();
    for (size_t i = 0; i < description->n_targets; i++)
        (void)json_array_append_new(targets,
                                    json_pack("{s:I, s:b, s:s}", "n_features",
                                              (json_int_t)description->targets[i].n_features,
                                              "is_signed", (int)description->targets[i].is_signed,
                                              "fingerprint", description->targets[i].fingerprint));
    json_t *root = json_pack(
        "{s:{s:s s:I s:I s:I s:I s:I s:I s:I s:I s:o s:o s:b s:s} s:o}", "model", "family",
        description->family, "n_layers", (json_int_t)description->n_layers, "n_heads",
        (json_int_t)description->n_heads, "n_kv_heads", (json_int_t)description->n_kv_heads,
        "d_head", (json_int_t)description->d_head, "d_mlp", (json_int_t)description->d_mlp,
        "d_model", (json_int_t)description->d_model, "n_vocab", (json_int_t)description->n_vocab,
        "n_positions", (json_int_t)description->n_positions, "bos", json_id(description->bos),
        "eos", json_id(description->eos), "adds_bos", (int)description->adds_bos, "fingerprint",
        description->fingerprint, "targets", targets);
    char *text = root ? json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(root);
    return text;
}

status_t description_encode(const struct description *description, struct buffer *out,
                            struct error *err)
{
    const size_t n_parts = description->n_tokens + 1;
    struct wire_text *parts = malloc(n_parts * sizeof *parts);
    char *json = facts_to_json(description);
    struct buffer plain;
    buffer_init(&plain, DESCRIBE_MAX_BYTES);
    status_t status = parts && json ? ST_OK : error_set(err, ST_NO_MEMORY, "description");
    if (status == ST_OK) {
        parts[0] = wire_text_of(json);
        if (description->n_tokens)
            memcpy(parts + 1, description->texts, description->n_tokens * sizeof *parts);
        status = wire_parts_encode(parts, n_parts, &plain, err);
    }
    if (status == ST_OK) status = evidence_compress(plain.bytes, plain.n_bytes, out, err);
    buffer_fini(&plain);
    free(json);
    free(parts);
    return status;
}

static bool read_u64(const json_t *object, const char *key, uint64_t *out)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value) || json_integer_value(value) < 0) return false;
    *out = (uint64_t)json_integer_value(value);
    return true;
}

static bool read_id(const json_t *object, const char *key, uint32_t *out)
{
    const json_t *value = json_object_get(object, key);
    uint64_t number = UINT32_MAX;
    if (!json_is_null(value) && (!read_u64(object, key, &number) || number >= UINT32_MAX))
        return false;
    *out = (uint32_t)number;
    return true;
}

/* 64 lower-case hexadecimal digits; or "" where that is allowed. */
static bool read_fingerprint(const json_t *object, bool may_be_empty, char out[HASH_HEX_SIZE])
{
    const char *text = json_string_value(json_object_get(object, "fingerprint"));
    if (!text) return false;
    const size_t n = strspn(text, "0123456789abcdef");
    if (text[n] || (n != HASH_HEX_SIZE - 1 && !(may_be_empty && n == 0))) return false;
    memcpy(out, text, n + 1);
    return true;
}

static bool read_model(const json_t *model, struct description *out)
{
    const char *family = json_string_value(json_object_get(model, "family"));
    const json_t *adds_bos = json_object_get(model, "adds_bos");
    if (!family || !json_is_boolean(adds_bos)) return false;
    (void)snprintf(out->family, sizeof out->family, "%s", family);
    out->adds_bos = json_is_true(adds_bos);
    return read_fingerprint(model, false, out->fingerprint) &&
           read_u64(model, "n_layers", &out->n_layers) &&
           read_u64(model, "n_heads", &out->n_heads) &&
           read_u64(model, "n_kv_heads", &out->n_kv_heads) &&
           read_u64(model, "d_head", &out->d_head) && read_u64(model, "d_mlp", &out->d_mlp) &&
           read_u64(model, "d_model", &out->d_model) && read_u64(model, "n_vocab", &out->n_vocab) &&
           read_u64(model, "n_positions", &out->n_positions) && read_id(model, "bos", &out->bos) &&
           read_id(model, "eos", &out->eos);
}

static bool read_targets(const json_t *targets, struct description *out)
{
    if (!json_is_array(targets) || json_array_size(targets) > DESCRIBE_MAX_TARGETS) return false;
    out->n_targets = json_array_size(targets);
    for (size_t i = 0; i < out->n_targets; i++) {
        const json_t *target = json_array_get(targets, i);
        uint64_t n;
        if (!read_u64(target, "n_features", &n) || n == 0 || n > UINT32_MAX ||
            !json_is_boolean(json_object_get(target, "is_signed")) ||
            !read_fingerprint(target, true, out->targets[i].fingerprint))
            return false;
        out->targets[i].n_features = (uint32_t)n;
        out->targets[i].is_signed = json_is_true(json_object_get(target, "is_signed"));
    }
    return true;
}

static status_t read_facts(struct wire_text json, struct description *out, struct error *err)
{
    json_error_t where;
    json_t *root = json_loadb(json.bytes, json.n_bytes, JSON_REJECT_DUPLICATES, &where);
    const bool ok = root && read_model(json_object_get(root, "model"), out) &&
                    read_targets(json_object_get(root, "targets"), out);
    json_decref(root);
    return ok ? ST_OK : error_set(err, ST_CORRUPT, "description: facts are missing or wrong");
}

static status_t read_texts(const struct wire_parts *parts, struct description *out,
                           struct error *err)
{
    out->n_tokens = parts->n - 1;
    out->texts = malloc(parts->n * sizeof *out->texts);
    if (!out->texts) return error_set(err, ST_NO_MEMORY, "description");
    const char *at = (const char *)parts->bytes + wire_part(parts, 0).n_bytes;
    for (size_t i = 0; i < out->n_tokens; i++) { /* in one pass: parts follow one another */
        out->texts[i] = (struct wire_text){at, wire_part_size(parts, i + 1)};
        at += out->texts[i].n_bytes;
    }
    return ST_OK;
}

status_t description_decode(const void *bytes, size_t n_bytes, struct description *out,
                            struct error *err)
{
    struct description read = {.bos = UINT32_MAX, .eos = UINT32_MAX};
    struct wire_parts parts = {0};
    buffer_init(&read.bytes, DESCRIBE_MAX_BYTES);
    status_t status = evidence_decompress(bytes, n_bytes, DESCRIBE_MAX_BYTES, &read.bytes, err);
    if (status == ST_OK)
        status = wire_parts_decode(read.bytes.bytes, read.bytes.n_bytes, &parts, err);
    if (status == ST_OK && parts.n == 0)
        status = error_set(err, ST_CORRUPT, "description without parts");
    if (status == ST_OK) status = read_facts(wire_part(&parts, 0), &read, err);
    if (status == ST_OK) status = read_texts(&parts, &read, err);
    if (status == ST_OK)
        *out = read;
    else
        description_fini(&read);
    return status;
}

void description_fini(struct description *description)
{
    free(description->texts);
    buffer_fini(&description->bytes);
    description->texts = NULL;
    description->n_tokens = 0;
}
