/* How a tokenizer writes years such as 1732, and the centuries and years that it writes alike.
 *
 *   YEARS_PAIRS    " 17" "32": the token behind "17" is a two-digit number
 *   YEARS_DIGITS   ... "1" "7" "3" "2": the token behind "17" is the digit of the decade
 *
 * Anything else (" 173" "2") says no number behind "17", and is refused. A tokenizer that has some
 * years as one token (" 1800") writes others in pairs: those are left out; so are centuries of more
 * tokens than the shortest, or prompts of one sentence would have different lengths. */
#ifndef WORKER_PROMPTS_YEAR_TOKENS_H
#define WORKER_PROMPTS_YEAR_TOKENS_H

#include "worker/prompts/prompt_tokenizer.h"

enum year_style { YEARS_PAIRS, YEARS_DIGITS };

enum {
    YEARS_FIRST_CENTURY = 11, /* the first two digits, as in 1102 */
    YEARS_LAST_CENTURY = 17,
    YEARS_MAX = (YEARS_LAST_CENTURY - YEARS_FIRST_CENTURY + 1) * 100,
    YEARS_CORRUPTED = 1 /* the last two digits of a corrupted prompt's year */
};

struct year {
    uint32_t century, in_century; /* 17, 32 */
    uint32_t last_id;             /* the token that ends it */
    uint32_t century_id;          /* the last token of "17" alone */
    uint32_t n_century_tokens;
    uint32_t corrupted_last_id; /* that ends 1701 */
};

struct year_tokens {
    enum year_style style;
    uint32_t numbers[100]; /* ids of "00".."99", or of "0".."9"; UINT32_MAX: none */
    size_t n_numbers;      /* 100 or 10 */
    size_t n;
    struct year years[YEARS_MAX]; /* [n], ascending: years with a number above and one below */
};

/* Errors: ST_BAD_INPUT (says how this tokenizer writes 1732), ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t year_tokens_find(struct year_tokens *out,
                                     const struct prompt_tokenizer *tokenizer, struct error *err);

/* The number behind the century that the year itself has: 32, or the decade's digit 3. */
uint32_t year_tokens_number(const struct year_tokens *self, const struct year *year);

#endif
