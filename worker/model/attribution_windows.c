/* Where an attribution finds the weights that derivatives take: where they are, or in windows of
 * its own, beside that of its pass, when the model's layers are streamed. The maps of layers are
 * taken from the last layer to the first, once for each pass back; those of single heads from the
 * first to the last, once for each block of tokens. */
#include "worker/model/attribution_parts.h"

void attribution_close_windows(struct attribution *a)
{
    for (size_t i = 0; i < ADJOINT_N_LISTS; i++)
        if (a->windows[i].window) a->forward->ops->window_destroy(a->windows[i].window);
}

status_t attribution_open_windows(struct attribution *a, struct error *err)
{
    const struct adjoint_weights *w = a->weights;
    const size_t n_lists = a->has_edges ? ADJOINT_N_LISTS : ADJOINT_MAPS + 1;
    status_t status = ST_OK;
    for (size_t i = 0; w->is_streamed && i < n_lists && status == ST_OK; i++) {
        const struct window_params params = {(const struct packed *const *)w->lists[i], w->n_layers,
                                             w->n_each[i]};
        a->windows[i].layer = SIZE_MAX;
        status =
            a->forward->ops->window_create(&a->windows[i].window, a->forward->exec, &params, err);
    }
    return status;
}

status_t attribution_weights(struct attribution *a, enum adjoint_list list, size_t layer,
                             size_t index, const struct packed **out, struct error *err)
{
    const struct adjoint_weights *w = a->weights;
    struct attribution_window *from = &a->windows[list];
    status_t status = ST_OK;
    if (!from->window) {
        *out = w->lists[list][layer * w->n_each[list] + index];
        return ST_OK;
    }
    if (from->layer != layer) {
        const bool is_first = layer == 0, is_back = list == ADJOINT_MAPS;
        const size_t before = is_first ? w->n_layers - 1 : layer - 1;
        const size_t next = is_back ? before : (layer + 1) % w->n_layers;
        from->layer = SIZE_MAX;
        status = a->forward->ops->window_take(from->window, layer, next, &from->weights, err);
        if (status == ST_OK) from->layer = layer;
    }
    if (status == ST_OK) *out = from->weights[index];
    return status;
}
