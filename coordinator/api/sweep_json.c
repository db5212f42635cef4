/* What a sweep looks like from outside. */
#include "coordinator/api/operations.h"

#include "coordinator/gateway/provider_config.h"
#include "coordinator/sweep/label_engine.h"

static double budget_of(const struct sweep_spec *spec)
{
    return sweep_spec_uses_provider(spec) ? spec->budget_dollars : -1;
}

static const char *text_or_null(const char *text)
{
    return text[0] ? text : NULL;
}

static json_t *waits_for(struct api *api, const struct sweep *sweep)
{
    char text[DISPATCHER_WAITS_SIZE];
    const bool waits =
        sweep->state == SWEEP_RUNNING && dispatcher_waits_for(api->dispatcher, &sweep->share, text);
    return waits ? json_string(text) : json_null();
}

json_t *json_sweep_summary(struct api *api, const struct sweep *sweep)
{
    struct sweep_progress progress = {0};
    struct call_ledger ledger = {0};
    struct error ignored = {0};
    sweep->ops->progress(sweep, &progress);
    const bool pays = sweep_spec_uses_provider(sweep->spec);
    const bool has_ledger =
        pays && call_ledger_read(api->store, sweep->id, &ledger, &ignored) == ST_OK;
    const double spent = has_ledger ? (double)ledger.spent_microdollars * 1e-6 : 0.0;
    const bool is_label = sweep->spec->kind == SWEEP_KIND_LABEL;
    const char *kind = sweep_kind_name(sweep->spec->kind);
    if (sweep->ops == &unreadable_engine) kind = NULL;
    return json_pack(
        "{s:s s:s s:s? s:s s:s s:o s:o s:f s:I s:I s:I s:I s:I s:o s:o s:o s:o s:o s:o s:o s:i "
        "s:s? s:s? s:s? s:s? s:s? s:b}",
        "id", sweep->id, "name", sweep->spec->name, "kind", kind, "state",
        sweep_state_name(sweep->state), "phase", progress.phase ? progress.phase : "done", "reason",
        sweep->reason[0] ? json_string(sweep->reason) : json_null(), "waits_for",
        waits_for(api, sweep), "progress", progress.fraction, "n_units",
        (json_int_t)progress.n_units, "n_units_done", (json_int_t)progress.n_units_done,
        "n_units_dead", (json_int_t)progress.n_units_dead, "n_features",
        (json_int_t)progress.n_features, "n_labelled", (json_int_t)progress.n_labelled,
        "n_supported", progress.n_supported < 0 ? json_null() : json_integer(progress.n_supported),
        "created_at", json_time(sweep->created_unix_ms), "started_at",
        json_time(sweep->started_unix_ms), "finished_at", json_time(sweep->finished_unix_ms),
        "eta_seconds",
        sweep->state == SWEEP_RUNNING ? json_optional(progress.eta_seconds) : json_null(),
        "spent_dollars", json_real(spent), "budget_dollars", json_optional(budget_of(sweep->spec)),
        "priority", (int)sweep->spec->priority, "explainer",
        is_label ? sweep->spec->explainer : NULL, "judge", is_label ? sweep->spec->judge : NULL,
        "backend", text_or_null(sweep->share.pin.backend), "isa",
        text_or_null(sweep->share.pin.isa), "control",
        is_label ? sweep_control_name(sweep->spec->control) : NULL, "same_family_allowed",
        is_label && sweep->spec->allow_same_family);
}

static void add_ledger(struct call_ledger *sum, const struct call_ledger *one)
{
    sum->reserved_microdollars += one->reserved_microdollars;
    sum->spent_microdollars += one->spent_microdollars;
    sum->uncertain_microdollars += one->uncertain_microdollars;
    sum->tokens_in += one->tokens_in;
    sum->tokens_out += one->tokens_out;
    sum->calls += one->calls;
    sum->cached += one->cached;
    sum->failed += one->failed;
    sum->uncertain_calls += one->uncertain_calls;
}

static struct call_ledger read_ledgers(struct api *api, const struct sweep *only)
{
    struct call_ledger sum = {0}, one;
    for (size_t i = 0; i < registry_count(api->registry); i++) {
        const struct sweep *sweep = registry_at(api->registry, i);
        struct error ignored = {0};
        if ((only && sweep != only) || !sweep_spec_uses_provider(sweep->spec)) continue;
        if (call_ledger_read(api->store, sweep->id, &one, &ignored) == ST_OK)
            add_ledger(&sum, &one);
    }
    return sum;
}

/* Requests on the wire now, of all sweeps: gateways know no more than the provider's total. */
static uint64_t calls_in_flight(struct api *api)
{
    uint64_t sum = 0;
    for (size_t i = 0; api->providers && i < api->providers->n_providers; i++) {
        struct call_provider_state state;
        struct error ignored = {0};
        if (call_provider_state_read(api->store, api->providers->providers[i].name, &state,
                                     &ignored) == ST_OK)
            sum += state.in_flight;
    }
    return sum;
}

static uint64_t calls_open(struct api *api, const struct sweep *only)
{
    struct label_calls waiting = {0};
    for (size_t i = 0; i < registry_count(api->registry); i++) {
        const struct sweep *sweep = registry_at(api->registry, i);
        if ((!only || sweep == only) && sweep->engine && sweep->ops == &label_engine)
            label_engine_calls(sweep, &waiting);
    }
    return waiting.n_open;
}

struct api_money api_read_money(struct api *api, const struct sweep *only)
{
    const struct call_ledger sum = read_ledgers(api, only);
    const uint64_t n_open = calls_open(api, only);
    const uint64_t in_flight = n_open ? calls_in_flight(api) : 0;
    return (struct api_money){.ledger = sum,
                              .n_in_flight = in_flight < n_open ? in_flight : n_open,
                              .n_queued = in_flight < n_open ? n_open - in_flight : 0};
}

json_t *json_calls_and_spend(struct api *api, const struct sweep *sweep)
{
    const struct api_money money = api_read_money(api, sweep);
    const struct call_ledger *sum = &money.ledger;
    return json_pack("{s:{s:I s:I s:I s:I s:I s:I} s:{s:f s:f s:f s:I s:I}}", "calls", "queued",
                     (json_int_t)money.n_queued, "in_flight", (json_int_t)money.n_in_flight, "done",
                     (json_int_t)sum->calls, "cached", (json_int_t)sum->cached, "failed",
                     (json_int_t)sum->failed, "uncertain", (json_int_t)sum->uncertain_calls,
                     "spend", "dollars", (double)sum->spent_microdollars * 1e-6, "reserved_dollars",
                     (double)sum->reserved_microdollars * 1e-6, "uncertain_dollars",
                     (double)sum->uncertain_microdollars * 1e-6, "tokens_in",
                     (json_int_t)sum->tokens_in, "tokens_out", (json_int_t)sum->tokens_out);
}
