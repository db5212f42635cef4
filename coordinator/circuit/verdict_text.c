#include "coordinator/circuit/verdict_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Three cells beside a label: 22 + 2 * (18 + 2) + 18 columns. */
enum { LABEL_COLUMNS = 22, CELL_COLUMNS = 18, CELL_GAP = 2, CELL_SIZE = 48 };

/* The page so far; after the first error nothing more is written. */
struct page {
    struct buffer *out;
    struct error *err;
    status_t status;
};

static void put(struct page *page, const char *text)
{
    if (page->status == ST_OK) page->status = buffer_append_text(page->out, text, page->err);
}

/* Bytes of `text` that fit `room` columns, broken at a blank where there is one. */
static size_t first_line(const char *text, size_t room)
{
    size_t n = strlen(text);
    if (n <= room) return n;
    n = room;
    while (n > 0 && text[n] != ' ') n--;
    return n ? n : room; /* a word longer than the line */
}

/* `text` behind `first`, broken at blanks; later lines begin with as many blanks. */
static void put_wrapped(struct page *page, const char *first, const char *text)
{
    const size_t indent = strlen(first), room = VERDICT_TEXT_COLUMNS - indent;
    put(page, first);
    while (page->status == ST_OK) {
        const size_t n = first_line(text, room);
        page->status = buffer_append(page->out, text, n, page->err);
        put(page, "\n");
        text += n;
        while (*text == ' ') text++;
        if (!*text) return;
        for (size_t i = 0; i < indent; i++) put(page, " ");
    }
}

/* Text from outside without what a terminal would obey: control characters become '?'. */
static const char *plain(const char *text, char out[CIRCUIT_TEXT_SIZE])
{
    size_t n = 0;
    for (; text[n] && n < CIRCUIT_TEXT_SIZE - 1; n++) {
        const unsigned char c = (unsigned char)text[n],
                            before = n > 0 ? (unsigned char)text[n - 1] : 0;
        const bool is_c1 = before == 0xC2 && c >= 0x80 && c < 0xA0; /* U+0080 .. U+009F */
        out[n] = c < 0x20 || c == 0x7F || is_c1 ? '?' : text[n];
        if (is_c1) out[n - 1] = '?';
    }
    out[n] = '\0';
    return out;
}

/* --- cells -------------------------------------------------------------------------------- */

/* What a row says of one ablation value. */
struct cell {
    const struct value_verdict *value;
    bool is_necessity; /* of the two ratios */
    size_t member;     /* where the row is about one: a node, or a point of a curve */
    enum curve_order order;
};
typedef void cell_function(const struct cell *cell, char out[CELL_SIZE]);

static void write_number(double number, char out[CELL_SIZE])
{
    (void)snprintf(out, CELL_SIZE, "%.4g", number);
}

static void write_value(struct score_value value, char out[CELL_SIZE])
{
    if (value.is_defined)
        write_number(value.value, out);
    else
        (void)snprintf(out, CELL_SIZE, "undefined");
}

static void write_interval(const struct interval *interval, char out[CELL_SIZE])
{
    if (interval->is_defined)
        (void)snprintf(out, CELL_SIZE, "[%.4g, %.4g]", interval->low, interval->high);
    else
        (void)snprintf(out, CELL_SIZE, "undefined");
}

static void write_dash(char out[CELL_SIZE])
{
    (void)snprintf(out, CELL_SIZE, "-");
}

static void cell_empty(const struct cell *cell, char out[CELL_SIZE])
{
    const struct value_verdict *value = cell->value;
    write_number(value->empty, out);
}

static void cell_circuit(const struct cell *cell, char out[CELL_SIZE])
{
    const struct value_verdict *value = cell->value;
    write_number(value->circuit, out);
}

static void cell_complement(const struct cell *cell, char out[CELL_SIZE])
{
    const struct value_verdict *value = cell->value;
    write_number(value->complement, out);
}

static void cell_span(const struct cell *cell, char out[CELL_SIZE])
{
    const struct value_verdict *value = cell->value;
    if (!value->standard_error.is_defined)
        write_number(value->difference, out);
    else
        (void)snprintf(out, CELL_SIZE, "%.4g +- %.3g", value->difference,
                       value->standard_error.value);
}

/* The rows of sufficiency and of necessity are the same. */
static const struct ratio_verdict *ratio_of(const struct cell *cell)
{
    return cell->is_necessity ? &cell->value->necessity : &cell->value->sufficiency;
}

static void cell_ratio(const struct cell *cell, char out[CELL_SIZE])
{
    if (cell->value->is_flat)
        (void)snprintf(out, CELL_SIZE, "undefined: flat");
    else
        write_value(ratio_of(cell)->of_means.value, out);
}

static void cell_ratio_interval(const struct cell *cell, char out[CELL_SIZE])
{
    write_interval(&ratio_of(cell)->of_means.interval, out);
}

static void cell_ratio_mean(const struct cell *cell, char out[CELL_SIZE])
{
    write_value(ratio_of(cell)->by_prompt.mean, out);
}

static void cell_ratio_quantiles(const struct cell *cell, char out[CELL_SIZE])
{
    const struct ratio_spread *spread = &ratio_of(cell)->by_prompt;
    if (!spread->mean.is_defined)
        (void)snprintf(out, CELL_SIZE, "undefined");
    else
        (void)snprintf(out, CELL_SIZE, "%.3g, %.3g, %.3g", spread->quantiles[0],
                       spread->quantiles[RATIO_N_QUANTILES / 2],
                       spread->quantiles[RATIO_N_QUANTILES - 1]);
}

static void cell_percentile(const struct cell *cell, char out[CELL_SIZE])
{
    const struct score_value percentile = ratio_of(cell)->percentile;
    if (cell->value->n_random == 0)
        write_dash(out);
    else if (!percentile.is_defined)
        (void)snprintf(out, CELL_SIZE, "undefined");
    else
        (void)snprintf(out, CELL_SIZE, "%.4g %% of %u%s", percentile.value,
                       (unsigned)cell->value->n_random,
                       cell->value->is_random_exhaustive ? " (all)" : "");
}

static void cell_completeness(const struct cell *cell, char out[CELL_SIZE])
{
    const struct value_verdict *value = cell->value;
    if (value->n_subsets == 0)
        write_dash(out);
    else if (!value->completeness_share.is_defined)
        write_number(value->completeness.value, out);
    else
        (void)snprintf(out, CELL_SIZE, "%.4g (%.3g %%)", value->completeness.value,
                       100.0 * value->completeness_share.value);
}

static void cell_kl(const struct cell *cell, char out[CELL_SIZE])
{
    const struct value_verdict *value = cell->value;
    if (value->has_kl)
        write_value(value->kl_sufficiency.value, out);
    else
        write_dash(out);
}

static void cell_kl_spread(const struct cell *cell, char out[CELL_SIZE])
{
    const struct value_verdict *value = cell->value;
    if (value->has_kl)
        (void)snprintf(out, CELL_SIZE, "%.3g, %.3g, %.3g", value->kl_mean, value->kl_median,
                       value->kl_max);
    else
        write_dash(out);
}

static void cell_drop(const struct cell *cell, char out[CELL_SIZE])
{
    const struct value_verdict *value = cell->value;
    if (value->has_drops)
        write_value(value->members[cell->member].drop.value, out);
    else
        write_dash(out);
}

static void cell_conditional(const struct cell *cell, char out[CELL_SIZE])
{
    const struct value_verdict *value = cell->value;
    if (value->has_conditional)
        write_value(value->members[cell->member].conditional.value, out);
    else
        write_dash(out);
}

static void cell_conditional_interval(const struct cell *cell, char out[CELL_SIZE])
{
    const struct value_verdict *value = cell->value;
    if (value->has_conditional)
        write_interval(&value->members[cell->member].conditional.interval, out);
    else
        write_dash(out);
}

/* Why a value of a curve is not there; false: it is. */
static bool is_no_curve(const struct value_verdict *value, char out[CELL_SIZE])
{
    if (value->has_curves && !value->is_flat) return false;
    (void)snprintf(out, CELL_SIZE, "%s", value->has_curves ? "undefined: flat" : "no search");
    return true;
}

static void cell_cpr(const struct cell *cell, char out[CELL_SIZE])
{
    if (!is_no_curve(cell->value, out)) write_value(cell->value->curves[cell->order].cpr, out);
}

static void cell_cmd(const struct cell *cell, char out[CELL_SIZE])
{
    if (!is_no_curve(cell->value, out)) write_value(cell->value->curves[cell->order].cmd, out);
}

static void cell_point(const struct cell *cell, char out[CELL_SIZE])
{
    if (!is_no_curve(cell->value, out))
        write_value(cell->value->curves[cell->order].f[cell->member], out);
}

/* --- rows --------------------------------------------------------------------------------- */

struct row {
    const char *label;
    cell_function *write;
    bool is_necessity;
    enum curve_order order;
};

static const struct row RUN_ROWS[] = {
    {"m(empty)", cell_empty, false, CURVE_SIGNED},
    {"m(C)", cell_circuit, false, CURVE_SIGNED},
    {"m(M without C)", cell_complement, false, CURVE_SIGNED},
    {"m(M) - m(empty)", cell_span, false, CURVE_SIGNED},
    {"sufficiency", cell_ratio, false, CURVE_SIGNED},
    {"  interval", cell_ratio_interval, false, CURVE_SIGNED},
    {"  mean of ratios", cell_ratio_mean, false, CURVE_SIGNED},
    {"  5, 50, 95 % prompt", cell_ratio_quantiles, false, CURVE_SIGNED},
    {"  above random", cell_percentile, false, CURVE_SIGNED},
    {"necessity", cell_ratio, true, CURVE_SIGNED},
    {"  interval", cell_ratio_interval, true, CURVE_SIGNED},
    {"  mean of ratios", cell_ratio_mean, true, CURVE_SIGNED},
    {"  5, 50, 95 % prompt", cell_ratio_quantiles, true, CURVE_SIGNED},
    {"  above random", cell_percentile, true, CURVE_SIGNED},
    {"completeness (0 best)", cell_completeness, false, CURVE_SIGNED},
    {"sufficiency by KL", cell_kl, false, CURVE_SIGNED},
    {"  mean, median, max", cell_kl_spread, false, CURVE_SIGNED},
};

static const struct row MEMBER_ROWS[] = {
    {"  drop", cell_drop, false, CURVE_SIGNED},
    {"  given its class", cell_conditional, false, CURVE_SIGNED},
    {"    interval", cell_conditional_interval, false, CURVE_SIGNED},
};

static const struct row CURVE_ROWS[] = {
    {"CPR, signed order", cell_cpr, false, CURVE_SIGNED},
    {"CMD, signed order", cell_cmd, false, CURVE_SIGNED},
    {"CPR, absolute order", cell_cpr, false, CURVE_ABSOLUTE},
    {"CMD, absolute order", cell_cmd, false, CURVE_ABSOLUTE},
};

/* What is left of the cells, as far as it fits a line without blanks at its end; the cells move on.
 * False: nothing was left. */
static bool put_cells(struct page *page, const char *label, const char *cells[ABLATE_N_VALUES])
{
    char line[VERDICT_TEXT_COLUMNS + CELL_GAP + 2];
    size_t n = (size_t)snprintf(line, sizeof line, "%-*.*s", LABEL_COLUMNS, LABEL_COLUMNS, label);
    bool has_text = label[0] != '\0';
    for (int v = 0; v < ABLATE_N_VALUES; v++) {
        const size_t n_cell = first_line(cells[v], CELL_COLUMNS);
        n += (size_t)snprintf(line + n, sizeof line - n, "%-*.*s", CELL_COLUMNS + CELL_GAP,
                              (int)n_cell, cells[v]);
        has_text = has_text || n_cell > 0;
        cells[v] += n_cell;
        while (*cells[v] == ' ') cells[v]++;
    }
    if (!has_text) return false;
    while (n > 0 && line[n - 1] == ' ') n--;
    line[n] = '\0';
    put(page, line);
    put(page, "\n");
    return true;
}

/* A cell that is too long for its column goes on below. */
static void put_row(struct page *page, const struct circuit_verdict *verdict, const struct row *row,
                    size_t member)
{
    char text[ABLATE_N_VALUES][CELL_SIZE];
    const char *cells[ABLATE_N_VALUES];
    for (int v = 0; v < ABLATE_N_VALUES; v++) {
        const struct cell of = {&verdict->values[v], row->is_necessity, member, row->order};
        if (of.value->is_measured)
            row->write(&of, text[v]);
        else
            write_dash(text[v]);
        cells[v] = text[v];
    }
    const char *label = row->label;
    while (put_cells(page, label, cells)) label = "";
}

static void put_rows(struct page *page, const struct circuit_verdict *verdict)
{
    const char *names[ABLATE_N_VALUES] = {"zero (off-distribution)", "mean", "resample"};
    while (put_cells(page, "", names)) {
    }
    for (size_t i = 0; i < sizeof RUN_ROWS / sizeof RUN_ROWS[0]; i++)
        put_row(page, verdict, &RUN_ROWS[i], 0);
}

static void put_members(struct page *page, const struct circuit_verdict *verdict,
                        const struct circuit *circuit)
{
    char name[COMPONENT_NAME_SIZE], role[CIRCUIT_TEXT_SIZE], line[256];
    put(page, "\nmembers: how far m falls without each\n");
    for (size_t m = 0; m < circuit->n_nodes; m++) {
        if (m == VERDICT_TEXT_MAX_MEMBERS) {
            (void)snprintf(line, sizeof line, "... and %zu more, in the JSON\n",
                           circuit->n_nodes - m);
            put(page, line);
            break;
        }
        const struct circuit_node *node = &circuit->nodes[m];
        (void)snprintf(line, sizeof line, "%s%s%s%s", component_name(&node->component, name),
                       node->role[0] ? "  (" : "", plain(node->role, role),
                       node->role[0] ? ")" : "");
        put_wrapped(page, "", line);
        for (size_t i = 0; i < sizeof MEMBER_ROWS / sizeof MEMBER_ROWS[0]; i++)
            put_row(page, verdict, &MEMBER_ROWS[i], m);
    }
}

/* --- curves ------------------------------------------------------------------------------- */

/* Measured under some ablation value. */
static const struct value_verdict *any_curves(const struct circuit_verdict *verdict)
{
    for (int v = 0; v < ABLATE_N_VALUES; v++)
        if (verdict->values[v].has_curves) return &verdict->values[v];
    return NULL;
}

/* f of the first n candidates, a line for each n that is another than the one before. */
static void put_points(struct page *page, const struct circuit_verdict *verdict,
                       const struct value_verdict *any, enum curve_order order)
{
    char label[LABEL_COLUMNS + 1];
    for (size_t k = 0; k < CURVE_N_FRACTIONS; k++) {
        const struct row row = {label, cell_point, false, order};
        const size_t n_items = any->curve_items[k];
        if (k > 0 && n_items == any->curve_items[k - 1]) continue;
        (void)snprintf(label, sizeof label, "  f of first %zu", n_items);
        put_row(page, verdict, &row, k);
    }
}

static void put_curves(struct page *page, const struct circuit_verdict *verdict)
{
    const struct value_verdict *any = any_curves(verdict);
    put(page, "\ncurves: circuits of the first candidates in the order of the search's effects\n");
    for (size_t i = 0; i < sizeof CURVE_ROWS / sizeof CURVE_ROWS[0]; i++) {
        put_row(page, verdict, &CURVE_ROWS[i], 0);
        if (any && i % 2 == 1) put_points(page, verdict, any, CURVE_ROWS[i].order);
    }
}

/* --- the rest ----------------------------------------------------------------------------- */

static void put_head(struct page *page, const struct circuit_verdict *verdict,
                     const struct circuit *circuit)
{
    char line[512], name[CIRCUIT_TEXT_SIZE], task[CIRCUIT_TEXT_SIZE];
    (void)snprintf(line, sizeof line, "circuit %s%s%s: %s",
                   circuit->name[0] ? plain(circuit->name, name) : "without a name",
                   circuit->task[0] ? ", task " : "", plain(circuit->task, task),
                   circuit_outcome_name(verdict->outcome));
    put_wrapped(page, "", line);
    (void)snprintf(line, sizeof line,
                   "%zu nodes, %zu edges; metric %s, m(M) %.4g, on %zu held-out prompts; "
                   "%g %% intervals over %zu %s",
                   circuit->n_nodes, circuit->n_edges, circuit_metric_name(verdict->metric),
                   verdict->full, verdict->n_prompts,
                   100.0 * verdict->thresholds.bootstrap.confidence, verdict->n_units,
                   verdict->is_by_template ? "templates" : "prompts");
    put_wrapped(page, "", line);
    put(page, "\n");
}

static void put_end(struct page *page, const struct circuit_verdict *verdict)
{
    const struct verdict_thresholds *thresholds = &verdict->thresholds;
    char line[512], stability[CELL_SIZE];
    write_value(verdict->stability, stability);
    (void)snprintf(line, sizeof line, "\nstability %s over %zu searches\n", stability,
                   verdict->n_researches);
    put(page, line);
    (void)snprintf(line, sizeof line,
                   "lower bounds >= %g, above the %g quantile of random circuits, stability >= %g; "
                   "flat under %g standard errors; %" PRIu32 " resamples, seed %" PRIu64
                   "; mean and resample decide",
                   thresholds->ratio_min, thresholds->random_quantile, thresholds->stability_min,
                   thresholds->flat_errors, thresholds->bootstrap.n_resamples,
                   thresholds->bootstrap.seed);
    put_wrapped(page, "rules: ", line);
    (void)snprintf(line, sizeof line, "verdict: %s\n", circuit_outcome_name(verdict->outcome));
    put(page, line);
    for (size_t i = 0; i < verdict->n_reasons; i++) put_wrapped(page, "  - ", verdict->reasons[i]);
}

status_t verdict_text_write(const struct circuit_verdict *verdict, const struct circuit *circuit,
                            struct buffer *out, struct error *err)
{
    const size_t n_before = out->n_bytes;
    struct page page = {out, err, ST_OK};
    put_head(&page, verdict, circuit);
    put_rows(&page, verdict);
    put_members(&page, verdict, circuit);
    put_curves(&page, verdict);
    put_end(&page, verdict);
    if (page.status != ST_OK) out->n_bytes = n_before;
    return page.status;
}
