/* Recordings on the emulated device: what is replayed is what the operations do one by one. */
#include "tests/unit/emulated.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 32, CONTEXT = 16, D = 40, N_HEADS = 5, SEQUENCES = ROWS / CONTEXT };

/* A little of a layer: x -> norm -> product (in three parts) -> attention -> sum, in place on x. */
struct layer {
    struct packed *weights;
    float *x, *normed, *qkv, *z; /* device */
};

static float *device_floats(struct emulated *e, size_t n)
{
    void *memory = NULL;
    cr_assert_eq(e->emu->ops->alloc(e->emu, n * sizeof(float), &memory, &e->err), ST_OK, "%s",
                 e->err.text);
    return memory;
}

static struct packed *random_weights(struct emulated *e, size_t n_in, size_t n_out)
{
    struct packed *packed = NULL;
    float *values = malloc(n_in * n_out * sizeof *values);
    cr_assert(values);
    for (size_t i = 0; i < n_in * n_out; i++)
        values[i] = (float)emulated_random() * 0x1p-33f - 0.25f;
    const struct pack_params p = {
        .n_in = n_in, .n_out = n_out, .weights = values, .compute = COMPUTE_BF16X3};
    cr_assert_eq(e->emu->ops->packed_create(&packed, e->emu, &p, &e->err), ST_OK);
    free(values);
    return packed;
}

static struct layer make_layer(struct emulated *e)
{
    return (struct layer){.weights = random_weights(e, D, 3 * D),
                          .x = device_floats(e, ROWS * D),
                          .normed = device_floats(e, ROWS * D),
                          .qkv = device_floats(e, ROWS * 3 * D),
                          .z = device_floats(e, ROWS * D)};
}

static void free_layer(struct emulated *e, struct layer *l)
{
    float *const device[] = {l->x, l->normed, l->qkv, l->z};
    for (size_t i = 0; i < 4; i++) e->emu->ops->release(e->emu, device[i]);
    e->emu->ops->packed_destroy(l->weights);
}

static status_t run_layer(struct emulated *e, const struct layer *l, const uint32_t *lengths)
{
    const struct backend_ops *ops = e->emu->ops;
    const struct norm_params norm = {
        .kind = NORM_RMS, .x = l->x, .y = l->normed, .eps = 1e-5f, .n_rows = ROWS, .d = D};
    const struct matmul_params product = {.weights = l->weights,
                                          .x = l->normed,
                                          .y = l->qkv,
                                          .ld_x = D,
                                          .ld_y = 3 * D,
                                          .n_rows = ROWS};
    const struct attend_params attend = {.q = l->qkv,
                                         .k = l->qkv + D,
                                         .v = l->qkv + 2 * D,
                                         .z = l->z,
                                         .lengths = lengths,
                                         .n_sequences = SEQUENCES,
                                         .n_ctx = CONTEXT,
                                         .n_heads = N_HEADS,
                                         .n_kv_heads = N_HEADS,
                                         .d_head = D / N_HEADS,
                                         .ld = 3 * D,
                                         .scale = 0.5f};
    const struct add_params add = {
        .a = l->x, .b = l->z, .out = l->x, .n_rows = ROWS, .d = D, .ld_a = D, .ld_out = D};
    status_t status = ops->norm(e->emu_exec, &norm, &e->err);
    if (status == ST_OK) status = ops->matmul(e->emu_exec, &product, &e->err);
    if (status == ST_OK) status = ops->attend(e->emu_exec, &attend, &e->err);
    return status == ST_OK ? ops->add(e->emu_exec, &add, &e->err) : status;
}

static void put_rows(struct emulated *e, const struct layer *l, unsigned seed)
{
    float rows[ROWS * D];
    for (size_t i = 0; i < ROWS * D; i++) rows[i] = (float)((i * 7919 + seed) % 1000) * 0.003f - 1;
    cr_assert_eq(e->emu->ops->upload(e->emu_exec, l->x, rows, sizeof rows, &e->err), ST_OK);
}

static void get_rows(struct emulated *e, const struct layer *l, float *out)
{
    cr_assert_eq(e->emu->ops->download(e->emu_exec, out, l->x, ROWS * D * sizeof *out, &e->err),
                 ST_OK);
}

static struct recording *record(struct emulated *e, const struct layer *l, const uint32_t *lengths)
{
    const struct backend_ops *ops = e->emu->ops;
    struct recording *recording = NULL;
    cr_assert_eq(ops->record_begin(e->emu_exec, lengths, SEQUENCES, &e->err), ST_OK, "%s",
                 e->err.text);
    cr_assert_eq(run_layer(e, l, lengths), ST_OK, "%s", e->err.text);
    cr_assert_eq(ops->record_end(e->emu_exec, &recording, &e->err), ST_OK, "%s", e->err.text);
    return recording;
}

/* Rows of `seed` through the layer, one by one (recording NULL) or replayed. */
static void expect_rows(struct emulated *e, const struct layer *l, struct recording *recording,
                        unsigned seed, const uint32_t *lengths)
{
    float want[ROWS * D], got[ROWS * D];
    put_rows(e, l, seed);
    cr_assert_eq(run_layer(e, l, lengths), ST_OK, "%s", e->err.text);
    get_rows(e, l, want);
    put_rows(e, l, seed);
    cr_assert_eq(e->emu->ops->replay(recording, lengths, SEQUENCES, &e->err), ST_OK, "%s",
                 e->err.text);
    get_rows(e, l, got);
    cr_expect_eq(memcmp(got, want, sizeof got), 0, "%s: rows %u", e->mode, seed);
}

static struct criterion_test_params all_modes(void)
{
    return cr_make_param_array(struct emulated_mode, EMULATED_MODES, EMULATED_N_MODES);
}

ParameterizedTestParameters(kernels_recording, replays_other_rows_and_lengths)
{
    return all_modes();
}

ParameterizedTest(struct emulated_mode *mode, kernels_recording, replays_other_rows_and_lengths)
{
    static const uint32_t FULL[] = {CONTEXT, CONTEXT}, SHORT[] = {3, 11};
    struct emulated e;
    float before[ROWS * D], after[ROWS * D];
    emulated_open(&e, mode, 16);
    struct layer l = make_layer(&e);
    put_rows(&e, &l, 1);
    cr_assert_eq(run_layer(&e, &l, FULL), ST_OK, "%s", e.err.text);
    get_rows(&e, &l, before);
    struct recording *recording = record(&e, &l, SHORT);
    get_rows(&e, &l, after);
    cr_expect_eq(memcmp(before, after, sizeof before), 0, "%s: recording ran", e.mode);
    expect_rows(&e, &l, recording, 2, SHORT);
    expect_rows(&e, &l, recording, 3, FULL);
    expect_rows(&e, &l, recording, 4, SHORT);
    e.emu->ops->recording_destroy(recording);
    free_layer(&e, &l);
    emulated_close(&e);
}

/* Scratch that a recording points into stays where it is when later work needs more. */
ParameterizedTestParameters(kernels_recording, outlives_the_growth_of_scratch)
{
    return all_modes();
}

ParameterizedTest(struct emulated_mode *mode, kernels_recording, outlives_the_growth_of_scratch)
{
    enum { WIDE = 300, MANY = 50 };
    static const uint32_t LENGTHS[] = {CONTEXT, 5};
    struct emulated e;
    uint32_t ones[MANY];
    emulated_open(&e, mode, 16);
    struct layer l = make_layer(&e);
    put_rows(&e, &l, 1);
    cr_assert_eq(run_layer(&e, &l, LENGTHS), ST_OK);
    struct recording *recording = record(&e, &l, LENGTHS);
    struct packed *wide = random_weights(&e, WIDE, 8);
    float *x = device_floats(&e, 16 * WIDE), *y = device_floats(&e, 16 * 8);
    const struct matmul_params product = {
        .weights = wide, .x = x, .y = y, .ld_x = WIDE, .ld_y = 8, .n_rows = 16};
    cr_assert_eq(e.emu->ops->matmul(e.emu_exec, &product, &e.err), ST_OK, "%s", e.err.text);
    for (size_t i = 0; i < MANY; i++) ones[i] = 1;
    const struct attend_params attend = {.q = x,
                                         .k = x,
                                         .v = x,
                                         .z = y,
                                         .lengths = ones,
                                         .n_sequences = MANY,
                                         .n_ctx = 1,
                                         .n_heads = 1,
                                         .n_kv_heads = 1,
                                         .d_head = 2,
                                         .ld = 2,
                                         .scale = 1};
    cr_assert_eq(e.emu->ops->attend(e.emu_exec, &attend, &e.err), ST_OK, "%s", e.err.text);
    expect_rows(&e, &l, recording, 9, LENGTHS);
    e.emu->ops->recording_destroy(recording);
    e.emu->ops->packed_destroy(wide);
    e.emu->ops->release(e.emu, x);
    e.emu->ops->release(e.emu, y);
    free_layer(&e, &l);
    emulated_close(&e);
}

/* Longer sequences than it was recorded for: refused before the device has them, so that the next
 * replay finds its own. */
static void expect_no_longer_rows(struct emulated *e, struct recording *recording)
{
    static const uint32_t LONGER[] = {5, CONTEXT + 1}, ENDLESS[] = {UINT32_MAX, 5};
    struct error err = {0};
    cr_expect_eq(e->emu->ops->replay(recording, LONGER, SEQUENCES, &err), ST_BAD_INPUT);
    cr_expect_str_eq(err.text, "replay: sequence 1 has 17 tokens of 16");
    cr_expect_eq(e->emu->ops->replay(recording, ENDLESS, SEQUENCES, NULL), ST_BAD_INPUT);
}

Test(kernels_recording, refuses_what_it_cannot_note)
{
    static const uint32_t LENGTHS[] = {CONTEXT, 5}, OTHERS[] = {CONTEXT, 6};
    struct emulated e;
    struct recording *recording = NULL;
    emulated_open(&e, &EMULATED_MODES[0], 16);
    const struct backend_ops *ops = e.emu->ops;
    struct layer l = make_layer(&e);
    cr_expect_eq(ops->record_end(e.emu_exec, &recording, NULL), ST_INTERNAL);
    cr_assert_eq(ops->record_begin(e.emu_exec, LENGTHS, SEQUENCES, &e.err), ST_OK);
    cr_expect_eq(ops->record_begin(e.emu_exec, LENGTHS, SEQUENCES, NULL), ST_INTERNAL);
    cr_expect_eq(run_layer(&e, &l, LENGTHS), ST_INTERNAL); /* its scratch is not there yet */
    cr_expect(strstr(e.err.text, "scratch while operations are recorded"), "%s", e.err.text);
    cr_assert_eq(ops->record_end(e.emu_exec, NULL, NULL), ST_OK);
    error_clear(&e.err);
    cr_assert_eq(run_layer(&e, &l, LENGTHS), ST_OK);
    cr_assert_eq(ops->record_begin(e.emu_exec, LENGTHS, SEQUENCES, &e.err), ST_OK);
    cr_expect_eq(run_layer(&e, &l, OTHERS), ST_INTERNAL);
    cr_expect(strstr(e.err.text, "other lengths"), "%s", e.err.text);
    cr_assert_eq(ops->record_end(e.emu_exec, NULL, NULL), ST_OK);
    recording = record(&e, &l, LENGTHS);
    cr_expect_eq(ops->replay(recording, LENGTHS, 1, NULL), ST_BAD_INPUT);
    expect_no_longer_rows(&e, recording);
    ops->recording_destroy(recording);
    ops->recording_destroy(NULL);
    free_layer(&e, &l);
    emulated_close(&e);
}

/* What a thread does beside one that records: memory, weights, an exec that comes and goes, a
 * failure to judge. */
static void *work_beside(void *context)
{
    const struct emulated *e = context;
    const struct backend_ops *ops = e->emu->ops;
    const float weights[D] = {0};
    const struct pack_params pack = {
        .n_in = D, .n_out = 1, .weights = weights, .compute = COMPUTE_BF16};
    const struct exec_params params = {.row_block = 16};
    struct packed *packed = NULL;
    struct exec *exec = NULL;
    void *memory = NULL;
    cr_expect_eq(ops->exec_create(&exec, e->emu, &params, NULL), ST_OK);
    ops->exec_destroy(exec);
    cr_expect_eq(ops->alloc(e->emu, D, &memory, NULL), ST_OK);
    cr_expect_eq(ops->packed_create(&packed, e->emu, &pack, NULL), ST_OK);
    cr_expect_not(ops->is_lost(e->emu));
    ops->packed_destroy(packed);
    ops->release(e->emu, memory);
    return NULL;
}

ParameterizedTestParameters(kernels_recording, is_not_disturbed_by_another_thread)
{
    return all_modes();
}

ParameterizedTest(struct emulated_mode *mode, kernels_recording, is_not_disturbed_by_another_thread)
{
    static const uint32_t LENGTHS[] = {CONTEXT, 5};
    struct emulated e;
    struct recording *recording = NULL;
    pthread_t other;
    emulated_open(&e, mode, 16);
    const struct backend_ops *ops = e.emu->ops;
    struct layer l = make_layer(&e);
    cr_assert_eq(run_layer(&e, &l, LENGTHS), ST_OK);
    cr_assert_eq(ops->record_begin(e.emu_exec, LENGTHS, SEQUENCES, &e.err), ST_OK);
    cr_assert_eq(pthread_create(&other, NULL, work_beside, &e), 0);
    cr_assert_eq(pthread_join(other, NULL), 0);
    cr_assert_eq(run_layer(&e, &l, LENGTHS), ST_OK, "%s", e.err.text);
    cr_assert_eq(ops->record_end(e.emu_exec, &recording, &e.err), ST_OK, "%s", e.err.text);
    expect_rows(&e, &l, recording, 4, LENGTHS);
    ops->recording_destroy(recording);
    free_layer(&e, &l);
    emulated_close(&e);
}
