/* The changes of variants as edits of the forward pass. */
#include "worker/model/variants_edge_plan.h"
#include "worker/model/variants_parts.h"

#include <string.h>

static enum variant_entry entry_of(enum hook_kind kind)
{
    if (kind < HOOK_Z) return ENTRY_PRE;
    if (kind < HOOK_RESID_MID) return ENTRY_Z;
    return kind < HOOK_MLP_OUT ? ENTRY_MID : ENTRY_OUT;
}

size_t variant_order_of(struct hook_point hook)
{
    return hook.layer * ENTRY_N + entry_of(hook.kind);
}

/* An MLP reads the stream in front of it. */
static size_t receiver_order(struct hook_point hook)
{
    return hook.kind == HOOK_MLP_OUT ? hook.layer * ENTRY_N + ENTRY_MID : variant_order_of(hook);
}

size_t variant_order(const struct variant *variant)
{
    size_t first = SIZE_MAX;
    for (size_t i = 0; i < variant->n_changes; i++) {
        const size_t order = variant_order_of(variant->changes[i].hook);
        first = order < first ? order : first;
    }
    for (size_t i = 0; i < variant->n_hooks; i++) {
        const size_t order = variant_order_of(variant->hooks[i].hook);
        first = order < first ? order : first;
    }
    for (size_t i = 0; i < variant->n_edges; i++) {
        const size_t order = receiver_order(variant->edges[i].receiver);
        first = order < first ? order : first;
    }
    return first;
}

status_t variant_check(const struct variants *variants, const struct variant *variant, size_t index,
                       struct error *err)
{
    const struct model_config *config = variants->forward->config;
    for (size_t i = 0; i < variant->n_changes; i++) {
        const struct variant_change *c = &variant->changes[i];
        char name[HOOK_NAME_SIZE];
        if (c->hook.layer >= config->n_layers || !forward_can_edit(c->hook.kind))
            return error_set(err, ST_BAD_INPUT, "variant %zu, change %zu: %s cannot be changed",
                             index, i, hook_point_name(c->hook, name));
        const size_t width = hook_point_width(c->hook, config);
        if (!c->n_columns || c->column >= width || c->n_columns > width - c->column)
            return error_set(err, ST_BAD_INPUT,
                             "variant %zu, change %zu: columns %zu to %zu of %s, which has %zu",
                             index, i, c->column, c->column + c->n_columns,
                             hook_point_name(c->hook, name), width);
    }
    for (size_t i = 0; i < variant->n_hooks; i++) {
        const struct hook_point hook = variant->hooks[i].hook;
        char name[HOOK_NAME_SIZE];
        if (hook.layer >= config->n_layers || !forward_can_edit(hook.kind))
            return error_set(err, ST_BAD_INPUT, "variant %zu: %s cannot be changed", index,
                             hook_point_name(hook, name));
    }
    return edges_check(variant, index, config, err);
}

static void change_row(const struct variant_change *c, size_t row, float *to)
{
    static const float zero;
    const float *from = c->values ? c->values + row * c->ld : NULL;
    to += c->column;
    for (size_t i = 0; i < c->n_columns; i++) {
        const float value = from ? from[i] : zero;
        to[i] = c->is_added ? to[i] + value : value;
    }
}

/* The change in the copy of the prompts that begins at `values`. */
void variant_make_change(const struct variants *v, const struct variant_change *c, float *values,
                         size_t ld)
{
    for (size_t r = 0; r < variants_rows_each(v); r++) {
        const size_t row = variants_row(v, r);
        if (row % v->n_ctx < c->first_position || (c->is_row && !c->is_row[row])) continue;
        change_row(c, row, values + r * ld);
    }
}

static bool is_same_hook(struct hook_point a, struct hook_point b)
{
    return a.kind == b.kind && a.layer == b.layer;
}

status_t variants_change_one(struct variants *v, size_t index, struct hook_point hook,
                             float *values, size_t ld, struct error *err)
{
    const struct variant *variant = v->batch[index].variant;
    status_t status = variants_edges_before(v, index, hook, values, ld, err);
    for (size_t k = 0; k < variant->n_changes && status == ST_OK; k++) {
        const struct variant_change *c = &variant->changes[k];
        if (is_same_hook(c->hook, hook)) variant_make_change(v, c, values, ld);
    }
    const struct variant_rows rows = {.values = values,
                                      .ld = ld,
                                      .n_rows = variants_rows_each(v),
                                      .rows = v->is_at_answers ? v->answer_rows : v->rows};
    for (size_t k = 0; k < variant->n_hooks && status == ST_OK; k++)
        if (is_same_hook(variant->hooks[k].hook, hook))
            status = variant->hooks[k].apply(variant->hooks[k].context, &rows, err);
    return status == ST_OK ? variants_edges_behind(v, index, hook, values, ld, err) : status;
}

static status_t apply(void *context, const struct forward_values *values, struct error *err)
{
    const struct variants_edit *edit = context;
    struct variants *v = edit->variants;
    const size_t n_floats = variants_rows_each(v) * values->ld;
    status_t status = ST_OK;
    for (size_t i = 0; i < v->n_inside && status == ST_OK; i++)
        status =
            variants_change_one(v, i, edit->hook, values->values + i * n_floats, values->ld, err);
    return status;
}

static bool is_changed_by(const struct variant *variant, struct hook_point hook)
{
    for (size_t k = 0; k < variant->n_changes; k++)
        if (is_same_hook(variant->changes[k].hook, hook)) return true;
    for (size_t k = 0; k < variant->n_hooks; k++)
        if (is_same_hook(variant->hooks[k].hook, hook)) return true;
    return false;
}

static bool is_changed(const struct variants *v, struct hook_point hook)
{
    for (size_t i = 0; i < v->n_placed; i++)
        if (variants_edges_touch(&v->batch[i], hook) || is_changed_by(v->batch[i].variant, hook))
            return true;
    return false;
}

/* The outputs of attention and MLP always pass an edit: it adds the bias in an order of its own,
 * and a variant's bits may not depend on whether another one of the batch changes that place. */
void variants_edit_layer(struct variants *v, size_t layer)
{
    size_t n = 0;
    for (unsigned kind = 0; kind < HOOK_N_KINDS; kind++) {
        const struct hook_point hook = {(enum hook_kind)kind, layer};
        const bool is_output = kind == HOOK_ATTN_OUT || kind == HOOK_MLP_OUT;
        if (!forward_can_edit(hook.kind) || (!is_output && !is_changed(v, hook))) continue;
        v->edit_contexts[n] = (struct variants_edit){v, hook};
        v->edits[n] =
            (struct forward_edit){hook, apply, &v->edit_contexts[n], variants_change_place};
        n++;
    }
    v->input.edits = v->edits;
    v->input.n_edits = n;
}
