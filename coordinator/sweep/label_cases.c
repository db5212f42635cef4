/* Cases are built in the background, a block of slots (or pairs) at a time. A session that needs
 * no call ends right there; the others come back to the loop with their first calls open. */
#include "coordinator/sweep/label_scoring_parts.h"

#include "common/log.h"

#include <stdlib.h>

enum {
    BLOCK = 32,
    JOBS_AT_ONCE = 4,
    OPEN_SESSIONS_MAX = 512 /* sessions that wait for replies; each holds its windows */
};

struct case_job {
    struct background_job job; /* first */
    struct label_scoring *scoring;
    bool is_null;
    size_t low, high; /* slots, or pairs */
    struct lexical_workspace *workspace;
    struct slot_result results[BLOCK];
    struct label_session sessions[BLOCK];
    bool is_open[BLOCK]; /* the session waits for calls */
};

static struct feature_case_params params_of(const struct label_scoring *scoring, size_t index,
                                            struct lexical_workspace *workspace)
{
    const struct label_run *run = scoring->run;
    const struct sweep_spec *spec = run->sweep->spec;
    const struct slot_name name = label_slot_name(scoring, index);
    const struct label_target *target = &run->targets[name.target];
    struct feature_case_params params = {
        .corpus = run->corpus,
        .fire_threshold = target->frozen.fire_threshold[name.slot],
        .slot = name.slot,
        .subject = label_slot_subject(scoring, index),
        .seed = spec->seed ^ spec->scoring.seed,
        .judged = EVIDENCE_TEST,
        .scores = scoring->rules.scores,
        .n_firing = spec->scoring.n_firing,
        .n_silent = spec->scoring.n_silent,
        .windows_per_prompt = spec->scoring.windows_per_prompt,
        .overlap_jaccard = spec->thresholds.near_duplicate_jaccard,
        .thresholds = triage_thresholds_default(),
        .workspace = workspace,
    };
    params.thresholds.min_test_documents = spec->thresholds.min_test_documents;
    params.thresholds.dense_share = spec->thresholds.dense_share;
    params.thresholds.position_f1 = spec->thresholds.position_f1;
    params.thresholds.token_f1 = spec->thresholds.token_f1;
    for (size_t split = 0; split < EVIDENCE_N_SPLITS; split++)
        params.states[split] = target->states[split];
    return params;
}

static status_t open_case(struct case_job *self, size_t i, struct error *err)
{
    struct label_scoring *scoring = self->scoring;
    const size_t index =
        self->is_null ? scoring->scored[scoring->pairs[self->low + i].feature] : self->low + i;
    const struct feature_case_params params = params_of(scoring, index, self->workspace);
    struct feature_case feature_case;
    status_t status = feature_case_build(&feature_case, &params, err);
    if (status != ST_OK) return error_wrap(err, "feature %zu", index);
    if (!self->is_null)
        return label_session_open(&self->sessions[i], &scoring->rules, &feature_case, err);
    const struct slot_result *foreign =
        &scoring->results[scoring->scored[scoring->pairs[self->low + i].foreign]];
    return label_session_open_foreign(&self->sessions[i], &scoring->rules, &feature_case,
                                      &foreign->label, &foreign->lexical.pattern, err);
}

static status_t run_one(struct case_job *self, size_t i, struct error *err)
{
    status_t status = open_case(self, i, err);
    if (status != ST_OK) return status;
    self->is_open[i] = true;
    if (self->sessions[i].stage != SESSION_DONE || self->is_null) return ST_OK;
    status =
        label_result_make(self->scoring, &self->sessions[i], self->low + i, &self->results[i], err);
    label_session_fini(&self->sessions[i]);
    self->is_open[i] = false;
    return status;
}

static status_t job_run(struct background_job *job, struct error *err)
{
    struct case_job *self = (struct case_job *)job;
    status_t status = ST_OK;
    for (size_t i = 0; i < self->high - self->low && status == ST_OK; i++)
        status = run_one(self, i, err);
    return status;
}

static status_t hand_over(struct case_job *self, size_t i, struct error *err)
{
    struct label_scoring *scoring = self->scoring;
    struct label_session *session = &self->sessions[i];
    if (!self->is_open[i]) {
        label_scoring_take(scoring, self->low + i, &self->results[i]);
        return ST_OK;
    }
    self->is_open[i] = false;
    if (session->stage == SESSION_DONE) { /* a foreign session without calls */
        label_scoring_take_foreign(scoring, session);
        label_session_fini(session);
        return ST_OK;
    }
    return label_calls_add(scoring, session, self->low + i, err);
}

static void discard(struct case_job *self)
{
    for (size_t i = 0; i < BLOCK; i++) {
        if (self->is_open[i]) label_session_fini(&self->sessions[i]);
        label_result_fini(&self->results[i]);
    }
    free(self);
}

static void job_done(struct background_job *job, status_t status, const struct error *err)
{
    struct case_job *self = (struct case_job *)job;
    struct label_scoring *scoring = self->scoring;
    struct error problem = *err;
    scoring->workspaces[scoring->n_workspaces++] = self->workspace;
    scoring->n_jobs--;
    scoring->run->n_jobs--;
    for (size_t i = 0; i < self->high - self->low && status == ST_OK; i++)
        status = hand_over(self, i, &problem);
    if (status != ST_OK && scoring->run->failure.status == ST_OK) {
        scoring->run->failure = problem;
        scoring->run->failure.status = status;
    }
    discard(self);
}

static status_t take_workspace(struct label_scoring *scoring, struct lexical_workspace **out,
                               struct error *err)
{
    if (!scoring->workspaces) {
        scoring->workspaces = calloc(JOBS_AT_ONCE, sizeof(struct lexical_workspace *));
        if (!scoring->workspaces) return error_set(err, ST_NO_MEMORY, "workspaces");
    }
    if (scoring->n_workspaces == 0) return lexical_workspace_create(out, scoring->vocabulary, err);
    *out = scoring->workspaces[--scoring->n_workspaces];
    return ST_OK;
}

static status_t submit_block(struct label_scoring *scoring, bool is_null, size_t low, size_t high,
                             struct error *err)
{
    struct case_job *job = calloc(1, sizeof *job);
    if (!job) return error_set(err, ST_NO_MEMORY, "block of features");
    job->job.run = job_run;
    job->job.done = job_done;
    job->scoring = scoring;
    job->is_null = is_null;
    job->low = low;
    job->high = high;
    const status_t status = take_workspace(scoring, &job->workspace, err);
    if (status != ST_OK) {
        free(job);
        return status;
    }
    background_submit(scoring->run->sweep->context->background, &job->job);
    scoring->n_jobs++;
    scoring->run->n_jobs++;
    return ST_OK;
}

status_t label_cases_submit(struct label_scoring *scoring, struct error *err)
{
    const bool is_null = scoring->pass == PASS_NULL;
    size_t *next = is_null ? &scoring->next_pair : &scoring->next_slot;
    const size_t end = is_null ? scoring->n_pairs : scoring->n_slots;
    status_t status = ST_OK;
    while (status == ST_OK && *next < end && scoring->n_jobs < JOBS_AT_ONCE &&
           scoring->n_open + scoring->n_jobs * BLOCK < OPEN_SESSIONS_MAX) {
        const size_t high = end - *next < BLOCK ? end : *next + BLOCK;
        status = submit_block(scoring, is_null, *next, high, err);
        if (status == ST_OK) *next = high;
    }
    return status;
}
