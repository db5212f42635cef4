#include "worker/model/variants_edge_plan.h"

#include "worker/model/forward.h"

#include <stdlib.h>
#include <string.h>

/* Edges from one place with different rows into one receiver: a few named positions. */
enum { MAX_SAME_SITE = 64 };

/* --- checks -------------------------------------------------------------------------------- */

static status_t check_sender(const struct variant_change *sender, const struct model_config *config,
                             struct error *err)
{
    char name[HOOK_NAME_SIZE];
    const struct hook_point hook = sender->hook;
    const bool is_embedding = hook.kind == HOOK_RESID_PRE && hook.layer == 0;
    if (hook.layer >= config->n_layers || sender->is_added ||
        (!is_embedding && hook.kind != HOOK_Z && hook.kind != HOOK_MLP_OUT))
        return error_set(err, ST_BAD_INPUT, "%s sends nothing", hook_point_name(hook, name));
    const size_t width = hook_point_width(hook, config);
    if (!sender->n_columns || sender->column >= width || sender->n_columns > width - sender->column)
        return error_set(err, ST_BAD_INPUT, "columns %zu to %zu of %s, which has %zu",
                         sender->column, sender->column + sender->n_columns,
                         hook_point_name(hook, name), width);
    return ST_OK;
}

static bool is_attention_input(enum hook_kind kind)
{
    return kind == HOOK_Q || kind == HOOK_K || kind == HOOK_V;
}

static status_t check_receiver(const struct variant_edge *edge, const struct model_config *config,
                               struct error *err)
{
    char name[HOOK_NAME_SIZE];
    const struct hook_point hook = edge->receiver;
    const bool is_logits = hook.kind == HOOK_RESID_POST && hook.layer + 1 == config->n_layers;
    if (hook.layer >= config->n_layers ||
        (!is_attention_input(hook.kind) && hook.kind != HOOK_MLP_OUT && !is_logits))
        return error_set(err, ST_BAD_INPUT, "%s receives nothing", hook_point_name(hook, name));
    const size_t width = hook_point_width(hook, config);
    const size_t unit = is_attention_input(hook.kind) ? config->d_head : width;
    if (!edge->n_columns || edge->column % unit || edge->n_columns % unit ||
        edge->column >= width || edge->n_columns > width - edge->column)
        return error_set(err, ST_BAD_INPUT, "columns %zu to %zu of %s: not whole receivers of %zu",
                         edge->column, edge->column + edge->n_columns, hook_point_name(hook, name),
                         unit);
    return ST_OK;
}

/* What the sender writes must be in the stream that the receiver reads. */
static bool runs_forwards(const struct variant_edge *edge)
{
    const struct hook_point from = edge->sender.hook, to = edge->receiver;
    if (from.kind == HOOK_RESID_PRE || to.kind == HOOK_RESID_POST || from.layer < to.layer)
        return true;
    return from.layer == to.layer && from.kind == HOOK_Z && to.kind == HOOK_MLP_OUT;
}

static status_t check_edge(const struct variant_edge *edge, const struct model_config *config,
                           struct error *err)
{
    char from[HOOK_NAME_SIZE], to[HOOK_NAME_SIZE];
    status_t status = check_sender(&edge->sender, config, err);
    if (status == ST_OK) status = check_receiver(edge, config, err);
    if (status != ST_OK || runs_forwards(edge)) return status;
    return error_set(err, ST_BAD_INPUT, "%s is not before its receiver %s",
                     hook_point_name(edge->sender.hook, from), hook_point_name(edge->receiver, to));
}

status_t edges_check(const struct variant *variant, size_t index, const struct model_config *config,
                     struct error *err)
{
    for (size_t i = 0; i < variant->n_edges; i++) {
        const status_t status = check_edge(&variant->edges[i], config, err);
        if (status != ST_OK) return error_wrap(err, "variant %zu, edge %zu", index, i);
    }
    return ST_OK;
}

/* --- senders ------------------------------------------------------------------------------- */

static int compare_sizes(size_t a, size_t b)
{
    return (a > b) - (a < b);
}

static int compare_hooks(struct hook_point a, struct hook_point b)
{
    const int by_layer = compare_sizes(a.layer, b.layer);
    return by_layer ? by_layer : compare_sizes(a.kind, b.kind);
}

static int compare_sites(const struct variant_change *a, const struct variant_change *b)
{
    const int by_hook = compare_hooks(a->hook, b->hook);
    const int by_column = by_hook ? by_hook : compare_sizes(a->column, b->column);
    return by_column ? by_column : compare_sizes(a->n_columns, b->n_columns);
}

static int compare_senders(const void *a, const void *b)
{
    const struct variant_edge *const *x = a, *const *y = b;
    const int by_site = compare_sites(&(*x)->sender, &(*y)->sender);
    return by_site ? by_site : (*x > *y) - (*x < *y); /* of one array: by their place in it */
}

static bool is_same_sender(const struct variant_change *a, const struct variant_change *b)
{
    return compare_sites(a, b) == 0 && a->values == b->values && a->ld == b->ld &&
           a->is_row == b->is_row;
}

/* Number of the sender among those found, which are sorted: one of the last. */
static size_t find_sender(struct edge_plan *plan, const struct variant_change *what)
{
    for (size_t i = plan->n_senders; i > 0; i--) {
        const struct variant_change *other = plan->senders[i - 1].what;
        if (compare_sites(other, what) != 0) break;
        if (is_same_sender(other, what)) return i - 1;
    }
    plan->senders[plan->n_senders] = (struct edge_sender){.what = what};
    return plan->n_senders++;
}

/* --- receivers ----------------------------------------------------------------------------- */

/* One term before the terms are in order. */
struct entry {
    struct hook_point hook;
    size_t head, sender;
};

static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    const int by_hook = compare_hooks(x->hook, y->hook);
    const int by_head = by_hook ? by_hook : compare_sizes(x->head, y->head);
    return by_head ? by_head : compare_sizes(x->sender, y->sender);
}

static size_t n_receivers_of(const struct variant_edge *edge, const struct model_config *config)
{
    return is_attention_input(edge->receiver.kind) ? edge->n_columns / config->d_head : 1;
}

static bool share_rows(const struct variant_change *a, const struct variant_change *b,
                       size_t n_rows)
{
    if (!a->is_row || !b->is_row) return true;
    for (size_t r = 0; r < n_rows; r++)
        if (a->is_row[r] && b->is_row[r]) return true;
    return false;
}

/* Does `b` write columns in rows that one of the terms [low, i) writes too? */
static bool is_twice(const struct edge_plan *plan, const size_t *terms, size_t low, size_t i,
                     size_t n_rows)
{
    const struct variant_change *b = plan->senders[terms[i]].what;
    if (i - low >= MAX_SAME_SITE) return true;
    for (size_t k = low; k < i; k++) {
        const struct variant_change *a = plan->senders[terms[k]].what;
        if (a->column + a->n_columns > b->column && share_rows(a, b, n_rows)) return true;
    }
    return false;
}

/* Terms of one receiver, sorted: what is written by two of them would count twice. */
static status_t check_terms(const struct edge_plan *plan, const struct edge_receiver *receiver,
                            size_t n_rows, struct error *err)
{
    const size_t *terms = plan->terms + receiver->first;
    char from[HOOK_NAME_SIZE], to[HOOK_NAME_SIZE];
    size_t low = 0, end = 0; /* terms since `low` reach columns before `end` of one hook point */
    for (size_t i = 0; i < receiver->n; i++) {
        const struct variant_change *b = plan->senders[terms[i]].what;
        const bool is_apart = i == 0 || b->column >= end ||
                              compare_hooks(plan->senders[terms[i - 1]].what->hook, b->hook) != 0;
        if (is_apart) {
            low = i;
            end = 0;
        }
        if (is_twice(plan, terms, low, i, n_rows))
            return error_set(err, ST_BAD_INPUT, "the edge from %s (column %zu) to %s is twice",
                             hook_point_name(b->hook, from), b->column,
                             hook_point_name(receiver->hook, to));
        end = b->column + b->n_columns > end ? b->column + b->n_columns : end;
    }
    return ST_OK;
}

static status_t make_receivers(struct edge_plan *plan, const struct entry *entries, size_t n,
                               size_t n_rows, struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = 0; i < n; i++) {
        struct edge_receiver *last = plan->receivers + plan->n_receivers;
        const bool is_new = i == 0 || compare_hooks(entries[i].hook, entries[i - 1].hook) != 0 ||
                            entries[i].head != entries[i - 1].head;
        if (is_new) {
            *last = (struct edge_receiver){entries[i].hook, entries[i].head, i, 0};
            plan->n_receivers++;
        } else {
            last--;
        }
        last->n++;
        plan->terms[i] = entries[i].sender;
    }
    for (size_t i = 0; i < plan->n_receivers && status == ST_OK; i++)
        status = check_terms(plan, &plan->receivers[i], n_rows, err);
    return status;
}

/* --- the plan ------------------------------------------------------------------------------ */

void edge_plan_destroy(struct edge_plan **pointer)
{
    struct edge_plan *plan = *pointer;
    if (!plan) return;
    free(plan->senders);
    free(plan->receivers);
    free(plan->terms);
    free(plan);
    *pointer = NULL;
}

static size_t fill_entries(struct edge_plan *plan, const struct variant_edge *const *sorted,
                           size_t n_edges, const struct model_config *config, struct entry *entries)
{
    size_t n = 0;
    for (size_t i = 0; i < n_edges; i++) {
        const struct variant_edge *edge = sorted[i];
        const size_t sender = find_sender(plan, &edge->sender);
        const size_t n_heads = n_receivers_of(edge, config);
        for (size_t k = 0; k < n_heads; k++)
            entries[n++] =
                (struct entry){edge->receiver, edge->column / config->d_head + k, sender};
    }
    return n;
}

static status_t fill(struct edge_plan *plan, const struct variant *variant,
                     const struct model_config *config, size_t n_rows, size_t n_entries,
                     struct error *err)
{
    const struct variant_edge **sorted = calloc(variant->n_edges, sizeof *sorted);
    struct entry *entries = calloc(n_entries, sizeof *entries);
    status_t status = ST_OK;
    if (!sorted || !entries) {
        status = error_set(err, ST_NO_MEMORY, "%zu edges", variant->n_edges);
    } else {
        for (size_t i = 0; i < variant->n_edges; i++) sorted[i] = &variant->edges[i];
        qsort(sorted, variant->n_edges, sizeof *sorted, compare_senders);
        const size_t n = fill_entries(plan, sorted, variant->n_edges, config, entries);
        qsort(entries, n, sizeof *entries, compare_entries);
        status = make_receivers(plan, entries, n, n_rows, err);
    }
    free(sorted);
    free(entries);
    return status;
}

status_t edge_plan_create(struct edge_plan **out, const struct variant *variant,
                          const struct model_config *config, size_t n_rows, struct error *err)
{
    size_t n_entries = 0;
    struct edge_plan *plan = calloc(1, sizeof *plan);
    if (!plan) return error_set(err, ST_NO_MEMORY, "edges");
    for (size_t i = 0; i < variant->n_edges; i++)
        n_entries += n_receivers_of(&variant->edges[i], config);
    plan->senders = calloc(variant->n_edges, sizeof *plan->senders);
    plan->receivers = calloc(n_entries, sizeof *plan->receivers);
    plan->terms = calloc(n_entries, sizeof *plan->terms);
    status_t status = ST_OK;
    if (!plan->senders || !plan->receivers || !plan->terms)
        status = error_set(err, ST_NO_MEMORY, "%zu edges", variant->n_edges);
    if (status == ST_OK) status = fill(plan, variant, config, n_rows, n_entries, err);
    if (status == ST_OK)
        *out = plan;
    else
        edge_plan_destroy(&plan);
    return status;
}

bool edge_plan_has_mlp(const struct edge_plan *plan)
{
    for (size_t i = 0; i < plan->n_receivers; i++)
        if (plan->receivers[i].hook.kind == HOOK_MLP_OUT) return true;
    return false;
}

size_t edge_plan_receivers(const struct edge_plan *plan, struct hook_point hook,
                           const struct edge_receiver **first)
{
    size_t low = 0, n = 0;
    while (low < plan->n_receivers && compare_hooks(plan->receivers[low].hook, hook) < 0) low++;
    while (low + n < plan->n_receivers && compare_hooks(plan->receivers[low + n].hook, hook) == 0)
        n++;
    *first = plan->receivers + low;
    return n;
}

bool edge_plan_sends(const struct edge_plan *plan, struct hook_point hook)
{
    for (size_t i = 0; i < plan->n_senders; i++)
        if (compare_hooks(plan->senders[i].what->hook, hook) == 0) return true;
    return false;
}
