#include "worker/tasks/task_handler.h"

status_t task_handler_find(const char *kind, const struct task_handler **out, struct error *err)
{
    static const struct task_handler *const handlers[] = {
        &noop_task_handler,     &describe_task_handler,  &tokenize_task_handler,
        &capture_task_handler,  &probe_task_handler,     &logits_task_handler,
        &generate_task_handler, &ablate_task_handler,    &neighbours_task_handler,
        &prompts_task_handler,  &attribute_task_handler, &head_scores_task_handler};
    enum task_kind wanted;
    const status_t status = task_kind_parse(kind, &wanted, err);
    if (status != ST_OK) return status;
    for (size_t i = 0; i < sizeof handlers / sizeof handlers[0]; i++)
        if (handlers[i]->kind == wanted) {
            *out = handlers[i];
            return ST_OK;
        }
    return error_set(err, ST_UNSUPPORTED, "this worker has no handler for %s tasks", kind);
}
