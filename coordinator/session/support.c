#include "coordinator/session/support.h"

#include <math.h>
#include <stdlib.h>

const char *support_verdict_text(enum support_verdict verdict)
{
    static const char *const texts[] = {
        [SUPPORT_SUPPORTED] = "supported",
        [SUPPORT_STATUS] = "unsupported: status",
        [SUPPORT_NO_SCORE] = "unsupported: score is undefined",
        [SUPPORT_NO_NULL] = "unsupported: no null",
        [SUPPORT_JUDGE_CONSTANT] = "unsupported: judge is constant",
        [SUPPORT_ROUNDS] = "unsupported: too few rounds",
        [SUPPORT_ADVERSARIAL] = "unsupported: adversarial round not passed",
        [SUPPORT_HOPELESS] = "unsupported: no score could pass this null",
        [SUPPORT_Z] = "unsupported: too near the null",
        [SUPPORT_FALSE_DISCOVERY] = "unsupported: false discovery rate"};
    return (unsigned)verdict < sizeof texts / sizeof texts[0] ? texts[verdict] : "unknown";
}

struct support_thresholds support_thresholds_default(void)
{
    return (struct support_thresholds){.z_min = 3.0, .fdr_q = 0.05};
}

/* Would not even the best of labels, with a score of 1 in a sweep of its like, pass? */
static bool is_hopeless(const struct null_model *null, const struct support_thresholds *thresholds)
{
    const struct score_value best = null_model_z(null, 1.0);
    return (best.is_defined && best.value < thresholds->z_min) ||
           null_model_p(null, 1.0) > thresholds->fdr_q;
}

static enum support_verdict verdict_of(const struct support_claim *claim,
                                       const struct null_model *null,
                                       const struct support_thresholds *thresholds,
                                       struct score_value z, bool is_discovery)
{
    if (!feature_status_can_be_supported(claim->status)) return SUPPORT_STATUS;
    if (!claim->score.is_defined) return SUPPORT_NO_SCORE;
    if (null->n_scores < 2) return SUPPORT_NO_NULL;
    if (null->is_constant) return SUPPORT_JUDGE_CONSTANT;
    if (claim->is_agentic && !claim->had_enough_rounds) return SUPPORT_ROUNDS;
    if (claim->is_agentic && !claim->passed_adversarial) return SUPPORT_ADVERSARIAL;
    if (z.is_defined && z.value >= thresholds->z_min && is_discovery) return SUPPORT_SUPPORTED;
    if (is_hopeless(null, thresholds)) return SUPPORT_HOPELESS;
    return !z.is_defined || z.value < thresholds->z_min ? SUPPORT_Z : SUPPORT_FALSE_DISCOVERY;
}

status_t support_decide(const struct support_claim *claims, size_t n_claims,
                        const struct null_model *null, const struct support_thresholds *thresholds,
                        struct support *out, struct error *err)
{
    double *p = calloc(n_claims + 1, sizeof *p);
    bool *is_discovery = calloc(n_claims + 1, sizeof *is_discovery);
    status_t status = ST_OK;
    size_t n_eligible = 0;
    if (!p || !is_discovery) {
        status = error_set(err, ST_NO_MEMORY, "support of %zu labels", n_claims);
        goto done;
    }
    for (size_t i = 0; i < n_claims; i++) {
        const struct score_value score = claims[i].score;
        if (score.is_defined && !isfinite(score.value)) {
            status = error_set(err, ST_BAD_INPUT, "label %zu: score %g", i, score.value);
            goto done;
        }
        if (score.is_defined && feature_status_can_be_supported(claims[i].status))
            p[n_eligible++] = null_model_p(null, score.value);
    }
    status = null_benjamini_hochberg(p, n_eligible, thresholds->fdr_q, is_discovery, err);
    if (status != ST_OK) goto done;
    n_eligible = 0;
    for (size_t i = 0; i < n_claims; i++) {
        const struct score_value score = claims[i].score;
        const bool has_null = score.is_defined && null->n_scores > 0;
        const bool is_eligible =
            score.is_defined && feature_status_can_be_supported(claims[i].status);
        out[i].z =
            score.is_defined ? null_model_z(null, score.value) : (struct score_value){false, 0.0};
        out[i].p = (struct score_value){has_null, has_null ? null_model_p(null, score.value) : 0.0};
        out[i].verdict = verdict_of(&claims[i], null, thresholds, out[i].z,
                                    is_eligible && is_discovery[n_eligible]);
        n_eligible += is_eligible;
    }
done:
    free(p);
    free(is_discovery);
    return status;
}
