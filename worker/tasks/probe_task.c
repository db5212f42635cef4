/* probe: texts -> the activations of one slot each on their tokens (common/probe.h).
 *
 * Spec: {"kind":"probe","model":DIR,"fingerprint":HEX,"compute":C,"n_rows":N,"n_ctx":N,"bos":B,
 *        "with_pieces":BOOL,"targets":[{"hook","units","dictionary","fingerprint","features",
 *        "n_slots"}]}
 * n_rows, n_ctx: the batch shape of the capture that is to be matched; B: "auto", "true", "false"
 * as in a sweep's corpus. A text is a row of its own behind BOS, cut at n_ctx; it runs in the
 * smallest of a few fixed, padded shapes that holds it. All of them have the row block of the
 * capture's batch, so a token has the activation that capture gives it, bit for bit, whatever
 * shares its batch. A text that the model cannot run is answered with an error; it does not take
 * its neighbours along. */
#include "worker/tasks/task_handler.h"

#include "common/describe.h"
#include "common/probe.h"
#include "worker/model/forward.h"
#include "worker/tasks/capture_target.h"
#include "worker/tasks/model_cache.h"
#include "worker/tasks/probe_texts.h"
#include "worker/tasks/spec.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TARGETS_MAX = DESCRIBE_MAX_TARGETS, SMALLEST_CTX = 32, SHAPES_MAX = 24 };

/* A batch shape; its forward is made when the first text needs it. */
struct probe_shape {
    size_t n_rows, n_ctx;
    struct forward *forward;
};

struct probe_task {
    struct model_cache *models;
    struct model *model;
    _Atomic uint64_t *ticks;
    struct probe_texts *texts;
    uint64_t n_ctx;
    size_t row_block;
    size_t n_shapes;
    struct probe_shape shapes[SHAPES_MAX]; /* ascending n_ctx */
    size_t n_targets;
    struct capture_target *targets[TARGETS_MAX];
    uint32_t *tokens, *lengths; /* of the largest shape */
    float *acts;                /* [<= tokens of a batch, width]: rows of one target, packed */
    size_t n_acts;
};

static void probe_close(void *context)
{
    struct probe_task *task = context;
    for (size_t i = 0; i < task->n_shapes; i++) forward_destroy(&task->shapes[i].forward);
    for (size_t i = 0; i < task->n_targets; i++) capture_target_close(&task->targets[i]);
    probe_texts_close(&task->texts);
    if (task->model) model_cache_release_model(task->models, task->model);
    free(task->tokens);
    free(task->lengths);
    free(task->acts);
    free(task);
}

/* --- open ---------------------------------------------------------------------------------- */

/* n_ctx 32, 64 ... up to the context; as many rows as fill a row block. */
static void choose_shapes(struct probe_task *task)
{
    size_t n_ctx = SMALLEST_CTX;
    while (n_ctx < task->n_ctx && task->n_shapes + 1 < SHAPES_MAX) {
        task->shapes[task->n_shapes++].n_ctx = n_ctx;
        n_ctx *= 2;
    }
    task->shapes[task->n_shapes++].n_ctx = (size_t)task->n_ctx;
    for (size_t i = 0; i < task->n_shapes; i++) {
        const size_t n_rows = task->row_block / task->shapes[i].n_ctx;
        task->shapes[i].n_rows = n_rows ? n_rows : 1;
    }
}

static status_t make_batch(struct probe_task *task, struct error *err)
{
    size_t n_tokens = 0;
    for (size_t i = 0; i < task->n_shapes; i++) {
        const size_t n = task->shapes[i].n_rows * task->shapes[i].n_ctx;
        n_tokens = n > n_tokens ? n : n_tokens;
    }
    task->tokens = malloc(n_tokens * sizeof *task->tokens);
    task->lengths = malloc(task->shapes[0].n_rows * sizeof *task->lengths); /* the most rows */
    return task->tokens && task->lengths
               ? ST_OK
               : error_set(err, ST_NO_MEMORY, "probes of %zu tokens", n_tokens);
}

static status_t open_model(struct probe_task *task, const json_t *spec, struct error *err)
{
    const char *directory, *compute_text, *planned;
    enum compute compute;
    uint64_t n_rows = 0;
    status_t status = spec_text(spec, "model", &directory, err);
    if (status == ST_OK) status = spec_text(spec, "compute", &compute_text, err);
    if (status == ST_OK) status = compute_parse(compute_text, &compute, err);
    if (status == ST_OK) status = spec_text(spec, "fingerprint", &planned, err);
    if (status == ST_OK)
        status = model_cache_check_fingerprint(task->models, directory, planned, err);
    if (status == ST_OK) status = spec_count(spec, "n_rows", 1, 65536, &n_rows, err);
    if (status == ST_OK) status = spec_count(spec, "n_ctx", 2, PROBE_MAX_TOKENS, &task->n_ctx, err);
    if (status == ST_OK)
        status = model_cache_model(task->models, directory, compute, &task->model, err);
    if (status != ST_OK) return status;
    const struct model_config *config = model_config(task->model);
    if (task->n_ctx > config->n_positions)
        return error_set(err, ST_BAD_INPUT, "context %llu is over the model's %zu positions",
                         (unsigned long long)task->n_ctx, config->n_positions);
    task->row_block = forward_row_block((size_t)n_rows * (size_t)task->n_ctx);
    choose_shapes(task);
    return make_batch(task, err);
}

static status_t open_texts(struct probe_task *task, const json_t *spec, struct error *err)
{
    struct probe_texts_params params = {.n_vocab = model_config(task->model)->n_vocab,
                                        .n_ctx = (size_t)task->n_ctx,
                                        .with_pieces =
                                            json_is_true(json_object_get(spec, "with_pieces"))};
    status_t status = spec_text(spec, "model", &params.directory, err);
    if (status == ST_OK) status = spec_text(spec, "bos", &params.bos, err);
    return status == ST_OK ? probe_texts_open(&task->texts, &params, err) : status;
}

static status_t open_targets(struct probe_task *task, const json_t *spec, struct error *err)
{
    const json_t *targets;
    status_t status = spec_array(spec, "targets", &targets, err);
    if (status == ST_OK && json_array_size(targets) > TARGETS_MAX)
        status = error_set(err, ST_TOO_LARGE, "%zu targets", json_array_size(targets));
    for (size_t i = 0; status == ST_OK && i < json_array_size(targets); i++) {
        const json_t *target = json_array_get(targets, i);
        uint64_t n_slots = 0;
        status = capture_target_open(&task->targets[i], task->models, task->model, target, err);
        if (status != ST_OK) break;
        task->n_targets = i + 1;
        status = spec_count(target, "n_slots", 1, UINT32_MAX, &n_slots, err);
        if (status == ST_OK && n_slots != capture_target_n_slots(task->targets[i]))
            status = error_set(
                err, ST_CONFLICT, "the coordinator counts %llu slots, this worker %u",
                (unsigned long long)n_slots, (unsigned)capture_target_n_slots(task->targets[i]));
    }
    return status;
}

static status_t probe_open(void **out, const struct task_environment *environment,
                           const json_t *spec, struct error *err)
{
    struct probe_task *task = calloc(1, sizeof *task);
    if (!task) return error_set(err, ST_NO_MEMORY, "probe task");
    task->models = environment->models;
    task->ticks = environment->ticks;
    status_t status = open_model(task, spec, err);
    if (status == ST_OK) status = open_texts(task, spec, err);
    if (status == ST_OK) status = open_targets(task, spec, err);
    if (status == ST_OK)
        *out = task;
    else
        probe_close(task);
    return status;
}

/* --- run ----------------------------------------------------------------------------------- */

/* One unit under way. */
struct probe_run {
    struct probe_task *task;
    const struct probe_unit *unit;
    struct probe_rows rows; /* of its texts */
    struct probe_answer answers[PROBE_MAX_PER_UNIT];
};

/* The rows of a batch: probes of the unit, in the order of their rows. */
struct probe_batch {
    struct probe_shape *shape;
    size_t probes[PROBE_MAX_PER_UNIT];
    size_t n;
};

static void fail(struct probe_answer *answer, const char *text)
{
    probe_answer_fini(answer);
    *answer = probe_answer_of_error(text);
}

static bool is_finite(const float *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(values[i])) return false;
    return true;
}

/* Values of the slot in the sparse rows from `first` on. */
static void take_values(const struct sparse_rows *rows, size_t first, uint32_t slot,
                        struct probe_answer *answer)
{
    for (size_t t = 0; t < answer->n_tokens; t++) {
        answer->activations[t] = 0;
        for (size_t i = rows->row_start[first + t]; i < rows->row_start[first + t + 1]; i++)
            if (rows->feature[i] == slot) answer->activations[t] = rows->value[i];
    }
}

static bool is_of_target(const struct probe_run *run, size_t probe, size_t target)
{
    return run->unit->probes[probe].target == target && !run->answers[probe].error[0];
}

/* The tokens behind BOS of the batch's rows for `target`, packed into task->acts. */
static status_t pack_rows(struct probe_run *run, const struct probe_batch *batch, size_t target,
                          const float *acts, size_t width, size_t *n_tokens, struct error *err)
{
    struct probe_task *task = run->task;
    const size_t n_wanted = batch->shape->n_rows * batch->shape->n_ctx * width;
    *n_tokens = 0;
    if (n_wanted > task->n_acts) {
        free(task->acts);
        task->acts = malloc(n_wanted * sizeof *task->acts);
        task->n_acts = task->acts ? n_wanted : 0;
        if (!task->acts) return error_set(err, ST_NO_MEMORY, "activations of probes");
    }
    for (size_t row = 0; row < batch->n; row++) {
        const size_t probe = batch->probes[row];
        if (!is_of_target(run, probe, target)) continue;
        const struct probe_row *text = &run->rows.rows[probe];
        const float *from = acts + (row * batch->shape->n_ctx + text->n_bos) * width;
        const size_t n = text->n_tokens - text->n_bos;
        if (!is_finite(from, n * width)) {
            fail(&run->answers[probe], "the model's activations are not finite");
            continue;
        }
        memcpy(task->acts + *n_tokens * width, from, n * width * sizeof *from);
        *n_tokens += n;
    }
    return ST_OK;
}

static status_t read_target(struct probe_run *run, const struct probe_batch *batch, size_t target,
                            const float *acts, struct error *err)
{
    struct probe_task *task = run->task;
    struct capture_target *reader = task->targets[target];
    const size_t width = hook_point_width(capture_target_hook(reader), model_config(task->model));
    struct sparse_rows rows;
    size_t n_tokens, first = 0;
    status_t status = pack_rows(run, batch, target, acts, width, &n_tokens, err);
    if (status != ST_OK || n_tokens == 0) return status;
    status = capture_target_read(reader, batch->shape->forward, task->acts, n_tokens, &rows, err);
    for (size_t row = 0; row < batch->n && status == ST_OK; row++) {
        const size_t probe = batch->probes[row];
        if (!is_of_target(run, probe, target)) continue;
        take_values(&rows, first, run->unit->probes[probe].slot, &run->answers[probe]);
        first += run->answers[probe].n_tokens;
    }
    return status;
}

/* Targets that the batch's probes name, without repeats, ascending. */
static size_t list_targets(const struct probe_run *run, const struct probe_batch *batch,
                           size_t targets[TARGETS_MAX])
{
    size_t n = 0;
    for (size_t target = 0; target < run->task->n_targets; target++)
        for (size_t row = 0; row < batch->n; row++)
            if (is_of_target(run, batch->probes[row], target)) {
                targets[n++] = target;
                break;
            }
    return n;
}

static void fill_batch(const struct probe_run *run, const struct probe_batch *batch)
{
    struct probe_task *task = run->task;
    for (size_t row = 0; row < batch->shape->n_rows; row++) {
        task->lengths[row] = 0;
        if (row >= batch->n) continue;
        const struct probe_row *text = &run->rows.rows[batch->probes[row]];
        memcpy(task->tokens + row * batch->shape->n_ctx, run->rows.tokens.ids + text->first,
               text->n_tokens * sizeof *task->tokens);
        task->lengths[row] = (uint32_t)text->n_tokens;
    }
}

static status_t open_shape(struct probe_task *task, struct probe_shape *shape, struct error *err)
{
    const struct forward_params params = {.model = task->model,
                                          .n_rows = shape->n_rows,
                                          .n_ctx = shape->n_ctx,
                                          .row_block = task->row_block,
                                          .progress = task->ticks};
    return shape->forward ? ST_OK : forward_create(&shape->forward, &params, err);
}

static status_t run_batch(struct probe_run *run, const struct probe_batch *batch, struct error *err)
{
    struct probe_task *task = run->task;
    struct hook_point hooks[TARGETS_MAX];
    const float *acts[TARGETS_MAX];
    size_t targets[TARGETS_MAX];
    const size_t n_targets = list_targets(run, batch, targets);
    const struct forward_input input = {.tokens = task->tokens, .row_lengths = task->lengths};
    status_t status = open_shape(task, batch->shape, err);
    if (status != ST_OK || n_targets == 0) return status;
    for (size_t i = 0; i < n_targets; i++)
        hooks[i] = capture_target_hook(task->targets[targets[i]]);
    fill_batch(run, batch);
    status = forward_run(batch->shape->forward, &input, hooks, n_targets, acts, err);
    for (size_t i = 0; i < n_targets && status == ST_OK; i++)
        status = read_target(run, batch, targets[i], acts[i], err);
    return status;
}

static struct probe_shape *shape_of(struct probe_task *task, size_t n_tokens)
{
    size_t i = 0;
    while (task->shapes[i].n_ctx < n_tokens) i++; /* the last one holds the context */
    return &task->shapes[i];
}

static status_t run_shape(struct probe_run *run, struct probe_shape *shape, struct error *err)
{
    struct probe_batch batch = {.shape = shape};
    status_t status = ST_OK;
    for (size_t probe = 0; probe < run->unit->n_probes && status == ST_OK; probe++) {
        const struct probe_row *text = &run->rows.rows[probe];
        if (run->answers[probe].error[0] || shape_of(run->task, text->n_tokens) != shape) continue;
        batch.probes[batch.n++] = probe;
        if (batch.n < shape->n_rows) continue;
        status = run_batch(run, &batch, err);
        batch.n = 0;
    }
    return status == ST_OK && batch.n ? run_batch(run, &batch, err) : status;
}

/* Each target reads only the slots that the unit asks for. */
static status_t select_slots(const struct probe_run *run, struct error *err)
{
    status_t status = ST_OK;
    for (size_t target = 0; target < run->task->n_targets && status == ST_OK; target++) {
        uint32_t slots[PROBE_MAX_PER_UNIT];
        size_t n = 0;
        for (size_t i = 0; i < run->unit->n_probes; i++)
            if (run->unit->probes[i].target == target) slots[n++] = run->unit->probes[i].slot;
        if (n) status = capture_target_select(run->task->targets[target], slots, n, err);
    }
    return status;
}

static status_t check_targets(const struct probe_run *run, struct error *err)
{
    for (size_t i = 0; i < run->unit->n_probes; i++)
        if (run->unit->probes[i].target >= run->task->n_targets)
            return error_set(err, ST_PROTOCOL, "probe %zu: target %u of %zu", i,
                             (unsigned)run->unit->probes[i].target, run->task->n_targets);
    return ST_OK;
}

static status_t run_unit(struct probe_run *run, struct buffer *out, struct error *err)
{
    struct probe_task *task = run->task;
    status_t status = check_targets(run, err);
    if (status == ST_OK) status = select_slots(run, err);
    if (status == ST_OK)
        status = probe_texts_read(task->texts, run->unit, &run->rows, run->answers, err);
    for (size_t i = 0; i < task->n_shapes && status == ST_OK; i++)
        status = run_shape(run, &task->shapes[i], err);
    return status == ST_OK ? probe_result_encode(run->answers, run->unit->n_probes, out, err)
                           : status;
}

static status_t probe_run(void *context, uint64_t unit_index, struct wire_text payload,
                          struct wire_text shared, struct buffer *out, struct error *err)
{
    (void)unit_index;
    (void)shared;
    struct probe_unit unit;
    status_t status = probe_unit_decode(payload.bytes, payload.n_bytes, &unit, err);
    if (status != ST_OK) return status;
    struct probe_run *run = calloc(1, sizeof *run);
    if (!run) return error_set(err, ST_NO_MEMORY, "%zu probes", unit.n_probes);
    run->task = context;
    run->unit = &unit;
    status = run_unit(run, out, err);
    for (size_t i = 0; i < unit.n_probes; i++) probe_answer_fini(&run->answers[i]);
    probe_rows_fini(&run->rows);
    free(run);
    return status;
}

const struct task_handler probe_task_handler = {TASK_PROBE, probe_open, probe_run, probe_close};
