/* Any bytes as the reply with an agent's experiments: texts that keep what
 * prompt_reply_experiments.h promises, or one error; what is dropped is counted. The first byte
 * chooses how many of each kind are wanted. Built with -fsanitize=fuzzer. */
#include "coordinator/session/prompt_reply_experiments.h"
#include "coordinator/session/utf8.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Valid UTF-8 without control characters but line breaks, a highlight mark, spaces at its ends. */
static void check_text(const struct experiment *one)
{
    const char *text = one->text;
    if (one->n_bytes == 0 || one->n_bytes > PROMPT_MAX_LABEL_BYTES ||
        strlen(text) != one->n_bytes || one->truth != EXPERIMENT_UNKNOWN)
        abort();
    if (strstr(text, "<<") || strstr(text, ">>")) abort();
    if (text[0] == ' ' || text[one->n_bytes - 1] == ' ') abort();
    for (size_t at = 0; at < one->n_bytes;) {
        uint32_t c = 0;
        const size_t n = utf8_decode(text + at, one->n_bytes - at, &c);
        if (n == 0 || (c < 0x20 && c != '\n') || c == 0x7F) abort();
        at += n;
    }
}

static void check_list(const struct experiments *list, size_t n_each)
{
    size_t n_of[EXPERIMENT_N_KINDS] = {0};
    for (size_t i = 0; i < list->n; i++) {
        check_text(&list->list[i]);
        if (++n_of[list->list[i].kind] > n_each) abort();
        for (size_t k = 0; k < i; k++)
            if (strcmp(list->list[i].text, list->list[k].text) == 0) abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    const size_t n_each = 1 + data[0] % 7;
    struct session_rounds rounds = {0};
    struct experiments first = {0}, second = {0};
    struct session_round *round;
    struct error err = {.status = ST_OK};
    const char *reply = (const char *)data + 1;
    const status_t status = prompt_reply_experiments(reply, size - 1, n_each, NULL, &first, &err);
    if (status == ST_OK ? first.n == 0 : err.text[0] == '\0') abort();
    check_list(&first, n_each);
    if (session_rounds_add(&rounds, &round, NULL) == ST_OK) {
        round->experiments = first; /* moved: tried in an earlier round */
        (void)prompt_reply_experiments(reply, size - 1, n_each, &rounds, &second, NULL);
        for (size_t i = 0; i < second.n; i++)
            if (session_rounds_have_tried(&rounds, second.list[i].text)) abort();
    } else {
        experiments_fini(&first);
    }
    check_list(&second, n_each);
    experiments_fini(&second);
    session_rounds_fini(&rounds);
    return 0;
}
