/* Phase `attribution`, where the search is to be ordered so: what attribution estimates of every
 * node and edge on the search prompts. It orders what is ablated first; exact ablation decides. */
#include "coordinator/circuit/order_quality.h"
#include "coordinator/sweep/circuit_run.h"

#include <stdlib.h>

enum { PROMPTS_PER_UNIT = 8 };

static bool is_asked(const struct sweep_spec *spec)
{
    return spec->search.order == CIRCUIT_ORDER_ATTRIBUTION && !spec->circuit;
}

static struct attribute_shape shape_of(const struct circuit_run *run)
{
    return (struct attribute_shape){run->shape.n_layers, run->shape.n_heads, run->shape.n_kv_heads};
}

static bool has_edges(const struct circuit_run *run)
{
    return run->sweep->spec->search.method != ATTRIBUTE_ATP;
}

static size_t n_scores(const struct circuit_run *run)
{
    const struct attribute_shape shape = shape_of(run);
    return attribute_n_nodes(&shape) + (has_edges(run) ? attribute_n_edges(&shape) : 0);
}

/* --- units ---------------------------------------------------------------------------------- */

static size_t n_units(const struct circuit_run *run)
{
    return (run->parts[PART_SEARCH].n + PROMPTS_PER_UNIT - 1) / PROMPTS_PER_UNIT;
}

static uint32_t n_prompts_of(const struct circuit_run *run, size_t unit)
{
    const size_t n_left = run->parts[PART_SEARCH].n - unit * PROMPTS_PER_UNIT;
    return (uint32_t)(n_left < PROMPTS_PER_UNIT ? n_left : PROMPTS_PER_UNIT);
}

static status_t unit_payload(struct task *task, size_t unit, struct buffer *out, struct error *err)
{
    const struct attribute_unit asked = {.first_prompt = (uint32_t)unit * PROMPTS_PER_UNIT,
                                         .n_prompts = n_prompts_of(task->owner, unit)};
    return attribute_unit_encode(&asked, out, err);
}

static void add(double *sums, const struct attribute_result *result)
{
    for (size_t i = 0; i < result->n_nodes; i++) sums[i] += result->nodes[i];
    for (size_t i = 0; i < result->n_edges; i++) sums[result->n_nodes + i] += result->edges[i];
}

/* Units come in any order and are added in theirs: those behind a missing one wait. */
static void add_those_in_order(struct circuit_attribution *from, size_t n)
{
    for (; from->n_added < n && from->answers[from->n_added].n_prompts; from->n_added++) {
        add(from->answer.numbers, &from->answers[from->n_added]);
        attribute_result_fini(&from->answers[from->n_added]);
    }
}

static status_t unit_result(struct task *task, size_t unit, const void *bytes, size_t n_bytes,
                            struct error *err)
{
    struct circuit_run *run = task->owner;
    struct circuit_attribution *from = &run->attribution;
    struct attribute_result result;
    const status_t status = attribute_result_decode(bytes, n_bytes, &result, err);
    if (status != ST_OK) return status;
    if (result.n_prompts != n_prompts_of(run, unit) ||
        result.n_nodes + result.n_edges != n_scores(run)) {
        attribute_result_fini(&result);
        return error_set(err, ST_CORRUPT, "unit %zu: scores of something else", unit);
    }
    if (unit < from->n_added || from->answers[unit].n_prompts) { /* it is here already */
        attribute_result_fini(&result);
        return ST_OK;
    }
    from->answers[unit] = result;
    add_those_in_order(from, n_units(run));
    return ST_OK;
}

static const struct task_ops attribution_ops = {.payload = unit_payload, .result = unit_result};

/* --- the order ------------------------------------------------------------------------------ */

struct score_value circuit_attribution_of(const struct circuit_run *run,
                                          const struct component *component)
{
    return run->attribution.order ? attribution_of_node(&run->attribution.scores, component)
                                  : (struct score_value){.is_defined = false};
}

struct score_value circuit_attribution_of_edge(const struct circuit_run *run,
                                               const struct circuit_edge *edge)
{
    return run->attribution.order ? attribution_of_edge(&run->attribution.scores, edge)
                                  : (struct score_value){.is_defined = false};
}

static status_t make_order(struct circuit_run *run, struct error *err)
{
    struct circuit_attribution *from = &run->attribution;
    const size_t n = run->n_candidates;
    struct score_value *scores = calloc(n + 1, sizeof *scores);
    from->order = calloc(n + 1, sizeof *from->order);
    from->scores =
        (struct attribution_scores){.shape = shape_of(run),
                                    .nodes = from->answer.numbers,
                                    .n_prompts = run->parts[PART_SEARCH].n,
                                    .is_divergence = run->sweep->spec->metric == METRIC_KL};
    if (has_edges(run))
        from->scores.edges = from->answer.numbers + attribute_n_nodes(&from->scores.shape);
    status_t status =
        scores && from->order ? ST_OK : error_set(err, ST_NO_MEMORY, "an order of %zu", n);
    for (size_t i = 0; status == ST_OK && i < n; i++)
        scores[i] = attribution_of_node(&from->scores, &run->candidates[i]);
    if (status == ST_OK) status = order_by_size(scores, n, from->order, &from->n_ordered, err);
    free(scores);
    return status;
}

/* --- the phase ------------------------------------------------------------------------------ */

static status_t begin_task(struct circuit_run *run, const char *spec, struct error *err)
{
    const struct sweep_task_params task = {.phase = circuit_attribution_phase.name,
                                           .kind = TASK_ATTRIBUTE,
                                           .n_units = n_units(run),
                                           .spec_json = spec,
                                           .ops = &attribution_ops,
                                           .owner = run,
                                           .is_pinned = true};
    struct buffer asked;
    buffer_init(&asked, SIZE_MAX);
    const struct kept_answer_params params = {
        .work = &run->work, .n = n_scores(run), .asked = &asked, .task = &task};
    status_t status = buffer_append_text(&asked, spec, err);
    if (status == ST_OK) status = kept_answer_begin(&run->attribution.answer, &params, err);
    buffer_fini(&asked);
    return status;
}

static status_t attribution_begin(struct circuit_run *run, struct error *err)
{
    char *spec = circuit_attribute_spec(run);
    run->attribution.answers = calloc(n_units(run), sizeof *run->attribution.answers);
    const status_t status = spec && run->attribution.answers
                                ? begin_task(run, spec, err)
                                : error_set(err, ST_NO_MEMORY, "attributions");
    free(spec);
    return status;
}

static status_t attribution_poll(struct circuit_run *run, bool *is_over, struct error *err)
{
    const status_t status = kept_answer_poll(&run->attribution.answer, NULL, NULL, is_over, err);
    return status == ST_OK && *is_over ? make_order(run, err) : status;
}

void circuit_attribution_phase_fini(struct circuit_run *run)
{
    struct circuit_attribution *from = &run->attribution;
    for (size_t unit = 0; from->answers && unit < n_units(run); unit++)
        attribute_result_fini(&from->answers[unit]);
    free(from->answers);
    free(from->order);
    kept_answer_fini(&from->answer);
}

const struct circuit_phase_ops circuit_attribution_phase = {.name = "attribution",
                                                            .is_asked = is_asked,
                                                            .begin = attribution_begin,
                                                            .poll = attribution_poll};
