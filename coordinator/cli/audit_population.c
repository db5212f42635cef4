#include "coordinator/cli/audit_population.h"

#include "common/size.h"
#include "common/task.h"
#include "coordinator/cli/json_field.h"
#include "coordinator/cli/record_text.h"
#include "coordinator/cli/sweep_kind.h"
#include "coordinator/cli/sweep_watch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE_ROWS = 100, FIRST_CAPACITY = 256, MAX_LABELS = 1 << 24 };

struct reading {
    struct audit_population *population;
    struct client *client;
    const char *sweep;
    int64_t wanted_target; /* -1: all */
    json_t *target;        /* of the last row, owned: another one begins the next target */
    uint32_t target_index;
};

/* --- rows ---------------------------------------------------------------------------------- */

/* Records come in order of target and feature. */
static status_t follow_target(struct reading *self, json_t *record, struct error *err)
{
    json_t *target = json_object_get(record, "target");
    if (!json_is_object(target))
        return error_set(err, ST_PROTOCOL, "sweep %s: a result without a target", self->sweep);
    if (self->target && json_equal(target, self->target)) return ST_OK;
    if (self->target) self->target_index++;
    json_decref(self->target);
    self->target = json_incref(target);
    return ST_OK;
}

static bool is_drawn_from(const struct reading *self, const json_t *record)
{
    const char *label = json_field_text(record, "label", "");
    if (!*label || json_array_size(json_field(record, "evidence")) == 0) return false;
    if (self->wanted_target >= 0 && self->wanted_target != (int64_t)self->target_index)
        return false;
    return self->population->is_of_supported ? json_field_is_true(record, "supported")
                                             : !isnan(record_main_score(record));
}

static status_t grow(struct audit_population *population, struct error *err)
{
    size_t n_bytes;
    if (population->n < population->capacity) return ST_OK;
    if (population->n >= MAX_LABELS)
        return error_set(err, ST_TOO_LARGE, "more than %d labels to draw from", MAX_LABELS);
    const size_t capacity = population->capacity ? 2 * population->capacity : FIRST_CAPACITY;
    if (!size_mul(capacity, sizeof *population->labels, &n_bytes))
        return error_set(err, ST_TOO_LARGE, "%zu labels", capacity);
    struct audit_label *grown = realloc(population->labels, n_bytes);
    if (!grown) return error_set(err, ST_NO_MEMORY, "%zu labels", capacity);
    population->labels = grown;
    population->capacity = capacity;
    return ST_OK;
}

static status_t take_row(struct reading *self, json_t *record, uint64_t row, struct error *err)
{
    struct audit_population *population = self->population;
    status_t status = follow_target(self, record, err);
    if (status != ST_OK || !is_drawn_from(self, record)) return status;
    status = grow(population, err);
    if (status != ST_OK) return status;
    char *text = strdup(json_field_text(record, "label", ""));
    if (!text) return error_set(err, ST_NO_MEMORY, "label");
    const double feature = json_field_number(record, "feature");
    const double density = json_field_number(record, "firing.density");
    population->labels[population->n++] =
        (struct audit_label){.row = row,
                             .feature = feature >= 0 ? (uint64_t)feature : 0,
                             .target = self->target_index,
                             .density = density >= 0 ? density : 0,
                             .text = text};
    return ST_OK;
}

/* --- pages --------------------------------------------------------------------------------- */

static status_t ask_rows(struct client *client, const char *sweep, uint64_t cursor, int n_rows,
                         json_t **page, struct error *err)
{
    json_t *to_send =
        json_pack("{s:s, s:I, s:i}", "sweep", sweep, "cursor", (json_int_t)cursor, "limit", n_rows);
    if (!to_send) return error_set(err, ST_BAD_INPUT, "the sweep's id is not valid UTF-8");
    const struct client_request request = {"results", to_send, true};
    const status_t status = client_ask(client, &request, page, err);
    json_decref(to_send);
    return status;
}

static status_t take_page(struct reading *self, const json_t *page, uint64_t cursor,
                          struct error *err)
{
    const json_t *rows = json_field(page, "rows");
    status_t status = ST_OK;
    for (size_t i = 0; i < json_array_size(rows) && status == ST_OK; i++)
        status = take_row(self, json_array_get(rows, i), cursor + i, err);
    return status;
}

static status_t read_pages(struct reading *self, struct error *err)
{
    uint64_t cursor = 0;
    status_t status = ST_OK;
    for (bool has_more = true; has_more && status == ST_OK;) {
        json_t *page = NULL;
        status = ask_rows(self->client, self->sweep, cursor, PAGE_ROWS, &page, err);
        if (status != ST_OK) return status;
        status = take_page(self, page, cursor, err);
        const json_t *next = json_field(page, "next_cursor");
        has_more = json_is_integer(next) && (uint64_t)json_integer_value(next) > cursor;
        if (has_more) cursor = (uint64_t)json_integer_value(next);
        json_decref(page);
    }
    return status;
}

/* --- the population ------------------------------------------------------------------------ */

static status_t check_sweep(struct reading *self, struct error *err)
{
    json_t *summary = NULL;
    status_t status = sweep_watch_status(self->client, self->sweep, &summary, err);
    if (status == ST_OK) status = sweep_kind_check(self->sweep, summary, err);
    const char *state = json_field_text(summary, "state", "?");
    if (status == ST_OK && strcmp(state, "finished") != 0)
        status = error_set(err, ST_CONFLICT,
                           "sweep %s is %s: which labels are believed is known once it has "
                           "finished",
                           self->sweep, state);
    self->population->is_of_supported = json_field(summary, "n_supported") != NULL;
    json_decref(summary);
    return status;
}

status_t audit_population_read(struct audit_population *out, struct client *client,
                               const char *sweep, int64_t target, struct error *err)
{
    struct reading self = {
        .population = out, .client = client, .sweep = sweep, .wanted_target = target};
    *out = (struct audit_population){.n = 0};
    status_t status = check_sweep(&self, err);
    if (status == ST_OK) status = read_pages(&self, err);
    json_decref(self.target);
    if (status == ST_OK && out->n == 0)
        status = error_set(err, ST_NOT_FOUND, "sweep %s has no %s label%s to draw from", sweep,
                           out->is_of_supported ? "supported" : "scored",
                           target < 0 ? "" : " of this target");
    return status;
}

void audit_population_fini(struct audit_population *population)
{
    for (size_t i = 0; i < population->n; i++) free(population->labels[i].text);
    free(population->labels);
    *population = (struct audit_population){.n = 0};
}

status_t audit_population_record(const struct audit_label *label, struct client *client,
                                 const char *sweep, json_t **record, struct error *err)
{
    json_t *page = NULL;
    status_t status = ask_rows(client, sweep, label->row, 1, &page, err);
    json_t *row = status == ST_OK ? json_array_get(json_field(page, "rows"), 0) : NULL;
    if (status == ST_OK && (json_field_number(row, "feature") != (double)label->feature ||
                            strcmp(json_field_text(row, "label", ""), label->text) != 0))
        status =
            error_set(err, ST_CONFLICT,
                      "the results of sweep %s are not those that were read a moment ago", sweep);
    else if (status == ST_OK)
        *record = json_incref(row);
    json_decref(page);
    return status;
}
