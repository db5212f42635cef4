#include "tests/unit/task_world.h"

#include "common/evidence.h"

#include "tests/unit/any_backend.h"

#include <criterion/criterion.h>

enum { MAX_BYTES = 1 << 24 };

void task_world_open(struct task_world *world, const char *backend)
{
    error_clear(&world->err);
    cr_assert_eq(backend ? backend_open(backend, &world->backend, &world->err)
                         : any_backend_open(&world->backend, &world->err),
                 ST_OK, "%s", world->err.text);
    cr_assert_eq(model_cache_create(&world->models, world->backend, &world->err), ST_OK, "%s",
                 world->err.text);
}

void task_world_close(struct task_world *world)
{
    task_world_close_task(world);
    model_cache_destroy(&world->models);
    backend_close(&world->backend);
}

struct task_environment task_world_environment(struct task_world *world)
{
    return (struct task_environment){world->models, &world->ticks};
}

status_t task_world_open_task(struct task_world *world, const struct task_handler *handler,
                              json_t *spec)
{
    const struct task_environment environment = task_world_environment(world);
    task_world_close_task(world);
    error_clear(&world->err);
    world->handler = handler;
    const status_t status = handler->open(&world->task, &environment, spec, &world->err);
    json_decref(spec);
    if (status != ST_OK) world->task = NULL;
    return status;
}

void task_world_close_task(struct task_world *world)
{
    if (world->task) world->handler->close(world->task);
    world->task = NULL;
}

status_t task_world_run_unit(struct task_world *world, struct wire_text payload, struct buffer *out)
{
    const struct wire_text none = {"", 0};
    error_clear(&world->err);
    return world->handler->run(world->task, 0, payload, none, out, &world->err);
}

status_t task_world_run(struct task_world *world, const struct task_handler *handler, json_t *spec,
                        struct wire_text payload, struct buffer *out)
{
    status_t status = task_world_open_task(world, handler, spec);
    if (status == ST_OK) status = task_world_run_unit(world, payload, out);
    task_world_close_task(world);
    return status;
}

status_t task_world_ablate(struct task_world *world, json_t *spec, const struct ablate_unit *unit,
                           struct ablate_result *out)
{
    struct buffer payload, bytes;
    buffer_init(&payload, MAX_BYTES);
    buffer_init(&bytes, MAX_BYTES);
    cr_assert_eq(ablate_unit_encode(unit, &payload, &world->err), ST_OK);
    const struct wire_text text = {(const char *)payload.bytes, payload.n_bytes};
    const status_t status = task_world_run(world, &ablate_task_handler, spec, text, &bytes);
    if (status == ST_OK)
        cr_assert_eq(ablate_result_decode(bytes.bytes, bytes.n_bytes, out, &world->err), ST_OK,
                     "%s", world->err.text);
    buffer_fini(&payload);
    buffer_fini(&bytes);
    return status;
}

json_t *task_world_prompts(int n, int n_ctx)
{
    json_t *prompts = json_array();
    for (int i = 0; i < n; i++) {
        json_t *clean = json_array(), *corrupted = json_array();
        for (int t = 0; t < n_ctx; t++) {
            (void)json_array_append_new(clean, json_integer((i * 7 + t * 31) % 113));
            (void)json_array_append_new(corrupted, json_integer((i * 5 + t * 29) % 113));
        }
        (void)json_array_append_new(prompts, json_pack("{s:o, s:o, s:i, s:[i], s:[i]}", "clean",
                                                       clean, "corrupted", corrupted, "answer_at",
                                                       n_ctx - 1, "answers", 3, "distractors", 17));
    }
    return prompts;
}

json_t *task_world_capture(int n_rows, int n_ctx, int top_k, int bin_k)
{
    json_t *limits = json_array();
    for (int i = 0; i < EVIDENCE_N_SPLITS; i++)
        (void)json_array_append_new(
            limits, json_pack("{s:i s:i s:i s:i s:i s:i s:i s:i s:i}", "top_k", top_k, "bin_k",
                              bin_k, "silent_k", 3, "near_miss_k", 0, "neighbour_k", 0, "doc_k", 4,
                              "window_tokens", 8, "min_window_tokens", 4, "counts_positions", 0));
    json_t *target =
        json_pack("{s:s s:s s:s s:f s:s s:s s:i}", "hook", "blocks.1.hook_resid_pre", "units",
                  "dictionary", "dictionary", "tests/golden/dictionaries/standard",
                  "norm_scaling_factor", 0.0, "fingerprint", "", "key", "7", "n_slots", 113);
    return json_pack("{s:s s:s s:s s:s s:i s:i s:o s:[o]}", "kind", "capture", "model",
                     "tests/golden/models/gpt2-bare-names", "fingerprint", "", "compute", "f32",
                     "n_rows", n_rows, "n_ctx", n_ctx, "limits", limits, "targets", target);
}
