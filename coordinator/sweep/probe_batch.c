#include "coordinator/sweep/probe_batch.h"

#include "common/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RECORD_MAX_BYTES = PROBE_BATCH_MAX_UNITS * PROBE_MAX_UNIT_BYTES, NAME_DIGITS = 16 };

status_t probe_batch_create(struct probe_batch **out, size_t most_per_unit, struct error *err)
{
    struct probe_batch *batch = calloc(1, sizeof *batch);
    if (batch) batch->units = calloc(PROBE_BATCH_MAX_UNITS, sizeof *batch->units);
    if (!batch || !batch->units) {
        free(batch);
        return error_set(err, ST_NO_MEMORY, "batch of probes");
    }
    batch->most_per_unit = most_per_unit;
    buffer_init(&batch->record, RECORD_MAX_BYTES);
    for (size_t i = 0; i < PROBE_BATCH_MAX_UNITS; i++)
        buffer_init(&batch->units[i].payload, PROBE_MAX_UNIT_BYTES);
    *out = batch;
    return ST_OK;
}

static void unit_fini(struct probe_batch_unit *unit)
{
    for (size_t i = 0; i < unit->n; i++) probe_answer_fini(&unit->answers[i]);
    buffer_fini(&unit->payload);
}

void probe_batch_destroy(struct probe_batch **batch)
{
    struct probe_batch *self = *batch;
    if (!self) return;
    for (size_t i = 0; i < PROBE_BATCH_MAX_UNITS; i++) unit_fini(&self->units[i]);
    task_destroy(&self->task);
    buffer_fini(&self->record);
    free(self->units);
    free(self);
    *batch = NULL;
}

bool probe_batch_next_unit(struct probe_batch *batch)
{
    if (batch->n_units == PROBE_BATCH_MAX_UNITS) return false;
    batch->n_units++;
    return true;
}

static bool has_room(const struct probe_batch *batch, size_t n_bytes)
{
    if (batch->n_units == 0) return false;
    const struct probe_batch_unit *unit = &batch->units[batch->n_units - 1];
    return unit->n < batch->most_per_unit && unit->n_bytes + n_bytes <= PROBE_BATCH_UNIT_BYTES;
}

bool probe_batch_put(struct probe_batch *batch, struct probe_ask *ask)
{
    if (!has_room(batch, ask->n_bytes) && !probe_batch_next_unit(batch)) return false;
    struct probe_batch_unit *unit = &batch->units[batch->n_units - 1];
    unit->asks[unit->n++] = ask;
    unit->n_bytes += ask->n_bytes;
    return true;
}

/* --- the task ------------------------------------------------------------------------------ */

static status_t batch_payload(struct task *task, size_t unit, struct buffer *out, struct error *err)
{
    const struct probe_batch *batch = task->owner;
    const struct buffer *payload = &batch->units[unit].payload;
    return buffer_append(out, payload->bytes, payload->n_bytes, err);
}

static status_t batch_result(struct task *task, size_t unit, const void *bytes, size_t n_bytes,
                             struct error *err)
{
    struct probe_batch *batch = task->owner;
    struct probe_batch_unit *self = &batch->units[unit];
    if (self->is_answered) return ST_OK; /* it was dead, and lives again too late */
    const status_t status = probe_result_decode(bytes, n_bytes, self->answers, self->n, err);
    self->is_answered = status == ST_OK;
    return status;
}

static const struct task_ops batch_ops = {.payload = batch_payload, .result = batch_result};

static status_t encode_unit(struct probe_batch_unit *self, struct error *err)
{
    struct probe_unit unit = {.n_probes = self->n};
    for (size_t i = 0; i < self->n; i++)
        unit.probes[i] = (struct probe){.target = self->asks[i]->target,
                                        .slot = self->asks[i]->slot,
                                        .text = {self->asks[i]->text, self->asks[i]->n_bytes}};
    return probe_unit_encode(&unit, &self->payload, err);
}

static status_t make_record(struct probe_batch *batch, struct error *err)
{
    struct wire_text parts[PROBE_BATCH_MAX_UNITS];
    status_t status = ST_OK;
    for (size_t i = 0; i < batch->n_units && status == ST_OK; i++) {
        status = encode_unit(&batch->units[i], err);
        parts[i] = (struct wire_text){(const char *)batch->units[i].payload.bytes,
                                      batch->units[i].payload.n_bytes};
    }
    return status == ST_OK ? wire_parts_encode(parts, batch->n_units, &batch->record, err) : status;
}

status_t probe_batch_name(const struct probe_batch_params *params, const void *record,
                          size_t n_record, char id[TASK_ID_SIZE], struct error *err)
{
    char hash[HASH_HEX_SIZE];
    struct hash_stream *stream = NULL;
    status_t status = hash_stream_create(&stream, err);
    if (status == ST_OK)
        status = hash_stream_add(stream, params->identity, strlen(params->identity), err);
    if (status == ST_OK) status = hash_stream_add(stream, record, n_record, err);
    if (status == ST_OK) status = hash_stream_hex(stream, hash, err);
    hash_stream_destroy(&stream);
    if (status != ST_OK) return status;
    const int n = snprintf(id, TASK_ID_SIZE, "%s/probe-%.*s", params->sweep_id, NAME_DIGITS, hash);
    return n > 0 && n < TASK_ID_SIZE ? ST_OK : error_set(err, ST_TOO_LARGE, "a sweep's name");
}

status_t probe_batch_seal(struct probe_batch *batch, const struct probe_batch_params *params,
                          struct error *err)
{
    char id[TASK_ID_SIZE];
    status_t status = make_record(batch, err);
    if (status == ST_OK)
        status = probe_batch_name(params, batch->record.bytes, batch->record.n_bytes, id, err);
    const struct task_params task = {.id = id,
                                     .kind = TASK_PROBE,
                                     .n_units = batch->n_units,
                                     .spec_json = params->spec_json,
                                     .ops = &batch_ops,
                                     .owner = batch,
                                     .share = params->share,
                                     .is_pinned = params->is_pinned,
                                     .keeps_dead = true,
                                     .max_units_per_lease = PROBE_BATCH_MAX_UNITS};
    return status == ST_OK ? task_create(&batch->task, &task, err) : status;
}

/* --- dead units ---------------------------------------------------------------------------- */

/* The newest error that was kept of the unit. */
static const char *error_of(const struct task *task, size_t unit)
{
    const size_t n = task->n_errors < TASK_ERRORS_KEPT ? task->n_errors : TASK_ERRORS_KEPT;
    for (size_t i = n; i-- > 0;)
        if (unit >= task->errors[i].low && unit < task->errors[i].high) return task->errors[i].text;
    return "no error was kept";
}

void probe_batch_take_dead(struct probe_batch *batch)
{
    const struct task *task = batch->task;
    const bool is_broken = task->failure.status != ST_OK;
    for (size_t i = 0; i < batch->n_units; i++) {
        struct probe_batch_unit *unit = &batch->units[i];
        if (unit->is_answered || !(is_broken || unit_table_state(task->units, i) == UNIT_DEAD))
            continue;
        const char *why = is_broken ? task->failure.text : error_of(task, i);
        for (size_t k = 0; k < unit->n; k++) unit->answers[k] = probe_answer_of_error(why);
        unit->is_answered = unit->is_dead = true;
    }
}
