#include "coordinator/dispatch/dead_units.h"

#include "common/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHANGES_MAX = 65536 };

void dead_units_fini(struct dead_units *dead)
{
    for (size_t i = 0; i < dead->n_changes; i++) free(dead->changes[i].json);
    free(dead->changes);
    *dead = (struct dead_units){0};
}

char *dead_units_key(const char *id, char out[DEAD_KEY_SIZE])
{
    (void)snprintf(out, DEAD_KEY_SIZE, "interp:dead:%.*s", (int)strcspn(id, "/"), id);
    return out;
}

/* --- noting -------------------------------------------------------------------------------- */

/* Room for one more change; NULL (logged) if there is none: the list is for people, the sweep
 * does not depend on it. */
static struct dead_change *next_change(struct dead_units *dead, const struct task *task)
{
    if (dead->n_changes == dead->capacity) {
        const size_t capacity = dead->capacity ? 2 * dead->capacity : 16;
        struct dead_change *grown =
            capacity <= CHANGES_MAX ? realloc(dead->changes, capacity * sizeof *grown) : NULL;
        if (!grown) {
            log_event(LOG_ERROR, "dead_unit_not_listed", LOG_TEXT("task_id", task->id));
            return NULL;
        }
        dead->changes = grown;
        dead->capacity = capacity;
    }
    struct dead_change *change = &dead->changes[dead->n_changes++];
    *change = (struct dead_change){.json = NULL};
    (void)dead_units_key(task->id, change->key);
    return change;
}

static json_t *json_errors(const struct task *task, size_t unit)
{
    json_t *list = json_array();
    const size_t n = task->n_errors < TASK_ERRORS_KEPT ? task->n_errors : TASK_ERRORS_KEPT;
    for (size_t i = 0; i < n; i++) {
        const struct task_error *error = &task->errors[i];
        if (unit < error->low || unit >= error->high) continue;
        (void)json_array_append_new(list,
                                    json_pack("{s:s s:I s:s}", "worker", error->worker, "unix_ms",
                                              (json_int_t)error->unix_ms, "text", error->text));
    }
    return list;
}

void dead_units_add(struct dead_units *dead, const struct task *task, size_t unit)
{
    json_t *entry = json_pack("{s:s s:I s:o}", "task", task->id, "unit", (json_int_t)unit, "errors",
                              json_errors(task, unit));
    char *json = entry ? json_dumps(entry, JSON_COMPACT) : NULL;
    json_decref(entry);
    struct dead_change *change = json ? next_change(dead, task) : NULL;
    if (!change) {
        free(json);
        return;
    }
    (void)snprintf(change->field, sizeof change->field, "%s#%zu", task->id, unit);
    change->json = json;
}

void dead_units_clear(struct dead_units *dead, const struct task *task)
{
    (void)next_change(dead, task);
}

/* --- the store ----------------------------------------------------------------------------- */

status_t dead_units_write(struct dead_units *dead, struct store *store, struct error *err)
{
    if (dead->n_changes == 0) return ST_OK;
    status_t status = ST_OK;
    for (size_t i = 0; i < dead->n_changes && status == ST_OK; i++) {
        const struct dead_change *change = &dead->changes[i];
        if (change->json)
            status =
                store_queue(store, err, "HSET %s %s %s", change->key, change->field, change->json);
        else
            status = store_queue(store, err, "UNLINK %s", change->key);
    }
    const status_t drained = store_drain(store, NULL, NULL, err);
    if (status == ST_OK) status = drained;
    if (status != ST_UNREACHABLE) dead_units_fini(dead);
    return status;
}

static int compare_entries(const void *a, const void *b)
{
    const json_t *left = *(json_t *const *)a, *right = *(json_t *const *)b;
    const char *left_task = json_string_value(json_object_get(left, "task"));
    const char *right_task = json_string_value(json_object_get(right, "task"));
    const int order = strcmp(left_task ? left_task : "", right_task ? right_task : "");
    if (order) return order;
    const json_int_t left_unit = json_integer_value(json_object_get(left, "unit"));
    const json_int_t right_unit = json_integer_value(json_object_get(right, "unit"));
    return left_unit < right_unit ? -1 : left_unit > right_unit;
}

status_t dead_units_read(struct store *store, const char *sweep_id, json_t *out, struct error *err)
{
    char key[DEAD_KEY_SIZE];
    redisReply *reply;
    const status_t status =
        store_run(store, &reply, err, "HVALS %s", dead_units_key(sweep_id, key));
    if (status != ST_OK) return status;
    size_t n = 0;
    json_t **entries = calloc(reply->elements + 1, sizeof *entries);
    for (size_t i = 0; entries && i < reply->elements; i++) {
        json_t *entry = json_loadb(reply->element[i]->str, reply->element[i]->len, 0, NULL);
        if (entry) entries[n++] = entry;
    }
    freeReplyObject(reply);
    if (!entries) return error_set(err, ST_NO_MEMORY, "dead units of %s", sweep_id);
    qsort(entries, n, sizeof *entries, compare_entries);
    for (size_t i = 0; i < n; i++) (void)json_array_append_new(out, entries[i]);
    free(entries);
    return ST_OK;
}
