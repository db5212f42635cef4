/* Which ids were seen: a set of 64-bit numbers (open addressing, at most half full). Belongs to
 * one thread. */
#ifndef COORDINATOR_INTAKE_ID_SET_H
#define COORDINATOR_INTAKE_ID_SET_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct id_set {
    uint64_t *slots; /* [n_slots], 0 is free */
    size_t n_slots;  /* a power of two, or 0 */
    size_t n_ids;
};

/* A zeroed struct is an empty set. Add `id`; *is_new says whether it was not there.
 * Errors: ST_NO_MEMORY. */
MUST_CHECK status_t id_set_add(struct id_set *set, uint64_t id, bool *is_new, struct error *err);
void id_set_fini(struct id_set *set);

#endif
