/* Tokens per byte of a sweep's prompts, kept in a real Redis. */
#include "coordinator/sweep/token_ratio.h"

#include "tests/unit/gateway_redis.h"

#include <criterion/criterion.h>
#include <string.h>

static struct gateway_world world;
static struct leader leader;
static struct error err;

static int64_t read_ns(void *context)
{
    (void)context;
    return 1000000;
}

static const struct clock fake = {read_ns, read_ns, NULL};

static void set_up(void)
{
    gateway_world_start(&world);
    error_clear(&err);
    cr_assert_eq(leader_init(&leader, world.store, &fake, &err), ST_OK, "%s", err.text);
    cr_assert_eq(leader_take(&leader, &err), ST_OK, "%s", err.text);
}

static void tear_down(void)
{
    gateway_world_stop(&world);
}

TestSuite(token_ratio, .init = set_up, .fini = tear_down, .timeout = 60);

static double freeze(const char *sweep)
{
    const struct token_ratio_source source = {world.store, &leader, sweep, "p"};
    double ratio = -1;
    error_clear(&err);
    cr_expect_eq(token_ratio_freeze(&source, &ratio, &err), ST_OK, "%s", err.text);
    return ratio;
}

Test(token_ratio, is_a_quarter_until_the_provider_has_counted)
{
    cr_expect_eq(freeze("a-1"), 0.25);
}

Test(token_ratio, is_what_was_counted_with_room_for_its_spread)
{
    gateway_world_run(&world, "HSET interp:limit:{p} ratio 0.3 ratio_dev 0.05");
    cr_expect_float_eq(freeze("a-1"), 0.4, 1e-6);
    gateway_world_run(&world, "HSET interp:limit:{p} ratio 0.9 ratio_dev 0.2");
    cr_expect_eq(freeze("a-2"), 1, "a token has a byte at least");
}

Test(token_ratio, of_a_sweep_stays_whatever_is_measured_later)
{
    const double first = freeze("a-1");
    gateway_world_run(&world, "HSET interp:limit:{p} ratio 0.5 ratio_dev 0");
    cr_expect_eq(freeze("a-1"), first, "replies are found by equal prompts only");
    cr_expect_eq(freeze("a-2"), 0.5);
}

Test(token_ratio, that_is_no_number_is_named)
{
    const struct token_ratio_source source = {world.store, &leader, "a-1", "p"};
    double ratio = -1;
    gateway_world_run(&world, "HSET interp:sweep:a-1 tokens_per_byte many");
    cr_expect_eq(token_ratio_freeze(&source, &ratio, &err), ST_CORRUPT);
    cr_expect(strstr(err.text, "\"many\""), "%s", err.text);
    cr_expect_eq(ratio, -1);
}

Test(token_ratio, is_written_by_the_leader_alone)
{
    struct leader other;
    const struct token_ratio_source source = {world.store, &leader, "a-1", "p"};
    double ratio = -1;
    gateway_world_run(&world, "DEL interp:leader");
    cr_assert_eq(leader_init(&other, world.store, &fake, &err), ST_OK);
    cr_assert_eq(leader_take(&other, &err), ST_OK);
    cr_expect_eq(token_ratio_freeze(&source, &ratio, &err), ST_CONFLICT);
    cr_expect_eq(gateway_world_number(&world, "HEXISTS interp:sweep:a-1 tokens_per_byte"), 0);
}
