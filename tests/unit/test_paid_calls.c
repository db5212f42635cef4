/* What the calls of a sweep may cost, and why they stand still, on a real Redis and its scripts. */
#include "coordinator/sweep/paid_calls.h"

#include "tests/unit/gateway_redis.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct gateway_world world;
static struct sweep_context context;
static struct sweep_spec spec;
static struct sweep sweep;
static struct reserve_result granted;
static struct error err;

static void set_up(void)
{
    gateway_world_start(&world);
    context = (struct sweep_context){.store = world.store};
    sweep = (struct sweep){.id = "s", .spec = &spec, .context = &context};
}

static void tear_down(void)
{
    for (size_t i = 0; i < granted.n_grants; i++) grant_fini(&granted.grants[i]);
    gateway_world_stop(&world);
}

TestSuite(paid_calls, .init = set_up, .fini = tear_down, .timeout = 60);

static void allow(double dollars)
{
    error_clear(&err);
    spec.budget_dollars = dollars;
    cr_assert_eq(paid_calls_set_budget(&sweep, &err), ST_OK, "%s", err.text);
}

static const char *problem_of(const char *const *names, size_t n)
{
    static char problem[SWEEP_REASON_SIZE];
    const struct paid_providers providers = {names, n};
    error_clear(&err);
    cr_assert_eq(paid_calls_find_problem(&sweep, &providers, problem, &err), ST_OK, "%s", err.text);
    return problem;
}

static void ask(const char *text)
{
    char id[HASH_HEX_SIZE];
    cr_assert_eq(gateway_world_submit(&world, "s", 5, text, id), CALL_SUBMIT_QUEUED);
}

Test(paid_calls, of_a_budget_of_nothing_are_not_sent)
{
    const char *const names[] = {"p"};
    allow(0);
    ask("a question");
    cr_expect_eq(gateway_world_reserve(&world, 8, &granted), 0, "it has a price");
    cr_expect_str_eq(problem_of(names, 1),
                     "budget_dollars is 0: nothing may be spent, and the next call costs "
                     "something");
    allow(1);
    cr_expect_str_eq(problem_of(names, 1), "");
    cr_expect_eq(gateway_world_reserve(&world, 8, &granted), 1);
}

Test(paid_calls, without_a_price_need_no_budget)
{
    const char *const names[] = {"p"};
    world.provider.dollars_per_million_input = world.provider.dollars_per_million_output = 0;
    gateway_world_limit(&world, 0);
    allow(0);
    ask("a question");
    cr_expect_eq(gateway_world_reserve(&world, 8, &granted), 1);
    cr_expect_str_eq(problem_of(names, 1), "");
}

Test(paid_calls, beyond_a_budget_are_not_sent)
{
    const char *const names[] = {NULL, "p"};
    allow(0.000001);
    ask("a question");
    cr_expect_eq(gateway_world_reserve(&world, 8, &granted), 0);
    cr_expect_str_eq(problem_of(names, 2), "budget spent: 0.000000 of 0.000001 dollars");
}

Test(paid_calls, stand_still_where_a_provider_refuses)
{
    const char *const names[] = {"fine", NULL, "ill", "worse"};
    allow(1);
    gateway_world_run(&world, "HSET interp:limit:{ill} breaker open breaker_reason key");
    gateway_world_run(&world, "HSET interp:limit:{worse} breaker half");
    cr_expect_str_eq(problem_of(names, 4), "key");
    cr_expect_str_eq(problem_of(names, 2), "");
    cr_expect_str_eq(problem_of(&names[3], 1), "worse", "no reason is known: its name");
}

Test(paid_calls, go_on_where_a_fallback_answers)
{
    static char ill[] = "ill", other[] = "other";
    const char *const names[] = {"ill"};
    struct provider providers[] = {{.name = ill, .fallback = other}, {.name = other}};
    const struct provider_config config = {.providers = providers, .n_providers = 2};
    context.providers = &config;
    allow(1);
    gateway_world_run(&world, "HSET interp:limit:{ill} breaker open breaker_reason key");
    cr_expect_str_eq(problem_of(names, 1), "");
    gateway_world_run(&world, "HSET interp:limit:{other} breaker open breaker_reason away");
    cr_expect_str_eq(problem_of(names, 1), "key", "neither answers");
}

#define SAID "; give it to the gateways and start them again"

static void say_unserved(const char *provider)
{
    char command[160], reason[80];
    (void)snprintf(reason, sizeof reason, "no-key-of-%s", provider);
    (void)snprintf(command, sizeof command, "SET interp:unserved:{%s} %s EX 5", provider, reason);
    gateway_world_run(&world, command);
}

Test(paid_calls, stand_still_where_no_gateway_has_the_key)
{
    const char *const names[] = {"fine", "keyless"};
    allow(1);
    cr_expect_str_eq(problem_of(names, 2), "", "no gateway runs yet: nothing is known");
    say_unserved("keyless");
    cr_expect_str_eq(problem_of(names, 2), "no-key-of-keyless" SAID);
    gateway_world_run(&world, "SET interp:served:{keyless} g2 EX 5");
    cr_expect_str_eq(problem_of(names, 2), "", "another gateway has it");
}

Test(paid_calls, stand_still_where_no_gateway_has_the_key_of_the_fallback)
{
    static char ill[] = "ill", other[] = "other";
    const char *const names[] = {"ill"};
    struct provider providers[] = {{.name = ill, .fallback = other}, {.name = other}};
    const struct provider_config config = {.providers = providers, .n_providers = 2};
    context.providers = &config;
    allow(1);
    say_unserved("other");
    cr_expect_str_eq(problem_of(names, 1), "", "nobody needs it");
    gateway_world_run(&world, "HSET interp:limit:{ill} breaker open breaker_reason refused");
    cr_expect_str_eq(problem_of(names, 1), "refused; fallback: no-key-of-other" SAID);
    char command[400] = "HSET interp:limit:{ill} breaker_reason ";
    memset(command + strlen(command), 'x', 255);
    gateway_world_run(&world, command);
    const char *problem = problem_of(names, 1);
    cr_expect_eq(strlen(problem), SWEEP_REASON_SIZE - 1, "%s", problem);
    cr_expect(strstr(problem, "x; fallback: no-key-of-other" SAID), "what to do is not cut off");
}
