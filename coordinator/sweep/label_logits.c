/* Phase 6: what every chosen feature writes. Ranges of slots go to workers, the tokens that their
 * directions promote and suppress come back, and are kept on disk until the sweep is over. */
#include "coordinator/sweep/label_kept.h"
#include "coordinator/sweep/label_run.h"

#include <stdlib.h>
#include <string.h>

enum { SLOTS_PER_UNIT = 256, UNITS_PER_LEASE = 8 };

static size_t n_units_of(const struct label_outputs *outputs)
{
    return (outputs->n_slots + SLOTS_PER_UNIT - 1) / SLOTS_PER_UNIT;
}

/* The target of a unit, and which of its chosen slots. */
struct unit_range {
    uint32_t target;
    size_t first, n;
};

static struct unit_range range_of(const struct label_run *run, size_t unit)
{
    struct unit_range range = {.target = 0};
    while (unit >= n_units_of(&run->targets[range.target].outputs))
        unit -= n_units_of(&run->targets[range.target++].outputs);
    const size_t n_left = run->targets[range.target].outputs.n_slots - unit * SLOTS_PER_UNIT;
    range.first = unit * SLOTS_PER_UNIT;
    range.n = n_left < SLOTS_PER_UNIT ? n_left : (size_t)SLOTS_PER_UNIT;
    return range;
}

static status_t logits_payload(struct task *task, size_t unit, struct buffer *out,
                               struct error *err)
{
    const struct label_run *run = task->owner;
    const struct unit_range range = range_of(run, unit);
    struct logits_unit *asked = calloc(1, sizeof *asked);
    if (!asked) return error_set(err, ST_NO_MEMORY, "logits unit");
    asked->target = range.target;
    asked->n_slots = (uint32_t)range.n;
    memcpy(asked->slots, run->targets[range.target].outputs.slots + range.first,
           range.n * sizeof *asked->slots);
    const status_t status = logits_unit_encode(asked, out, err);
    free(asked);
    return status;
}

static status_t logits_result(struct task *task, size_t unit, const void *bytes, size_t n_bytes,
                              struct error *err)
{
    struct label_run *run = task->owner;
    const struct unit_range range = range_of(run, unit);
    struct logits_answer answer;
    status_t status = logits_answer_decode(bytes, n_bytes, &answer, err);
    if (status != ST_OK) return status;
    status = label_outputs_put(&run->targets[range.target].outputs, range.first, range.n, &answer,
                               run->description.n_vocab, err);
    logits_answer_fini(&answer);
    return status;
}

static const struct task_ops logits_ops = {.payload = logits_payload, .result = logits_result};

/* --- kept on disk -------------------------------------------------------------------------- */

static status_t encode_outputs(const struct label_run *run, size_t target, struct buffer *out,
                               struct error *err)
{
    return label_outputs_encode(&run->targets[target].outputs, out, err);
}

static status_t decode_outputs(struct label_run *run, size_t target, const struct buffer *bytes,
                               struct error *err)
{
    return label_outputs_decode(&run->targets[target].outputs, bytes->bytes, bytes->n_bytes,
                                run->description.n_vocab, err);
}

static status_t keep(struct label_run *run, struct error *err)
{
    return label_kept_write(run, label_logits_phase.name, encode_outputs, err);
}

/* What an earlier life of the coordinator kept; else lists that are as they were. */
static status_t find_kept(struct label_run *run, bool *is_there, struct error *err)
{
    status_t status = label_kept_read(run, label_logits_phase.name, decode_outputs, is_there, err);
    for (size_t i = 0; i < run->sweep->spec->n_targets && status == ST_OK && !*is_there; i++) {
        label_outputs_fini(&run->targets[i].outputs);
        status = label_outputs_init(&run->targets[i].outputs, &run->targets[i], err);
    }
    return status;
}

/* --- the phase ----------------------------------------------------------------------------- */

static status_t logits_begin(struct label_run *run, struct error *err)
{
    size_t n_units = 0;
    bool is_there = false;
    for (size_t i = 0; i < run->sweep->spec->n_targets; i++) {
        const status_t status = label_outputs_init(&run->targets[i].outputs, &run->targets[i], err);
        if (status != ST_OK) return status;
        n_units += n_units_of(&run->targets[i].outputs);
    }
    const status_t found = find_kept(run, &is_there, err);
    if (found != ST_OK || is_there) return found;
    const struct sweep_task_params params = {.phase = "logits",
                                             .kind = TASK_LOGITS,
                                             .n_units = n_units,
                                             .ops = &logits_ops,
                                             .is_pinned = true,
                                             .max_units_per_lease = UNITS_PER_LEASE};
    return label_task_begin(run, params, err);
}

static status_t logits_poll(struct label_run *run, bool *is_over, struct error *err)
{
    return label_kept_poll(run, keep, is_over, err);
}

const struct label_phase_ops label_logits_phase = {"logits", logits_begin, logits_poll};
