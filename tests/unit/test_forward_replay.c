/* Passes over one model on the emulated device: layers that nothing looks into are replayed from
 * the second run on, with the same bits as one by one, and then nothing is allocated any more. */
#include "tests/unit/emulated.h"
#include "worker/model/encoder.h"
#include "worker/model/forward.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static const char MODEL[] = "tests/golden/models/gpt2-tied";
enum { N_ROWS = 2, N_CTX = 5, N_TOKENS = N_ROWS * N_CTX };

struct fixture {
    struct backend *backend;
    struct model *model;
    struct error err;
};

static void open_model(struct fixture *f, const struct emulated_mode *mode, enum compute compute)
{
    *f = (struct fixture){.backend = NULL};
    emulated_set_mode(mode);
    cr_assert_eq(backend_open("emu", &f->backend, &f->err), ST_OK, "%s", f->err.text);
    const struct model_params params = {
        .directory = MODEL, .backend = f->backend, .compute = compute};
    cr_assert_eq(model_open(&f->model, &params, &f->err), ST_OK, "%s", f->err.text);
}

static void close_model(struct fixture *f)
{
    model_close(&f->model);
    backend_close(&f->backend);
}

static struct forward *open_forward(struct fixture *f, atomic_uint_fast64_t *progress)
{
    struct forward *forward = NULL;
    const struct forward_params params = {
        .model = f->model, .n_rows = N_ROWS, .n_ctx = N_CTX, .progress = progress};
    cr_assert_eq(forward_create(&forward, &params, &f->err), ST_OK, "%s", f->err.text);
    return forward;
}

/* The batch of a seed, run to `hook`; the values are the forward's. */
static const float *run(struct fixture *f, struct forward *forward, unsigned seed,
                        struct hook_point hook)
{
    const float *out = NULL;
    const uint32_t lengths[N_ROWS] = {N_CTX - seed % 2, 1 + seed % N_CTX};
    uint32_t tokens[N_TOKENS];
    const struct forward_input input = {.tokens = tokens, .row_lengths = lengths};
    for (unsigned i = 0; i < N_TOKENS; i++)
        tokens[i] = (seed * 31 + i * 7) % (unsigned)model_config(f->model)->n_vocab;
    cr_assert_eq(forward_run(forward, &input, &hook, 1, &out, &f->err), ST_OK, "%s", f->err.text);
    return out;
}

static struct criterion_test_params all_modes(void)
{
    return cr_make_param_array(struct emulated_mode, EMULATED_MODES, EMULATED_N_MODES);
}

ParameterizedTestParameters(forward_replay, has_the_bits_of_the_first_run)
{
    return all_modes();
}

ParameterizedTest(struct emulated_mode *mode, forward_replay, has_the_bits_of_the_first_run)
{
    struct fixture f;
    open_model(&f, mode, COMPUTE_BF16X3);
    const struct model_config *c = model_config(f.model);
    const struct hook_point hooks[] = {{HOOK_LOGITS, 0}, {HOOK_MLP_POST, c->n_layers - 1}};
    atomic_uint_fast64_t ticks = 0;
    struct forward *kept = open_forward(&f, &ticks);
    for (unsigned seed = 0; seed < 8; seed++) {
        const struct hook_point hook = hooks[seed / 2 % 2];
        const size_t n_bytes = N_TOKENS * hook_point_width(hook, c) * sizeof(float);
        struct forward *fresh = open_forward(&f, NULL);
        const float *want = run(&f, fresh, seed, hook), *got = run(&f, kept, seed, hook);
        cr_expect_eq(memcmp(got, want, n_bytes), 0, "%s: run %u", mode->name, seed);
        forward_destroy(&fresh);
    }
    cr_expect_eq(atomic_load(&ticks), 4 * c->n_layers + 4 * (c->n_layers - 1), "%zu ticks",
                 (size_t)atomic_load(&ticks));
    forward_destroy(&kept);
    close_model(&f);
}

/* A dictionary that fires often enough, on the residual stream of `width` values. */
static struct sparse *make_sparse(struct fixture *f, size_t width, size_t n_features)
{
    struct sparse *sparse = NULL;
    float *weights = malloc(width * n_features * sizeof *weights);
    float *bias = calloc(n_features, sizeof *bias);
    cr_assert(weights && bias);
    for (size_t i = 0; i < width * n_features; i++)
        weights[i] = (float)emulated_random() * 0x1p-31f - 1;
    const struct sparse_params params = {
        .n_in = width, .n_features = n_features, .weights = weights, .bias = bias, .k = 9};
    cr_assert_eq(f->backend->ops->sparse_create(&sparse, f->backend, &params, &f->err), ST_OK, "%s",
                 f->err.text);
    free(weights);
    free(bias);
    return sparse;
}

Test(forward_replay, a_steady_state_allocates_nothing)
{
    enum { WARM = 4, RUNS = 12, N_FEATURES = 100 };
    struct fixture f;
    struct sparse_encoder *encoder = NULL;
    struct sparse_rows rows;
    void *device = NULL;
    uint64_t n_warm = 0;
    open_model(&f, &EMULATED_MODES[0], COMPUTE_BF16X3);
    const struct backend_ops *ops = f.backend->ops;
    const struct hook_point hook = {HOOK_RESID_POST, model_config(f.model)->n_layers - 1};
    const size_t width = hook_point_width(hook, model_config(f.model));
    struct forward *forward = open_forward(&f, NULL);
    struct sparse *sparse = make_sparse(&f, width, N_FEATURES);
    const struct sparse_encoder_params params = {.sparse = sparse, .screen = SCREEN_AUTO};
    cr_assert_eq(ops->sparse_encoder_create(&encoder, forward_exec(forward), &params, &f.err),
                 ST_OK, "%s", f.err.text);
    cr_assert_eq(ops->alloc(f.backend, N_TOKENS * width * sizeof(float), &device, &f.err), ST_OK);
    for (unsigned i = 0; i < RUNS; i++) {
        const float *acts = run(&f, forward, i, hook);
        cr_assert_eq(ops->upload(forward_exec(forward), device, acts,
                                 N_TOKENS * width * sizeof(float), &f.err),
                     ST_OK);
        cr_assert_eq(ops->sparse_encode(encoder, device, N_TOKENS, &rows, &f.err), ST_OK, "%s",
                     f.err.text);
        cr_expect_eq(rows.row_start[N_TOKENS], 9 * N_TOKENS);
        if (i + 1 == WARM) n_warm = emulated_allocations();
    }
    cr_expect(n_warm > 10, "%zu", (size_t)n_warm);
    cr_expect_eq(emulated_allocations(), n_warm, "%zu more",
                 (size_t)(emulated_allocations() - n_warm));
    ops->sparse_encoder_destroy(encoder);
    ops->sparse_destroy(sparse);
    ops->release(f.backend, device);
    forward_destroy(&forward);
    close_model(&f);
}

/* --- a device that records nothing --------------------------------------------------------- */

enum failing_step { FAIL_BEGIN, FAIL_END, FAIL_REPLAY, N_FAILING };
static const struct backend_ops *whole; /* the emulator's own */
static size_t n_refused;

static status_t refuse_begin(struct exec *exec, const uint32_t *lengths, size_t n,
                             struct error *err)
{
    (void)exec;
    (void)lengths;
    (void)n;
    n_refused++;
    return error_set(err, ST_INTERNAL, "planted: no capture");
}

static status_t refuse_end(struct exec *exec, struct recording **out, struct error *err)
{
    (void)out;
    const status_t status = whole->record_end(exec, NULL, err);
    n_refused++;
    return status == ST_OK ? error_set(err, ST_NO_MEMORY, "planted: no graph") : status;
}

static status_t refuse_replay(struct recording *recording, const uint32_t *lengths, size_t n,
                              struct error *err)
{
    (void)recording;
    (void)lengths;
    (void)n;
    n_refused++;
    return error_set(err, ST_NO_MEMORY, "planted: no launch");
}

static bool say_lost(struct backend *backend)
{
    (void)backend;
    return true;
}

static struct backend_ops failing_ops(enum failing_step step, bool is_lost)
{
    struct backend_ops ops = *whole;
    if (step == FAIL_BEGIN) ops.record_begin = refuse_begin;
    if (step == FAIL_END) ops.record_end = refuse_end;
    if (step == FAIL_REPLAY) ops.replay = refuse_replay;
    if (is_lost) ops.is_lost = say_lost;
    return ops;
}

/* A model on the emulator whose table is `ops`. */
static void open_failing(struct fixture *f, struct backend *backend, const struct backend_ops *ops)
{
    *f = (struct fixture){.backend = backend};
    f->backend->ops = ops;
    n_refused = 0;
    const struct model_params params = {.directory = MODEL, .backend = f->backend};
    cr_assert_eq(model_open(&f->model, &params, &f->err), ST_OK, "%s", f->err.text);
}

static struct backend *open_emulator(void)
{
    struct backend *backend = NULL;
    struct error err = {0};
    emulated_set_mode(&EMULATED_MODES[0]);
    cr_assert_eq(backend_open("emu", &backend, &err), ST_OK, "%s", err.text);
    whole = backend->ops;
    return backend;
}

Test(forward_replay, goes_on_without_where_nothing_can_be_recorded)
{
    static const char *const SAYS[N_FAILING] = {"planted: no capture", "planted: no graph",
                                                "planted: no launch"};
    for (unsigned step = 0; step < N_FAILING; step++) {
        struct fixture f;
        struct error why = {0};
        struct backend *real = open_emulator();
        const struct backend_ops ops = failing_ops((enum failing_step)step, false);
        open_failing(&f, real, &ops);
        const struct model_config *c = model_config(f.model);
        const struct hook_point hook = {HOOK_LOGITS, 0};
        atomic_uint_fast64_t ticks = 0;
        struct forward *kept = open_forward(&f, &ticks);
        for (unsigned seed = 0; seed < 4; seed++) {
            struct forward *fresh = open_forward(&f, NULL);
            const float *want = run(&f, fresh, seed, hook), *got = run(&f, kept, seed, hook);
            cr_expect_eq(memcmp(got, want, N_TOKENS * c->n_vocab * sizeof(float)), 0, "run %u",
                         seed);
            forward_destroy(&fresh);
        }
        cr_expect_eq(n_refused, 1, "%s: tried %zu times", SAYS[step], n_refused);
        cr_expect_eq(atomic_load(&ticks), 4 * c->n_layers);
        cr_expect(model_take_unrecorded(f.model, &why) && strcmp(why.text, SAYS[step]) == 0, "%s",
                  why.text);
        cr_expect_not(model_take_unrecorded(f.model, &why), "it is told once");
        forward_destroy(&kept);
        model_close(&f.model);
        real->ops = whole;
        backend_close(&real);
    }
}

Test(forward_replay, a_lost_device_fails_the_pass)
{
    struct fixture f;
    const float *out = NULL;
    struct backend *real = open_emulator();
    const struct backend_ops ops = failing_ops(FAIL_END, true);
    open_failing(&f, real, &ops);
    const struct hook_point hook = {HOOK_LOGITS, 0};
    const uint32_t lengths[N_ROWS] = {1, 1}, tokens[N_TOKENS] = {0};
    const struct forward_input input = {.tokens = tokens, .row_lengths = lengths};
    struct forward *forward = open_forward(&f, NULL);
    cr_expect_eq(forward_run(forward, &input, &hook, 1, &out, &f.err), ST_OK, "%s", f.err.text);
    cr_expect_eq(forward_run(forward, &input, &hook, 1, &out, &f.err), ST_NO_MEMORY);
    cr_expect(strstr(f.err.text, "planted: no graph"), "%s", f.err.text);
    forward_destroy(&forward);
    model_close(&f.model);
    real->ops = whole;
    backend_close(&real);
}
