/* From a finished session to what stays of it. */
#include "coordinator/sweep/label_scoring_parts.h"

#include "coordinator/api/history.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- scores -------------------------------------------------------------------------------- */

struct bootstrap_params label_bootstrap(const struct label_scoring *scoring, size_t index,
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
    const struct feature_case *feature_case;
    size_t index;
};

/* Judgements of one label about the items of one score. */
struct judged {
    struct judgement *list; /* [n], owned; NULL: not judged */
    size_t n;
};

static status_t read_sheet(const struct scoring_input *input, enum session_sheet sheet,
                           unsigned score, struct judged *out, struct error *err)
{
    return label_session_judgements(input->session, input->feature_case, sheet,
                                    (enum case_score)score, &out->list, &out->n, err);
}

/* What the lexical label says of the same test windows. */
static status_t read_baseline(const struct scoring_input *input, unsigned score, struct judged *out,
                              struct error *err)
{
    const struct session_rules *rules = input->session->rules;
    const struct prompt_items *items = &input->feature_case->splits[EVIDENCE_TEST].items[score];
    const struct lexical_label *lexical = input->session->lexical;
    *out = (struct judged){NULL, 0};
    if (!lexical || items->n_items == 0 || !(rules->scores & (1u << score))) return ST_OK;
    out->list = calloc(items->n_items, sizeof *out->list);
    if (!out->list) return error_set(err, ST_NO_MEMORY, "%zu judgements", items->n_items);
    out->n = items->n_items;
    feature_case_judge_lexically(items, &lexical->pattern, rules->vocabulary, out->list);
    return ST_OK;
}

static status_t summarise(const struct scoring_input *input, const struct judged *judged,
                          unsigned score, struct slot_scores *out, struct error *err)
{
    status_t status = ST_OK;
    for (unsigned kind = 0; judged->list && kind < SCORE_N_NEGATIVES; kind++) {
        const struct bootstrap_params params = label_bootstrap(input->scoring, input->index, score);
        if (status == ST_OK)
            status = score_summarise(judged->list, judged->n, (enum score_negatives)kind, &params,
                                     &out->summary[score][kind], err);
        out->has[score][kind] = status == ST_OK;
    }
    return status;
}

static status_t compare(const struct scoring_input *input, const struct judged *own,
                        const struct judged *baseline, unsigned score, struct slot_result *out,
                        struct error *err)
{
    status_t status = ST_OK;
    for (unsigned kind = 0; kind < SCORE_N_NEGATIVES && status == ST_OK; kind++) {
        if (!out->own.has[score][kind] || !out->baseline.has[score][kind]) continue;
        const struct bootstrap_params params = label_bootstrap(input->scoring, input->index, score);
        status = score_compare(own->list, own->n, baseline->list, baseline->n,
                               (enum score_negatives)kind, &params, &out->versus[score][kind], err);
    }
    return status;
}

/* One score on test windows, and the same of the lexical label beside a language model's. */
static status_t score_one(const struct scoring_input *input, unsigned score,
                          struct slot_result *out, struct error *err)
{
    struct judged own = {NULL, 0}, baseline = {NULL, 0};
    status_t status = read_sheet(input, SHEET_TEST, score, &own, err);
    if (status == ST_OK) status = summarise(input, &own, score, &out->own, err);
    if (status == ST_OK && input->session->rules->judge.name) {
        status = read_baseline(input, score, &baseline, err);
        if (status == ST_OK) status = summarise(input, &baseline, score, &out->baseline, err);
        if (status == ST_OK) status = compare(input, &own, &baseline, score, out, err);
    }
    free(own.list);
    free(baseline.list);
    return status;
}

static status_t score_all(const struct scoring_input *input, struct slot_result *out,
                          struct error *err)
{
    status_t status = ST_OK;
    if (!feature_status_claims_score(out->status) || !out->has_label) return ST_OK;
    for (unsigned score = 0; score < CASE_N_SCORES && status == ST_OK; score++)
        status = score_one(input, score, out, err);
    const struct bootstrap_params params =
        label_bootstrap(input->scoring, input->index, BOOTSTRAP_SIMULATION);
    if (status == ST_OK)
        status = label_session_simulation(input->session, input->feature_case, &params,
                                          &out->simulation, err);
    if (status == ST_OK)
        status = label_panel_make(input->scoring, input->session, input->feature_case, input->index,
                                  &out->panel, err);
    return status;
}

/* --- more than a single pass --------------------------------------------------------------- */

static status_t score_ood(const struct scoring_input *input, struct slot_scores *out,
                          struct error *err)
{
    status_t status = ST_OK;
    for (unsigned score = 0; score < CASE_N_SCORES && status == ST_OK; score++) {
        struct judged ood = {NULL, 0};
        status = read_sheet(input, SHEET_OOD, score, &ood, err);
        if (status == ST_OK) status = summarise(input, &ood, score, out, err);
        free(ood.list);
    }
    return status;
}

/* Does refining pay: the last tested round's label minus the first one's, on test windows. */
static status_t compare_rounds(const struct scoring_input *input, struct session_history *out,
                               struct error *err)
{
    const unsigned score = input->session->rules->main_score;
    const struct bootstrap_params params = label_bootstrap(input->scoring, input->index, score);
    struct judged first = {NULL, 0}, last = {NULL, 0};
    status_t status = read_sheet(input, SHEET_FIRST, score, &first, err);
    if (status == ST_OK) status = read_sheet(input, SHEET_LAST, score, &last, err);
    if (status == ST_OK && first.list && last.list) {
        status = score_compare(last.list, last.n, first.list, first.n, NEGATIVES_RANDOM, &params,
                               &out->refinement, err);
        out->has_refinement = status == ST_OK;
    }
    free(first.list);
    free(last.list);
    return status;
}

static status_t make_history(const struct scoring_input *input, struct label_session *session,
                             struct slot_result *out, struct error *err)
{
    if (session->rules->mode == SESSION_SINGLE_PASS) return ST_OK;
    struct session_history *history = calloc(1, sizeof *history);
    if (!history) return error_set(err, ST_NO_MEMORY, "rounds");
    out->history = history;
    history->mode = session->mode;
    history->chosen = session->chosen;
    history->outlook = session->outlook;
    status_t status = score_ood(input, &history->ood, err);
    if (status == ST_OK && session->mode == SESSION_AGENTIC)
        status = compare_rounds(input, history, err);
    history->rounds = session->rounds; /* moved */
    session->rounds = (struct session_rounds){0};
    return status;
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

status_t label_result_make(const struct label_scoring *scoring, struct label_session *session,
                           const struct feature_case *feature_case, size_t index,
                           struct slot_result *out, struct error *err)
{
    const struct scoring_input input = {scoring, session, feature_case, index};
    const struct window_selection *judged = &feature_case->splits[EVIDENCE_TEST].judged;
    const struct prompt_label *label = label_session_label(session);
    *out = (struct slot_result){
        .is_done = true,
        .status = feature_case->status,
        .counts = feature_case->counts,
        .max_value = feature_case->max_value,
        .has_label = label != NULL,
        .has_lexical = session->lexical != NULL,
        .cut_prompts = session->cut_prompts,
        .n_leaked = (uint32_t)judged->n_leaked,
        .n_mislabelled = (uint32_t)judged->n_mislabelled,
        .n_near_duplicates = (uint32_t)judged->n_near_duplicates,
        .n_shared_documents = (uint32_t)judged->n_shared_documents,
    };
    if (label) out->label = *label;
    if (session->lexical) out->lexical = *session->lexical;
    memcpy(out->no_label, session->failure, sizeof out->no_label);
    status_t status = keep_evidence(feature_case, out, err);
    if (status == ST_OK) status = score_all(&input, out, err);
    if (status == ST_OK)
        status = label_result_kinds(scoring, session, feature_case, index, out, err);
    if (status == ST_OK) status = make_history(&input, session, out, err);
    if (status != ST_OK) label_result_fini(out);
    return status;
}

void label_result_fini(struct slot_result *result)
{
    label_panel_destroy(&result->panel);
    free(result->judged);
    if (result->history) session_rounds_fini(&result->history->rounds);
    free(result->history);
    free(result->meanings.list);
    free(result->tokens);
    free(result->activations);
    *result = (struct slot_result){0};
}

status_t label_result_foreign(struct open_session *open, const struct feature_case *feature_case,
                              struct error *err)
{
    status_t status = ST_OK;
    for (unsigned score = 0; score < CASE_N_SCORES && status == ST_OK; score++) {
        struct judgement *judgements;
        size_t n;
        status = label_session_judgements(&open->session, feature_case, SHEET_TEST,
                                          (enum case_score)score, &judgements, &n, err);
        for (unsigned kind = 0; status == ST_OK && judgements && kind < SCORE_N_NEGATIVES; kind++) {
            const struct confusion confusion =
                score_count(judgements, n, (enum score_negatives)kind);
            const struct score_value value = score_balanced_accuracy(&confusion);
            open->has_foreign[score][kind] = value.is_defined;
            open->foreign[score][kind] = value.value;
        }
        if (status == ST_OK) free(judgements);
    }
    struct simulation_outcome simulation = {.is_there = false};
    if (status == ST_OK)
        status = label_session_simulation(&open->session, feature_case, NULL, &simulation, err);
    open->foreign_simulation = simulation.score.pearson;
    return status;
}

/* Labels as they come, for the first page; those of a control are no findings. */
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
    const bool is_control = scoring->run->sweep->spec->control != SWEEP_CONTROL_NONE;
    if (!history || !result->has_label || is_control) return;
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
    if (place->has_typing) scoring->n_types[place->typing.type]++;
    announce(scoring, index);
}

void label_scoring_take_foreign(struct label_scoring *scoring, struct open_session *open)
{
    scoring->n_pairs_done++;
    scoring->null_judged[open->index] = open->judged; /* moved */
    open->judged = NULL;
    for (unsigned score = 0; score < CASE_N_SCORES; score++)
        for (unsigned kind = 0; kind < SCORE_N_NEGATIVES; kind++)
            if (open->has_foreign[score][kind])
                scoring->null_scores[score][kind][scoring->n_null[score][kind]++] =
                    open->foreign[score][kind];
    if (open->foreign_simulation.is_defined)
        scoring->null_simulation[scoring->n_null_simulation++] = open->foreign_simulation.value;
}
