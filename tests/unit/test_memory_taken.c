/* What a memory plan counts against what is then taken, on a device (the host emulator's) of just
 * that size: all of it fits, and it is so nearly full that whatever the plan forgot would not. */
#include "kernels/plugin.h"
#include "tests/unit/task_world.h"
#include "worker/model/encoder.h"
#include "worker/model/forward.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { N_CTX = 64, N_PROMPTS = 32, TALLY_K = 64, N_FEATURES = 16384 };
static const char DEMO[] = "config/demo/model", DICTIONARY[] = "config/demo/sae";
static const char SMALL[] = "tests/golden/models/gpt2-bare-names"; /* 113 tokens, 64 positions */

static struct backend *open_device(size_t limit)
{
    struct backend *backend = NULL;
    struct error err = {0};
    cr_assert_eq(backend_open("emu", &backend, &err), ST_OK, "%s", err.text);
    if (limit) backend->ops->limit_memory(backend, limit);
    return backend;
}

/* Closes the backend. */
static struct memory_plan plan_on(struct backend *backend, const char *directory,
                                  const struct memory_needs *needs, enum compute compute)
{
    struct model_config config;
    struct memory_plan plan;
    struct error err = {0};
    cr_assert_eq(model_config_read(&config, directory, &err), ST_OK, "%s", err.text);
    const struct memory_plan_params params = {
        .config = &config, .backend = backend, .compute = compute, .needs = needs};
    cr_assert_eq(memory_plan_make(&plan, &params, &err), ST_OK, "%s", err.text);
    backend_close(&backend);
    return plan;
}

static struct memory_plan plan_in(const char *directory, const struct memory_needs *needs,
                                  enum compute compute)
{
    return plan_on(open_device(0), directory, needs, compute);
}

static struct memory_plan plan_for(const char *directory, const struct memory_needs *needs)
{
    return plan_in(directory, needs, COMPUTE_F32);
}

/* What has to be free so that `n_bytes` are usable (memory_plan.c leaves a margin of 1/32). */
static size_t free_for(size_t n_bytes)
{
    return n_bytes + n_bytes / 31 + 1;
}

/* n_part: the part of the plan that the test is about. A plan without it would be too small. */
static void expect_taken(const struct backend *backend, const struct memory_plan *plan,
                         size_t n_part, const char *what)
{
    const size_t n_planned = memory_plan_least(plan);
    const size_t n_taken =
        backend->ops->memory(backend).n_total - backend->ops->memory(backend).n_free;
    cr_expect_leq(n_taken, n_planned, "%s: %zu bytes taken, %zu planned", what, n_taken, n_planned);
    cr_expect_gt(n_taken, n_planned - n_part,
                 "%s: %zu of %zu bytes taken, so that %zu for it are "
                 "not seen",
                 what, n_taken, n_planned, n_part);
}

/* --- captures ------------------------------------------------------------------------------ */

enum { N_ROWS = 4 }; /* a row block of tokens */

/* A thread with a pass and an encoder, as a capture has them. */
struct thread {
    struct forward *forward;
    struct encoder *encoder;
};

static void run_digest(struct thread *t, const float *acts, size_t n_windows)
{
    const struct digest_window window = {.n_tokens = N_CTX, .may_be_kept = 1};
    const struct digest_params params = {.n_tokens = N_ROWS * N_CTX,
                                         .windows = &window,
                                         .n_windows = 1,
                                         .room_windows = n_windows,
                                         .top_k = 20,
                                         .bin_k = 6};
    struct digest digest;
    struct error err = {0};
    cr_assert_eq(encoder_digest_device(t->encoder, acts, &params, &digest, &err), ST_OK, "%s",
                 err.text);
    cr_expect_not(digest.is_over);
}

static void run_thread(struct thread *t, struct model *model, struct dictionary *dictionary,
                       const struct memory_target *target)
{
    static const struct hook_point hook = {HOOK_RESID_PRE, 1};
    uint32_t tokens[N_ROWS * N_CTX], lengths[N_ROWS];
    const float *acts;
    const bool stays = true;
    struct sparse_rows rows;
    struct error err = {0};
    for (size_t i = 0; i < N_ROWS * N_CTX; i++) tokens[i] = (uint32_t)(i * 7 % 113);
    for (size_t i = 0; i < N_ROWS; i++) lengths[i] = N_CTX;
    const struct forward_params forward = {.model = model, .n_rows = N_ROWS, .n_ctx = N_CTX};
    const struct encoder_params encoder = {.dictionary = dictionary, .tally_k = target->tally_k};
    const struct forward_input input = {.tokens = tokens, .row_lengths = lengths, .stays = &stays};
    cr_assert_eq(forward_create(&t->forward, &forward, &err), ST_OK, "%s", err.text);
    cr_assert_eq(encoder_create(&t->encoder, &encoder, &err), ST_OK, "%s", err.text);
    cr_assert_eq(forward_run(t->forward, &input, &hook, 1, &acts, &err), ST_OK, "%s", err.text);
    cr_assert_eq(encoder_run_device(t->encoder, acts, N_ROWS * N_CTX, &rows, &err), ST_OK, "%s",
                 err.text);
    if (target->digest_windows) run_digest(t, acts, target->digest_windows);
}

static void expect_capture(const struct memory_needs *needs, enum compute compute, size_t n_part,
                           const char *what)
{
    enum { MOST_THREADS = 4 };
    const struct memory_plan plan = plan_in(DEMO, needs, compute);
    struct thread threads[MOST_THREADS] = {{.forward = NULL}};
    struct dictionary *dictionary = NULL;
    struct model *model = NULL;
    const struct packed *head;
    struct error err = {0};
    struct backend *backend = open_device(free_for(memory_plan_least(&plan)));
    const struct model_params params = {
        .directory = DEMO, .backend = backend, .compute = compute, .needs = needs};
    const struct dictionary_params of = {.directory = DICTIONARY, .backend = backend};
    cr_assert_eq(model_open(&model, &params, &err), ST_OK, "%s", err.text);
    cr_expect_not(model_plan(model)->is_streamed);
    cr_assert_eq(model_head(model, &head, &err), ST_OK, "%s", err.text);
    cr_assert_eq(dictionary_open(&dictionary, &of, &err), ST_OK, "%s", err.text);
    for (size_t i = 0; i < plan.n_threads; i++)
        run_thread(&threads[i], model, dictionary, &needs->targets[0]);
    expect_taken(backend, &plan, n_part, what);
    for (size_t i = 0; i < plan.n_threads; i++) {
        encoder_destroy(&threads[i].encoder);
        forward_destroy(&threads[i].forward);
    }
    dictionary_close(&dictionary);
    model_close(&model);
    backend_close(&backend);
}

static struct memory_needs capture_needs(size_t n_threads, size_t tally_k)
{
    struct memory_needs needs = {.n_ctx = N_CTX, .n_rows = N_ROWS, .n_threads = n_threads};
    struct error err = {0};
    cr_assert_eq(memory_needs_add(&needs, DICTIONARY, 0, &err), ST_OK, "%s", err.text);
    needs.targets[0].tally_k = tally_k;
    return needs;
}

Test(memory_taken, a_tally_is_planned)
{
    const struct memory_needs needs = capture_needs(1, TALLY_K), without = capture_needs(1, 0);
    const struct memory_plan a = plan_for(DEMO, &needs), b = plan_for(DEMO, &without);
    cr_expect_eq(a.n_scratch - b.n_scratch, N_FEATURES * (1 + TALLY_K) * sizeof(uint64_t));
    expect_capture(&needs, COMPUTE_F32, a.n_scratch - b.n_scratch, "a tally");
}

Test(memory_taken, rounded_rows_of_products_are_planned)
{
    static const struct {
        enum compute compute;
        size_t n_parts;
    } CASES[] = {{COMPUTE_BF16, 1}, {COMPUTE_BF16X3, 2}};
    const struct memory_needs needs = capture_needs(1, 0);
    const size_t n_exact = plan_in(DEMO, &needs, COMPUTE_F32).n_scratch;
    for (size_t i = 0; i < 2; i++) {
        const struct memory_plan plan = plan_in(DEMO, &needs, CASES[i].compute);
        const size_t n_part = plan.n_scratch - n_exact;
        cr_expect_eq(n_part, CASES[i].n_parts * (256 * 512 * sizeof(uint16_t)) * 3 / 2);
        expect_capture(&needs, CASES[i].compute, memory_plan_least(&plan),
                       compute_name(CASES[i].compute));
    }
}

Test(memory_taken, a_digest_is_planned)
{
    struct memory_needs needs = capture_needs(1, 0);
    needs.targets[0].digest_windows = 64;
    const struct memory_plan plan = plan_for(DEMO, &needs);
    cr_expect(plan.has_digests);
    expect_capture(&needs, COMPUTE_F32, plan.n_digest, "a digest");
}

/* One byte less than a whole batch and the digests take: the batch stays whole. */
Test(memory_taken, a_capture_does_without_digests_where_they_would_cost_a_batch)
{
    struct memory_needs needs = capture_needs(1, 0);
    needs.targets[0].digest_windows = 64;
    const struct memory_plan all = plan_for(DEMO, &needs);
    const size_t n_wanted = all.n_resident + all.n_kept + 2 * N_ROWS * all.n_sequence;
    for (size_t n_less = 0; n_less < 2; n_less++) {
        const struct memory_plan plan =
            plan_on(open_device(free_for(n_wanted) - 2 * n_less), DEMO, &needs, COMPUTE_F32);
        cr_expect_eq(plan.has_digests, n_less == 0, "%zu less", n_less);
        cr_expect_not(plan.is_streamed);
        cr_expect_geq(plan.n_fitting, N_ROWS);
    }
}

Test(memory_taken, every_thread_is_planned)
{
    const struct memory_needs three = capture_needs(3, 8), two = capture_needs(2, 8);
    const struct memory_plan a = plan_for(DEMO, &three), b = plan_for(DEMO, &two);
    cr_expect_eq(memory_plan_least(&a) - memory_plan_least(&b), a.n_scratch + a.n_smallest);
    cr_expect_eq(a.n_dictionary, b.n_dictionary, "which they share");
    expect_capture(&three, COMPUTE_F32, a.n_scratch + a.n_smallest, "a thread");
}

/* --- ablations ----------------------------------------------------------------------------- */

static json_t *make_spec(bool is_compared)
{
    json_t *late = json_array();
    for (int i = 0; i < N_PROMPTS; i++)
        (void)json_array_append_new(late, json_pack("[i]", N_CTX - 1));
    return json_pack("{s:s s:s s:s s:s s:i s:s s:b s:o s:[] s:[o]}", "kind", "ablate", "model",
                     SMALL, "fingerprint", "", "compute", "f32", "n_ctx", N_CTX, "mean", "overall",
                     "vocabulary", is_compared, "prompts", task_world_prompts(N_PROMPTS, N_CTX),
                     "reference", "positions", late);
}

/* A head set to zero everywhere, and at the last position. */
static void run_unit(struct task_world *world, void *task)
{
    uint32_t ends[] = {1, 2};
    struct ablate_change changes[] = {
        {.at = {ABLATE_Z, 1, 0, 16}, .value = ABLATE_ZERO},
        {.at = {ABLATE_Z, 1, 0, 16}, .value = ABLATE_ZERO, .positions = 1}};
    const struct ablate_unit unit = {2, ends, changes};
    const struct wire_text none = {"", 0};
    struct buffer payload, bytes;
    buffer_init(&payload, 1 << 20);
    buffer_init(&bytes, 1 << 20);
    cr_assert_eq(ablate_unit_encode(&unit, &payload, &world->err), ST_OK);
    const struct wire_text text = {(const char *)payload.bytes, payload.n_bytes};
    cr_assert_eq(ablate_task_handler.run(task, 0, text, none, &bytes, &world->err), ST_OK, "%s",
                 world->err.text);
    buffer_fini(&payload);
    buffer_fini(&bytes);
}

/* What whoever loads weights computes with, which the plan has room for. */
static struct exec *open_exec(struct task_world *world)
{
    const struct exec_params params = {.row_block = 1};
    struct exec *exec = NULL;
    cr_assert_eq(world->backend->ops->exec_create(&exec, world->backend, &params, &world->err),
                 ST_OK, "%s", world->err.text);
    return exec;
}

static const struct memory_needs ABLATION = {
    .n_ctx = N_CTX, .n_prompts = N_PROMPTS, .n_columns = 2 * N_PROMPTS};

static void expect_ablation(const struct memory_needs *needs, size_t n_part, const char *what)
{
    const struct memory_plan plan = plan_for(SMALL, needs);
    struct task_world world = {.backend = NULL};
    void *task = NULL;
    task_world_open(&world, "emu");
    world.backend->ops->limit_memory(world.backend, free_for(memory_plan_least(&plan)));
    const struct task_environment environment = task_world_environment(&world);
    json_t *spec = make_spec(needs->is_compared);
    cr_assert_eq(ablate_task_handler.open(&task, &environment, spec, &world.err), ST_OK, "%s: %s",
                 what, world.err.text);
    json_decref(spec);
    struct exec *loader = open_exec(&world);
    run_unit(&world, task);
    expect_taken(world.backend, &plan, n_part, what);
    world.backend->ops->exec_destroy(loader);
    ablate_task_handler.close(task);
    task_world_close(&world);
}

Test(memory_taken, the_clean_pass_of_an_ablation_is_planned)
{
    const struct memory_plan plan = plan_for(SMALL, &ABLATION);
    cr_expect_eq(plan.n_clean, N_PROMPTS * plan.n_cache);
    expect_ablation(&ABLATION, plan.n_clean, "clean passes");
}

Test(memory_taken, comparisons_are_planned)
{
    struct memory_needs needs = ABLATION;
    needs.is_compared = true;
    const struct memory_plan plan = plan_for(SMALL, &needs);
    cr_expect_gt(plan.n_compare, 2 * N_PROMPTS * 2048 * sizeof(float));
    expect_ablation(&needs, plan.n_compare, "comparisons");
}

/* --- refusals ------------------------------------------------------------------------------ */

Test(memory_taken, what_does_not_fit_says_what_takes_how_much)
{
    struct memory_needs needs = ABLATION;
    struct memory_plan plan;
    struct model *model = NULL;
    struct error err = {0};
    char want[256];
    needs.is_compared = true;
    needs.n_threads = 3;
    plan = plan_for(SMALL, &needs);
    struct backend *backend = open_device(plan.n_threads * plan.n_clean);
    const struct model_params params = {.directory = SMALL, .backend = backend, .needs = &needs};
    const double mib = 1024.0 * 1024.0;
    (void)snprintf(
        want, sizeof want,
        "scratch %.1f, comparisons %.1f, clean passes %.1f, a pass over 64 tokens %.1f), ",
        3 * (double)plan.n_scratch / mib, 3 * (double)plan.n_compare / mib,
        3 * (double)plan.n_clean / mib, 3 * (double)plan.n_smallest / mib);
    cr_expect_eq(model_open(&model, &params, &err), ST_NO_MEMORY);
    cr_expect(strstr(err.text, want), "%s, not %s", err.text, want);
    cr_expect(strstr(err.text, " (MiB, for 3 threads: weights "), "%s", err.text);
    backend_close(&backend);
}
