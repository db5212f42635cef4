/* Records as rows: tables and CSV. See record_text.h. */
#include "common/quantity.h"
#include "coordinator/cli/csv_text.h"
#include "coordinator/cli/json_field.h"
#include "coordinator/cli/record_text.h"

#include <errno.h>
#include <math.h>
#include <string.h>

enum { N_COLUMNS = 17, N_NARROW = 9, CSV_FIELD_BYTES = 4 << 20 };

double record_score(const json_t *record, const char *score, const char *negatives)
{
    char path[80];
    (void)snprintf(path, sizeof path, "scores.%s.%s.balanced_accuracy", score, negatives);
    return json_field_number(record, path);
}

double record_main_score(const json_t *record)
{
    const double detection = record_score(record, "detection", "random");
    return isnan(detection) ? record_score(record, "fuzzing", "random") : detection;
}

/* --- table --------------------------------------------------------------------------------- */

static const struct text_column columns[N_COLUMNS] = {
    {"FEATURE", true, false},    {"STATUS", false, false},    {"TYPE", false, false},
    {"DETECTION", true, false},  {"HARD", true, false},       {"FUZZING", true, false},
    {"SUPPORTED", false, false}, {"FIRES", true, false},      {"LABEL", false, true},
    {"CLAIMED", false, false},   {"95 %", false, false},      {"DOCUMENTS", true, false},
    {"HOOK", false, true},       {"EXPLAINER", false, false}, {"JUDGE", false, false},
    {"SIMULATION", true, false}, {"KAPPA", true, false}};

const struct text_column *record_columns(bool is_wide, size_t *n_columns)
{
    *n_columns = is_wide ? N_COLUMNS : N_NARROW;
    return columns;
}

/* Share of tokens on which it fires: "0.12 %". */
static char *density_text(const json_t *record, char out[QUANTITY_SIZE])
{
    const double density = json_field_number(record, "firing.density");
    if (isnan(density)) return quantity_score(density, out);
    (void)snprintf(out, QUANTITY_SIZE, "%.3g %%", density * 100);
    return out;
}

static char *interval_text(const json_t *record, char out[QUANTITY_SIZE])
{
    const json_t *interval = json_field(record, "scores.detection.random.interval");
    if (json_array_size(interval) != 2) return quantity_score(NAN, out);
    (void)snprintf(out, QUANTITY_SIZE, "%.2f-%.2f", json_number_value(json_array_get(interval, 0)),
                   json_number_value(json_array_get(interval, 1)));
    return out;
}

/* Of the first judge and the second, on detection (else fuzzing); NAN with one judge. */
static double record_kappa(const json_t *record)
{
    const json_t *cohen = json_field(record, "agreement.detection.cohen");
    if (!cohen) cohen = json_field(record, "agreement.fuzzing.cohen");
    return json_field_number(json_array_get(cohen, 0), "kappa");
}

static const char *support_text(const json_t *record)
{
    if (!json_field(record, "scores.detection.random.verdict") &&
        !json_field(record, "scores.fuzzing.random.verdict"))
        return "-";
    return json_field_is_true(record, "supported") ? "yes" : "no";
}

status_t record_add_row(struct text_table *table, bool is_wide, const json_t *record,
                        struct error *err)
{
    char feature[QUANTITY_SIZE], random[QUANTITY_SIZE], hard[QUANTITY_SIZE];
    char fuzzing[QUANTITY_SIZE], fires[QUANTITY_SIZE], interval[QUANTITY_SIZE];
    char documents[QUANTITY_SIZE], simulation[QUANTITY_SIZE], kappa[QUANTITY_SIZE];
    (void)snprintf(feature, sizeof feature, "%.0f", json_field_number(record, "feature"));
    const char *const cells[N_COLUMNS] = {
        feature,
        json_field_text(record, "status", NULL),
        json_field_text(record, "typing.type", NULL),
        quantity_score(record_score(record, "detection", "random"), random),
        quantity_score(record_score(record, "detection", "hard"), hard),
        quantity_score(record_score(record, "fuzzing", "random"), fuzzing),
        support_text(record),
        density_text(record, fires),
        json_field_text(record, "label", NULL),
        json_field_text(record, "type", NULL),
        interval_text(record, interval),
        quantity_count(json_field_number(record, "firing.n_test_documents"), documents),
        json_field_text(record, "target.hook_point", NULL),
        json_field_text(record, "explainer", NULL),
        json_field_text(record, "judge", NULL),
        quantity_score(json_field_number(record, "scores.simulation.random.pearson"), simulation),
        quantity_score(record_kappa(record), kappa),
    };
    const size_t n = is_wide ? N_COLUMNS : N_NARROW;
    return text_table_add_cells(table, cells, n, err);
}

/* --- CSV ----------------------------------------------------------------------------------- */

static const char *const csv_paths[] = {"feature",
                                        "target.hook_point",
                                        "target.dictionary",
                                        "status",
                                        "label",
                                        "type",
                                        "typing.type",
                                        "scores.detection.random.balanced_accuracy",
                                        "scores.detection.random.f1",
                                        "scores.detection.random.auroc",
                                        "scores.detection.random.null.z",
                                        "scores.detection.random.null.p",
                                        "scores.detection.hard.balanced_accuracy",
                                        "scores.fuzzing.random.balanced_accuracy",
                                        "scores.fuzzing.hard.balanced_accuracy",
                                        "scores.simulation.random.pearson",
                                        "scores.simulation.random.null.z",
                                        "supported",
                                        "firing.density",
                                        "firing.max",
                                        "firing.n_test_documents",
                                        "explainer",
                                        "judge",
                                        "control",
                                        "same_family_allowed"};
enum { N_CSV = sizeof csv_paths / sizeof csv_paths[0] };

void record_print_csv_heading(FILE *out)
{
    for (size_t i = 0; i < N_CSV; i++) (void)fprintf(out, "%s%s", i ? "," : "", csv_paths[i]);
    (void)fputs("\r\n", out);
}

static status_t print_csv_text(FILE *out, const json_t *value, struct error *err)
{
    struct buffer field;
    buffer_init(&field, CSV_FIELD_BYTES);
    const status_t status =
        csv_text_append(&field, json_string_value(value), json_string_length(value), err);
    if (status == ST_OK && field.n_bytes) (void)fwrite(field.bytes, 1, field.n_bytes, out);
    buffer_fini(&field);
    return status;
}

status_t record_print_csv(FILE *out, const json_t *record, struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = 0; i < N_CSV && status == ST_OK; i++) {
        const json_t *value = json_field(record, csv_paths[i]);
        if (i) (void)fputc(',', out);
        if (json_is_string(value))
            status = print_csv_text(out, value, err);
        else if (json_is_integer(value))
            (void)fprintf(out, "%lld", (long long)json_integer_value(value));
        else if (json_is_number(value))
            (void)fprintf(out, "%.12g", json_number_value(value));
        else if (json_is_boolean(value))
            (void)fputs(json_is_true(value) ? "true" : "false", out);
    }
    (void)fputs("\r\n", out);
    return status;
}
