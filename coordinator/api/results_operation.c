/* results: the records of a sweep, page by page, whole or only some fields of them. Records are
 * canonical JSON already: they pass as they are, and nothing is parsed. */
#include "coordinator/api/json_select.h"
#include "coordinator/api/operations.h"

enum { RESULTS_MAX = 1000, RESULTS_DEFAULT = 200, PAGE_BYTES = 1024 * 1024 };

struct page {
    const struct sweep *sweep;
    size_t index, total, limit; /* of the next record; of all; rows of the page */
    const char *fields[JSON_SELECT_MAX_PATHS];
    size_t n_fields; /* 0: whole records */
    struct buffer record;
    struct buffer *out;
};

static status_t append_record(struct page *page, struct error *err)
{
    const struct sweep *sweep = page->sweep;
    if (!page->n_fields) return sweep->ops->record(sweep, page->index, page->out, err);
    page->record.n_bytes = 0;
    const status_t status = sweep->ops->record(sweep, page->index, &page->record, err);
    if (status != ST_OK) return status;
    const struct wire_text text = {(const char *)page->record.bytes, page->record.n_bytes};
    return json_select(text, page->fields, page->n_fields, page->out, err);
}

static status_t write_rows(struct page *page, struct error *err)
{
    struct buffer *out = page->out;
    const size_t n_before = out->n_bytes;
    status_t status = ST_OK;
    for (size_t n_rows = 0; page->index < page->total && n_rows < page->limit && status == ST_OK;
         page->index++) {
        struct error missing = {0};
        const size_t n_without = out->n_bytes;
        if (n_rows) status = buffer_append_text(out, ",", err);
        if (status == ST_OK) status = append_record(page, &missing);
        if (status == ST_OK) {
            n_rows++;
        } else if (status == ST_NOT_FOUND) { /* not there yet */
            out->n_bytes = n_without;
            status = ST_OK;
        } else {
            (void)error_set(err, status, "%s", missing.text);
        }
        if (out->n_bytes - n_before > PAGE_BYTES) page->limit = n_rows;
    }
    return status;
}

static status_t write_page(struct page *page, struct error *err)
{
    status_t status = buffer_append_text(page->out, "{\"rows\":[", err);
    if (status == ST_OK) status = write_rows(page, err);
    if (status != ST_OK) return status;
    return page->index < page->total
               ? buffer_printf(page->out, err, "],\"next_cursor\":%zu,\"total\":%zu}", page->index,
                               page->total)
               : buffer_printf(page->out, err, "],\"next_cursor\":null,\"total\":%zu}",
                               page->total);
}

static status_t read_fields(const json_t *args, struct page *page, struct error *err)
{
    const json_t *fields = json_object_get(args, "fields");
    const size_t n = json_array_size(fields);
    if (!fields) return ST_OK;
    if (!json_is_array(fields) || n == 0 || n > JSON_SELECT_MAX_PATHS)
        return error_set(err, ST_BAD_INPUT, "argument \"fields\" is not a list of 1 to %d texts",
                         JSON_SELECT_MAX_PATHS);
    for (size_t i = 0; i < n; i++) {
        page->fields[i] = json_string_value(json_array_get(fields, i));
        if (!page->fields[i])
            return error_set(err, ST_BAD_INPUT, "argument \"fields\": number %zu is not a text", i);
    }
    page->n_fields = n;
    return ST_OK;
}

static status_t read_page(struct api *api, const json_t *args, struct page *page, struct error *err)
{
    const struct args_allowed allowed = {{"sweep", "cursor", "limit", "fields", NULL}};
    struct sweep *sweep;
    uint64_t cursor = 0, limit = RESULTS_DEFAULT;
    status_t status = args_check(args, &allowed, err);
    if (status == ST_OK) status = args_sweep(api, args, &sweep, err);
    if (status == ST_OK) status = args_count(args, "cursor", 0, &cursor, err);
    if (status == ST_OK) status = args_count(args, "limit", RESULTS_DEFAULT, &limit, err);
    if (status == ST_OK && (limit < 1 || limit > RESULTS_MAX))
        status = error_set(err, ST_BAD_INPUT, "limit: 1 to %d", RESULTS_MAX);
    if (status == ST_OK) status = read_fields(args, page, err);
    if (status != ST_OK) return status;
    page->sweep = sweep;
    page->index = (size_t)cursor;
    page->limit = (size_t)limit;
    page->total = sweep->ops->n_records ? sweep->ops->n_records(sweep) : 0;
    return ST_OK;
}

status_t api_results(struct api *api, const json_t *args, struct buffer *out, struct error *err)
{
    struct page page = {.out = out};
    buffer_init(&page.record, API_RECORD_MAX_BYTES);
    status_t status = read_page(api, args, &page, err);
    if (status == ST_OK) status = write_page(&page, err);
    buffer_fini(&page.record);
    return status;
}
