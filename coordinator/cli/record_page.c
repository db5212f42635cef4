/* One record as a page: label, scores, evidence. See record_text.h. */
#include "common/quantity.h"
#include "coordinator/cli/agreement_text.h"
#include "coordinator/cli/clean_text.h"
#include "coordinator/cli/json_field.h"
#include "coordinator/cli/record_kinds.h"
#include "coordinator/cli/record_rounds.h"
#include "coordinator/cli/record_text.h"
#include "coordinator/cli/status_text.h"
#include "coordinator/cli/wrapped_text.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

enum { PAGE_LINE_BYTES = 256 * 1024, EVIDENCE_INDENT = 10 };

/* --- evidence ------------------------------------------------------------------------------ */

/* From faint to strong: black on yellow to black on orange-red. */
static const char *const strength_colors[] = {"\033[30;48;5;230m", "\033[30;48;5;227m",
                                              "\033[30;48;5;220m", "\033[30;48;5;208m"};
static const char color_end[] = "\033[0m";

static const char *color_of(double activation, double max)
{
    const size_t n = sizeof strength_colors / sizeof strength_colors[0];
    const double share = max > 0 ? activation / max : 0;
    const size_t level = share > 0 ? (size_t)(share * (double)n) : 0;
    return strength_colors[level < n ? level : n - 1];
}

status_t record_append_window(struct buffer *out, const json_t *window, double fire_threshold,
                              bool has_color, struct error *err)
{
    const json_t *tokens = json_field(window, "tokens");
    const json_t *activations = json_field(window, "activations");
    const double max = json_field_number(window, "max");
    bool is_marked = false; /* inside brackets */
    status_t status = ST_OK;
    for (size_t i = 0; i < json_array_size(tokens) && status == ST_OK; i++) {
        const json_t *token = json_array_get(tokens, i);
        const double value = json_number_value(json_array_get(activations, i));
        const bool fires = value > fire_threshold;
        if (has_color && fires)
            status = buffer_append_text(out, color_of(value, max), err);
        else if (!has_color && fires != is_marked)
            status = buffer_append_text(out, fires ? "[" : "]", err);
        is_marked = fires;
        if (status == ST_OK && json_is_string(token))
            status = clean_text_append(out, json_string_value(token), json_string_length(token), 0,
                                       NULL, err);
        if (status == ST_OK && has_color && fires) status = buffer_append_text(out, color_end, err);
    }
    if (status == ST_OK && !has_color && is_marked) status = buffer_append_text(out, "]", err);
    return status;
}

static status_t print_window(const struct cli *cli, const json_t *window, double threshold,
                             struct error *err)
{
    struct buffer line;
    const char *document = json_field_text(window, "document", NULL);
    const char *kind = json_field_text(window, "kind", "?");
    buffer_init(&line, PAGE_LINE_BYTES);
    status_t status = buffer_printf(&line, err, "%8.4g  ", json_field_number(window, "max"));
    if (status == ST_OK) status = clean_text_append(&line, kind, strlen(kind), 20, NULL, err);
    if (status == ST_OK) status = buffer_append_text(&line, "  ", err);
    if (status == ST_OK && document)
        status = clean_text_append(&line, document, strlen(document), 60, NULL, err);
    if (status == ST_OK)
        status = buffer_printf(&line, err, "@%.0f", json_field_number(window, "offset"));
    if (status == ST_OK) (void)fprintf(cli->out, "%s\n", buffer_text(&line));
    line.n_bytes = 0;
    if (status == ST_OK)
        status = record_append_window(&line, window, threshold, cli->has_color, err);
    if (status == ST_OK && line.n_bytes)
        wrapped_text_print(cli->out, buffer_text(&line), EVIDENCE_INDENT, cli->width);
    buffer_fini(&line);
    return status;
}

static status_t print_evidence(const struct cli *cli, const json_t *record, size_t max_windows,
                               struct error *err)
{
    const json_t *evidence = json_field(record, "evidence");
    double threshold = json_field_number(record, "fire_threshold");
    if (isnan(threshold)) threshold = 0;
    status_t status = ST_OK;
    if (json_array_size(evidence) && max_windows > 0)
        (void)fprintf(cli->out, "\nevidence: %zu windows, firing tokens %s\n",
                      json_array_size(evidence), cli->has_color ? "coloured" : "in [brackets]");
    for (size_t i = 0; i < json_array_size(evidence) && i < max_windows && status == ST_OK; i++)
        status = print_window(cli, json_array_get(evidence, i), threshold, err);
    return status;
}

/* --- scores -------------------------------------------------------------------------------- */

/* 100 columns hold it with every verdict. */
static const struct text_column score_columns[] = {
    {"SCORE", false, false}, {"AGAINST", false, false}, {"VALUE", true, false},
    {"95 %", false, false},  {"DOCS", true, false},     {"FAILED", true, false},
    {"Z", true, false},      {"P", true, false},        {"VERDICT", false, true}};

static void interval_text(const json_t *score, char out[QUANTITY_SIZE])
{
    const json_t *interval = json_field(score, "interval");
    if (json_array_size(interval) != 2)
        (void)snprintf(out, QUANTITY_SIZE, "undefined");
    else
        (void)snprintf(out, QUANTITY_SIZE, "%.3f to %.3f",
                       json_number_value(json_array_get(interval, 0)),
                       json_number_value(json_array_get(interval, 1)));
}

static void number_text(double value, const char *format_name, char out[QUANTITY_SIZE])
{
    if (isnan(value))
        (void)snprintf(out, QUANTITY_SIZE, "-");
    else if (strcmp(format_name, "p") == 0)
        (void)snprintf(out, QUANTITY_SIZE, "%.2g", value);
    else if (strcmp(format_name, "z") == 0)
        (void)snprintf(out, QUANTITY_SIZE, "%.2f", value);
    else
        (void)snprintf(out, QUANTITY_SIZE, "%.3f", value);
}

/* "unsupported: too near the null" under VERDICT: the reason alone. */
static const char *verdict_text(const json_t *score)
{
    static const char prefix[] = "unsupported: ";
    const char *text = json_field_text(score, "verdict", NULL);
    const bool is_refused = text && strncmp(text, prefix, sizeof prefix - 1) == 0;
    return is_refused ? text + sizeof prefix - 1 : text;
}

static status_t add_score(struct text_table *table, const char *name, const char *negatives,
                          const json_t *score, struct error *err)
{
    char accuracy[QUANTITY_SIZE], interval[QUANTITY_SIZE], n[QUANTITY_SIZE];
    char failures[QUANTITY_SIZE], z[QUANTITY_SIZE], p[QUANTITY_SIZE];
    const bool is_simulation = strcmp(name, "simulation") == 0;
    number_text(json_field_number(score, is_simulation ? "pearson" : "balanced_accuracy"), "score",
                accuracy);
    number_text(json_field_number(score, "null.z"), "z", z);
    number_text(json_field_number(score, "null.p"), "p", p);
    interval_text(score, interval);
    const double n_failed = is_simulation ? json_field_number(score, "n_failed")
                                          : json_field_number(score, "counts.failed_firing") +
                                                json_field_number(score, "counts.failed_silent");
    const char *const cells[] = {name,
                                 negatives,
                                 accuracy,
                                 interval,
                                 quantity_count(json_field_number(score, "n_documents"), n),
                                 quantity_count(n_failed, failures),
                                 z,
                                 p,
                                 verdict_text(score)};
    return text_table_add_cells(table, cells, sizeof cells / sizeof cells[0], err);
}

status_t record_print_scores(const struct cli *cli, const json_t *scores, struct error *err)
{
    const struct text_table_style style = {
        .has_heading = true, .has_color = cli->has_color, .width = cli->width};
    struct text_table *table = NULL;
    const char *name, *negatives;
    json_t *of_name, *score;
    status_t status = text_table_create(&table, score_columns,
                                        sizeof score_columns / sizeof score_columns[0], err);
    json_object_foreach((json_t *)(uintptr_t)scores, name, of_name)
    {
        json_object_foreach(of_name, negatives, score)
        {
            if (status == ST_OK) status = add_score(table, name, negatives, score, err);
        }
    }
    if (status == ST_OK && text_table_n_rows(table)) {
        (void)fputc('\n', cli->out);
        text_table_print(table, &style, cli->out);
    }
    text_table_destroy(&table);
    return status;
}

/* The intervention score; nothing for a sweep without it. */
static void print_intervention(const struct cli *cli, const json_t *record)
{
    const json_t *of = json_field(record, "intervention");
    const double wanted_kl = json_field_number(of, "wanted_kl");
    char line[256], accuracy[QUANTITY_SIZE], interval[QUANTITY_SIZE], p[QUANTITY_SIZE];
    if (!json_is_object(of)) return;
    (void)fputc('\n', cli->out);
    (void)snprintf(line, sizeof line, "undefined: %.200s", json_field_text(of, "undefined", "?"));
    if (json_field(of, "accuracy")) {
        number_text(json_field_number(of, "accuracy"), "score", accuracy);
        number_text(json_field_number(of, "p"), "p", p);
        interval_text(of, interval);
        (void)snprintf(line, sizeof line,
                       "%s %s, right on %.0f of %.0f among %.0f labels, p %s, %.0f unreadable",
                       accuracy, interval, json_field_number(of, "n_right"),
                       json_field_number(of, "n_prompts"), json_field_number(of, "n_labels"), p,
                       json_field_number(of, "n_failed"));
    }
    status_text_line(cli, "intervention", line);
    if (!json_field(of, "strength")) return;
    (void)snprintf(line, sizeof line, "by %.4g: KL %.3g nats, %.3g wanted",
                   json_field_number(of, "strength"), json_field_number(of, "kl"), wanted_kl);
    status_text_line(cli, "steered", line);
}

/* Features of nearest decoder rows, and how the judge did on windows in which one of them fires. */
static void print_neighbours(const struct cli *cli, const json_t *record)
{
    const json_t *list = json_field(record, "neighbours");
    const json_t *judged = json_field(record, "scores.detection.hard.neighbours");
    char line[256];
    size_t at = 0;
    for (size_t i = 0; i < json_array_size(list) && at + 32 < sizeof line; i++)
        at += (size_t)snprintf(line + at, sizeof line - at, "%s%lld", i ? ", " : "",
                               (long long)json_integer_value(json_array_get(list, i)));
    if (at == 0) return;
    if (json_is_object(judged) && at + 64 < sizeof line) {
        const double n_right = json_field_number(judged, "true_silent");
        (void)snprintf(line + at, sizeof line - at, "; silent where they fire: %.0f of %.0f seen",
                       n_right, n_right + json_field_number(judged, "false_alarm"));
    }
    status_text_line(cli, "neighbours", line);
}

/* --- the page ------------------------------------------------------------------------------ */

static void print_cut(const struct cli *cli, const json_t *prompts)
{
    char line[128];
    size_t at = 0;
    for (size_t i = 0; i < json_array_size(prompts) && at + 48 < sizeof line; i++) {
        const char *name = json_string_value(json_array_get(prompts, i));
        at += (size_t)snprintf(line + at, sizeof line - at, "%s%.20s", i ? ", " : "",
                               name ? name : "?");
    }
    if (at == 0) return;
    (void)snprintf(line + at, sizeof line - at, " (to max_prompt_tokens)");
    status_text_line(cli, "prompts cut", line);
}

static void print_facts(const struct cli *cli, const json_t *record)
{
    char line[256], n[QUANTITY_SIZE];
    (void)snprintf(line, sizeof line, "%.0f of %.200s", json_field_number(record, "feature"),
                   json_field_text(record, "target.hook_point", "?"));
    status_text_line(cli, "feature", line);
    if (json_field(record, "target.dictionary"))
        status_text_line(cli, "dictionary", json_field_text(record, "target.dictionary", ""));
    (void)snprintf(line, sizeof line, "(none: %.200s)",
                   json_field_text(record, "no_label", "not known"));
    status_text_line(cli, "label", json_field_text(record, "label", line));
    status_text_line(cli, "status", json_field_text(record, "status", "?"));
    record_print_type(cli, record);
    status_text_line(cli, "supported", json_field_is_true(record, "supported") ? "yes" : "no");
    if (json_field(record, "explainer")) {
        (void)snprintf(line, sizeof line, "%.100s, judged by %.100s",
                       json_field_text(record, "explainer", "-"),
                       json_field_text(record, "judge", "-"));
        status_text_line(cli, "labelled by", line);
    }
    status_text_print_waivers(cli, record);
    (void)snprintf(line, sizeof line, "on %.3g %% of tokens, in %s test documents, up to %.4g",
                   json_field_number(record, "firing.density") * 100,
                   quantity_count(json_field_number(record, "firing.n_test_documents"), n),
                   json_field_number(record, "firing.max"));
    status_text_line(cli, "fires", line);
    if (json_field(record, "lexical.label"))
        status_text_line(cli, "lexical", json_field_text(record, "lexical.label", "-"));
    print_neighbours(cli, record);
    print_cut(cli, json_field(record, "cut_prompts"));
}

status_t record_print(const struct cli *cli, const json_t *record, size_t max_windows,
                      struct error *err)
{
    print_facts(cli, record);
    status_t status = record_print_output(cli, record, err);
    if (status == ST_OK) status = record_print_rounds(cli, record, err);
    if (status == ST_OK) status = record_print_scores(cli, json_field(record, "scores"), err);
    if (status == ST_OK) print_intervention(cli, record);
    if (status == ST_OK) status = agreement_print(cli, json_field(record, "agreement"), err);
    if (status == ST_OK) status = record_print_meanings(cli, record, err);
    return status == ST_OK ? print_evidence(cli, record, max_windows, err) : status;
}
