/* Any bytes as a filled-in rating sheet: fields stay inside the file, lines only grow, and a sheet
 * that is accepted answers every item with an answer. Built with -fsanitize=fuzzer. */
#include "coordinator/cli/audit_sheet.h"
#include "coordinator/cli/csv_reader.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *copy_of(const uint8_t *data, size_t size)
{
    char *bytes = malloc(size + 1); /* not a byte more than the contract asks for */
    if (!bytes) abort();
    if (size) memcpy(bytes, data, size);
    return bytes;
}

static void read_rows(char *bytes, size_t size)
{
    struct csv_reader reader;
    struct csv_row row;
    bool has_row = true;
    size_t line = 0;
    if (csv_reader_init(&reader, "fuzz", bytes, size, NULL) != ST_OK) return;
    while (csv_reader_next(&reader, &row, &has_row, NULL) == ST_OK && has_row) {
        if (row.line <= line || row.n_fields == 0 || row.n_fields > CSV_MAX_FIELDS) abort();
        line = row.line;
        for (size_t i = 0; i < row.n_fields; i++)
            if (row.fields[i] < bytes || row.fields[i] + strlen(row.fields[i]) > bytes + size)
                abort();
    }
}

static void read_sheet(char *bytes, size_t size)
{
    struct audit_item items[2] = {{.id = "bcdfg-001"}, {.id = "bcdfg-002", .is_decoy = true}};
    const struct audit_key key = {.n_population = 9, .items = items, .n_items = 2, .n_decoys = 1};
    enum audit_answer answers[2] = {AUDIT_N_ANSWERS, AUDIT_N_ANSWERS};
    struct error err = {0};
    if (audit_sheet_read(&key, "fuzz", bytes, size, answers, &err) != ST_OK) {
        if (!err.text[0]) abort();
        return;
    }
    for (size_t i = 0; i < 2; i++)
        if ((unsigned)answers[i] >= AUDIT_N_ANSWERS) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *bytes = copy_of(data, size);
    read_rows(bytes, size);
    free(bytes);
    bytes = copy_of(data, size);
    read_sheet(bytes, size);
    free(bytes);
    return 0;
}
