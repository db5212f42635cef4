#include "coordinator/circuit/node_search_parts.h"

#include <math.h>
#include <stdlib.h>

struct node_search_params node_search_params_default(void)
{
    return (struct node_search_params){.selection = node_selection_params_default(),
                                       .is_conditional = true,
                                       .max_singles = 4096,
                                       .max_sweep = 8192,
                                       .max_pairs = 500,
                                       .max_context = 4,
                                       .max_rounds = 4};
}

/* --- life --------------------------------------------------------------------------------- */

static status_t check_order(const struct node_search_params *params, struct error *err)
{
    if (!params->order) return ST_OK;
    status_t status = ST_OK;
    bool *is_there = calloc(params->n, sizeof *is_there);
    if (!is_there) return error_set(err, ST_NO_MEMORY, "%zu candidates", params->n);
    for (size_t i = 0; i < params->n && status == ST_OK; i++) {
        const uint32_t at = params->order[i];
        if (at >= params->n || is_there[at])
            status =
                error_set(err, ST_BAD_INPUT, "search: the order names %u twice, or too much", at);
        else
            is_there[at] = true;
    }
    free(is_there);
    return status;
}

static status_t check_params(const struct node_search_params *params, struct error *err)
{
    const struct node_selection_params *selection = &params->selection;
    if (params->n == 0 || params->n > INT32_MAX)
        return error_set(err, ST_BAD_INPUT, "search: %zu candidates", params->n);
    if (!(selection->fdr_q > 0.0 && selection->fdr_q < 1.0))
        return error_set(err, ST_BAD_INPUT, "search: fdr_q %g is not in (0, 1)", selection->fdr_q);
    if (!(selection->share_min >= 0.0 && isfinite(selection->share_min)))
        return error_set(err, ST_BAD_INPUT, "search: share_min %g", selection->share_min);
    if (params->max_singles < SPLIT_WAYS)
        return error_set(err, ST_BAD_INPUT, "search: max_singles %zu is below %d",
                         params->max_singles, (int)SPLIT_WAYS);
    if (params->max_context == 0 || params->max_context > NODE_SEARCH_MAX_CONTEXT)
        return error_set(err, ST_BAD_INPUT, "search: max_context %zu is not in 1 .. %d",
                         params->max_context, (int)NODE_SEARCH_MAX_CONTEXT);
    return check_order(params, err);
}

static status_t allocate(struct node_search *search, struct error *err)
{
    const size_t n = search->params->n;
    search->found = calloc(n, sizeof *search->found);
    search->is_given = calloc(n, sizeof *search->is_given);
    search->list = calloc(n, sizeof *search->list);
    search->all = calloc(n, sizeof *search->all);
    search->contexts = calloc(NODE_SEARCH_MAX_HITS, sizeof *search->contexts);
    if (!search->found || !search->is_given || !search->list || !search->all || !search->contexts)
        return error_set(err, ST_NO_MEMORY, "search: %zu candidates", n);
    for (uint32_t i = 0; i < n; i++) {
        search->all[i] = i;
        search->found[i] = (struct found_node){.alone.p = 1.0, .given.p = 1.0, .class_of = i};
    }
    return ST_OK;
}

status_t node_search_create(struct node_search **out, const struct node_search_params *params,
                            const struct node_search_place *place, struct error *err)
{
    status_t status = check_params(params, err);
    if (status != ST_OK) return status;
    struct node_search *search = calloc(1, sizeof *search);
    if (!search) return error_set(err, ST_NO_MEMORY, "search: %zu candidates", params->n);
    search->params = params;
    search_view_init(&search->view, place->values);
    search->rule = (struct context_rule){{0.0, params->selection.fdr_q}, params->max_context};
    status = effect_sample_init(&search->sample, place->units, place->seed, place->number, err);
    search->sample.is_divergence = place->is_divergence;
    if (status == ST_OK) status = allocate(search, err);
    if (status != ST_OK) {
        node_search_destroy(&search);
        return status;
    }
    *out = search;
    return ST_OK;
}

void node_search_destroy(struct node_search **search)
{
    if (!*search) return;
    node_search_clear_round(*search);
    free((*search)->splits);
    free((*search)->contexts);
    free((*search)->groups);
    free((*search)->found);
    free((*search)->is_given);
    free((*search)->list);
    free((*search)->all);
    search_view_fini(&(*search)->view);
    effect_sample_fini(&(*search)->sample);
    test_family_fini(&(*search)->tests);
    free(*search);
    *search = NULL;
}

const struct found_node *node_search_nodes(const struct node_search *search)
{
    return search->found;
}

bool node_search_is_truncated(const struct node_search *search)
{
    return search->view.is_refused;
}

struct node_search_pairs node_search_pairs(const struct node_search *search)
{
    return search->pairs;
}

/* --- reading ------------------------------------------------------------------------------ */

const double *node_search_row(struct node_search *search, const uint32_t *nodes, size_t n)
{
    return search_view_nodes(&search->view, (struct index_span){nodes, n},
                             (struct index_span){NULL, 0});
}

struct node_effect node_search_drop(struct node_search *search, const double *before,
                                    const double *after)
{
    if (!before || !after) return (struct node_effect){.p = 1.0};
    return effect_between(&search->sample, before, after);
}

bool node_search_is_clear(const struct node_search *search, const struct node_effect *effect)
{
    return effect_is_clear(effect, &search->rule.clear) &&
           (!search->params->selection.is_signed || effect->mean > 0.0);
}

size_t node_search_list(struct node_search *search, bool is_chosen)
{
    const uint32_t *order = search->params->order ? search->params->order : search->all;
    size_t n = 0;
    for (size_t i = 0; i < search->params->n; i++) {
        const struct found_node *node = &search->found[order[i]];
        if (node->is_chosen == is_chosen) search->list[n++] = order[i];
    }
    return n;
}

/* --- by effect ---------------------------------------------------------------------------- */

static int compare_ranked(const void *a, const void *b)
{
    const struct ranked_node *left = a, *right = b;
    if (left->size != right->size) return left->size > right->size ? -1 : 1;
    return (left->node > right->node) - (left->node < right->node);
}

status_t node_search_rank(const struct node_search *search, bool is_chosen,
                          struct ranked_node **out, size_t *n, struct error *err)
{
    struct ranked_node *ranked = malloc(search->params->n * sizeof *ranked);
    if (!ranked) return error_set(err, ST_NO_MEMORY, "search: %zu nodes", search->params->n);
    *n = 0;
    for (uint32_t v = 0; v < search->params->n; v++)
        if (search->found[v].is_chosen == is_chosen)
            ranked[(*n)++] = (struct ranked_node){fabs(search->found[v].given.mean), v};
    qsort(ranked, *n, sizeof *ranked, compare_ranked);
    *out = ranked;
    return ST_OK;
}

/* Above this, n * (n - 1) is beyond any max_pairs that memory has room for. */
enum { MOST_PAIRED = 65536 };

size_t node_search_n_paired(const struct node_search *search, size_t n)
{
    if (n > MOST_PAIRED) n = MOST_PAIRED;
    while (all_pairs(n) > search->params->max_pairs) n--;
    return n;
}

/* --- singles ------------------------------------------------------------------------------ */

/* Each alone; false while rows are missing. */
static bool measure_singles(struct node_search *search)
{
    const double *full = search->view.full;
    for (uint32_t i = 0; i < search->params->n; i++) {
        const double *row = node_search_row(search, &i, 1);
        search->found[i].alone = node_search_drop(search, full, row);
        search->found[i].is_measured = row != NULL;
    }
    return search->view.n_missing == 0;
}

/* Groups, and those nodes alone whose groups show; false while rows are missing. */
static status_t measure_groups(struct node_search *search, bool *is_over, struct error *err)
{
    const size_t n = node_search_list(search, false);
    const struct split_plan plan = {
        {NULL, 0}, {search->list, n}, false, search->params->max_singles / SPLIT_WAYS};
    status_t status = ST_OK;
    *is_over = false;
    if (search->n_splits == 0) status = node_search_add_split(search, &plan, err);
    if (status == ST_OK) status = node_search_run_splits(search, is_over, err);
    if (status != ST_OK || !*is_over) return status;
    for (size_t h = 0; h < search->splits[0].n_hits; h++) {
        const uint32_t node = group_split_node(&search->splits[0], search->splits[0].hits[h].place);
        const double *row = node_search_row(search, &node, 1);
        search->found[node].alone = node_search_drop(search, search->view.full, row);
        search->found[node].is_measured = row != NULL;
    }
    return ST_OK;
}

static status_t choose_singles(struct node_search *search, struct error *err)
{
    const size_t n = search->params->n;
    status_t status = ST_OK;
    for (size_t i = 0; i < n && status == ST_OK; i++)
        status = test_family_add(&search->tests, search->found[i].alone.p, err);
    bool *is_discovery = calloc(n, sizeof *is_discovery);
    if (status == ST_OK && !is_discovery)
        status = error_set(err, ST_NO_MEMORY, "search: %zu candidates", n);
    if (status == ST_OK)
        status = test_family_decide(&search->tests, search->params->selection.fdr_q, 0,
                                    is_discovery, err);
    for (size_t i = 0; i < n && status == ST_OK; i++) {
        struct found_node *node = &search->found[i];
        node->given = node->alone;
        if (!is_discovery[i] || !node_search_is_clear(search, &node->alone)) continue;
        node->alone.is_chosen = node->is_chosen = true;
        node->reason = NODE_SINGLE;
    }
    free(is_discovery);
    return status;
}

static status_t run_singles(struct node_search *search, struct error *err)
{
    const size_t n = search->params->n;
    const bool is_small = n <= search->params->max_singles;
    const double *empty = node_search_row(search, search->all, n);
    bool is_over = is_small && measure_singles(search);
    status_t status = ST_OK;
    if (!empty) return ST_OK;
    const struct node_effect span = node_search_drop(search, search->view.full, empty);
    search->rule.clear.least = search->params->selection.share_min * fabs(span.mean);
    if (!is_small) status = measure_groups(search, &is_over, err);
    if (status != ST_OK || !is_over) return status;
    status = choose_singles(search, err);
    node_search_clear_round(search);
    search->stage = search->params->is_conditional ? STAGE_COMPLEMENT : STAGE_OVER;
    if (status == ST_OK && search->stage == STAGE_OVER)
        status = node_search_keep_largest(search, err);
    return status;
}

/* --- stages ------------------------------------------------------------------------------- */

/* A round of a stage is over, having found so many groups. */
static void next_round(struct node_search *search, size_t n_accepted)
{
    const bool is_last = ++search->round >= search->params->max_rounds;
    node_search_clear_round(search);
    search->step = STEP_FIND;
    search->n_idle = n_accepted > 0 ? 0 : search->n_idle + 1;
    if (search->stage == STAGE_COMPLEMENT && !is_last && search->n_idle < 2) return;
    if (search->stage == STAGE_CONDITIONAL && !is_last && search->n_idle == 0) return;
    if (search->stage == STAGE_COMPLEMENT)
        search->stage = STAGE_CONDITIONAL;
    else if (search->stage == STAGE_CONDITIONAL)
        search->stage = search->is_paired ? STAGE_CLASSES : STAGE_PAIRS;
    else
        search->stage = n_accepted > 0 ? STAGE_CONDITIONAL : STAGE_CLASSES;
    search->round = search->n_idle = 0;
}

static status_t run_find(struct node_search *search, struct error *err)
{
    if (search->stage == STAGE_COMPLEMENT) return node_search_find_complement(search, err);
    if (search->stage == STAGE_CONDITIONAL) return node_search_find_conditional(search, err);
    return node_search_find_pairs(search, err);
}

static status_t run_round(struct node_search *search, struct error *err)
{
    size_t n_accepted = 0;
    status_t status;
    if (search->step == STEP_FIND) return run_find(search, err);
    if (search->step == STEP_CONTEXT) return node_search_run_contexts(search, err);
    status = node_search_run_groups(search, &n_accepted, err);
    if (status == ST_OK && search->view.n_missing == 0) next_round(search, n_accepted);
    return status;
}

static status_t run_prune(struct node_search *search, struct error *err)
{
    bool is_over = false;
    status_t status = node_search_prune(search, &is_over, err);
    if (status != ST_OK || !is_over) return status;
    search->stage = STAGE_OVER;
    return node_search_keep_largest(search, err);
}

static status_t run_stage(struct node_search *search, struct error *err)
{
    switch (search->stage) {
    case STAGE_SINGLES: return run_singles(search, err);
    case STAGE_COMPLEMENT:
    case STAGE_CONDITIONAL:
    case STAGE_PAIRS: return run_round(search, err);
    case STAGE_CLASSES: return node_search_join_classes(search, err);
    case STAGE_PRUNE: return run_prune(search, err);
    case STAGE_OVER: break;
    }
    return ST_OK;
}

status_t node_search_advance(struct node_search *search, const double *full, bool *is_over,
                             struct error *err)
{
    status_t status = ST_OK;
    search->view.full = full;
    search_view_begin(&search->view);
    while (status == ST_OK && search->stage != STAGE_OVER && search->view.n_missing == 0) {
        status = run_stage(search, err);
        if (status == ST_OK && search->view.status != ST_OK)
            status =
                error_set(err, search->view.status, "search: %zu candidates", search->params->n);
    }
    *is_over = search->stage == STAGE_OVER;
    return status;
}
