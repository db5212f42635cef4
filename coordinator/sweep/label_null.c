/* The null of foreign labels over one sweep: which pairs, and what they say of every label. */
#include "coordinator/sweep/label_scoring_parts.h"

#include <stdlib.h>

enum case_score label_main_score(const struct label_scoring *scoring)
{
    return scoring->rules.scores & (1u << CASE_DETECTION) ? CASE_DETECTION : CASE_FUZZING;
}

/* --- pairs --------------------------------------------------------------------------------- */

static bool is_scored(const struct label_scoring *scoring, size_t index)
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
        if (!is_scored(scoring, i)) continue;
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
    return ST_OK;
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

static status_t decide(const struct label_scoring *scoring, struct label_verdicts *out,
                       unsigned score, unsigned kind, struct error *err)
{
    const struct sweep_spec *spec = scoring->run->sweep->spec;
    const struct support_thresholds thresholds = {spec->thresholds.z_min, spec->thresholds.fdr_q};
    const size_t n = scoring->n_slots;
    struct support_claim *claims = calloc(n + 1, sizeof *claims);
    struct support *verdicts = calloc(n + 1, sizeof *verdicts);
    status_t status = claims && verdicts ? ST_OK : error_set(err, ST_NO_MEMORY, "verdicts");
    for (size_t i = 0; i < n && status == ST_OK; i++) {
        const struct slot_result *result = &scoring->results[i];
        claims[i].status = result->status;
        if (result->own.has[score][kind])
            claims[i].score = result->own.summary[score][kind].balanced_accuracy;
    }
    if (status == ST_OK)
        status =
            support_decide(claims, n, &out->null_models[score][kind], &thresholds, verdicts, err);
    for (size_t i = 0; i < n && status == ST_OK; i++) out->support[i][score][kind] = verdicts[i];
    free(claims);
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
            if (status == ST_OK) status = decide(scoring, out, score, kind, err);
        }
    for (size_t i = 0; i < scoring->n_slots && status == ST_OK; i++)
        out->n_supported += out->support[i][label_main_score(scoring)][NEGATIVES_RANDOM].verdict ==
                            SUPPORT_SUPPORTED;
    return status;
}

status_t label_null_decide(struct label_scoring *scoring, struct error *err)
{
    if (scoring->run->sweep->spec->scoring.null_pairs == 0) return ST_OK;
    struct label_verdicts *verdicts = calloc(1, sizeof *verdicts);
    if (verdicts) verdicts->support = calloc(scoring->n_slots + 1, sizeof *verdicts->support);
    status_t status = verdicts && verdicts->support
                          ? decide_all(scoring, verdicts, err)
                          : error_set(err, ST_NO_MEMORY, "verdicts on %zu slots", scoring->n_slots);
    if (status == ST_OK)
        scoring->decided = verdicts;
    else
        label_verdicts_destroy(&verdicts);
    return status;
}
