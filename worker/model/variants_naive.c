/* Every variant by a whole pass of its own: what the batched run is compared with. */
#include "worker/model/variants_parts.h"

#include <string.h>

/* From the tokens to the answers, which are those of place `place`. */
static status_t run_whole(struct variants *v, size_t place, struct error *err)
{
    struct forward *f = v->forward;
    status_t status = forward_embed(f, err);
    for (size_t i = 0; i < f->config->n_layers && status == ST_OK; i++) {
        variants_edit_layer(v, i);
        status = forward_layer(f, i, err);
    }
    if (status != ST_OK) return status;
    return v->is_compared ? variants_compare_answers(v, place, err)
                          : variants_keep_answers(v, place, err);
}

static status_t run_one(struct variants *v, const struct variant *variant, size_t place,
                        struct error *err)
{
    variants_begin(v);
    v->batch[0] = (struct placed_variant){.variant = variant}; /* order 0: nothing is clean */
    v->n_placed = v->n_inside = 1;
    variants_use_rows(v);
    status_t status = variants_edges_place(v, &v->batch[0], err);
    if (status == ST_OK) status = run_whole(v, place, err);
    variants_edges_leave(v, &v->batch[0]);
    return status;
}

status_t variants_run_naive(struct variants *v, const struct variant *list, size_t n,
                            variants_take_fn *take, void *context, struct error *err)
{
    static const struct variant clean;
    if (!v->is_loaded) return error_set(err, ST_BAD_INPUT, "no prompts");
    memcpy(v->forward->tokens, v->tokens, v->n_prompts * v->n_ctx * sizeof *v->tokens);
    status_t status = run_one(v, &clean, 0, err);
    for (size_t i = 0; i < n && status == ST_OK; i++) {
        status = variant_check(v, &list[i], i, err);
        if (status == ST_OK) status = run_one(v, &list[i], 1, err);
        v->taken = v->is_compared ? v->divergences + v->n_prompts : NULL;
        if (status == ST_OK)
            status =
                take(context, i, v->logits_host + v->n_prompts * v->n_columns, v->logits_host, err);
    }
    return status;
}
