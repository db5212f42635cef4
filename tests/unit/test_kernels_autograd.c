/* Adjoints of single operations, through the backend's table, against torch's autograd
 * (tests/golden/attributions/adjoints.json). */
#include "kernels/backend.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct backend *backend;
static struct exec *executor;
static json_t *golden;
static struct error err;

static void set_up(void)
{
    const struct exec_params params = {.row_block = 16};
    cr_assert_eq(backend_open_cpu(&backend, &err), ST_OK);
    cr_assert(backend_supports(backend, BACKEND_BACKWARD));
    cr_assert_eq(backend->ops->exec_create(&executor, backend, &params, &err), ST_OK);
    golden = json_load_file("tests/golden/attributions/adjoints.json", 0, NULL);
    cr_assert(golden);
}

static void tear_down(void)
{
    json_decref(golden);
    backend->ops->exec_destroy(executor);
    backend_close(&backend);
}

TestSuite(kernels_autograd, .init = set_up, .fini = tear_down);

static float *floats_of(const json_t *item, const char *key)
{
    const json_t *list = json_object_get(item, key);
    const size_t n = json_array_size(list);
    float *values = calloc(n, sizeof *values);
    cr_assert(values && n, "%s", key);
    for (size_t i = 0; i < n; i++) values[i] = (float)json_number_value(json_array_get(list, i));
    return values;
}

static size_t count_of(const json_t *item, const char *key)
{
    return (size_t)json_integer_value(json_object_get(item, key));
}

static const char *kind_of(const json_t *item)
{
    return json_string_value(json_object_get(item, "kind"));
}

static void expect(const float *got, const json_t *item, const char *key)
{
    const json_t *want = json_object_get(item, key);
    double largest = 0, worst = 0;
    for (size_t i = 0; i < json_array_size(want); i++) {
        const double value = json_number_value(json_array_get(want, i));
        largest = fmax(largest, fabs(value));
        worst = fmax(worst, fabs((double)got[i] - value));
    }
    cr_expect(largest > 0 && worst <= 2e-6 * largest, "%s: off by %g of %g", key, worst, largest);
}

Test(kernels_autograd, norms)
{
    const json_t *item;
    size_t i;
    json_array_foreach(json_object_get(golden, "norms"), i, item)
    {
        float *x = floats_of(item, "x"), *weight = floats_of(item, "weight"),
              *d_y = floats_of(item, "d_y");
        const struct norm_backward_params p = {
            .forward = {.kind = strcmp(kind_of(item), "rms") == 0 ? NORM_RMS : NORM_LAYER,
                        .x = x,
                        .weight = weight,
                        .eps = (float)json_number_value(json_object_get(item, "eps")),
                        .n_rows = count_of(item, "n_rows"),
                        .d = count_of(item, "d")},
            .d_y = d_y,
            .d_x = d_y};
        cr_assert_eq(backend->ops->norm_backward(executor, &p, &err), ST_OK);
        expect(d_y, item, "d_x");
        free(x);
        free(weight);
        free(d_y);
    }
}

static enum activation activation_named(const char *name)
{
    static const char *const names[ACTIVATION_N] = {[ACTIVATION_GELU_TANH] = "gelu_tanh",
                                                    [ACTIVATION_GELU_ERF] = "gelu_erf",
                                                    [ACTIVATION_SILU] = "silu",
                                                    [ACTIVATION_RELU] = "relu"};
    unsigned kind = 0;
    while (kind < ACTIVATION_N && strcmp(names[kind], name) != 0) kind++;
    return (enum activation)kind;
}

Test(kernels_autograd, nonlinearities)
{
    const json_t *item;
    size_t i;
    json_array_foreach(json_object_get(golden, "activations"), i, item)
    {
        const size_t n_rows = count_of(item, "n_rows"), d = count_of(item, "d");
        const bool is_gated = json_is_true(json_object_get(item, "is_gated"));
        float *rows = floats_of(item, "rows"), *bias = floats_of(item, "bias"),
              *d_out = floats_of(item, "d_out"), *got = calloc(n_rows * 2 * d, sizeof *got);
        const struct activate_backward_params p = {
            .forward = {.kind = activation_named(kind_of(item)),
                        .pre = rows,
                        .bias = bias,
                        .up = is_gated ? rows + d : NULL,
                        .up_bias = is_gated ? bias + d : NULL,
                        .n_rows = n_rows,
                        .d = d,
                        .ld_pre = 2 * d},
            .d_out = d_out,
            .d_pre = got,
            .d_up = is_gated ? got + d : NULL,
            .ld_d_out = d,
            .ld_d = 2 * d};
        cr_assert_eq(backend->ops->activate_backward(executor, &p, &err), ST_OK, "%s", err.text);
        expect(got, item, "d_rows");
        free(rows);
        free(bias);
        free(d_out);
        free(got);
    }
}

Test(kernels_autograd, attention)
{
    const json_t *item;
    size_t i;
    json_array_foreach(json_object_get(golden, "attentions"), i, item)
    {
        const size_t d_head = count_of(item, "d_head"), n_kv = count_of(item, "n_kv_heads"),
                     n_heads = count_of(item, "n_heads"), n_ctx = count_of(item, "n_ctx"),
                     d_q = n_heads * d_head, d_kv = n_kv * d_head, ld = d_q + 2 * d_kv;
        const uint32_t length = (uint32_t)n_ctx;
        float *qkv = floats_of(item, "qkv"), *d_z = floats_of(item, "d_z"),
              *got = calloc(n_ctx * ld, sizeof *got);
        const struct attend_backward_params p = {
            .forward = {.q = qkv,
                        .k = qkv + d_q,
                        .v = qkv + d_q + d_kv,
                        .lengths = &length,
                        .n_sequences = 1,
                        .n_ctx = n_ctx,
                        .n_heads = n_heads,
                        .n_kv_heads = n_kv,
                        .d_head = d_head,
                        .ld = ld,
                        .scale = (float)json_number_value(json_object_get(item, "scale"))},
            .d_z = d_z,
            .d_q = got,
            .d_k = got + d_q,
            .d_v = got + d_q + d_kv,
            .ld_d = ld};
        cr_assert_eq(backend->ops->attend_backward(executor, &p, &err), ST_OK, "%s", err.text);
        expect(got, item, "d_qkv");
        free(qkv);
        free(d_z);
        free(got);
    }
}

Test(kernels_autograd, what_does_not_fit_is_refused)
{
    const struct activate_backward_params overlap = {.forward = {.d = 4, .ld_pre = 4}, .ld_d = 2};
    const struct group_dots_params groups = {.n_groups = 2, .d = 4, .ld_a = 8, .ld_b = 7};
    const struct contract_params terms = {
        .n_b = 2, .n_terms = 2, .d = 4, .ld_a = 8, .ld_b = 7, .ld_out = 2};
    const struct norm_backward_params empty = {.forward = {.n_rows = 1}};
    cr_expect_eq(backend->ops->activate_backward(executor, &overlap, &err), ST_BAD_INPUT);
    cr_expect_eq(backend->ops->group_dots(executor, &groups, &err), ST_BAD_INPUT);
    cr_expect_eq(backend->ops->contract(executor, &terms, &err), ST_BAD_INPUT);
    cr_expect_eq(backend->ops->norm_backward(executor, &empty, &err), ST_BAD_INPUT);
}
