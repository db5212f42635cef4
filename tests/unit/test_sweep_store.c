/* Sweeps in a real Redis: accepted once per key, read back as they were, written by the leader
 * only. */
#include "coordinator/sweep/sweep_store.h"

#include "tests/unit/gateway_redis.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct gateway_world world;
static struct leader leader;
static struct sweep_store sweeps;
static struct error err;

static int64_t read_ns(void *context)
{
    (void)context;
    return 1000000;
}

static const struct clock fake = {read_ns, read_ns, NULL};

static void lead(struct leader *one)
{
    error_clear(&err);
    cr_assert_eq(leader_init(one, world.store, &fake, &err), ST_OK, "%s", err.text);
    cr_assert_eq(leader_take(one, &err), ST_OK, "%s", err.text);
    cr_assert_gt(one->epoch, 0);
}

static void set_up(void)
{
    gateway_world_start(&world);
    lead(&leader);
    cr_assert_eq(sweep_store_init(&sweeps, world.store, &leader, &err), ST_OK, "%s", err.text);
}

static void tear_down(void)
{
    gateway_world_stop(&world);
}

TestSuite(sweep_store, .init = set_up, .fini = tear_down, .timeout = 60);

/* A sweep that the registry has just accepted; its spec is the caller's to free. */
static struct sweep make_sweep(const char *yaml, int64_t created_unix_ms)
{
    const struct sweep_text text = {yaml, strlen(yaml), "s.yaml", NULL};
    struct sweep made = {.state = SWEEP_RUNNING,
                         .created_unix_ms = created_unix_ms,
                         .started_unix_ms = created_unix_ms + 1};
    error_clear(&err);
    cr_assert_eq(sweep_spec_parse(&made.spec, &text, &err), ST_OK, "%s", err.text);
    return made;
}

static status_t submit(struct sweep *sweep, const char *client_key, bool *is_new)
{
    error_clear(&err);
    return sweep_store_submit(&sweeps, sweep, client_key, is_new, &err);
}

/* One that is stored, without its spec. */
static struct sweep stored(const char *yaml, const char *client_key, int64_t created_unix_ms)
{
    bool is_new = false;
    struct sweep sweep = make_sweep(yaml, created_unix_ms);
    cr_assert_eq(submit(&sweep, client_key, &is_new), ST_OK, "%s", err.text);
    cr_assert(is_new);
    sweep_spec_free(&sweep.spec);
    return sweep;
}

static status_t load(const char *id, struct sweep *out)
{
    error_clear(&err);
    return sweep_store_load(&sweeps, id, out, &err);
}

static const char NOOP[] = "kind: noop\nname: n\n";
static const char PAID[] =
    "kind: label\nname: caf-1\nmodel: /m\ncorpus: {path: /c.jsonl}\nexplainer: a\njudge: b\n"
    "targets:\n- {hook: blocks.2.hook_resid_pre, dictionary: /sae}\nbudget_dollars: 2.5\n";

/* --- accepting ----------------------------------------------------------------------------- */

Test(sweep_store, a_submitted_sweep_comes_back_as_it_was)
{
    struct sweep sweep = make_sweep(PAID, 1700000000123), back;
    bool is_new = false;
    cr_assert_eq(submit(&sweep, "key", &is_new), ST_OK, "%s", err.text);
    cr_expect(is_new);
    cr_expect_str_eq(sweep.id, "caf-1-1");
    cr_assert_eq(load(sweep.id, &back), ST_OK, "%s", err.text);
    char *want = sweep_spec_to_json(sweep.spec), *got = sweep_spec_to_json(back.spec);
    cr_expect_str_eq(got, want);
    cr_expect_str_eq(back.id, sweep.id);
    cr_expect_str_eq(back.reason, "");
    cr_expect_eq(back.state, SWEEP_RUNNING);
    cr_expect_eq(back.created_unix_ms, 1700000000123);
    cr_expect_eq(back.started_unix_ms, 1700000000124);
    cr_expect_eq(back.finished_unix_ms, 0);
    cr_expect_not(back.must_forget);
    free(want);
    free(got);
    sweep_spec_free(&sweep.spec);
    sweep_spec_free(&back.spec);
}

Test(sweep_store, a_client_key_makes_one_sweep)
{
    const struct sweep first = stored(NOOP, "key", 1000);
    struct sweep again = make_sweep(PAID, 2000);
    bool is_new = true;
    cr_assert_eq(submit(&again, "key", &is_new), ST_OK, "%s", err.text);
    cr_expect_not(is_new);
    cr_expect_str_eq(again.id, first.id);
    cr_expect_eq(gateway_world_number(&world, "ZCARD interp:sweeps"), 1);
    cr_expect_eq(gateway_world_number(&world, "SCARD interp:active"), 1);
    cr_expect_eq(gateway_world_number(&world, "EXISTS interp:sweep:caf-1-2"), 0);
    const long long ttl = gateway_world_number(&world, "TTL interp:client:key");
    cr_expect(ttl > 29 * 86400 && ttl <= 30 * 86400, "%lld s", ttl);
    sweep_spec_free(&again.spec);
}

Test(sweep_store, the_first_task_of_a_new_sweep_is_opened_with_it_and_said_once)
{
    struct sweep sweep = make_sweep(NOOP, 1000), again = make_sweep(NOOP, 2000);
    bool is_new = false;
    cr_assert_eq(submit(&sweep, "key", &is_new), ST_OK, "%s", err.text);
    cr_expect_eq(gateway_world_number(&world, "EXISTS interp:{n-1/noop}:open"), 1);
    cr_expect(sweep_take_new_task(&sweep));
    cr_expect_not(sweep_take_new_task(&sweep));
    cr_assert_eq(submit(&again, "key", &is_new), ST_OK, "%s", err.text);
    cr_expect_not(sweep_take_new_task(&again), "its task may have results");
    sweep_spec_free(&sweep.spec);
    sweep_spec_free(&again.spec);
}

Test(sweep_store, ids_are_listed_oldest_first_and_never_repeat)
{
    static const int64_t created[] = {3000, 1000, 2000};
    static const char *const want[] = {"n-2", "n-3", "n-1"};
    static const char *const keys[] = {"a", "b", "c"};
    char **ids = NULL;
    size_t n = 0;
    cr_assert_eq(sweep_store_ids(&sweeps, &ids, &n, &err), ST_OK);
    cr_expect_eq(n, 0);
    sweep_store_free_ids(ids, n);
    for (size_t i = 0; i < 3; i++) (void)stored(NOOP, keys[i], created[i]);
    cr_assert_eq(sweep_store_ids(&sweeps, &ids, &n, &err), ST_OK);
    cr_assert_eq(n, 3);
    for (size_t i = 0; i < 3; i++) cr_expect_str_eq(ids[i], want[i]);
    sweep_store_free_ids(ids, n);
}

Test(sweep_store, too_many_unfinished_sweeps_are_refused_until_one_is_forgotten)
{
    char command[64];
    bool is_new;
    const struct sweep old = stored(NOOP, "old", 1);
    for (int i = 0; i < 999; i++) {
        (void)snprintf(command, sizeof command, "SADD interp:active other-%d", i);
        gateway_world_run(&world, command);
    }
    struct sweep sweep = make_sweep(NOOP, 2);
    cr_expect_eq(submit(&sweep, "new", &is_new), ST_BUSY);
    cr_expect(strstr(err.text, "too many sweeps are unfinished"), "%s", err.text);
    cr_expect_eq(gateway_world_number(&world, "ZCARD interp:sweeps"), 1);
    cr_expect_eq(gateway_world_number(&world, "EXISTS interp:client:new"), 0);
    cr_expect_eq(submit(&sweep, "old", &is_new), ST_OK, "an accepted one is answered all the same");
    cr_expect(!is_new && strcmp(sweep.id, old.id) == 0);
    cr_assert_eq(sweep_store_forgotten(&sweeps, &old, &err), ST_OK);
    cr_expect_eq(submit(&sweep, "new", &is_new), ST_OK, "%s", err.text);
    cr_expect(is_new);
    sweep_spec_free(&sweep.spec);
}

Test(sweep_store, a_client_key_without_end_is_refused)
{
    char key[300];
    bool is_new;
    struct sweep sweep = make_sweep(NOOP, 1);
    memset(key, 'k', sizeof key - 1);
    key[sizeof key - 1] = '\0';
    cr_expect_eq(submit(&sweep, key, &is_new), ST_BAD_INPUT);
    cr_expect_str_eq(err.text, "client_key: too long");
    cr_expect_eq(gateway_world_number(&world, "ZCARD interp:sweeps"), 0);
    sweep_spec_free(&sweep.spec);
}

/* --- changing ------------------------------------------------------------------------------ */

Test(sweep_store, every_state_is_kept_with_its_reason_and_times)
{
    static const struct {
        enum sweep_state state;
        bool is_active, must_forget; /* in the store after it; on loading it */
    } cases[] = {
        {SWEEP_PAUSED, true, false}, {SWEEP_RUNNING, true, false},  {SWEEP_FAILED, false, false},
        {SWEEP_QUEUED, true, false}, {SWEEP_CANCELLED, true, true}, {SWEEP_FINISHED, true, true},
    };
    struct sweep sweep = stored(NOOP, "key", 1000);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sweep back;
        sweep.state = cases[i].state;
        sweep.finished_unix_ms = 5000 + (int64_t)i;
        (void)snprintf(sweep.reason, sizeof sweep.reason, "because %zu %%s \"x\" of\n it", i);
        cr_assert_eq(sweep_store_save(&sweeps, &sweep, &err), ST_OK, "%s", err.text);
        cr_expect_eq(gateway_world_number(&world, "SISMEMBER interp:active n-1"),
                     cases[i].is_active, "case %zu", i);
        cr_assert_eq(load("n-1", &back), ST_OK, "%s", err.text);
        cr_expect_eq(back.state, cases[i].state);
        cr_expect_eq(back.must_forget, cases[i].must_forget, "case %zu", i);
        cr_expect_str_eq(back.reason, sweep.reason);
        cr_expect_eq(back.finished_unix_ms, sweep.finished_unix_ms);
        cr_expect_eq(back.created_unix_ms, 1000, "what was not given is as it was");
        sweep_spec_free(&back.spec);
    }
    struct sweep back;
    cr_assert_eq(sweep_store_forgotten(&sweeps, &sweep, &err), ST_OK);
    cr_assert_eq(load("n-1", &back), ST_OK);
    cr_expect_not(back.must_forget, "forgotten is forgotten");
    sweep_spec_free(&back.spec);
}

Test(sweep_store, a_new_budget_stays_with_the_spec)
{
    struct sweep sweep = make_sweep(PAID, 1), back;
    bool is_new;
    cr_assert_eq(submit(&sweep, "key", &is_new), ST_OK);
    sweep.spec->budget_dollars = 7.25;
    cr_assert_eq(sweep_store_save_spec(&sweeps, &sweep, &err), ST_OK, "%s", err.text);
    cr_assert_eq(load(sweep.id, &back), ST_OK, "%s", err.text);
    cr_expect_eq(back.spec->budget_dollars, 7.25);
    cr_expect_str_eq(back.spec->explainer, "a");
    sweep_spec_free(&sweep.spec);
    sweep_spec_free(&back.spec);
}

/* --- fences -------------------------------------------------------------------------------- */

Test(sweep_store, a_deposed_leader_writes_nothing)
{
    struct leader other;
    struct sweep old = stored(PAID, "key", 1), sweep = make_sweep(NOOP, 2), back;
    bool is_new;
    gateway_world_run(&world, "DEL interp:leader"); /* as time does */
    lead(&other);
    cr_expect_eq(submit(&sweep, "new", &is_new), ST_CONFLICT, "%s", err.text);
    old.state = SWEEP_CANCELLED;
    old.spec = sweep.spec;
    cr_expect_eq(sweep_store_save(&sweeps, &old, NULL), ST_CONFLICT);
    cr_expect_eq(sweep_store_save_spec(&sweeps, &old, NULL), ST_CONFLICT);
    cr_expect_eq(sweep_store_forgotten(&sweeps, &old, NULL), ST_CONFLICT);
    cr_expect_eq(gateway_world_number(&world, "ZCARD interp:sweeps"), 1);
    cr_expect_eq(gateway_world_number(&world, "EXISTS interp:client:new"), 0);
    cr_expect_eq(gateway_world_number(&world, "SISMEMBER interp:active caf-1-1"), 1);
    cr_assert_eq(load(old.id, &back), ST_OK, "reading needs no leadership: %s", err.text);
    cr_expect_eq(back.state, SWEEP_RUNNING);
    cr_expect_eq(back.spec->kind, SWEEP_KIND_LABEL);
    sweep_spec_free(&back.spec);
    sweep_spec_free(&sweep.spec);
}

/* --- reading ------------------------------------------------------------------------------- */

Test(sweep_store, what_cannot_be_read_is_corrupt_and_what_is_not_there_is_not_found)
{
    static const struct {
        const char *damage, *want;
    } cases[] = {
        {"HDEL interp:sweep:n-1 spec", "no spec is stored"},
        {"HDEL interp:sweep:n-1 state", "no state is stored"},
        {"HSET interp:sweep:n-1 state asleep", "unknown sweep state \"asleep\""},
        {"HSET interp:sweep:n-1 spec {\"kind\":\"dance\"}", "dance"},
        {"HSET interp:sweep:n-1 spec {\"kind\":\"noop\",\"from_the_future\":1}", "from_the_future"},
        {"HSET interp:sweep:n-1 spec {", "spec"},
    };
    struct sweep back;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct sweep sweep = stored(NOOP, "key", 1000);
        gateway_world_run(&world, "HSET interp:sweep:n-1 isa avx512 reason why");
        gateway_world_run(&world, cases[i].damage);
        cr_expect_eq(load(sweep.id, &back), ST_CORRUPT, "%s: %s", cases[i].damage, err.text);
        cr_expect(strstr(err.text, cases[i].want), "%s: %s", cases[i].damage, err.text);
        cr_expect(strstr(err.text, "stored sweep n-1"), "%s", err.text);
        cr_expect_null(back.spec);
        cr_expect_eq(back.created_unix_ms, 1000, "the rest is there");
        cr_expect_str_eq(back.share.pin.isa, "avx512");
        cr_expect_str_eq(back.reason, "why");
        gateway_world_run(&world, "FLUSHALL");
        lead(&leader);
    }
    cr_expect_eq(load("n-1", &back), ST_NOT_FOUND);
    cr_expect_str_eq(err.text, "no sweep \"n-1\"");
}

Test(sweep_store, a_store_that_is_away_is_unreachable)
{
    char **ids = NULL;
    size_t n = 0;
    bool is_new;
    struct sweep sweep = make_sweep(NOOP, 1), back;
    (void)signal(SIGPIPE, SIG_IGN); /* as every program does */
    (void)kill((pid_t)world.pid, SIGKILL);
    cr_expect_eq(submit(&sweep, "key", &is_new), ST_UNREACHABLE, "%s", err.text);
    cr_expect_eq(sweep_store_ids(&sweeps, &ids, &n, NULL), ST_UNREACHABLE);
    cr_expect_null(ids);
    cr_expect_eq(load("n-1", &back), ST_UNREACHABLE, "%s", err.text);
    cr_expect_eq(sweep_store_save(&sweeps, &sweep, NULL), ST_UNREACHABLE);
    sweep_spec_free(&sweep.spec);
}
