#include "coordinator/api/api.h"
#include "coordinator/dispatch/access.h"
#include "coordinator/dispatch/log_budget.h"

#include <criterion/criterion.h>
#include <string.h>

Test(access, each_role_may_what_it_is_for_and_no_more)
{
    static const struct {
        const char *user; /* NULL: a plain endpoint */
        bool may_work, may_read, may_change;
    } cases[] = {
        {NULL, true, true, true},
        {"worker:w1", true, false, false},
        {"operator:ann", false, true, true},
        {"viewer:bob", false, true, false},
        {"none:x", false, false, false},
        {"king:x", false, false, false},
        {"worker", false, false, false},
        {"", false, false, false},
        {"workerworkerworkerworker:x", false, false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *user = cases[i].user ? cases[i].user : "plain";
        const struct access access = access_parse(cases[i].user);
        struct error err = {0};
        cr_expect_eq(access_check_worker(&access, &err) == ST_OK, cases[i].may_work, "%s", user);
        cr_expect_eq(access_check_request(&access, "list", true, &err) == ST_OK, cases[i].may_read,
                     "%s", user);
        cr_expect_eq(access_check_request(&access, "cancel", false, &err) == ST_OK,
                     cases[i].may_change, "%s", user);
    }
}

Test(access, a_refusal_names_the_key_its_role_and_what_it_may_not)
{
    const struct access access = access_parse("viewer:bob");
    struct error err = {0};
    cr_expect_eq(access_check_request(&access, "cancel", false, &err), ST_CONFLICT);
    cr_expect_str_eq(err.text, "the key \"bob\" has the role viewer, which may not cancel");
}

Test(access, a_message_of_a_plain_socket_is_plain)
{
    struct transport_message message;
    transport_message_init(&message);
    cr_expect(access_of(&message).is_plain);
    transport_message_fini(&message);
}

Test(access, viewers_may_ask_for_what_changes_nothing)
{
    static const char *const reading[] = {"ping",     "list",    "status",  "results",
                                          "feature",  "cost",    "workers", "dead",
                                          "overview", "metrics", "captures"};
    static const char *const changing[] = {"submit", "cancel", "pause",   "resume", "retry",
                                           "drain",  "probe",  "unknown", ""};
    for (size_t i = 0; i < sizeof reading / sizeof reading[0]; i++)
        cr_expect(api_is_reading(reading[i]), "%s", reading[i]);
    for (size_t i = 0; i < sizeof changing / sizeof changing[0]; i++)
        cr_expect_not(api_is_reading(changing[i]), "%s", changing[i]);
}

Test(log_budget, a_flood_is_ten_lines_in_ten_seconds_and_counted)
{
    struct log_budget budget = {0};
    uint64_t n_dropped = 77;
    size_t n_written = 0;
    for (int i = 0; i < 100; i++) n_written += log_budget_take(&budget, 5000 + i, &n_dropped);
    cr_expect_eq(n_written, LOG_BUDGET_LINES);
    cr_expect_eq(n_dropped, 0);
    cr_expect(log_budget_take(&budget, 5000 + LOG_BUDGET_MS, &n_dropped));
    cr_expect_eq(n_dropped, 90);
    cr_expect(log_budget_take(&budget, 5001 + LOG_BUDGET_MS, &n_dropped));
    cr_expect_eq(n_dropped, 0);
}
