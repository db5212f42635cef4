#include "coordinator/plan/circularity.h"

#include <string.h>
#include <strings.h>

static bool has_two_models(const struct sweep_spec *spec)
{
    return sweep_spec_asks_judge(spec) && spec->mode != SWEEP_MODE_SCORE_ONLY &&
           strcmp(spec->explainer, "lexical") != 0;
}

status_t circularity_check(const struct sweep_spec *spec, const struct provider_config *providers,
                           struct error *err)
{
    if (!providers || spec->allow_same_family || !has_two_models(spec)) return ST_OK;
    const struct provider *explainer = provider_find(providers, spec->explainer);
    const struct provider *judge = provider_find(providers, spec->judge);
    if (!explainer || !judge || strcasecmp(explainer->family, judge->family) != 0) return ST_OK;
    return error_set(err, ST_BAD_INPUT,
                     "judge: %s and the explainer %s are of one family (%s), which would judge its "
                     "own labels; name a judge of another, or say allow_same_family: true",
                     judge->name, explainer->name, judge->family);
}
