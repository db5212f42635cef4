/* The null of foreign labels over one sweep: which pairs, and what they say of every label. */
#include "coordinator/sweep/label_scoring_parts.h"

#include <stdlib.h>

enum case_score label_main_score(const struct label_scoring *scoring)
{
    return scoring->rules.scores & (1u << CASE_DETECTION) ? CASE_DETECTION : CASE_FUZZING;
}

/* --- pairs --------------------------------------------------------------------------------- */

bool label_is_scored(const struct label_scoring *scoring, size_t index)
{
    const struct slot_result *result = &scoring->results[index];
    return result->has_label && result->own.has[label_main_score(scoring)][NEGATIVES_RANDOM];
}

static double density(const struct slot_result *result)
{
    return result->counts.n_tokens
               ? (double)result->counts.n_firing_tokens / (double)result->counts.n_tokens
               : 0;
}

static status_t list_scored(struct label_scoring *scoring, double **densities, struct error *err)
{
    scoring->scored = malloc((scoring->n_slots + 1) * sizeof *scoring->scored);
    *densities = malloc((scoring->n_slots + 1) * sizeof **densities);
    if (!scoring->scored || !*densities) return error_set(err, ST_NO_MEMORY, "null pairs");
    for (size_t i = 0; i < scoring->n_slots; i++) {
        if (!label_is_scored(scoring, i)) continue;
        (*densities)[scoring->n_scored] = density(&scoring->results[i]);
        scoring->scored[scoring->n_scored++] = i;
    }
    return ST_OK;
}

static status_t make_room_for_scores(struct label_scoring *scoring, struct error *err)
{
    for (unsigned score = 0; score < CASE_N_SCORES; score++)
        for (unsigned kind = 0; kind < SCORE_N_NEGATIVES; kind++) {
            scoring->null_scores[score][kind] = malloc((scoring->n_pairs + 1) * sizeof(double));
            if (!scoring->null_scores[score][kind])
                return error_set(err, ST_NO_MEMORY, "%zu null scores", scoring->n_pairs);
        }
    scoring->null_simulation = malloc((scoring->n_pairs + 1) * sizeof(double));
    scoring->null_judged = calloc(scoring->n_pairs + 1, sizeof *scoring->null_judged);
    return scoring->null_simulation && scoring->null_judged
               ? ST_OK
               : error_set(err, ST_NO_MEMORY, "%zu null scores", scoring->n_pairs);
}

/* The same pairs serve every score type: one foreign session is judged on all of them. */
status_t label_null_begin(struct label_scoring *scoring, struct error *err)
{
    const struct sweep_spec *spec = scoring->run->sweep->spec;
    double *densities = NULL;
    if (spec->scoring.null_pairs == 0) return ST_OK;
    status_t status = list_scored(scoring, &densities, err);
    struct null_pairs_params params = null_pairs_params_default(spec->seed ^ spec->scoring.seed, 0);
    params.n_pairs = spec->scoring.null_pairs;
    if (status == ST_OK && scoring->n_scored)
        status = null_pairs_choose(densities, scoring->n_scored, &params, &scoring->pairs,
                                   &scoring->n_pairs, err);
    free(densities);
    return status == ST_OK ? make_room_for_scores(scoring, err) : status;
}

/* --- verdicts ------------------------------------------------------------------------------ */

/* What a label claims beside its score. A single pass, also within an agentic sweep, claims no
 * rounds: its features are of a kind that is never supported. */
static struct support_claim claim_of(const struct label_scoring *scoring,
                                     const struct slot_result *result)
{
    const struct session_history *history = result->history;
    struct support_claim claim = {.status = result->status};
    if (!history || history->mode != SESSION_AGENTIC) return claim;
    const struct session_rounds *rounds = &history->rounds;
    claim.is_agentic = true;
    claim.had_enough_rounds = session_rounds_n_tested(rounds) >= scoring->rules.rounds.min;
    claim.passed_adversarial =
        history->chosen < rounds->n && rounds->list[history->chosen].adversarial.has_passed;
    return claim;
}

/* Decide one score over all slots: out [n_slots]. */
static status_t decide(const struct label_scoring *scoring, const struct null_model *null,
                       unsigned score, unsigned kind, bool is_ood, struct support *out,
                       struct error *err)
{
    const struct sweep_spec *spec = scoring->run->sweep->spec;
    const struct support_thresholds thresholds = {spec->thresholds.z_min, spec->thresholds.fdr_q};
    const size_t n = scoring->n_slots;
    struct support_claim *claims = calloc(n + 1, sizeof *claims);
    if (!claims) return error_set(err, ST_NO_MEMORY, "verdicts");
    for (size_t i = 0; i < n; i++) {
        const struct slot_result *result = &scoring->results[i];
        const struct slot_scores *scores = &result->own;
        claims[i] = claim_of(scoring, result);
        if (is_ood && !result->history) continue;
        if (is_ood) scores = &result->history->ood;
        if (scores->has[score][kind])
            claims[i].score = scores->summary[score][kind].balanced_accuracy;
    }
    const status_t status = support_decide(claims, n, null, &thresholds, out, err);
    free(claims);
    return status;
}

/* The simulation score has a null of its own and decides nothing but its own verdict. */
static status_t decide_simulation(const struct label_scoring *scoring, struct label_verdicts *out,
                                  struct error *err)
{
    const struct sweep_spec *spec = scoring->run->sweep->spec;
    const struct support_thresholds thresholds = {spec->thresholds.z_min, spec->thresholds.fdr_q};
    const size_t n = scoring->n_slots;
    if (!scoring->rules.n_simulated) return ST_OK;
    struct support_claim *claims = calloc(n + 1, sizeof *claims);
    if (!claims) return error_set(err, ST_NO_MEMORY, "verdicts");
    for (size_t i = 0; i < n; i++) {
        claims[i] = claim_of(scoring, &scoring->results[i]);
        claims[i].score = scoring->results[i].simulation.score.pearson;
    }
    status_t status = null_model_init(&out->simulation_null, scoring->null_simulation,
                                      scoring->n_null_simulation, err);
    if (status == ST_OK)
        status = support_decide(claims, n, &out->simulation_null, &thresholds,
                                out->simulation_support, err);
    free(claims);
    return status;
}

static status_t decide_kind(const struct label_scoring *scoring, struct label_verdicts *out,
                            unsigned score, unsigned kind, struct error *err)
{
    const size_t n = scoring->n_slots;
    struct support *verdicts = calloc(n + 1, sizeof *verdicts);
    if (!verdicts) return error_set(err, ST_NO_MEMORY, "verdicts");
    const status_t status =
        decide(scoring, &out->null_models[score][kind], score, kind, false, verdicts, err);
    for (size_t i = 0; i < n && status == ST_OK; i++) out->support[i][score][kind] = verdicts[i];
    free(verdicts);
    return status;
}

void label_verdicts_destroy(struct label_verdicts **verdicts)
{
    if (!*verdicts) return;
    for (size_t i = 0; i < CASE_N_SCORES; i++)
        for (size_t j = 0; j < SCORE_N_NEGATIVES; j++)
            null_model_fini(&(*verdicts)->null_models[i][j]);
    free((*verdicts)->support);
    free((*verdicts)->support_ood);
    null_model_fini(&(*verdicts)->simulation_null);
    free((*verdicts)->simulation_support);
    free(*verdicts);
    *verdicts = NULL;
}

static status_t decide_all(const struct label_scoring *scoring, struct label_verdicts *out,
                           struct error *err)
{
    status_t status = ST_OK;
    for (unsigned score = 0; score < CASE_N_SCORES; score++)
        for (unsigned kind = 0; kind < SCORE_N_NEGATIVES && status == ST_OK; kind++) {
            if (!(scoring->rules.scores & (1u << score))) continue;
            status =
                null_model_init(&out->null_models[score][kind], scoring->null_scores[score][kind],
                                scoring->n_null[score][kind], err);
            if (status == ST_OK) status = decide_kind(scoring, out, score, kind, err);
        }
    if (status == ST_OK && scoring->rules.mode != SESSION_SINGLE_PASS) {
        const unsigned score = label_main_score(scoring);
        status = decide(scoring, &out->null_models[score][NEGATIVES_RANDOM], score,
                        NEGATIVES_RANDOM, true, out->support_ood, err);
    }
    if (status == ST_OK) status = decide_simulation(scoring, out, err);
    for (size_t i = 0; i < scoring->n_slots && status == ST_OK; i++)
        out->n_supported += out->support[i][label_main_score(scoring)][NEGATIVES_RANDOM].verdict ==
                            SUPPORT_SUPPORTED;
    return status;
}

status_t label_null_decide(struct label_scoring *scoring, struct error *err)
{
    if (scoring->run->sweep->spec->scoring.null_pairs == 0) return ST_OK;
    struct label_verdicts *verdicts = calloc(1, sizeof *verdicts);
    if (verdicts) {
        verdicts->support = calloc(scoring->n_slots + 1, sizeof *verdicts->support);
        verdicts->support_ood = calloc(scoring->n_slots + 1, sizeof *verdicts->support_ood);
        verdicts->simulation_support =
            calloc(scoring->n_slots + 1, sizeof *verdicts->simulation_support);
    }
    const bool has_room =
        verdicts && verdicts->support && verdicts->support_ood && verdicts->simulation_support;
    status_t status = has_room
                          ? decide_all(scoring, verdicts, err)
                          : error_set(err, ST_NO_MEMORY, "verdicts on %zu slots", scoring->n_slots);
    if (status == ST_OK)
        scoring->decided = verdicts;
    else
        label_verdicts_destroy(&verdicts);
    return status;
}
