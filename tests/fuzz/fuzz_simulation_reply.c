/* Any bytes as a judge's prediction for five tokens, and as the log probabilities that came with
 * it: five numbers from 0 to 10, or an error and nothing written. The first zero byte parts the
 * reply from the log probabilities. Built with -fsanitize=fuzzer. */
#include "coordinator/session/simulation.h"
#include "coordinator/session/simulation_reply.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { N_TOKENS = 5 };

static const struct simulation_tokens *window_tokens(void)
{
    static const struct token_text texts[N_TOKENS] = {
        {"The", 3}, {" cat", 4}, {"\n", 1}, {"\xC3", 1}, {"\xA9", 1}};
    static const uint32_t ids[N_TOKENS] = {0, 1, 2, 3, 4};
    static struct simulation_tokens tokens; /* made once, reachable at exit */
    const struct token_texts vocabulary = {texts, N_TOKENS};
    const struct window window = {.tokens = ids, .n_tokens = N_TOKENS};
    if (!tokens.begins && simulation_tokens_init(&tokens, &window, &vocabulary, NULL) != ST_OK)
        abort();
    return &tokens;
}

static void check(status_t status, const double predicted[N_TOKENS], const struct error *err)
{
    if (status != ST_OK && err->text[0] == '\0') abort();
    for (size_t i = 0; i < N_TOKENS; i++) {
        const bool is_value = predicted[i] >= 0.0 && predicted[i] <= SIMULATION_MAX_VALUE;
        if (is_value != (status == ST_OK)) abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *reply = (const char *)data;
    const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
    const size_t n_reply = zero ? (size_t)(zero - data) : size;
    const char *logprobs = zero ? (const char *)zero + 1 : NULL;
    const size_t n_logprobs = zero ? size - n_reply - 1 : 0;
    double predicted[N_TOKENS] = {-1, -1, -1, -1, -1};
    struct error err = {.status = ST_OK};
    check(simulation_reply_logprobs(reply, n_reply, logprobs, n_logprobs, window_tokens(),
                                    predicted, &err),
          predicted, &err);
    for (size_t i = 0; i < N_TOKENS; i++) predicted[i] = -1;
    err = (struct error){.status = ST_OK};
    check(simulation_reply_scale(reply, n_reply, window_tokens(), predicted, &err), predicted,
          &err);
    return 0;
}
