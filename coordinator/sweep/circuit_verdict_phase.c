/* Phase `verdict`: every run that the verdict needs is measured on the held-out prompts, then it is
 * decided and written down. */
#include "common/log.h"
#include "coordinator/plan/ablate_rates.h"
#include "coordinator/sweep/circuit_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A clean run, then the plan's sets under each ablation value in turn. */
static status_t list_runs(const struct circuit_run *run, struct ablate_unit *out, struct error *err)
{
    const struct search_batch batch = circuit_verdict_plan_variants(run->plan);
    struct search_things things = circuit_things(run);
    things.edges = circuit_verdict_plan_edges(run->plan, &things.n_edges);
    status_t status = search_changes_append_clean(out, err);
    for (unsigned v = 0; v < ABLATE_N_VALUES && status == ST_OK; v++)
        if (run->sweep->spec->ablation.values >> v & 1u)
            status = search_changes_append(out, &batch, (enum ablate_value)v, &things, err);
    return status;
}

/* The effect that the search reports of each candidate: given what it was found given, else alone;
 * 0 of one in a group without any. NULL: nothing was searched, or no memory. */
static double *list_effects(const struct circuit_run *run)
{
    double *effects = run->search ? calloc(run->n_candidates + 1, sizeof *effects) : NULL;
    for (size_t i = 0; effects && i < run->n_candidates; i++) {
        const struct found_node *found = &run->found.nodes[i];
        if (found->is_measured || found->is_chosen)
            effects[i] = found->n_context ? found->given.mean : found->alone.mean;
    }
    return effects;
}

static status_t make_plan(struct circuit_run *run, struct error *err)
{
    const struct sweep_spec *spec = run->sweep->spec;
    double *effects = list_effects(run);
    if (run->search && !effects) return error_set(err, ST_NO_MEMORY, "effects");
    struct verdict_plan_params params = verdict_plan_params_default(spec->seed);
    params.circuit = &run->found.circuit;
    params.candidates = (struct circuit_candidates){run->candidates, run->n_candidates};
    params.n_random = spec->verdict.n_random;
    params.n_subsets = spec->verdict.n_subsets;
    params.effects = effects;
    const status_t status = circuit_verdict_plan_create(&run->plan, &params, err);
    free(effects);
    return status;
}

static status_t begin_measuring(struct circuit_run *run, struct error *err)
{
    const struct sweep_spec *spec = run->sweep->spec;
    struct ablate_unit asked = {0};
    char *text = circuit_ablate_spec(run, PART_VERDICT, true);
    status_t status =
        text ? list_runs(run, &asked, err) : error_set(err, ST_NO_MEMORY, "task spec");
    if (status != ST_OK) {
        ablate_unit_fini(&asked);
        free(text);
        return status;
    }
    const struct circuit_measurement_params params = {.work = &run->work,
                                                      .name = "verdict",
                                                      .spec_json = text,
                                                      .asked = asked,
                                                      .metric = spec->metric,
                                                      .has_kl = true,
                                                      .n_prompts = run->parts[PART_VERDICT].n,
                                                      .n_batch = spec->ablation.n_batch};
    status = circuit_measurement_begin(&run->measure, &params, err);
    free(text);
    return status;
}

/* Run threads that the sweep's tasks fit, with the workers that are here. */
static uint32_t count_threads(const struct circuit_run *run)
{
    const struct worker_pin *pin = &run->sweep->share.pin;
    struct worker_table *workers = dispatcher_workers(run->sweep->context->dispatcher);
    uint64_t n = 0;
    for (size_t i = 0; i < worker_table_count(workers); i++) {
        const struct worker *worker = worker_table_at(workers, i);
        if (strcmp(worker->backend, pin->backend) == 0 && strcmp(worker->isa, pin->isa) == 0)
            n += worker->n_threads;
    }
    return n > 0 && n <= UINT32_MAX ? (uint32_t)n : 1;
}

static struct ablate_work work_of(const struct circuit_run *run)
{
    const struct kept_answer *answer = &run->measure.answer;
    const struct prompt_choice *choice = &run->parts[PART_VERDICT];
    struct ablate_work work = {.n_variants = run->measure.asked.n_variants,
                               .n_units = answer->n_units,
                               .n_units_timed = answer->n_units_timed,
                               .worker_seconds = answer->worker_seconds};
    for (size_t i = 0; i < choice->n; i++)
        work.n_prompt_tokens += run->prompts.prompts[choice->prompts[i]].n_tokens;
    return work;
}

/* For estimates of later sweeps: nothing of this one depends on it. */
static void note_rate(const struct circuit_run *run)
{
    const struct sweep_context *context = run->sweep->context;
    const struct worker_pin *pin = &run->sweep->share.pin;
    const struct ablate_work work = work_of(run);
    struct ablate_rate rate = {.thread_tokens_per_second = ablate_work_rate(&work),
                               .n_threads = count_threads(run),
                               .noted_unix_ms = clock_unix_ms(context->clock)};
    struct error problem = {.status = ST_OK};
    if (!(rate.thread_tokens_per_second > 0.0)) return; /* an earlier life measured it all */
    (void)snprintf(rate.backend, sizeof rate.backend, "%s", pin->backend);
    (void)snprintf(rate.isa, sizeof rate.isa, "%s", pin->isa);
    if (ablate_rate_note(context->data_directory, run->sweep->spec, &rate, &problem) != ST_OK)
        log_event(LOG_WARN, "rate_not_noted", LOG_TEXT("error", problem.text));
}

static status_t verdict_begin(struct circuit_run *run, struct error *err)
{
    if (!run->found.is_found) return ST_OK; /* there is nothing to judge */
    const status_t status = make_plan(run, err);
    return status == ST_OK ? begin_measuring(run, err) : status;
}

/* --- deciding ------------------------------------------------------------------------------ */

static uint32_t candidate_types(const struct circuit_run *run)
{
    uint32_t types = 0;
    for (size_t i = 0; i < run->n_candidates; i++) types |= 1u << run->candidates[i].type;
    return types;
}

static struct ablation_method method_of(const struct circuit_run *run, enum ablate_value value)
{
    const struct sweep_spec *spec = run->sweep->spec;
    return (struct ablation_method){.granularity = GRANULARITY_NODE,
                                    .types = candidate_types(run),
                                    .value = value,
                                    .mean =
                                        value == ABLATE_MEAN ? spec->ablation.mean_over : MEAN_NONE,
                                    .is_at_named_positions = spec->n_positions > 0,
                                    .direction = DIRECTION_DESTROY,
                                    .set = SET_COMPLEMENT};
}

/* KL(clean, run) of the circuit and of everything ablated; that of the clean run is 0. */
static status_t fill_kl(struct circuit_run *run, enum ablate_value value, size_t first,
                        struct value_measures *out, struct error *err)
{
    const size_t n_prompts = run->measure.n_prompts;
    struct value_measures kl = {.is_measured = false};
    double *zeros = calloc(n_prompts, sizeof *zeros);
    if (!zeros) return error_set(err, ST_NO_MEMORY, "verdict");
    const struct plan_values given = {run->measure.kls + first, zeros, n_prompts};
    const status_t status =
        circuit_verdict_plan_fill(run->plan, &given, &kl, &run->kl_rows[value], err);
    out->kl_circuit = kl.circuit;
    out->kl_empty = kl.empty;
    free(zeros);
    return status;
}

/* One ablation value, whose rows begin at `row` of the measurement. */
static status_t fill_value(struct circuit_run *run, enum ablate_value value, size_t row,
                           struct value_measures *out, struct error *err)
{
    const struct circuit_measurement *measure = &run->measure;
    const size_t first = row * measure->n_prompts;
    const struct plan_values given = {measure->values + first, measure->values, measure->n_prompts};
    const status_t status =
        circuit_verdict_plan_fill(run->plan, &given, out, &run->verdict_rows[value], err);
    out->method = method_of(run, value);
    return status == ST_OK ? fill_kl(run, value, first, out, err) : status;
}

/* The arrays belong to plan, measurement and run. */
static status_t make_measures(struct circuit_run *run, struct circuit_measures *out,
                              struct error *err)
{
    const struct sweep_spec *spec = run->sweep->spec;
    const struct circuit_units *units = &run->units[PART_VERDICT];
    size_t row = 1; /* behind the clean one */
    status_t status = ST_OK;
    *out = (struct circuit_measures){.circuit = &run->found.circuit,
                                     .metric = run->measure.metric,
                                     .units = units->units,
                                     .is_by_template = units->is_by_template,
                                     .full = run->measure.values,
                                     .n_researches = run->found.n_searches,
                                     .is_adaptive_search = run->found.is_adaptive,
                                     .is_brought = spec->circuit != NULL,
                                     .stability = run->found.stability};
    for (unsigned v = 0; v < ABLATE_N_VALUES && status == ST_OK; v++) {
        if (!(spec->ablation.values >> v & 1u)) continue;
        status = fill_value(run, (enum ablate_value)v, row, &out->values[v], err);
        row += circuit_verdict_plan_variants(run->plan).n;
    }
    return status;
}

static struct verdict_thresholds thresholds_of(const struct sweep_spec *spec)
{
    struct verdict_thresholds thresholds = verdict_thresholds_default(spec->seed);
    thresholds.ratio_min = spec->verdict.ratio_min;
    thresholds.random_quantile = spec->verdict.random_quantile;
    thresholds.stability_min = spec->verdict.stability_min;
    thresholds.bootstrap.n_resamples = spec->verdict.n_resamples;
    return thresholds;
}

static status_t decide(struct circuit_run *run, struct error *err)
{
    const struct verdict_thresholds thresholds = thresholds_of(run->sweep->spec);
    struct circuit_measures measures;
    struct circuit_verdict verdict = {0};
    status_t status = make_measures(run, &measures, err);
    if (status == ST_OK) status = circuit_verdict_decide(&measures, &thresholds, &verdict, err);
    if (status == ST_OK) status = circuit_results_write(run, &measures, &verdict, err);
    circuit_verdict_fini(&verdict);
    return status;
}

static status_t verdict_poll(struct circuit_run *run, bool *is_over, struct error *err)
{
    bool is_measured = false;
    *is_over = !run->found.is_found;
    if (*is_over) return circuit_results_write(run, NULL, NULL, err);
    status_t status = circuit_measurement_poll(&run->measure, &is_measured, err);
    if (status != ST_OK || !is_measured) return status;
    note_rate(run);
    status = decide(run, err);
    *is_over = status == ST_OK;
    return status;
}

const struct circuit_phase_ops circuit_verdict_phase = {
    .name = "verdict", .begin = verdict_begin, .poll = verdict_poll};
