/* The labels of a finished sweep that an audit may draw from: those believed ("supported"), or,
 * where no null model ran and so nothing is believed, every one that was scored.
 *
 * The results are read page by page and only what a draw needs is kept; the windows of what was
 * drawn are asked for afterwards. One thread. */
#ifndef COORDINATOR_CLI_AUDIT_POPULATION_H
#define COORDINATOR_CLI_AUDIT_POPULATION_H

#include "coordinator/cli/audit_draw.h"
#include "coordinator/cli/client.h"

struct audit_population {
    bool is_of_supported;
    struct audit_label *labels; /* [n], owned with their texts, in the order of the results */
    size_t n, capacity;
};

/* Of `target` (-1: of all). Errors: ST_CONFLICT (the sweep has not finished), ST_NOT_FOUND (it
 * has no such label), and those of client_ask(); *out is fine to fini in any case. */
MUST_CHECK status_t audit_population_read(struct audit_population *out, struct client *client,
                                          const char *sweep, int64_t target, struct error *err);
void audit_population_fini(struct audit_population *population); /* fine twice */

/* The whole record of one of them; the caller owns *record. Errors: ST_CONFLICT (the results are
 * not those that were read), and those of client_ask(). */
MUST_CHECK status_t audit_population_record(const struct audit_label *label, struct client *client,
                                            const char *sweep, json_t **record, struct error *err);

#endif
