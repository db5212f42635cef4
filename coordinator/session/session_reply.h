/* What came back from a provider for one call. */
#ifndef COORDINATOR_SESSION_SESSION_REPLY_H
#define COORDINATOR_SESSION_SESSION_REPLY_H

#include <stddef.h>

/* Borrowed from whoever read it. */
struct session_reply {
    const char *content; /* [n_bytes]; NULL: the call failed for good */
    size_t n_bytes;
    const char *logprobs; /* JSON text of choices[0].logprobs, NUL-terminated; NULL: none */
};

#endif
