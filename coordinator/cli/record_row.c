/* Records as rows: tables and CSV. See record_text.h. */
#include "common/quantity.h"
#include "coordinator/cli/csv_text.h"
#include "coordinator/cli/json_field.h"
#include "coordinator/cli/record_text.h"

#include <errno.h>
#include <math.h>
#include <string.h>

enum { CSV_FIELD_BYTES = 4 << 20, GAP = 2, LABEL_LEAST = 28 };

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

enum column {
    FEATURE,
    STATUS,
    TYPE,
    DETECTION,
    HARD,
    FUZZING,
    SUPPORTED,
    FIRES,
    CLAIMED,
    INTERVAL,
    DOCUMENTS,
    HOOK,
    EXPLAINER,
    JUDGE,
    SIMULATION,
    KAPPA,
    LABEL,
    N_COLUMNS
};
_Static_assert((int)N_COLUMNS == RECORD_MAX_COLUMNS, "as in record_text.h");

static const struct column_info {
    struct text_column column;
    size_t width;    /* what any record needs, as far as that is known */
    bool is_narrow;  /* not only of -o wide */
    unsigned leaves; /* 1: the first to go where a terminal has no room for the label; 0: stays */
} infos[N_COLUMNS] = {
    [FEATURE] = {{"FEATURE", true, false}, 7, true, 0},
    [STATUS] = {{"STATUS", false, false}, 12, true, 0}, /* insufficient */
    [TYPE] = {{"TYPE", false, false}, 12, true, 4},     /* polysemantic */
    [DETECTION] = {{"DETECTION", true, false}, 9, true, 0},
    [HARD] = {{"HARD", true, false}, 4, true, 2},
    [FUZZING] = {{"FUZZING", true, false}, 7, true, 3},
    [SUPPORTED] = {{"SUPPORTED", false, false}, 9, true, 0},
    [FIRES] = {{"FIRES", true, false}, 9, true, 1}, /* 0.00123 % */
    [CLAIMED] = {{"CLAIMED", false, false}, 12, false, 0},
    [INTERVAL] = {{"95 %", false, false}, 9, false, 0},
    [DOCUMENTS] = {{"DOCUMENTS", true, false}, 9, false, 0},
    [HOOK] = {{"HOOK", false, true}, 24, false, 0},
    [EXPLAINER] = {{"EXPLAINER", false, false}, 9, false, 0},
    [JUDGE] = {{"JUDGE", false, false}, 5, false, 0},
    [SIMULATION] = {{"SIMULATION", true, false}, 10, false, 0},
    [KAPPA] = {{"KAPPA", true, false}, 5, false, 0},
    [LABEL] = {{"LABEL", false, true}, LABEL_LEAST, true, 0},
};

/* Is it there when the first `n_left` have left? */
static bool is_shown(enum column i, bool is_wide, unsigned n_left)
{
    return is_wide || (infos[i].is_narrow && (infos[i].leaves == 0 || infos[i].leaves > n_left));
}

/* How many columns have to leave. */
static unsigned count_leaving(bool is_wide, size_t width)
{
    unsigned n_left = 0, n_may_leave = 0;
    for (enum column i = 0; i < N_COLUMNS; i++) n_may_leave += infos[i].leaves != 0;
    if (is_wide || width == 0) return 0;
    for (; n_left < n_may_leave; n_left++) {
        size_t total = 0;
        for (enum column i = 0; i < N_COLUMNS; i++)
            if (is_shown(i, is_wide, n_left)) total += infos[i].width + GAP;
        if (total - GAP <= width) break;
    }
    return n_left;
}

void record_columns_choose(struct record_columns *out, bool is_wide, size_t width)
{
    const unsigned n_left = count_leaving(is_wide, width);
    size_t used = 0;
    *out = (struct record_columns){.n_columns = 0};
    for (enum column i = 0; i < N_COLUMNS; i++) {
        if (is_shown(i, is_wide, n_left)) {
            out->columns[out->n_columns] = infos[i].column;
            out->of[out->n_columns++] = (unsigned char)i;
        } else if (infos[i].is_narrow && used < sizeof out->hidden) {
            used += (size_t)snprintf(out->hidden + used, sizeof out->hidden - used, "%s%s",
                                     used ? ", " : "", infos[i].column.heading);
        }
    }
}

void record_columns_reserve(const struct record_columns *columns, struct text_table *table)
{
    for (size_t i = 0; i < columns->n_columns; i++)
        if (columns->of[i] != LABEL) text_table_reserve(table, i, infos[columns->of[i]].width);
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

status_t record_add_row(struct text_table *table, const struct record_columns *columns,
                        const json_t *record, struct error *err)
{
    status_t status = ST_OK;
    char feature[QUANTITY_SIZE], random[QUANTITY_SIZE], hard[QUANTITY_SIZE];
    char fuzzing[QUANTITY_SIZE], fires[QUANTITY_SIZE], interval[QUANTITY_SIZE];
    char documents[QUANTITY_SIZE], simulation[QUANTITY_SIZE], kappa[QUANTITY_SIZE];
    (void)snprintf(feature, sizeof feature, "%.0f", json_field_number(record, "feature"));
    const char *const cells[N_COLUMNS] = {
        [FEATURE] = feature,
        [STATUS] = json_field_text(record, "status", NULL),
        [TYPE] = json_field_text(record, "typing.type", NULL),
        [DETECTION] = quantity_score(record_score(record, "detection", "random"), random),
        [HARD] = quantity_score(record_score(record, "detection", "hard"), hard),
        [FUZZING] = quantity_score(record_score(record, "fuzzing", "random"), fuzzing),
        [SUPPORTED] = support_text(record),
        [FIRES] = density_text(record, fires),
        [LABEL] = json_field_text(record, "label", NULL),
        [CLAIMED] = json_field_text(record, "type", NULL),
        [INTERVAL] = interval_text(record, interval),
        [DOCUMENTS] =
            quantity_count(json_field_number(record, "firing.n_test_documents"), documents),
        [HOOK] = json_field_text(record, "target.hook_point", NULL),
        [EXPLAINER] = json_field_text(record, "explainer", NULL),
        [JUDGE] = json_field_text(record, "judge", NULL),
        [SIMULATION] = quantity_score(json_field_number(record, "scores.simulation.random.pearson"),
                                      simulation),
        [KAPPA] = quantity_score(record_kappa(record), kappa),
    };
    for (size_t i = 0; i < columns->n_columns && status == ST_OK; i++)
        status = text_table_add(table, cells[columns->of[i]], err);
    return status;
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

/* Of the table alone. */
static const char *const table_paths[] = {
    "scores.detection.random.interval", "scores.detection.random.verdict",
    "scores.fuzzing.random.verdict", "agreement.detection.cohen", "agreement.fuzzing.cohen"};
enum { N_TABLE_PATHS = sizeof table_paths / sizeof table_paths[0] };

status_t record_row_fields(json_t *fields, struct error *err)
{
    int failed = 0;
    for (size_t i = 0; i < N_CSV; i++)
        failed |= json_array_append_new(fields, json_string(csv_paths[i]));
    for (size_t i = 0; i < N_TABLE_PATHS; i++)
        failed |= json_array_append_new(fields, json_string(table_paths[i]));
    return failed ? error_set(err, ST_NO_MEMORY, "fields of a record") : ST_OK;
}

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
