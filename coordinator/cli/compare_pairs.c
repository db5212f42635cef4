#include "coordinator/cli/compare_pairs.h"

#include "coordinator/cli/json_field.h"
#include "coordinator/session/experiments.h"
#include "coordinator/session/triage.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const compare_score_names[COMPARE_N_SCORES] = {
    "detection.random", "detection.hard", "fuzzing.random", "fuzzing.hard", "simulation"};

/* --- rows ---------------------------------------------------------------------------------- */

static double score_of(const json_t *record, size_t score)
{
    char path[80];
    const bool is_simulation = strcmp(compare_score_names[score], "simulation") == 0;
    (void)snprintf(path, sizeof path, "scores.%s.%s", compare_score_names[score],
                   is_simulation ? "random.pearson" : "balanced_accuracy");
    return json_field_number(record, path);
}

static void set_interval(const json_t *record, struct compare_row *row)
{
    const json_t *interval = json_field(record, "scores.detection.random.interval");
    if (!interval) interval = json_field(record, "scores.fuzzing.random.interval");
    const bool is_there = json_array_size(interval) == 2;
    row->low = is_there ? json_number_value(json_array_get(interval, 0)) : NAN;
    row->high = is_there ? json_number_value(json_array_get(interval, 1)) : NAN;
}

static status_t grow(struct compare_rows *rows, struct error *err)
{
    if (rows->n < rows->capacity) return ST_OK;
    const size_t capacity = rows->capacity ? 2 * rows->capacity : 256;
    struct compare_row *grown = realloc(rows->list, capacity * sizeof *grown);
    if (!grown) return error_set(err, ST_NO_MEMORY, "%zu results", capacity);
    rows->list = grown;
    rows->capacity = capacity;
    return ST_OK;
}

status_t compare_rows_add(struct compare_rows *rows, const json_t *record, uint32_t target,
                          struct error *err)
{
    enum feature_status feature_status = FEATURE_DEAD;
    const char *label = json_field_text(record, "label", NULL);
    const double feature = json_field_number(record, "feature");
    status_t status = grow(rows, err);
    if (status != ST_OK) return status;
    if (!(feature >= 0) ||
        !feature_status_parse(json_field_text(record, "status", ""), &feature_status))
        return error_set(err, ST_PROTOCOL, "a result without feature or status");
    struct compare_row row = {.target = target,
                              .feature = (uint64_t)feature,
                              .status = (int)feature_status,
                              .is_supported = json_field_is_true(record, "supported"),
                              .label = label ? strdup(label) : NULL,
                              .subject = json_incref(json_object_get(record, "target"))};
    for (size_t i = 0; i < COMPARE_N_SCORES; i++) row.scores[i] = score_of(record, i);
    set_interval(record, &row);
    rows->list[rows->n++] = row;
    return label && !row.label ? error_set(err, ST_NO_MEMORY, "label") : ST_OK;
}

void compare_rows_fini(struct compare_rows *rows)
{
    for (size_t i = 0; i < rows->n; i++) {
        free(rows->list[i].label);
        json_decref(rows->list[i].subject);
    }
    free(rows->list);
    *rows = (struct compare_rows){0};
}

/* --- pairs --------------------------------------------------------------------------------- */

static int order(const struct compare_row *a, const struct compare_row *b)
{
    if (a->target != b->target) return a->target < b->target ? -1 : 1;
    return (a->feature > b->feature) - (a->feature < b->feature);
}

static status_t check_subjects(const struct compare_row *a, const struct compare_row *b,
                               struct error *err)
{
    static const char *const keys[] = {"model", "hook_point", "dictionary"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const char *mine = json_field_text(a->subject, keys[i], "none");
        const char *theirs = json_field_text(b->subject, keys[i], "none");
        if (strcmp(mine, theirs) != 0)
            return error_set(err, ST_BAD_INPUT,
                             "the sweeps cannot be compared: target %u has the %s %.200s in one "
                             "and %.200s in the other",
                             a->target, keys[i], mine, theirs);
    }
    return ST_OK;
}

status_t compare_pairs_make(struct compare_pairs *out, const struct compare_rows *first,
                            const struct compare_rows *second, struct error *err)
{
    struct compare_pairs pairs = {.list = calloc(first->n + 1, sizeof *pairs.list)};
    status_t status = pairs.list ? ST_OK : error_set(err, ST_NO_MEMORY, "pairs");
    size_t a = 0, b = 0;
    while (status == ST_OK && a < first->n && b < second->n) {
        const int which = order(&first->list[a], &second->list[b]);
        if (which == 0) {
            status = check_subjects(&first->list[a], &second->list[b], err);
            pairs.list[pairs.n++] = (struct compare_pair){&first->list[a], &second->list[b]};
        }
        a += which <= 0;
        b += which >= 0;
    }
    if (status == ST_OK && pairs.n == 0)
        status = error_set(err, ST_BAD_INPUT,
                           "the sweeps cannot be compared: they have no feature in common");
    pairs.n_only_first = first->n - pairs.n;
    pairs.n_only_second = second->n - pairs.n;
    if (status == ST_OK)
        *out = pairs;
    else
        compare_pairs_fini(&pairs);
    return status;
}

void compare_pairs_fini(struct compare_pairs *pairs)
{
    free(pairs->list);
    *pairs = (struct compare_pairs){0};
}

bool compare_pair_changed(const struct compare_pair *pair)
{
    const char *a = pair->first->label, *b = pair->second->label;
    return a && b ? strcmp(a, b) != 0 : a != b;
}

double compare_pair_difference(const struct compare_pair *pair, size_t score)
{
    return pair->second->scores[score] - pair->first->scores[score];
}

/* --- what they come to --------------------------------------------------------------------- */

static bool mean_of(void *context, const uint32_t *drawn, size_t n, double *value)
{
    const double *differences = context;
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += differences[drawn[i]];
    *value = sum / (double)n;
    return n > 0;
}

static bool is_wanted(const struct compare_pair *pair, int status_wanted)
{
    return status_wanted == COMPARE_ALL_STATUSES || pair->first->status == status_wanted;
}

/* `differences` is scratch [pairs->n]. */
static status_t difference(const struct compare_pairs *pairs, int status_wanted, size_t score,
                           uint64_t seed, double *differences, struct compare_difference *out,
                           struct error *err)
{
    const struct bootstrap_params params = {BOOTSTRAP_RESAMPLES, 0.95, seed, score};
    double sum = 0;
    *out = (struct compare_difference){.mean = NAN};
    for (size_t i = 0; i < pairs->n; i++) {
        const double one = compare_pair_difference(&pairs->list[i], score);
        if (!is_wanted(&pairs->list[i], status_wanted) || isnan(one)) continue;
        differences[out->n++] = one;
        sum += one;
    }
    if (out->n) out->mean = sum / (double)out->n;
    return out->n > 1
               ? bootstrap_documents(mean_of, differences, out->n, &params, &out->interval, err)
               : ST_OK;
}

status_t compare_summarise(const struct compare_pairs *pairs, int status_wanted, uint64_t seed,
                           struct compare_summary *out, struct error *err)
{
    double *differences = calloc(pairs->n + 1, sizeof *differences);
    status_t status = differences ? ST_OK : error_set(err, ST_NO_MEMORY, "differences");
    *out = (struct compare_summary){.mcnemar_p = 1};
    for (size_t i = 0; i < pairs->n; i++) {
        const struct compare_pair *pair = &pairs->list[i];
        if (!is_wanted(pair, status_wanted)) continue;
        out->n++;
        out->n_changed += compare_pair_changed(pair);
        out->n_both += pair->first->is_supported && pair->second->is_supported;
        out->n_lost += pair->first->is_supported && !pair->second->is_supported;
        out->n_gained += !pair->first->is_supported && pair->second->is_supported;
    }
    const size_t n = out->n_lost + out->n_gained;
    const size_t most = out->n_lost > out->n_gained ? out->n_lost : out->n_gained;
    out->mcnemar_p = n ? fmin(1.0, 2 * binomial_upper_tail(n, most)) : 1.0;
    for (size_t i = 0; i < COMPARE_N_SCORES && status == ST_OK; i++)
        status = difference(pairs, status_wanted, i, seed, differences, &out->scores[i], err);
    free(differences);
    return status;
}
