/* What the handler's tests (test_attribute_task.c) do not reach: batches of several row blocks,
 * prompts alone in a batch made for more, and prompts that make no sense. */
#include "kernels/plugin.h"
#include "worker/model/attribution_parts.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N_CTX = 11, MOST_PROMPTS = 60, MOST_NODES = 64, MOST_EDGES = 512 };

struct world {
    struct backend *backend;
    struct model *model;
    struct error err;
    uint32_t clean[MOST_PROMPTS * N_CTX], corrupted[MOST_PROMPTS * N_CTX];
    uint32_t lengths[MOST_PROMPTS], answers[MOST_PROMPTS];
    double nodes[MOST_NODES], edges[MOST_EDGES];
};
static struct world world;

/* Five prompts, again and again. */
static void set_up_on(const char *backend)
{
    world = (struct world){.backend = NULL};
    cr_assert_eq(backend_open(backend, &world.backend, &world.err), ST_OK, "%s", world.err.text);
    const struct model_params params = {.directory = "tests/golden/models/llama-gqa-tied",
                                        .backend = world.backend};
    cr_assert_eq(model_open(&world.model, &params, &world.err), ST_OK, "%s", world.err.text);
    for (uint32_t i = 0; i < MOST_PROMPTS; i++) {
        const uint32_t kind = i % 5;
        world.lengths[i] = N_CTX - kind;
        world.answers[i] = world.lengths[i] - 1 - (kind == 2);
        for (uint32_t t = 0; t < world.lengths[i]; t++) {
            world.clean[i * N_CTX + t] = (kind * 37 + t * 11) % 149;
            world.corrupted[i * N_CTX + t] = (kind * 37 + t * 11 + (t == 2 ? 5 : 0)) % 149;
        }
    }
}

static void set_up(void)
{
    set_up_on("cpu");
}

static void set_up_emulated(void)
{
    set_up_on("emu");
}

static void tear_down(void)
{
    model_close(&world.model);
    backend_close(&world.backend);
}

TestSuite(attribution, .init = set_up, .fini = tear_down, .timeout = 60);
TestSuite(attribution_emulated, .init = set_up_emulated, .fini = tear_down, .timeout = 60);

static status_t slope(void *context, size_t prompt, const float *logits, const float *clean,
                      float *out, struct error *err)
{
    (void)context;
    (void)prompt;
    (void)logits;
    (void)clean;
    (void)err;
    out[3] = 1;
    out[17] = -1;
    return ST_OK;
}

static status_t run_batch(struct attribution *attribution, size_t first, size_t n, double *nodes,
                          double *edges)
{
    const struct attribution_prompts prompts = {.n = n,
                                                .clean = world.clean + first * N_CTX,
                                                .corrupted = world.corrupted + first * N_CTX,
                                                .lengths = world.lengths + first,
                                                .answers = world.answers + first};
    const struct attribution_request request = {
        .n_steps = 2, .slope = slope, .nodes = nodes, .edges = edges};
    return attribution_run(attribution, &prompts, &request, &world.err);
}

static struct attribution *open_batch(size_t n_prompts, bool has_edges)
{
    struct attribution *attribution = NULL;
    const struct attribution_params params = {
        .model = world.model, .n_prompts = n_prompts, .n_ctx = N_CTX, .has_edges = has_edges};
    cr_assert_eq(attribution_create(&attribution, &params, &world.err), ST_OK, "%s",
                 world.err.text);
    return attribution;
}

static void expect_times(const double *many, const double *few, size_t n, double factor)
{
    double largest = 0;
    for (size_t i = 0; i < n; i++) largest = fmax(largest, fabs(few[i]));
    cr_assert(largest > 0);
    for (size_t i = 0; i < n; i++)
        cr_expect(fabs(many[i] - factor * few[i]) <= 1e-5 * factor * largest, "%zu: %g, not %g", i,
                  many[i], factor * few[i]);
}

/* 660 tokens are three blocks of products, 55 are less than one. */
Test(attribution, many_blocks_of_tokens_add_up)
{
    const struct attribute_shape shape = attribution_shape(model_config(world.model));
    struct attribution *few = open_batch(5, true), *many = open_batch(60, true);
    double nodes[MOST_NODES] = {0}, edges[MOST_EDGES] = {0};
    cr_assert(attribute_n_nodes(&shape) <= MOST_NODES && attribute_n_edges(&shape) <= MOST_EDGES);
    cr_assert_eq(run_batch(few, 0, 5, nodes, edges), ST_OK, "%s", world.err.text);
    cr_assert_eq(run_batch(many, 0, 60, world.nodes, world.edges), ST_OK, "%s", world.err.text);
    expect_times(world.nodes, nodes, attribute_n_nodes(&shape), 12);
    expect_times(world.edges, edges, attribute_n_edges(&shape), 12);
    attribution_destroy(&few);
    attribution_destroy(&many);
}

/* A batch that was full before leaves nothing behind. */
Test(attribution, a_prompt_alone_in_a_batch_is_itself)
{
    const struct attribute_shape shape = attribution_shape(model_config(world.model));
    struct attribution *fresh = open_batch(5, true), *used = open_batch(5, true);
    double nodes[MOST_NODES] = {0}, edges[MOST_EDGES] = {0}, dropped[MOST_EDGES] = {0};
    cr_assert_eq(run_batch(used, 0, 5, dropped, dropped), ST_OK);
    cr_assert_eq(run_batch(used, 2, 1, nodes, edges), ST_OK);
    cr_assert_eq(run_batch(fresh, 2, 1, world.nodes, world.edges), ST_OK);
    cr_expect_arr_eq(nodes, world.nodes, attribute_n_nodes(&shape) * sizeof *nodes);
    cr_expect_arr_eq(edges, world.edges, attribute_n_edges(&shape) * sizeof *edges);
    attribution_destroy(&fresh);
    attribution_destroy(&used);
}

Test(attribution, prompts_that_make_no_sense_are_refused_by_name)
{
    struct attribution *attribution = open_batch(5, false);
    cr_expect_eq(run_batch(attribution, 0, 6, world.nodes, NULL), ST_BAD_INPUT);
    cr_expect(strstr(world.err.text, "6 prompts"), "%s", world.err.text);
    error_clear(&world.err);
    cr_expect_eq(run_batch(attribution, 0, 5, world.nodes, world.edges), ST_BAD_INPUT);
    cr_expect(strstr(world.err.text, "edges"), "%s", world.err.text);
    error_clear(&world.err);
    world.corrupted[N_CTX + 4] = 149;
    cr_expect_eq(run_batch(attribution, 0, 5, world.nodes, NULL), ST_BAD_INPUT);
    cr_expect(strstr(world.err.text, "prompt 1, token 4: id 149"), "%s", world.err.text);
    error_clear(&world.err);
    world.answers[3] = world.lengths[3];
    cr_expect_eq(run_batch(attribution, 3, 1, world.nodes, NULL), ST_BAD_INPUT);
    cr_expect(strstr(world.err.text, "answer"), "%s", world.err.text);
    for (size_t i = 0; i < MOST_NODES; i++) cr_expect_eq(world.nodes[i], 0);
    attribution_destroy(&attribution);
}

/* Senders of one layer at a time, of two, ...: an edge's sum is the same. */
static void expect_groups_change_nothing(void)
{
    const struct attribute_shape shape = attribution_shape(model_config(world.model));
    struct attribution *attribution = open_batch(MOST_PROMPTS, true);
    cr_assert(shape.n_layers > 1);
    cr_expect_eq(attribution->n_tile_layers, shape.n_layers, "there is room for all");
    cr_assert_eq(run_batch(attribution, 0, MOST_PROMPTS, world.nodes, world.edges), ST_OK);
    for (size_t n = 1; n < shape.n_layers; n++) {
        double nodes[MOST_NODES] = {0}, edges[MOST_EDGES] = {0};
        attribution->n_tile_layers = n;
        cr_assert_eq(run_batch(attribution, 0, MOST_PROMPTS, nodes, edges), ST_OK);
        cr_expect_arr_eq(nodes, world.nodes, attribute_n_nodes(&shape) * sizeof *nodes);
        cr_expect_arr_eq(edges, world.edges, attribute_n_edges(&shape) * sizeof *edges, "%zu", n);
    }
    attribution_destroy(&attribution);
}

Test(attribution, senders_in_groups_of_layers_give_the_same_bits)
{
    expect_groups_change_nothing();
}

Test(attribution_emulated, senders_in_groups_of_layers_give_the_same_bits)
{
    expect_groups_change_nothing();
}

/* --- devices that are too small ------------------------------------------------------------ */

enum { N_HALVED = 20 }; /* prompts: 220 tokens, four row blocks of 64 */

/* All of N_HALVED prompts in as many batches as it takes. */
static void run_in_batches(struct attribution *attribution, double *nodes, double *edges)
{
    const size_t n_batch = attribution_n_prompts(attribution);
    for (size_t first = 0; first < N_HALVED; first += n_batch) {
        const size_t left = N_HALVED - first;
        cr_assert_eq(run_batch(attribution, first, left < n_batch ? left : n_batch, nodes, edges),
                     ST_OK, "%s", world.err.text);
    }
}

/* The same terms: only sums over prompts, in f64, come in another order. */
static void expect_same_sums(const double *got, const double *want, size_t n, const char *what)
{
    double largest = 0;
    for (size_t i = 0; i < n; i++) largest = fmax(largest, fabs(want[i]));
    cr_assert(largest > 0);
    for (size_t i = 0; i < n; i++)
        cr_expect(fabs(got[i] - want[i]) <= 1e-12 * largest, "%s %zu: %.17g, not %.17g", what, i,
                  got[i], want[i]);
}

Test(attribution, a_halved_batch_gives_the_same_scores)
{
    static const size_t N_PROMPTS[] = {20, 10, 5};
    const struct attribute_shape shape = attribution_shape(model_config(world.model));
    struct attribution *whole = open_batch(N_HALVED, true);
    run_in_batches(whole, world.nodes, world.edges);
    attribution_destroy(&whole);
    for (size_t i = 0; i < 3; i++) {
        double nodes[MOST_NODES] = {0}, edges[MOST_EDGES] = {0};
        if (i) cr_assert(model_halve(world.model), "half of a batch is smaller");
        struct attribution *halved = open_batch(N_HALVED, true);
        cr_expect_eq(attribution_n_prompts(halved), N_PROMPTS[i]);
        run_in_batches(halved, nodes, edges);
        expect_same_sums(nodes, world.nodes, attribute_n_nodes(&shape), "node");
        expect_same_sums(edges, world.edges, attribute_n_edges(&shape), "edge");
        attribution_destroy(&halved);
    }
    cr_expect_not(model_halve(world.model), "55 tokens are one block");
}

static status_t try_batch(size_t limit, struct attribution **out)
{
    const struct attribution_params params = {
        .model = world.model, .n_prompts = N_HALVED, .n_ctx = N_CTX, .has_edges = true};
    world.backend->ops->limit_memory(world.backend, limit);
    error_clear(&world.err);
    return attribution_create(out, &params, &world.err);
}

Test(attribution_emulated, takes_fewer_prompts_where_there_is_less_room)
{
    const struct attribute_shape shape = attribution_shape(model_config(world.model));
    struct attribution *attribution = NULL;
    double nodes[MOST_NODES] = {0}, edges[MOST_EDGES] = {0};
    size_t limit = 4 << 20; /* less than a workspace takes */
    cr_assert_eq(try_batch(limit, &attribution), ST_NO_MEMORY);
    cr_expect(strstr(world.err.text,
                     "an attribution does not fit on emu host emulator sm_80 beside "
                     "its model: derivatives take ") &&
                  strstr(world.err.text, " bytes of weights, 5 prompts of 11 tokens ") &&
                  strstr(world.err.text, "of 4194304 bytes are free"),
              "%s", world.err.text);
    while (try_batch(limit, &attribution) != ST_OK) limit += 1 << 16;
    cr_expect_eq(attribution_n_prompts(attribution), 5, "%zu bytes", limit);
    cr_expect_eq(attribution->n_tile_layers, 1, "no room for the senders of another layer");
    run_in_batches(attribution, nodes, edges); /* what it takes as it runs is counted, too */
    attribution_destroy(&attribution);
    world.backend->ops->limit_memory(world.backend, 1 << 30);
    attribution = open_batch(N_HALVED, true);
    cr_expect_eq(attribution_n_prompts(attribution), N_HALVED);
    run_in_batches(attribution, world.nodes, world.edges);
    expect_same_sums(nodes, world.nodes, attribute_n_nodes(&shape), "node");
    expect_same_sums(edges, world.edges, attribute_n_edges(&shape), "edge");
    attribution_destroy(&attribution);
}
