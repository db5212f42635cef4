/* Who waits for which answer: from the id of a call or a probe to the asks of open sessions.
 *
 * Several sessions may wait for one id (equal questions have equal ids). A waiter is taken out
 * with its answer, so what is here is what is still awaited. Adding and taking cost a constant
 * number of steps, whatever the number of sessions. Loop thread only. */
#ifndef COORDINATOR_SWEEP_CALL_INDEX_H
#define COORDINATOR_SWEEP_CALL_INDEX_H

#include "common/error.h"
#include "common/hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CALL_ID_BYTES = 32 };

struct call_index; /* opaque */

struct call_waiter {
    void *owner; /* borrowed */
    uint32_t ask;
};

/* Errors: ST_NO_MEMORY. */
MUST_CHECK status_t call_index_create(struct call_index **out, struct error *err);
void call_index_destroy(struct call_index **index); /* NULL-safe */

/* The bytes of 64 hex digits; false if they are not that. */
MUST_CHECK bool call_id_parse(const char *hex, unsigned char out[CALL_ID_BYTES]);
void call_id_print(const unsigned char id[CALL_ID_BYTES], char out[HASH_HEX_SIZE]);

/* Errors: ST_NO_MEMORY, ST_TOO_LARGE (more than 2^31 waiters). */
MUST_CHECK status_t call_index_add(struct call_index *index, const unsigned char id[CALL_ID_BYTES],
                                   struct call_waiter waiter, struct error *err);
bool call_index_has(const struct call_index *index, const unsigned char id[CALL_ID_BYTES]);
/* Take out one who waits for `id`; false when nobody is left. */
bool call_index_take(struct call_index *index, const unsigned char id[CALL_ID_BYTES],
                     struct call_waiter *out);
size_t call_index_count(const struct call_index *index);

#endif
