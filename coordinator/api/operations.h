/* The operations behind api.c's table. Private to coordinator/api/. Each reads `args` (an object),
 * refuses what it does not know, and returns a new JSON object in *out. */
#ifndef COORDINATOR_API_OPERATIONS_H
#define COORDINATOR_API_OPERATIONS_H

#include "coordinator/api/api.h"

enum { API_RECORD_MAX_BYTES = 16 * 1024 * 1024 }; /* of a sweep's record as JSON */

typedef status_t operation_fn(struct api *api, const json_t *args, json_t **out, struct error *err);

operation_fn api_ping, api_submit, api_list, api_status, api_cancel, api_pause, api_resume,
    api_retry, api_workers, api_drain, api_dead, api_overview, api_metrics, api_captures, api_cost,
    api_probe, api_steer, api_calls, api_circuit;

/* The same for answers that are JSON already: appended to `out`. */
typedef status_t text_operation_fn(struct api *api, const json_t *args, struct buffer *out,
                                   struct error *err);

text_operation_fn api_results, api_feature;

/* Arguments, read strictly: every function names the argument in its error. */
struct args_allowed {
    const char *names[16]; /* NULL-terminated */
};
MUST_CHECK status_t args_check(const json_t *args, const struct args_allowed *allowed,
                               struct error *err);
MUST_CHECK status_t args_text(const json_t *args, const char *name, const char **out,
                              struct error *err);
/* A whole number >= 0; `otherwise` if absent. */
MUST_CHECK status_t args_count(const json_t *args, const char *name, uint64_t otherwise,
                               uint64_t *out, struct error *err);
/* The sweep that args.sweep names. */
MUST_CHECK status_t args_sweep(struct api *api, const json_t *args, struct sweep **out,
                               struct error *err);

/* The record of a feature of target number `target`, NULL if there is none (new reference). */
/* The number of the record that `sweep`, `feature` and `target` (0) of the arguments name. */
status_t api_find_index(struct api *api, const json_t *args, struct sweep **sweep, size_t *index,
                        struct error *err);
json_t *api_find_record(const struct sweep *sweep, uint64_t feature, size_t target);

/* JSON of the parts that several operations share (new references, NULL without memory). */
json_t *json_time(int64_t unix_ms);  /* RFC 3339, or null for 0 */
json_t *json_optional(double value); /* a number, or null when negative or not finite */
json_t *json_sweep_summary(struct api *api, const struct sweep *sweep);
json_t *json_workers(struct api *api);
/* What calls cost so far and how many are open; of one sweep, or of all (NULL). */
struct api_money {
    struct call_ledger ledger;
    uint64_t n_queued, n_in_flight;
};
struct api_money api_read_money(struct api *api, const struct sweep *only);
json_t *json_calls_and_spend(struct api *api, const struct sweep *sweep); /* NULL sweep: all */

#endif
