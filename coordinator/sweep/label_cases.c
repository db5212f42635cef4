/* Sessions are brought on in the background, a block at a time: a job builds the case that a
 * session's next half step needs, takes the step, and goes on until the session waits for answers
 * or is done. Then it writes the bodies of what is to be asked, or the result, and the windows are
 * thrown away. A session that needs no answer begins and ends in one job. */
#include "coordinator/sweep/label_scoring_parts.h"

#include <stdlib.h>
#include <string.h>

enum { JOBS_AT_ONCE = 4 };

struct case_job {
    struct background_job job; /* first */
    struct label_scoring *scoring;
    bool is_null, is_steered; /* of PASS_NULL, of PASS_INTERVENE */
    struct lexical_workspace *workspace;
    struct open_session *open[BLOCK_SESSIONS]; /* [n], borrowed; place OPEN_IN_JOB */
    size_t n;
};

/* The slot whose windows an open session is about. */
static size_t slot_of(const struct case_job *self, const struct open_session *open)
{
    const struct label_scoring *scoring = self->scoring;
    if (self->is_steered) return scoring->steered[open->index];
    return self->is_null ? scoring->scored[scoring->pairs[open->index].feature] : open->index;
}

struct feature_case_params label_case_params(const struct label_scoring *scoring, size_t index,
                                             unsigned parts, struct lexical_workspace *workspace)
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
        .parts = parts,
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

/* --- one session --------------------------------------------------------------------------- */

/* A case that has `parts`, unless the present one has them already. */
static status_t have_case(struct case_job *self, const struct open_session *open, unsigned parts,
                          struct feature_case *feature_case, struct error *err)
{
    const size_t slot = slot_of(self, open);
    struct feature_case_params params =
        label_case_params(self->scoring, slot, parts, self->workspace);
    if ((parts & ~feature_case->parts) == 0) return ST_OK;
    if (!self->is_null) params.stand_in = label_control_stand_in(self->scoring, slot);
    feature_case_fini(feature_case);
    const status_t status = feature_case_build(feature_case, &params, err);
    return status == ST_OK ? ST_OK : error_wrap(err, "feature %zu", slot);
}

/* What the first half steps need, so that a session that asks nobody needs one case. */
static unsigned first_parts(const struct case_job *self)
{
    const struct session_rules *rules = &self->scoring->rules;
    const unsigned always = CASE_PART_EXPLAIN | CASE_PART_LEXICAL | CASE_PART_CLUSTERS;
    if (self->is_null || self->is_steered) return CASE_PART_TEST;
    if (rules->mode == SESSION_SCORE_ONLY)
        return always | CASE_PART_TEST | (rules->has_ood ? CASE_PART_OOD : 0u);
    return always |
           (rules->explainer.name ? 0u : CASE_PART_TEST | CASE_PART_HELD_OUT | CASE_PART_MEANINGS);
}

static status_t open_session(struct case_job *self, struct open_session *open,
                             struct feature_case *feature_case, struct error *err)
{
    struct label_scoring *scoring = self->scoring;
    status_t status = have_case(self, open, first_parts(self), feature_case, err);
    if (status != ST_OK) return status;
    open->is_new = false;
    if (self->is_steered) return label_intervene_open(scoring, open, feature_case, err);
    if (self->is_null) {
        const struct slot_result *foreign =
            &scoring->results[scoring->scored[scoring->pairs[open->index].foreign]];
        return label_session_open_foreign(&open->session, &scoring->rules, feature_case,
                                          &foreign->label,
                                          foreign->has_lexical ? &foreign->lexical : NULL, err);
    }
    const struct slot_name name = label_slot_name(scoring, open->index);
    struct prompt_label given;
    const bool is_given =
        scoring->import && label_import_find(scoring->import, name.target,
                                             label_slot_feature(scoring, open->index), &given);
    return label_session_open(&open->session, &scoring->rules, feature_case,
                              is_given ? &given : NULL, err);
}

/* The test is over, its asks are still there. */
static status_t keep_judged(struct case_job *self, struct open_session *open,
                            struct feature_case *feature_case, struct error *err)
{
    const struct label_session *session = &open->session;
    if (!self->scoring->run->sweep->spec->keep_judged || self->is_steered ||
        session->stage != SESSION_TEST || !session->is_entered || session->n_asks == 0)
        return ST_OK;
    const status_t status = have_case(self, open, CASE_PART_TEST, feature_case, err);
    return status == ST_OK
               ? label_judged_make(self->scoring, open, feature_case, &open->judged, err)
               : status;
}

static status_t step(struct case_job *self, struct open_session *open,
                     struct feature_case *feature_case, struct error *err)
{
    struct label_session *session = &open->session;
    status_t status = ST_OK;
    if (!label_session_waits(session)) { /* else the same asks are to go out again */
        open->is_awaited = false;
        open->n_probes_asked = 0;
    }
    while (status == ST_OK && session->stage != SESSION_DONE && !label_session_waits(session)) {
        status = keep_judged(self, open, feature_case, err);
        if (status != ST_OK) break;
        status = have_case(self, open, label_session_needs(session), feature_case, err);
        if (status == ST_OK) status = label_session_advance(session, feature_case, err);
    }
    return status;
}

static status_t finish(struct case_job *self, struct open_session *open,
                       struct feature_case *feature_case, struct error *err)
{
    status_t status = have_case(self, open, label_session_needs(&open->session), feature_case, err);
    if (status != ST_OK) return status;
    if (self->is_steered) return label_intervene_finish(self->scoring, open, err);
    if (self->is_null) return label_result_foreign(open, feature_case, err);
    open->result = calloc(1, sizeof *open->result);
    if (!open->result) return error_set(err, ST_NO_MEMORY, "result");
    status = label_result_make(self->scoring, &open->session, feature_case, open->index,
                               open->result, err);
    if (status != ST_OK) return status;
    open->result->judged = open->judged; /* moved */
    open->judged = NULL;
    return ST_OK;
}

/* --- bodies -------------------------------------------------------------------------------- */

static status_t prepare(struct open_session *open, const struct feature_case *feature_case,
                        uint32_t ask, struct error *err)
{
    const struct session_provider *provider;
    json_t *body = NULL;
    struct call *call = &open->calls[open->n_calls];
    status_t status = label_session_body(&open->session, feature_case, ask, &body, &provider, err);
    if (status == ST_OK) status = call_prepare(call, provider->name, body, err);
    json_decref(body);
    if (status != ST_OK) return status;
    if (!call_id_parse(call->id, open->ids[ask]))
        status = error_set(err, ST_INTERNAL, "call id %s", call->id);
    open->call_asks[open->n_calls++] = ask;
    return status;
}

/* Bodies of all asks that are calls and not answered. */
static status_t prepare_calls(struct case_job *self, struct open_session *open,
                              struct feature_case *feature_case, struct error *err)
{
    const struct label_session *session = &open->session;
    const size_t n = session->n_asks;
    label_open_drop_calls(open);
    if (open->n_ids != n || !open->ids) { /* asked again: those of answered asks stay */
        free(open->ids);
        open->ids = calloc(n + 1, sizeof *open->ids);
    }
    open->calls = calloc(n + 1, sizeof *open->calls);
    open->call_asks = calloc(n + 1, sizeof *open->call_asks);
    if (!open->ids || !open->calls || !open->call_asks)
        return error_set(err, ST_NO_MEMORY, "%zu calls", n);
    open->n_ids = n;
    status_t status =
        have_case(self, open, label_session_needs_of_asks(session), feature_case, err);
    for (uint32_t i = 0; i < n && status == ST_OK; i++)
        if (!session->asks[i].is_answered && session_ask_is_call(session->asks[i].kind))
            status = prepare(open, feature_case, i, err);
    return status == ST_OK ? label_trail_keep(self->scoring, open, err) : status;
}

/* --- the job ------------------------------------------------------------------------------- */

static status_t run_one(struct case_job *self, struct open_session *open, struct error *err)
{
    struct feature_case feature_case = {0};
    status_t status = open->is_new ? open_session(self, open, &feature_case, err) : ST_OK;
    if (status == ST_OK) status = step(self, open, &feature_case, err);
    if (status == ST_OK)
        status = open->session.stage == SESSION_DONE
                     ? finish(self, open, &feature_case, err)
                     : prepare_calls(self, open, &feature_case, err);
    feature_case_fini(&feature_case);
    return status;
}

static status_t job_run(struct background_job *job, struct error *err)
{
    struct case_job *self = (struct case_job *)job;
    status_t status = ST_OK;
    for (size_t i = 0; i < self->n && status == ST_OK; i++)
        status = run_one(self, self->open[i], err);
    return status;
}

static void job_done(struct background_job *job, status_t status, const struct error *err)
{
    struct case_job *self = (struct case_job *)job;
    struct label_scoring *scoring = self->scoring;
    struct error problem = *err;
    scoring->workspaces[scoring->n_workspaces++] = self->workspace;
    scoring->n_jobs--;
    scoring->run->n_jobs--;
    for (size_t i = 0; i < self->n && status == ST_OK; i++)
        status = label_calls_take(scoring, self->open[i], &problem);
    if (status != ST_OK && scoring->run->failure.status == ST_OK) {
        scoring->run->failure = problem;
        scoring->run->failure.status = status;
    }
    free(self); /* after a failure the sessions stay as they are until the sweep is stopped */
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

/* What the present pass has not begun yet: [*next, end). */
static size_t *next_new(struct label_scoring *scoring, size_t *end)
{
    if (scoring->pass == PASS_NULL) {
        *end = scoring->n_pairs;
        return &scoring->next_pair;
    }
    *end = scoring->pass == PASS_INTERVENE ? scoring->n_steered : scoring->n_slots;
    return scoring->pass == PASS_INTERVENE ? &scoring->next_steered : &scoring->next_slot;
}

/* Sessions that go on come before new ones: they end sooner, and the memory is theirs. */
static status_t fill_block(struct case_job *job, struct error *err)
{
    struct label_scoring *scoring = job->scoring;
    size_t end, *next = next_new(scoring, &end);
    status_t status = ST_OK;
    while (job->n < BLOCK_SESSIONS && scoring->ready.first) {
        struct open_session *open = label_open_pop(&scoring->ready);
        scoring->n_ready--;
        open->place = OPEN_IN_JOB;
        job->open[job->n++] = open;
    }
    while (job->n < BLOCK_SESSIONS && *next < end && scoring->n_open < OPEN_SESSIONS_MAX &&
           status == ST_OK) {
        status = label_open_add(scoring, *next, &job->open[job->n], err);
        if (status != ST_OK) break;
        job->n++;
        (*next)++;
    }
    return status;
}

static status_t submit_block(struct label_scoring *scoring, struct error *err)
{
    struct case_job *job = calloc(1, sizeof *job);
    if (!job) return error_set(err, ST_NO_MEMORY, "block of features");
    job->job.run = job_run;
    job->job.done = job_done;
    job->scoring = scoring;
    job->is_null = scoring->pass == PASS_NULL;
    job->is_steered = scoring->pass == PASS_INTERVENE;
    status_t status = take_workspace(scoring, &job->workspace, err);
    if (status != ST_OK) {
        free(job);
        return status;
    }
    status = fill_block(job, err);
    background_submit(scoring->run->sweep->context->background, &job->job);
    scoring->n_jobs++;
    scoring->run->n_jobs++;
    return status;
}

status_t label_cases_submit(struct label_scoring *scoring, struct error *err)
{
    status_t status = ST_OK;
    while (status == ST_OK && scoring->n_jobs < JOBS_AT_ONCE) {
        size_t end;
        const bool has_new = *next_new(scoring, &end) < end;
        if (!scoring->ready.first && !(has_new && scoring->n_open < OPEN_SESSIONS_MAX)) break;
        status = submit_block(scoring, err);
    }
    return status;
}
