/* What each kind of answer means for money, call and provider. */
#include "coordinator/gateway/outcome.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const char good[] = "{\"choices\":[{\"message\":{\"content\":\"x\"}}],\"usage\":"
                           "{\"prompt_tokens\":10,\"completion_tokens\":2}}";

static struct settlement judge(enum transfer_end end, int http_status, const char *body)
{
    char name[] = "p";
    const struct provider provider = {
        .name = name, .dollars_per_million_input = 3, .dollars_per_million_output = 15};
    const struct grant grant = {
        .n_body_bytes = 100, .tokens_in = 40, .tokens_out = 64, .n_sends = 1};
    struct transfer transfer = {.end = end,
                                .http_status = http_status,
                                .body = body,
                                .n_body_bytes = strlen(body),
                                .latency_ms = 7};
    struct settlement outcome;
    rate_headers_init(&transfer.headers);
    outcome_judge(&transfer, &grant, &provider, 0.5, &outcome);
    return outcome;
}

Test(outcome, books_a_good_answer_at_its_price_rounded_up)
{
    struct settlement outcome = judge(TRANSFER_ANSWERED, 200, good);
    cr_expect_eq(outcome.charge, CHARGE_USAGE);
    cr_expect_eq(outcome.next, NEXT_DONE);
    cr_expect_eq(outcome.health, HEALTH_OK);
    cr_expect_eq(outcome.microdollars, 10 * 3 + 2 * 15);
    completion_fini(&outcome.completion);
}

Test(outcome, judges_every_status_by_the_table)
{
    static const struct {
        int status;
        enum settlement_next next;
        enum settlement_health health;
        bool is_limited, is_strike;
    } cases[] = {
        {201, NEXT_AGAIN, HEALTH_BAD, false, true},
        {301, NEXT_AGAIN, HEALTH_CONFIG, false, false},
        {400, NEXT_FAIL, HEALTH_SILENT, false, false},
        {401, NEXT_AGAIN, HEALTH_CONFIG, false, false},
        {402, NEXT_AGAIN, HEALTH_CONFIG, false, false},
        {403, NEXT_AGAIN, HEALTH_CONFIG, false, false},
        {404, NEXT_AGAIN, HEALTH_CONFIG, false, false},
        {408, NEXT_AGAIN, HEALTH_BAD, false, true},
        {413, NEXT_FAIL, HEALTH_SILENT, false, false},
        {422, NEXT_FAIL, HEALTH_SILENT, false, false},
        {429, NEXT_AGAIN, HEALTH_SILENT, true, false},
        {500, NEXT_AGAIN, HEALTH_BAD, false, true},
        {503, NEXT_AGAIN, HEALTH_BAD, false, true},
        {529, NEXT_AGAIN, HEALTH_SILENT, true, false},
        {599, NEXT_AGAIN, HEALTH_BAD, false, true},
        {999, NEXT_AGAIN, HEALTH_BAD, false, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char number[8];
        const struct settlement got = judge(TRANSFER_ANSWERED, cases[i].status, "{}");
        (void)snprintf(number, sizeof number, "%d", cases[i].status);
        cr_expect_eq(got.next, cases[i].next, "%d", cases[i].status);
        cr_expect_eq(got.health, cases[i].health, "%d", cases[i].status);
        cr_expect_eq(got.is_limited, cases[i].is_limited, "%d", cases[i].status);
        cr_expect_eq(got.is_strike, cases[i].is_strike, "%d", cases[i].status);
        cr_expect_eq(got.charge, CHARGE_NONE, "%d", cases[i].status);
        cr_expect(strstr(got.reason, number) && strstr(got.reason, "provider p"), "%s", got.reason);
    }
}

Test(outcome, an_empty_account_is_no_rate_limit)
{
    const struct settlement got = judge(
        TRANSFER_ANSWERED, 429, "{\"error\":{\"message\":\"m\",\"code\":\"insufficient_quota\"}}");
    cr_expect_eq(got.health, HEALTH_CONFIG);
    cr_expect_not(got.is_limited);
}

Test(outcome, knows_what_may_have_been_charged)
{
    static const struct {
        enum transfer_end end;
        int status;
        const char *body;
        enum settlement_charge want;
    } cases[] = {
        {TRANSFER_ANSWERED, 200, "<html>", CHARGE_NONE},
        {TRANSFER_ANSWERED, 200, "{\"error\":{}}", CHARGE_NONE},
        {TRANSFER_ANSWERED, 200, "{\"choi", CHARGE_UNKNOWN},
        {TRANSFER_ANSWERED, 200, "", CHARGE_UNKNOWN},
        {TRANSFER_BROKEN, 200, "{\"choi", CHARGE_UNKNOWN},
        {TRANSFER_BROKEN, 0, "", CHARGE_UNKNOWN},
        {TRANSFER_BROKEN, 500, "oo", CHARGE_NONE},
        {TRANSFER_TOO_LARGE, 200, "", CHARGE_UNKNOWN},
        {TRANSFER_UNSENT, 0, "", CHARGE_UNSENT},
        {TRANSFER_REFUSED, 0, "", CHARGE_UNSENT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct settlement got = judge(cases[i].end, cases[i].status, cases[i].body);
        cr_expect_eq(got.charge, cases[i].want, "case %zu: %s", i, got.reason);
        cr_expect_neq(got.next, NEXT_DONE);
    }
}

Test(outcome, backs_off_with_full_jitter_up_to_a_cap)
{
    cr_expect_eq(outcome_backoff_ms(1, 0), 0);
    cr_expect_eq(outcome_backoff_ms(1, 0.5), 250);
    cr_expect_eq(outcome_backoff_ms(3, 0.5), 1000);
    cr_expect_eq(outcome_backoff_ms(8, 0.5), OUTCOME_BACKOFF_MAX_MS / 2);
    cr_expect_eq(outcome_backoff_ms(4000000000u, 0.999999), OUTCOME_BACKOFF_MAX_MS - 1);
}

Test(outcome, reasons_are_one_line_of_printable_text)
{
    const struct settlement got =
        judge(TRANSFER_ANSWERED, 400, "{\"error\":{\"message\":\"a\\nb\\u001b[31m\\u00e9\"}}");
    for (const char *c = got.reason; *c; c++) cr_expect(*c >= 0x20 && *c < 0x7f);
    cr_expect_not_null(strstr(got.reason, "a?b?[31m"), "%s", got.reason);
}
