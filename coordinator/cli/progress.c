#include "coordinator/cli/progress.h"

#include "common/quantity.h"
#include "coordinator/cli/clean_text.h"
#include "coordinator/cli/json_field.h"

#include <math.h>
#include <string.h>

enum { LINE_EVERY_MS = 10000, BAR_COLUMNS = 20, LINE_MAX_BYTES = 4096 };

void progress_init(struct progress *progress, FILE *err, bool is_tty, size_t width)
{
    *progress = (struct progress){
        .err = err, .is_tty = is_tty, .width = width, .last_line_ms = INT64_MIN / 2};
}

static status_t append_bar(struct buffer *out, double share, struct error *err)
{
    char bar[BAR_COLUMNS + 1], percent[QUANTITY_SIZE];
    const double bounded = isfinite(share) ? fmin(fmax(share, 0), 1) : 0;
    const size_t n_full = (size_t)(bounded * BAR_COLUMNS);
    memset(bar, '.', BAR_COLUMNS);
    memset(bar, '#', n_full);
    bar[BAR_COLUMNS] = '\0';
    return buffer_printf(out, err, " [%s] %s", bar, quantity_percent(bounded, percent));
}

static status_t append_counts(struct buffer *out, const json_t *summary, struct error *err)
{
    char a[QUANTITY_SIZE], b[QUANTITY_SIZE];
    const double n_units = json_field_number(summary, "n_units");
    const double n_dead = json_field_number(summary, "n_units_dead");
    const double n_labelled = json_field_number(summary, "n_labelled");
    const double eta_s = json_field_number(summary, "eta_seconds");
    const double dollars = json_field_number(summary, "spent_dollars");
    status_t status = ST_OK;
    if (n_units > 0)
        status = buffer_printf(out, err, "  %s of %s units",
                               quantity_count(json_field_number(summary, "n_units_done"), a),
                               quantity_count(n_units, b));
    if (status == ST_OK && n_dead > 0)
        status = buffer_printf(out, err, "  %s dead", quantity_count(n_dead, a));
    if (status == ST_OK && n_labelled > 0)
        status = buffer_printf(out, err, "  %s labelled", quantity_count(n_labelled, a));
    if (status == ST_OK && dollars > 0)
        status = buffer_printf(out, err, "  %s", quantity_dollars(dollars, a));
    if (status == ST_OK && isfinite(eta_s))
        status = buffer_printf(out, err, "  ETA %s", quantity_seconds(eta_s, a));
    return status;
}

status_t progress_format(struct buffer *out, const json_t *summary, struct error *err)
{
    const char *state = json_field_text(summary, "state", "?");
    const char *phase = json_field_text(summary, "phase", "");
    const char *reason = json_field_text(summary, "reason", NULL);
    const char *waits_for = json_field_text(summary, "waits_for", NULL);
    status_t status = clean_text_append(out, state, strlen(state), 24, NULL, err);
    if (status == ST_OK && *phase && strcmp(phase, "done") != 0) {
        status = buffer_append_text(out, " ", err);
        if (status == ST_OK) status = clean_text_append(out, phase, strlen(phase), 40, NULL, err);
    }
    if (status == ST_OK) status = append_bar(out, json_field_number(summary, "progress"), err);
    if (status == ST_OK) status = append_counts(out, summary, err);
    if (status == ST_OK && waits_for) status = buffer_printf(out, err, "  waits for %s", waits_for);
    if (status == ST_OK && reason) {
        status = buffer_append_text(out, "  (", err);
        if (status == ST_OK)
            status = clean_text_append(out, reason, strlen(reason), 256, NULL, err);
        if (status == ST_OK) status = buffer_append_text(out, ")", err);
    }
    return status;
}

static void draw(struct progress *progress, const char *line)
{
    struct buffer cut;
    buffer_init(&cut, LINE_MAX_BYTES);
    if (progress->width > 1 &&
        clean_text_append(&cut, line, strlen(line), progress->width - 1, NULL, NULL) == ST_OK &&
        cut.n_bytes)
        line = buffer_text(&cut);
    (void)fprintf(progress->err, "\r\033[K%s", line);
    (void)fflush(progress->err);
    progress->is_drawn = true;
    buffer_fini(&cut);
}

static void print(struct progress *progress, const char *line, bool is_due, int64_t now_ms)
{
    if (progress->is_tty) {
        draw(progress, line);
        return;
    }
    if (!is_due && now_ms - progress->last_line_ms < LINE_EVERY_MS) return;
    progress->last_line_ms = now_ms;
    (void)fprintf(progress->err, "%s\n", line);
    (void)fflush(progress->err);
}

void progress_show(struct progress *progress, const json_t *summary, int64_t now_ms)
{
    struct buffer line;
    char step[sizeof progress->last_step];
    (void)snprintf(step, sizeof step, "%s %s", json_field_text(summary, "state", "?"),
                   json_field_text(summary, "phase", ""));
    const bool is_new = strcmp(step, progress->last_step) != 0;
    buffer_init(&line, LINE_MAX_BYTES);
    if (progress_format(&line, summary, NULL) == ST_OK && buffer_text(&line))
        print(progress, buffer_text(&line), is_new, now_ms);
    memcpy(progress->last_step, step, sizeof step);
    buffer_fini(&line);
}

void progress_say(struct progress *progress, const char *text, int64_t now_ms)
{
    const bool is_new = strcmp(progress->last_step, "(said)") != 0;
    print(progress, text, is_new, now_ms);
    memcpy(progress->last_step, "(said)", sizeof "(said)");
}

void progress_end(struct progress *progress)
{
    if (progress->is_drawn) (void)fputc('\n', progress->err);
    progress->is_drawn = false;
}
