/* What response headers say about rate limits, in every spelling that providers use:
 *
 *   Retry-After: 12 | 1.5 | Wed, 21 Oct 2026 07:28:00 GMT      retry-after-ms: 1500
 *   x-ratelimit-{limit,remaining,reset}-{requests,tokens}       OpenAI, Groq, vLLM gateways
 *       resets as "1s", "6m0s", "20ms", "1h2m3.5s", plain seconds
 *   ...-{requests,tokens}-{minute,day}                          Cerebras; only -minute counts
 *   anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-{limit,remaining,reset}
 *       resets as RFC 3339 times
 *
 * Headers are untrusted: what does not parse, is negative or lacks a positive limit beside it
 * (some gateways send -1 or 0 always) is as if it were not there. Pure functions. */
#ifndef COORDINATOR_GATEWAY_RATE_HEADERS_H
#define COORDINATOR_GATEWAY_RATE_HEADERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rate_dimension { RATE_REQUESTS, RATE_INPUT, RATE_OUTPUT, RATE_TOKENS, N_RATE_DIMENSIONS };

enum { RATE_WAIT_MAX_MS = 10 * 60 * 1000 }; /* no header stops us for longer */

struct rate_header {
    int64_t limit; /* -1: not told, in all three */
    int64_t remaining;
    int64_t reset_ms; /* from now */
};

struct rate_headers {
    int64_t retry_after_ms; /* -1: not told; else 0..RATE_WAIT_MAX_MS */
    struct rate_header dimensions[N_RATE_DIMENSIONS];
};

void rate_headers_init(struct rate_headers *headers);

/* Note one header line "Name: value" of n_bytes (trailing CR LF allowed). */
void rate_headers_note(struct rate_headers *headers, const char *line, size_t n_bytes,
                       int64_t now_unix_ms);

/* What is left of a dimension, or -1 if the provider did not (believably) say. */
int64_t rate_headers_remaining(const struct rate_headers *headers, enum rate_dimension dimension);

/* How long to stop after a 429: Retry-After, else the soonest reset of a dimension that is used
 * up, else -1. */
int64_t rate_headers_stop_ms(const struct rate_headers *headers);

/* "6m0s", "20ms", "1.5" ... in ms; false if `text` is not a duration. */
bool rate_parse_duration_ms(const char *text, int64_t *out);

/* Seconds or an HTTP date, as ms from now (never negative); false if it is neither. */
bool rate_parse_retry_after_ms(const char *text, int64_t now_unix_ms, int64_t *out);

/* "2026-01-31T12:00:00Z", with fraction and zone allowed, as unix ms. */
bool rate_parse_rfc3339_ms(const char *text, int64_t *out);

#endif
