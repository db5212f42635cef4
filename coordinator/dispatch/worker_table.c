#include "coordinator/dispatch/worker_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORKERS_MAX = 4096 };

struct worker_table {
    size_t n_workers;
    struct worker *workers[WORKERS_MAX]; /* each owned: leases point at them */
};

status_t worker_table_create(struct worker_table **out, struct error *err)
{
    *out = calloc(1, sizeof **out);
    return *out ? ST_OK : error_set(err, ST_NO_MEMORY, "worker table");
}

void worker_table_destroy(struct worker_table **table)
{
    if (!*table) return;
    for (size_t i = 0; i < (*table)->n_workers; i++) free((*table)->workers[i]);
    free(*table);
    *table = NULL;
}

struct worker *worker_table_find(struct worker_table *table, const void *identity,
                                 size_t n_identity)
{
    for (size_t i = 0; i < table->n_workers; i++)
        if (table->workers[i]->n_identity == n_identity &&
            memcmp(table->workers[i]->identity, identity, n_identity) == 0)
            return table->workers[i];
    return NULL;
}

struct worker *worker_table_find_fd(struct worker_table *table, int fd)
{
    for (size_t i = 0; fd >= 0 && i < table->n_workers; i++)
        if (table->workers[i]->fd == fd) return table->workers[i];
    return NULL;
}

struct worker *worker_table_find_name(struct worker_table *table, const char *name)
{
    for (size_t i = 0; i < table->n_workers; i++)
        if (strcmp(table->workers[i]->name, name) == 0) return table->workers[i];
    return NULL;
}

status_t worker_table_add(struct worker_table *table, const void *identity, size_t n_identity,
                          struct worker **out, struct error *err)
{
    *out = worker_table_find(table, identity, n_identity);
    if (*out) return ST_OK;
    if (table->n_workers == WORKERS_MAX)
        return error_set(err, ST_BUSY, "%d workers are connected", WORKERS_MAX);
    if (n_identity > TRANSPORT_IDENTITY_MAX)
        return error_set(err, ST_PROTOCOL, "identity of %zu bytes", n_identity);
    struct worker *worker = calloc(1, sizeof *worker);
    if (!worker) return error_set(err, ST_NO_MEMORY, "worker record");
    memcpy(worker->identity, identity, n_identity);
    worker->n_identity = n_identity;
    worker->fd = -1;
    table->workers[table->n_workers++] = worker;
    *out = worker;
    return ST_OK;
}

void worker_table_remove(struct worker_table *table, struct worker *worker)
{
    for (size_t i = 0; i < table->n_workers; i++) {
        if (table->workers[i] != worker) continue;
        memmove(&table->workers[i], &table->workers[i + 1],
                (table->n_workers - i - 1) * sizeof table->workers[0]);
        table->n_workers--;
        free(worker);
        return;
    }
}

size_t worker_table_count(const struct worker_table *table)
{
    return table->n_workers;
}

struct worker *worker_table_at(struct worker_table *table, size_t index)
{
    return table->workers[index];
}

bool worker_has_spec(const struct worker *worker, const char *task_id)
{
    for (size_t i = 0; i < WORKER_SPECS_KEPT; i++)
        if (strcmp(worker->specs[i], task_id) == 0) return true;
    return false;
}

void worker_note_spec(struct worker *worker, const char *task_id)
{
    (void)snprintf(worker->specs[worker->next_spec], TASK_ID_SIZE, "%s", task_id);
    worker->next_spec = (worker->next_spec + 1) % WORKER_SPECS_KEPT;
}
