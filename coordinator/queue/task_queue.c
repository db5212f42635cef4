#include "coordinator/queue/task_queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TASKS_MAX = 4096 };

struct task_queue {
    size_t n_tasks;
    double pass; /* of the share that was served last: only grows */
    struct task *tasks[TASKS_MAX];
};

status_t task_create(struct task **out, const struct task_params *params, struct error *err)
{
    struct task *task = calloc(1, sizeof *task);
    if (!task) return error_set(err, ST_NO_MEMORY, "task %s", params->id);
    status_t status = ST_OK;
    (void)snprintf(task->id, sizeof task->id, "%s", params->id);
    task->kind = params->kind;
    task->ops = params->ops;
    task->owner = params->owner;
    task->share = params->share;
    task->is_pinned = params->is_pinned;
    task->is_new = params->is_new;
    task->keeps_dead = params->keeps_dead;
    task->max_units_per_lease = params->max_units_per_lease ? params->max_units_per_lease : 1;
    task->spec_json = strdup(params->spec_json);
    if (!task->spec_json) status = error_set(err, ST_NO_MEMORY, "task %s", params->id);
    if (status == ST_OK) status = unit_table_create(&task->units, params->n_units, err);
    if (status != ST_OK) {
        task_destroy(&task);
        return status;
    }
    *out = task;
    return ST_OK;
}

void task_destroy(struct task **task)
{
    if (!*task) return;
    unit_table_destroy(&(*task)->units);
    free((*task)->spec_json);
    free(*task);
    *task = NULL;
}

void task_note_error(struct task *task, const struct task_error *error)
{
    if (task->n_errors >= TASK_ERRORS_KEPT)
        memmove(task->errors, task->errors + 1, sizeof task->errors - sizeof task->errors[0]);
    const size_t at = task->n_errors < TASK_ERRORS_KEPT ? task->n_errors : TASK_ERRORS_KEPT - 1;
    task->errors[at] = *error;
    task->n_errors++;
}

status_t task_queue_create(struct task_queue **out, struct error *err)
{
    *out = calloc(1, sizeof **out);
    return *out ? ST_OK : error_set(err, ST_NO_MEMORY, "task queue");
}

void task_queue_destroy(struct task_queue **queue)
{
    free(*queue);
    *queue = NULL;
}

status_t task_queue_add(struct task_queue *queue, struct task *task, struct error *err)
{
    if (queue->n_tasks == TASKS_MAX)
        return error_set(err, ST_BUSY, "%d tasks are queued: retry later", TASKS_MAX);
    if (task->share->pass < queue->pass) task->share->pass = queue->pass;
    queue->tasks[queue->n_tasks++] = task;
    return ST_OK;
}

void task_queue_remove(struct task_queue *queue, struct task *task)
{
    for (size_t i = 0; i < queue->n_tasks; i++) {
        if (queue->tasks[i] != task) continue;
        memmove(&queue->tasks[i], &queue->tasks[i + 1],
                (queue->n_tasks - i - 1) * sizeof queue->tasks[0]);
        queue->n_tasks--;
        return;
    }
}

struct task *task_queue_find(struct task_queue *queue, const char *id)
{
    for (size_t i = 0; i < queue->n_tasks; i++)
        if (strcmp(queue->tasks[i]->id, id) == 0) return queue->tasks[i];
    return NULL;
}

struct task *task_queue_at(struct task_queue *queue, size_t index)
{
    return index < queue->n_tasks ? queue->tasks[index] : NULL;
}

bool task_fits(const struct task *task, const struct task_fit *fit)
{
    return !task->share->is_paused && task->failure.status == ST_OK && task_fits_worker(task, fit);
}

void task_pin(struct task *task, const struct task_fit *fit)
{
    if (!task->is_pinned || task->backend[0]) return;
    (void)snprintf(task->backend, sizeof task->backend, "%s", fit->backend);
    (void)snprintf(task->isa, sizeof task->isa, "%s", fit->isa);
}

static bool is_kind(const char *backend, const char *isa, const struct task_fit *fit)
{
    return !backend[0] || (strcmp(backend, fit->backend) == 0 && strcmp(isa, fit->isa) == 0);
}

bool task_fits_worker(const struct task *task, const struct task_fit *fit)
{
    const struct fair_share *share = task->share;
    const struct worker_pin *pin = &share->pin;
    if (!task->is_pinned) return true;
    if (share->backend && strcmp(share->backend, fit->backend) != 0) return false;
    return is_kind(task->backend, task->isa, fit) && is_kind(pin->backend, pin->isa, fit);
}

static bool goes_before(const struct task *a, const struct task *b)
{
    if (a->share->priority != b->share->priority) return a->share->priority > b->share->priority;
    return a->share->pass < b->share->pass;
}

struct task *task_queue_next(struct task_queue *queue, const struct task_fit *fit)
{
    struct task *best = NULL;
    for (size_t i = 0; i < queue->n_tasks; i++) {
        struct task *task = queue->tasks[i];
        if (unit_table_count(task->units, UNIT_READY) == 0 || !task_fits(task, fit)) continue;
        if (!best || goes_before(task, best)) best = task;
    }
    if (best && best->share->pass > queue->pass) queue->pass = best->share->pass;
    return best;
}

void task_charge(struct task *task, double seconds, size_t n_units)
{
    if (n_units == 0 || !(seconds >= 0)) return;
    task->n_units_timed += n_units;
    task->worker_seconds += seconds;
    task->share->pass += seconds / task->share->weight;
    const double each = seconds / (double)n_units;
    task->seconds_per_unit =
        task->seconds_per_unit > 0 ? 0.7 * task->seconds_per_unit + 0.3 * each : each;
}
