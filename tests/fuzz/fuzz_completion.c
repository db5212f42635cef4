/* Any bytes as a provider's answer: refused with one line, or a reply whose tokens are bounded.
 * Built with -fsanitize=fuzzer. */
#include "coordinator/gateway/completion.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct completion_bounds bounds = {
        .n_request_bytes = 1000, .tokens_in = 300, .tokens_out = 100};
    struct completion reply = {.content = NULL};
    struct error err = {.status = ST_OK};
    char message[COMPLETION_ERROR_MAX], code[64];
    const char *text = (const char *)data;
    const status_t status = completion_parse(text, size, &bounds, &reply, &err);
    if ((status == ST_OK) != (reply.content != NULL)) abort();
    if (status != ST_OK && err.text[0] == '\0') abort();
    if (status == ST_OK) {
        if (reply.content[reply.n_content_bytes] != '\0') abort();
        if (reply.tokens_in < 1 || reply.tokens_in > 1000 + 4096) abort();
        if (reply.tokens_out > 100 + 5 + 64) abort();
        if (reply.logprobs && strlen(reply.logprobs) > COMPLETION_LOGPROBS_MAX) abort();
    }
    completion_fini(&reply);
    completion_error_text(text, size, message, code);
    for (const char *c = message; *c; c++)
        if (*c < 0x20 || *c > 0x7e) abort();
    return 0;
}
