#include "worker/prompts/year_tokens.h"

#include <stdio.h>
#include <string.h>

enum { YEAR_TEXT_SIZE = 32, EXAMPLE_MAX_BYTES = 256, N_CENTURY = 100 };

uint32_t year_tokens_number(const struct year_tokens *self, const struct year *year)
{
    return self->style == YEARS_PAIRS ? year->in_century : year->in_century / 10;
}

/* The tokens behind "so 17" in "so 1732" into tail; their number is 0 where "17" is not written as
 * it is alone. */
static status_t find_tail(const struct prompt_tokenizer *tokenizer, uint32_t century,
                          uint32_t in_century, struct token_list *tail, struct error *err)
{
    char before[YEAR_TEXT_SIZE], more[YEAR_TEXT_SIZE];
    bool extends;
    (void)snprintf(before, sizeof before, "so %u", (unsigned)century);
    (void)snprintf(more, sizeof more, "%02u", (unsigned)in_century);
    const status_t status = prompt_tokenizer_continue(tokenizer, before, more, tail, &extends, err);
    if (status == ST_OK && !extends) tail->n_ids = 0;
    return status;
}

/* --- one style ----------------------------------------------------------------------------- */

/* All years of a century, as they come out; a style is one number of tokens behind the century. */
struct century_tails {
    struct token_list tails[N_CENTURY];
    uint32_t century_id, n_century_tokens;
};

static void tails_fini(struct century_tails *tails)
{
    for (size_t i = 0; i < N_CENTURY; i++) token_list_fini(&tails->tails[i]);
}

static status_t find_tails(const struct prompt_tokenizer *tokenizer, uint32_t century,
                           struct century_tails *out, struct error *err)
{
    char text[YEAR_TEXT_SIZE];
    struct token_list tokens = {0};
    (void)snprintf(text, sizeof text, "so %u", (unsigned)century);
    status_t status =
        tokenizer_encode(tokenizer->tokenizer, text, strlen(text), false, &tokens, err);
    if (status == ST_OK && tokens.n_ids > 0) out->century_id = tokens.ids[tokens.n_ids - 1];
    out->n_century_tokens = (uint32_t)tokens.n_ids;
    token_list_fini(&tokens);
    for (uint32_t year = 0; year < N_CENTURY && status == ST_OK; year++)
        status = find_tail(tokenizer, century, year, &out->tails[year], err);
    return status;
}

static size_t n_tail(enum year_style style)
{
    return style == YEARS_PAIRS ? 1 : 2;
}

static void note_numbers(struct year_tokens *out, const struct century_tails *tails)
{
    for (uint32_t i = 0; i < N_CENTURY; i++)
        if (tails->tails[i].n_ids == n_tail(out->style))
            out->numbers[out->style == YEARS_PAIRS ? i : i / 10] = tails->tails[i].ids[0];
}

static void note_years(struct year_tokens *out, const struct century_tails *tails, uint32_t century)
{
    const struct token_list *corrupted = &tails->tails[YEARS_CORRUPTED];
    const size_t n = n_tail(out->style);
    if (corrupted->n_ids != n) return;
    for (uint32_t i = YEARS_CORRUPTED + 1; i < N_CENTURY; i++) {
        const struct token_list *tail = &tails->tails[i];
        const struct year year = {.century = century,
                                  .in_century = i,
                                  .last_id = tail->n_ids == n ? tail->ids[n - 1] : 0,
                                  .century_id = tails->century_id,
                                  .n_century_tokens = tails->n_century_tokens,
                                  .corrupted_last_id = corrupted->ids[n - 1]};
        if (tail->n_ids == n) out->years[out->n++] = year;
    }
}

/* Those that have an answer and a distractor, in centuries of as few tokens as there are. */
static void keep_usable(struct year_tokens *out)
{
    const size_t n = out->n;
    uint32_t lowest = UINT32_MAX, highest = 0, n_century_tokens = UINT32_MAX;
    for (uint32_t i = 0; i < out->n_numbers; i++) {
        if (out->numbers[i] == UINT32_MAX) continue;
        if (lowest == UINT32_MAX) lowest = i;
        highest = i;
    }
    for (size_t i = 0; i < n; i++)
        if (out->years[i].n_century_tokens < n_century_tokens)
            n_century_tokens = out->years[i].n_century_tokens;
    out->n = 0;
    for (size_t i = 0; i < n; i++) {
        const uint32_t own = year_tokens_number(out, &out->years[i]);
        if (own > lowest && own < highest && out->years[i].n_century_tokens == n_century_tokens)
            out->years[out->n++] = out->years[i];
    }
}

static status_t find_style(struct year_tokens *out, enum year_style style,
                           const struct prompt_tokenizer *tokenizer, struct error *err)
{
    struct century_tails tails;
    status_t status = ST_OK;
    *out = (struct year_tokens){.style = style, .n_numbers = style == YEARS_PAIRS ? 100 : 10};
    memset(out->numbers, 0xff, sizeof out->numbers);
    for (uint32_t century = YEARS_FIRST_CENTURY; century <= YEARS_LAST_CENTURY; century++) {
        memset(&tails, 0, sizeof tails);
        status = find_tails(tokenizer, century, &tails, err);
        if (status == ST_OK) {
            note_numbers(out, &tails);
            note_years(out, &tails, century);
        }
        tails_fini(&tails);
        if (status != ST_OK) break;
    }
    keep_usable(out);
    return status;
}

/* --- both, or why neither ------------------------------------------------------------------ */

static status_t refuse(const struct prompt_tokenizer *tokenizer, struct error *err)
{
    static const char text[] = "so 1732";
    struct token_list tokens = {0};
    struct buffer shown;
    buffer_init(&shown, EXAMPLE_MAX_BYTES);
    status_t status =
        tokenizer_encode(tokenizer->tokenizer, text, sizeof text - 1, false, &tokens, err);
    for (size_t i = 0; i < tokens.n_ids && status == ST_OK; i++) {
        status = buffer_append_text(&shown, i ? "|" : "", err);
        if (status == ST_OK)
            status = prompt_tokenizer_text(tokenizer, tokens.ids + i, 1, &shown, err);
    }
    token_list_fini(&tokens);
    const char *example = buffer_text(&shown);
    if (status == ST_OK)
        status = error_set(err, ST_BAD_INPUT,
                           "years must be tokens of two digits (17|32) or of one (1|7|3|2); this "
                           "tokenizer writes \"%s\"",
                           example ? example : text);
    buffer_fini(&shown);
    return status;
}

status_t year_tokens_find(struct year_tokens *out, const struct prompt_tokenizer *tokenizer,
                          struct error *err)
{
    status_t status = find_style(out, YEARS_PAIRS, tokenizer, err);
    if (status == ST_OK && out->n == 0) status = find_style(out, YEARS_DIGITS, tokenizer, err);
    return status == ST_OK && out->n == 0 ? refuse(tokenizer, err) : status;
}
