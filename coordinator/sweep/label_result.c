/* From a finished session to what stays of it. */
#include "coordinator/sweep/label_scoring_parts.h"

#include "coordinator/api/history.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- scores -------------------------------------------------------------------------------- */

static struct bootstrap_params bootstrap_of(const struct label_scoring *scoring, size_t index,
                                            unsigned score)
{
    const struct sweep_spec *spec = scoring->run->sweep->spec;
    return (struct bootstrap_params){.n_resamples = spec->scoring.bootstrap_resamples,
                                     .confidence = 0.95,
                                     .seed = spec->seed ^ spec->scoring.seed,
                                     .subject = label_slot_subject(scoring, index) + score};
}

struct scoring_input {
    const struct label_scoring *scoring;
    const struct label_session *session;
    size_t index;
};

static status_t summarise(const struct scoring_input *input, struct judgement *const *judgements,
                          struct slot_scores *out, struct error *err)
{
    status_t status = ST_OK;
    for (unsigned score = 0; score < CASE_N_SCORES; score++)
        for (unsigned kind = 0; judgements[score] && kind < SCORE_N_NEGATIVES; kind++) {
            const struct bootstrap_params params =
                bootstrap_of(input->scoring, input->index, score);
            if (status == ST_OK)
                status = score_summarise(
                    judgements[score], input->session->feature_case.items[score].n_items,
                    (enum score_negatives)kind, &params, &out->summary[score][kind], err);
            out->has[score][kind] = status == ST_OK;
        }
    return status;
}

static status_t compare(const struct scoring_input *input, struct slot_result *out,
                        struct error *err)
{
    const struct label_session *session = input->session;
    status_t status = ST_OK;
    for (unsigned score = 0; score < CASE_N_SCORES; score++)
        for (unsigned kind = 0; kind < SCORE_N_NEGATIVES && status == ST_OK; kind++) {
            if (!out->own.has[score][kind] || !out->baseline.has[score][kind]) continue;
            const struct bootstrap_params params =
                bootstrap_of(input->scoring, input->index, score);
            const size_t n = session->feature_case.items[score].n_items;
            status =
                score_compare(session->judgements[score], n, session->lexical_judgements[score], n,
                              (enum score_negatives)kind, &params, &out->versus[score][kind], err);
        }
    return status;
}

static status_t score(const struct scoring_input *input, struct slot_result *out, struct error *err)
{
    if (!feature_status_claims_score(out->status) || !out->has_label) return ST_OK;
    status_t status = summarise(input, input->session->judgements, &out->own, err);
    if (status != ST_OK || !input->session->rules->judge.name) return status;
    status = summarise(input, input->session->lexical_judgements, &out->baseline, err);
    return status == ST_OK ? compare(input, out, err) : status;
}

/* --- evidence ------------------------------------------------------------------------------ */

static void keep(struct slot_result *out, const struct window *window, size_t *n_tokens)
{
    struct window *kept = &out->kept[out->n_kept++];
    *kept = *window;
    kept->tokens =
        memcpy(out->tokens + *n_tokens, window->tokens, window->n_tokens * sizeof *window->tokens);
    if (window->activations)
        kept->activations = memcpy(out->activations + *n_tokens, window->activations,
                                   window->n_tokens * sizeof *window->activations);
    *n_tokens += window->n_tokens;
}

/* The strongest explain windows, and the last of those that were shown: one near the weak end. */
static status_t keep_evidence(const struct feature_case *feature_case, struct slot_result *out,
                              struct error *err)
{
    const struct window *chosen[KEPT_WINDOWS];
    size_t n = 0, n_tokens = 0;
    for (size_t i = 0; i < feature_case->n_shown && n < KEPT_WINDOWS - 1; i++)
        chosen[n++] = &feature_case->explain[feature_case->shown[i]];
    if (feature_case->n_shown > n)
        chosen[n++] = &feature_case->explain[feature_case->shown[feature_case->n_shown - 1]];
    for (size_t i = 0; i < n; i++) n_tokens += chosen[i]->n_tokens;
    if (n_tokens == 0) return ST_OK;
    out->tokens = malloc(n_tokens * sizeof *out->tokens);
    out->activations = malloc(n_tokens * sizeof *out->activations);
    if (!out->tokens || !out->activations) return error_set(err, ST_NO_MEMORY, "evidence");
    n_tokens = 0;
    for (size_t i = 0; i < n; i++) keep(out, chosen[i], &n_tokens);
    return ST_OK;
}

/* --- the result ---------------------------------------------------------------------------- */

status_t label_result_make(const struct label_scoring *scoring, const struct label_session *session,
                           size_t index, struct slot_result *out, struct error *err)
{
    const struct feature_case *feature_case = &session->feature_case;
    const struct scoring_input input = {scoring, session, index};
    *out = (struct slot_result){
        .is_done = true,
        .status = feature_case->status,
        .counts = feature_case->counts,
        .max_value = feature_case->max_value,
        .has_label = session->has_label,
        .label = session->label,
        .has_lexical = feature_case->has_lexical,
        .lexical = feature_case->lexical,
        .n_leaked = (uint32_t)feature_case->judged.n_leaked,
        .n_mislabelled = (uint32_t)feature_case->judged.n_mislabelled,
        .n_near_duplicates = (uint32_t)feature_case->judged.n_near_duplicates,
        .n_shared_documents = (uint32_t)feature_case->judged.n_shared_documents,
    };
    memcpy(out->no_label, session->failure, sizeof out->no_label);
    status_t status = keep_evidence(feature_case, out, err);
    if (status == ST_OK) status = score(&input, out, err);
    if (status != ST_OK) label_result_fini(out);
    return status;
}

void label_result_fini(struct slot_result *result)
{
    free(result->tokens);
    free(result->activations);
    *result = (struct slot_result){0};
}

static void announce(struct label_scoring *scoring, size_t index)
{
    const struct slot_result *result = &scoring->results[index];
    const struct slot_scores *own = &result->own;
    const enum case_score main_score = label_main_score(scoring);
    struct history *history = scoring->run->sweep->context->history;
    struct recent_label recent = {
        .feature = label_slot_feature(scoring, index),
        .score = own->has[main_score][NEGATIVES_RANDOM]
                     ? own->summary[main_score][NEGATIVES_RANDOM].balanced_accuracy.value
                     : NAN,
        .unix_ms = clock_unix_ms(scoring->run->sweep->context->clock)};
    if (!history || !result->has_label) return;
    (void)snprintf(recent.sweep, sizeof recent.sweep, "%s", scoring->run->sweep->id);
    (void)snprintf(recent.label, sizeof recent.label, "%.*s", LABEL_TEXT_SIZE - 1,
                   result->label.text);
    (void)snprintf(recent.status, sizeof recent.status, "%s", feature_status_name(result->status));
    history_add_label(history, &recent);
}

void label_scoring_take(struct label_scoring *scoring, size_t index, struct slot_result *result)
{
    struct slot_result *place = &scoring->results[index];
    if (place->is_done) { /* cannot happen twice; the first stays */
        label_result_fini(result);
        return;
    }
    *place = *result;
    *result = (struct slot_result){0};
    scoring->n_done++;
    scoring->n_statuses[place->status]++;
    scoring->n_labelled += place->has_label;
    announce(scoring, index);
}

void label_scoring_take_foreign(struct label_scoring *scoring, const struct label_session *session)
{
    scoring->n_pairs_done++;
    for (unsigned score = 0; score < CASE_N_SCORES; score++)
        for (unsigned kind = 0; session->judgements[score] && kind < SCORE_N_NEGATIVES; kind++) {
            const struct confusion confusion =
                score_count(session->judgements[score], session->feature_case.items[score].n_items,
                            (enum score_negatives)kind);
            const struct score_value value = score_balanced_accuracy(&confusion);
            if (value.is_defined)
                scoring->null_scores[score][kind][scoring->n_null[score][kind]++] = value.value;
        }
}
