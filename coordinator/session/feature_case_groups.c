/* The groups of a feature's firing windows, and what each of several needs to be labelled and
 * scored as a meaning of its own. */
#include "coordinator/session/feature_case_parts.h"

#include <stdlib.h>
#include <string.h>

/* --- what an explainer sees of a group ----------------------------------------------------- */

/* The strongest of them, then a spread over the rest; explain windows are sorted by strength. */
static void choose_shown(const struct feature_case *self, uint32_t group, struct case_meaning *out)
{
    uint32_t weaker[LEXICAL_MAX_WINDOWS];
    size_t n_weaker = 0;
    for (uint32_t i = 0; i < self->n_explain_firing; i++) {
        if (self->groups.clusters.cluster_of[i] != group) continue;
        if (out->n_shown < CASE_N_TOP)
            out->shown[out->n_shown++] = i;
        else
            weaker[n_weaker++] = i;
    }
    const size_t n = n_weaker < CASE_N_QUANTILES ? n_weaker : (size_t)CASE_N_QUANTILES;
    for (size_t q = 0; q < n; q++)
        out->shown[out->n_shown++] = weaker[(2 * q + 1) * n_weaker / (2 * n)];
}

static status_t explain_lexically(const struct feature_case *self,
                                  const struct feature_case_params *params, uint32_t group,
                                  struct case_meaning *out, struct error *err)
{
    struct window *windows = malloc((self->n_explain + 1) * sizeof *windows);
    struct error problem = {.status = ST_OK};
    size_t n = 0;
    if (!windows) return error_set(err, ST_NO_MEMORY, "windows");
    for (size_t i = 0; i < self->n_explain; i++)
        if (i >= self->n_explain_firing || self->groups.clusters.cluster_of[i] == group)
            windows[n++] = self->explain[i];
    const status_t status = lexical_explain(params->workspace, windows, n, &out->lexical, &problem);
    free(windows);
    out->has_lexical = status == ST_OK;
    if (status == ST_OK || status == ST_NOT_FOUND) return ST_OK;
    return error_set(err, status, "%s", problem.text);
}

/* --- what it is judged on ------------------------------------------------------------------ */

/* Draws of a meaning are its own. */
static struct feature_case_params params_of(const struct feature_case_params *params,
                                            uint32_t group)
{
    struct feature_case_params own = *params;
    own.subject = hash_mix64(params->subject + UINT64_C(0x6d65616e696e6700) + group);
    return own;
}

/* Windows of the pool that belong to the group, and all silent ones. */
static size_t pool_of(const struct case_split *test, const uint32_t *group_of, uint32_t group,
                      struct window *out)
{
    size_t n = 0;
    for (size_t i = 0; i < test->n_pool; i++)
        if (test->pool[i].kind != WINDOW_FIRING || group_of[i] == group) out[n++] = test->pool[i];
    return n;
}

static status_t choose_test(const struct feature_case *self,
                            const struct feature_case_params *params, const uint32_t *group_of,
                            uint32_t group, struct case_split *out, struct error *err)
{
    const struct case_split *test = &self->splits[EVIDENCE_TEST];
    const struct feature_case_params own = params_of(params, group);
    out->pool = malloc((test->n_pool + 1) * sizeof *out->pool);
    if (!out->pool) return error_set(err, ST_NO_MEMORY, "windows");
    out->n_pool = pool_of(test, group_of, group, out->pool);
    const status_t status = feature_case_select(self, &own, out, err);
    if (status != ST_OK || out->judged.n_of_kind[WINDOW_FIRING] == 0) return status;
    return feature_case_make_items(out, &own, CASE_DETECTION, err);
}

/* The test windows of every meaning. Not of a control that judges another feature's windows:
 * those would be chosen by this one's traits. */
static status_t choose_tests(struct feature_case *self, const struct feature_case_params *params,
                             struct error *err)
{
    const struct case_split *test = &self->splits[EVIDENCE_TEST];
    struct case_groups *groups = &self->groups;
    if (params->stand_in.is_used || test->n_pool == 0) return ST_OK;
    uint32_t *group_of = malloc(test->n_pool * sizeof *group_of);
    if (!group_of) return error_set(err, ST_NO_MEMORY, "%zu windows", test->n_pool);
    for (size_t i = 0; i < test->n_pool; i++) {
        group_of[i] = WINDOW_CLUSTER_NONE;
        if (test->pool[i].kind != WINDOW_FIRING) continue;
        group_of[i] = window_clusters_assign(
            &groups->clusters, lexical_workspace_vocabulary(params->workspace), &test->pool[i]);
        groups->n_test_firing++;
        groups->n_test_grouped += group_of[i] != WINDOW_CLUSTER_NONE;
    }
    status_t status = ST_OK;
    for (uint32_t g = 0; g < groups->n_meanings && status == ST_OK; g++)
        status = choose_test(self, params, group_of, g, &groups->meanings[g].test, err);
    free(group_of);
    return status;
}

/* --- groups -------------------------------------------------------------------------------- */

static status_t make_meanings(struct feature_case *self, const struct feature_case_params *params,
                              struct error *err)
{
    struct case_groups *groups = &self->groups;
    const size_t n = groups->clusters.n_clusters;
    groups->meanings = calloc(n, sizeof *groups->meanings);
    if (!groups->meanings) return error_set(err, ST_NO_MEMORY, "%zu meanings", n);
    groups->n_meanings = n;
    status_t status = ST_OK;
    for (uint32_t g = 0; g < n && status == ST_OK; g++) {
        choose_shown(self, g, &groups->meanings[g]);
        status = explain_lexically(self, params, g, &groups->meanings[g], err);
    }
    if (status == ST_OK && (params->parts & CASE_PART_TEST))
        status = choose_tests(self, params, err);
    return status;
}

status_t feature_case_group(struct feature_case *self, const struct feature_case_params *params,
                            struct error *err)
{
    const status_t status =
        window_clusters_find(lexical_workspace_vocabulary(params->workspace), self->explain,
                             self->n_explain, &self->groups.clusters, err);
    const bool has_several = status == ST_OK && self->groups.clusters.n_clusters > 1;
    return has_several && (params->parts & CASE_PART_MEANINGS) ? make_meanings(self, params, err)
                                                               : status;
}

void feature_case_groups_fini(struct case_groups *groups)
{
    for (size_t g = 0; g < groups->n_meanings; g++)
        feature_case_split_fini(&groups->meanings[g].test);
    free(groups->meanings);
    window_clusters_fini(&groups->clusters);
    *groups = (struct case_groups){.n_meanings = 0};
}
