/* capture: a unit of tokens -> the evidence partial of every target, from one forward pass.
 *
 * Spec: {"kind":"capture","model":DIR,"shuffle_seed" (optional: model_spec.h),"fingerprint":HEX,
 *        "compute":C,"n_rows":N,"n_ctx":N,
 *        "limits":[{...} per split], "targets":[{"hook","units","dictionary",
 *        "norm_scaling_factor" (optional),"fingerprint","features","key","n_slots"}]}
 * Lease, shared part: parts (wire.h), for each target: frozen values (zstd, may be empty), then
 * the cut-offs of each split (zstd, may be empty). Result: zstd of parts, one partial a target. */
#include "worker/tasks/task_handler.h"

#include "common/capture_unit_bytes.h"
#include "common/evidence_frozen.h"
#include "common/evidence_thresholds.h"
#include "common/evidence_zstd.h"
#include "common/hash.h"
#include "worker/tasks/capture_accumulator.h"
#include "worker/tasks/capture_target.h"
#include "worker/tasks/model_cache.h"
#include "worker/tasks/model_spec.h"
#include "worker/tasks/spec.h"

#include <stdlib.h>

enum {
    TARGETS_MAX = DESCRIBE_MAX_TARGETS,
    SHARED_MAX_BYTES = EVIDENCE_MAX_PARTIAL_BYTES,
    PARTS_PER_TARGET = 1 + EVIDENCE_N_SPLITS
};

struct target_run {
    struct capture_target *target;
    uint64_t key;
    uint64_t frozen_hash; /* of the bytes that `frozen` was decoded from; 0: none */
    struct evidence_frozen frozen;
    struct capture_accumulator *accumulators[EVIDENCE_N_SPLITS];
    uint64_t thresholds_hash[EVIDENCE_N_SPLITS];
    struct evidence_thresholds *thresholds[EVIDENCE_N_SPLITS];
};

struct capture_task {
    struct model_cache *models;
    struct model *model;
    bool has_digests; /* the plan has room for them; it is another task's later on */
    struct forward *forward;
    uint64_t n_rows, n_ctx;
    uint32_t *row_lengths; /* [n_rows] */
    struct evidence_limits limits[EVIDENCE_N_SPLITS];
    size_t n_targets;
    struct target_run targets[TARGETS_MAX];
    struct hook_point hooks[TARGETS_MAX];
    bool stays[TARGETS_MAX]; /* the target reads its activations on the device */
    const float *acts[TARGETS_MAX];
    struct buffer partials, plain; /* of the unit under way; their memory serves the next */
};

static void close_target(struct target_run *run)
{
    for (size_t split = 0; split < EVIDENCE_N_SPLITS; split++) {
        capture_accumulator_destroy(&run->accumulators[split]);
        evidence_thresholds_destroy(&run->thresholds[split]);
    }
    evidence_frozen_fini(&run->frozen);
    capture_target_close(&run->target);
}

static void capture_close(void *context)
{
    struct capture_task *task = context;
    for (size_t i = 0; i < task->n_targets; i++) close_target(&task->targets[i]);
    buffer_fini(&task->partials);
    buffer_fini(&task->plain);
    forward_destroy(&task->forward);
    if (task->model) model_cache_release_model(task->models, task->model);
    free(task->row_lengths);
    free(task);
}

/* --- open ---------------------------------------------------------------------------------- */

static status_t read_limit(const json_t *object, const char *key, uint32_t *out, struct error *err)
{
    uint64_t value;
    const status_t status = spec_count(object, key, 0, UINT32_MAX, &value, err);
    if (status == ST_OK) *out = (uint32_t)value;
    return status;
}

static status_t read_limits(const json_t *object, struct evidence_limits *out, struct error *err)
{
    const struct {
        const char *key;
        uint32_t *value;
    } fields[] = {{"top_k", &out->top_k},
                  {"bin_k", &out->bin_k},
                  {"silent_k", &out->silent_k},
                  {"near_miss_k", &out->near_miss_k},
                  {"neighbour_k", &out->neighbour_k},
                  {"doc_k", &out->doc_k},
                  {"window_tokens", &out->window_tokens},
                  {"min_window_tokens", &out->min_window_tokens},
                  {"counts_positions", &out->counts_positions}};
    status_t status = ST_OK;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0] && status == ST_OK; i++)
        status = read_limit(object, fields[i].key, fields[i].value, err);
    return status == ST_OK ? evidence_limits_check(out, err) : status;
}

static status_t read_all_limits(struct capture_task *task, const json_t *spec, struct error *err)
{
    const json_t *limits;
    status_t status = spec_array(spec, "limits", &limits, err);
    if (status == ST_OK && json_array_size(limits) != EVIDENCE_N_SPLITS)
        status =
            error_set(err, ST_PROTOCOL, "task spec: limits of %zu splits", json_array_size(limits));
    for (size_t i = 0; i < EVIDENCE_N_SPLITS && status == ST_OK; i++)
        status = read_limits(json_array_get(limits, i), &task->limits[i], err);
    return status;
}

static status_t open_target(struct capture_task *task, const json_t *spec, size_t index,
                            struct error *err)
{
    struct target_run *run = &task->targets[index];
    uint64_t n_slots;
    status_t status = capture_target_open(&run->target, task->models, task->model, spec, err);
    if (status == ST_OK) status = spec_key64(spec, "key", &run->key, err);
    if (status == ST_OK) status = spec_count(spec, "n_slots", 1, EVIDENCE_MAX_SLOTS, &n_slots, err);
    if (status == ST_OK && n_slots != capture_target_n_slots(run->target))
        status =
            error_set(err, ST_CONFLICT, "the coordinator counts %llu slots, this worker %u",
                      (unsigned long long)n_slots, (unsigned)capture_target_n_slots(run->target));
    if (status == ST_OK) task->hooks[index] = capture_target_hook(run->target);
    if (status == ST_OK) task->stays[index] = capture_target_is_on_device(run->target);
    return status;
}

static status_t open_targets(struct capture_task *task, const json_t *spec, struct error *err)
{
    const json_t *targets;
    status_t status = spec_array(spec, "targets", &targets, err);
    if (status != ST_OK) return status;
    if (json_array_size(targets) > TARGETS_MAX)
        return error_set(err, ST_TOO_LARGE, "%zu targets", json_array_size(targets));
    for (size_t i = 0; i < json_array_size(targets) && status == ST_OK; i++) {
        task->n_targets = i + 1;
        status = open_target(task, json_array_get(targets, i), i, err);
    }
    return status;
}

static status_t open_model(struct capture_task *task, const struct task_environment *environment,
                           const json_t *spec, struct error *err)
{
    struct model_wanted wanted;
    const char *planned;
    status_t status = model_spec_read_needs(spec, &wanted, err);
    if (status == ST_OK) status = spec_text(spec, "fingerprint", &planned, err);
    if (status == ST_OK) status = model_cache_check_model(task->models, &wanted, planned, err);
    if (status == ST_OK) status = spec_count(spec, "n_rows", 1, 65536, &task->n_rows, err);
    if (status == ST_OK) status = spec_count(spec, "n_ctx", 1, 1 << 20, &task->n_ctx, err);
    if (status == ST_OK) status = model_cache_model(task->models, &wanted, &task->model, err);
    if (status != ST_OK) return status;
    task->has_digests = model_plan(task->model)->has_digests;
    const struct forward_params params = {.model = task->model,
                                          .n_rows = (size_t)task->n_rows,
                                          .n_ctx = (size_t)task->n_ctx,
                                          .progress = environment->ticks};
    return forward_create(&task->forward, &params, err);
}

static status_t capture_open(void **out, const struct task_environment *environment,
                             const json_t *spec, struct error *err)
{
    struct capture_task *task = calloc(1, sizeof *task);
    if (!task) return error_set(err, ST_NO_MEMORY, "capture task");
    task->models = environment->models;
    buffer_init(&task->partials, EVIDENCE_MAX_PARTIAL_BYTES);
    buffer_init(&task->plain, (size_t)EVIDENCE_MAX_PARTIAL_BYTES * 2);
    status_t status = open_model(task, environment, spec, err);
    if (status == ST_OK) status = read_all_limits(task, spec, err);
    if (status == ST_OK) status = open_targets(task, spec, err);
    if (status == ST_OK &&
        !(task->row_lengths = malloc((size_t)task->n_rows * sizeof *task->row_lengths)))
        status = error_set(err, ST_NO_MEMORY, "capture task");
    if (status == ST_OK)
        *out = task;
    else
        capture_close(task);
    return status;
}

/* --- what the lease brings ----------------------------------------------------------------- */

static status_t take_frozen(struct target_run *run, struct wire_text bytes, struct error *err)
{
    const uint64_t hash = bytes.n_bytes ? hash_name64(bytes.bytes, bytes.n_bytes) : 0;
    if (hash == run->frozen_hash) return ST_OK;
    for (size_t split = 0; split < EVIDENCE_N_SPLITS; split++)
        capture_accumulator_destroy(&run->accumulators[split]); /* they borrow it */
    evidence_frozen_fini(&run->frozen);
    run->frozen_hash = 0;
    if (!hash) return ST_OK;
    struct buffer plain;
    buffer_init(&plain, SHARED_MAX_BYTES);
    status_t status =
        evidence_decompress(bytes.bytes, bytes.n_bytes, SHARED_MAX_BYTES, &plain, err);
    if (status == ST_OK)
        status = evidence_frozen_decode(plain.bytes, plain.n_bytes, &run->frozen, err);
    buffer_fini(&plain);
    if (status == ST_OK) run->frozen_hash = hash;
    return status;
}

static status_t take_thresholds(struct target_run *run, size_t split, struct wire_text bytes,
                                struct error *err)
{
    const uint64_t hash = bytes.n_bytes ? hash_name64(bytes.bytes, bytes.n_bytes) : 0;
    if (hash == run->thresholds_hash[split]) return ST_OK;
    evidence_thresholds_destroy(&run->thresholds[split]);
    run->thresholds_hash[split] = 0;
    if (!hash) return ST_OK;
    struct buffer plain;
    buffer_init(&plain, SHARED_MAX_BYTES);
    status_t status =
        evidence_decompress(bytes.bytes, bytes.n_bytes, SHARED_MAX_BYTES, &plain, err);
    if (status == ST_OK)
        status =
            evidence_thresholds_decode(plain.bytes, plain.n_bytes, &run->thresholds[split], err);
    buffer_fini(&plain);
    if (status == ST_OK) run->thresholds_hash[split] = hash;
    return status;
}

static status_t take_shared(struct capture_task *task, struct wire_text shared, size_t split,
                            struct error *err)
{
    struct wire_parts parts;
    status_t status = wire_parts_decode(shared.bytes, shared.n_bytes, &parts, err);
    if (status == ST_OK && parts.n != task->n_targets * PARTS_PER_TARGET)
        status = error_set(err, ST_PROTOCOL, "lease with %zu shared parts", parts.n);
    for (size_t i = 0; i < task->n_targets && status == ST_OK; i++) {
        const size_t first = i * PARTS_PER_TARGET;
        status = take_frozen(&task->targets[i], wire_part(&parts, first), err);
        if (status == ST_OK)
            status = take_thresholds(&task->targets[i], split, wire_part(&parts, first + 1 + split),
                                     err);
    }
    return status;
}

/* --- run ----------------------------------------------------------------------------------- */

static status_t open_accumulator(struct capture_task *task, struct target_run *run, size_t split,
                                 struct error *err)
{
    if (run->accumulators[split]) return ST_OK;
    const struct evidence_frozen *frozen = run->frozen_hash ? &run->frozen : NULL;
    const struct evidence_identity identity = {
        .target_key = run->key,
        .frozen_key = evidence_frozen_key(frozen),
        .n_slots = capture_target_n_slots(run->target),
        .split = (enum evidence_split)split,
        .limits = task->limits[split],
    };
    return capture_accumulator_create(&run->accumulators[split], &identity, frozen, err);
}

/* Rows of a target's activations, from where they are. */
static status_t add_rows(struct capture_task *task, size_t index, size_t n_tokens,
                         struct capture_accumulator *accumulator, struct error *err)
{
    struct capture_target *target = task->targets[index].target;
    const float *acts = task->acts[index];
    struct sparse_rows rows;
    const status_t status =
        task->stays[index] ? capture_target_read_device(target, acts, n_tokens, &rows, err)
                           : capture_target_read(target, task->forward, acts, n_tokens, &rows, err);
    return status == ST_OK ? capture_accumulator_add(accumulator, &rows, err) : status;
}

/* Their digest in place of them; *is_taken is false where it does not fit, and nothing is. A device
 * that has less room than was planned has none for the next one either. */
static status_t take_digest(struct capture_task *task, size_t index, uint64_t thresholds_hash,
                            struct capture_accumulator *accumulator, struct digest *digest,
                            bool *is_taken, struct error *err)
{
    struct digest_params params;
    status_t status = capture_accumulator_ask_digest(accumulator, thresholds_hash, &params, err);
    if (status == ST_OK)
        status = capture_target_digest(task->targets[index].target, task->acts[index], &params,
                                       digest, err);
    *is_taken = status == ST_OK && !digest->is_over;
    if (status == ST_NO_MEMORY) {
        error_clear(err);
        task->has_digests = false;
        return ST_OK;
    }
    return *is_taken ? capture_accumulator_take_digest(accumulator, digest, err) : status;
}

static status_t capture_one(struct capture_task *task, size_t index,
                            const struct capture_unit *unit, struct buffer *out, struct error *err)
{
    struct target_run *run = &task->targets[index];
    const size_t n_tokens = (size_t)unit->n_rows * unit->row_tokens;
    struct digest digest;
    bool is_taken = false;
    status_t status = open_accumulator(task, run, unit->split, err);
    if (status != ST_OK) return status;
    struct capture_accumulator *accumulator = run->accumulators[unit->split];
    status = capture_accumulator_begin(accumulator, unit, run->thresholds[unit->split], err);
    if (status == ST_OK && task->has_digests && task->stays[index] &&
        capture_target_digests(run->target) && capture_accumulator_can_digest(accumulator))
        status = take_digest(task, index, run->thresholds_hash[unit->split], accumulator, &digest,
                             &is_taken, err);
    if (status == ST_OK && !is_taken) status = add_rows(task, index, n_tokens, accumulator, err);
    if (status == ST_OK) status = capture_accumulator_finish(accumulator, out, err);
    return status;
}

/* A row is as long as its last segment reaches. */
static void measure_rows(struct capture_task *task, const struct capture_unit *unit)
{
    for (size_t row = 0; row < unit->n_rows; row++) task->row_lengths[row] = 0;
    for (size_t i = 0; i < unit->n_segments; i++) {
        const struct capture_segment *segment = &unit->segments[i];
        const uint32_t end = segment->start + segment->length;
        if (end > task->row_lengths[segment->row]) task->row_lengths[segment->row] = end;
    }
}

static status_t run_forward(struct capture_task *task, const struct capture_unit *unit,
                            struct error *err)
{
    if (unit->n_rows != task->n_rows || unit->row_tokens != task->n_ctx)
        return error_set(err, ST_PROTOCOL, "unit of %u x %u tokens in a task of %llu x %llu",
                         (unsigned)unit->n_rows, (unsigned)unit->row_tokens,
                         (unsigned long long)task->n_rows, (unsigned long long)task->n_ctx);
    measure_rows(task, unit);
    const struct forward_input input = {
        .tokens = unit->tokens, .row_lengths = task->row_lengths, .stays = task->stays};
    return forward_run(task->forward, &input, task->hooks, task->n_targets, task->acts, err);
}

static status_t capture_all(struct capture_task *task, const struct capture_unit *unit,
                            struct buffer *out, struct error *err)
{
    struct buffer *partials = &task->partials, *plain = &task->plain;
    struct wire_text parts[TARGETS_MAX];
    size_t ends[TARGETS_MAX];
    partials->n_bytes = plain->n_bytes = 0;
    status_t status = run_forward(task, unit, err);
    for (size_t i = 0; i < task->n_targets && status == ST_OK; i++) {
        status = capture_one(task, i, unit, partials, err);
        ends[i] = partials->n_bytes;
    }
    for (size_t i = 0, start = 0; status == ST_OK && i < task->n_targets; start = ends[i++])
        parts[i] = (struct wire_text){(const char *)partials->bytes + start, ends[i] - start};
    if (status == ST_OK) status = wire_parts_encode(parts, task->n_targets, plain, err);
    if (status == ST_OK) status = evidence_compress(plain->bytes, plain->n_bytes, out, err);
    return status;
}

static status_t capture_run(void *context, uint64_t unit_index, struct wire_text payload,
                            struct wire_text shared, struct buffer *out, struct error *err)
{
    (void)unit_index;
    struct capture_task *task = context;
    struct capture_unit_copy unit;
    status_t status = capture_unit_decode(payload.bytes, payload.n_bytes, &unit, err);
    if (status != ST_OK) return status;
    status = take_shared(task, shared, unit.unit.split, err);
    if (status == ST_OK) status = capture_all(task, &unit.unit, out, err);
    capture_unit_copy_fini(&unit);
    return status;
}

const struct task_handler capture_task_handler = {TASK_CAPTURE, capture_open, capture_run,
                                                  capture_close};
