/* A unit that costs nothing and settles `payload_bytes` bytes made from its number: what is left
 * to measure is the queue, the wire and the store. `fail_unit`, `kill_unit` and `unit_ms` make
 * the failures and the slowness that the tests of the queue need. */
#include "worker/tasks/task_handler.h"

#include "common/hash.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NOOP_MAX_PAYLOAD = 1 << 20 };

struct noop_task {
    size_t n_payload;
    uint64_t fail_unit, kill_unit; /* UINT64_MAX = none */
    uint64_t unit_ms;
    char payload[NOOP_MAX_PAYLOAD];
};

static uint64_t optional(const json_t *spec, const char *key, uint64_t otherwise)
{
    const json_t *value = json_object_get(spec, key);
    return json_is_integer(value) && json_integer_value(value) >= 0
               ? (uint64_t)json_integer_value(value)
               : otherwise;
}

static status_t noop_open(void **out, const struct task_environment *environment,
                          const json_t *spec, struct error *err)
{
    (void)environment;
    const uint64_t n_payload = optional(spec, "payload_bytes", 0);
    if (n_payload > NOOP_MAX_PAYLOAD)
        return error_set(err, ST_TOO_LARGE, "payload_bytes %llu, at most %d",
                         (unsigned long long)n_payload, NOOP_MAX_PAYLOAD);
    struct noop_task *task = calloc(1, sizeof *task);
    if (!task) return error_set(err, ST_NO_MEMORY, "noop task");
    task->n_payload = (size_t)n_payload;
    task->fail_unit = optional(spec, "fail_unit", UINT64_MAX);
    task->kill_unit = optional(spec, "kill_unit", UINT64_MAX);
    task->unit_ms = optional(spec, "unit_ms", 0);
    *out = task;
    return ST_OK;
}

static void wait_ms(uint64_t ms)
{
    const struct timespec pause = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
    (void)nanosleep(&pause, NULL);
}

static status_t noop_run(void *context, uint64_t unit, struct wire_text payload,
                         struct wire_text shared, struct buffer *out, struct error *err)
{
    (void)payload;
    (void)shared;
    struct noop_task *task = context;
    if (unit == task->fail_unit) return error_set(err, ST_BAD_INPUT, "unit asked to fail");
    if (unit == task->kill_unit) (void)raise(SIGKILL);
    if (task->unit_ms) wait_ms(task->unit_ms);
    memset(task->payload, 'a' + (int)(hash_mix64(unit) % 26), task->n_payload);
    return buffer_append(out, task->payload, task->n_payload, err);
}

static void noop_close(void *context)
{
    free(context);
}

const struct task_handler noop_task_handler = {TASK_NOOP, noop_open, noop_run, noop_close};
