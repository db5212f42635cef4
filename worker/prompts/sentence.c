#include "worker/prompts/sentence.h"

#include <assert.h>
#include <string.h>

static status_t append(struct sentence *out, const char *text, size_t n_bytes, struct error *err)
{
    if (n_bytes >= sizeof out->text - out->n_bytes)
        return error_set(err, ST_TOO_LARGE, "sentence over %d bytes", SENTENCE_MAX_BYTES - 1);
    memcpy(out->text + out->n_bytes, text, n_bytes);
    out->n_bytes += n_bytes;
    out->text[out->n_bytes] = 0;
    return ST_OK;
}

static status_t append_word(struct sentence *out, char slot, const struct sentence_word *words,
                            size_t n_words, struct error *err)
{
    size_t i = 0;
    while (i < n_words && words[i].slot != slot) i++;
    assert(i < n_words && out->n_slots < SENTENCE_MAX_SLOTS);
    const status_t status = append(out, words[i].text, strlen(words[i].text), err);
    out->slots[out->n_slots++] = (struct sentence_slot){slot, out->n_bytes, words[i].id};
    return status;
}

status_t sentence_fill(struct sentence *out, const char *pattern, const struct sentence_word *words,
                       size_t n_words, struct error *err)
{
    struct sentence made = {.n_bytes = 0};
    status_t status = ST_OK;
    while (*pattern && status == ST_OK) {
        const size_t n = strcspn(pattern, "{");
        status = append(&made, pattern, n, err);
        pattern += n;
        if (!*pattern || status != ST_OK) break;
        assert(pattern[1] && pattern[2] == '}');
        status = append_word(&made, pattern[1], words, n_words, err);
        pattern += 3;
    }
    if (status == ST_OK) *out = made;
    return status;
}
