#include "worker/tasks/steering_parts.h"

#include "common/size.h"
#include "worker/model/encoder.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void steering_destroy(struct steering **steering)
{
    struct steering *self = *steering;
    if (!self) return;
    for (size_t i = 0; i < self->n_targets; i++)
        for (size_t k = 0; k < self->targets[i].n; k++) free(self->targets[i].changes[k].direction);
    steering_device_destroy(self);
    free(self->acts);
    free(self->scratch);
    free(self);
    *steering = NULL;
}

/* --- making -------------------------------------------------------------------------------- */

/* What the feature adds to the activations for each unit of its own, before the norm is undone. */
static status_t make_direction(const struct target_steering *at, struct steering_change *change,
                               struct error *err)
{
    const struct dictionary *dictionary = change->unit.dictionary;
    if (!dictionary) return ST_OK;
    change->direction = malloc(at->width * sizeof *change->direction);
    if (!change->direction) return error_set(err, ST_NO_MEMORY, "a decoder row");
    return dictionary_direction(dictionary, change->unit.number, change->direction, err);
}

static struct target_steering *find_target(struct steering *self, struct capture_target *target,
                                           const struct model_config *config)
{
    for (size_t i = 0; i < self->n_targets; i++)
        if (self->targets[i].target == target) return &self->targets[i];
    struct target_steering *at = &self->targets[self->n_targets++];
    at->all = self;
    at->target = target;
    at->width = hook_point_width(capture_target_hook(target), config);
    at->d_head = config->d_head;
    return at;
}

static status_t check_unit(const struct capture_target *target, const struct intervention *one,
                           const struct slot_unit *unit, struct error *err)
{
    char name[HOOK_NAME_SIZE];
    const struct hook_point hook = capture_target_hook(target);
    if (!forward_can_edit(hook.kind))
        return error_set(err, ST_BAD_INPUT, "%s cannot be steered", hook_point_name(hook, name));
    if (unit->is_head && (one->kind != INTERVENTION_SET || one->value != 0))
        return error_set(err, ST_BAD_INPUT,
                         "head %u writes no one direction: it can be ablated, not steered",
                         (unsigned)unit->number);
    return ST_OK;
}

static status_t add_change(struct steering *self, const struct subject *subject,
                           const struct intervention *one, struct error *err)
{
    struct slot_unit unit;
    if (one->target >= subject->n_targets)
        return error_set(err, ST_BAD_INPUT, "target %u of %zu", (unsigned)one->target,
                         subject->n_targets);
    struct capture_target *target = subject->targets[one->target];
    status_t status = capture_target_slot_unit(target, one->slot, &unit, err);
    if (status == ST_OK) status = check_unit(target, one, &unit, err);
    if (status != ST_OK) return status;
    struct target_steering *at = find_target(self, target, model_config(subject->model));
    struct steering_change *change = &at->changes[at->n++];
    *change = (struct steering_change){
        .unit = unit, .kind = one->kind, .slot = one->slot, .value = (float)one->value};
    if (!self->first) self->first = change;
    at->has_set = at->has_set || one->kind == INTERVENTION_SET;
    return make_direction(at, change, err);
}

/* The readers of dictionaries look for the changed features only. */
static status_t select_slots(const struct target_steering *at, struct error *err)
{
    uint32_t slots[GENERATE_MAX_INTERVENTIONS];
    for (size_t i = 0; i < at->n; i++) slots[i] = at->changes[i].slot;
    return at->has_set ? capture_target_select(at->target, slots, at->n, err) : ST_OK;
}

static forward_edit_fn steer_target;

static status_t make_edits(struct steering *self, struct error *err)
{
    size_t widest = 1;
    status_t status = ST_OK;
    for (size_t i = 0; i < self->n_targets && status == ST_OK; i++) {
        struct target_steering *at = &self->targets[i];
        self->edits[i] = (struct forward_edit){capture_target_hook(at->target), steer_target, at,
                                               steering_change_place};
        widest = at->width > widest ? at->width : widest;
        status = select_slots(at, err);
    }
    self->scratch = malloc(widest * sizeof *self->scratch);
    return status == ST_OK && !self->scratch ? error_set(err, ST_NO_MEMORY, "steering") : status;
}

status_t steering_create(struct steering **out, const struct subject *subject,
                         const struct intervention *interventions, size_t n, struct error *err)
{
    struct steering *self = calloc(1, sizeof *self);
    if (!self) return error_set(err, ST_NO_MEMORY, "steering");
    self->backend = model_backend(subject->model);
    status_t status = ST_OK;
    for (size_t i = 0; i < n && status == ST_OK; i++)
        status = add_change(self, subject, &interventions[i], err);
    if (status == ST_OK) status = make_edits(self, err);
    if (status == ST_OK)
        *out = self;
    else
        steering_destroy(&self);
    return status;
}

void steering_set_value(struct steering *steering, double value)
{
    steering->first->value = (float)value;
}

void steering_set_spans(struct steering *steering, const struct steering_span *spans)
{
    steering->spans = spans;
}

const struct forward_edit *steering_edits(const struct steering *steering, size_t *n)
{
    *n = steering->n_targets;
    return steering->edits;
}

/* --- changing ------------------------------------------------------------------------------ */

static size_t count_tokens(const struct steering *self, const struct forward_values *values)
{
    const struct steering_span *spans = self->spans + values->first_row;
    size_t n = 0;
    for (size_t r = 0; r < values->n_rows; r++) n += (size_t)(spans[r].end - spans[r].begin);
    return n;
}

static status_t make_room(struct steering *self, size_t n_tokens, size_t width, struct error *err)
{
    size_t n_bytes;
    if (!size_tensor(n_tokens, width, sizeof *self->acts, &n_bytes))
        return error_set(err, ST_TOO_LARGE, "%zu steered tokens", n_tokens);
    if (n_bytes / sizeof *self->acts <= self->n_acts) return ST_OK;
    free(self->acts);
    self->acts = malloc(n_bytes);
    self->n_acts = self->acts ? n_bytes / sizeof *self->acts : 0;
    return self->acts ? ST_OK : error_set(err, ST_NO_MEMORY, "%zu steered tokens", n_tokens);
}

float steering_activation(const struct sparse_rows *rows, size_t token, uint32_t slot)
{
    if (!rows->row_start) return 0; /* nothing was to be read */
    for (size_t i = rows->row_start[token]; i < rows->row_start[token + 1]; i++)
        if (rows->feature[i] == slot) return rows->value[i];
    return 0;
}

/* x [width] += c W; `before` is x without any of the target's changes. */
static void change_dictionary(const struct target_steering *at,
                              const struct steering_change *change, const struct sparse_rows *rows,
                              size_t token, float *x)
{
    const float *before = at->all->acts + token * at->width;
    const float scale = encoder_output_scale(change->unit.dictionary, before, at->all->scratch);
    const float by = change->kind == INTERVENTION_ADD
                         ? change->value
                         : change->value - steering_activation(rows, token, change->slot);
    if (by == 0.0f) return; /* to the bit */
    for (size_t i = 0; i < at->width; i++) x[i] += by * scale * change->direction[i];
}

static void change_column(const struct target_steering *at, const struct steering_change *change,
                          size_t token, float *x)
{
    const size_t column = change->unit.number;
    const float value = change->unit.sign * at->all->acts[token * at->width + column];
    const float activation = value > 0.0f ? value : 0.0f;
    const float by = change->kind == INTERVENTION_ADD ? change->value : change->value - activation;
    if (by != 0.0f) x[column] += change->unit.sign * by;
}

static void change_token(const struct target_steering *at, const struct sparse_rows *rows,
                         size_t token, float *x)
{
    for (size_t i = 0; i < at->n; i++) {
        const struct steering_change *change = &at->changes[i];
        if (change->unit.dictionary)
            change_dictionary(at, change, rows, token, x);
        else if (change->unit.is_head)
            memset(x + change->unit.number * at->d_head, 0, at->d_head * sizeof *x);
        else
            change_column(at, change, token, x);
    }
}

static void pack_tokens(const struct target_steering *at, const struct forward_values *values)
{
    const struct steering_span *spans = at->all->spans + values->first_row;
    float *to = at->all->acts;
    for (size_t r = 0; r < values->n_rows; r++)
        for (size_t t = spans[r].begin; t < spans[r].end; t++) {
            memcpy(to, values->values + (r * values->n_ctx + t) * values->ld,
                   at->width * sizeof *to);
            to += at->width;
        }
}

static status_t steer_target(void *context, const struct forward_values *values, struct error *err)
{
    const struct target_steering *at = context;
    const struct steering_span *spans = at->all->spans + values->first_row;
    struct sparse_rows rows = {0};
    const size_t n_tokens = count_tokens(at->all, values);
    if (n_tokens == 0) return ST_OK;
    status_t status = make_room(at->all, n_tokens, at->width, err);
    if (status != ST_OK) return status;
    pack_tokens(at, values);
    if (at->changes[0].unit.dictionary && at->has_set)
        status = capture_target_read(at->target, NULL, at->all->acts, n_tokens, &rows, err);
    for (size_t r = 0, token = 0; r < values->n_rows && status == ST_OK; r++)
        for (size_t t = spans[r].begin; t < spans[r].end; t++)
            change_token(at, &rows, token++, values->values + (r * values->n_ctx + t) * values->ld);
    return status;
}
