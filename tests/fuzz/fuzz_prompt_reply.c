/* Any bytes as the reply of a language model, as a label, and as a prompt template: labels that
 * keep what prompt_reply.h promises, exactly n answers, a template that can be filled, or one
 * error. The first byte chooses how many answers are wanted. Built with -fsanitize=fuzzer. */
#include "coordinator/session/prompt_data.h"
#include "coordinator/session/prompt_echo.h"
#include "coordinator/session/prompt_reply.h"
#include "coordinator/session/prompt_template.h"
#include "coordinator/session/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One visible line of valid UTF-8, not empty, without white space at its ends. */
static void check_label(const char *text, size_t n_bytes)
{
    if (n_bytes == 0 || n_bytes > PROMPT_MAX_LABEL_BYTES || strlen(text) != n_bytes) abort();
    if (text[0] == ' ' || text[n_bytes - 1] == ' ') abort();
    for (size_t at = 0; at < n_bytes;) {
        uint32_t c = 0;
        const size_t n = utf8_decode(text + at, n_bytes - at, &c);
        if (n == 0 || c < 0x20 || c == 0x7F) abort();
        at += n;
    }
}

static void read_reply(const char *reply, size_t n_bytes, size_t n_answers)
{
    enum judge_answer answers[16];
    struct prompt_label label;
    struct error err = {.status = ST_OK};
    if (prompt_reply_label(reply, n_bytes, NULL, &label, &err) == ST_OK)
        check_label(label.text, strlen(label.text));
    else if (err.text[0] == '\0')
        abort();
    for (size_t i = 0; i < 16; i++) answers[i] = ANSWER_FAILED;
    const bool is_read =
        prompt_reply_answers(reply, n_bytes, n_answers, answers, NULL, NULL) == ST_OK;
    for (size_t i = 0; i < 16; i++)
        if ((answers[i] != ANSWER_FAILED) != (is_read && i < n_answers)) abort();
}

/* In a prompt the bytes are one line without a mark of ours. */
static void show_data(const char *text, size_t n_bytes)
{
    struct buffer out;
    buffer_init(&out, PROMPT_MAX_REPLY_BYTES * 16);
    if (prompt_data_append(&out, text, n_bytes, NULL, 0, NULL) == ST_OK) {
        const char *shown = buffer_text(&out);
        if (shown && (strchr(shown, '\n') || strstr(shown, "<<") || strstr(shown, ">>") ||
                      strstr(shown, "<|") || strstr(shown, "|>") || strlen(shown) != out.n_bytes))
            abort();
    }
    buffer_fini(&out);
}

/* An echo is a matter of words: punctuation around them changes nothing. */
static void check_echo(const struct prompt_template *made)
{
    char label[PROMPT_MAX_LABEL_BYTES + 1], quoted[PROMPT_MAX_LABEL_BYTES + 8];
    const char *text = prompt_template_text(made);
    (void)prompt_label_clean(text, strlen(text), label);
    (void)snprintf(quoted, sizeof quoted, "- \"%s\".", label);
    if (!prompt_echo_find(label, made) != !prompt_echo_find(quoted, made)) abort();
}

static void fill_template(const char *text, size_t n_bytes)
{
    struct prompt_template *made = NULL;
    struct buffer system, user;
    const struct prompt_field field = {"label", "x", 1};
    if (prompt_template_parse(&made, "fuzz", text, n_bytes, NULL) != ST_OK) return;
    buffer_init(&system, PROMPT_MAX_TEMPLATE_BYTES);
    buffer_init(&user, PROMPT_MAX_TEMPLATE_BYTES);
    if (prompt_template_fill(made, &field, 1, &system, &user, NULL) == ST_OK &&
        system.n_bytes + user.n_bytes > n_bytes)
        abort();
    check_echo(made);
    buffer_fini(&system);
    buffer_fini(&user);
    prompt_template_destroy(&made);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char label[PROMPT_MAX_LABEL_BYTES + 1];
    if (size == 0) return 0;
    const char *text = (const char *)data + 1;
    const size_t n_label = prompt_label_clean(text, size - 1, label);
    if (n_label > 0) check_label(label, n_label);
    read_reply(text, size - 1, 1 + data[0] % 16);
    show_data(text, size - 1);
    fill_template(text, size - 1);
    return 0;
}
