/* The files a label sweep leaves: DATA/sweeps/ID/results.jsonl, summary.json and, with
 * keep_judged, judged.jsonl and judged-null.jsonl (label_judged.c); and reading records back,
 * from memory while the sweep runs, from the file afterwards. */
#include "common/file.h"
#include "coordinator/session/label_json.h"
#include "coordinator/sweep/finished_records.h"
#include "coordinator/sweep/label_scoring_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RESULTS_MAX_BYTES = INT32_MAX, SUMMARY_MAX = 1 << 20 };

/* --- writing ------------------------------------------------------------------------------- */

/* What was labelled, by content: whoever uses the labels later can tell it from what was trained
 * again under the same path. */
static void add_subjects(const struct label_run *run, json_t *summary)
{
    const struct sweep_spec *spec = run->sweep->spec;
    json_t *targets = json_array();
    for (size_t i = 0; i < spec->n_targets; i++) {
        const char *fingerprint = run->description.targets[i].fingerprint;
        (void)json_array_append_new(
            targets, json_pack("{s:s s:s? s:s?}", "hook_point", spec->targets[i].hook, "dictionary",
                               spec->targets[i].dictionary, "dictionary_fingerprint",
                               fingerprint[0] ? fingerprint : NULL));
    }
    (void)json_object_set_new(summary, "targets", targets);
    (void)json_object_set_new(summary, "model_fingerprint",
                              json_string(run->description.fingerprint));
}

static json_t *json_summary(const struct label_scoring *scoring)
{
    const struct label_run *run = scoring->run;
    const struct label_verdicts *verdicts = scoring->verdicts;
    json_t *statuses = json_object(), *splits = json_object();
    for (unsigned i = 0; i < FEATURE_N_STATUSES; i++)
        (void)json_object_set_new(statuses, feature_status_name((enum feature_status)i),
                                  json_integer((json_int_t)scoring->n_statuses[i]));
    for (unsigned i = 0; i < EVIDENCE_N_SPLITS; i++)
        (void)json_object_set_new(splits, evidence_split_name((enum evidence_split)i),
                                  json_pack("{s:I s:I}", "n_documents",
                                            (json_int_t)run->plan_stats.n_documents[i], "n_tokens",
                                            (json_int_t)run->plan_stats.n_tokens[i]));
    json_t *json =
        json_pack("{s:I s:I s:o s:I s:o s:o s:o}", "n_features", (json_int_t)scoring->n_slots,
                  "n_labelled", (json_int_t)scoring->n_labelled, "n_supported",
                  verdicts ? json_integer(verdicts->n_supported) : json_null(), "leak_count",
                  (json_int_t)run->n_leaks, "statuses", statuses, "splits", splits, "types",
                  label_types_json(scoring));
    add_subjects(run, json);
    label_control_describe(run->sweep->spec, json);
    return json;
}

/* What the sessions of an agentic or score-only sweep came to: how many of the labels hold on
 * other text as well, how many rounds there were, and whether refining paid, over all features. */
static json_t *json_sessions(const struct label_scoring *scoring)
{
    const struct label_verdicts *verdicts = scoring->verdicts;
    uint64_t n_agentic = 0, n_of[SESSION_N_OUTLOOKS] = {0}, n_rounds = 0, n_ood = 0, n_compared = 0;
    double sum = 0.0;
    for (size_t i = 0; i < scoring->n_slots; i++) {
        const struct session_history *history = scoring->results[i].history;
        if (!history) continue;
        n_ood += verdicts && verdicts->support_ood[i].verdict == SUPPORT_SUPPORTED;
        if (history->mode != SESSION_AGENTIC) continue;
        n_agentic++;
        n_of[history->outlook]++;
        n_rounds += history->rounds.n;
        if (!history->has_refinement || !history->refinement.difference.is_defined) continue;
        sum += history->refinement.difference.value;
        n_compared++;
    }
    json_t *outlooks = json_object();
    for (unsigned i = 0; i < SESSION_N_OUTLOOKS; i++)
        (void)json_object_set_new(outlooks, session_outlook_name((enum session_outlook)i),
                                  json_integer((json_int_t)n_of[i]));
    return json_pack("{s:I s:I s:o s:I s:o s:{s:I s:o}}", "n_agentic", (json_int_t)n_agentic,
                     "n_settled", (json_int_t)n_of[OUTLOOK_SETTLED], "outlooks", outlooks,
                     "n_rounds", (json_int_t)n_rounds, "n_supported_ood",
                     verdicts ? json_integer((json_int_t)n_ood) : json_null(), "refinement", "n",
                     (json_int_t)n_compared, "mean_difference",
                     n_compared ? json_real(sum / (double)n_compared) : json_null());
}

/* Do the judges agree, over the windows of all features? Nothing with one judge. */
static status_t add_agreement(const struct label_scoring *scoring, json_t *summary,
                              struct error *err)
{
    struct panel_agreement panels[CASE_N_SCORES];
    struct label_agreement agreement;
    if (scoring->rules.n_more_judges == 0) return ST_OK;
    const status_t status = label_panel_pool(scoring, panels, err);
    if (status != ST_OK) return status;
    label_record_agreement(scoring, panels, &agreement);
    return json_object_set_new(summary, "agreement", label_json_agreement(&agreement)) == 0
               ? ST_OK
               : error_set(err, ST_NO_MEMORY, "summary");
}

static status_t write_summary(const struct label_scoring *scoring, struct error *err)
{
    char *path = sweep_path(scoring->run->sweep, "summary.json");
    json_t *summary = json_summary(scoring);
    if (summary && scoring->rules.mode != SESSION_SINGLE_PASS)
        (void)json_object_set_new(summary, "sessions", json_sessions(scoring));
    status_t status = summary ? add_agreement(scoring, summary, err) : ST_OK;
    char *text =
        summary ? json_dumps(summary, JSON_SORT_KEYS | JSON_INDENT(1) | JSON_REAL_PRECISION(12))
                : NULL;
    if (status == ST_OK)
        status = path && text ? file_write_atomic(path, text, strlen(text), err)
                              : error_set(err, ST_NO_MEMORY, "summary");
    json_decref(summary);
    free(text);
    free(path);
    return status;
}

static status_t write_judged(const struct label_scoring *scoring, size_t index, struct buffer *out,
                             struct error *err)
{
    const char *line = scoring->results[index].judged;
    return line ? buffer_append_text(out, line, err) : ST_OK;
}

static status_t write_null_judged(const struct label_scoring *scoring, size_t pair,
                                  struct buffer *out, struct error *err)
{
    const char *line = scoring->null_judged ? scoring->null_judged[pair] : NULL;
    return line ? buffer_append_text(out, line, err) : ST_OK;
}

typedef status_t write_line(const struct label_scoring *scoring, size_t index, struct buffer *out,
                            struct error *err);

/* One line each of n slots or pairs, in their order. */
static status_t write_lines(const struct label_scoring *scoring, const char *name,
                            write_line *write, size_t n, struct error *err)
{
    struct buffer out;
    buffer_init(&out, RESULTS_MAX_BYTES);
    status_t status = ST_OK;
    for (size_t i = 0; i < n && status == ST_OK; i++) status = write(scoring, i, &out, err);
    char *path = sweep_path(scoring->run->sweep, name);
    if (status == ST_OK)
        status = path ? file_write_atomic(path, out.bytes ? (const void *)out.bytes : "",
                                          out.n_bytes, err)
                      : error_set(err, ST_NO_MEMORY, "%s", name);
    free(path);
    buffer_fini(&out);
    return status;
}

status_t label_results_write(struct label_scoring *scoring, struct error *err)
{
    status_t status =
        write_lines(scoring, "results.jsonl", label_record_write, scoring->n_slots, err);
    if (status == ST_OK && scoring->run->sweep->spec->keep_judged) {
        status = write_lines(scoring, "judged.jsonl", write_judged, scoring->n_slots, err);
        if (status == ST_OK)
            status =
                write_lines(scoring, "judged-null.jsonl", write_null_judged, scoring->n_pairs, err);
    }
    if (status == ST_OK) status = label_trail_save(scoring, err);
    return status == ST_OK ? write_summary(scoring, err) : status;
}

/* --- reading a finished sweep -------------------------------------------------------------- */

static json_t *read_summary(const struct sweep *sweep)
{
    char *path = sweep_path(sweep, "summary.json");
    char *text = NULL;
    json_t *summary = NULL;
    if (path && file_read(path, SUMMARY_MAX, &text, NULL, NULL) == ST_OK)
        summary = json_loads(text, 0, NULL);
    free(text);
    free(path);
    return summary;
}

static uint64_t count_of(const json_t *summary, const char *key)
{
    const json_int_t value = json_integer_value(json_object_get(summary, key));
    return value > 0 ? (uint64_t)value : 0;
}

void label_scoring_finished_counts(const struct sweep *sweep, struct sweep_progress *out)
{
    json_t *summary = sweep->state == SWEEP_FINISHED ? read_summary(sweep) : NULL;
    if (!summary) return;
    out->n_features = count_of(summary, "n_features");
    out->n_units = out->n_units_done = out->n_features;
    out->n_labelled = count_of(summary, "n_labelled");
    const json_t *supported = json_object_get(summary, "n_supported");
    out->n_supported = json_is_integer(supported) ? json_integer_value(supported) : -1;
    json_decref(summary);
}

status_t label_scoring_describe_finished(const struct sweep *sweep, json_t *out, struct error *err)
{
    (void)err;
    json_t *summary = sweep->state == SWEEP_FINISHED ? read_summary(sweep) : NULL;
    static const char *const keys[] = {"statuses",   "types",    "splits",
                                       "leak_count", "sessions", "agreement"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        json_t *value = summary ? json_object_get(summary, keys[i]) : NULL;
        (void)(value ? json_object_set(out, keys[i], value)
                     : json_object_set_new(out, keys[i], json_null()));
    }
    (void)json_object_set_new(out, "problems", json_array());
    json_decref(summary);
    return ST_OK;
}

/* --- records ------------------------------------------------------------------------------- */

static const struct label_scoring *scoring_of(const struct sweep *sweep)
{
    const struct label_run *run = sweep->engine;
    return run ? run->scoring : NULL;
}

size_t label_scoring_n_records(const struct sweep *sweep)
{
    const struct label_scoring *scoring = scoring_of(sweep);
    if (scoring) return scoring->n_slots;
    return finished_records_count(sweep);
}

status_t label_scoring_record(const struct sweep *sweep, size_t index, struct buffer *out,
                              struct error *err)
{
    const struct label_scoring *scoring = scoring_of(sweep);
    if (!scoring) return finished_records_append(sweep, index, out, err);
    if (!scoring->results[index].is_done)
        return error_set(err, ST_NOT_FOUND, "record %zu is not there", index);
    const status_t status = label_record_write(scoring, index, out, err);
    if (status == ST_OK) out->n_bytes--; /* its line break */
    return status;
}

/* How many targets before it in the sweep have the same name in records. */
static size_t n_namesakes(const struct sweep_spec *spec, size_t target)
{
    const struct sweep_target *wanted = &spec->targets[target];
    size_t n = 0;
    for (size_t i = 0; i < target; i++) {
        const struct sweep_target *other = &spec->targets[i];
        const bool is_same_file = !wanted->dictionary || !other->dictionary
                                      ? wanted->dictionary == other->dictionary
                                      : strcmp(wanted->dictionary, other->dictionary) == 0;
        n += is_same_file && strcmp(wanted->hook, other->hook) == 0;
    }
    return n;
}

status_t label_scoring_find(const struct sweep *sweep, size_t target, uint64_t feature,
                            size_t *index, struct error *err)
{
    const struct label_scoring *scoring = scoring_of(sweep);
    struct results_file *file = scoring ? NULL : finished_records_file(sweep);
    const struct sweep_target *of = &sweep->spec->targets[target];
    if (scoring)
        return label_slots_find(scoring, target, feature, index)
                   ? ST_OK
                   : error_set(err, ST_NOT_FOUND, "no record of feature %llu",
                               (unsigned long long)feature);
    if (!file) return error_set(err, ST_NOT_FOUND, "no results");
    const struct results_wanted wanted = {.hook_point = of->hook,
                                          .dictionary = of->dictionary,
                                          .n_before = n_namesakes(sweep->spec, target),
                                          .feature = feature};
    return results_file_find(file, &wanted, index, err);
}
