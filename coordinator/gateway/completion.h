/* The answer of an OpenAI-compatible /chat/completions, taken apart.
 *
 * Bytes from outside: size, depth, UTF-8 and every number are checked. Usage that is missing or
 * absurd (fewer tokens than content, more than bytes could hold, beyond max_tokens) is replaced by
 * an estimate of bytes / 4, never above what was reserved, and marked. Pure functions. */
#ifndef COORDINATOR_GATEWAY_COMPLETION_H
#define COORDINATOR_GATEWAY_COMPLETION_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    COMPLETION_BODY_MAX = 4 << 20,      /* bytes of an HTTP answer */
    COMPLETION_LOGPROBS_MAX = 512 << 10 /* bytes kept; larger ones are dropped */
};

struct completion {
    char *content; /* [n_content_bytes] and a NUL; owned */
    size_t n_content_bytes;
    char *logprobs; /* JSON text of choices[0].logprobs, in nine digits and without "bytes" that a
                       token's text says as well; NULL if absent; owned */
    char finish_reason[32];
    char model[128]; /* as the provider names it */
    uint64_t tokens_in;
    uint64_t tokens_out;
    bool is_estimated;
};

/* What was asked for, to judge the answer by. */
struct completion_bounds {
    size_t n_request_bytes; /* of the body */
    uint64_t tokens_in;     /* reserved */
    uint64_t tokens_out;    /* reserved: max_tokens */
};

/* On ST_OK the caller owns *out (completion_fini). Errors, each with a reason for people:
 * ST_UNSUPPORTED (a web page, not an API's answer), ST_UNREACHABLE (the provider put an error
 * into a 200), ST_CORRUPT (half a body, no choices, ...), ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t completion_parse(const char *body, size_t n_bytes,
                                     const struct completion_bounds *bounds, struct completion *out,
                                     struct error *err);
void completion_fini(struct completion *completion);

/* The message and code of an error answer, "" where it has none: {"error": {"message", "code" or
 * "type"}}, {"error": "text"}, {"message"}; bytes other than printable ASCII become '?'. */
enum { COMPLETION_ERROR_MAX = 200 };
void completion_error_text(const char *body, size_t n_bytes, char message[COMPLETION_ERROR_MAX],
                           char code[64]);

#endif
