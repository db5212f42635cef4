#include "coordinator/session/triage.h"

#include <string.h>

static const char *const NAMES[FEATURE_N_STATUSES] = {"dead",     "insufficient", "dense",
                                                      "position", "token",        "open"};

const char *feature_status_name(enum feature_status status)
{
    return (unsigned)status < FEATURE_N_STATUSES ? NAMES[status] : NULL;
}

bool feature_status_parse(const char *name, enum feature_status *out)
{
    for (unsigned i = 0; i < FEATURE_N_STATUSES; i++) {
        if (strcmp(name, NAMES[i]) != 0) continue;
        *out = (enum feature_status)i;
        return true;
    }
    return false;
}

bool feature_status_can_be_supported(enum feature_status status)
{
    return status == FEATURE_OPEN || status == FEATURE_TOKEN;
}

bool feature_status_claims_score(enum feature_status status)
{
    return status != FEATURE_DEAD && status != FEATURE_INSUFFICIENT;
}

struct triage_thresholds triage_thresholds_default(void)
{
    return (struct triage_thresholds){
        .min_test_documents = 20, .dense_share = 0.5, .position_f1 = 0.9, .token_f1 = 0.9};
}

static bool is_share(double value)
{
    return value >= 0.0 && value <= 1.0; /* false for NaN */
}

status_t triage_thresholds_check(const struct triage_thresholds *thresholds, struct error *err)
{
    const struct {
        const char *name;
        double value;
    } shares[] = {{"dense_share", thresholds->dense_share},
                  {"position_f1", thresholds->position_f1},
                  {"token_f1", thresholds->token_f1}};
    for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++)
        if (!is_share(shares[i].value))
            return error_set(err, ST_BAD_INPUT, "triage: %s is %g, not a share of 0 to 1",
                             shares[i].name, shares[i].value);
    return ST_OK;
}

enum feature_status triage(const struct triage_input *input,
                           const struct triage_thresholds *thresholds)
{
    if (input->n_firing_tokens == 0) return FEATURE_DEAD;
    if (input->n_test_documents < thresholds->min_test_documents) return FEATURE_INSUFFICIENT;
    if ((double)input->n_firing_tokens > thresholds->dense_share * (double)input->n_tokens)
        return FEATURE_DENSE;
    if (input->position_f1 >= thresholds->position_f1) return FEATURE_POSITION;
    if (input->token_f1 >= thresholds->token_f1) return FEATURE_TOKEN;
    return FEATURE_OPEN;
}
