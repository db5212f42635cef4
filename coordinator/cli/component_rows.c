#include "coordinator/cli/component_rows.h"

#include "coordinator/cli/json_field.h"

#include <math.h>

enum { N_NARROW = 6, N_COLUMNS = 9, NUMBER_SIZE = 24, CONTEXT_SIZE = 128 };

static const struct text_column columns[N_COLUMNS] = {
    {"COMPONENT", false, false}, {"CIRCUIT", false, false},
    {"CLASS", false, false},     {"EFFECT", true, false},
    {"P", true, false},          {"FOUND", false, false},
    {"GIVEN", false, true},      {"EFFECT GIVEN", true, false},
    {"HOOK POINT", false, true}};

bool component_row_is(const json_t *record)
{
    return json_is_string(json_object_get(record, "component"));
}

const struct text_column *component_row_columns(bool is_wide, size_t *n_columns)
{
    *n_columns = is_wide ? N_COLUMNS : N_NARROW;
    return columns;
}

static const char *number(const json_t *record, const char *path, int n_digits,
                          char out[NUMBER_SIZE])
{
    const double value = json_field_number(record, path);
    if (isnan(value)) return NULL;
    (void)snprintf(out, NUMBER_SIZE, "%.*g", n_digits, value);
    return out;
}

/* The components that were ablated too, between `separator`s; names are ours. */
static const char *context(const json_t *record, const char *separator, char out[CONTEXT_SIZE])
{
    const json_t *names = json_field(record, "given.context");
    size_t used = 0;
    if (json_array_size(names) == 0) return NULL;
    out[0] = '\0';
    for (size_t i = 0; i < json_array_size(names) && used < CONTEXT_SIZE; i++)
        used += (size_t)snprintf(out + used, CONTEXT_SIZE - used, "%s%s", i ? separator : "",
                                 json_string_value(json_array_get(names, i)));
    return out;
}

status_t component_row_add(struct text_table *table, bool is_wide, const json_t *record,
                           struct error *err)
{
    char effect[NUMBER_SIZE], p[NUMBER_SIZE], given[NUMBER_SIZE], names[CONTEXT_SIZE];
    const char *const cells[N_COLUMNS] = {json_field_text(record, "component", NULL),
                                          json_field_is_true(record, "in_circuit") ? "yes" : "no",
                                          json_field_text(record, "class", NULL),
                                          number(record, "effect.mean", 4, effect),
                                          number(record, "effect.p", 2, p),
                                          json_field_text(record, "reason", NULL),
                                          context(record, ", ", names),
                                          number(record, "given.mean", 4, given),
                                          json_field_text(record, "hook_point", NULL)};
    return text_table_add_cells(table, cells, is_wide ? N_COLUMNS : N_NARROW, err);
}

status_t component_row_fields(json_t *fields, struct error *err)
{
    static const char *const paths[] = {"component", "hook_point", "in_circuit",
                                        "class",     "value",      "effect",
                                        "reason",    "given",      "head_scores"};
    int failed = 0;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        failed |= json_array_append_new(fields, json_string(paths[i]));
    return failed ? error_set(err, ST_NO_MEMORY, "fields of a record") : ST_OK;
}

void component_row_print_csv_heading(FILE *out)
{
    (void)fputs("component,hook_point,in_circuit,class,value,effect,standard_error,p,reason,given,"
                "effect_given,p_given,previous_token,duplicate_token,induction\r\n",
                out);
}

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

void component_row_print_csv(FILE *out, const json_t *record)
{
    char effect[NUMBER_SIZE], error[NUMBER_SIZE], p[NUMBER_SIZE], given[NUMBER_SIZE];
    char p_given[NUMBER_SIZE], names[CONTEXT_SIZE];
    char previous[NUMBER_SIZE], duplicate[NUMBER_SIZE], induction[NUMBER_SIZE];
    (void)fprintf(
        out, "%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s\r\n",
        json_field_text(record, "component", ""), json_field_text(record, "hook_point", ""),
        json_field_is_true(record, "in_circuit") ? "true" : "false",
        json_field_text(record, "class", ""), json_field_text(record, "value", ""),
        or_empty(number(record, "effect.mean", 12, effect)),
        or_empty(number(record, "effect.standard_error", 12, error)),
        or_empty(number(record, "effect.p", 12, p)), json_field_text(record, "reason", ""),
        or_empty(context(record, " ", names)), or_empty(number(record, "given.mean", 12, given)),
        or_empty(number(record, "given.p", 12, p_given)),
        or_empty(number(record, "head_scores.previous_token", 12, previous)),
        or_empty(number(record, "head_scores.duplicate_token", 12, duplicate)),
        or_empty(number(record, "head_scores.induction", 12, induction)));
}
