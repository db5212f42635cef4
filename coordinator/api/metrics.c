/* The Prometheus exposition: base units, _total on counters (reference: asynq, Flower). */
#include "coordinator/api/operations.h"

#include "common/version.h"

enum { METRICS_MAX_BYTES = 4 * 1024 * 1024 };

struct family {
    const char *name, *type, *help;
};

static status_t head(struct buffer *out, const struct family *family, struct error *err)
{
    return buffer_printf(out, err, "# HELP %s %s\n# TYPE %s %s\n", family->name, family->help,
                         family->name, family->type);
}

static status_t add_queue(struct api *api, struct buffer *out, struct error *err)
{
    static const struct family depth = {"interp_queue_depth", "gauge",
                                        "Units of all unfinished tasks by state."};
    const struct history_point now = api_history_point(api);
    const status_t status = head(out, &depth, err);
    if (status != ST_OK) return status;
    return buffer_printf(out, err,
                         "interp_queue_depth{state=\"ready\"} %llu\n"
                         "interp_queue_depth{state=\"leased\"} %llu\n"
                         "interp_queue_depth{state=\"done\"} %llu\n"
                         "interp_queue_depth{state=\"dead\"} %llu\n",
                         (unsigned long long)now.n_ready, (unsigned long long)now.n_leased,
                         (unsigned long long)now.n_done, (unsigned long long)now.n_dead);
}

static status_t add_counts(struct api *api, struct buffer *out, struct error *err)
{
    const struct dispatcher_counts *counts = dispatcher_counts(api->dispatcher);
    const struct {
        struct family family;
        uint64_t value;
    } list[] = {
        {{"interp_units_settled_total", "counter", "Units whose result is in the store."},
         counts->n_units_settled},
        {{"interp_leases_granted_total", "counter", "Leases handed to workers."},
         counts->n_leases_granted},
        {{"interp_lease_expired_total", "counter", "Leases taken from stuck workers."},
         counts->n_leases_expired},
        {{"interp_lease_speculative_total", "counter", "Second copies of late leases."},
         counts->n_speculative},
        {{"interp_duplicate_settle_total", "counter", "Results that another writer had stored."},
         counts->n_duplicates},
        {{"interp_unit_failures_total", "counter", "Failed attempts at units."},
         counts->n_failures},
        {{"interp_workers_lost_total", "counter", "Workers that vanished."},
         counts->n_workers_lost},
        {{"interp_protocol_errors_total", "counter", "Messages that were refused."},
         counts->n_protocol_errors},
    };
    status_t status = ST_OK;
    for (size_t i = 0; i < sizeof list / sizeof list[0] && status == ST_OK; i++) {
        status = head(out, &list[i].family, err);
        if (status == ST_OK)
            status = buffer_printf(out, err, "%s %llu\n", list[i].family.name,
                                   (unsigned long long)list[i].value);
    }
    return status;
}

/* Label values come from workers: quote as the exposition format asks. */
static status_t add_label_value(struct buffer *out, const char *text, struct error *err)
{
    status_t status = ST_OK;
    for (; *text && status == ST_OK; text++)
        status = *text == '"' || *text == '\\' ? buffer_printf(out, err, "\\%c", *text)
                                               : buffer_append(out, text, 1, err);
    return status;
}

static status_t add_workers(struct api *api, struct buffer *out, struct error *err)
{
    static const struct family up = {"interp_worker_up", "gauge", "1 for each connected worker."};
    struct worker_table *table = dispatcher_workers(api->dispatcher);
    status_t status = head(out, &up, err);
    for (size_t i = 0; i < worker_table_count(table) && status == ST_OK; i++) {
        status = buffer_append_text(out, "interp_worker_up{worker=\"", err);
        if (status == ST_OK) status = add_label_value(out, worker_table_at(table, i)->name, err);
        if (status == ST_OK) status = buffer_append_text(out, "\"} 1\n", err);
    }
    return status;
}

static status_t add_build(struct api *api, struct buffer *out, struct error *err)
{
    static const struct family build = {"interp_build_info", "gauge", "Version of this program."};
    static const struct family store = {"interp_store_up", "gauge", "1 while Redis answers."};
    status_t status = head(out, &build, err);
    if (status == ST_OK)
        status = buffer_printf(out, err, "interp_build_info{version=\"%s\"} 1\n", version_text());
    if (status == ST_OK) status = head(out, &store, err);
    if (status == ST_OK)
        status = buffer_printf(out, err, "interp_store_up %d\n", (int)api->is_store_up);
    return status;
}

static status_t add_money(struct api *api, struct buffer *out, struct error *err)
{
    json_t *money = json_calls_and_spend(api, NULL);
    const json_t *spend = json_object_get(money, "spend"), *calls = json_object_get(money, "calls");
    static const struct family dollars = {"interp_llm_dollars_total", "counter",
                                          "Dollars booked for calls."};
    static const struct family tokens = {"interp_llm_tokens_total", "counter",
                                         "Tokens booked by the providers' own usage."};
    static const struct family total = {"interp_llm_calls_total", "counter", "Calls by outcome."};
    status_t status = head(out, &dollars, err);
    if (status == ST_OK)
        status = buffer_printf(out, err, "interp_llm_dollars_total %.6f\n",
                               json_number_value(json_object_get(spend, "dollars")));
    if (status == ST_OK) status = head(out, &tokens, err);
    if (status == ST_OK)
        status = buffer_printf(out, err,
                               "interp_llm_tokens_total{kind=\"input\"} %lld\n"
                               "interp_llm_tokens_total{kind=\"output\"} %lld\n",
                               (long long)json_integer_value(json_object_get(spend, "tokens_in")),
                               (long long)json_integer_value(json_object_get(spend, "tokens_out")));
    if (status == ST_OK) status = head(out, &total, err);
    static const char *const outcomes[] = {"done", "cached", "failed", "uncertain"};
    for (size_t i = 0; i < sizeof outcomes / sizeof outcomes[0] && status == ST_OK; i++)
        status =
            buffer_printf(out, err, "interp_llm_calls_total{outcome=\"%s\"} %lld\n", outcomes[i],
                          (long long)json_integer_value(json_object_get(calls, outcomes[i])));
    json_decref(money);
    return status;
}

status_t api_metrics(struct api *api, const json_t *args, json_t **out, struct error *err)
{
    const struct args_allowed allowed = {{NULL}};
    struct buffer text;
    buffer_init(&text, METRICS_MAX_BYTES);
    status_t status = args_check(args, &allowed, err);
    if (status == ST_OK) status = add_build(api, &text, err);
    if (status == ST_OK) status = add_queue(api, &text, err);
    if (status == ST_OK) status = add_counts(api, &text, err);
    if (status == ST_OK) status = add_workers(api, &text, err);
    if (status == ST_OK) status = add_money(api, &text, err);
    if (status == ST_OK) *out = json_pack("{s:s}", "text", buffer_text(&text));
    buffer_fini(&text);
    return status;
}
