/* Layers as recordings: a run of layers that no hook and no edit looks into is the same list of
 * operations every time. The first run does them one by one (and makes all scratch grow), the
 * second records them, and replays from then on. What is computed is the same, bit for bit, and so
 * a device that records nothing (no room for the graph, a driver that refuses) goes on one by
 * one. */
#include "worker/model/forward_parts.h"

static bool is_looked_into(const struct forward *f, size_t layer)
{
    for (size_t i = 0; i < f->n_hooks; i++)
        if (hook_kind_has_layer(f->hooks[i].kind) && f->hooks[i].layer == layer) return true;
    for (size_t i = 0; i < f->input->n_edits; i++) {
        const struct hook_point hook = f->input->edits[i].hook;
        if (hook_kind_has_layer(hook.kind) && hook.layer == layer) return true;
    }
    return false;
}

static status_t run_each(struct forward *f, size_t first, size_t last, struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = first; i < last && status == ST_OK; i++) status = forward_layer(f, i, err);
    return status;
}

static struct forward_span *find_span(struct forward *f, size_t first, size_t last)
{
    for (size_t i = 0; i < f->n_spans; i++)
        if (f->spans[i].first == first && f->spans[i].last == last) return &f->spans[i];
    return NULL;
}

static status_t record(struct forward *f, struct forward_span *span, struct error *err)
{
    const uint32_t *lengths = f->input->row_lengths;
    atomic_uint_fast64_t *progress = f->progress;
    status_t status = f->ops->record_begin(f->exec, lengths, f->n_rows, err);
    if (status != ST_OK) return status;
    f->progress = NULL; /* nothing runs yet */
    status = run_each(f, span->first, span->last, err);
    f->progress = progress;
    if (status == ST_OK) return f->ops->record_end(f->exec, &span->recording, err);
    (void)f->ops->record_end(f->exec, NULL, NULL);
    return status;
}

static status_t run_recorded(struct forward *f, struct forward_span *span, struct error *err)
{
    status_t status = span->recording ? ST_OK : record(f, span, err);
    if (status == ST_OK)
        status = f->ops->replay(span->recording, f->input->row_lengths, f->n_rows, err);
    if (status == ST_OK && f->progress)
        (void)atomic_fetch_add_explicit(f->progress, span->last - span->first,
                                        memory_order_relaxed);
    return status;
}

static void give_up(struct forward *f, struct forward_span *span, const struct error *why)
{
    f->ops->recording_destroy(span->recording);
    span->recording = NULL;
    span->is_given_up = true;
    model_note_unrecorded(f->model, why);
}

static status_t run_span(struct forward *f, size_t first, size_t last, struct error *err)
{
    struct error why = {0};
    struct forward_span *span = find_span(f, first, last);
    if (!span) {
        if (f->n_spans < FORWARD_MAX_SPANS)
            f->spans[f->n_spans++] = (struct forward_span){.first = first, .last = last};
        return run_each(f, first, last, err);
    }
    if (span->is_given_up) return run_each(f, first, last, err);
    const status_t status = run_recorded(f, span, &why);
    if (status == ST_OK) return ST_OK;
    if (f->ops->is_lost(f->backend)) return error_set(err, status, "%s", why.text);
    give_up(f, span, &why); /* what could not be recorded or launched has not run */
    return run_each(f, first, last, err);
}

bool forward_can_replay(const struct forward *f)
{
    return f->part_rows == f->batch_rows && !f->window &&
           backend_supports(f->backend, BACKEND_REPLAY);
}

status_t forward_layers(struct forward *f, size_t first, struct error *err)
{
    const size_t n_layers = f->config->n_layers;
    status_t status = ST_OK;
    for (size_t i = first; i < n_layers && status == ST_OK && !forward_is_complete(f);) {
        size_t last = i;
        while (last < n_layers && !is_looked_into(f, last)) last++;
        status = last > i ? run_span(f, i, last, err) : forward_layer(f, i, err);
        i = last > i ? last : i + 1;
    }
    return status;
}

void forward_replay_fini(struct forward *f)
{
    for (size_t i = 0; i < f->n_spans; i++) f->ops->recording_destroy(f->spans[i].recording);
    f->n_spans = 0;
}
