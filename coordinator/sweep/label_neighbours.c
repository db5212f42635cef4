/* Between the captures: which features of a dictionary write nearly what each feature writes.
 * Ranges of slots go to workers, the slots of the nearest decoder rows come back into what is
 * frozen. Only slots that fire in the explain split may be neighbours: others would take places and
 * give no windows. A sweep that keeps no windows of neighbours (`neighbour_k: 0`) asks for none;
 * neurons, residual dimensions and heads have none. */
#include "common/evidence_bytes.h"
#include "common/evidence_view.h"
#include "common/neighbours.h"
#include "coordinator/sweep/label_kept.h"
#include "coordinator/sweep/label_run.h"

#include <stdlib.h>
#include <string.h>

enum { SLOTS_PER_UNIT = 256, UNITS_PER_LEASE = 8 };

static size_t n_units_of(const struct label_run *run, size_t target)
{
    const struct sweep_spec *spec = run->sweep->spec;
    if (spec->targets[target].units != SWEEP_UNITS_DICTIONARY || spec->evidence.neighbour_k == 0)
        return 0;
    return (run->targets[target].n_slots + SLOTS_PER_UNIT - 1) / SLOTS_PER_UNIT;
}

static struct neighbours_unit unit_of(const struct label_run *run, size_t unit)
{
    struct neighbours_unit out = {.target = 0};
    while (unit >= n_units_of(run, out.target)) unit -= n_units_of(run, out.target++);
    out.first = (uint32_t)(unit * SLOTS_PER_UNIT);
    const uint32_t n_left = run->targets[out.target].n_slots - out.first;
    out.n_slots = n_left < SLOTS_PER_UNIT ? n_left : (uint32_t)SLOTS_PER_UNIT;
    return out;
}

static status_t neighbours_payload(struct task *task, size_t unit, struct buffer *out,
                                   struct error *err)
{
    const struct neighbours_unit asked = unit_of(task->owner, unit);
    return neighbours_unit_encode(&asked, out, err);
}

/* A bit per slot: did it fire in the explain split? */
static status_t add_firing(const struct label_target *target, unsigned char *bits,
                           struct error *err)
{
    status_t status = ST_OK;
    for (uint32_t slot = 0; slot < target->n_slots && status == ST_OK; slot++) {
        struct evidence_view view;
        status = evidence_view_open(target->states[EVIDENCE_EXPLAIN], slot, &view, err);
        if (status == ST_OK && view.n_firing_tokens > 0)
            bits[slot / 8] |= (unsigned char)(1u << slot % 8);
    }
    return status;
}

/* Whom a worker may take, a part for each target. */
static status_t neighbours_shared(struct task *task, struct buffer *out, struct error *err)
{
    const struct label_run *run = task->owner;
    const size_t n_targets = run->sweep->spec->n_targets;
    struct wire_text parts[DESCRIBE_MAX_TARGETS] = {{NULL, 0}};
    unsigned char *bits[DESCRIBE_MAX_TARGETS] = {NULL};
    status_t status = ST_OK;
    for (size_t i = 0; i < n_targets && status == ST_OK; i++) {
        const size_t n_bytes = n_units_of(run, i) ? (run->targets[i].n_slots + 7u) / 8 : 0;
        bits[i] = calloc(n_bytes + 1, 1);
        if (!bits[i]) status = error_set(err, ST_NO_MEMORY, "%zu bytes of slots", n_bytes);
        if (status == ST_OK && n_bytes) status = add_firing(&run->targets[i], bits[i], err);
        parts[i] = (struct wire_text){(const char *)bits[i], n_bytes};
    }
    if (status == ST_OK) status = wire_parts_encode(parts, n_targets, out, err);
    for (size_t i = 0; i < n_targets; i++) free(bits[i]);
    return status;
}

static status_t neighbours_result(struct task *task, size_t unit, const void *bytes, size_t n_bytes,
                                  struct error *err)
{
    struct label_run *run = task->owner;
    const struct neighbours_unit asked = unit_of(run, unit);
    struct label_target *target = &run->targets[asked.target];
    struct neighbour found[SLOTS_PER_UNIT * EVIDENCE_NEIGHBOURS];
    const status_t status =
        neighbours_answer_decode(bytes, n_bytes, &asked, target->n_slots, found, err);
    if (status != ST_OK) return status;
    for (size_t i = 0; i < asked.n_slots; i++)
        for (size_t j = 0; j < EVIDENCE_NEIGHBOURS; j++)
            target->frozen.neighbours[asked.first + i][j] = found[i * EVIDENCE_NEIGHBOURS + j].slot;
    return ST_OK;
}

static const struct task_ops neighbours_ops = {
    .payload = neighbours_payload, .shared = neighbours_shared, .result = neighbours_result};

/* --- kept on disk -------------------------------------------------------------------------- */

/* u32 slots, then EVIDENCE_NEIGHBOURS times u32 slot for each of them. */
static status_t encode_lists(const struct label_run *run, size_t index, struct buffer *out,
                             struct error *err)
{
    const struct label_target *target = &run->targets[index];
    void *room;
    const size_t n = (size_t)target->n_slots * EVIDENCE_NEIGHBOURS, n_bytes = (n + 1) * 4;
    const status_t status = buffer_reserve(out, n_bytes, &room, err);
    if (status != ST_OK) return status;
    unsigned char *at = evidence_put_u32(room, target->n_slots);
    for (size_t i = 0; i < n; i++)
        at = evidence_put_u32(
            at, target->frozen.neighbours[i / EVIDENCE_NEIGHBOURS][i % EVIDENCE_NEIGHBOURS]);
    out->n_bytes += n_bytes;
    return ST_OK;
}

static status_t decode_lists(struct label_run *run, size_t index, const struct buffer *bytes,
                             struct error *err)
{
    struct label_target *target = &run->targets[index];
    const unsigned char *begin = bytes->bytes;
    struct evidence_cursor cursor = {begin, begin + bytes->n_bytes, false};
    const size_t n = (size_t)target->n_slots * EVIDENCE_NEIGHBOURS;
    if (evidence_get_u32(&cursor) != target->n_slots || evidence_left(&cursor) != n * 4)
        return error_set(err, ST_CORRUPT, "neighbours of target %zu: another number", index);
    for (size_t i = 0; i < n; i++) {
        const uint32_t slot = evidence_get_u32(&cursor);
        if (slot >= target->n_slots && slot != EVIDENCE_NO_SLOT)
            return error_set(err, ST_CORRUPT, "neighbours of target %zu: slot %u of %u", index,
                             (unsigned)slot, (unsigned)target->n_slots);
        target->frozen.neighbours[i / EVIDENCE_NEIGHBOURS][i % EVIDENCE_NEIGHBOURS] = slot;
    }
    return ST_OK;
}

static status_t keep(struct label_run *run, struct error *err)
{
    return label_kept_write(run, label_neighbours_phase.name, encode_lists, err);
}

/* --- the phase ----------------------------------------------------------------------------- */

static status_t neighbours_begin(struct label_run *run, struct error *err)
{
    size_t n_units = 0;
    for (size_t i = 0; i < run->sweep->spec->n_targets; i++) n_units += n_units_of(run, i);
    if (run->has_evidence || n_units == 0) return ST_OK; /* kept with the evidence; none to find */
    bool is_there = false;
    /* Lists that were half read are all written again. */
    const status_t found =
        label_kept_read(run, label_neighbours_phase.name, decode_lists, &is_there, err);
    if (found != ST_OK || is_there) return found;
    const struct sweep_task_params params = {.phase = "neighbours",
                                             .kind = TASK_NEIGHBOURS,
                                             .n_units = n_units,
                                             .ops = &neighbours_ops,
                                             .is_pinned = true,
                                             .max_units_per_lease = UNITS_PER_LEASE};
    return label_task_begin(run, params, err);
}

static status_t neighbours_poll(struct label_run *run, bool *is_over, struct error *err)
{
    return label_kept_poll(run, keep, is_over, err);
}

const struct label_phase_ops label_neighbours_phase = {"neighbours", neighbours_begin,
                                                       neighbours_poll};
