/* submit, list, status, feature, and the moves of a sweep's state. */
#include "coordinator/api/operations.h"

#include "coordinator/plan/circularity.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { CLIENT_KEY_MAX = 128 };

static status_t check_client_key(const char *key, struct error *err)
{
    const size_t n = strlen(key);
    bool ok = n > 0 && n <= CLIENT_KEY_MAX;
    for (size_t i = 0; ok && i < n; i++)
        ok = isalnum((unsigned char)key[i]) || strchr("-_.", key[i]);
    return ok ? ST_OK
              : error_set(err, ST_BAD_INPUT, "client_key: 1 to %d letters, digits, - _ .",
                          CLIENT_KEY_MAX);
}

status_t api_submit(struct api *api, const json_t *args, json_t **out, struct error *err)
{
    const struct args_allowed allowed = {{"yaml", "directory", "file", "client_key", NULL}};
    const char *yaml, *directory, *file, *key;
    struct sweep_spec *spec;
    struct sweep *sweep;
    bool is_new;
    status_t status = args_check(args, &allowed, err);
    if (status == ST_OK) status = args_text(args, "yaml", &yaml, err);
    if (status == ST_OK) status = args_text(args, "directory", &directory, err);
    if (status == ST_OK) status = args_text(args, "file", &file, err);
    if (status == ST_OK) status = args_text(args, "client_key", &key, err);
    if (status == ST_OK) status = check_client_key(key, err);
    if (status != ST_OK) return status;
    const struct sweep_text text = {yaml, strlen(yaml), file, directory};
    status = sweep_spec_parse(&spec, &text, err);
    if (status != ST_OK) return status;
    status = circularity_check(spec, api->providers, err);
    if (status == ST_OK) status = registry_submit(api->registry, spec, key, &sweep, &is_new, err);
    if (status != ST_OK) {
        sweep_spec_free(&spec);
        return status;
    }
    *out = json_pack("{s:s, s:b}", "sweep", sweep->id, "is_new", (int)is_new);
    return ST_OK;
}

status_t api_list(struct api *api, const json_t *args, json_t **out, struct error *err)
{
    const struct args_allowed allowed = {{NULL}};
    const status_t status = args_check(args, &allowed, err);
    if (status != ST_OK) return status;
    json_t *sweeps = json_array();
    for (size_t i = registry_count(api->registry); i-- > 0;)
        (void)json_array_append_new(sweeps, json_sweep_summary(api, registry_at(api->registry, i)));
    *out = json_pack("{s:o}", "sweeps", sweeps);
    return ST_OK;
}

static json_t *json_phase(const struct task *task)
{
    const struct unit_table *units = task->units;
    const char *slash = strrchr(task->id, '/');
    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:o}", "name",
                     slash ? slash + 1 : task->id, "kind", task_kind_name(task->kind), "n_units",
                     (json_int_t)unit_table_n_units(units), "ready",
                     (json_int_t)unit_table_count(units, UNIT_READY), "leased",
                     (json_int_t)unit_table_count(units, UNIT_LEASED), "done",
                     (json_int_t)unit_table_count(units, UNIT_DONE), "dead",
                     (json_int_t)unit_table_count(units, UNIT_DEAD), "seconds_per_unit",
                     json_optional(task->seconds_per_unit > 0 ? task->seconds_per_unit : -1));
}

static json_t *json_phases(struct api *api, const struct sweep *sweep)
{
    json_t *phases = json_array();
    struct task *task;
    for (size_t i = 0; (task = task_queue_at(dispatcher_queue(api->dispatcher), i)); i++)
        if (task->share == &sweep->share) (void)json_array_append_new(phases, json_phase(task));
    return phases;
}

status_t api_status(struct api *api, const json_t *args, json_t **out, struct error *err)
{
    const struct args_allowed allowed = {{"sweep", NULL}};
    struct sweep *sweep;
    status_t status = args_check(args, &allowed, err);
    if (status == ST_OK) status = args_sweep(api, args, &sweep, err);
    if (status != ST_OK) return status;
    json_t *result = json_sweep_summary(api, sweep);
    (void)json_object_set_new(result, "phases", json_phases(api, sweep));
    json_t *money = json_calls_and_spend(api, sweep);
    (void)json_object_update(result, money);
    json_decref(money);
    char *spec = sweep_spec_to_json(sweep->spec);
    json_t *keys = spec ? json_loads(spec, 0, NULL) : NULL;
    (void)json_object_set_new(result, "spec", keys ? keys : json_null());
    free(spec);
    if (sweep->ops->describe) status = sweep->ops->describe(sweep, result, err);
    if (status == ST_OK)
        *out = result;
    else
        json_decref(result);
    return status;
}

static status_t find_record(const struct sweep *sweep, uint64_t feature, size_t target,
                            struct buffer *out, struct error *err)
{
    size_t index;
    struct error problem = {0};
    status_t status = sweep->ops->find ? sweep->ops->find(sweep, target, feature, &index, &problem)
                                       : ST_NOT_FOUND;
    if (status == ST_OK) status = sweep->ops->record(sweep, index, out, &problem);
    if (status == ST_NOT_FOUND)
        return error_set(err, status, "sweep %s has no result for feature %llu of target %zu",
                         sweep->id, (unsigned long long)feature, target);
    return status == ST_OK ? ST_OK : error_set(err, status, "%s", problem.text);
}

json_t *api_find_record(const struct sweep *sweep, uint64_t feature, size_t target)
{
    struct buffer text;
    buffer_init(&text, API_RECORD_MAX_BYTES);
    json_t *record = find_record(sweep, feature, target, &text, NULL) == ST_OK
                         ? json_loadb((const char *)text.bytes, text.n_bytes, 0, NULL)
                         : NULL;
    buffer_fini(&text);
    return record;
}

/* The sweep, target and feature that the arguments name. */
static status_t read_named(struct api *api, const json_t *args, struct sweep **sweep,
                           uint64_t *feature, uint64_t *target, struct error *err)
{
    status_t status = args_sweep(api, args, sweep, err);
    if (status == ST_OK) status = args_count(args, "feature", UINT64_MAX, feature, err);
    if (status == ST_OK && *feature == UINT64_MAX)
        status = error_set(err, ST_BAD_INPUT, "argument \"feature\" is missing");
    if (status == ST_OK) status = args_count(args, "target", 0, target, err);
    if (status == ST_OK && *target >= (*sweep)->spec->n_targets)
        status = error_set(err, ST_NOT_FOUND, "sweep %s has %zu targets", (*sweep)->id,
                           (*sweep)->spec->n_targets);
    return status;
}

status_t api_find_index(struct api *api, const json_t *args, struct sweep **sweep, size_t *index,
                        struct error *err)
{
    uint64_t feature = 0, target = 0;
    struct error problem = {0};
    status_t status = read_named(api, args, sweep, &feature, &target, err);
    if (status != ST_OK) return status;
    const struct sweep_engine_ops *ops = (*sweep)->ops;
    status = ops->find ? ops->find(*sweep, (size_t)target, feature, index, &problem) : ST_NOT_FOUND;
    return status == ST_OK
               ? ST_OK
               : error_set(err, status, "sweep %s has no result for feature %llu of target %llu",
                           (*sweep)->id, (unsigned long long)feature, (unsigned long long)target);
}

status_t api_feature(struct api *api, const json_t *args, struct buffer *out, struct error *err)
{
    const struct args_allowed allowed = {{"sweep", "feature", "target", NULL}};
    struct sweep *sweep;
    uint64_t feature = 0, target = 0;
    status_t status = args_check(args, &allowed, err);
    if (status == ST_OK) status = read_named(api, args, &sweep, &feature, &target, err);
    if (status != ST_OK) return status;
    return find_record(sweep, feature, (size_t)target, out, err);
}

static status_t apply(struct api *api, const json_t *args, enum sweep_event event, json_t **out,
                      struct error *err)
{
    const struct args_allowed allowed = {
        {"sweep", event == SWEEP_RESUME ? "budget_dollars" : NULL, NULL}};
    struct sweep *sweep;
    status_t status = args_check(args, &allowed, err);
    if (status == ST_OK) status = args_sweep(api, args, &sweep, err);
    if (status == ST_OK && event == SWEEP_RETRY && sweep->state == SWEEP_RUNNING) {
        if (sweep->engine) sweep->ops->retry(sweep);
    } else if (status == ST_OK) {
        status = registry_apply(api->registry, sweep, event,
                                event == SWEEP_PAUSE ? sweep_paused_by_user : NULL, err);
    }
    if (status != ST_OK) return status;
    *out = json_pack("{s:s, s:s}", "sweep", sweep->id, "state", sweep_state_name(sweep->state));
    return ST_OK;
}

status_t api_cancel(struct api *api, const json_t *args, json_t **out, struct error *err)
{
    return apply(api, args, SWEEP_CANCEL, out, err);
}

status_t api_pause(struct api *api, const json_t *args, json_t **out, struct error *err)
{
    return apply(api, args, SWEEP_PAUSE, out, err);
}

/* With a budget: that first. A sweep whose budget was spent would only pause again without. */
status_t api_resume(struct api *api, const json_t *args, json_t **out, struct error *err)
{
    const struct args_allowed allowed = {{"sweep", "budget_dollars", NULL}};
    const json_t *budget = json_object_get(args, "budget_dollars");
    struct sweep *sweep;
    status_t status = args_check(args, &allowed, err);
    if (status == ST_OK) status = args_sweep(api, args, &sweep, err);
    if (status == ST_OK && budget && !json_is_number(budget))
        status = error_set(err, ST_BAD_INPUT, "argument \"budget_dollars\" is not a number");
    if (status == ST_OK && budget && sweep->state != SWEEP_PAUSED)
        status = error_set(err, ST_CONFLICT, "sweep %s is %s", sweep->id,
                           sweep_state_name(sweep->state));
    if (status == ST_OK && budget)
        status = registry_set_budget(api->registry, sweep, json_number_value(budget), err);
    return status == ST_OK ? apply(api, args, SWEEP_RESUME, out, err) : status;
}

status_t api_retry(struct api *api, const json_t *args, json_t **out, struct error *err)
{
    return apply(api, args, SWEEP_RETRY, out, err);
}
