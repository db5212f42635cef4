/* Graphs of edges (struct variant_edge) against a plain evaluation of the same graph: one forward
 * pass for every receiver, sums in double, nothing cached. */
#include "tests/unit/any_backend.h"
#include "worker/model/variants.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_PROMPTS = 3, N_CTX = 7, N_ROWS = N_PROMPTS * N_CTX, N_ANSWERS = 4, WIDTH_MAX = 512 };
enum { MOST_EDGES = 4096, MOST_CHANGES = 8, MOST_VARIANTS = 16, MOST_LAYERS = 4 };

struct graph {
    struct variant_edge edges[MOST_EDGES];
    struct variant_change changes[MOST_CHANGES];
    size_t n_edges, n_changes;
};

struct world {
    struct backend *backend;
    struct model *model;
    const struct model_config *config;
    struct variants *variants;
    struct forward *forward;
    struct graph *graphs; /* [MOST_VARIANTS] */
    size_t n_graphs;
    uint32_t random;
    struct error err;
};

static struct world world;
static float values[N_ROWS * WIDTH_MAX];
static uint8_t late_rows[N_ROWS], early_rows[N_ROWS];
static uint32_t tokens[N_ROWS], columns[N_ANSWERS];
static const uint32_t lengths[N_PROMPTS] = {7, 5, 6}, answers[N_PROMPTS] = {6, 4, 4};

static uint32_t draw(uint32_t n)
{
    world.random = world.random * 1664525U + 1013904223U;
    return (world.random >> 8) % n;
}

static void open_variants(size_t n_batch)
{
    const struct variants_params params = {
        .model = world.model, .n_prompts = N_PROMPTS, .n_ctx = N_CTX, .n_batch = n_batch};
    const struct variants_prompts prompts = {.tokens = tokens,
                                             .lengths = lengths,
                                             .answers = answers,
                                             .columns = columns,
                                             .n_columns = N_ANSWERS};
    variants_destroy(&world.variants);
    cr_assert_eq(variants_create(&world.variants, &params, &world.err), ST_OK, "%s",
                 world.err.text);
    cr_assert_eq(variants_load(world.variants, &prompts, &world.err), ST_OK, "%s", world.err.text);
}

static void open_world(const char *name)
{
    char path[256];
    world = (struct world){.random = 11};
    (void)snprintf(path, sizeof path, "tests/golden/models/%s", name);
    cr_assert_eq(any_backend_open(&world.backend, &world.err), ST_OK, "%s", world.err.text);
    const struct model_params model = {.directory = path, .backend = world.backend};
    cr_assert_eq(model_open(&world.model, &model, &world.err), ST_OK, "%s", world.err.text);
    world.config = model_config(world.model);
    cr_assert_leq(world.config->n_layers, MOST_LAYERS);
    const struct forward_params forward = {
        .model = world.model, .n_rows = N_PROMPTS, .n_ctx = N_CTX};
    cr_assert_eq(forward_create(&world.forward, &forward, &world.err), ST_OK);
    world.graphs = calloc(MOST_VARIANTS, sizeof *world.graphs);
    cr_assert(world.graphs);
    for (size_t i = 0; i < N_ROWS * WIDTH_MAX; i++)
        values[i] = (float)draw(1 << 20) * 0x1p-20F - 0.5F;
    for (size_t r = 0; r < N_ROWS; r++) {
        tokens[r] = draw((uint32_t)world.config->n_vocab);
        late_rows[r] = r % N_CTX >= 3;
        early_rows[r] = !late_rows[r];
    }
    for (uint32_t i = 0; i < N_ANSWERS; i++)
        columns[i] = (i * 13 + 2) % (uint32_t)world.config->n_vocab;
    open_variants(4);
}

static void close_world(void)
{
    variants_destroy(&world.variants);
    forward_destroy(&world.forward);
    model_close(&world.model);
    backend_close(&world.backend);
    free(world.graphs);
}

/* --- the plain evaluation ------------------------------------------------------------------ */

/* Puts rows [N_ROWS, width] in the place of what is there. */
static status_t put(void *context, const struct forward_values *at, struct error *err)
{
    (void)err;
    for (size_t r = 0; r < at->n_rows * at->n_ctx; r++)
        memcpy(at->values + r * at->ld, (const float *)context + r * at->width,
               at->width * sizeof(float));
    return ST_OK;
}

/* What lies at `hook` of a run from the stream in front of layer `first`. */
static void run_from(size_t first, const double *stream, const struct forward_edit *edits,
                     size_t n_edits, struct hook_point hook, float *out)
{
    const size_t d = world.config->d_model;
    static float residual[N_ROWS * WIDTH_MAX];
    const float *acts;
    for (size_t i = 0; i < N_ROWS * d; i++) residual[i] = (float)stream[i];
    const struct forward_input input = {.tokens = tokens,
                                        .row_lengths = lengths,
                                        .first_layer = first,
                                        .residual = residual,
                                        .edits = edits,
                                        .n_edits = n_edits};
    cr_assert_eq(forward_run(world.forward, &input, &hook, 1, &acts, &world.err), ST_OK, "%s",
                 world.err.text);
    memcpy(out, acts, N_ROWS * hook_point_width(hook, world.config) * sizeof *out);
}

/* What every sender writes in the run under way. */
struct written {
    float embed[N_ROWS * WIDTH_MAX];
    float z[MOST_LAYERS][N_ROWS * WIDTH_MAX], mlp[MOST_LAYERS][N_ROWS * WIDTH_MAX];
    float *w_o[MOST_LAYERS]; /* [n_heads * d_head, d_model] */
};

static float changed(const struct variant_change *c, size_t row, size_t column, float value)
{
    const bool is_in =
        column >= c->column && column < c->column + c->n_columns && (!c->is_row || c->is_row[row]);
    return !is_in ? value : c->values ? c->values[row * c->ld + column - c->column] : 0.0F;
}

/* Add what the sender's change makes of what it wrote, as it arrives in the stream. */
static void add_sender(const struct written *w, const struct variant_change *sender, double *to)
{
    const size_t d = world.config->d_model, layer = sender->hook.layer;
    const size_t width = hook_point_width(sender->hook, world.config);
    const float *from = sender->hook.kind == HOOK_Z         ? w->z[layer]
                        : sender->hook.kind == HOOK_MLP_OUT ? w->mlp[layer]
                                                            : w->embed;
    for (size_t r = 0; r < N_ROWS; r++)
        for (size_t i = 0; i < width; i++) {
            const double by =
                (double)changed(sender, r, i, from[r * width + i]) - (double)from[r * width + i];
            if (sender->hook.kind != HOOK_Z) to[r * d + i] += by;
            for (size_t k = 0; k < d && sender->hook.kind == HOOK_Z; k++)
                to[r * d + k] += by * (double)w->w_o[layer][i * d + k];
        }
}

/* The stream as the receiver of that column reads it. */
static void stream_of(const struct graph *g, const struct written *w, struct hook_point receiver,
                      size_t column, const double *stream, double *out)
{
    memcpy(out, stream, N_ROWS * world.config->d_model * sizeof *out);
    for (size_t i = 0; i < g->n_edges; i++) {
        const struct variant_edge *e = &g->edges[i];
        if (e->receiver.kind == receiver.kind && e->receiver.layer == receiver.layer &&
            column >= e->column && column < e->column + e->n_columns)
            add_sender(w, &e->sender, out);
    }
}

static void change_node(const struct graph *g, struct hook_point hook, float *rows)
{
    const size_t width = hook_point_width(hook, world.config);
    for (size_t i = 0; i < g->n_changes; i++)
        for (size_t k = 0; k < N_ROWS * width && g->changes[i].hook.kind == hook.kind &&
                           g->changes[i].hook.layer == hook.layer;
             k++)
            rows[k] = changed(&g->changes[i], k / width, k % width, rows[k]);
}

/* q, k or v of all heads, each from a run of its own. */
static void plain_input(const struct graph *g, const struct written *w, struct hook_point hook,
                        const double *stream, float *out)
{
    const size_t width = hook_point_width(hook, world.config), d_head = world.config->d_head;
    static double read[N_ROWS * WIDTH_MAX];
    static float all[N_ROWS * WIDTH_MAX];
    for (size_t column = 0; column < width; column += d_head) {
        stream_of(g, w, hook, column, stream, read);
        run_from(hook.layer, read, NULL, 0, hook, all);
        for (size_t r = 0; r < N_ROWS; r++)
            memcpy(out + r * width + column, all + r * width + column, d_head * sizeof *out);
    }
    change_node(g, hook, out);
}

static void plain_layer(const struct graph *g, struct written *w, size_t layer, double *stream)
{
    static float q[N_ROWS * WIDTH_MAX], k[N_ROWS * WIDTH_MAX], v[N_ROWS * WIDTH_MAX],
        mid[N_ROWS * WIDTH_MAX], lent[N_ROWS * WIDTH_MAX];
    static double read[N_ROWS * WIDTH_MAX], middle[N_ROWS * WIDTH_MAX];
    const size_t n = N_ROWS * world.config->d_model;
    const struct hook_point mlp = {HOOK_MLP_OUT, layer}, z = {HOOK_Z, layer};
    plain_input(g, w, (struct hook_point){HOOK_Q, layer}, stream, q);
    plain_input(g, w, (struct hook_point){HOOK_K, layer}, stream, k);
    plain_input(g, w, (struct hook_point){HOOK_V, layer}, stream, v);
    const struct forward_edit edits[] = {{{HOOK_Q, layer}, put, q, NULL},
                                         {{HOOK_K, layer}, put, k, NULL},
                                         {{HOOK_V, layer}, put, v, NULL},
                                         {z, put, w->z[layer], NULL}};
    run_from(layer, stream, edits, 3, z, w->z[layer]);
    change_node(g, z, w->z[layer]);
    run_from(layer, stream, edits, 4, (struct hook_point){HOOK_RESID_MID, layer}, mid);
    for (size_t i = 0; i < n; i++) middle[i] = (double)mid[i];
    stream_of(g, w, mlp, 0, middle, read);
    for (size_t i = 0; i < n; i++) lent[i] = (float)read[i];
    const struct forward_edit at_mid = {{HOOK_RESID_MID, layer}, put, lent, NULL};
    run_from(layer, stream, &at_mid, 1, mlp, w->mlp[layer]);
    change_node(g, mlp, w->mlp[layer]);
    for (size_t i = 0; i < n; i++) stream[i] = middle[i] + (double)w->mlp[layer][i];
}

/* logits [N_PROMPTS, N_ANSWERS] */
static void plain(const struct graph *g, float *logits)
{
    static double stream[N_ROWS * WIDTH_MAX], read[N_ROWS * WIDTH_MAX];
    static float all[N_ROWS * WIDTH_MAX];
    const struct model_config *c = world.config;
    const struct hook_point first = {HOOK_RESID_PRE, 0}, last = {HOOK_RESID_POST, c->n_layers - 1};
    const struct forward_input input = {.tokens = tokens, .row_lengths = lengths};
    const float *acts;
    struct written *w = calloc(1, sizeof *w);
    cr_assert(w);
    for (size_t i = 0; i < c->n_layers; i++)
        cr_assert_eq(weights_read_attn_out(&w->w_o[i], model_source(world.model), i, &world.err),
                     ST_OK);
    cr_assert_eq(forward_run(world.forward, &input, &first, 1, &acts, &world.err), ST_OK);
    memcpy(w->embed, acts, N_ROWS * c->d_model * sizeof *acts);
    change_node(g, first, w->embed);
    for (size_t i = 0; i < N_ROWS * c->d_model; i++) stream[i] = (double)w->embed[i];
    for (size_t i = 0; i < c->n_layers; i++) plain_layer(g, w, i, stream);
    stream_of(g, w, last, 0, stream, read);
    cr_assert_leq(c->n_vocab, WIDTH_MAX);
    run_from(c->n_layers, read, NULL, 0, (struct hook_point){HOOK_LOGITS, 0}, all);
    for (size_t p = 0; p < N_PROMPTS; p++)
        for (size_t i = 0; i < N_ANSWERS; i++)
            logits[p * N_ANSWERS + i] = all[(p * N_CTX + answers[p]) * c->n_vocab + columns[i]];
    for (size_t i = 0; i < c->n_layers; i++) free(w->w_o[i]);
    free(w);
}

/* --- graphs -------------------------------------------------------------------------------- */

/* A sender's change to zero, to one row, or to rows; everywhere or at some positions. */
static struct variant_change random_sender(struct hook_point hook, size_t column, size_t n_columns)
{
    const uint32_t kind = draw(4), where = draw(4);
    return (struct variant_change){.hook = hook,
                                   .column = column,
                                   .n_columns = n_columns,
                                   .values = kind ? values + column : NULL,
                                   .ld = kind > 1 ? WIDTH_MAX : 0,
                                   .is_row = where == 0   ? late_rows
                                             : where == 1 ? early_rows
                                                          : NULL};
}

/* With a chance of `percent` each: edges from one sender into every receiver behind it. */
static void add_edges(struct graph *g, struct variant_change sender, uint32_t percent)
{
    static const enum hook_kind inputs[] = {HOOK_Q, HOOK_K, HOOK_V};
    const struct model_config *c = world.config;
    const bool is_embedding = sender.hook.kind == HOOK_RESID_PRE;
    for (size_t layer = 0; layer < c->n_layers; layer++) {
        for (size_t k = 0; k < 3 && (is_embedding || layer > sender.hook.layer); k++) {
            const size_t width = hook_point_width((struct hook_point){inputs[k], layer}, c);
            for (size_t at = 0; at < width; at += c->d_head)
                if (draw(100) < percent)
                    g->edges[g->n_edges++] =
                        (struct variant_edge){sender, {inputs[k], layer}, at, c->d_head};
        }
        const bool is_before = is_embedding || layer > sender.hook.layer ||
                               (layer == sender.hook.layer && sender.hook.kind == HOOK_Z);
        if (is_before && draw(100) < percent)
            g->edges[g->n_edges++] =
                (struct variant_edge){sender, {HOOK_MLP_OUT, layer}, 0, c->d_model};
    }
    if (draw(100) < percent)
        g->edges[g->n_edges++] =
            (struct variant_edge){sender, {HOOK_RESID_POST, c->n_layers - 1}, 0, c->d_model};
    cr_assert_lt(g->n_edges, MOST_EDGES - 256);
}

static struct graph *random_graph(uint32_t percent, bool has_changes)
{
    const struct model_config *c = world.config;
    struct graph *g = &world.graphs[world.n_graphs++];
    cr_assert_leq(world.n_graphs, MOST_VARIANTS);
    add_edges(g, random_sender((struct hook_point){HOOK_RESID_PRE, 0}, 0, c->d_model), percent);
    for (size_t layer = 0; layer < c->n_layers; layer++) {
        for (size_t h = 0; h < c->n_heads; h++)
            add_edges(g,
                      random_sender((struct hook_point){HOOK_Z, layer}, h * c->d_head, c->d_head),
                      percent);
        add_edges(g, random_sender((struct hook_point){HOOK_MLP_OUT, layer}, 0, c->d_model),
                  percent);
    }
    if (!has_changes) return g;
    g->changes[g->n_changes++] = random_sender((struct hook_point){HOOK_Z, 0}, 0, c->d_head);
    g->changes[g->n_changes++] = random_sender((struct hook_point){HOOK_MLP_OUT, 0}, 0, c->d_model);
    g->changes[g->n_changes++] = random_sender((struct hook_point){HOOK_K, 1}, 0, c->d_head);
    g->changes[g->n_changes++] = random_sender((struct hook_point){HOOK_RESID_PRE, 0}, 1, 5);
    return g;
}

struct taken {
    float logits[MOST_VARIANTS][N_PROMPTS * N_ANSWERS];
    float clean[N_PROMPTS * N_ANSWERS];
};

static status_t take(void *context, size_t index, const float *logits, const float *clean,
                     struct error *err)
{
    struct taken *taken = context;
    (void)err;
    memcpy(taken->logits[index], logits, sizeof taken->logits[index]);
    memcpy(taken->clean, clean, sizeof taken->clean);
    return ST_OK;
}

static struct taken run(bool is_naive)
{
    struct taken taken;
    struct variant list[MOST_VARIANTS];
    for (size_t i = 0; i < world.n_graphs; i++)
        list[i] = (struct variant){.changes = world.graphs[i].changes,
                                   .n_changes = world.graphs[i].n_changes,
                                   .edges = world.graphs[i].edges,
                                   .n_edges = world.graphs[i].n_edges};
    memset(&taken, 0, sizeof taken);
    const status_t status = (is_naive ? variants_run_naive : variants_run)(
        world.variants, list, world.n_graphs, take, &taken, &world.err);
    cr_assert_eq(status, ST_OK, "%s", world.err.text);
    return taken;
}

static void expect_equal(const float *got, const float *want, const char *what, size_t index)
{
    double worst = 0, largest = 0;
    for (size_t i = 0; i < N_PROMPTS * N_ANSWERS; i++) {
        worst = fmax(worst, fabs((double)got[i] - (double)want[i]));
        largest = fmax(largest, fabs((double)want[i]));
    }
    cr_expect(worst <= 1e-5 * largest, "%s, graph %zu: %g of %g", what, index, worst, largest);
}

static void check_model(const char *name)
{
    open_world(name);
    for (uint32_t percent = 5; percent <= 100; percent += 19)
        for (int has_changes = 0; has_changes < 2; has_changes++)
            (void)random_graph(percent, has_changes);
    const struct taken fast = run(false), naive = run(true);
    for (size_t i = 0; i < world.n_graphs; i++) {
        float want[N_PROMPTS * N_ANSWERS];
        plain(&world.graphs[i], want);
        expect_equal(fast.logits[i], want, name, i);
        expect_equal(naive.logits[i], want, "naive", i);
        cr_expect(memcmp(fast.logits[i], fast.clean, sizeof fast.clean) != 0);
    }
    close_world();
}

Test(variants_edges, agree_with_a_plain_evaluation_on_gpt2)
{
    check_model("gpt2-tied");
}

Test(variants_edges, agree_with_a_plain_evaluation_on_llama)
{
    check_model("llama-gqa-tied");
}

Test(variants_edges, have_the_same_bits_in_any_batch)
{
    open_world("llama-gqa-tied");
    for (size_t i = 0; i < 7; i++) (void)random_graph(10 + 13 * (uint32_t)i, i % 2);
    world.graphs[2].n_edges = 1; /* leaves the clean pass late */
    world.graphs[2].edges[0] = world.graphs[1].edges[world.graphs[1].n_edges - 1];
    const struct taken want = run(false);
    for (size_t n_batch = 1; n_batch <= 7; n_batch += 3) {
        open_variants(n_batch);
        const struct taken got = run(false);
        for (size_t i = 0; i < world.n_graphs; i++)
            cr_expect_arr_eq(got.logits[i], want.logits[i], sizeof want.logits[i],
                             "graph %zu in batches of %zu", i, n_batch);
    }
    close_world();
}

/* All edges out of a node ablated is the node ablated; listed the other way round, the same
 * bits. */
Test(variants_edges, out_of_one_node_are_the_node)
{
    open_world("gpt2-tied");
    const struct model_config *c = world.config;
    const struct variant_change head = {
        .hook = {HOOK_Z, 0}, .column = c->d_head, .n_columns = c->d_head};
    add_edges(&world.graphs[0], head, 100);
    struct graph *turned = &world.graphs[1];
    for (size_t i = world.graphs[0].n_edges; i > 0; i--)
        turned->edges[turned->n_edges++] = world.graphs[0].edges[i - 1];
    world.graphs[2].changes[world.graphs[2].n_changes++] = head;
    world.n_graphs = 3;
    const struct taken taken = run(false);
    expect_equal(taken.logits[0], taken.logits[2], "edges and node", 0);
    cr_expect_arr_eq(taken.logits[0], taken.logits[1], sizeof taken.logits[0]);
    close_world();
}

/* A sender set to what it writes in the clean pass has no effect, to the bit. */
Test(variants_edges, from_an_unchanged_sender_carry_exactly_nothing)
{
    open_world("gpt2-tied");
    const struct model_config *c = world.config;
    const struct hook_point mlp = {HOOK_MLP_OUT, 0};
    const float *clean;
    cr_assert_eq(variants_clean(world.variants, mlp, &clean, &world.err), ST_OK);
    memcpy(values, clean, N_ROWS * c->d_model * sizeof *clean);
    const struct variant_change same = {
        .hook = mlp, .n_columns = c->d_model, .values = values, .ld = c->d_model};
    add_edges(&world.graphs[0], same, 100);
    world.n_graphs = 1;
    const struct taken taken = run(false);
    cr_expect_arr_eq(taken.logits[0], taken.clean, sizeof taken.clean);
    close_world();
}

static void refuse(struct variant_edge first, struct variant_edge second, const char *why)
{
    const struct variant_edge both[] = {first, second};
    const struct variant list[] = {{.n_changes = 0}, {.edges = both, .n_edges = 2}};
    struct taken taken;
    error_clear(&world.err);
    cr_expect_eq(variants_run(world.variants, list, 2, take, &taken, &world.err), ST_BAD_INPUT,
                 "%s", why);
    cr_expect(strstr(world.err.text, why), "%s", world.err.text);
}

Test(variants_edges, that_are_none_are_refused_by_name)
{
    open_world("gpt2-tied");
    const struct model_config *c = world.config;
    const size_t d = c->d_model, d_head = c->d_head;
    const struct variant_change head = {.hook = {HOOK_Z, 0}, .n_columns = d_head},
                                wide = {.hook = {HOOK_Z, 0}, .n_columns = 2 * d_head},
                                late = {.hook = {HOOK_MLP_OUT, 1}, .n_columns = d},
                                none = {.hook = {HOOK_RESID_MID, 0}, .n_columns = d};
    struct variant_change early = head, rest = head;
    early.is_row = early_rows;
    rest.is_row = late_rows;
    const struct variant_edge fine = {head, {HOOK_K, 1}, 0, d_head};
    refuse(fine, (struct variant_edge){none, {HOOK_K, 1}, 0, d_head}, "hook_resid_mid sends");
    refuse(fine, (struct variant_edge){head, {HOOK_Z, 1}, 0, d_head}, "hook_z receives");
    refuse(fine, (struct variant_edge){head, {HOOK_RESID_POST, 0}, 0, d}, "receives nothing");
    refuse(fine, (struct variant_edge){head, {HOOK_K, 1}, 1, d_head}, "not whole receivers");
    refuse(fine, (struct variant_edge){head, {HOOK_MLP_OUT, 1}, 0, d / 2}, "not whole receivers");
    refuse(fine, (struct variant_edge){late, {HOOK_K, 1}, 0, d_head}, "is not before");
    refuse(fine, (struct variant_edge){head, {HOOK_Q, 0}, 0, d_head}, "is not before");
    refuse(fine, fine, "variant 1: the edge from blocks.0.attn.hook_z");
    refuse(fine, (struct variant_edge){wide, {HOOK_K, 1}, 0, 2 * d_head}, "is twice");
    const struct variant_edge halves[] = {{early, {HOOK_K, 1}, 0, d_head},
                                          {rest, {HOOK_K, 1}, 0, d_head}};
    memcpy(world.graphs[0].edges, halves, sizeof halves);
    world.graphs[0].n_edges = 2;
    world.graphs[1].edges[world.graphs[1].n_edges++] = fine;
    world.n_graphs = 2;
    const struct taken taken = run(false);
    cr_expect_arr_eq(taken.logits[0], taken.logits[1], sizeof taken.logits[0]);
    close_world();
}
