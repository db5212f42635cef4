/* Which tokens begin and end a text: tokenizer_config.json, config.json, template, names. */
#include "common/file.h"
#include "worker/model/json_fields.h"
#include "worker/model/tokenizer_parts.h"

#include <stdlib.h>

static status_t parse_object(json_t **out, const char *path, const char *text, size_t n_bytes,
                             struct error *err)
{
    json_t *value = NULL;
    status_t status = json_parse(&value, text, n_bytes, false, err);
    if (status == ST_OK && !json_is_object(value))
        status = error_set(err, ST_CORRUPT, "not a JSON object");
    if (status == ST_OK) {
        *out = value;
        return ST_OK;
    }
    json_decref(value);
    error_wrap(err, "%s", path);
    return status;
}

/* *out stays NULL if there is no such file. */
static status_t read_json(const char *directory, const char *name, json_t **out, struct error *err)
{
    char *text = NULL;
    size_t n_bytes = 0;
    struct error reason = {0};
    char *path = file_join(directory, name);
    if (!path) return error_set(err, ST_NO_MEMORY, "%s", name);
    status_t status = file_read(path, TOKENIZER_MAX_CONFIG_BYTES, &text, &n_bytes, &reason);
    if (status == ST_OK)
        status = parse_object(out, path, text, n_bytes, err);
    else if (status == ST_NOT_FOUND)
        status = ST_OK;
    else
        status = error_set(err, status, "%s", reason.text);
    free(text);
    free(path);
    return status;
}

/* "bos_token": a string, or an object with "content", or null. */
static void take_named(const struct tokenizer *tokenizer, const json_t *config, const char *key,
                       uint32_t *id)
{
    const json_t *value = json_object_get(config, key);
    if (json_is_object(value)) value = json_object_get(value, "content");
    const char *name = json_string_value(value);
    if (*id == TOKEN_NONE && name) (void)tokenizer_find(tokenizer, name, id);
}

/* "bos_token_id": a number, or a list of which the first counts, or null. */
static void take_numbered(const struct tokenizer *tokenizer, const json_t *config, const char *key,
                          uint32_t *id)
{
    const char *bytes;
    size_t n_bytes;
    const json_t *value = json_object_get(config, key);
    if (json_is_array(value)) value = json_array_get(value, 0);
    const json_int_t number = json_is_integer(value) ? json_integer_value(value) : -1;
    if (*id != TOKEN_NONE || number < 0 || number >= VOCABULARY_MAX_IDS) return;
    if (tokenizer_spelling(tokenizer, (uint32_t)number, &bytes, &n_bytes)) *id = (uint32_t)number;
}

static status_t take_from_files(struct tokenizer *tokenizer, const char *directory,
                                struct error *err)
{
    json_t *names = NULL;
    json_t *numbers = NULL;
    status_t status = read_json(directory, "tokenizer_config.json", &names, err);
    if (status == ST_OK) status = read_json(directory, "config.json", &numbers, err);
    if (status == ST_OK) {
        take_named(tokenizer, names, "bos_token", &tokenizer->bos_id);
        take_named(tokenizer, names, "eos_token", &tokenizer->eos_id);
        take_numbered(tokenizer, numbers, "bos_token_id", &tokenizer->bos_id);
        take_numbered(tokenizer, numbers, "eos_token_id", &tokenizer->eos_id);
    }
    json_decref(names);
    json_decref(numbers);
    return status;
}

static void take_usual(const struct tokenizer *tokenizer, const char *const *names, size_t n_names,
                       uint32_t *id)
{
    for (size_t i = 0; i < n_names && *id == TOKEN_NONE; i++)
        (void)tokenizer_find(tokenizer, names[i], id);
}

status_t tokenizer_find_ends(struct tokenizer *tokenizer, const char *directory, struct error *err)
{
    static const char *const begins[] = {"<s>", "<|begin_of_text|>", "<bos>", "<|endoftext|>"};
    static const char *const ends[] = {"</s>", "<|end_of_text|>", "<eos>", "<|endoftext|>"};
    if (directory) {
        const status_t status = take_from_files(tokenizer, directory, err);
        if (status != ST_OK) return status;
    }
    const struct token_list *before = &tokenizer->around.before;
    if (tokenizer->bos_id == TOKEN_NONE && before->n_ids) tokenizer->bos_id = before->ids[0];
    take_usual(tokenizer, begins, sizeof begins / sizeof begins[0], &tokenizer->bos_id);
    take_usual(tokenizer, ends, sizeof ends / sizeof ends[0], &tokenizer->eos_id);
    return ST_OK;
}
