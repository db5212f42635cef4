/* neighbours: slots of a dictionary -> the slots whose decoder rows are nearest
 * (common/neighbours.h).
 *
 * Spec: {"kind":"neighbours","model","shuffle_seed" (optional),"fingerprint","compute",
 * "targets":[...]} as capture's. Part 0 of a lease: a wire part per target, a bit per slot (lowest
 * first), set where the slot may be a neighbour; an empty part: all may. */
#include "worker/tasks/task_handler.h"

#include "common/neighbours.h"
#include "worker/model/nearest_directions.h"
#include "worker/tasks/slot_targets.h"

#include <stdlib.h>

struct neighbours_task {
    struct task_environment environment;
    struct slot_targets targets;
    struct nearest_directions *nearest; /* of the target that was asked for last */
    uint32_t nearest_target;
    bool *is_wanted; /* [n_slots] of that target */
};

static void close_nearest(struct neighbours_task *task)
{
    nearest_directions_destroy(&task->nearest);
    free(task->is_wanted);
    task->is_wanted = NULL;
}

static void neighbours_close(void *context)
{
    struct neighbours_task *task = context;
    close_nearest(task);
    slot_targets_close(&task->targets);
    free(task);
}

static status_t neighbours_open(void **out, const struct task_environment *environment,
                                const json_t *spec, struct error *err)
{
    struct neighbours_task *task = calloc(1, sizeof *task);
    if (!task) return error_set(err, ST_NO_MEMORY, "neighbours task");
    task->environment = *environment;
    const status_t status = slot_targets_open(&task->targets, environment->models, spec, err);
    if (status == ST_OK)
        *out = task;
    else
        neighbours_close(task);
    return status;
}

/* --- one target ---------------------------------------------------------------------------- */

/* rows [n_slots, d_in] of the target's features; the caller frees them. */
static status_t read_rows(const struct capture_target *target, size_t n_slots, size_t d_in,
                          float **out, struct error *err)
{
    status_t status = ST_OK;
    float *rows = malloc(n_slots * d_in * sizeof *rows); /* as much as the file holds */
    if (!rows) return error_set(err, ST_NO_MEMORY, "%zu decoder rows", n_slots);
    for (size_t i = 0; i < n_slots && status == ST_OK; i++) {
        struct slot_unit unit;
        status = capture_target_slot_unit(target, (uint32_t)i, &unit, err);
        if (status == ST_OK)
            status = dictionary_decoder_row(unit.dictionary, unit.number, rows + i * d_in, err);
    }
    if (status == ST_OK)
        *out = rows;
    else
        free(rows);
    return status;
}

static status_t have_nearest(struct neighbours_task *task, uint32_t index, struct error *err)
{
    struct capture_target *target = task->targets.item[index];
    const size_t n_slots = capture_target_n_slots(target);
    struct slot_unit first;
    float *rows = NULL;
    if (task->nearest && task->nearest_target == index) return ST_OK;
    close_nearest(task);
    status_t status = capture_target_slot_unit(target, 0, &first, err);
    if (status == ST_OK && !first.dictionary)
        status = error_set(err, ST_BAD_INPUT, "target %u is no dictionary", (unsigned)index);
    if (status != ST_OK) return status;
    const size_t d_in = dictionary_config(first.dictionary)->d_in;
    status = read_rows(target, n_slots, d_in, &rows, err);
    if (status == ST_OK)
        status = nearest_directions_create(&task->nearest, dictionary_backend(first.dictionary),
                                           rows, n_slots, d_in, err);
    if (status != ST_OK) {
        free(rows);
        return status;
    }
    task->nearest_target = index;
    task->is_wanted = malloc(n_slots * sizeof *task->is_wanted);
    return task->is_wanted ? ST_OK : error_set(err, ST_NO_MEMORY, "%zu slots", n_slots);
}

/* Which slots may be neighbours, from part 0 of the lease. */
static status_t read_wanted(struct neighbours_task *task, uint32_t index, struct wire_text shared,
                            struct error *err)
{
    const size_t n_slots = capture_target_n_slots(task->targets.item[index]);
    struct wire_parts parts;
    status_t status = wire_parts_decode(shared.bytes, shared.n_bytes, &parts, err);
    if (status != ST_OK) return status;
    if (parts.n != task->targets.n)
        return error_set(err, ST_CORRUPT, "%zu parts for %zu targets", parts.n, task->targets.n);
    const struct wire_text bits = wire_part(&parts, index);
    if (bits.n_bytes != 0 && bits.n_bytes != (n_slots + 7) / 8)
        return error_set(err, ST_CORRUPT, "%zu bytes say which of %zu slots may be neighbours",
                         bits.n_bytes, n_slots);
    for (size_t i = 0; i < n_slots; i++) {
        const unsigned byte = bits.n_bytes ? (unsigned char)bits.bytes[i / 8] : 0xffu;
        task->is_wanted[i] = (byte >> (i % 8) & 1u) != 0;
    }
    return ST_OK;
}

/* --- one unit ------------------------------------------------------------------------------ */

static status_t check_unit(const struct neighbours_task *task, const struct neighbours_unit *unit,
                           struct error *err)
{
    if (unit->target >= task->targets.n)
        return error_set(err, ST_BAD_INPUT, "neighbours of target %u of %zu",
                         (unsigned)unit->target, task->targets.n);
    const uint32_t n_slots = capture_target_n_slots(task->targets.item[unit->target]);
    if (unit->first >= n_slots || unit->n_slots > n_slots - unit->first)
        return error_set(err, ST_BAD_INPUT, "neighbours of slots %u + %u of %u",
                         (unsigned)unit->first, (unsigned)unit->n_slots, (unsigned)n_slots);
    return ST_OK;
}

static status_t neighbours_run(void *context, uint64_t unit_index, struct wire_text payload,
                               struct wire_text shared, struct buffer *out, struct error *err)
{
    (void)unit_index;
    struct neighbours_task *task = context;
    struct neighbours_unit unit;
    struct neighbour *found = NULL;
    status_t status = neighbours_unit_decode(payload.bytes, payload.n_bytes, &unit, err);
    if (status == ST_OK) status = check_unit(task, &unit, err);
    if (status == ST_OK) status = have_nearest(task, unit.target, err);
    if (status == ST_OK) status = read_wanted(task, unit.target, shared, err);
    if (status != ST_OK) return status;
    found = malloc((size_t)unit.n_slots * EVIDENCE_NEIGHBOURS * sizeof *found);
    if (!found) return error_set(err, ST_NO_MEMORY, "neighbours of %u slots", unit.n_slots);
    status = nearest_directions_find(task->nearest, unit.first, unit.n_slots, task->is_wanted,
                                     found, err);
    (void)atomic_fetch_add(task->environment.ticks, 1);
    if (status == ST_OK) status = neighbours_answer_encode(found, unit.n_slots, out, err);
    free(found);
    return status;
}

const struct task_handler neighbours_task_handler = {TASK_NEIGHBOURS, neighbours_open,
                                                     neighbours_run, neighbours_close};
