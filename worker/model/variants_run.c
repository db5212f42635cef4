/* Batches of variants, from where the first leaves the clean pass to the logits. */
#include "worker/model/variants_parts.h"

#include <stdlib.h>
#include <string.h>

/* Never offered by a stage: the pass does not stop early. */
static const struct hook_point at_the_end = {HOOK_LOGITS, 0};

void variants_begin(struct variants *v)
{
    struct forward *f = v->forward;
    v->input = (struct forward_input){.tokens = v->tokens, .row_lengths = v->lengths};
    v->is_at_answers = false;
    v->n_inside = 0;
    v->first_position = f->first_position = 0;
    f->input = &v->input;
    f->hooks = &at_the_end;
    f->n_hooks = 1;
    f->n_seen = 0;
    f->out_acts = NULL;
}

void variants_place_clean(struct variants *v)
{
    static const struct variant clean;
    v->batch[0] = (struct placed_variant){.variant = &clean, .index = SIZE_MAX};
    v->n_placed = 1;
}

static status_t run_batch(struct variants *v, struct error *err)
{
    const size_t n_layers = v->forward->config->n_layers;
    status_t status = ST_OK;
    variants_begin(v);
    v->first_position = v->forward->first_position = v->batch[0].first_position;
    for (size_t i = v->batch[0].order / ENTRY_N; i < n_layers && status == ST_OK; i++)
        status = variants_layer(v, i, err);
    return status == ST_OK ? variants_read_logits(v, err) : status;
}

static status_t hand_out(struct variants *v, variants_take_fn *take, void *context,
                         struct error *err)
{
    const size_t n_each = v->n_prompts * v->n_columns;
    status_t status = ST_OK;
    for (size_t i = 1; i < v->n_placed && status == ST_OK; i++) {
        v->taken = v->is_compared ? v->divergences + i * v->n_prompts : NULL;
        status = take(context, v->batch[i].index, v->logits_host + i * n_each, v->logits_host, err);
    }
    return status;
}

static int compare_order(const void *a, const void *b)
{
    const struct placed_variant *x = a, *y = b;
    if (x->first_position != y->first_position)
        return x->first_position < y->first_position ? -1 : 1;
    if (x->order != y->order) return x->order < y->order ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static status_t place_all(const struct variants *v, const struct variant *list, size_t n,
                          struct placed_variant **out, struct error *err)
{
    const size_t last = (v->forward->config->n_layers - 1) * ENTRY_N + ENTRY_OUT;
    struct placed_variant *all = calloc(n ? n : 1, sizeof *all);
    if (!all) return error_set(err, ST_NO_MEMORY, "%zu variants", n);
    status_t status = ST_OK;
    for (size_t i = 0; i < n && status == ST_OK; i++) {
        const size_t order = variant_order(&list[i]);
        all[i] = (struct placed_variant){
            .variant = &list[i], .index = i, .order = order < last ? order : last};
        all[i].first_position = variant_first_position(v, &list[i]);
        status = variant_check(v, &list[i], i, err);
    }
    if (status != ST_OK) {
        free(all);
        return status;
    }
    qsort(all, n, sizeof *all, compare_order);
    *out = all;
    return ST_OK;
}

/* As many as fit into a batch and begin where the first does, behind the clean one. */
static status_t fill_batch(struct variants *v, const struct placed_variant *from, size_t n,
                           struct error *err)
{
    status_t status = ST_OK;
    variants_place_clean(v);
    v->batch[0].order = from->order;
    v->batch[0].first_position = from->first_position;
    for (size_t i = 0; i < n && i < v->n_batch && status == ST_OK; i++) {
        if (from[i].first_position != from->first_position) break;
        if (i && variants_edges_are_many(v)) break;
        v->batch[v->n_placed++] = from[i];
        status = variants_edges_place(v, &v->batch[i + 1], err);
    }
    return status;
}

status_t variants_run(struct variants *v, const struct variant *list, size_t n,
                      variants_take_fn *take, void *context, struct error *err)
{
    struct placed_variant *all = NULL;
    if (!v->is_loaded) return error_set(err, ST_BAD_INPUT, "no prompts");
    status_t status = place_all(v, list, n, &all, err);
    if (status != ST_OK) return status;
    for (size_t low = 0; low < n && status == ST_OK; low += v->n_placed - 1) {
        status = fill_batch(v, all + low, n - low, err);
        if (status == ST_OK) status = run_batch(v, err);
        if (status == ST_OK) status = hand_out(v, take, context, err);
        for (size_t i = 0; i < v->n_placed; i++) variants_edges_leave(v, &v->batch[i]);
    }
    variants_edges_forget(v);
    v->first_position = v->forward->first_position = 0;
    free(all);
    return status;
}
