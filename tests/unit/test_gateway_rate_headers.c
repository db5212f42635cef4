/* Every spelling of rate-limit headers that providers use, and what is not believed. */
#include "coordinator/gateway/rate_headers.h"

#include <criterion/criterion.h>
#include <string.h>

static const int64_t now_ms = 1792000000000; /* 2026-10-14T17:46:40Z */

static void note(struct rate_headers *headers, const char *line)
{
    rate_headers_note(headers, line, strlen(line), now_ms);
}

Test(rate_headers, reads_durations_in_all_their_formats)
{
    static const struct {
        const char *text;
        int64_t want_ms; /* -1: not a duration */
    } cases[] = {{"1s", 1000},
                 {"6m0s", 360000},
                 {"20ms", 20},
                 {"1h2m3.5s", 3723500},
                 {"59.931s", 59931},
                 {"7.66s", 7660},
                 {"2m59.56s", 179560},
                 {"0", 0},
                 {"12", 12000},
                 {"0.25", 250},
                 {"1d", 86400000},
                 {"900us", 1},
                 {"", -1},
                 {"abc", -1},
                 {"6m0", -1},
                 {"-1s", -1},
                 {"1.2.3s", -1},
                 {"1x", -1},
                 {"s", -1},
                 {"1 s", -1},
                 {"99999999999999999999999999999999999s", -1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t got_ms = -1;
        const bool is_duration = rate_parse_duration_ms(cases[i].text, &got_ms);
        cr_expect_eq(is_duration, cases[i].want_ms >= 0, "'%s'", cases[i].text);
        if (is_duration)
            cr_expect_eq(got_ms, cases[i].want_ms, "'%s': %lld", cases[i].text, (long long)got_ms);
    }
}

Test(rate_headers, reads_retry_after_as_seconds_or_date)
{
    static const struct {
        const char *text;
        int64_t want_ms;
    } cases[] = {{"12", 12000},
                 {"1.5", 1500},
                 {"0", 0},
                 {"Wed, 14 Oct 2026 17:46:50 GMT", 10000},
                 {"Wednesday, 14-Oct-26 17:47:40 GMT", 60000},
                 {"Wed Oct 14 17:46:45 2026", 5000},
                 {"Wed, 14 Oct 2026 17:00:00 GMT", 0}, /* over already */
                 {"86400", RATE_WAIT_MAX_MS},
                 {"Fri, 31 Dec 2099 00:00:00 GMT", RATE_WAIT_MAX_MS},
                 {"soon", -1},
                 {"-5", -1},
                 {"", -1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t got_ms = -1;
        const bool is_known = rate_parse_retry_after_ms(cases[i].text, now_ms, &got_ms);
        cr_expect_eq(is_known, cases[i].want_ms >= 0, "'%s'", cases[i].text);
        if (is_known)
            cr_expect_eq(got_ms, cases[i].want_ms, "'%s': %lld", cases[i].text, (long long)got_ms);
    }
}

Test(rate_headers, reads_rfc3339_times_with_fraction_and_zone)
{
    static const struct {
        const char *text;
        int64_t want_ms;
    } cases[] = {{"2026-10-14T17:46:40Z", 1792000000000},
                 {"2026-10-14T17:46:40.250Z", 1792000000250},
                 {"2026-10-14T19:46:40+02:00", 1792000000000},
                 {"2026-10-14T12:16:40-05:30", 1792000000000},
                 {"1970-01-01T00:00:00Z", 0},
                 {"2000-02-29T00:00:00Z", 951782400000},
                 {"2026-13-01T00:00:00Z", -1},
                 {"2026-10-14T17:46Z", -1},
                 {"2026-10-14T17:46:40", -1},
                 {"26-10-14T17:46:40Z", -1},
                 {"2026-10-14T25:00:00Z", -1},
                 {"now", -1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t got_ms = -1;
        const bool is_time = rate_parse_rfc3339_ms(cases[i].text, &got_ms);
        cr_expect_eq(is_time, cases[i].want_ms >= 0, "'%s'", cases[i].text);
        if (is_time)
            cr_expect_eq(got_ms, cases[i].want_ms, "'%s': %lld", cases[i].text, (long long)got_ms);
    }
}

Test(rate_headers, understands_openai_groq_and_cerebras_names)
{
    struct rate_headers headers;
    rate_headers_init(&headers);
    note(&headers, "X-RateLimit-Limit-Requests: 5000\r\n");
    note(&headers, "x-ratelimit-remaining-requests: 4999\r\n");
    note(&headers, "x-ratelimit-reset-requests: 12ms\r\n");
    note(&headers, "x-ratelimit-limit-tokens-minute: 60000\r\n");
    note(&headers, "x-ratelimit-remaining-tokens-minute:  59000 \r\n");
    note(&headers, "x-ratelimit-remaining-tokens-day: 3\r\n");
    cr_expect_eq(rate_headers_remaining(&headers, RATE_REQUESTS), 4999);
    cr_expect_eq(rate_headers_remaining(&headers, RATE_TOKENS), 59000, "a day is no minute");
    cr_expect_eq(rate_headers_remaining(&headers, RATE_INPUT), -1);
    cr_expect_eq(headers.dimensions[RATE_REQUESTS].reset_ms, 12);
    cr_expect_eq(headers.retry_after_ms, -1);
}

Test(rate_headers, understands_anthropic_names)
{
    struct rate_headers headers;
    rate_headers_init(&headers);
    note(&headers, "anthropic-ratelimit-requests-limit: 50\r\n");
    note(&headers, "anthropic-ratelimit-requests-remaining: 49\r\n");
    note(&headers, "anthropic-ratelimit-input-tokens-limit: 40000\r\n");
    note(&headers, "anthropic-ratelimit-input-tokens-remaining: 39000\r\n");
    note(&headers, "anthropic-ratelimit-output-tokens-limit: 8000\r\n");
    note(&headers, "anthropic-ratelimit-output-tokens-remaining: 0\r\n");
    note(&headers, "anthropic-ratelimit-output-tokens-reset: 2026-10-14T17:46:45Z\r\n");
    cr_expect_eq(rate_headers_remaining(&headers, RATE_REQUESTS), 49);
    cr_expect_eq(rate_headers_remaining(&headers, RATE_INPUT), 39000);
    cr_expect_eq(rate_headers_remaining(&headers, RATE_OUTPUT), 0);
    cr_expect_eq(rate_headers_stop_ms(&headers), 5000, "the reset of what is used up");
    note(&headers, "retry-after: 3\r\n");
    cr_expect_eq(rate_headers_stop_ms(&headers), 3000, "Retry-After is the provider's word");
}

Test(rate_headers, does_not_believe_a_remaining_without_a_limit)
{
    struct rate_headers headers;
    rate_headers_init(&headers);
    note(&headers, "x-ratelimit-limit-requests: 0\r\n"); /* as some gateways always say */
    note(&headers, "x-ratelimit-remaining-requests: 0\r\n");
    note(&headers, "x-ratelimit-remaining-tokens: -1\r\n");
    cr_expect_eq(rate_headers_remaining(&headers, RATE_REQUESTS), -1);
    cr_expect_eq(rate_headers_remaining(&headers, RATE_TOKENS), -1);
    cr_expect_eq(rate_headers_stop_ms(&headers), -1);
}

Test(rate_headers, prefers_milliseconds_in_either_order)
{
    struct rate_headers headers;
    rate_headers_init(&headers);
    note(&headers, "retry-after-ms: 1234\r\n");
    note(&headers, "retry-after: 2\r\n");
    cr_expect_eq(headers.retry_after_ms, 1234);
    rate_headers_init(&headers);
    note(&headers, "Retry-After: 2\r\n");
    note(&headers, "Retry-After-Ms: 1234\r\n");
    cr_expect_eq(headers.retry_after_ms, 1234);
}

Test(rate_headers, survives_lines_that_are_no_headers)
{
    struct rate_headers headers, untouched;
    char long_line[5000];
    rate_headers_init(&headers);
    untouched = headers;
    memset(long_line, 'a', sizeof long_line);
    rate_headers_note(&headers, long_line, sizeof long_line, now_ms);
    memcpy(long_line, "retry-after:", 12);
    rate_headers_note(&headers, long_line, sizeof long_line, now_ms);
    note(&headers, "HTTP/1.1 200 OK\r\n");
    note(&headers, "\r\n");
    note(&headers, ":");
    rate_headers_note(&headers, "retry-after: 1\0002", 16, now_ms);
    cr_expect_eq(memcmp(&headers, &untouched, sizeof headers), 0);
}
