#include "worker/tasks/ablate_changes.h"

#include <stdlib.h>
#include <string.h>

/* Edges from one sender into one layer share what its heads compute: the last one is kept. */
struct last_path {
    bool is_there;
    struct ablate_change change; /* its sender, value, positions */
    enum path_receiver receiver;
    size_t layer;
    float *rows; /* [n_prompts * n_ctx, width], owned */
};

/* Rows of one edge, in a chain to be freed. */
struct edge_rows {
    struct edge_rows *next;
    float values[];
};

struct ablate_changes {
    struct ablate_changes_params with;
    const struct model_config *config;
    size_t n_rows;
    size_t n_shared; /* positions at which every corrupted prompt begins as the clean one does */
    struct last_path last;
    struct edge_rows *edges;
    size_t n_edge_bytes;
};

static size_t count_shared(const struct ablate_prompts *prompts)
{
    size_t n_shared = prompts->n_ctx;
    for (size_t i = 0; i < prompts->clean.n; i++) {
        const uint32_t *clean = prompts->clean.tokens + i * prompts->n_ctx;
        const uint32_t *corrupted = prompts->corrupted.tokens + i * prompts->n_ctx;
        size_t n = 0;
        while (n < n_shared && clean[n] == corrupted[n]) n++;
        n_shared = n;
    }
    return n_shared;
}

status_t ablate_changes_create(struct ablate_changes **out,
                               const struct ablate_changes_params *params, struct error *err)
{
    struct ablate_changes *self = calloc(1, sizeof *self);
    if (!self) return error_set(err, ST_NO_MEMORY, "changes");
    self->with = *params;
    self->config = model_config(params->model);
    self->n_rows = params->prompts->clean.n * params->prompts->n_ctx;
    self->n_shared = count_shared(params->prompts);
    *out = self;
    return ST_OK;
}

void ablate_changes_forget(struct ablate_changes *self)
{
    while (self->edges) {
        struct edge_rows *next = self->edges->next;
        free(self->edges);
        self->edges = next;
    }
    self->n_edge_bytes = 0;
    self->last.is_there = false;
    free(self->last.rows);
    self->last.rows = NULL;
}

void ablate_changes_destroy(struct ablate_changes **changes)
{
    if (!*changes) return;
    ablate_changes_forget(*changes);
    free(*changes);
    *changes = NULL;
}

static enum hook_kind hook_kind_of(uint32_t place)
{
    static const enum hook_kind kinds[ABLATE_N_PLACES] = {[ABLATE_RESID_PRE] = HOOK_RESID_PRE,
                                                          [ABLATE_Q] = HOOK_Q,
                                                          [ABLATE_K] = HOOK_K,
                                                          [ABLATE_V] = HOOK_V,
                                                          [ABLATE_Z] = HOOK_Z,
                                                          [ABLATE_ATTN_OUT] = HOOK_ATTN_OUT,
                                                          [ABLATE_RESID_MID] = HOOK_RESID_MID,
                                                          [ABLATE_MLP_POST] = HOOK_MLP_POST,
                                                          [ABLATE_MLP_OUT] = HOOK_MLP_OUT,
                                                          [ABLATE_RESID_POST] = HOOK_RESID_POST};
    return kinds[place];
}

/* Layer and columns, since values are looked up by them. */
static status_t take_site(const struct ablate_changes *self, const struct ablate_site *site,
                          struct variant_change *out, struct error *err)
{
    char name[HOOK_NAME_SIZE];
    if (site->place >= ABLATE_FEATURE)
        return error_set(err, ST_BAD_INPUT, "place %u is not one of the model",
                         (unsigned)site->place);
    if (site->layer >= self->config->n_layers)
        return error_set(err, ST_BAD_INPUT, "layer %u of %zu", (unsigned)site->layer,
                         self->config->n_layers);
    const struct hook_point hook = {hook_kind_of(site->place), site->layer};
    const size_t width = hook_point_width(hook, self->config);
    if (site->column >= width || site->n_columns > width - site->column)
        return error_set(err, ST_BAD_INPUT, "%u columns from %u of %s, which has %zu",
                         (unsigned)site->n_columns, (unsigned)site->column,
                         hook_point_name(hook, name), width);
    *out =
        (struct variant_change){.hook = hook, .column = site->column, .n_columns = site->n_columns};
    return ST_OK;
}

/* The site with what is put there. */
static status_t take_value(struct ablate_changes *self, const struct ablate_site *site,
                           const struct ablate_change *change, struct variant_change *out,
                           struct error *err)
{
    const struct ablate_prompts *prompts = self->with.prompts;
    if (change->positions > prompts->n_masks)
        return error_set(err, ST_BAD_INPUT, "positions %u of %zu", (unsigned)change->positions,
                         prompts->n_masks);
    status_t status = take_site(self, site, out, err);
    if (status == ST_OK)
        status = ablate_values_get(self->with.values, out->hook, (enum ablate_value)change->value,
                                   &out->values, &out->ld, err);
    if (status == ST_OK)
        status = ablate_values_on_device(self->with.values, out->hook,
                                         (enum ablate_value)change->value, &out->on_device, err);
    if (status != ST_OK) return status;
    if (out->values) out->values += site->column;
    if (out->on_device) out->on_device += site->column;
    if (change->positions) out->is_row = prompts->masks[change->positions - 1];
    return ST_OK;
}

/* --- edges --------------------------------------------------------------------------------- */

static status_t find_receiver(const struct ablate_changes *self, const struct variant_change *at,
                              enum path_receiver *out, struct error *err)
{
    char name[HOOK_NAME_SIZE];
    const enum hook_kind kind = at->hook.kind;
    if (kind == HOOK_Q || kind == HOOK_K || kind == HOOK_V)
        *out = PATH_QKV;
    else if (kind == HOOK_MLP_OUT)
        *out = PATH_MLP;
    else if (kind == HOOK_RESID_POST && at->hook.layer + 1 == self->config->n_layers)
        *out = PATH_LOGITS;
    else
        return error_set(err, ST_BAD_INPUT, "%s receives nothing", hook_point_name(at->hook, name));
    return ST_OK;
}

static bool is_last(const struct last_path *last, const struct ablate_change *change,
                    enum path_receiver receiver, size_t layer)
{
    const struct ablate_site *a = &last->change.sender, *b = &change->sender;
    return last->is_there && last->receiver == receiver && last->layer == layer &&
           last->change.value == change->value && last->change.positions == change->positions &&
           a->place == b->place && a->layer == b->layer && a->column == b->column &&
           a->n_columns == b->n_columns;
}

static status_t follow_path(struct ablate_changes *self, const struct ablate_change *change,
                            enum path_receiver receiver, size_t layer, struct error *err)
{
    struct last_path *last = &self->last;
    struct variant_path path = {.receiver = receiver, .layer = layer};
    const size_t width = variants_path_width(self->with.variants, receiver);
    if (is_last(last, change, receiver, layer)) return ST_OK;
    status_t status = take_value(self, &change->sender, change, &path.sender, err);
    if (status != ST_OK) return status;
    last->is_there = false;
    free(last->rows);
    last->rows = malloc(self->n_rows * width * sizeof *last->rows);
    if (!last->rows) return error_set(err, ST_NO_MEMORY, "an edge of %zu rows", self->n_rows);
    status = variants_path(self->with.variants, &path, last->rows, err);
    last->change = *change;
    last->receiver = receiver;
    last->layer = layer;
    last->is_there = status == ST_OK;
    return status;
}

/* Column of the receiver's values among those that the path gave. */
static size_t column_in_path(const struct ablate_changes *self, const struct variant_change *at)
{
    const size_t d_q = self->config->n_heads * self->config->d_head,
                 d_kv = self->config->n_kv_heads * self->config->d_head;
    if (at->hook.kind == HOOK_K) return d_q + at->column;
    return at->hook.kind == HOOK_V ? d_q + d_kv + at->column : at->column;
}

static status_t keep_columns(struct ablate_changes *self, size_t width, struct variant_change *out,
                             struct error *err)
{
    const size_t column = column_in_path(self, out);
    const size_t n_bytes = self->n_rows * out->n_columns * sizeof(float);
    if (n_bytes > ABLATE_MAX_EDGE_BYTES - self->n_edge_bytes)
        return error_set(err, ST_TOO_LARGE, "edges of one unit: over %d bytes",
                         ABLATE_MAX_EDGE_BYTES);
    struct edge_rows *edge = malloc(sizeof *edge + n_bytes);
    if (!edge) return error_set(err, ST_NO_MEMORY, "an edge of %zu bytes", n_bytes);
    for (size_t r = 0; r < self->n_rows; r++)
        memcpy(edge->values + r * out->n_columns, self->last.rows + r * width + column,
               out->n_columns * sizeof(float));
    edge->next = self->edges;
    self->edges = edge;
    self->n_edge_bytes += n_bytes;
    out->values = edge->values;
    out->ld = out->n_columns;
    return ST_OK;
}

static status_t make_edge(struct ablate_changes *self, const struct ablate_change *change,
                          struct variant_change *out, struct error *err)
{
    enum path_receiver receiver = PATH_QKV;
    status_t status = take_site(self, &change->at, out, err);
    if (status == ST_OK) status = find_receiver(self, out, &receiver, err);
    if (status == ST_OK) status = follow_path(self, change, receiver, out->hook.layer, err);
    if (status != ST_OK) return status;
    out->is_added = receiver == PATH_LOGITS;
    return keep_columns(self, variants_path_width(self->with.variants, receiver), out, err);
}

size_t ablate_changes_first_position(const struct ablate_changes *self,
                                     const struct ablate_change *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (list[i].value != ABLATE_RESAMPLE) return 0;
    return n ? self->n_shared : 0;
}

status_t ablate_changes_make(struct ablate_changes *self, const struct ablate_change *change,
                             struct variant_change *out, struct error *err)
{
    return change->sender.n_columns ? make_edge(self, change, out, err)
                                    : take_value(self, &change->at, change, out, err);
}

status_t ablate_changes_make_edge(struct ablate_changes *self, const struct ablate_change *change,
                                  struct variant_edge *out, struct error *err)
{
    struct variant_change at;
    status_t status = take_site(self, &change->at, &at, err);
    if (status == ST_OK) status = take_value(self, &change->sender, change, &out->sender, err);
    if (status != ST_OK) return status;
    out->receiver = at.hook;
    out->column = at.column;
    out->n_columns = at.n_columns;
    return ST_OK;
}
