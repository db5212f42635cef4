#include "coordinator/cli/worker_text.h"

#include "common/quantity.h"
#include "coordinator/cli/json_field.h"

enum { N_COLUMNS = 13, N_NARROW = 8 };

static const struct text_column columns[N_COLUMNS] = {
    {"WORKER", false, true},  {"STATE", false, false},  {"BACKEND", false, false},
    {"TASK", false, true},    {"SETTLED", true, false}, {"FAILED", true, false},
    {"MEMORY", true, false},  {"BUSY", true, false},    {"THREADS", true, false},
    {"ISA", false, false},    {"HOST", false, false},   {"PID", true, false},
    {"VERSION", false, false}};

static status_t add_row(struct text_table *table, const json_t *worker, size_t n_columns,
                        struct error *err)
{
    char settled[QUANTITY_SIZE], failed[QUANTITY_SIZE], memory[QUANTITY_SIZE];
    char busy[QUANTITY_SIZE], threads[QUANTITY_SIZE], pid[QUANTITY_SIZE];
    (void)snprintf(pid, sizeof pid, "%.0f", json_field_number(worker, "pid"));
    const char *const cells[N_COLUMNS] = {
        json_field_text(worker, "name", NULL),
        json_field_text(worker, "state", NULL),
        json_field_text(worker, "backend", NULL),
        json_field_text(worker, "task", NULL),
        quantity_count(json_field_number(worker, "n_settled"), settled),
        quantity_count(json_field_number(worker, "n_failed"), failed),
        quantity_bytes(json_field_number(worker, "memory_bytes"), memory),
        quantity_seconds(json_field_number(worker, "busy_seconds"), busy),
        quantity_count(json_field_number(worker, "n_threads"), threads),
        json_field_text(worker, "isa", NULL),
        json_field_text(worker, "host", NULL),
        pid,
        json_field_text(worker, "code_version", NULL),
    };
    return text_table_add_cells(table, cells, n_columns, err);
}

status_t worker_text_table(const json_t *workers, bool is_wide,
                           const struct text_table_style *style, FILE *out, struct error *err)
{
    struct text_table *table = NULL;
    const size_t n_columns = is_wide ? N_COLUMNS : N_NARROW;
    status_t status = text_table_create(&table, columns, n_columns, err);
    for (size_t i = 0; i < json_array_size(workers) && status == ST_OK; i++)
        status = add_row(table, json_array_get(workers, i), n_columns, err);
    if (status == ST_OK) text_table_print(table, style, out);
    text_table_destroy(&table);
    return status;
}
