/* ping, workers, drain, dead, overview: the cluster as it is now. */
#include "coordinator/api/operations.h"

#include "common/version.h"
#include "coordinator/dispatch/dead_units.h"

#include <string.h>
#include <unistd.h>

enum { OVERVIEW_SWEEPS = 50, DEAD_ROWS_MAX = 1000 };

status_t api_ping(struct api *api, const json_t *args, json_t **out, struct error *err)
{
    const struct args_allowed allowed = {{NULL}};
    const status_t status = args_check(args, &allowed, err);
    if (status != ST_OK) return status;
    *out = json_pack("{s:s s:i s:I s:i s:o s:s s:b}", "version", version_text(), "protocol",
                     WIRE_VERSION, "epoch", (json_int_t)api->epoch, "pid", (int)getpid(),
                     "started_at", json_time(api->started_unix_ms), "store", api->store_label,
                     "is_store_up", (int)api->is_store_up);
    return ST_OK;
}

static const char *worker_state(const struct worker *worker)
{
    if (worker->is_draining) return "draining";
    if (worker->is_stuck) return "stuck";
    return worker->n_leases ? "busy" : "idle";
}

static json_t *json_worker(struct api *api, const struct worker *worker)
{
    const struct lease *lease =
        worker->running_lease
            ? lease_table_find(dispatcher_leases(api->dispatcher), worker->running_lease)
            : NULL;
    return json_pack(
        "{s:s s:s s:I s:s s:s s:I s:s s:o s:o s:I s:I s:I s:I s:f s:o s:s}", "name", worker->name,
        "host", worker->host, "pid", (json_int_t)worker->pid, "backend", worker->backend, "isa",
        worker->isa, "n_threads", (json_int_t)worker->n_threads, "state", worker_state(worker),
        "task", lease ? json_string(lease->task->id) : json_null(), "unit",
        lease ? json_integer((json_int_t)worker->running_unit) : json_null(), "n_leases",
        (json_int_t)worker->n_leases, "n_settled", (json_int_t)worker->n_settled, "n_failed",
        (json_int_t)worker->n_failed, "memory_bytes", (json_int_t)worker->memory_bytes,
        "busy_seconds", worker->busy_seconds, "connected_at", json_time(worker->connected_unix_ms),
        "code_version", worker->code_version);
}

json_t *json_workers(struct api *api)
{
    json_t *list = json_array();
    struct worker_table *table = dispatcher_workers(api->dispatcher);
    for (size_t i = 0; i < worker_table_count(table); i++)
        (void)json_array_append_new(list, json_worker(api, worker_table_at(table, i)));
    return list;
}

status_t api_workers(struct api *api, const json_t *args, json_t **out, struct error *err)
{
    const struct args_allowed allowed = {{NULL}};
    const status_t status = args_check(args, &allowed, err);
    if (status == ST_OK) *out = json_pack("{s:o}", "workers", json_workers(api));
    return status;
}

status_t api_drain(struct api *api, const json_t *args, json_t **out, struct error *err)
{
    const struct args_allowed allowed = {{"worker", NULL}};
    const char *name;
    status_t status = args_check(args, &allowed, err);
    if (status == ST_OK) status = args_text(args, "worker", &name, err);
    if (status == ST_OK) status = dispatcher_drain_worker(api->dispatcher, name, err);
    if (status == ST_OK) *out = json_pack("{s:s}", "worker", name);
    return status;
}

/* One row per attempt. */
static void add_attempts(const json_t *unit, const char *sweep_id, json_t *rows)
{
    const json_t *errors = json_object_get(unit, "errors");
    for (size_t i = 0; i < json_array_size(errors); i++) {
        const json_t *error = json_array_get(errors, i);
        (void)json_array_append_new(
            rows, json_pack("{s:s s:O s:O s:O s:o s:O}", "sweep", sweep_id, "task",
                            json_object_get(unit, "task"), "unit", json_object_get(unit, "unit"),
                            "worker", json_object_get(error, "worker"), "at",
                            json_time(json_integer_value(json_object_get(error, "unix_ms"))),
                            "error", json_object_get(error, "text")));
    }
}

status_t api_dead(struct api *api, const json_t *args, json_t **out, struct error *err)
{
    const struct args_allowed allowed = {{"sweep", NULL}};
    struct sweep *only = NULL;
    status_t status = args_check(args, &allowed, err);
    if (status == ST_OK && json_object_get(args, "sweep"))
        status = args_sweep(api, args, &only, err);
    json_t *rows = json_array();
    size_t total = 0;
    for (size_t i = 0; i < registry_count(api->registry) && status == ST_OK; i++) {
        const struct sweep *sweep = registry_at(api->registry, i);
        if ((only && sweep != only) || sweep_state_is_over(sweep->state)) continue;
        json_t *units = json_array();
        status = dead_units_read(api->store, sweep->id, units, err);
        total += json_array_size(units);
        for (size_t k = 0; k < json_array_size(units) && json_array_size(rows) < DEAD_ROWS_MAX; k++)
            add_attempts(json_array_get(units, k), sweep->id, rows);
        json_decref(units);
    }
    if (status == ST_OK)
        *out = json_pack("{s:o s:I}", "units", rows, "total", (json_int_t)total);
    else
        json_decref(rows);
    return status;
}

struct history_point api_history_point(struct api *api)
{
    struct history_point now = {.unix_ms = clock_unix_ms(api->clock)};
    struct task *task;
    for (size_t i = 0; (task = task_queue_at(dispatcher_queue(api->dispatcher), i)); i++) {
        now.n_ready += unit_table_count(task->units, UNIT_READY);
        now.n_leased += unit_table_count(task->units, UNIT_LEASED);
        now.n_done += unit_table_count(task->units, UNIT_DONE);
        now.n_dead += unit_table_count(task->units, UNIT_DEAD);
    }
    for (size_t i = 0; i < registry_count(api->registry); i++) {
        const struct sweep *sweep = registry_at(api->registry, i);
        struct sweep_progress progress = {0};
        if (sweep->state != SWEEP_RUNNING) continue; /* of one that is over: a file to read */
        sweep->ops->progress(sweep, &progress);
        now.n_labelled += progress.n_labelled;
    }
    const struct api_money money = api_read_money(api, NULL);
    now.calls_in_flight = money.n_in_flight;
    now.dollars = (double)money.ledger.spent_microdollars * 1e-6;
    return now;
}

static json_t *json_history(const struct history *history)
{
    json_t *list = json_array();
    for (size_t i = 0; i < history->n_points; i++) {
        const struct history_point *point = history_point_at(history, i);
        (void)json_array_append_new(
            list,
            json_pack("{s:o s:I s:I s:I s:I s:I s:f s:I}", "at", json_time(point->unix_ms), "ready",
                      (json_int_t)point->n_ready, "leased", (json_int_t)point->n_leased, "done",
                      (json_int_t)point->n_done, "dead", (json_int_t)point->n_dead,
                      "calls_in_flight", (json_int_t)point->calls_in_flight, "dollars",
                      point->dollars, "labelled", (json_int_t)point->n_labelled));
    }
    return list;
}

static json_t *json_recent_labels(const struct history *history)
{
    json_t *list = json_array();
    for (size_t i = 0; i < history->n_labels; i++) {
        const struct recent_label *label = history_label_at(history, i);
        (void)json_array_append_new(
            list,
            json_pack("{s:s s:I s:s s:s s:o s:o}", "sweep", label->sweep, "feature",
                      (json_int_t)label->feature, "label", label->label, "status", label->status,
                      "score", json_optional(label->score), "at", json_time(label->unix_ms)));
    }
    return list;
}

static json_t *json_newest_sweeps(struct api *api)
{
    json_t *list = json_array();
    for (size_t i = registry_count(api->registry);
         i-- > 0 && json_array_size(list) < OVERVIEW_SWEEPS;)
        (void)json_array_append_new(list, json_sweep_summary(api, registry_at(api->registry, i)));
    return list;
}

status_t api_overview(struct api *api, const json_t *args, json_t **out, struct error *err)
{
    const struct args_allowed allowed = {{NULL}};
    const status_t status = args_check(args, &allowed, err);
    if (status != ST_OK) return status;
    const struct history_point now = api_history_point(api);
    json_t *result = json_pack(
        "{s:o s:s s:b s:o s:o s:{s:I s:I s:I s:I} s:o s:o}", "now", json_time(now.unix_ms),
        "version", version_text(), "is_store_up", (int)api->is_store_up, "sweeps",
        json_newest_sweeps(api), "workers", json_workers(api), "queue", "ready",
        (json_int_t)now.n_ready, "leased", (json_int_t)now.n_leased, "done", (json_int_t)now.n_done,
        "dead", (json_int_t)now.n_dead, "history", json_history(api->history), "recent_labels",
        json_recent_labels(api->history));
    json_t *money = json_calls_and_spend(api, NULL);
    (void)json_object_update(result, money);
    json_decref(money);
    *out = result;
    return ST_OK;
}
