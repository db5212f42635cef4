#include "coordinator/plan/circularity.h"

#include <string.h>
#include <strings.h>

static bool has_explainer(const struct sweep_spec *spec)
{
    return spec->kind == SWEEP_KIND_LABEL && spec->mode != SWEEP_MODE_SCORE_ONLY &&
           strcmp(spec->explainer, "lexical") != 0;
}

/* Who may answer calls to a provider: itself, and its fallback while its breaker is open. A
 * fallback's own fallback never does (gateway_send.c). */
enum { SERVERS_MAX = 2 };

static size_t find_servers(const struct provider_config *providers, const char *name,
                           const struct provider *out[SERVERS_MAX])
{
    size_t n = 0;
    const struct provider *provider = provider_find(providers, name);
    if (!provider) return 0;
    out[n++] = provider;
    const struct provider *fallback =
        provider->fallback ? provider_find(providers, provider->fallback) : NULL;
    if (fallback) out[n++] = fallback;
    return n;
}

static status_t refuse(const struct sweep_spec *spec, const struct provider *explainer,
                       const struct provider *judge, const char *judge_name, struct error *err)
{
    const char *const of_judge = strcmp(judge->name, judge_name) == 0 ? "" : "its fallback ";
    const char *const of_explainer =
        strcmp(explainer->name, spec->explainer) == 0 ? "explainer" : "explainer's fallback";
    return error_set(err, ST_BAD_INPUT,
                     "judge: %s%s and the %s %s are of one family (%s), which would judge its "
                     "own labels; name a judge of another, or say allow_same_family: true",
                     of_judge, judge->name, of_explainer, explainer->name, judge->family);
}

/* Judge `index` of the sweep beside its explainer. */
static status_t check_judge(const struct sweep_spec *spec, const struct provider_config *providers,
                            size_t index, struct error *err)
{
    const char *judge_name = sweep_spec_judge(spec, index);
    const struct provider *explainers[SERVERS_MAX], *judges[SERVERS_MAX];
    if (!sweep_spec_asks(spec, index)) return ST_OK;
    const size_t n_explainers = find_servers(providers, spec->explainer, explainers);
    const size_t n_judges = find_servers(providers, judge_name, judges);
    for (size_t e = 0; e < n_explainers; e++)
        for (size_t j = 0; j < n_judges; j++)
            if (strcasecmp(explainers[e]->family, judges[j]->family) == 0)
                return refuse(spec, explainers[e], judges[j], judge_name, err);
    return ST_OK;
}

status_t circularity_check(const struct sweep_spec *spec, const struct provider_config *providers,
                           struct error *err)
{
    status_t status = ST_OK;
    if (!providers || spec->allow_same_family || !has_explainer(spec)) return ST_OK;
    for (size_t i = 0; i <= spec->n_judges && status == ST_OK; i++)
        status = check_judge(spec, providers, i, err);
    return status;
}
