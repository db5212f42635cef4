#include "tests/unit/task_world.h"

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
