/* One coordinator leads, on a real Redis with a clock that stands still. */
#include "coordinator/dispatch/leader.h"

#include "tests/unit/gateway_redis.h"

#include <criterion/criterion.h>

extern const char embed_coordinator_dispatch_keep_lua[];

static struct gateway_world world;
static int64_t now_ms = 1000000;
static struct error err;

static int64_t read_ns(void *context)
{
    (void)context;
    return now_ms * 1000000;
}

static const struct clock fake = {read_ns, read_ns, NULL};

static void set_up(void)
{
    gateway_world_start(&world);
}

static void tear_down(void)
{
    gateway_world_stop(&world);
}

TestSuite(leader, .init = set_up, .fini = tear_down, .timeout = 60);

static void init(struct leader *leader)
{
    error_clear(&err);
    cr_assert_eq(leader_init(leader, world.store, &fake, &err), ST_OK, "%s", err.text);
}

static status_t keep(struct leader *leader)
{
    error_clear(&err);
    now_ms += LEADER_RENEW_MS;
    return leader_keep(leader, &err);
}

Test(leader, the_first_leads_and_the_second_stands_by_until_it_is_given_up)
{
    struct leader first, second;
    init(&first);
    init(&second);
    cr_assert_eq(leader_take(&first, &err), ST_OK);
    cr_expect_eq(first.epoch, 1);
    cr_assert_eq(leader_take(&second, &err), ST_OK);
    cr_expect_eq(second.epoch, 0);
    leader_release(&first);
    cr_assert_eq(leader_take(&second, &err), ST_OK);
    cr_expect_eq(second.epoch, 2, "an epoch never repeats");
}

Test(leader, renewing_keeps_it_for_as_long_as_it_is_done)
{
    struct leader leader;
    init(&leader);
    cr_assert_eq(leader_take(&leader, &err), ST_OK);
    for (int i = 0; i < 10; i++) cr_assert_eq(keep(&leader), ST_OK, "%s", err.text);
    cr_expect_geq(gateway_world_number(&world, "PTTL interp:leader"), LEADER_LEASE_MS - 500);
}

Test(leader, one_whose_key_ran_out_takes_it_back_and_keeps_it)
{
    struct leader leader;
    init(&leader);
    cr_assert_eq(leader_take(&leader, &err), ST_OK);
    gateway_world_run(&world, "DEL interp:leader"); /* as time does */
    now_ms += 10 * LEADER_LEASE_MS;
    for (int i = 0; i < 3; i++) cr_assert_eq(keep(&leader), ST_OK, "%d: %s", i, err.text);
}

Test(leader, one_that_was_replaced_stops_even_if_the_other_is_gone_again)
{
    struct leader first, second;
    init(&first);
    init(&second);
    cr_assert_eq(leader_take(&first, &err), ST_OK);
    gateway_world_run(&world, "DEL interp:leader");
    cr_assert_eq(leader_take(&second, &err), ST_OK);
    cr_expect_eq(keep(&first), ST_CONFLICT);
    leader_release(&second);
    cr_expect_eq(keep(&first), ST_CONFLICT);
}

Test(leader, releasing_never_takes_anothers_key)
{
    struct leader first, second;
    init(&first);
    init(&second);
    cr_assert_eq(leader_take(&first, &err), ST_OK);
    gateway_world_run(&world, "DEL interp:leader");
    cr_assert_eq(leader_take(&second, &err), ST_OK);
    leader_release(&first);
    cr_expect_eq(gateway_world_number(&world, "EXISTS interp:leader"), 1);
    cr_expect_eq(keep(&second), ST_OK, "%s", err.text);
}

/* A script that writes only for the one that leads. */
static status_t write_fenced(const struct leader *leader)
{
    static struct store_script script;
    struct leader_fence fence;
    error_clear(&err);
    if (!script.source) {
        script = leader_script("keep", embed_coordinator_dispatch_keep_lua);
        cr_assert_eq(store_register_script(world.store, &script, &err), ST_OK);
    }
    leader_fence(leader, &fence);
    const char *const args[] = {
        "key", fence.keys[0], fence.keys[1], fence.args[0], fence.args[1], "mark", "7"};
    return store_run_script(world.store, NULL, &script, 3, 7, args, NULL, &err);
}

Test(leader, the_fence_shuts_out_whoever_was_replaced_and_nobody_else)
{
    struct leader first, second;
    init(&first);
    init(&second);
    cr_assert_eq(leader_take(&first, &err), ST_OK);
    cr_expect_eq(write_fenced(&first), ST_OK, "%s", err.text);
    gateway_world_run(&world, "DEL interp:leader"); /* ran out, and nobody came */
    cr_expect_eq(write_fenced(&first), ST_OK, "%s", err.text);
    cr_assert_eq(leader_take(&second, &err), ST_OK);
    cr_expect_eq(write_fenced(&first), ST_CONFLICT);
    cr_expect_eq(write_fenced(&second), ST_OK, "%s", err.text);
    leader_release(&second);
    cr_expect_eq(write_fenced(&first), ST_CONFLICT, "also when the other is gone again");
}

Test(leader, one_in_doubt_asks_at_once)
{
    struct leader first, second;
    init(&first);
    init(&second);
    cr_assert_eq(leader_take(&first, &err), ST_OK);
    cr_assert_eq(keep(&first), ST_OK);
    gateway_world_run(&world, "DEL interp:leader");
    cr_assert_eq(leader_take(&second, &err), ST_OK);
    cr_expect_eq(leader_keep(&first, &err), ST_OK, "not due yet");
    leader_doubt(&first);
    cr_expect_eq(leader_keep(&first, &err), ST_CONFLICT);
}
