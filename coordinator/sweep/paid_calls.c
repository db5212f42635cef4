#include "coordinator/sweep/paid_calls.h"

#include "coordinator/gateway/provider_config.h"
#include "coordinator/plan/budget.h"

#include <stdio.h>
#include <string.h>

status_t paid_calls_set_budget(const struct sweep *sweep, struct error *err)
{
    return call_set_budget(sweep->context->store, sweep->id,
                           budget_microdollars(sweep->spec->budget_dollars), 1.0, err);
}

static void say_spent(const struct call_ledger *ledger, char out[SWEEP_REASON_SIZE])
{
    if (ledger->budget_microdollars > 0)
        (void)snprintf(out, SWEEP_REASON_SIZE, "budget spent: %.6f of %.6f dollars",
                       (double)ledger->spent_microdollars * 1e-6,
                       (double)ledger->budget_microdollars * 1e-6);
    else
        (void)snprintf(out, SWEEP_REASON_SIZE,
                       "budget_dollars is 0: nothing may be spent, and the next call costs "
                       "something");
}

static status_t read_state(const struct sweep *sweep, const char *provider,
                           struct call_provider_state *out, struct error *err)
{
    return call_provider_state_read(sweep->context->store, provider, out, err);
}

/* Who answers while `provider` refuses; NULL: nobody. */
static const char *fallback_of(const struct sweep *sweep, const char *provider)
{
    const struct provider_config *config = sweep->context->providers;
    const struct provider *asked = config ? provider_find(config, provider) : NULL;
    return asked ? asked->fallback : NULL;
}

#define REMEDY "; give it to the gateways and start them again"

/* No gateway can ask it: `why` names the provider, and the variable or file of its key. */
static void say_unserved(const char *why, char out[SWEEP_REASON_SIZE])
{
    (void)snprintf(out, SWEEP_REASON_SIZE, "%.*s" REMEDY, (int)(SWEEP_REASON_SIZE - sizeof REMEDY),
                   why);
}

/* It refuses, and no gateway can ask the fallback: what to do is told whole, the refusal as far as
 * there is room. */
static void say_both(const char *refusal, const char *why, char out[SWEEP_REASON_SIZE])
{
    static const char between[] = "; fallback: ";
    char fallback[SWEEP_REASON_SIZE];
    say_unserved(why, fallback);
    const size_t n_behind = sizeof between + strlen(fallback);
    const int n_before = n_behind < SWEEP_REASON_SIZE ? (int)(SWEEP_REASON_SIZE - n_behind) : 0;
    const int n =
        snprintf(out, SWEEP_REASON_SIZE, "%.*s%s%s", n_before, refusal, between, fallback);
    if (n < 0) out[0] = '\0';
}

/* Nothing is wrong where a fallback answers. It stands in for a provider that refuses, and not for
 * one that is not asked at all. */
static status_t check_provider(const struct sweep *sweep, const char *provider,
                               char out[SWEEP_REASON_SIZE], struct error *err)
{
    const char *fallback = fallback_of(sweep, provider);
    struct call_provider_state state, instead = {.is_open = true};
    status_t status = read_state(sweep, provider, &state, err);
    if (status == ST_OK && state.unserved[0]) say_unserved(state.unserved, out);
    if (status != ST_OK || out[0] || !state.is_open) return status;
    const char *refusal = state.reason[0] ? state.reason : provider;
    if (fallback) status = read_state(sweep, fallback, &instead, err);
    if (status == ST_OK && instead.unserved[0])
        say_both(refusal, instead.unserved, out);
    else if (status == ST_OK && instead.is_open)
        (void)snprintf(out, SWEEP_REASON_SIZE, "%.*s", SWEEP_REASON_SIZE - 1, refusal);
    return status;
}

static status_t find_refusal(const struct sweep *sweep, const struct paid_providers *providers,
                             char out[SWEEP_REASON_SIZE], struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = 0; i < providers->n && status == ST_OK && !out[0]; i++)
        if (providers->names[i]) status = check_provider(sweep, providers->names[i], out, err);
    return status;
}

status_t paid_calls_find_problem(const struct sweep *sweep, const struct paid_providers *providers,
                                 char out[SWEEP_REASON_SIZE], struct error *err)
{
    struct call_ledger ledger;
    out[0] = '\0';
    const status_t status = call_ledger_read(sweep->context->store, sweep->id, &ledger, err);
    if (status != ST_OK) return status;
    if (!ledger.is_exhausted) return find_refusal(sweep, providers, out, err);
    say_spent(&ledger, out);
    return ST_OK;
}
