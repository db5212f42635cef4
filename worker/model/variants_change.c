/* The changes of variants as edits of the forward pass. */
#include "worker/model/variants_parts.h"

#include <string.h>

static enum variant_entry entry_of(enum hook_kind kind)
{
    if (kind < HOOK_Z) return ENTRY_PRE;
    if (kind < HOOK_RESID_MID) return ENTRY_Z;
    return kind < HOOK_MLP_OUT ? ENTRY_MID : ENTRY_OUT;
}

size_t variant_order(const struct variant *variant)
{
    size_t first = SIZE_MAX;
    for (size_t i = 0; i < variant->n_changes; i++) {
        const struct hook_point hook = variant->changes[i].hook;
        const size_t order = hook.layer * ENTRY_N + entry_of(hook.kind);
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
    return ST_OK;
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
    const size_t n_rows = v->is_at_answers ? v->n_prompts : v->n_prompts * v->n_ctx;
    for (size_t r = 0; r < n_rows; r++) {
        const size_t row = v->is_at_answers ? r * v->n_ctx + v->answers[r] : r;
        if (!c->is_row || c->is_row[row]) change_row(c, row, values + r * ld);
    }
}

static status_t apply(void *context, const struct forward_values *values, struct error *err)
{
    const struct variants_edit *edit = context;
    const struct variants *v = edit->variants;
    const size_t n_rows = v->is_at_answers ? v->n_prompts : v->n_prompts * v->n_ctx;
    (void)err;
    for (size_t i = 0; i < v->n_inside; i++) {
        const struct variant *variant = v->batch[i].variant;
        for (size_t k = 0; k < variant->n_changes; k++) {
            const struct variant_change *c = &variant->changes[k];
            if (c->hook.kind == edit->hook.kind && c->hook.layer == edit->hook.layer)
                variant_make_change(v, c, values->values + i * n_rows * values->ld, values->ld);
        }
    }
    return ST_OK;
}

static bool is_changed(const struct variants *v, struct hook_point hook)
{
    for (size_t i = 0; i < v->n_placed; i++)
        for (size_t k = 0; k < v->batch[i].variant->n_changes; k++) {
            const struct hook_point changed = v->batch[i].variant->changes[k].hook;
            if (changed.kind == hook.kind && changed.layer == hook.layer) return true;
        }
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
        v->edits[n] = (struct forward_edit){hook, apply, &v->edit_contexts[n]};
        n++;
    }
    v->input.edits = v->edits;
    v->input.n_edits = n;
}
