#include "coordinator/cli/status_text.h"

#include "common/quantity.h"
#include "coordinator/cli/agreement_text.h"
#include "coordinator/cli/clean_text.h"
#include "coordinator/cli/json_field.h"
#include "coordinator/cli/progress.h"
#include "coordinator/cli/wrapped_text.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

enum { LINE_MAX_BYTES = 8192, N_LIST_COLUMNS = 12, N_LIST_NARROW = 8 };

struct text_table_style status_text_style(const struct cli *cli,
                                          const struct cli_arguments *arguments)
{
    return (struct text_table_style){
        .has_heading = !arguments->no_headers,
        .has_color = cli->has_color,
        .width = arguments->format == CLI_FORMAT_WIDE ? 0 : cli->width,
    };
}

/* --- the list ------------------------------------------------------------------------------ */

static const struct text_column list_columns[N_LIST_COLUMNS] = {
    {"SWEEP", false, true}, {"STATE", false, false},     {"PHASE", false, true},
    {"DONE", true, false},  {"FEATURES", true, false},   {"LABELLED", true, false},
    {"ETA", true, false},   {"CREATED", false, false},   {"SUPPORTED", true, false},
    {"SPENT", true, false}, {"EXPLAINER", false, false}, {"JUDGE", false, false}};

/* A column that is there only when a sweep of the list is a control. */
static bool has_controls(const json_t *sweeps)
{
    for (size_t i = 0; i < json_array_size(sweeps); i++)
        if (json_field_text(json_array_get(sweeps, i), "control", NULL)) return true;
    return false;
}

static status_t add_list_row(struct text_table *table, const json_t *sweep, size_t n_columns,
                             bool has_control, struct error *err)
{
    char done[QUANTITY_SIZE], features[QUANTITY_SIZE], labelled[QUANTITY_SIZE];
    char eta[QUANTITY_SIZE], supported[QUANTITY_SIZE], spent[QUANTITY_SIZE], created[20];
    const int n_created = n_columns == N_LIST_COLUMNS ? 19 : 16; /* to seconds, or to minutes */
    const double n_features = json_field_number(sweep, "n_features");
    const bool has_features = n_features > 0; /* a circuit sweep has none, a new one none yet */
    (void)snprintf(created, sizeof created, "%.*s", n_created,
                   json_field_text(sweep, "created_at", "-"));
    const char *const cells[N_LIST_COLUMNS] = {
        json_field_text(sweep, "id", NULL),
        json_field_text(sweep, "state", NULL),
        json_field_text(sweep, "phase", NULL),
        quantity_percent(json_field_number(sweep, "progress"), done),
        quantity_count(has_features ? n_features : NAN, features),
        quantity_count(has_features ? json_field_number(sweep, "n_labelled") : NAN, labelled),
        quantity_seconds(json_field_number(sweep, "eta_seconds"), eta),
        created,
        quantity_count(json_field_number(sweep, "n_supported"), supported),
        quantity_dollars(json_field_number(sweep, "spent_dollars"), spent),
        json_field_text(sweep, "explainer", NULL),
        json_field_text(sweep, "judge", NULL),
    };
    status_t status = text_table_add_cells(table, cells, n_columns, err);
    if (status == ST_OK && has_control)
        status = text_table_add(table, json_field_text(sweep, "control", "-"), err);
    return status;
}

status_t status_text_list(const struct cli *cli, const struct cli_arguments *arguments,
                          const json_t *sweeps, struct error *err)
{
    struct text_table *table = NULL;
    const bool is_wide = arguments->format == CLI_FORMAT_WIDE;
    const size_t n_columns = is_wide ? N_LIST_COLUMNS : N_LIST_NARROW;
    const bool has_control = has_controls(sweeps);
    struct text_column columns[N_LIST_COLUMNS + 1];
    const struct text_table_style style = status_text_style(cli, arguments);
    if (json_array_size(sweeps) == 0) {
        (void)fprintf(cli->err, "no sweeps yet: interpctl submit FILE starts one\n");
        return ST_OK;
    }
    memcpy(columns, list_columns, n_columns * sizeof *columns);
    columns[n_columns] = (struct text_column){"CONTROL", false, false};
    status_t status = text_table_create(&table, columns, n_columns + has_control, err);
    for (size_t i = 0; i < json_array_size(sweeps) && status == ST_OK; i++)
        status = add_list_row(table, json_array_get(sweeps, i), n_columns, has_control, err);
    if (status == ST_OK) text_table_print(table, &style, cli->out);
    text_table_destroy(&table);
    return status;
}

/* --- one sweep ----------------------------------------------------------------------------- */

void status_text_line(const struct cli *cli, const char *name, const char *value)
{
    struct buffer clean;
    buffer_init(&clean, LINE_MAX_BYTES);
    if (clean_text_append(&clean, value, strlen(value), 0, NULL, NULL) == ST_OK && clean.n_bytes) {
        const int indent = fprintf(cli->out, "%-11s ", name);
        wrapped_text_continue(cli->out, buffer_text(&clean), indent > 0 ? (size_t)indent : 0,
                              cli->width);
    }
    buffer_fini(&clean);
}

void status_text_print_waivers(const struct cli *cli, const json_t *from)
{
    const char *control = json_field_text(from, "control", NULL);
    char line[128];
    (void)snprintf(line, sizeof line, "%.40s: a baseline, nothing here is a finding",
                   control ? control : "");
    if (control) status_text_line(cli, "control", line);
    if (json_field_is_true(from, "same_family_allowed"))
        status_text_line(cli, "families", "explainer and judge may be of one family");
}

/* "3 queued, 1 in flight"; nothing where nothing was counted. */
static void print_counts(const struct cli *cli, const char *title, const json_t *counts)
{
    struct buffer line;
    const char *key;
    json_t *value;
    double sum = 0;
    buffer_init(&line, LINE_MAX_BYTES);
    json_object_foreach((json_t *)(uintptr_t)counts, key, value)
    {
        char number[QUANTITY_SIZE];
        if (!json_is_number(value)) continue;
        sum += json_number_value(value);
        const int n_before = (int)strcspn(key, "_");
        const char *behind = key[n_before] ? key + n_before + 1 : "";
        if (buffer_printf(&line, NULL, "%s%s %.*s%s%s", line.n_bytes ? ", " : "",
                          quantity_count(json_number_value(value), number), n_before, key,
                          *behind ? " " : "", behind) != ST_OK)
            break;
    }
    if (sum > 0) status_text_line(cli, title, buffer_text(&line));
    buffer_fini(&line);
}

static void print_spend(const struct cli *cli, const json_t *sweep)
{
    char line[256], spent[QUANTITY_SIZE], budget[QUANTITY_SIZE], in[QUANTITY_SIZE];
    char out[QUANTITY_SIZE], uncertain[QUANTITY_SIZE];
    const double n_in = json_field_number(sweep, "spend.tokens_in");
    const double n_uncertain = json_field_number(sweep, "spend.uncertain_dollars");
    if (!(n_in > 0) && !(json_field_number(sweep, "spend.dollars") > 0)) return;
    (void)snprintf(line, sizeof line, "%s of %s; %s tokens in, %s out%s%s",
                   quantity_dollars(json_field_number(sweep, "spend.dollars"), spent),
                   quantity_dollars(json_field_number(sweep, "budget_dollars"), budget),
                   quantity_count(n_in, in),
                   quantity_count(json_field_number(sweep, "spend.tokens_out"), out),
                   n_uncertain > 0 ? "; uncertain " : "",
                   n_uncertain > 0 ? quantity_dollars(n_uncertain, uncertain) : "");
    status_text_line(cli, "spent", line);
}

static void print_pin(const struct cli *cli, const json_t *sweep)
{
    const char *backend = json_field_text(sweep, "backend", NULL);
    const char *isa = json_field_text(sweep, "isa", "");
    char line[128];
    if (!backend) return;
    const bool says_both = strncmp(isa, backend, strlen(backend)) == 0; /* "cpu avx512 ..." */
    (void)snprintf(line, sizeof line, "%s%s%s", says_both ? "" : backend, says_both ? "" : " ",
                   isa);
    status_text_line(cli, "runs on", line);
}

static void print_splits(const struct cli *cli, const json_t *sweep)
{
    static const char *const names[] = {"explain", "validate", "test", "ood"};
    struct buffer line;
    buffer_init(&line, LINE_MAX_BYTES);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[64], documents[QUANTITY_SIZE], tokens[QUANTITY_SIZE];
        (void)snprintf(path, sizeof path, "splits.%s", names[i]);
        const json_t *split = json_field(sweep, path);
        const double n_documents = json_field_number(split, "n_documents");
        if (!(n_documents > 0)) continue;
        if (buffer_printf(&line, NULL, "%s%s %s documents / %s tokens", line.n_bytes ? ", " : "",
                          names[i], quantity_count(n_documents, documents),
                          quantity_count(json_field_number(split, "n_tokens"), tokens)) != ST_OK)
            break;
    }
    if (line.n_bytes) status_text_line(cli, "corpus", buffer_text(&line));
    buffer_fini(&line);
}

static const struct text_column phase_columns[] = {
    {"PHASE", false, false}, {"TASK", false, false},       {"UNITS", true, false},
    {"READY", true, false},  {"LEASED", true, false},      {"DONE", true, false},
    {"DEAD", true, false},   {"A UNIT TAKES", true, false}};

static status_t add_phase(struct text_table *table, const json_t *phase, struct error *err)
{
    static const char *const counts[] = {"n_units", "ready", "leased", "done", "dead"};
    char cell[QUANTITY_SIZE];
    status_t status = text_table_add(table, json_field_text(phase, "name", NULL), err);
    if (status == ST_OK) status = text_table_add(table, json_field_text(phase, "kind", NULL), err);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0] && status == ST_OK; i++)
        status =
            text_table_add(table, quantity_count(json_field_number(phase, counts[i]), cell), err);
    if (status == ST_OK)
        status = text_table_add(
            table, quantity_seconds(json_field_number(phase, "seconds_per_unit"), cell), err);
    return status;
}

static status_t print_phases(const struct cli *cli, const json_t *phases, struct error *err)
{
    struct text_table *table = NULL;
    const struct text_table_style style = {
        .has_heading = true, .has_color = cli->has_color, .width = cli->width};
    if (json_array_size(phases) == 0) return ST_OK;
    status_t status = text_table_create(&table, phase_columns,
                                        sizeof phase_columns / sizeof phase_columns[0], err);
    for (size_t i = 0; i < json_array_size(phases) && status == ST_OK; i++)
        status = add_phase(table, json_array_get(phases, i), err);
    if (status == ST_OK) {
        (void)fputc('\n', cli->out);
        text_table_print(table, &style, cli->out);
    }
    text_table_destroy(&table);
    return status;
}

static void print_times(const struct cli *cli, const json_t *sweep)
{
    static const char *const times[][2] = {
        {"created", "created_at"}, {"started", "started_at"}, {"finished", "finished_at"}};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
        if (json_field(sweep, times[i][1]))
            status_text_line(cli, times[i][0], json_field_text(sweep, times[i][1], "-"));
}

/* Of a sweep that runs: where its sessions are. Of an agentic one that is over: how they went. */
/* "3,120 concrete (2,804 supported), ..." */
static void print_types(const struct cli *cli, const json_t *types)
{
    struct buffer line;
    const char *type;
    json_t *of;
    status_t status = ST_OK;
    buffer_init(&line, LINE_MAX_BYTES);
    json_object_foreach((json_t *)(uintptr_t)types, type, of)
    {
        char n[QUANTITY_SIZE], n_supported[QUANTITY_SIZE];
        const double supported = json_field_number(of, "n_supported");
        if (!(json_field_number(of, "n") > 0) || status != ST_OK) continue;
        status = buffer_printf(&line, NULL, "%s%s %s", line.n_bytes ? ", " : "",
                               quantity_count(json_field_number(of, "n"), n), type);
        if (status == ST_OK && !isnan(supported))
            status = buffer_printf(&line, NULL, " (%s supported)",
                                   quantity_count(supported, n_supported));
    }
    if (status == ST_OK && line.n_bytes) status_text_line(cli, "types", buffer_text(&line));
    buffer_fini(&line);
}

static void print_sessions(const struct cli *cli, const json_t *sessions)
{
    char line[192];
    const double n_agentic = json_field_number(sessions, "n_agentic");
    const double paid = json_field_number(sessions, "refinement.mean_difference");
    print_counts(cli, "sessions", json_field(sessions, "open"));
    if (!(n_agentic > 0)) return;
    const int n =
        snprintf(line, sizeof line, "%.0f agentic, %.0f settled, %.0f rounds", n_agentic,
                 json_field_number(sessions, "n_settled"), json_field_number(sessions, "n_rounds"));
    if (n > 0 && (size_t)n < sizeof line && !isnan(paid))
        (void)snprintf(line + n, sizeof line - (size_t)n,
                       "; the last label is %+.3f better than the first, on test", paid);
    status_text_line(cli, "sessions", line);
}

/* Of a circuit sweep: what it found, or how far it is. */
static void print_circuit(const struct cli *cli, const json_t *circuit)
{
    char line[192];
    if (!circuit) return;
    const bool is_cut = json_array_size(json_field(circuit, "not_looked_at")) > 0;
    const char *outcome = json_field_text(circuit, "outcome", NULL);
    if (outcome)
        (void)snprintf(
            line, sizeof line,
            "%s: %.0f of %.0f components, %.0f edges; %.0f variants "
            "in %.0f rounds%s",
            outcome, json_field_number(circuit, "n_nodes"),
            json_field_number(circuit, "n_candidates"), json_field_number(circuit, "n_edges"),
            json_field_number(circuit, "n_variants"), json_field_number(circuit, "n_rounds"),
            is_cut ? "; not everywhere: see circuit" : "");
    else
        (void)snprintf(line, sizeof line, "%.0f candidates, round %.0f of the search",
                       json_field_number(circuit, "n_candidates"),
                       json_field_number(circuit, "n_rounds") + 1);
    status_text_line(cli, "circuit", line);
}

status_t status_text_sweep(const struct cli *cli, const json_t *sweep, struct error *err)
{
    struct buffer line;
    buffer_init(&line, LINE_MAX_BYTES);
    status_t status = progress_format(&line, sweep, err);
    if (status == ST_OK) {
        status_text_line(cli, "sweep", json_field_text(sweep, "id", "?"));
        status_text_line(cli, "name", json_field_text(sweep, "name", "-"));
        status_text_line(cli, "state", buffer_text(&line));
        print_times(cli, sweep);
        if (json_field(sweep, "explainer"))
            status_text_line(cli, "explainer", json_field_text(sweep, "explainer", "-"));
        if (json_field(sweep, "judge"))
            status_text_line(cli, "judge", json_field_text(sweep, "judge", "-"));
        status_text_print_waivers(cli, sweep);
        print_pin(cli, sweep);
        if (json_field_text(sweep, "waits_for", NULL))
            status_text_line(cli, "waits for", json_field_text(sweep, "waits_for", ""));
        print_splits(cli, sweep);
        print_counts(cli, "features", json_field(sweep, "statuses"));
        print_types(cli, json_field(sweep, "types"));
        print_sessions(cli, json_field(sweep, "sessions"));
        print_circuit(cli, json_field(sweep, "circuit"));
        print_counts(cli, "calls", json_field(sweep, "calls"));
        print_spend(cli, sweep);
        const json_t *problems = json_field(sweep, "problems");
        for (size_t i = 0; i < json_array_size(problems); i++) {
            const char *text = json_string_value(json_array_get(problems, i));
            if (text) status_text_line(cli, "problem", text);
        }
        status = agreement_print(cli, json_field(sweep, "agreement"), err);
        if (status == ST_OK) status = print_phases(cli, json_field(sweep, "phases"), err);
    }
    buffer_fini(&line);
    return status;
}
