#include "kernels/cpu/host_memory.h"

#include "kernels/cpu/system_memory.h"

/* Looked at before it is added: nobody sees more in use than there is, and no sum wraps round. */
status_t memory_ledger_take(struct memory_ledger *ledger, size_t n_bytes, struct error *err)
{
    const size_t n_total = ledger->limit ? ledger->limit : SIZE_MAX;
    size_t n_used = atomic_load(&ledger->n_used);
    do {
        const size_t n_free = n_total > n_used ? n_total - n_used : 0;
        if (n_bytes > n_free)
            return error_set(err, ST_NO_MEMORY, "%zu bytes on the device, %zu of %zu are free",
                             n_bytes, n_free, n_total);
    } while (!atomic_compare_exchange_weak(&ledger->n_used, &n_used, n_used + n_bytes));
    return ST_OK;
}

void memory_ledger_give(struct memory_ledger *ledger, size_t n_bytes)
{
    (void)atomic_fetch_sub(&ledger->n_used, n_bytes);
}

struct backend_memory host_memory(const struct memory_ledger *ledger)
{
    const struct backend_memory memory = system_memory("");
    const size_t n_used = atomic_load(&ledger->n_used);
    if (!ledger->limit) return memory;
    const size_t n_free = ledger->limit > n_used ? ledger->limit - n_used : 0;
    return (struct backend_memory){
        .n_free = n_free < memory.n_free || !memory.n_total ? n_free : memory.n_free,
        .n_total = ledger->limit};
}
