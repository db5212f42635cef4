#include "worker/known/word_vocabulary.h"

#include <stdio.h>

static const char BOS[] = "<bos>";

const char *word_of_token(uint32_t token, char out[WORD_SIZE])
{
    static const char CONSONANTS[] = "bdfgklmnprst", VOWELS[] = "aeiou";
    enum { N_SYLLABLES = 60 };
    const uint32_t first = token % N_SYLLABLES;
    const uint32_t second = (7 * token + 17 * (token / N_SYLLABLES) + 13) % N_SYLLABLES;
    (void)snprintf(out, WORD_SIZE, "%c%c%c%c", CONSONANTS[first / 5], VOWELS[first % 5],
                   CONSONANTS[second / 5], VOWELS[second % 5]);
    return out;
}

status_t word_text(struct buffer *out, const uint32_t *tokens, size_t n_tokens, struct error *err)
{
    char word[WORD_SIZE];
    status_t status = ST_OK;
    for (size_t i = 0; i < n_tokens && status == ST_OK; i++) {
        if (i == 0 && tokens[i] == 0) continue;
        status = buffer_printf(out, err, " %s", tokens[i] ? word_of_token(tokens[i], word) : BOS);
    }
    return status;
}

/* Everything but the vocabulary. */
static const char TOKENIZER[] =
    "{\"version\": \"1.0\", \"truncation\": null, \"padding\": null, "
    "\"added_tokens\": [{\"id\": 0, \"content\": \"<bos>\", \"single_word\": false, "
    "\"lstrip\": false, \"rstrip\": false, \"normalized\": false, \"special\": true}], "
    "\"normalizer\": null, "
    "\"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false, "
    "\"trim_offsets\": true, \"use_regex\": true}, "
    "\"post_processor\": {\"type\": \"TemplateProcessing\", "
    "\"single\": [{\"SpecialToken\": {\"id\": \"<bos>\", \"type_id\": 0}}, "
    "{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}], "
    "\"pair\": [{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}, "
    "{\"Sequence\": {\"id\": \"B\", \"type_id\": 1}}], "
    "\"special_tokens\": {\"<bos>\": {\"id\": \"<bos>\", \"ids\": [0], \"tokens\": [\"<bos>\"]}}}, "
    "\"decoder\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false, "
    "\"trim_offsets\": true, \"use_regex\": true}, "
    "\"model\": {\"type\": \"BPE\", \"dropout\": null, \"unk_token\": null, "
    "\"continuing_subword_prefix\": null, \"end_of_word_suffix\": null, \"fuse_unk\": false, "
    "\"byte_fallback\": false, \"ignore_merges\": true, \"merges\": []}}";

/* In a byte-level vocabulary a space is spelled U+0120. */
static json_t *list_words(size_t n_vocab)
{
    char word[WORD_SIZE], spelled[WORD_SIZE + 2];
    json_t *vocabulary = json_pack("{s:i}", BOS, 0);
    for (uint32_t t = 1; vocabulary && t < n_vocab; t++) {
        (void)snprintf(spelled, sizeof spelled, "\xc4\xa0%s", word_of_token(t, word));
        if (json_object_set_new(vocabulary, spelled, json_integer((json_int_t)t)) == 0) continue;
        json_decref(vocabulary);
        return NULL;
    }
    return vocabulary;
}

json_t *word_tokenizer(size_t n_vocab)
{
    json_t *tokenizer = json_loads(TOKENIZER, 0, NULL);
    json_t *model = json_object_get(tokenizer, "model");
    if (json_object_set_new(model, "vocab", list_words(n_vocab)) == 0) return tokenizer;
    json_decref(tokenizer);
    return NULL;
}

json_t *word_tokenizer_config(void)
{
    return json_pack("{s:s, s:s, s:s}", "tokenizer_class", "PreTrainedTokenizerFast", "bos_token",
                     BOS, "eos_token", BOS);
}
