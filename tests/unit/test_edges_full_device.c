/* Edges on a device (the host emulator's) that has no more memory once a task is open: the unit
 * fails with what it lacks, batches are halved as a worker does it, and the task that is opened
 * again gives what one gave that had room. */
#include "common/attribute.h"
#include "tests/unit/task_world.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

enum { N_CTX = 16, N_PROMPTS = 8, N_GRAPHS = 12, ROOM = 1 << 30, NOTHING = 1 };
enum { MAX_BYTES = 1 << 22, D_HEAD = 16 };
static const char MODEL[] = "tests/golden/models/gpt2-bare-names"; /* 3 layers, 2 heads of 16 */

static json_t *make_spec(const char *kind)
{
    return json_pack("{s:s s:s s:s s:s s:i s:s s:b s:o s:[] s:s s:s}", "kind", kind, "model", MODEL,
                     "fingerprint", "", "compute", "f32", "n_ctx", N_CTX, "mean", "overall",
                     "vocabulary", true, "prompts", task_world_prompts(N_PROMPTS, N_CTX),
                     "reference", "method", "eap", "metric", "logit_difference");
}

/* Graphs of the edges from the first layer's heads, resampled, to what later layers read. */
static void make_graphs(struct buffer *out)
{
    struct ablate_change changes[2 * N_GRAPHS];
    uint32_t ends[N_GRAPHS];
    for (uint32_t i = 0; i < N_GRAPHS; i++) {
        for (uint32_t k = 0; k < 2; k++)
            changes[2 * i + k] = (struct ablate_change){
                .at = {k ? ABLATE_K : ABLATE_Q, 1 + i % 2, i / 2 % 2 * D_HEAD, D_HEAD},
                .value = ABLATE_RESAMPLE,
                .sender = {ABLATE_Z, 0, k * D_HEAD, D_HEAD}};
        ends[i] = 2 * (i + 1);
    }
    const struct ablate_unit unit = {N_GRAPHS, ends, changes};
    cr_assert_eq(ablate_unit_encode(&unit, out, NULL), ST_OK);
}

static void make_batch(struct buffer *out)
{
    const struct attribute_unit unit = {.first_prompt = 0, .n_prompts = N_PROMPTS};
    cr_assert_eq(attribute_unit_encode(&unit, out, NULL), ST_OK);
}

static void must_open(struct task_world *world, const struct task_handler *handler,
                      const char *kind)
{
    world->backend->ops->limit_memory(world->backend, ROOM);
    cr_assert_eq(task_world_open_task(world, handler, make_spec(kind)), ST_OK, "%s",
                 world->err.text);
}

static void expect_same_bytes(const struct buffer *want, const struct buffer *got)
{
    cr_expect(want->n_bytes == got->n_bytes && memcmp(want->bytes, got->bytes, got->n_bytes) == 0);
}

/* Only sums over prompts, in f64, come in another order. */
static void expect_same_scores(const struct buffer *want, const struct buffer *got)
{
    struct attribute_result a, b;
    double largest = 0;
    cr_assert_eq(attribute_result_decode(want->bytes, want->n_bytes, &a, NULL), ST_OK);
    cr_assert_eq(attribute_result_decode(got->bytes, got->n_bytes, &b, NULL), ST_OK);
    cr_assert(a.n_edges > 0 && a.n_edges == b.n_edges);
    for (size_t i = 0; i < a.n_edges; i++) largest = fmax(largest, fabs(a.edges[i]));
    cr_assert(largest > 0);
    for (size_t i = 0; i < a.n_edges; i++)
        cr_expect(fabs(a.edges[i] - b.edges[i]) <= 1e-12 * largest, "edge %zu", i);
    attribute_result_fini(&a);
    attribute_result_fini(&b);
}

static void expect_same_when_full(const struct task_handler *handler, const char *kind,
                                  const struct buffer *payload,
                                  void (*compare)(const struct buffer *, const struct buffer *))
{
    const struct wire_text unit = {(const char *)payload->bytes, payload->n_bytes};
    struct task_world world = {.backend = NULL};
    struct buffer want, got;
    buffer_init(&want, MAX_BYTES);
    buffer_init(&got, MAX_BYTES);
    task_world_open(&world, "emu");
    must_open(&world, handler, kind);
    cr_assert_eq(task_world_run_unit(&world, unit, &want), ST_OK, "%s", world.err.text);
    must_open(&world, handler, kind);
    world.backend->ops->limit_memory(world.backend, NOTHING);
    cr_assert_eq(task_world_run_unit(&world, unit, &got), ST_NO_MEMORY, "%s", kind);
    cr_expect(strstr(world.err.text, " bytes on the device, "), "%s", world.err.text);
    cr_expect(model_cache_relieve(world.models, false), "%s: nothing to halve", kind);
    must_open(&world, handler, kind);
    got.n_bytes = 0;
    cr_assert_eq(task_world_run_unit(&world, unit, &got), ST_OK, "%s", world.err.text);
    compare(&want, &got);
    task_world_close(&world);
    buffer_fini(&want);
    buffer_fini(&got);
}

Test(edges_full_device, ablations_are_halved_and_the_same, .timeout = 120)
{
    struct buffer payload;
    buffer_init(&payload, MAX_BYTES);
    make_graphs(&payload);
    expect_same_when_full(&ablate_task_handler, "ablate", &payload, expect_same_bytes);
    buffer_fini(&payload);
}

Test(edges_full_device, attributions_are_halved_and_the_same, .timeout = 120)
{
    struct buffer payload;
    buffer_init(&payload, MAX_BYTES);
    make_batch(&payload);
    expect_same_when_full(&attribute_task_handler, "attribute", &payload, expect_same_scores);
    buffer_fini(&payload);
}
