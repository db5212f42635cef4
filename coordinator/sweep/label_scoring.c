/* The scoring phase as a whole; see label_scoring.h. */
#include "coordinator/sweep/label_scoring_parts.h"

#include "common/file.h"
#include "coordinator/gateway/provider_config.h"
#include "coordinator/plan/circularity.h"
#include "coordinator/session/prompt_classification.h"
#include "coordinator/session/prompt_explainer.h"
#include "coordinator/session/session_prompts.h"
#include "coordinator/sweep/label_job.h"
#include "coordinator/sweep/labels_kept.h"
#include "coordinator/sweep/paid_calls.h"
#include "coordinator/sweep/provider_format.h"
#include "coordinator/sweep/token_ratio.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- begin --------------------------------------------------------------------------------- */

static status_t find_provider(const struct label_run *run, const char *role, const char *name,
                              struct session_provider *out, struct error *err)
{
    *out = (struct session_provider){0};
    if (strcmp(name, "lexical") == 0) return ST_OK;
    const struct provider_config *config = run->sweep->context->providers;
    const struct provider *provider = config ? provider_find(config, name) : NULL;
    if (!provider)
        return error_set(err, ST_NOT_FOUND, "%s: no provider \"%s\" in the providers file", role,
                         name);
    *out = (struct session_provider){provider->name, provider->model,
                                     provider_prompt_format(provider), provider->logprobs};
    return ST_OK;
}

static status_t load_template(struct label_scoring *scoring, size_t index, const char *name,
                              const char *const *fields, size_t n_fields, struct error *err)
{
    const char *directory = scoring->run->sweep->context->prompts_directory;
    if (!directory)
        return error_set(err, ST_BAD_INPUT, "the coordinator was started without --prompts");
    char *path = file_join(directory, name);
    if (!path) return error_set(err, ST_NO_MEMORY, "prompts");
    struct prompt_template **template = &scoring->templates[index];
    status_t status = prompt_template_load(template, path, err);
    if (status == ST_OK) status = prompt_template_check_fields(*template, fields, n_fields, err);
    free(path);
    return status;
}

/* The templates of a sweep; the names are also those in records (label_record.c). */
enum {
    TEMPLATE_EXPLAINER,
    TEMPLATE_DETECTION,
    TEMPLATE_FUZZING,
    TEMPLATE_REFINE,
    TEMPLATE_DESIGN,
    TEMPLATE_SIMULATION,
    TEMPLATE_SIMULATION_SCALE,
    TEMPLATE_INTERVENTION
};

static status_t load_judge_templates(struct label_scoring *scoring, struct error *err)
{
    static const char *const files[CASE_N_SCORES] = {"detection.txt", "fuzzing.txt"};
    status_t status = ST_OK;
    for (size_t i = 0; i < CASE_N_SCORES && status == ST_OK; i++) {
        status = load_template(scoring, TEMPLATE_DETECTION + i, files[i],
                               PROMPT_CLASSIFICATION_FIELDS, PROMPT_N_CLASSIFICATION_FIELDS, err);
        scoring->rules.judge_templates[i] = scoring->templates[TEMPLATE_DETECTION + i];
    }
    return status;
}

/* In the form that the judge's endpoint can answer. */
static status_t load_simulation_template(struct label_scoring *scoring, struct error *err)
{
    const bool is_scale = !scoring->rules.judge.has_logprobs;
    const size_t index = is_scale ? TEMPLATE_SIMULATION_SCALE : TEMPLATE_SIMULATION;
    const status_t status =
        load_template(scoring, index, is_scale ? "simulation_scale.txt" : "simulation.txt",
                      SIMULATION_PROMPT_FIELDS, SIMULATION_N_PROMPT_FIELDS, err);
    scoring->rules.simulation_template = scoring->templates[index];
    return status;
}

static status_t load_intervention_template(struct label_scoring *scoring, struct error *err)
{
    const status_t status =
        load_template(scoring, TEMPLATE_INTERVENTION, "intervention.txt",
                      INTERVENTION_PROMPT_FIELDS, INTERVENTION_N_PROMPT_FIELDS, err);
    scoring->rules.intervention.template_ = scoring->templates[TEMPLATE_INTERVENTION];
    return status;
}

static status_t load_explainer_templates(struct label_scoring *scoring, struct error *err)
{
    struct session_rules *rules = &scoring->rules;
    const bool is_agentic = rules->mode == SESSION_AGENTIC;
    status_t status = load_template(scoring, TEMPLATE_EXPLAINER, "explainer.txt",
                                    PROMPT_EXPLAINER_FIELDS, PROMPT_N_EXPLAINER_FIELDS, err);
    if (status == ST_OK && is_agentic)
        status = load_template(scoring, TEMPLATE_REFINE, "refine.txt", PROMPT_REFINE_FIELDS,
                               PROMPT_N_REFINE_FIELDS, err);
    if (status == ST_OK && is_agentic)
        status = load_template(scoring, TEMPLATE_DESIGN, "experiments.txt", PROMPT_DESIGN_FIELDS,
                               PROMPT_N_DESIGN_FIELDS, err);
    rules->explainer_template = scoring->templates[TEMPLATE_EXPLAINER];
    rules->refine_template = scoring->templates[TEMPLATE_REFINE];
    rules->design_template = scoring->templates[TEMPLATE_DESIGN];
    return status;
}

static status_t load_templates(struct label_scoring *scoring, struct error *err)
{
    const struct session_rules *rules = &scoring->rules;
    status_t status = ST_OK;
    if (rules->explainer.name && rules->mode != SESSION_SCORE_ONLY)
        status = load_explainer_templates(scoring, err);
    bool has_judge = rules->judge.name != NULL;
    for (size_t i = 0; i < rules->n_more_judges; i++)
        has_judge = has_judge || rules->more_judges[i].name;
    if (status == ST_OK && has_judge) status = load_judge_templates(scoring, err);
    if (status == ST_OK && rules->judge.name && rules->n_simulated)
        status = load_simulation_template(scoring, err);
    if (status == ST_OK && rules->judge.name && rules->intervention.n_prompts)
        status = load_intervention_template(scoring, err);
    return status;
}

static void set_rounds(struct session_rules *rules, const struct sweep_spec *spec)
{
    const bool is_required = spec->thresholds.adversarial_p < 1.0;
    rules->n_experiments_each = spec->experiments.per_round / EXPERIMENT_N_KINDS;
    rules->rounds = (struct rounds_rule){
        .min = spec->rounds.min,
        .max = spec->rounds.max,
        .target_accuracy = spec->thresholds.target_accuracy,
        .patience = spec->rounds.patience,
        .floor = session_outlook_floor(spec->scoring.n_firing, spec->scoring.n_silent,
                                       spec->thresholds.z_min),
        .n_resamples = spec->scoring.bootstrap_resamples,
        .adversarial = {spec->thresholds.adversarial_p,
                        is_required ? (size_t)EXPERIMENT_LEAST_ADVERSARIAL : 0}};
}

/* All of them; a random judge's are nobody. */
static status_t find_judges(struct label_scoring *scoring, struct error *err)
{
    const struct sweep_spec *spec = scoring->run->sweep->spec;
    struct session_rules *rules = &scoring->rules;
    status_t status = ST_OK;
    rules->has_random_judge = spec->control == SWEEP_CONTROL_RANDOM_JUDGE;
    rules->n_more_judges = spec->n_judges;
    for (size_t i = 0; i <= spec->n_judges && status == ST_OK && !rules->has_random_judge; i++)
        status = find_provider(scoring->run, i ? "judges" : "judge", sweep_spec_judge(spec, i),
                               i ? &rules->more_judges[i - 1] : &rules->judge, err);
    return status;
}

static void set_scores(struct session_rules *rules, const struct sweep_spec *spec)
{
    rules->scores = (spec->scores & SWEEP_SCORE_DETECTION ? 1u << CASE_DETECTION : 0) |
                    (spec->scores & SWEEP_SCORE_FUZZING ? 1u << CASE_FUZZING : 0);
    rules->n_simulated = spec->scores & SWEEP_SCORE_SIMULATION ? spec->scoring.n_simulated : 0;
    if (spec->scores & SWEEP_SCORE_INTERVENTION)
        rules->intervention =
            (struct intervention_rule){.n_prompts = spec->scoring.intervention_prompts,
                                       .n_tokens = spec->scoring.intervention_tokens,
                                       .target_kl = spec->scoring.intervention_kl,
                                       .temperature = spec->scoring.intervention_temperature};
}

static enum session_mode mode_of(const struct sweep_spec *spec)
{
    if (spec->mode == SWEEP_MODE_AGENTIC) return SESSION_AGENTIC;
    return spec->mode == SWEEP_MODE_SCORE_ONLY ? SESSION_SCORE_ONLY : SESSION_SINGLE_PASS;
}

static status_t make_rules(struct label_scoring *scoring, struct error *err)
{
    const struct sweep_spec *spec = scoring->run->sweep->spec;
    struct session_rules *rules = &scoring->rules;
    rules->mode = mode_of(spec);
    status_t status =
        find_provider(scoring->run, "explainer", spec->explainer, &rules->explainer, err);
    rules->seed = spec->seed ^ spec->scoring.seed;
    if (status == ST_OK) status = find_judges(scoring, err);
    if (status == ST_OK)
        status = circularity_check(spec, scoring->run->sweep->context->providers, err);
    if (status == ST_OK && rules->explainer.name && !rules->judge.name && !rules->has_random_judge)
        status = error_set(err, ST_BAD_INPUT,
                           "judge: the lexical judge cannot read the labels of a language model");
    set_scores(rules, spec);
    rules->main_score = label_main_score(scoring);
    rules->max_prompt_tokens = (size_t)spec->max_prompt_tokens;
    rules->has_ood = spec->n_ood > 0;
    set_rounds(rules, spec);
    if (status == ST_OK && rules->mode == SESSION_SCORE_ONLY)
        status = labels_kept_load(&scoring->import, spec,
                                  scoring->run->sweep->context->data_directory, err);
    return status == ST_OK ? load_templates(scoring, err) : status;
}

static status_t make_vocabulary(struct label_scoring *scoring, struct error *err)
{
    const struct description *description = &scoring->run->description;
    const size_t n = description->n_vocab > description->n_tokens ? (size_t)description->n_vocab
                                                                  : description->n_tokens;
    scoring->texts = calloc(n + 1, sizeof *scoring->texts);
    if (!scoring->texts) return error_set(err, ST_NO_MEMORY, "token texts");
    for (size_t i = 0; i < description->n_tokens; i++)
        scoring->texts[i] =
            (struct token_text){description->texts[i].bytes, description->texts[i].n_bytes};
    scoring->token_texts = (struct token_texts){scoring->texts, n};
    scoring->rules.texts = &scoring->token_texts;
    const status_t status =
        lexical_vocabulary_create(&scoring->vocabulary, &scoring->token_texts, err);
    scoring->rules.vocabulary = scoring->vocabulary;
    return status == ST_OK
               ? output_background_create(&scoring->output_background, scoring->vocabulary, n, err)
               : status;
}

static status_t set_budget(struct label_scoring *scoring, struct error *err)
{
    const struct sweep *sweep = scoring->run->sweep;
    if (scoring->has_budget || !sweep_spec_uses_provider(sweep->spec)) return ST_OK;
    const status_t status = paid_calls_set_budget(sweep, err);
    scoring->has_budget = status == ST_OK;
    return status;
}

/* Prompts are cut to max_prompt_tokens by what the explainer's provider counts. */
static status_t set_token_ratio(struct label_scoring *scoring, struct error *err)
{
    const struct sweep *sweep = scoring->run->sweep;
    const struct token_ratio_source source = {sweep->context->store, sweep->context->leader,
                                              sweep->id, scoring->rules.explainer.name};
    if (scoring->has_token_ratio || !scoring->rules.max_prompt_tokens || !source.provider)
        return ST_OK;
    const status_t status = token_ratio_freeze(&source, &scoring->rules.tokens_per_byte, err);
    scoring->has_token_ratio = status == ST_OK;
    return status;
}

status_t label_scoring_preflight(struct label_run *run, struct error *err)
{
    struct label_scoring *scoring = calloc(1, sizeof *scoring);
    if (!scoring) return error_set(err, ST_NO_MEMORY, "scoring");
    scoring->run = run;
    const status_t status = make_rules(scoring, err);
    label_scoring_destroy(&scoring);
    return status;
}

status_t label_scoring_recheck(struct label_scoring *scoring, bool *may_go_on, struct error *err)
{
    *may_go_on = true;
    return scoring ? label_calls_recheck(scoring, may_go_on, err) : ST_OK;
}

/* Every label that was brought is about a feature that exists. */
static status_t check_import(const struct label_scoring *scoring, struct error *err)
{
    const struct label_run *run = scoring->run;
    status_t status = ST_OK;
    for (uint32_t i = 0; scoring->import && i < run->sweep->spec->n_targets && status == ST_OK; i++)
        status = label_import_check(scoring->import, i, run->targets[i].captured.features,
                                    run->targets[i].captured.n, run->targets[i].is_signed, err);
    return status;
}

void label_scoring_retry(struct label_scoring *scoring)
{
    if (scoring && scoring->probes) probe_pool_retry(scoring->probes);
    if (scoring && scoring->generations) generate_pool_retry(scoring->generations);
}

static status_t score_begin(struct label_run *run, struct error *err)
{
    struct label_scoring *scoring = calloc(1, sizeof *scoring);
    if (!scoring) return error_set(err, ST_NO_MEMORY, "scoring");
    run->scoring = scoring;
    scoring->run = run;
    status_t status = label_slots_choose(scoring, err);
    if (status != ST_OK) return status;
    scoring->results = calloc(scoring->n_slots + 1, sizeof *scoring->results);
    if (!scoring->results)
        return error_set(err, ST_NO_MEMORY, "results of %zu features", scoring->n_slots);
    status = make_rules(scoring, err);
    if (status == ST_OK) status = check_import(scoring, err);
    if (status == ST_OK && scoring->rules.mode == SESSION_AGENTIC)
        status = probe_pool_create_for_run(&scoring->probes, run, err);
    if (status == ST_OK && scoring->rules.intervention.n_prompts)
        status = generate_pool_create_for_run(&scoring->generations, run, err);
    if (status == ST_OK) status = make_vocabulary(scoring, err);
    if (status == ST_OK) status = label_trail_begin(scoring, err);
    return status == ST_OK ? label_control_begin(scoring, err) : status;
}

/* --- poll ---------------------------------------------------------------------------------- */

static status_t decide_verdicts(struct label_run *run, struct error *err)
{
    return label_null_decide(run->scoring, err);
}

static status_t write_results(struct label_run *run, struct error *err)
{
    return label_results_write(run->scoring, err);
}

static void show_verdicts(struct label_scoring *scoring)
{
    scoring->verdicts = scoring->decided;
    scoring->decided = NULL;
}

static bool pass_is_over(const struct label_scoring *scoring)
{
    if (scoring->n_jobs || scoring->n_open) return false;
    if (scoring->pass == PASS_LABELS) return scoring->n_done == scoring->n_slots;
    if (scoring->pass == PASS_INTERVENE) return scoring->n_steered_done == scoring->n_steered;
    if (scoring->pass == PASS_NULL) return scoring->n_pairs_done == scoring->n_pairs;
    return scoring->run->n_jobs == 0;
}

static status_t enter_next_pass(struct label_scoring *scoring, struct error *err)
{
    scoring->pass++;
    if (scoring->pass == PASS_INTERVENE) return label_intervene_begin(scoring, err);
    if (scoring->pass == PASS_NULL) return label_null_begin(scoring, err);
    if (scoring->pass == PASS_DECIDE) return label_job_start(scoring->run, decide_verdicts, err);
    if (scoring->pass == PASS_WRITE) {
        show_verdicts(scoring);
        return label_job_start(scoring->run, write_results, err);
    }
    return ST_OK;
}

static status_t score_poll(struct label_run *run, bool *is_over, struct error *err)
{
    struct label_scoring *scoring = run->scoring;
    status_t status = set_budget(scoring, err); /* before any call */
    if (status == ST_OK) status = set_token_ratio(scoring, err);
    const bool has_sessions = scoring->pass >= PASS_LABELS && scoring->pass <= PASS_NULL;
    if (status == ST_OK && has_sessions) {
        status = label_cases_submit(scoring, err);
        if (status == ST_OK) status = label_calls_step(scoring, err);
        if (status == ST_OK) status = label_cases_submit(scoring, err); /* what became ready */
    }
    while (status == ST_OK && scoring->pass != PASS_DONE && pass_is_over(scoring))
        status = enter_next_pass(scoring, err);
    *is_over = scoring->pass == PASS_DONE;
    return status;
}

const struct label_phase_ops label_score_phase = {"label", score_begin, score_poll};

void label_scoring_destroy(struct label_scoring **scoring)
{
    struct label_scoring *self = *scoring;
    if (!self) return;
    label_open_fini(self);
    probe_pool_destroy(&self->probes);
    call_archive_destroy(&self->archive);
    generate_pool_destroy(&self->generations);
    label_import_destroy(&self->import);
    for (size_t i = 0; self->results && i < self->n_slots; i++)
        label_result_fini(&self->results[i]);
    for (size_t i = 0; i < SCORING_N_TEMPLATES; i++) prompt_template_destroy(&self->templates[i]);
    for (size_t i = 0; i < self->n_workspaces; i++) lexical_workspace_destroy(&self->workspaces[i]);
    for (size_t i = 0; i < CASE_N_SCORES; i++)
        for (size_t j = 0; j < SCORE_N_NEGATIVES; j++) free(self->null_scores[i][j]);
    free(self->null_simulation);
    for (size_t i = 0; self->null_judged && i < self->n_pairs; i++) free(self->null_judged[i]);
    free(self->null_judged);
    label_verdicts_destroy(&self->verdicts);
    label_verdicts_destroy(&self->decided);
    output_background_destroy(&self->output_background);
    lexical_vocabulary_destroy(&self->vocabulary);
    free(self->workspaces);
    free(self->texts);
    free(self->results);
    free(self->partners);
    free(self->pairs);
    free(self->steered);
    free(self->scored);
    free(self->slots);
    free(self);
    *scoring = NULL;
}

/* --- what is shown ------------------------------------------------------------------------- */

double label_scoring_fraction(const struct label_scoring *scoring)
{
    if (!scoring || !scoring->n_slots) return 0;
    const double labels = (double)scoring->n_done / (double)scoring->n_slots;
    const double pairs = scoring->n_pairs ? (double)scoring->n_pairs_done / (double)scoring->n_pairs
                                          : (double)(scoring->pass > PASS_NULL);
    return 0.9 * labels + 0.1 * pairs;
}

void label_scoring_counts(const struct label_scoring *scoring, struct sweep_progress *out)
{
    if (!scoring) return;
    out->n_features = scoring->n_slots; /* those of the asked density */
    out->n_labelled = scoring->n_labelled;
    out->n_supported = scoring->verdicts ? scoring->verdicts->n_supported : -1;
    out->n_units = scoring->n_slots;
    out->n_units_done = scoring->n_done;
}

static json_t *json_statuses(const struct label_scoring *scoring)
{
    json_t *json = json_object();
    for (unsigned i = 0; i < FEATURE_N_STATUSES; i++)
        (void)json_object_set_new(json, feature_status_name((enum feature_status)i),
                                  json_integer((json_int_t)scoring->n_statuses[i]));
    return json;
}

/* Open sessions by stage; those that a job has are between two. */
static json_t *json_open_sessions(const struct label_scoring *scoring)
{
    size_t n_of[SESSION_N_STAGES] = {0}, n_working = 0;
    for (size_t i = 0; i < scoring->n_open; i++) {
        const struct open_session *open = scoring->open[i];
        const bool waits = open->place == OPEN_ASKING || open->place == OPEN_WAITING;
        if (waits)
            n_of[open->session.stage]++;
        else
            n_working++;
    }
    json_t *stages = json_pack("{s:I}", "working", (json_int_t)n_working);
    for (unsigned i = 0; i < SESSION_N_STAGES; i++)
        if (n_of[i])
            (void)json_object_set_new(stages, session_stage_name((enum session_stage)i),
                                      json_integer((json_int_t)n_of[i]));
    return json_pack("{s:o}", "open", stages);
}

status_t label_scoring_describe(const struct label_scoring *scoring, json_t *out, struct error *err)
{
    (void)err;
    json_t *problems = json_array();
    if (scoring && scoring->problem[0])
        (void)json_array_append_new(problems, json_string(scoring->problem));
    (void)json_object_set_new(out, "statuses", scoring ? json_statuses(scoring) : json_object());
    (void)json_object_set_new(out, "types", scoring ? label_types_json(scoring) : json_object());
    (void)json_object_set_new(out, "problems", problems);
    (void)json_object_set_new(out, "sessions", scoring ? json_open_sessions(scoring) : json_null());
    return ST_OK;
}

void label_scoring_calls(const struct label_scoring *scoring, struct label_calls *sum)
{
    for (size_t i = 0; scoring && i < scoring->n_open; i++) {
        const struct open_session *open = scoring->open[i];
        if (open->place == OPEN_ASKING || open->place == OPEN_WAITING)
            sum->n_open += open->session.n_asks - open->session.n_answered;
    }
}
