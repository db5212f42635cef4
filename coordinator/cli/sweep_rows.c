#include "coordinator/cli/sweep_rows.h"

#include "coordinator/cli/json_field.h"
#include "coordinator/cli/sweep_kind.h"
#include "coordinator/cli/sweep_watch.h"

#include <string.h>

enum { PAGE_ROWS = 100 };

struct reading {
    struct client *client;
    const char *sweep;
    sweep_rows_fn *visit;
    void *context;
    json_t *target; /* of the last row, owned: another one begins the next target */
    double last_feature;
    uint32_t target_index;
};

/* A target that looks like the one before it begins where features start again. */
static status_t take_row(struct reading *self, json_t *record, struct error *err)
{
    json_t *target = json_object_get(record, "target");
    const double feature = json_field_number(record, "feature");
    if (!json_is_object(target) || !(feature >= 0))
        return error_set(err, ST_PROTOCOL, "sweep %s: a result without a target", self->sweep);
    if (self->target && (!json_equal(target, self->target) || feature <= self->last_feature))
        self->target_index++;
    json_decref(self->target);
    self->target = json_incref(target);
    self->last_feature = feature;
    return self->visit(self->context, record, self->target_index, err);
}

static status_t ask_page(const struct reading *self, json_int_t cursor, json_t **page,
                         struct error *err)
{
    json_t *to_send =
        json_pack("{s:s, s:I, s:i}", "sweep", self->sweep, "cursor", cursor, "limit", PAGE_ROWS);
    if (!to_send) return error_set(err, ST_BAD_INPUT, "the sweep's id is not valid UTF-8");
    const struct client_request request = {"results", to_send, true};
    const status_t status = client_ask(self->client, &request, page, err);
    json_decref(to_send);
    return status;
}

static status_t read_pages(struct reading *self, struct error *err)
{
    json_int_t cursor = 0;
    status_t status = ST_OK;
    for (bool has_more = true; has_more && status == ST_OK;) {
        json_t *page = NULL;
        status = ask_page(self, cursor, &page, err);
        if (status != ST_OK) return status;
        const json_t *rows = json_field(page, "rows"), *next = json_field(page, "next_cursor");
        for (size_t i = 0; i < json_array_size(rows) && status == ST_OK; i++)
            status = take_row(self, json_array_get(rows, i), err);
        has_more = json_is_integer(next) && json_integer_value(next) > cursor;
        if (has_more) cursor = json_integer_value(next);
        json_decref(page);
    }
    return status;
}

static status_t check_state(const char *sweep, const json_t *summary, struct error *err)
{
    const char *state = json_field_text(summary, "state", "?");
    const status_t status = sweep_kind_check(sweep, summary, err);
    if (status != ST_OK || strcmp(state, "finished") == 0) return status;
    return error_set(err, ST_CONFLICT, "sweep %s is %s: its results are whole once it has finished",
                     sweep, state);
}

status_t sweep_rows_visit(struct client *client, const char *sweep, sweep_rows_fn *visit,
                          void *context, struct error *err)
{
    struct reading self = {.client = client, .sweep = sweep, .visit = visit, .context = context};
    json_t *summary = NULL;
    status_t status = sweep_watch_status(client, sweep, &summary, err);
    if (status == ST_OK) status = check_state(sweep, summary, err);
    if (status == ST_OK) status = read_pages(&self, err);
    json_decref(self.target);
    json_decref(summary);
    return status;
}
