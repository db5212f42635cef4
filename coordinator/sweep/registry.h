/* All sweeps the coordinator knows, and the only place where a sweep's state changes.
 *
 * A change is in Redis before anybody is told of it. Sweeps that were running when the
 * coordinator stopped are started again by registry_load(). Loop thread only. */
#ifndef COORDINATOR_SWEEP_REGISTRY_H
#define COORDINATOR_SWEEP_REGISTRY_H

#include "coordinator/sweep/sweep.h"
#include "coordinator/sweep/sweep_store.h"

struct registry;

MUST_CHECK status_t registry_create(struct registry **out, const struct sweep_context *context,
                                    struct error *err);
void registry_destroy(struct registry **registry); /* engines stop, nothing is forgotten */

/* Read every sweep from the store and start those that are not final. Files that users brought and
 * no sweep names are removed (circuit_kept.h, labels_kept.h). */
MUST_CHECK status_t registry_load(struct registry *registry, struct error *err);

/* Accept a parsed spec (taken on ST_OK). Durable when it returns. What `client_key` made before is
 * found again, and needs no file any more, but must be of the same sweep (repeated.h); of a new
 * sweep the files that it brings are kept, and the labels that its agent is shown are asked for:
 * errors of circuit_kept_take(), labels_kept_take() and circuit_labels_check(); ST_BUSY. */
MUST_CHECK status_t registry_submit(struct registry *registry, struct sweep_spec *spec,
                                    const char *client_key, struct sweep **out, bool *is_new,
                                    struct error *err);

/* cancel, pause, resume, retry: ST_CONFLICT when the state does not allow it. */
MUST_CHECK status_t registry_apply(struct registry *registry, struct sweep *sweep,
                                   enum sweep_event event, const char *reason, struct error *err);

/* Another budget, for `resume`: kept with the sweep. ST_BAD_INPUT: not a budget, or a sweep that
 * pays nobody; ST_CONFLICT: it is over. */
MUST_CHECK status_t registry_set_budget(struct registry *registry, struct sweep *sweep,
                                        double dollars, struct error *err);

/* Drive every running engine one step. ST_UNREACHABLE: Redis is away. */
MUST_CHECK status_t registry_step(struct registry *registry, struct error *err);

MUST_CHECK status_t registry_find(struct registry *registry, const char *id, struct sweep **out,
                                  struct error *err);
const struct sweep_context *registry_context(const struct registry *registry);
size_t registry_count(const struct registry *registry);
struct sweep *registry_at(struct registry *registry, size_t index); /* oldest first */

#endif
