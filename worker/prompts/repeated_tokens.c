#include "worker/prompts/repeated_tokens.h"

#include "common/draw.h"
#include "worker/prompts/distinct_draw.h"
#include "worker/prompts/ordinary_words.h"

enum { DRAW_REPEATED = 1 }; /* what a sequence depends on: never renumber */

static size_t copy_length(const struct repeated_tokens *repeated)
{
    return (repeated->n_tokens - repeated->bos.n_bos) / 2;
}

static status_t check_length(const struct prompt_tokenizer *tokenizer, size_t n_tokens,
                             struct error *err)
{
    const size_t n_bos = tokenizer->bos.n_bos;
    if (n_tokens > tokenizer->n_positions)
        return error_set(err, ST_BAD_INPUT, "n_tokens is %zu: the model has %zu positions",
                         n_tokens, tokenizer->n_positions);
    if (n_tokens < n_bos + 4 || (n_tokens - n_bos) % 2)
        return error_set(err, ST_BAD_INPUT,
                         "n_tokens is %zu: two copies of at least 2 words%s are wanted", n_tokens,
                         n_bos ? " behind BOS" : "");
    return ST_OK;
}

status_t repeated_tokens_open(struct repeated_tokens *out, const struct prompt_tokenizer *tokenizer,
                              size_t n_tokens, uint64_t seed, struct error *err)
{
    struct repeated_tokens made = {.bos = tokenizer->bos, .n_tokens = n_tokens, .seed = seed};
    status_t status = check_length(tokenizer, n_tokens, err);
    if (status == ST_OK) status = ordinary_words_list(tokenizer, &made.words, err);
    if (status == ST_OK && copy_length(&made) > made.words.n_ids)
        status = error_set(err, ST_BAD_INPUT,
                           "n_tokens is %zu: %zu different words are needed, this tokenizer has "
                           "%zu",
                           n_tokens, copy_length(&made), made.words.n_ids);
    if (status == ST_OK)
        *out = made;
    else
        repeated_tokens_close(&made);
    return status;
}

void repeated_tokens_close(struct repeated_tokens *repeated)
{
    token_list_fini(&repeated->words);
    *repeated = (struct repeated_tokens){.n_tokens = 0};
}

status_t repeated_tokens_draw(const struct repeated_tokens *repeated, uint64_t index, uint32_t *out,
                              struct error *err)
{
    const size_t n = copy_length(repeated);
    struct draw draw = draw_open(repeated->seed, DRAW_REPEATED, index);
    uint64_t *chosen = malloc(n * sizeof *chosen);
    if (!chosen) return error_set(err, ST_NO_MEMORY, "%zu words", n);
    const status_t status = distinct_draw(&draw, repeated->words.n_ids, n, chosen, err);
    if (repeated->bos.n_bos) *out++ = repeated->bos.bos;
    for (size_t i = 0; status == ST_OK && i < n; i++)
        out[i] = out[n + i] = repeated->words.ids[chosen[i]];
    free(chosen);
    return status;
}
