#include "worker/prompts/ordinary_words.h"

enum { MIN_LETTERS = 2, MAX_LETTERS = 32 };

static bool is_word(const struct buffer *text)
{
    if (text->n_bytes < 1 + MIN_LETTERS || text->n_bytes > 1 + MAX_LETTERS) return false;
    if (text->bytes[0] != ' ') return false;
    for (size_t i = 1; i < text->n_bytes; i++) {
        const unsigned char c = text->bytes[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z')) return false;
    }
    return true;
}

/* A word of several merges that never meet is in a vocabulary, but not in any text. */
static status_t is_ordinary(const struct prompt_tokenizer *tokenizer, uint32_t id,
                            struct buffer *text, bool *out, struct error *err)
{
    uint32_t found = 0;
    *out = false;
    text->n_bytes = 0;
    if (tokenizer_is_special(tokenizer->tokenizer, id)) return ST_OK;
    status_t status = prompt_tokenizer_text(tokenizer, &id, 1, text, err);
    if (status != ST_OK || !is_word(text)) return status;
    const char *word = buffer_text(text);
    if (!word) return error_set(err, ST_NO_MEMORY, "word of token %u", (unsigned)id);
    status = prompt_tokenizer_word(tokenizer, word + 1, &found, out, err);
    *out = *out && found == id;
    return status;
}

status_t ordinary_words_list(const struct prompt_tokenizer *tokenizer, struct token_list *out,
                             struct error *err)
{
    const size_t n_known = tokenizer_vocab_size(tokenizer->tokenizer);
    const size_t n = n_known < tokenizer->n_vocab ? n_known : tokenizer->n_vocab;
    struct buffer text;
    status_t status = ST_OK;
    buffer_init(&text, 1024 * 1024);
    for (uint32_t id = 0; id < n && status == ST_OK; id++) {
        bool is_wanted;
        status = is_ordinary(tokenizer, id, &text, &is_wanted, err);
        if (status == ST_OK && is_wanted) status = token_list_append(out, &id, 1, err);
    }
    buffer_fini(&text);
    return status;
}
