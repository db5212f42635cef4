/* No family of models judges its own labels.
 *
 * A judge of the explainer's family shares its habits and its mistakes, so its agreement says
 * little. A provider's fallback may answer in its place, so its family counts as well. Such a
 * sweep is refused when it is submitted, and again before it begins (the providers file may be
 * another by then), unless it says allow_same_family: true. Pure; any thread. */
#ifndef COORDINATOR_PLAN_CIRCULARITY_H
#define COORDINATOR_PLAN_CIRCULARITY_H

#include "coordinator/gateway/provider_config.h"
#include "coordinator/intake/sweep_spec.h"

/* Of every judge, the further ones too. Only where two language models meet: not with the lexical
 * explainer or judge, labels of the user's, or a random judge. Providers that are not known are
 * not compared; `providers` may be NULL. Errors: ST_BAD_INPUT. */
MUST_CHECK status_t circularity_check(const struct sweep_spec *spec,
                                      const struct provider_config *providers, struct error *err);

#endif
