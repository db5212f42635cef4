/* compare: what changed from one sweep to another over the same features (compare_pairs.h). */
#include "common/quantity.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/compare_pairs.h"
#include "coordinator/cli/csv_text.h"
#include "coordinator/cli/document.h"
#include "coordinator/cli/json_field.h"
#include "coordinator/cli/status_text.h"
#include "coordinator/cli/sweep_kind.h"
#include "coordinator/cli/sweep_rows.h"
#include "coordinator/cli/sweep_watch.h"
#include "coordinator/cli/text_table.h"
#include "coordinator/session/triage.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_CHANGES = 20, CELL_BYTES = 1 << 20, FLAG_SIZE = 512 };

struct comparison {
    struct cli *cli;
    const struct cli_arguments *arguments;
    struct compare_rows rows[2];
    json_t *sweeps[2]; /* answers of `status`, owned */
    json_t *differing; /* keys of the sweep files that are not equal, owned */
    struct compare_pairs pairs;
    const struct compare_pair **by_change; /* [pairs.n], largest first; owned */
    uint64_t seed;
};

static const char *sweep_of(const struct comparison *self, size_t i)
{
    return self->arguments->positional[i];
}

/* --- reading ------------------------------------------------------------------------------- */

static status_t take_row(void *context, json_t *record, uint32_t target, struct error *err)
{
    return compare_rows_add(context, record, target, err);
}

/* What two sweep files may differ in without a word. */
static bool is_beside_the_point(const char *key)
{
    static const char *const keys[] = {"name",           "priority", "durability",
                                       "budget_dollars", "targets",  "keep_judged"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strcmp(keys[i], key) == 0) return true;
    return false;
}

static status_t find_differing(struct comparison *self, struct error *err)
{
    const json_t *a = json_field(self->sweeps[0], "spec"), *b = json_field(self->sweeps[1], "spec");
    json_t *both = json_object(), *value;
    const char *key;
    self->differing = json_array();
    if (a) (void)json_object_update(both, (json_t *)(uintptr_t)a);
    if (b) (void)json_object_update(both, (json_t *)(uintptr_t)b);
    json_object_foreach(both, key, value)
    {
        if (is_beside_the_point(key) ||
            json_equal(json_object_get(a, key), json_object_get(b, key)))
            continue;
        (void)json_array_append_new(self->differing, json_string(key));
    }
    json_decref(both);
    return self->differing ? ST_OK : error_set(err, ST_NO_MEMORY, "comparison");
}

static double change_of(const struct compare_pair *pair)
{
    const double random = compare_pair_difference(pair, 0),
                 fuzzed = compare_pair_difference(pair, 2);
    const double by_score = fabs(isnan(random) ? (isnan(fuzzed) ? 0 : fuzzed) : random);
    return by_score + (pair->first->is_supported != pair->second->is_supported ? 2 : 0);
}

static int compare_changes(const void *left, const void *right)
{
    const struct compare_pair *a = *(const struct compare_pair *const *)left;
    const struct compare_pair *b = *(const struct compare_pair *const *)right;
    const double x = change_of(a), y = change_of(b);
    if (x > y || x < y) return x > y ? -1 : 1;
    return (a > b) - (a < b);
}

/* Support that was lost or gained first, then by how much the score moved. */
static status_t rank(struct comparison *self, struct error *err)
{
    self->by_change = calloc(self->pairs.n + 1, sizeof *self->by_change);
    if (!self->by_change) return error_set(err, ST_NO_MEMORY, "comparison");
    for (size_t i = 0; i < self->pairs.n; i++) self->by_change[i] = &self->pairs.list[i];
    qsort(self->by_change, self->pairs.n, sizeof *self->by_change, compare_changes);
    return ST_OK;
}

static status_t read_both(struct comparison *self, struct error *err)
{
    struct client *client = NULL;
    const char *const sweeps[] = {sweep_of(self, 0), sweep_of(self, 1)};
    status_t status = cli_connect(&client, self->cli, self->arguments, err);
    for (size_t i = 0; i < 2 && status == ST_OK; i++)
        status = sweep_watch_status(client, sweeps[i], &self->sweeps[i], err);
    if (status == ST_OK) status = sweep_kind_check_both(sweeps, self->sweeps, err);
    for (size_t i = 0; i < 2 && status == ST_OK; i++)
        status = sweep_rows_visit(client, sweeps[i], take_row, &self->rows[i], err);
    client_close(&client);
    if (status == ST_OK)
        status = compare_pairs_make(&self->pairs, &self->rows[0], &self->rows[1], err);
    if (status == ST_OK) status = find_differing(self, err);
    return status == ST_OK ? rank(self, err) : status;
}

/* --- JSON ---------------------------------------------------------------------------------- */

static json_t *number_or_null(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *json_difference(const struct compare_difference *of)
{
    json_t *interval = of->interval.is_defined
                           ? json_pack("[f, f]", of->interval.low, of->interval.high)
                           : json_null();
    return json_pack("{s:I, s:o, s:o}", "n", (json_int_t)of->n, "mean", number_or_null(of->mean),
                     "interval", interval);
}

static json_t *json_summary(const struct compare_summary *of)
{
    json_t *scores = json_object();
    for (size_t i = 0; i < COMPARE_N_SCORES; i++)
        if (of->scores[i].n)
            (void)json_object_set_new(scores, compare_score_names[i],
                                      json_difference(&of->scores[i]));
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:f, s:o}", "features", (json_int_t)of->n,
                     "labels_changed", (json_int_t)of->n_changed, "supported_by_both",
                     (json_int_t)of->n_both, "supported_lost", (json_int_t)of->n_lost,
                     "supported_gained", (json_int_t)of->n_gained, "mcnemar_p", of->mcnemar_p,
                     "differences", scores);
}

static json_t *json_row(const struct compare_row *row)
{
    json_t *scores = json_object();
    for (size_t i = 0; i < COMPARE_N_SCORES; i++)
        if (!isnan(row->scores[i]))
            (void)json_object_set_new(scores, compare_score_names[i], json_real(row->scores[i]));
    return json_pack("{s:s, s:s?, s:b, s:o, s:o}", "status",
                     feature_status_name((enum feature_status)row->status), "label", row->label,
                     "supported", (int)row->is_supported, "scores", scores, "interval",
                     isnan(row->low) ? json_null() : json_pack("[f, f]", row->low, row->high));
}

static json_t *json_pairs(const struct comparison *self)
{
    json_t *all = json_array();
    for (size_t i = 0; i < self->pairs.n; i++) {
        const struct compare_pair *pair = self->by_change[i];
        (void)json_array_append_new(
            all,
            json_pack("{s:I, s:I, s:b, s:o, s:o, s:o}", "target", (json_int_t)pair->first->target,
                      "feature", (json_int_t)pair->first->feature, "label_changed",
                      (int)compare_pair_changed(pair), "difference",
                      number_or_null(compare_pair_difference(pair, 0)), "first",
                      json_row(pair->first), "second", json_row(pair->second)));
    }
    return all;
}

static status_t print_json(const struct comparison *self, struct error *err)
{
    struct compare_summary summary;
    json_t *statuses = json_object();
    status_t status =
        compare_summarise(&self->pairs, COMPARE_ALL_STATUSES, self->seed, &summary, err);
    json_t *all = status == ST_OK ? json_summary(&summary) : NULL;
    for (int i = 0; i < FEATURE_N_STATUSES && status == ST_OK; i++) {
        status = compare_summarise(&self->pairs, i, self->seed, &summary, err);
        if (status == ST_OK && summary.n)
            (void)json_object_set_new(statuses, feature_status_name((enum feature_status)i),
                                      json_summary(&summary));
    }
    json_t *document =
        status == ST_OK
            ? json_pack("{s:s, s:s, s:O, s:I, s:I, s:O, s:O, s:o}", "first", sweep_of(self, 0),
                        "second", sweep_of(self, 1), "differing", self->differing, "only_first",
                        (json_int_t)self->pairs.n_only_first, "only_second",
                        (json_int_t)self->pairs.n_only_second, "all", all, "by_status", statuses,
                        "pairs", json_pairs(self))
            : NULL;
    if (status == ST_OK)
        status = document ? document_print(self->cli->out, "Comparison", document, err)
                          : error_set(err, ST_NO_MEMORY, "comparison");
    json_decref(document);
    json_decref(all);
    json_decref(statuses);
    return status;
}

/* --- CSV ----------------------------------------------------------------------------------- */

static status_t print_csv_side(FILE *out, const struct compare_row *row, struct error *err)
{
    struct buffer label;
    buffer_init(&label, CELL_BYTES);
    status_t status = ST_OK;
    if (row->label) status = csv_text_append(&label, row->label, strlen(row->label), err);
    (void)fprintf(out, ",%s,", feature_status_name((enum feature_status)row->status));
    if (status == ST_OK && label.n_bytes) (void)fwrite(label.bytes, 1, label.n_bytes, out);
    (void)fprintf(out, ",%s", row->is_supported ? "true" : "false");
    for (size_t i = 0; i < COMPARE_N_SCORES; i++)
        if (isnan(row->scores[i]))
            (void)fputc(',', out);
        else
            (void)fprintf(out, ",%.12g", row->scores[i]);
    buffer_fini(&label);
    return status;
}

static status_t print_csv(const struct comparison *self, struct error *err)
{
    static const char *const sides[] = {"first", "second"};
    FILE *out = self->cli->out;
    status_t status = ST_OK;
    if (!self->arguments->no_headers) {
        (void)fputs("target,feature,label_changed", out);
        for (size_t i = 0; i < 2; i++) {
            (void)fprintf(out, ",%s.status,%s.label,%s.supported", sides[i], sides[i], sides[i]);
            for (size_t k = 0; k < COMPARE_N_SCORES; k++)
                (void)fprintf(out, ",%s.%s", sides[i], compare_score_names[k]);
        }
        (void)fputs("\r\n", out);
    }
    for (size_t i = 0; i < self->pairs.n && status == ST_OK; i++) {
        const struct compare_pair *pair = self->by_change[i];
        (void)fprintf(out, "%u,%llu,%s", pair->first->target,
                      (unsigned long long)pair->first->feature,
                      compare_pair_changed(pair) ? "true" : "false");
        status = print_csv_side(out, pair->first, err);
        if (status == ST_OK) status = print_csv_side(out, pair->second, err);
        (void)fputs("\r\n", out);
    }
    return status;
}

/* --- for people ---------------------------------------------------------------------------- */

static void print_flags(const struct comparison *self)
{
    char line[FLAG_SIZE] = "";
    size_t used = 0;
    for (size_t i = 0; i < json_array_size(self->differing) && used < sizeof line - 1; i++) {
        const int n = snprintf(line + used, sizeof line - used, "%s%s", i ? ", " : "",
                               json_string_value(json_array_get(self->differing, i)));
        used += n > 0 ? (size_t)n : 0;
    }
    status_text_line(self->cli, "differ in", line[0] ? line : "nothing but their names");
    (void)snprintf(line, sizeof line, "%zu; %zu in %.60s only, %zu in %.60s only", self->pairs.n,
                   self->pairs.n_only_first, sweep_of(self, 0), self->pairs.n_only_second,
                   sweep_of(self, 1));
    status_text_line(self->cli, "features", line);
}

static const struct text_column summary_columns[] = {
    {"STATUS", false, false}, {"FEATURES", true, false},  {"NEW LABEL", true, false},
    {"BOTH", true, false},    {"LOST", true, false},      {"GAINED", true, false},
    {"P", true, false},       {"DETECTION", true, false}, {"95 %", false, false}};

static status_t add_summary(struct text_table *table, const char *name,
                            const struct compare_summary *of, struct error *err)
{
    char cells[8][48];
    const size_t counts[] = {of->n, of->n_changed, of->n_both, of->n_lost, of->n_gained};
    const size_t shown = of->scores[0].n ? 0 : 2; /* fuzzing where nothing was detected */
    const struct compare_difference *score = &of->scores[shown];
    for (size_t i = 0; i < 5; i++) (void)snprintf(cells[i], sizeof cells[i], "%zu", counts[i]);
    (void)snprintf(cells[5], sizeof cells[5], "%.2g", of->mcnemar_p);
    (void)snprintf(cells[6], sizeof cells[6], "%+.3f", score->mean);
    (void)snprintf(cells[7], sizeof cells[7], "%+.3f to %+.3f", score->interval.low,
                   score->interval.high);
    const char *const row[] = {name,
                               cells[0],
                               cells[1],
                               cells[2],
                               cells[3],
                               cells[4],
                               cells[5],
                               score->n ? cells[6] : NULL,
                               score->interval.is_defined ? cells[7] : NULL};
    return text_table_add_cells(table, row, sizeof row / sizeof row[0], err);
}

static status_t print_summaries(const struct comparison *self, struct error *err)
{
    const struct text_table_style style = status_text_style(self->cli, self->arguments);
    struct text_table *table = NULL;
    struct compare_summary summary;
    status_t status = text_table_create(&table, summary_columns,
                                        sizeof summary_columns / sizeof summary_columns[0], err);
    for (int i = 0; i <= FEATURE_N_STATUSES && status == ST_OK; i++) {
        const bool is_all = i == FEATURE_N_STATUSES;
        status = compare_summarise(&self->pairs, is_all ? COMPARE_ALL_STATUSES : i, self->seed,
                                   &summary, err);
        if (status == ST_OK && summary.n)
            status = add_summary(
                table, is_all ? "all" : feature_status_name((enum feature_status)i), &summary, err);
    }
    if (status == ST_OK) {
        (void)fputc('\n', self->cli->out);
        text_table_print(table, &style, self->cli->out);
    }
    text_table_destroy(&table);
    return status;
}

static const struct text_column change_columns[] = {
    {"FEATURE", true, false}, {"FIRST", true, false},      {"SECOND", true, false},
    {"BY", true, false},      {"SUPPORTED", false, false}, {"LABEL, AND THE OTHER'S", false, true}};

static void score_cell(double value, const char *format, char out[24])
{
    if (isnan(value))
        (void)snprintf(out, 24, "-");
    else if (*format == '+')
        (void)snprintf(out, 24, "%+.3f", value);
    else
        (void)snprintf(out, 24, "%.3f", value);
}

static status_t add_change(struct text_table *table, const struct compare_pair *pair,
                           struct error *err)
{
    static const char *const support[2][2] = {{"no", "gained"}, {"lost", "yes"}};
    char feature[48], first[24], second[24], by[24];
    const size_t score = isnan(pair->first->scores[0]) && isnan(pair->second->scores[0]) ? 2 : 0;
    struct buffer labels;
    buffer_init(&labels, CELL_BYTES);
    if (pair->first->target)
        (void)snprintf(feature, sizeof feature, "%u:%llu", pair->first->target,
                       (unsigned long long)pair->first->feature);
    else
        (void)snprintf(feature, sizeof feature, "%llu", (unsigned long long)pair->first->feature);
    score_cell(pair->first->scores[score], "", first);
    score_cell(pair->second->scores[score], "", second);
    score_cell(compare_pair_difference(pair, score), "+", by);
    const char *a = pair->first->label ? pair->first->label : "(none)";
    const char *b = pair->second->label ? pair->second->label : "(none)";
    status_t status = buffer_append_text(&labels, a, err);
    if (status == ST_OK && compare_pair_changed(pair)) {
        status = buffer_append_text(&labels, " -> ", err);
        if (status == ST_OK) status = buffer_append_text(&labels, b, err);
    }
    const char *const row[] = {feature,
                               first,
                               second,
                               by,
                               support[pair->first->is_supported][pair->second->is_supported],
                               buffer_text(&labels)};
    if (status == ST_OK) status = text_table_add_cells(table, row, sizeof row / sizeof row[0], err);
    buffer_fini(&labels);
    return status;
}

static status_t print_changes(const struct comparison *self, struct error *err)
{
    const struct text_table_style style = status_text_style(self->cli, self->arguments);
    const size_t limit =
        self->arguments->limit < 0 ? SHOWN_CHANGES : (size_t)self->arguments->limit;
    struct text_table *table = NULL;
    size_t n_left = 0;
    status_t status = text_table_create(&table, change_columns,
                                        sizeof change_columns / sizeof change_columns[0], err);
    for (size_t i = 0; i < self->pairs.n && status == ST_OK; i++) {
        const struct compare_pair *pair = self->by_change[i];
        if (!compare_pair_changed(pair) && !(change_of(pair) > 0)) continue;
        if (text_table_n_rows(table) < limit)
            status = add_change(table, pair, err);
        else
            n_left++;
    }
    if (status == ST_OK && text_table_n_rows(table)) {
        (void)fputc('\n', self->cli->out);
        text_table_print(table, &style, self->cli->out);
    }
    if (n_left) (void)fprintf(self->cli->err, "%zu more changed: -n shows them\n", n_left);
    text_table_destroy(&table);
    return status;
}

static status_t print_text(const struct comparison *self, struct error *err)
{
    char line[256];
    (void)snprintf(line, sizeof line, "%.100s, then %.100s", sweep_of(self, 0), sweep_of(self, 1));
    status_text_line(self->cli, "compared", line);
    print_flags(self);
    const status_t status = print_summaries(self, err);
    return status == ST_OK ? print_changes(self, err) : status;
}

status_t compare_command(struct cli *cli, const struct cli_arguments *arguments, struct error *err)
{
    struct comparison self = {.cli = cli,
                              .arguments = arguments,
                              .seed = arguments->seed < 0 ? 0 : (uint64_t)arguments->seed};
    status_t status = read_both(&self, err);
    if (status == ST_OK && arguments->format == CLI_FORMAT_JSON)
        status = print_json(&self, err);
    else if (status == ST_OK && arguments->format == CLI_FORMAT_CSV)
        status = print_csv(&self, err);
    else if (status == ST_OK)
        status = print_text(&self, err);
    compare_pairs_fini(&self.pairs);
    for (size_t i = 0; i < 2; i++) {
        compare_rows_fini(&self.rows[i]);
        json_decref(self.sweeps[i]);
    }
    json_decref(self.differing);
    free(self.by_change);
    return status;
}
