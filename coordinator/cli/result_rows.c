#include "coordinator/cli/result_rows.h"

#include "common/size.h"
#include "coordinator/cli/json_field.h"
#include "coordinator/cli/record_text.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 256, SLACK = 1024 };

struct result_row {
    double key;   /* ascending */
    size_t order; /* as it came: the tie-breaker, so that sorting is stable */
    char *text;
};

void result_rows_init(struct result_rows *rows, bool by_score, size_t limit)
{
    *rows = (struct result_rows){.by_score = by_score, .limit = limit};
}

void result_rows_fini(struct result_rows *rows)
{
    for (size_t i = 0; i < rows->n; i++) free(rows->rows[i].text);
    free(rows->rows);
    rows->rows = NULL;
    rows->n = rows->capacity = 0;
}

static int compare(const void *left, const void *right)
{
    const struct result_row *a = left, *b = right;
    if (a->key < b->key || a->key > b->key) return a->key < b->key ? -1 : 1;
    return (a->order > b->order) - (a->order < b->order);
}

/* Keep the first `limit` only. */
static void prune(struct result_rows *rows)
{
    if (rows->n) qsort(rows->rows, rows->n, sizeof *rows->rows, compare);
    while (rows->n > rows->limit) free(rows->rows[--rows->n].text);
}

static status_t grow(struct result_rows *rows, struct error *err)
{
    size_t capacity, n_bytes;
    if (rows->n < rows->capacity) return ST_OK;
    if (rows->limit < rows->n && rows->n - rows->limit >= SLACK) {
        prune(rows);
        return ST_OK;
    }
    if (!size_mul(rows->capacity ? rows->capacity : FIRST_CAPACITY, 2, &capacity) ||
        !size_mul(capacity, sizeof *rows->rows, &n_bytes))
        return error_set(err, ST_TOO_LARGE, "results");
    struct result_row *grown = realloc(rows->rows, n_bytes);
    if (!grown) return error_set(err, ST_NO_MEMORY, "%zu results", capacity);
    rows->rows = grown;
    rows->capacity = capacity;
    return ST_OK;
}

/* Scores descend and unknown ones come last. */
static double key_of(const struct result_rows *rows, const json_t *record)
{
    if (!rows->by_score) return json_field_number(record, "feature");
    const double score = record_main_score(record);
    return isnan(score) ? INFINITY : -score;
}

status_t result_rows_add(struct result_rows *rows, const json_t *record, struct error *err)
{
    const status_t status = grow(rows, err);
    if (status != ST_OK) return status;
    char *text = json_dumps(record, JSON_COMPACT | JSON_REAL_PRECISION(17));
    if (!text) return error_set(err, ST_NO_MEMORY, "result");
    rows->rows[rows->n++] = (struct result_row){key_of(rows, record), rows->n_seen++, text};
    return ST_OK;
}

status_t result_rows_visit(struct result_rows *rows, result_rows_fn *visit, void *context,
                           struct error *err)
{
    status_t status = ST_OK;
    prune(rows);
    for (size_t i = 0; i < rows->n && status == ST_OK; i++) {
        json_t *record = json_loads(rows->rows[i].text, JSON_ALLOW_NUL, NULL);
        if (!record) return error_set(err, ST_NO_MEMORY, "result");
        status = visit(context, record, err);
        json_decref(record);
    }
    return status;
}
