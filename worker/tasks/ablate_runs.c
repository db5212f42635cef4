#include "worker/tasks/ablate_runs.h"

#include <stdlib.h>
#include <string.h>

/* A unit while its runs are made. */
struct making {
    const struct ablate_runs_params *with;
    const struct ablate_unit *unit;
    struct ablate_runs *out;
    size_t *packed; /* [n_packed] variants that change features alone, ascending */
    size_t n_packed;
};

void ablate_runs_fini(struct ablate_runs *runs)
{
    free(runs->variants);
    free(runs->members);
    free(runs->is_skipped);
    free(runs->changes);
    free(runs->edges);
    free(runs->hooks);
    free(runs->by_prompt);
    *runs = (struct ablate_runs){0};
}

static struct feature_changes changes_of(const struct ablate_unit *unit, size_t variant)
{
    const size_t low = variant ? unit->ends[variant - 1] : 0;
    return (struct feature_changes){unit->changes + low, unit->ends[variant] - low};
}

/* --- which prompts run --------------------------------------------------------------------- */

static bool is_features_alone(const struct feature_changes *list)
{
    for (size_t i = 0; i < list->n; i++)
        if (!ablate_is_feature(&list->changes[i])) return false;
    return list->n > 0;
}

static bool is_silent(const struct making *m, const struct feature_changes *list, size_t prompt)
{
    for (size_t i = 0; i < list->n; i++)
        if (!ablate_features_is_silent(m->with->features, &list->changes[i], prompt)) return false;
    return true;
}

/* packed, is_skipped, and the number of runs that hold the rest: that of the prompt with most. */
static status_t find_packed(struct making *m, size_t *n_runs, struct error *err)
{
    const size_t n_prompts = m->with->n_prompts, n_variants = m->unit->n_variants;
    struct ablate_runs *out = m->out;
    m->packed = calloc(n_variants + 1, sizeof *m->packed);
    out->is_skipped = calloc(n_variants + 1, n_prompts);
    if (!m->packed || !out->is_skipped)
        return error_set(err, ST_NO_MEMORY, "%zu variants", n_variants);
    for (size_t i = 0; i < n_variants && !m->with->is_naive; i++) {
        const struct feature_changes list = changes_of(m->unit, i);
        if (is_features_alone(&list)) m->packed[m->n_packed++] = i;
    }
    *n_runs = 0;
    for (size_t p = 0; p < n_prompts; p++) {
        size_t n_here = 0;
        for (size_t k = 0; k < m->n_packed; k++) {
            const struct feature_changes list = changes_of(m->unit, m->packed[k]);
            const bool is_skipped = is_silent(m, &list, p);
            out->is_skipped[m->packed[k] * n_prompts + p] = is_skipped;
            out->n_skipped += is_skipped ? list.n : 0;
            out->has_clean = out->has_clean || is_skipped;
            n_here += !is_skipped;
        }
        *n_runs = n_here > *n_runs ? n_here : *n_runs;
    }
    return ST_OK;
}

/* --- runs ---------------------------------------------------------------------------------- */

/* An edge that is alone is followed in the clean pass; several make a graph, and so they do where
 * whole passes are to check the others. */
static status_t make_plain(const struct making *m, const struct feature_changes *list,
                           struct variant *run, struct error *err)
{
    struct ablate_runs *out = m->out;
    status_t status = ST_OK;
    run->changes = out->changes + out->n_changes;
    run->edges = out->edges + out->n_edges;
    for (size_t i = 0; i < list->n && status == ST_OK; i++) {
        const struct ablate_change *from = &list->changes[i];
        const bool is_edge = from->sender.n_columns && (list->n > 1 || m->with->is_naive);
        if (ablate_is_feature(from)) continue;
        status = is_edge ? ablate_changes_make_edge(m->with->changes, from,
                                                    &out->edges[out->n_edges + run->n_edges], err)
                         : ablate_changes_make(m->with->changes, from,
                                               &out->changes[out->n_changes + run->n_changes], err);
        run->n_edges += is_edge;
        run->n_changes += !is_edge;
    }
    const size_t first = ablate_changes_first_position(m->with->changes, list->changes, list->n);
    for (size_t i = 0; i < run->n_changes; i++)
        out->changes[out->n_changes + i].first_position = first;
    out->n_changes += run->n_changes;
    out->n_edges += run->n_edges;
    return status;
}

static bool has_dictionary(const struct feature_changes *by_prompt, size_t n_prompts,
                           uint32_t dictionary)
{
    for (size_t p = 0; p < n_prompts; p++)
        for (size_t i = 0; i < by_prompt[p].n; i++)
            if (ablate_is_feature(&by_prompt[p].changes[i]) &&
                by_prompt[p].changes[i].at.layer == dictionary)
                return true;
    return false;
}

/* A hook for each dictionary that the run changes somewhere. */
static status_t make_hooks(const struct making *m, size_t index, struct error *err)
{
    struct ablate_runs *out = m->out;
    struct variant *run = &out->variants[index];
    const struct feature_changes *by_prompt = out->by_prompt + index * m->with->n_prompts;
    status_t status = ST_OK;
    run->hooks = out->hooks + out->n_hooks;
    for (uint32_t d = 0; d < ablate_features_n_dictionaries(m->with->features) && status == ST_OK;
         d++) {
        if (!has_dictionary(by_prompt, m->with->n_prompts, d)) continue;
        status =
            ablate_features_hook(m->with->features, d, by_prompt, &out->hooks[out->n_hooks], err);
        run->n_hooks++;
        out->n_hooks++;
    }
    return status;
}

/* Variants over all prompts, a run each. */
static status_t make_whole(struct making *m, struct error *err)
{
    const size_t n_prompts = m->with->n_prompts;
    size_t next_packed = 0;
    status_t status = ST_OK;
    for (size_t i = 0; i < m->unit->n_variants && status == ST_OK; i++) {
        const struct feature_changes list = changes_of(m->unit, i);
        if (next_packed < m->n_packed && m->packed[next_packed] == i) {
            next_packed++;
            continue;
        }
        const size_t run = m->out->n++;
        for (size_t p = 0; p < n_prompts; p++) {
            m->out->members[run * n_prompts + p] = i;
            m->out->by_prompt[run * n_prompts + p] = list;
        }
        status = make_plain(m, &list, &m->out->variants[run], err);
        if (status == ST_OK) status = make_hooks(m, run, err);
        if (status != ST_OK) (void)error_wrap(err, "variant %zu", i);
    }
    return status;
}

/* The k-th variant that a prompt runs is in the k-th of the shared runs. */
static status_t make_shared(struct making *m, size_t n_runs, struct error *err)
{
    const size_t n_prompts = m->with->n_prompts, first = m->out->n;
    status_t status = ST_OK;
    for (size_t p = 0; p < n_prompts; p++) {
        size_t run = first;
        for (size_t k = 0; k < m->n_packed; k++) {
            if (m->out->is_skipped[m->packed[k] * n_prompts + p]) continue;
            m->out->members[run * n_prompts + p] = m->packed[k];
            m->out->by_prompt[run * n_prompts + p] = changes_of(m->unit, m->packed[k]);
            run++;
        }
    }
    m->out->n += n_runs;
    for (size_t i = 0; i < n_runs && status == ST_OK; i++) status = make_hooks(m, first + i, err);
    return status;
}

static status_t make_room(struct making *m, size_t n_runs, struct error *err)
{
    struct ablate_runs *out = m->out;
    const size_t n_changes = m->unit->n_variants ? m->unit->ends[m->unit->n_variants - 1] : 0;
    const size_t n_members = n_runs * m->with->n_prompts;
    const size_t n_hooks = n_runs * ablate_features_n_dictionaries(m->with->features);
    out->variants = calloc(n_runs + 1, sizeof *out->variants);
    out->members = malloc((n_members + 1) * sizeof *out->members);
    out->by_prompt = calloc(n_members + 1, sizeof *out->by_prompt);
    out->changes = calloc(n_changes + 1, sizeof *out->changes);
    out->edges = calloc(n_changes + 1, sizeof *out->edges);
    out->hooks = calloc(n_hooks + 1, sizeof *out->hooks);
    for (size_t i = 0; out->members && i < n_members; i++) out->members[i] = ABLATE_NOBODY;
    return out->variants && out->members && out->by_prompt && out->changes && out->edges &&
                   out->hooks
               ? ST_OK
               : error_set(err, ST_NO_MEMORY, "%zu runs", n_runs);
}

status_t ablate_runs_make(struct ablate_runs *out, const struct ablate_runs_params *params,
                          const struct ablate_unit *unit, struct error *err)
{
    struct making m = {.with = params, .unit = unit, .out = out};
    const size_t n_changes = unit->n_variants ? unit->ends[unit->n_variants - 1] : 0;
    size_t n_shared = 0;
    *out = (struct ablate_runs){0};
    status_t status = ablate_features_prepare(params->features, unit->changes, n_changes, err);
    if (status == ST_OK) status = find_packed(&m, &n_shared, err);
    if (status == ST_OK) status = make_room(&m, unit->n_variants - m.n_packed + n_shared + 1, err);
    if (status == ST_OK) status = make_whole(&m, err);
    if (status == ST_OK) status = make_shared(&m, n_shared, err);
    if (status == ST_OK) out->n += out->has_clean;
    free(m.packed);
    if (status != ST_OK) ablate_runs_fini(out);
    return status;
}
