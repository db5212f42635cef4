/* Models that are open are shared, counted, and closed only when nobody uses them. */
#include "kernels/plugin.h"
#include "worker/tasks/model_cache.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct backend *backend;
static struct model_cache *cache;
static struct error err;

static void set_up(void)
{
    cr_assert_eq(backend_open_cpu(&backend, &err), ST_OK, "%s", err.text);
    cr_assert_eq(model_cache_create(&cache, backend, &err), ST_OK);
}

static void tear_down(void)
{
    model_cache_destroy(&cache);
    backend_close(&backend);
}

TestSuite(model_cache, .init = set_up, .fini = tear_down, .timeout = 60);

static struct model *open_shuffled(enum compute compute, uint64_t shuffle_seed)
{
    const struct model_wanted wanted = {
        .directory = "config/demo/model", .compute = compute, .shuffle_seed = shuffle_seed};
    struct model *model = NULL;
    cr_assert_eq(model_cache_model(cache, &wanted, &model, &err), ST_OK, "%s", err.text);
    return model;
}

static struct model *open_model(enum compute compute)
{
    return open_shuffled(compute, 0);
}

Test(model_cache, shares_a_model_and_keeps_it_open)
{
    struct model *first = open_model(COMPUTE_F32), *second = open_model(COMPUTE_F32);
    cr_expect_eq(first, second);
    model_cache_release_model(cache, first);
    model_cache_release_model(cache, second);
    cr_expect_eq(open_model(COMPUTE_F32), first, "still open");
    model_cache_release_model(cache, first);
}

Test(model_cache, another_precision_is_another_model)
{
    struct model *f32 = open_model(COMPUTE_F32), *bf16 = open_model(COMPUTE_BF16);
    cr_expect_neq(f32, bf16);
    cr_expect_eq(model_compute(bf16), COMPUTE_BF16);
    model_cache_release_model(cache, f32);
    model_cache_release_model(cache, bf16);
}

Test(model_cache, shuffled_weights_are_another_model_with_another_fingerprint)
{
    static const uint64_t seeds[] = {0, 1, 2};
    struct model *open[3];
    char hex[3][HASH_HEX_SIZE];
    for (size_t i = 0; i < 3; i++) {
        const struct model_wanted wanted = {
            .directory = "config/demo/model", .compute = COMPUTE_F32, .shuffle_seed = seeds[i]};
        open[i] = open_shuffled(COMPUTE_F32, seeds[i]);
        cr_assert_eq(model_cache_model_fingerprint(cache, &wanted, hex[i], &err), ST_OK);
        cr_expect_eq(model_cache_check_model(cache, &wanted, hex[i], &err), ST_OK);
        for (size_t j = 0; j < i; j++) {
            cr_expect_neq(open[i], open[j]);
            cr_expect_eq(model_cache_check_model(cache, &wanted, hex[j], &err), ST_BAD_INPUT);
        }
    }
    cr_expect_eq(open_shuffled(COMPUTE_F32, 2), open[2], "still open");
    cr_expect_eq(model_cache_check_fingerprint(cache, "config/demo/model", hex[0], &err), ST_OK,
                 "seed 0 is the model itself");
    model_cache_release_model(cache, open[2]);
    for (size_t i = 0; i < 3; i++) model_cache_release_model(cache, open[i]);
}

Test(model_cache, a_missing_model_leaves_no_entry)
{
    const struct model_wanted nowhere = {.directory = "/nowhere"};
    struct model *model = NULL;
    for (int i = 0; i < 20; i++) {
        error_clear(&err);
        cr_assert_neq(model_cache_model(cache, &nowhere, &model, &err), ST_OK);
        cr_assert(strstr(err.text, "/nowhere"), "%s", err.text);
    }
    error_clear(&err);
    model_cache_release_model(cache, open_model(COMPUTE_F32));
}

Test(model_cache, a_dictionary_that_is_open_is_not_planned_for_again)
{
    static const char path[] = "config/demo/sae";
    struct model_wanted wanted = {.directory = "config/demo/model"};
    struct dictionary *dictionary = NULL;
    struct model *model = NULL;
    cr_assert_eq(memory_needs_add(&wanted.needs, path, 0, &err), ST_OK, "%s", err.text);
    cr_assert_eq(model_cache_model(cache, &wanted, &model, &err), ST_OK, "%s", err.text);
    cr_expect_eq(model_plan(model)->n_dictionaries, 1);
    cr_expect_gt(model_plan(model)->n_dictionary, 0);
    model_cache_release_model(cache, model);
    cr_assert_eq(model_cache_dictionary(cache, path, 0, &dictionary, &err), ST_OK, "%s", err.text);
    const struct model *before = model;
    cr_assert_eq(model_cache_model(cache, &wanted, &model, &err), ST_OK, "%s", err.text);
    cr_expect_eq(model, before, "still open, planned again");
    cr_expect_eq(model_plan(model)->n_dictionaries, 0);
    cr_expect_eq(model_plan(model)->n_dictionary, 0);
    model_cache_release_model(cache, model);
    model_cache_release_dictionary(cache, dictionary);
}

Test(model_cache, plans_count_every_thread_that_computes)
{
    const struct model_wanted wanted = {.directory = "config/demo/model"};
    struct model *model = NULL;
    model_cache_share(cache, 3, false);
    cr_assert_eq(model_cache_model(cache, &wanted, &model, &err), ST_OK, "%s", err.text);
    cr_expect_eq(model_plan(model)->n_threads, 3);
    model_cache_release_model(cache, model);
}

/* What all of the model takes with them, less 64 bytes. */
static size_t little_less_than(const struct memory_needs *needs)
{
    struct model_config config;
    struct memory_plan plan;
    cr_assert_eq(model_config_read(&config, "config/demo/model", &err), ST_OK);
    const struct memory_plan_params params = {
        .config = &config, .backend = backend, .needs = needs};
    cr_assert_eq(memory_plan_make(&plan, &params, &err), ST_OK, "%s", err.text);
    cr_assert_not(plan.is_streamed);
    const size_t n_least = plan.n_resident + plan.n_smallest;
    return n_least + n_least / 31 - 64; /* a margin of 1/32 */
}

/* --- threads that may be fewer ------------------------------------------------------------- */

static void open_emulated(size_t limit)
{
    model_cache_destroy(&cache);
    backend_close(&backend);
    cr_assert_eq(backend_open("emu", &backend, &err), ST_OK, "%s", err.text);
    if (limit) backend->ops->limit_memory(backend, limit);
    cr_assert_eq(model_cache_create(&cache, backend, &err), ST_OK);
    model_cache_share(cache, 2, true);
}

/* Another thread that wants the model and gives it back. */
struct other_thread {
    struct model_wanted wanted;
    pthread_t thread;
    atomic_bool has_it;
};

static void *want_model(void *context)
{
    struct other_thread *other = context;
    struct model *model = NULL;
    struct error problem = {0};
    if (model_cache_model(cache, &other->wanted, &model, &problem) != ST_OK) return NULL;
    atomic_store(&other->has_it, true);
    model_cache_release_model(cache, model);
    return NULL;
}

static void start_other(struct other_thread *other, size_t n_ctx)
{
    *other =
        (struct other_thread){.wanted = {.directory = "config/demo/model", .needs.n_ctx = n_ctx}};
    cr_assert_eq(pthread_create(&other->thread, NULL, want_model, other), 0);
}

static void expect_wait(struct other_thread *other, struct model *model)
{
    while (!model_cache_is_awaited(cache)) (void)sched_yield();
    cr_expect_not(atomic_load(&other->has_it), "while it is in use");
    model_cache_release_model(cache, model);
    cr_assert_eq(pthread_join(other->thread, NULL), 0);
    cr_expect(atomic_load(&other->has_it));
    cr_expect_not(model_cache_is_awaited(cache));
}

Test(model_cache, two_threads_share_a_model_where_both_have_room)
{
    struct other_thread other;
    open_emulated(0);
    cr_expect_eq(model_cache_n_seats(cache), 1, "before anything is planned");
    struct model *model = open_model(COMPUTE_F32);
    cr_expect_eq(model_plan(model)->n_threads, 2);
    cr_expect_eq(model_cache_n_seats(cache), 2);
    start_other(&other, 0);
    cr_assert_eq(pthread_join(other.thread, NULL), 0);
    cr_expect(atomic_load(&other.has_it), "beside this one");
    model_cache_release_model(cache, model);
}

Test(model_cache, what_was_planned_for_other_needs_is_waited_for)
{
    struct other_thread other;
    open_emulated(0);
    struct model *model = open_model(COMPUTE_F32);
    start_other(&other, 17);
    expect_wait(&other, model);
    model = open_model(COMPUTE_F32);
    cr_expect_eq(model_plan(model)->n_ctx, 128, "planned again for each");
    model_cache_release_model(cache, model);
}

/* The plan of the demo model on the emulator for these needs. */
static struct memory_plan plan_of(const struct memory_needs *needs)
{
    struct model_config config;
    struct memory_plan plan;
    const struct memory_plan_params params = {
        .config = &config, .backend = backend, .needs = needs};
    cr_assert_eq(model_config_read(&config, "config/demo/model", &err), ST_OK);
    cr_assert_eq(memory_plan_make(&plan, &params, &err), ST_OK, "%s", err.text);
    return plan;
}

Test(model_cache, a_model_without_room_for_two_passes_is_one_threads_at_a_time)
{
    struct other_thread other;
    struct memory_needs needs = {.n_threads = 2};
    open_emulated(0);
    struct memory_plan plan = plan_of(&needs);
    const size_t n_two = memory_plan_least(&plan);
    open_emulated(n_two + n_two / 31 - 64); /* a margin of 1/32 */
    plan = plan_of(&needs);
    cr_expect(plan.is_streamed, "if it has to be two");
    struct model *model = open_model(COMPUTE_F32);
    cr_expect(!model_plan(model)->is_streamed && model_plan(model)->n_threads == 1);
    cr_expect_eq(model_cache_n_seats(cache), 1);
    start_other(&other, 0);
    expect_wait(&other, model);
}

Test(model_cache, batches_that_are_whole_go_before_a_second_thread)
{
    struct memory_needs needs = {.n_ctx = 128, .n_rows = 16};
    open_emulated(0);
    const struct memory_plan one = plan_of(&needs);
    const size_t n_whole = memory_plan_least(&one) + 16 * 2 * one.n_sequence;
    backend->ops->limit_memory(backend, n_whole + n_whole / 16);
    needs.n_threads = 2;
    cr_expect_eq(plan_of(&needs).n_threads, 2, "no choice");
    needs.may_be_fewer = true;
    const struct memory_plan plan = plan_of(&needs);
    cr_expect(plan.n_threads == 1 && plan.n_fitting >= 16, "%zu sequences", plan.n_fitting);
}

Test(model_cache, a_full_device_leaves_a_model_to_one_thread_when_nothing_else_helps)
{
    struct other_thread other;
    open_emulated(0);
    struct model *first = open_model(COMPUTE_F32), *second = open_model(COMPUTE_F32);
    model_note_pass(first, true);
    cr_expect(model_cache_relieve(cache, false));
    cr_expect_eq(model_n_halvings(first), 1);
    cr_expect_eq(model_cache_n_seats(cache), 2);
    cr_expect(model_cache_relieve(cache, false), "nothing is left to halve");
    cr_expect_eq(model_cache_n_seats(cache), 1);
    cr_expect_not(model_cache_relieve(cache, false));
    model_cache_release_model(cache, second);
    start_other(&other, 0);
    expect_wait(&other, first);
}

/* A describe task opens the model alone; the capture behind it brings dictionaries. */
Test(model_cache, an_idle_model_is_planned_again_and_opened_anew_where_it_must_stream)
{
    struct model_wanted wanted = {.directory = "config/demo/model"};
    struct model *model = NULL;
    backend_close(&backend);
    cr_assert_eq(backend_open("emu", &backend, &err), ST_OK, "%s", err.text);
    model_cache_destroy(&cache);
    cr_assert_eq(model_cache_create(&cache, backend, &err), ST_OK);
    const struct memory_needs with_dictionary = {
        .n_ctx = 96,
        .n_targets = 1,
        .targets = {{.directory = "x", .d_in = 128, .n_features = 1024}}};
    backend->ops->limit_memory(backend, little_less_than(&with_dictionary));
    cr_assert_eq(model_cache_model(cache, &wanted, &model, &err), ST_OK, "%s", err.text);
    cr_expect_not(model_plan(model)->is_streamed);
    const size_t n_free = model_plan(model)->memory.n_free;
    model_cache_release_model(cache, model);
    wanted.needs.n_ctx = 96;
    cr_assert_eq(model_cache_model(cache, &wanted, &model, &err), ST_OK, "%s", err.text);
    cr_expect_eq(model_plan(model)->n_ctx, 96);
    cr_expect_eq(model_plan(model)->memory.n_free, n_free, "its own bytes count as free");
    wanted.needs = with_dictionary;
    struct model *second = NULL;
    cr_assert_eq(model_cache_model(cache, &wanted, &second, &err), ST_OK, "%s", err.text);
    cr_expect(second == model && !model_plan(model)->is_streamed, "in use: as it is");
    model_cache_release_model(cache, second);
    model_cache_release_model(cache, model);
    cr_assert_eq(model_cache_model(cache, &wanted, &model, &err), ST_OK, "%s", err.text);
    cr_expect(model_plan(model)->is_streamed);
    cr_expect_eq(model_plan(model)->n_dictionaries, 1);
    model_cache_release_model(cache, model);
}

Test(model_cache, another_norm_scaling_factor_is_another_dictionary)
{
    static const char path[] = "tests/golden/dictionaries/standard-expected-unfolded";
    struct dictionary *open[3] = {NULL};
    cr_assert_eq(model_cache_dictionary(cache, path, 0.5, &open[0], &err), ST_OK, "%s", err.text);
    cr_assert_eq(model_cache_dictionary(cache, path, 0.5, &open[1], &err), ST_OK, "%s", err.text);
    cr_assert_eq(model_cache_dictionary(cache, path, 0.25, &open[2], &err), ST_OK, "%s", err.text);
    cr_expect_eq(open[0], open[1]);
    cr_expect_neq(open[0], open[2]);
    for (int i = 0; i < 3; i++) model_cache_release_dictionary(cache, open[i]);
    cr_expect_eq(model_cache_dictionary(cache, path, 0, &open[0], &err), ST_BAD_INPUT);
}

/* Nine copies of a dictionary under nine names: more than the cache holds. */
Test(model_cache, closes_the_one_unused_for_longest_and_never_one_in_use)
{
    enum { N = 9 };
    char root[] = "/tmp/model-cache-XXXXXX", command[160], path[80];
    struct dictionary *open[N] = {NULL};
    cr_assert_not_null(mkdtemp(root));
    for (int i = 0; i < N; i++) {
        (void)snprintf(command, sizeof command, "cp -r config/demo/sae %s/%d", root, i);
        cr_assert_eq(system(command), 0);
    }
    for (int i = 0; i < N; i++) {
        (void)snprintf(path, sizeof path, "%s/%d", root, i);
        error_clear(&err);
        const status_t status = model_cache_dictionary(cache, path, 0, &open[i], &err);
        cr_expect_eq(status, i < N - 1 ? ST_OK : ST_BUSY, "%s", err.text);
    }
    model_cache_release_dictionary(cache, open[3]);
    error_clear(&err);
    (void)snprintf(path, sizeof path, "%s/%d", root, N - 1);
    cr_expect_eq(model_cache_dictionary(cache, path, 0, &open[3], &err), ST_OK, "%s", err.text);
    (void)snprintf(path, sizeof path, "%s/0", root);
    cr_expect_str_eq(dictionary_directory(open[0]), path);
    for (int i = 0; i < N - 1; i++) model_cache_release_dictionary(cache, open[i]);
    (void)snprintf(command, sizeof command, "rm -rf %s", root);
    cr_expect_eq(system(command), 0);
}
