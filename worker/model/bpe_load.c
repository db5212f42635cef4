/* The "model" object of tokenizer.json into struct bpe. */
#include "worker/model/bpe.h"
#include "worker/model/bpe_merges.h"
#include "worker/model/byte_level.h"
#include "worker/model/json_fields.h"
#include "worker/model/utf8.h"

#include <stdio.h>

static status_t refuse_affix(const json_t *model, const char *key, struct error *err)
{
    const char *affix = NULL;
    const status_t status = json_read_string(model, key, "", &affix, err);
    if (status != ST_OK) return status;
    if (!affix[0]) return ST_OK;
    return error_set(err, ST_UNSUPPORTED, "%s '%.32s' is not supported", key, affix);
}

static status_t read_options(struct bpe *bpe, const json_t *model, struct error *err)
{
    const char *type = NULL;
    status_t status = json_read_string(model, "type", "BPE", &type, err);
    if (status != ST_OK) return status;
    if (strcmp(type, "BPE") != 0)
        return error_set(err, ST_UNSUPPORTED, "model type '%.64s' is not supported, only BPE is",
                         type);
    const json_t *dropout = json_object_get(model, "dropout");
    if (json_is_number(dropout) && json_number_value(dropout) != 0.0)
        return error_set(err, ST_UNSUPPORTED, "dropout makes token ids random");
    status = refuse_affix(model, "continuing_subword_prefix", err);
    if (status == ST_OK) status = refuse_affix(model, "end_of_word_suffix", err);
    if (status == ST_OK) status = json_read_bool(model, "fuse_unk", false, &bpe->fuse_unknown, err);
    if (status == ST_OK)
        status = json_read_bool(model, "byte_fallback", false, &bpe->byte_fallback, err);
    if (status == ST_OK)
        status = json_read_bool(model, "ignore_merges", false, &bpe->ignore_merges, err);
    return status;
}

static status_t read_vocabulary(struct bpe *bpe, const json_t *model, struct error *err)
{
    const char *text;
    json_t *value;
    json_t *vocabulary = json_object_get(model, "vocab");
    if (!json_is_object(vocabulary))
        return error_set(err, ST_CORRUPT, "vocab is missing or not an object");
    json_object_foreach(vocabulary, text, value)
    {
        const json_int_t id = json_is_integer(value) ? json_integer_value(value) : -1;
        if (id < 0 || id >= VOCABULARY_MAX_IDS)
            return error_set(err, ST_CORRUPT,
                             "vocab: token '%.64s': its id is not a number below %d", text,
                             VOCABULARY_MAX_IDS);
        const status_t status =
            vocabulary_add(&bpe->vocabulary, text, strlen(text), (uint32_t)id, err);
        if (status != ST_OK) {
            error_wrap(err, "vocab");
            return status;
        }
    }
    if (bpe->vocabulary.n_tokens == 0) return error_set(err, ST_CORRUPT, "vocab is empty");
    return ST_OK;
}

static status_t read_unknown(struct bpe *bpe, const json_t *model, struct error *err)
{
    const char *token = NULL;
    const status_t status = json_read_string(model, "unk_token", NULL, &token, err);
    bpe->unknown_id = TOKEN_NONE;
    if (status != ST_OK || !token) return status;
    bpe->unknown_id = vocabulary_find(&bpe->vocabulary, token, strlen(token));
    if (bpe->unknown_id == TOKEN_NONE)
        return error_set(err, ST_CORRUPT, "unk_token '%.64s' is not in the vocabulary", token);
    return ST_OK;
}

static void index_bytes(struct bpe *bpe)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        char spelled[UTF8_MAX_BYTES];
        char fallback[8];
        const size_t n = utf8_write(byte_level_character((unsigned char)byte), spelled);
        (void)snprintf(fallback, sizeof fallback, "<0x%02X>", byte);
        bpe->byte_ids[byte] = vocabulary_find(&bpe->vocabulary, spelled, n);
        bpe->fallback_ids[byte] = vocabulary_find(&bpe->vocabulary, fallback, 6);
    }
}

status_t bpe_load(struct bpe *out, json_t *model, struct error *err)
{
    struct bpe bpe = {0};
    if (!json_is_object(model)) return error_set(err, ST_CORRUPT, "model is not an object");
    vocabulary_init(&bpe.vocabulary);
    status_t status = read_options(&bpe, model, err);
    if (status == ST_OK) status = read_vocabulary(&bpe, model, err);
    if (status == ST_OK) status = read_unknown(&bpe, model, err);
    if (status == ST_OK) status = bpe_merges_load(&bpe, model, err);
    if (status != ST_OK) {
        bpe_fini(&bpe);
        return status;
    }
    index_bytes(&bpe);
    *out = bpe;
    return ST_OK;
}

void bpe_fini(struct bpe *bpe)
{
    vocabulary_fini(&bpe->vocabulary);
    free(bpe->merges);
    bpe->merges = NULL;
}
