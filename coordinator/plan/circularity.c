#include "coordinator/plan/circularity.h"

#include <string.h>
#include <strings.h>

static bool has_two_models(const struct sweep_spec *spec)
{
    return sweep_spec_asks_judge(spec) && spec->mode != SWEEP_MODE_SCORE_ONLY &&
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
                       const struct provider *judge, struct error *err)
{
    const char *const of_judge = strcmp(judge->name, spec->judge) == 0 ? "" : "its fallback ";
    const char *const of_explainer =
        strcmp(explainer->name, spec->explainer) == 0 ? "explainer" : "explainer's fallback";
    return error_set(err, ST_BAD_INPUT,
                     "judge: %s%s and the %s %s are of one family (%s), which would judge its "
                     "own labels; name a judge of another, or say allow_same_family: true",
                     of_judge, judge->name, of_explainer, explainer->name, judge->family);
}

status_t circularity_check(const struct sweep_spec *spec, const struct provider_config *providers,
                           struct error *err)
{
    const struct provider *explainers[SERVERS_MAX], *judges[SERVERS_MAX];
    if (!providers || spec->allow_same_family || !has_two_models(spec)) return ST_OK;
    const size_t n_explainers = find_servers(providers, spec->explainer, explainers);
    const size_t n_judges = find_servers(providers, spec->judge, judges);
    for (size_t e = 0; e < n_explainers; e++)
        for (size_t j = 0; j < n_judges; j++)
            if (strcasecmp(explainers[e]->family, judges[j]->family) == 0)
                return refuse(spec, explainers[e], judges[j], err);
    return ST_OK;
}
