/* Nodes of every granularity, at all positions and at named ones, against a plain forward pass in
 * which an edit of the test's own does the same: heads' q, groups' k and v under grouped queries,
 * heads, single neurons, residual dimensions, MLPs. */
#include "tests/unit/any_backend.h"
#include "worker/model/variants.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_PROMPTS = 3, N_CTX = 8, N_ROWS = N_PROMPTS * N_CTX, MOST = 512, VOCAB_MAX = 512 };

struct world {
    struct backend *backend;
    struct model *model;
    const struct model_config *config;
    struct variants *variants;
    struct forward *forward;
    struct variant_change changes[MOST];
    struct variant list[MOST];
    size_t n;
    struct error err;
};

static struct world world;
static uint32_t tokens[N_ROWS];
static const uint32_t lengths[N_PROMPTS] = {8, 6, 7}, answers[N_PROMPTS] = {7, 5, 4};
static uint8_t named[N_ROWS]; /* one position of each prompt, and the answer of the first */
static float mean[64];        /* one row for all tokens, as a mean over everything is */

static void open_world(const char *name)
{
    char path[256];
    world = (struct world){.n = 0};
    (void)snprintf(path, sizeof path, "tests/golden/models/%s", name);
    cr_assert_eq(any_backend_open(&world.backend, &world.err), ST_OK, "%s", world.err.text);
    const struct model_params model = {.directory = path, .backend = world.backend};
    cr_assert_eq(model_open(&world.model, &model, &world.err), ST_OK, "%s", world.err.text);
    world.config = model_config(world.model);
    cr_assert_leq(world.config->n_vocab, VOCAB_MAX);
    for (size_t r = 0; r < N_ROWS; r++)
        tokens[r] = (uint32_t)((r * 29 + 7) % world.config->n_vocab);
    for (size_t p = 0; p < N_PROMPTS; p++) named[p * N_CTX + p + 1] = 1;
    named[answers[0]] = 1;
    for (size_t i = 0; i < sizeof mean / sizeof mean[0]; i++) mean[i] = (float)i * 0.03F - 0.5F;
    const struct forward_params forward = {
        .model = world.model, .n_rows = N_PROMPTS, .n_ctx = N_CTX};
    cr_assert_eq(forward_create(&world.forward, &forward, &world.err), ST_OK);
    const struct variants_params params = {
        .model = world.model, .n_prompts = N_PROMPTS, .n_ctx = N_CTX, .n_batch = 5};
    const struct variants_prompts prompts = {
        .tokens = tokens, .lengths = lengths, .answers = answers};
    cr_assert_eq(variants_create(&world.variants, &params, &world.err), ST_OK);
    cr_assert_eq(variants_load(world.variants, &prompts, &world.err), ST_OK, "%s", world.err.text);
}

static void close_world(void)
{
    variants_destroy(&world.variants);
    forward_destroy(&world.forward);
    model_close(&world.model);
    backend_close(&world.backend);
}

static status_t change_values(void *context, const struct forward_values *at, struct error *err)
{
    const struct variant_change *c = context;
    (void)err;
    for (size_t r = 0; r < N_ROWS; r++)
        for (size_t i = 0; i < c->n_columns && (!c->is_row || c->is_row[r]); i++)
            at->values[r * at->ld + c->column + i] = c->values ? c->values[i] : 0.0F;
    return ST_OK;
}

static double difference(struct variant_change *change, const float *got)
{
    const struct hook_point hook = {HOOK_LOGITS, 0};
    const struct forward_edit edit = {change->hook, change_values, change, NULL};
    const struct forward_input input = {
        .tokens = tokens, .row_lengths = lengths, .edits = &edit, .n_edits = 1};
    const size_t n_vocab = world.config->n_vocab;
    const float *acts;
    double worst = 0, largest = 0;
    cr_assert_eq(forward_run(world.forward, &input, &hook, 1, &acts, &world.err), ST_OK, "%s",
                 world.err.text);
    for (size_t p = 0; p < N_PROMPTS; p++)
        for (size_t i = 0; i < n_vocab; i++) {
            const float want = acts[(p * N_CTX + answers[p]) * n_vocab + i];
            worst = fmax(worst, fabs((double)got[p * n_vocab + i] - (double)want));
            largest = fmax(largest, fabs((double)want));
        }
    return worst / largest;
}

static status_t compare(void *context, size_t index, const float *logits, const float *clean,
                        struct error *err)
{
    struct variant_change *change = &world.changes[index];
    size_t *n_without_effect = context;
    char name[HOOK_NAME_SIZE];
    (void)err;
    const double by = difference(change, logits);
    cr_expect(by <= 1e-5, "%s, column %zu: %g", hook_point_name(change->hook, name), change->column,
              by);
    *n_without_effect +=
        memcmp(logits, clean, N_PROMPTS * world.config->n_vocab * sizeof *logits) == 0;
    return ST_OK;
}

/* Zero and set, each everywhere and at the named positions. */
static void add_node(struct hook_point hook, size_t column, size_t n_columns)
{
    for (unsigned how = 0; how < 4; how++, world.n++) {
        cr_assert_lt(world.n, MOST);
        world.changes[world.n] = (struct variant_change){.hook = hook,
                                                         .column = column,
                                                         .n_columns = n_columns,
                                                         .values = how & 1 ? mean : NULL,
                                                         .is_row = how & 2 ? named : NULL};
        world.list[world.n] = (struct variant){.changes = &world.changes[world.n], .n_changes = 1};
    }
}

static void add_nodes(enum hook_kind kind, size_t n_columns, size_t step)
{
    for (size_t layer = 0; layer < world.config->n_layers; layer++) {
        const struct hook_point hook = {kind, layer};
        for (size_t at = 0; at + n_columns <= hook_point_width(hook, world.config); at += step)
            add_node(hook, at, n_columns);
    }
}

static void check_nodes(size_t most_without_effect)
{
    size_t n_without_effect = 0;
    cr_assert_eq(
        variants_run(world.variants, world.list, world.n, compare, &n_without_effect, &world.err),
        ST_OK, "%s", world.err.text);
    cr_expect_leq(n_without_effect, most_without_effect);
    close_world();
}

Test(variants_nodes, keys_and_values_of_groups_equal_a_plain_pass)
{
    open_world("llama-gqa-tied");
    cr_assert_lt(world.config->n_kv_heads, world.config->n_heads);
    add_nodes(HOOK_K, world.config->d_head, world.config->d_head);
    add_nodes(HOOK_V, world.config->d_head, world.config->d_head);
    check_nodes(0);
}

Test(variants_nodes, heads_and_their_queries_equal_a_plain_pass)
{
    open_world("llama-gqa-tied");
    add_nodes(HOOK_Q, world.config->d_head, world.config->d_head);
    add_nodes(HOOK_Z, world.config->d_head, world.config->d_head);
    check_nodes(0);
}

Test(variants_nodes, single_neurons_equal_a_plain_pass)
{
    static const char *const names[] = {"gpt2-tied", "llama-gqa-tied"};
    for (size_t i = 0; i < 2; i++) {
        open_world(names[i]);
        add_nodes(HOOK_MLP_POST, 1, 5);
        add_nodes(HOOK_MLP_POST, 7, 40);
        check_nodes(0);
    }
}

Test(variants_nodes, residual_dimensions_equal_a_plain_pass)
{
    static const char *const names[] = {"gpt2-tied", "llama-gqa-tied"};
    static const enum hook_kind kinds[] = {HOOK_RESID_PRE, HOOK_RESID_MID, HOOK_RESID_POST};
    for (size_t i = 0; i < 2; i++) {
        open_world(names[i]);
        for (size_t k = 0; k < 3; k++) add_nodes(kinds[k], 1, 7);
        add_nodes(HOOK_MLP_OUT, world.config->d_model, world.config->d_model);
        check_nodes(MOST); /* behind the last layer, positions without an answer do nothing */
    }
}
