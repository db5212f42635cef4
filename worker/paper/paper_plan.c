#include "worker/paper/paper_plan.h"

#include <string.h>

static const char *const NAMES[WORK_N] = {"capture", "ablate", "attribute", "edges"};

const char *paper_work_name(enum paper_work work)
{
    return (unsigned)work < WORK_N ? NAMES[work] : "?";
}

status_t paper_work_parse(const char *name, enum paper_work *out, struct error *err)
{
    for (unsigned i = 0; i < WORK_N; i++) {
        if (strcmp(name, NAMES[i]) != 0) continue;
        *out = (enum paper_work)i;
        return ST_OK;
    }
    return error_set(err, ST_BAD_INPUT, "work '%s' is none of capture, ablate, attribute, edges",
                     name);
}

void paper_plan_encode(const struct paper_plan *plan, struct launch_costs *to)
{
    const size_t n_tokens = plan->n_rows * plan->n_ctx,
                 d = hook_point_width(plan->hook, plan->config);
    const struct sparse_params sparse = {.n_in = d, .n_features = plan->n_features, .k = plan->k};
    const struct accounted_encode p = {.sparse = &sparse,
                                       .n_tokens = n_tokens,
                                       .screen = SCREEN_BF16,
                                       .candidates_per_token = plan->candidates_per_token,
                                       .fired_per_token = plan->fired_per_token,
                                       .tally_k = plan->tally_k};
    if (!plan->n_features) return;
    const float none = 0; /* a dictionary subtracts b_dec; the array is not read */
    const struct prepare_params rows = {.bias = &none, .n_rows = n_tokens, .d = d};
    account_prepare(to, &rows);
    account_encode(to, &p);
}
