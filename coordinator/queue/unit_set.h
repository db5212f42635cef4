/* A set of unit numbers of one task: one bit a unit. Belongs to one thread at a time. */
#ifndef COORDINATOR_QUEUE_UNIT_SET_H
#define COORDINATOR_QUEUE_UNIT_SET_H

#include "common/buffer.h"
#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct unit_set {
    unsigned char *bits; /* [(n_units + 7) / 8], bit u % 8 of byte u / 8; owned */
    size_t n_units;      /* units are below it */
    size_t n_members;
};

/* The empty set over [0, n_units). Errors: ST_NO_MEMORY. The owner calls unit_set_fini(). */
MUST_CHECK status_t unit_set_init(struct unit_set *set, size_t n_units, struct error *err);
void unit_set_fini(struct unit_set *set); /* fine on a zeroed struct; leaves it zeroed */
void unit_set_clear(struct unit_set *set);

/* unit < n_units. */
bool unit_set_has(const struct unit_set *set, size_t unit);
void unit_set_add(struct unit_set *set, size_t unit);

/* The lowest member not below `from`; n_units if there is none. */
size_t unit_set_next(const struct unit_set *set, size_t from);

/* The bits as they are, appended. Errors: ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t unit_set_encode(const struct unit_set *set, struct buffer *out,
                                    struct error *err);
/* Untrusted bytes into a set of the same n_units. Errors: ST_CORRUPT, set unchanged. */
MUST_CHECK status_t unit_set_decode(struct unit_set *set, const void *bytes, size_t n_bytes,
                                    struct error *err);

#endif
