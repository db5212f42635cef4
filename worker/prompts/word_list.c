#include "worker/prompts/word_list.h"

void word_list_fini(struct word_list *list)
{
    free(list->words);
    *list = (struct word_list){.words = NULL};
}

void forms_list_fini(struct forms_list *list)
{
    free(list->words);
    *list = (struct forms_list){.words = NULL};
}

static status_t check_count(size_t n, size_t n_offered, const char *what, size_t n_needed,
                            struct error *err)
{
    if (n >= n_needed) return ST_OK;
    return error_set(err, ST_BAD_INPUT,
                     "%zu of %zu %s are one token of this tokenizer: at least %zu are needed", n,
                     n_offered, what, n_needed);
}

static size_t table_length(const char *const *table)
{
    size_t n = 0;
    while (table[n]) n++;
    return n;
}

status_t word_list_open(struct word_list *out, const struct prompt_tokenizer *tokenizer,
                        const char *const *table, const char *what, size_t n_needed,
                        struct error *err)
{
    struct word_list list = {.n_offered = table_length(table)};
    status_t status = ST_OK;
    list.words = calloc(list.n_offered + 1, sizeof *list.words);
    if (!list.words) return error_set(err, ST_NO_MEMORY, "%s", what);
    for (size_t i = 0; i < list.n_offered && status == ST_OK; i++) {
        struct prompt_word word = {.text = table[i]};
        bool is_token;
        status = prompt_tokenizer_word(tokenizer, word.text, &word.id, &is_token, err);
        if (is_token) list.words[list.n++] = word;
    }
    if (status == ST_OK) status = check_count(list.n, list.n_offered, what, n_needed, err);
    if (status == ST_OK)
        *out = list;
    else
        word_list_fini(&list);
    return status;
}

status_t forms_list_open(struct forms_list *out, const struct prompt_tokenizer *tokenizer,
                         const char *const *table, const char *what, size_t n_needed,
                         struct error *err)
{
    struct forms_list list = {.n_offered = table_length(table) / 2};
    status_t status = ST_OK;
    list.words = calloc(list.n_offered + 1, sizeof *list.words);
    if (!list.words) return error_set(err, ST_NO_MEMORY, "%s", what);
    for (size_t i = 0; i < list.n_offered && status == ST_OK; i++) {
        struct word_forms word = {{{.text = table[2 * i]}, {.text = table[2 * i + 1]}}};
        bool is_token[2] = {false, false};
        for (size_t f = 0; f < 2 && status == ST_OK; f++)
            status = prompt_tokenizer_word(tokenizer, word.forms[f].text, &word.forms[f].id,
                                           &is_token[f], err);
        if (is_token[0] && is_token[1]) list.words[list.n++] = word;
    }
    if (status == ST_OK) status = check_count(list.n, list.n_offered, what, n_needed, err);
    if (status == ST_OK)
        *out = list;
    else
        forms_list_fini(&list);
    return status;
}
