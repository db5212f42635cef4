/* logits: slots of a target -> the tokens that each promotes and suppresses most (common/logits.h).
 *
 * Spec: {"kind":"logits","model","shuffle_seed" (optional),"fingerprint","compute","targets":[...]}
 * as capture's. A dictionary's feature is its decoder row, a neuron or residual dimension the unit
 * vector (times its sign); a head has no one direction. */
#include "worker/tasks/task_handler.h"

#include "common/logits.h"
#include "worker/model/logit_lens.h"
#include "worker/tasks/slot_targets.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_TOP = 10 };

struct logits_task {
    struct task_environment environment;
    struct slot_targets targets;
    struct logit_lens *lens; /* of the target that was asked for last */
    uint32_t lens_target;
    float *directions; /* [LOGIT_LENS_ROWS, width] */
    float *logits;     /* [LOGIT_LENS_ROWS, n_vocab] */
};

static void close_lens(struct logits_task *task)
{
    logit_lens_destroy(&task->lens);
    free(task->directions);
    free(task->logits);
    task->directions = task->logits = NULL;
}

static void logits_close(void *context)
{
    struct logits_task *task = context;
    close_lens(task);
    slot_targets_close(&task->targets);
    free(task);
}

static status_t logits_open(void **out, const struct task_environment *environment,
                            const json_t *spec, struct error *err)
{
    struct logits_task *task = calloc(1, sizeof *task);
    if (!task) return error_set(err, ST_NO_MEMORY, "logits task");
    task->environment = *environment;
    const status_t status = slot_targets_open(&task->targets, environment->models, spec, err);
    if (status == ST_OK)
        *out = task;
    else
        logits_close(task);
    return status;
}

/* --- one unit ------------------------------------------------------------------------------ */

static status_t have_lens(struct logits_task *task, uint32_t target, struct error *err)
{
    const struct hook_point hook = capture_target_hook(task->targets.item[target]);
    const struct model_config *config = model_config(task->targets.model);
    if (task->lens && task->lens_target == target) return ST_OK;
    close_lens(task);
    status_t status = logit_lens_create(&task->lens, task->targets.model, hook, err);
    if (status != ST_OK) return status;
    task->lens_target = target;
    task->directions =
        calloc(LOGIT_LENS_ROWS * hook_point_width(hook, config), sizeof *task->directions);
    task->logits = calloc(LOGIT_LENS_ROWS * config->n_vocab, sizeof *task->logits);
    if (task->directions && task->logits) return ST_OK;
    close_lens(task);
    return error_set(err, ST_NO_MEMORY, "logits of %zu tokens", config->n_vocab);
}

/* What one slot writes at its hook point. */
static status_t find_direction(const struct slot_unit *unit, size_t width, float *out,
                               struct error *err)
{
    for (size_t i = 0; i < width; i++) out[i] = 0;
    if (unit->dictionary) return dictionary_decoder_row(unit->dictionary, unit->number, out, err);
    out[unit->number] = unit->sign;
    return ST_OK;
}

/* Is entry `a` before `b`? sign +1: the larger first, -1: the smaller; equal ones by token. */
static bool is_before(const struct logits_entry *a, const struct logits_entry *b, float sign)
{
    if (a->value > b->value || a->value < b->value) return sign * a->value > sign * b->value;
    return a->token < b->token;
}

/* The first n_top of logits [n_vocab] in that order. */
static void find_top(const float *logits, size_t n_vocab, float sign, size_t n_top,
                     struct logits_entry *out)
{
    size_t n = 0;
    for (uint32_t token = 0; token < n_vocab; token++) {
        const struct logits_entry entry = {token, logits[token]};
        if (n == n_top && !is_before(&entry, &out[n - 1], sign)) continue;
        size_t at = n < n_top ? n++ : n - 1;
        for (; at > 0 && is_before(&entry, &out[at - 1], sign); at--) out[at] = out[at - 1];
        out[at] = entry;
    }
}

static status_t read_rows(struct logits_task *task, size_t n, uint32_t first,
                          struct logits_answer *out, struct error *err)
{
    const size_t n_vocab = model_config(task->targets.model)->n_vocab;
    status_t status = logit_lens_run(task->lens, task->directions, n, task->logits, err);
    for (size_t i = 0; i < n && status == ST_OK; i++) {
        const float *logits = task->logits + i * n_vocab;
        struct logits_entry *entries = out->entries + (first + i) * 2 * out->n_top;
        for (size_t v = 0; v < n_vocab && status == ST_OK; v++)
            if (!isfinite(logits[v]))
                status = error_set(err, ST_BAD_INPUT, "logit of token %zu is not finite", v);
        if (status != ST_OK) break;
        find_top(logits, n_vocab, 1.0f, out->n_top, entries);
        find_top(logits, n_vocab, -1.0f, out->n_top, entries + out->n_top);
    }
    return status;
}

static status_t run_slots(struct logits_task *task, const struct logits_unit *unit,
                          struct logits_answer *out, struct error *err)
{
    struct capture_target *target = task->targets.item[unit->target];
    const size_t width =
        hook_point_width(capture_target_hook(target), model_config(task->targets.model));
    status_t status = have_lens(task, unit->target, err);
    for (uint32_t first = 0; first < unit->n_slots && status == ST_OK; first += LOGIT_LENS_ROWS) {
        const uint32_t left = unit->n_slots - first;
        const size_t n = left < LOGIT_LENS_ROWS ? left : (size_t)LOGIT_LENS_ROWS;
        for (size_t i = 0; i < n && status == ST_OK; i++) {
            struct slot_unit slot;
            status = capture_target_slot_unit(target, unit->slots[first + i], &slot, err);
            if (status == ST_OK)
                status = find_direction(&slot, width, task->directions + i * width, err);
        }
        if (status == ST_OK) status = read_rows(task, n, first, out, err);
        (void)atomic_fetch_add(task->environment.ticks, 1);
    }
    return status;
}

/* Why nothing can be said of the target's slots; NULL: it can. */
static const char *refusal_of(const struct logits_task *task, const struct logits_unit *unit,
                              struct error *err)
{
    struct slot_unit first;
    if (capture_target_slot_unit(task->targets.item[unit->target], unit->slots[0], &first, err) ==
            ST_OK &&
        first.is_head)
        return "a head writes no one direction";
    return logit_lens_refusal(capture_target_hook(task->targets.item[unit->target]).kind);
}

static status_t answer(struct logits_task *task, const struct logits_unit *unit, struct buffer *out,
                       struct error *err)
{
    const size_t n_vocab = model_config(task->targets.model)->n_vocab;
    const char *refusal = refusal_of(task, unit, NULL);
    struct logits_answer made;
    status_t status =
        logits_answer_init(&made, refusal ? 0 : unit->n_slots,
                           n_vocab < N_TOP ? (uint32_t)n_vocab : (uint32_t)N_TOP, err);
    if (status != ST_OK) return status;
    if (refusal)
        (void)snprintf(made.reason, sizeof made.reason, "%s", refusal);
    else
        status = run_slots(task, unit, &made, err);
    if (status == ST_OK) status = logits_answer_encode(&made, out, err);
    logits_answer_fini(&made);
    return status;
}

static status_t logits_run(void *context, uint64_t unit_index, struct wire_text payload,
                           struct wire_text shared, struct buffer *out, struct error *err)
{
    (void)unit_index;
    (void)shared;
    struct logits_task *task = context;
    struct logits_unit *unit = malloc(sizeof *unit);
    if (!unit) return error_set(err, ST_NO_MEMORY, "logits unit");
    status_t status = logits_unit_decode(payload.bytes, payload.n_bytes, unit, err);
    if (status == ST_OK && (unit->target >= task->targets.n || unit->n_slots == 0))
        status = error_set(err, ST_BAD_INPUT, "logits of %u slots of target %u of %zu",
                           (unsigned)unit->n_slots, (unsigned)unit->target, task->targets.n);
    if (status == ST_OK) status = answer(task, unit, out, err);
    free(unit);
    return status;
}

const struct task_handler logits_task_handler = {TASK_LOGITS, logits_open, logits_run,
                                                 logits_close};
