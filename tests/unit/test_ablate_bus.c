/* What crosses the bus while variants run on a device of its own memory (the host emulator), by the
 * backend's own accounting: lists of edits go up, answers come down, activations stay. */
#include "kernels/cuda/accounting.h"
#include "tests/unit/emulated.h"
#include "worker/model/variants.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { N_PROMPTS = 2, N_CTX = 8, N_ROWS = N_PROMPTS * N_CTX, N_VARIANTS = 4, N_COLUMNS = 3 };

/* --- a backend that counts ----------------------------------------------------------------- */

static const struct backend_ops *emu;
static struct launch_costs counted;
static struct backend_ops counting_ops;

static status_t count_upload(struct exec *exec, void *device, const void *host, size_t n_bytes,
                             struct error *err)
{
    account_transfer(&counted, LAUNCH_UPLOAD, n_bytes);
    return emu->upload(exec, device, host, n_bytes, err);
}

static status_t count_download(struct exec *exec, void *host, const void *device, size_t n_bytes,
                               struct error *err)
{
    account_transfer(&counted, LAUNCH_DOWNLOAD, n_bytes);
    return emu->download(exec, host, device, n_bytes, err);
}

static status_t count_edit(struct exec *exec, const struct edit_params *p, struct error *err)
{
    account_edit(&counted, p);
    return emu->edit(exec, p, err);
}

static status_t count_diverge(struct exec *exec, const struct diverge_params *p, struct error *err)
{
    account_transfer(&counted, LAUNCH_UPLOAD, p->n_pairs * sizeof *p->pairs);
    account_transfer(&counted, LAUNCH_UPLOAD, p->n_columns * sizeof *p->columns);
    return emu->diverge(exec, p, err);
}

static struct backend *open_counting(struct backend *from)
{
    static struct backend counting;
    emu = from->ops;
    counting_ops = *emu;
    counting_ops.upload = count_upload;
    counting_ops.download = count_download;
    counting_ops.edit = count_edit;
    counting_ops.diverge = count_diverge;
    counting = (struct backend){.ops = &counting_ops, .device = from->device};
    return &counting;
}

static double up(void)
{
    return counted.of[LAUNCH_UPLOAD].n_bytes;
}

static double down(void)
{
    return counted.of[LAUNCH_DOWNLOAD].n_bytes;
}

/* --- variants ------------------------------------------------------------------------------ */

struct world {
    struct emulated emulated;
    struct backend *backend;
    struct model *model;
    struct variants *variants;
    float *on_device; /* [N_ROWS, d_model] */
    size_t d;
    struct error err;
};

static void open_world(struct world *w, bool is_compared)
{
    static float values[N_ROWS * 512];
    const uint32_t lengths[] = {8, 7}, answers[] = {7, 6}, columns[N_COLUMNS] = {2, 15, 28};
    uint32_t tokens[N_ROWS];
    void *memory;
    *w = (struct world){.backend = NULL};
    emulated_open(&w->emulated, &EMULATED_MODES[0], 16);
    w->backend = open_counting(w->emulated.emu);
    const struct model_params params = {.directory = "tests/golden/models/gpt2-tied",
                                        .backend = w->backend};
    cr_assert_eq(model_open(&w->model, &params, &w->err), ST_OK, "%s", w->err.text);
    w->d = model_config(w->model)->d_model;
    for (uint32_t r = 0; r < N_ROWS; r++) tokens[r] = (r * 37 + 11) % 97;
    const struct variants_params batch = {
        .model = w->model, .n_prompts = N_PROMPTS, .n_ctx = N_CTX, .n_batch = N_VARIANTS};
    const struct variants_prompts prompts = {.tokens = tokens,
                                             .lengths = lengths,
                                             .answers = answers,
                                             .columns = columns,
                                             .n_columns = N_COLUMNS,
                                             .is_compared = is_compared};
    cr_assert_eq(variants_create(&w->variants, &batch, &w->err), ST_OK, "%s", w->err.text);
    cr_assert_eq(variants_load(w->variants, &prompts, &w->err), ST_OK, "%s", w->err.text);
    const size_t n_bytes = N_ROWS * w->d * sizeof(float);
    cr_assert_leq(n_bytes, sizeof values);
    cr_assert_eq(emu->alloc(w->backend, n_bytes, &memory, &w->err), ST_OK);
    w->on_device = memory;
    cr_assert_eq(emu->upload(w->emulated.emu_exec, memory, values, n_bytes, &w->err), ST_OK);
    cr_assert_eq(emu->synchronize(w->emulated.emu_exec, &w->err), ST_OK);
}

static void close_world(struct world *w)
{
    emu->release(w->backend, w->on_device);
    variants_destroy(&w->variants);
    model_close(&w->model);
    emulated_close(&w->emulated);
}

static status_t take(void *context, size_t index, const float *logits, const float *clean,
                     struct error *err)
{
    size_t *n = context;
    (void)index;
    (void)err;
    *n += memcmp(logits, clean, N_PROMPTS * N_COLUMNS * sizeof *logits) != 0;
    return ST_OK;
}

/* A head set to 0, an MLP and the stream set to what the device has, a neuron set to 0; each of
 * every row. */
static void run(struct world *w)
{
    static const struct hook_point hooks[N_VARIANTS] = {
        {HOOK_Z, 0}, {HOOK_MLP_OUT, 0}, {HOOK_RESID_PRE, 1}, {HOOK_MLP_POST, 0}};
    static const float none[1];
    struct variant_change changes[N_VARIANTS];
    struct variant list[N_VARIANTS];
    size_t n_changed = 0;
    for (size_t i = 0; i < N_VARIANTS; i++) {
        const bool is_row = i == 1 || i == 2;
        changes[i] = (struct variant_change){.hook = hooks[i],
                                             .n_columns = is_row   ? w->d
                                                          : i == 0 ? 16
                                                                   : 1,
                                             .values = is_row ? none : NULL, /* not to be read */
                                             .on_device = is_row ? w->on_device : NULL,
                                             .ld = is_row ? w->d : 0};
        list[i] = (struct variant){.changes = &changes[i], .n_changes = 1};
    }
    cr_assert_eq(variants_run(w->variants, list, N_VARIANTS, take, &n_changed, &w->err), ST_OK,
                 "%s", w->err.text);
    cr_expect_eq(n_changed, N_VARIANTS);
}

/* All variants fit into one batch, beside the clean run. */
enum { N_ANSWERS = (N_VARIANTS + 1) * N_PROMPTS };

Test(ablate_bus, ablations_move_lists_and_answers_alone, .timeout = 120)
{
    struct world w;
    open_world(&w, false);
    run(&w);
    memset(&counted, 0, sizeof counted);
    run(&w);
    cr_expect_eq(up(), N_VARIANTS * sizeof(struct edit), "%g bytes up", up());
    cr_expect_eq(down(), N_ANSWERS * N_COLUMNS * sizeof(float), "%g bytes down", down());
    close_world(&w);
}

Test(ablate_bus, kl_comes_down_as_numbers, .timeout = 120)
{
    struct world w;
    open_world(&w, true);
    run(&w);
    memset(&counted, 0, sizeof counted);
    run(&w);
    cr_expect_eq(up(),
                 N_VARIANTS * sizeof(struct edit) + N_ANSWERS * sizeof(struct row_pair) +
                     N_COLUMNS * sizeof(uint32_t),
                 "%g bytes up", up());
    cr_expect_eq(down(), N_ANSWERS * (sizeof(struct divergence) + N_COLUMNS * sizeof(float)),
                 "%g bytes down", down());
    close_world(&w);
}

/* --- edges --------------------------------------------------------------------------------- */

/* Of the two layers of gpt2-tied: a head of the first one, set to 0, to all queries and to the MLP
 * of the second and to the logits; a head of the second, set to what the device has, to its MLP. */
enum { N_HEADS = 4, D_HEAD = 9, N_EDGES = 4 };

static void run_edges(struct world *w)
{
    static const float none[1];
    const struct variant_change early = {.hook = {HOOK_Z, 0}, .n_columns = D_HEAD};
    const struct variant_change late = {.hook = {HOOK_Z, 1},
                                        .column = D_HEAD,
                                        .n_columns = D_HEAD,
                                        .values = none, /* not to be read */
                                        .on_device = w->on_device,
                                        .ld = w->d};
    const struct variant_edge edges[N_EDGES] = {{early, {HOOK_Q, 1}, 0, N_HEADS * D_HEAD},
                                                {early, {HOOK_MLP_OUT, 1}, 0, w->d},
                                                {late, {HOOK_MLP_OUT, 1}, 0, w->d},
                                                {early, {HOOK_RESID_POST, 1}, 0, w->d}};
    const struct variant graph = {.edges = edges, .n_edges = N_EDGES};
    size_t n_changed = 0;
    cr_assert_eq(w->d, N_HEADS * D_HEAD);
    cr_assert_eq(variants_run(w->variants, &graph, 1, take, &n_changed, &w->err), ST_OK, "%s",
                 w->err.text);
    cr_expect_eq(n_changed, 1);
}

/* Edits: the difference of the head set to 0 is 0 twice and less what is there, that of the other
 * takes one more; a sum and what is made of it for each head; the stream kept, the sum of each
 * answer's row, and it added; the logits' likewise. */
enum {
    N_EDGE_EDITS = 3 + 4 + 2 * N_HEADS + (2 + N_PROMPTS) + (1 + N_PROMPTS),
    N_EDGE_TERMS = N_HEADS + 2 * N_PROMPTS + N_PROMPTS
};

Test(ablate_bus, edges_move_lists_and_a_number_a_row, .timeout = 120)
{
    struct world w;
    open_world(&w, false);
    run_edges(&w);
    memset(&counted, 0, sizeof counted);
    const uint64_t n_warm = emulated_allocations();
    run_edges(&w);
    cr_expect_eq(up(), N_EDGE_EDITS * sizeof(struct edit) + N_EDGE_TERMS * sizeof(float *),
                 "%g bytes up", up());
    cr_expect_eq(down(),
                 N_HEADS * N_ROWS * sizeof(float) + 2 * N_PROMPTS * N_COLUMNS * sizeof(float),
                 "%g bytes down", down());
    cr_expect_eq(emulated_allocations(), n_warm);
    close_world(&w);
}

Test(ablate_bus, a_steady_state_allocates_nothing, .timeout = 120)
{
    struct world w;
    open_world(&w, true);
    run(&w);
    const uint64_t n_warm = emulated_allocations();
    run(&w);
    cr_expect_eq(emulated_allocations(), n_warm);
    close_world(&w);
}
