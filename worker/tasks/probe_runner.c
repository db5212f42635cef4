#include "worker/tasks/probe_runner.h"

#include "worker/model/forward.h"
#include "worker/tasks/spec.h"
#include "worker/tasks/subject.h"

#include <stdlib.h>
#include <string.h>

enum { TARGETS_MAX = SUBJECT_MAX_TARGETS, SMALLEST_CTX = 32, SHAPES_MAX = 24 };

/* A batch shape; its forward is made when the first text needs it. */
struct probe_shape {
    size_t n_rows, n_ctx;
    struct forward *forward;
};

struct probe_runner {
    struct subject subject;
    _Atomic uint64_t *ticks;
    size_t row_block;
    size_t n_shapes;
    struct probe_shape shapes[SHAPES_MAX]; /* ascending n_ctx */
    uint32_t *tokens, *lengths;            /* of the largest shape */
    float *acts; /* [<= tokens of a batch, width]: rows of one target, packed */
    size_t n_acts;
};

void probe_runner_close(struct probe_runner **runner)
{
    struct probe_runner *self = *runner;
    if (!self) return;
    for (size_t i = 0; i < self->n_shapes; i++) forward_destroy(&self->shapes[i].forward);
    subject_close(&self->subject);
    free(self->tokens);
    free(self->lengths);
    free(self->acts);
    free(self);
    *runner = NULL;
}

/* --- open ---------------------------------------------------------------------------------- */

/* n_ctx 32, 64 ... up to the context; as many rows as fill a row block. */
static void choose_shapes(struct probe_runner *self)
{
    size_t n_ctx = SMALLEST_CTX;
    while (n_ctx < self->subject.n_ctx && self->n_shapes + 1 < SHAPES_MAX) {
        self->shapes[self->n_shapes++].n_ctx = n_ctx;
        n_ctx *= 2;
    }
    self->shapes[self->n_shapes++].n_ctx = self->subject.n_ctx;
    for (size_t i = 0; i < self->n_shapes; i++) {
        const size_t n_rows = self->row_block / self->shapes[i].n_ctx;
        self->shapes[i].n_rows = n_rows ? n_rows : 1;
    }
}

static status_t make_batch(struct probe_runner *self, struct error *err)
{
    size_t n_tokens = 0;
    for (size_t i = 0; i < self->n_shapes; i++) {
        const size_t n = self->shapes[i].n_rows * self->shapes[i].n_ctx;
        n_tokens = n > n_tokens ? n : n_tokens;
    }
    self->tokens = malloc(n_tokens * sizeof *self->tokens);
    self->lengths = malloc(self->shapes[0].n_rows * sizeof *self->lengths); /* the most rows */
    return self->tokens && self->lengths
               ? ST_OK
               : error_set(err, ST_NO_MEMORY, "probes of %zu tokens", n_tokens);
}

status_t probe_runner_open(struct probe_runner **out, const struct task_environment *environment,
                           const json_t *spec, struct error *err)
{
    struct probe_runner *self = calloc(1, sizeof *self);
    if (!self) return error_set(err, ST_NO_MEMORY, "probes");
    uint64_t n_rows = 0;
    self->ticks = environment->ticks;
    status_t status = subject_open(&self->subject, environment->models, spec, true, err);
    if (status == ST_OK) status = spec_count(spec, "n_rows", 1, 65536, &n_rows, err);
    if (status == ST_OK) {
        self->row_block = forward_row_block((size_t)n_rows * self->subject.n_ctx);
        choose_shapes(self);
        status = make_batch(self, err);
    }
    if (status == ST_OK)
        *out = self;
    else
        probe_runner_close(&self);
    return status;
}

/* --- run ----------------------------------------------------------------------------------- */

/* One unit under way. */
struct probe_run {
    struct probe_runner *runner;
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

/* The target reads only the slots that the unit asks for. */
static status_t select_slots(const struct probe_run *run, size_t target, struct error *err)
{
    uint32_t slots[PROBE_MAX_PER_UNIT];
    size_t n = 0;
    for (size_t i = 0; i < run->unit->n_probes; i++)
        if (run->unit->probes[i].target == target) slots[n++] = run->unit->probes[i].slot;
    return n ? capture_target_select(run->runner->subject.targets[target], slots, n, err) : ST_OK;
}

/* One target of a batch after its forward pass. */
struct reading {
    struct probe_run *run;
    const struct probe_batch *batch;
    size_t target;
    const float *acts; /* [rows of the shape, n_ctx, width] */
    size_t width;
};

static status_t make_room(const struct reading *r, struct error *err)
{
    struct probe_runner *self = r->run->runner;
    const size_t n = r->batch->shape->n_rows * r->batch->shape->n_ctx * r->width;
    if (n <= self->n_acts) return ST_OK;
    free(self->acts);
    self->acts = malloc(n * sizeof *self->acts);
    self->n_acts = self->acts ? n : 0;
    return self->acts ? ST_OK : error_set(err, ST_NO_MEMORY, "activations of probes");
}

/* The tokens behind BOS of rows [low, high), into self->acts; how many. */
static size_t pack_rows(const struct reading *r, size_t low, size_t high)
{
    size_t n_tokens = 0;
    for (size_t row = low; row < high; row++) {
        const size_t probe = r->batch->probes[row];
        if (!is_of_target(r->run, probe, r->target)) continue;
        const struct probe_row *text = &r->run->rows.rows[probe];
        const float *from = r->acts + (row * r->batch->shape->n_ctx + text->n_bos) * r->width;
        const size_t n = text->n_tokens - text->n_bos;
        memcpy(r->run->runner->acts + n_tokens * r->width, from, n * r->width * sizeof *from);
        n_tokens += n;
    }
    return n_tokens;
}

static status_t read_rows(const struct reading *r, size_t low, size_t high, struct error *err)
{
    struct probe_runner *self = r->run->runner;
    struct sparse_rows rows;
    size_t first = 0;
    const size_t n_tokens = pack_rows(r, low, high);
    if (n_tokens == 0) return ST_OK;
    const status_t status =
        capture_target_read(self->subject.targets[r->target], r->batch->shape->forward, self->acts,
                            n_tokens, &rows, err);
    for (size_t row = low; row < high && status == ST_OK; row++) {
        const size_t probe = r->batch->probes[row];
        if (!is_of_target(r->run, probe, r->target)) continue;
        take_values(&rows, first, r->run->unit->probes[probe].slot, &r->run->answers[probe]);
        first += r->run->answers[probe].n_tokens;
    }
    return status;
}

/* A value somewhere is not finite: every probe by itself, so that only those that have one fail. */
static status_t read_apart(const struct reading *r, struct error *err)
{
    struct capture_target *reader = r->run->runner->subject.targets[r->target];
    status_t status = ST_OK;
    for (size_t row = 0; row < r->batch->n && status == ST_OK; row++) {
        struct error problem = {0};
        const size_t probe = r->batch->probes[row];
        if (!is_of_target(r->run, probe, r->target)) continue;
        status = capture_target_select(reader, &r->run->unit->probes[probe].slot, 1, err);
        if (status != ST_OK) break;
        status = read_rows(r, row, row + 1, &problem);
        if (status == ST_BAD_INPUT) {
            fail(&r->run->answers[probe], problem.text);
            status = ST_OK;
        } else if (status != ST_OK) {
            (void)error_set(err, status, "%s", problem.text);
        }
    }
    return status == ST_OK ? select_slots(r->run, r->target, err) : status;
}

static status_t read_target(const struct reading *r, struct error *err)
{
    struct error problem = {0};
    status_t status = make_room(r, err);
    if (status != ST_OK) return status;
    status = read_rows(r, 0, r->batch->n, &problem);
    if (status == ST_BAD_INPUT) return read_apart(r, err);
    return status == ST_OK ? ST_OK : error_set(err, status, "%s", problem.text);
}

/* Targets that the batch's probes name, without repeats, ascending. */
static size_t list_targets(const struct probe_run *run, const struct probe_batch *batch,
                           size_t targets[TARGETS_MAX])
{
    size_t n = 0;
    for (size_t target = 0; target < run->runner->subject.n_targets; target++)
        for (size_t row = 0; row < batch->n; row++)
            if (is_of_target(run, batch->probes[row], target)) {
                targets[n++] = target;
                break;
            }
    return n;
}

static void fill_batch(const struct probe_run *run, const struct probe_batch *batch)
{
    struct probe_runner *self = run->runner;
    for (size_t row = 0; row < batch->shape->n_rows; row++) {
        self->lengths[row] = 0;
        if (row >= batch->n) continue;
        const struct probe_row *text = &run->rows.rows[batch->probes[row]];
        memcpy(self->tokens + row * batch->shape->n_ctx, run->rows.tokens.ids + text->first,
               text->n_tokens * sizeof *self->tokens);
        self->lengths[row] = (uint32_t)text->n_tokens;
    }
}

static status_t open_shape(struct probe_runner *self, struct probe_shape *shape, struct error *err)
{
    const struct forward_params params = {.model = self->subject.model,
                                          .n_rows = shape->n_rows,
                                          .n_ctx = shape->n_ctx,
                                          .row_block = self->row_block,
                                          .progress = self->ticks};
    return shape->forward ? ST_OK : forward_create(&shape->forward, &params, err);
}

static status_t run_batch(struct probe_run *run, const struct probe_batch *batch, struct error *err)
{
    struct probe_runner *self = run->runner;
    struct hook_point hooks[TARGETS_MAX];
    const float *acts[TARGETS_MAX];
    size_t targets[TARGETS_MAX];
    const size_t n_targets = list_targets(run, batch, targets);
    const struct forward_input input = {.tokens = self->tokens, .row_lengths = self->lengths};
    status_t status = open_shape(self, batch->shape, err);
    if (status != ST_OK || n_targets == 0) return status;
    for (size_t i = 0; i < n_targets; i++)
        hooks[i] = capture_target_hook(self->subject.targets[targets[i]]);
    fill_batch(run, batch);
    status = forward_run(batch->shape->forward, &input, hooks, n_targets, acts, err);
    for (size_t i = 0; i < n_targets && status == ST_OK; i++) {
        const struct reading reading = {
            .run = run,
            .batch = batch,
            .target = targets[i],
            .acts = acts[i],
            .width = hook_point_width(hooks[i], model_config(self->subject.model))};
        status = read_target(&reading, err);
    }
    return status;
}

static struct probe_shape *shape_of(struct probe_runner *self, size_t n_tokens)
{
    size_t i = 0;
    while (self->shapes[i].n_ctx < n_tokens) i++; /* the last one holds the context */
    return &self->shapes[i];
}

static status_t run_shape(struct probe_run *run, struct probe_shape *shape, struct error *err)
{
    struct probe_batch batch = {.shape = shape};
    status_t status = ST_OK;
    for (size_t probe = 0; probe < run->unit->n_probes && status == ST_OK; probe++) {
        const struct probe_row *text = &run->rows.rows[probe];
        if (run->answers[probe].error[0] || shape_of(run->runner, text->n_tokens) != shape)
            continue;
        batch.probes[batch.n++] = probe;
        if (batch.n < shape->n_rows) continue;
        status = run_batch(run, &batch, err);
        batch.n = 0;
    }
    return status == ST_OK && batch.n ? run_batch(run, &batch, err) : status;
}

static status_t check_targets(const struct probe_run *run, struct error *err)
{
    for (size_t i = 0; i < run->unit->n_probes; i++)
        if (run->unit->probes[i].target >= run->runner->subject.n_targets)
            return error_set(err, ST_PROTOCOL, "probe %zu: target %u of %zu", i,
                             (unsigned)run->unit->probes[i].target, run->runner->subject.n_targets);
    return ST_OK;
}

static status_t run_unit(struct probe_run *run, struct buffer *out, struct error *err)
{
    struct probe_runner *self = run->runner;
    status_t status = check_targets(run, err);
    for (size_t i = 0; i < self->subject.n_targets && status == ST_OK; i++)
        status = select_slots(run, i, err);
    if (status == ST_OK)
        status = probe_texts_read(self->subject.texts, run->unit, &run->rows, run->answers, err);
    for (size_t i = 0; i < self->n_shapes && status == ST_OK; i++)
        status = run_shape(run, &self->shapes[i], err);
    return status == ST_OK ? probe_result_encode(run->answers, run->unit->n_probes, out, err)
                           : status;
}

status_t probe_runner_run(struct probe_runner *runner, const struct probe_unit *unit,
                          struct buffer *out, struct error *err)
{
    struct probe_run *run = calloc(1, sizeof *run);
    if (!run) return error_set(err, ST_NO_MEMORY, "%zu probes", unit->n_probes);
    run->runner = runner;
    run->unit = unit;
    const status_t status = run_unit(run, out, err);
    for (size_t i = 0; i < unit->n_probes; i++) probe_answer_fini(&run->answers[i]);
    probe_rows_fini(&run->rows);
    free(run);
    return status;
}
