/* The memory that the CPU backend's users may have: what the system has left (system_memory.h), or
 * an artificial limit on what the backend itself has given out (to share a machine, and for tests
 * of full devices).
 *
 * Every array and packed weight is taken from the ledger before it is allocated and given back
 * when it goes; without a limit that is a count and nothing else. Thread-safe. */
#ifndef KERNELS_CPU_HOST_MEMORY_H
#define KERNELS_CPU_HOST_MEMORY_H

#include "kernels/backend.h"

#include <stdatomic.h>

struct memory_ledger {
    atomic_size_t n_used; /* bytes given out */
    size_t limit;         /* 0: none; set before anything is taken */
};

/* Room for n_bytes more? Errors: ST_NO_MEMORY with what is free of the limit. */
MUST_CHECK status_t memory_ledger_take(struct memory_ledger *ledger, size_t n_bytes,
                                       struct error *err);
void memory_ledger_give(struct memory_ledger *ledger, size_t n_bytes);

/* Free and total: of the limit, or of the system (of its control group where that has less). */
struct backend_memory host_memory(const struct memory_ledger *ledger);

#endif
