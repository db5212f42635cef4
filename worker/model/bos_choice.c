#include "worker/model/bos_choice.h"

#include <string.h>

status_t bos_choose(struct bos_choice *out, const struct tokenizer *tokenizer, const char *word,
                    const char *directory, struct error *err)
{
    const bool is_auto = strcmp(word, "auto") == 0, is_true = strcmp(word, "true") == 0;
    struct bos_choice choice = {0};
    if (!is_auto && !is_true && strcmp(word, "false") != 0)
        return error_set(err, ST_PROTOCOL, "task spec: \"bos\" is \"%s\"", word);
    if (is_true || (is_auto && tokenizer_adds_bos(tokenizer))) choice.n_bos = 1;
    if (choice.n_bos && !tokenizer_bos(tokenizer, &choice.bos))
        return error_set(err, ST_BAD_INPUT, "bos: %s has no BOS token", directory);
    *out = choice;
    return ST_OK;
}
