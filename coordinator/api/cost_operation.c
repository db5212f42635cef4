/* What a sweep cost, by its ledger: by provider, together, and the sends whose fate is unknown. One
 * that asks no provider has no ledger, and cost nothing. */
#include "coordinator/api/operations.h"

#include <stdlib.h>

static double dollars(int64_t microdollars)
{
    return (double)microdollars * 1e-6;
}

static json_t *json_provider(const struct call_provider_cost *cost)
{
    return json_pack("{s:s s:I s:I s:I s:f}", "provider", cost->provider, "calls",
                     (json_int_t)cost->calls, "tokens_in", (json_int_t)cost->tokens_in,
                     "tokens_out", (json_int_t)cost->tokens_out, "dollars",
                     dollars(cost->spent_microdollars));
}

static status_t add_providers(struct api *api, const char *sweep_id, json_t *rows,
                              struct error *err)
{
    struct call_provider_cost *costs = NULL;
    size_t n = 0;
    const status_t status = call_costs_read(api->store, sweep_id, &costs, &n, err);
    for (size_t i = 0; i < n; i++) (void)json_array_append_new(rows, json_provider(&costs[i]));
    free(costs);
    return status;
}

static json_t *json_uncertain(const struct call_uncertain *one)
{
    return json_pack("{s:s s:s s:I s:f s:o s:b s:s}", "call", one->id, "provider", one->provider,
                     "attempt", (json_int_t)one->attempt, "worst_case_dollars",
                     dollars(one->microdollars), "at", json_time(one->unix_ms), "is_settled",
                     (int)one->is_settled, "reason", one->reason);
}

static status_t add_uncertain(struct api *api, const char *sweep_id, json_t *rows,
                              struct error *err)
{
    struct call_uncertain *all = NULL;
    size_t n = 0;
    const status_t status = call_uncertain_read(api->store, sweep_id, &all, &n, err);
    for (size_t i = 0; i < n; i++) (void)json_array_append_new(rows, json_uncertain(&all[i]));
    free(all);
    return status;
}

static json_t *json_together(const struct call_ledger *ledger)
{
    return json_pack("{s:I s:I s:I s:f s:f s:f s:I s:I s:I}", "calls", (json_int_t)ledger->calls,
                     "tokens_in", (json_int_t)ledger->tokens_in, "tokens_out",
                     (json_int_t)ledger->tokens_out, "dollars", dollars(ledger->spent_microdollars),
                     "reserved_dollars", dollars(ledger->reserved_microdollars),
                     "uncertain_dollars", dollars(ledger->uncertain_microdollars), "cached",
                     (json_int_t)ledger->cached, "failed", (json_int_t)ledger->failed, "estimated",
                     (json_int_t)ledger->estimated_calls);
}

status_t api_cost(struct api *api, const json_t *args, json_t **out, struct error *err)
{
    const struct args_allowed allowed = {{"sweep", NULL}};
    struct sweep *sweep;
    struct call_ledger ledger;
    status_t status = args_check(args, &allowed, err);
    if (status == ST_OK) status = args_sweep(api, args, &sweep, err);
    if (status == ST_OK) status = call_ledger_read(api->store, sweep->id, &ledger, err);
    if (status != ST_OK) return status;
    json_t *providers = json_array(), *uncertain = json_array();
    status = add_providers(api, sweep->id, providers, err);
    if (status == ST_OK) status = add_uncertain(api, sweep->id, uncertain, err);
    if (status == ST_OK)
        *out = json_pack(
            "{s:s s:O s:o s:O s:o}", "sweep", sweep->id, "providers", providers, "together",
            json_together(&ledger), "uncertain", uncertain, "budget_dollars",
            ledger.budget_microdollars < 0 ? json_null()
                                           : json_real(dollars(ledger.budget_microdollars)));
    json_decref(providers);
    json_decref(uncertain);
    return status;
}
