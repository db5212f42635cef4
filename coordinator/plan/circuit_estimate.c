#include "coordinator/plan/circuit_estimate.h"

#include "common/quantity.h"
#include "coordinator/circuit/circuit_verdict_plan.h"
#include "coordinator/circuit/faithfulness_curve.h"
#include "coordinator/circuit/node_search.h"

enum { MAX_SUBSET_BITS = 40 };

static uint64_t least_of(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t divide_up(uint64_t a, uint64_t b)
{
    return a / b + (a % b != 0);
}

/* Sets of n things, none empty; UINT64_MAX where they are very many. */
static uint64_t n_sets(uint64_t n)
{
    return n < MAX_SUBSET_BITS ? ((uint64_t)1 << n) - 1 : UINT64_MAX;
}

static unsigned n_values(const struct sweep_spec *spec)
{
    unsigned n = 0;
    for (unsigned v = 0; v < ABLATE_N_VALUES; v++) n += spec->ablation.values >> v & 1u;
    return n;
}

/* --- variants ----------------------------------------------------------------------------- */

static struct circuit_range search_of(const struct circuit_estimate_input *input)
{
    const struct circuit_search_spec *asked = &input->spec->search;
    const struct node_search_params params = node_search_params_default();
    const uint64_t n = input->n_candidates;
    const bool is_single = !asked->conditional && asked->edges == CIRCUIT_EDGES_NONE;
    struct circuit_range range = {.most = asked->max_variants};
    if (input->spec->circuit) return (struct circuit_range){.least = 0};
    if (n == 0) return range;
    range.least = n > params.max_singles ? 1 : least_of(n + (n > 1), asked->max_variants);
    if (is_single && n <= params.max_singles)
        range.most = range.least;
    else if (asked->edges == CIRCUIT_EDGES_NONE)
        range.most = least_of(range.most, n_sets(n));
    range.usual = least_of(range.most, CIRCUIT_USUAL_BASE + CIRCUIT_USUAL_EACH * n);
    return range;
}

/* Of one ablation value, with m members (circuit_verdict_plan.h). */
static uint64_t n_runs(const struct circuit_estimate_input *input, uint64_t m)
{
    const struct circuit_verdict_spec *asked = &input->spec->verdict;
    const struct verdict_plan_params params = verdict_plan_params_default(0);
    const uint64_t n_subsets = least_of(m + asked->n_subsets, n_sets(m));
    const uint64_t n_curves = input->spec->circuit ? 0 : CURVE_N_ORDERS * CURVE_N_FRACTIONS;
    return 3 + 3 * m + 2 * n_subsets + 2 * m * (params.n_minimality + 2) +
           2 * (uint64_t)asked->n_random + n_curves;
}

/* A search may find nothing, and then there is nothing to judge. */
static struct circuit_range verdict_of(const struct circuit_estimate_input *input)
{
    const uint64_t n = input->n_candidates, n_nodes_most = input->spec->search.max_nodes;
    const bool is_brought = input->spec->circuit != NULL;
    uint64_t m = n_nodes_most && !is_brought ? least_of(n, n_nodes_most) : n;
    if (is_brought && input->n_brought) m = input->n_brought;
    if (m == 0) return (struct circuit_range){.least = 0};
    const uint64_t most =
        input->spec->search.edges == CIRCUIT_EDGES_NONE ? n_sets(n ? n : m) : UINT64_MAX;
    const uint64_t n_usual = is_brought ? m : least_of(m, CIRCUIT_USUAL_NODES);
    return (struct circuit_range){.least = is_brought ? n_values(input->spec) : 0,
                                  .most = n_values(input->spec) * least_of(n_runs(input, m), most),
                                  .usual = n_values(input->spec) *
                                           least_of(n_runs(input, n_usual), most)};
}

static uint64_t n_tokens(const struct circuit_estimate_input *input, uint64_t n_search,
                         uint64_t n_verdict)
{
    return (n_search * input->n_search + n_verdict * input->n_verdict) * input->n_prompt_tokens;
}

/* --- the whole ---------------------------------------------------------------------------- */

void circuit_estimate_make(const struct circuit_estimate_input *input, struct circuit_estimate *out)
{
    const struct sweep_spec *spec = input->spec;
    const uint64_t n_batch = spec->ablation.n_batch ? spec->ablation.n_batch : 1;
    *out = (struct circuit_estimate){.n_candidates = input->n_candidates,
                                     .search = search_of(input),
                                     .verdict = verdict_of(input),
                                     .n_tasks_least = spec->circuit ? 3 : 4,
                                     .rate = input->rate,
                                     .tokens_per_second = input->rate.thread_tokens_per_second *
                                                          (double)input->rate.n_threads};
    const uint64_t n_search = out->search.most, n_verdict = out->verdict.most;
    out->units.least = (spec->circuit ? 0 : divide_up(out->search.least + 1, n_batch)) +
                       (out->verdict.least ? divide_up(out->verdict.least + 1, n_batch) : 0);
    if (n_verdict == 0) return; /* nobody knows how many components there are */
    out->units.most = (n_batch > 1 ? n_search : 2 * n_search) + divide_up(n_verdict + 1, n_batch);
    out->n_tokens_most = n_tokens(input, n_search, n_verdict);
    out->n_tokens_usual = n_tokens(input, out->search.usual, out->verdict.usual);
    if (!(out->tokens_per_second > 0.0)) return;
    out->seconds_most = (double)out->n_tokens_most / out->tokens_per_second;
    out->seconds_usual = (double)out->n_tokens_usual / out->tokens_per_second;
}

/* --- showing it --------------------------------------------------------------------------- */

static json_t *json_known(double value)
{
    return value > 0.0 ? json_real(value) : json_null();
}

static json_t *json_count(uint64_t count)
{
    return count ? json_integer((json_int_t)count) : json_null();
}

/* Nothing to measure has 0 throughout; else 0 of `usual` and `most` is not known. */
static json_t *json_range(struct circuit_range range, bool is_nothing)
{
    json_t *usual = is_nothing ? json_integer(0) : json_count(range.usual);
    json_t *most = is_nothing ? json_integer(0) : json_count(range.most);
    return json_pack("{s:I, s:o, s:o}", "least", (json_int_t)range.least, "usual", usual, "most",
                     most);
}

/* Where the rate comes from; null: from nowhere. */
static json_t *json_rate(const struct circuit_estimate *estimate)
{
    const struct ablate_rate *rate = &estimate->rate;
    if (!(estimate->tokens_per_second > 0.0)) return json_null();
    return json_pack("{s:s, s:s, s:I, s:f}", "backend", rate->backend, "isa", rate->isa,
                     "run_threads", (json_int_t)rate->n_threads, "thread_tokens_per_second",
                     rate->thread_tokens_per_second);
}

json_t *circuit_estimate_json(const struct circuit_estimate *estimate)
{
    return json_pack("{s:o, s:o, s:o, s:I, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "candidates",
                     json_count(estimate->n_candidates), "search_variants",
                     json_range(estimate->search, estimate->search.most == 0), "verdict_variants",
                     json_range(estimate->verdict, false), "units_least",
                     (json_int_t)estimate->units.least, "units_most",
                     json_count(estimate->units.most), "tasks_least",
                     (json_int_t)estimate->n_tasks_least, "variant_tokens_usual",
                     json_count(estimate->n_tokens_usual), "variant_tokens_most",
                     json_count(estimate->n_tokens_most), "variant_tokens_per_second",
                     json_known(estimate->tokens_per_second), "measured_on", json_rate(estimate),
                     "seconds_usual", json_known(estimate->seconds_usual), "seconds_most",
                     json_known(estimate->seconds_most));
}

/* "at most M", with "usually under N" before it where that is known and less. */
static status_t print_bounds(const char *what, uint64_t usual, uint64_t most, const char *unit,
                             struct buffer *out, struct error *err)
{
    char under[QUANTITY_SIZE], at_most[QUANTITY_SIZE];
    (void)quantity_count((double)most, at_most);
    if (usual == 0 || usual >= most)
        return buffer_printf(out, err, "  %-11s at most %s %s\n", what, at_most, unit);
    return buffer_printf(out, err, "  %-11s usually under %s, at most %s %s\n", what,
                         quantity_count((double)usual, under), at_most, unit);
}

static status_t print_variants(const char *what, struct circuit_range range, struct buffer *out,
                               struct error *err)
{
    char count[QUANTITY_SIZE];
    if (range.least == range.most)
        return buffer_printf(out, err, "  %-11s %s variants\n", what,
                             quantity_count((double)range.most, count));
    return print_bounds(what, range.usual, range.most, "variants", out, err);
}

static status_t print_seconds(double seconds, const char *of, struct buffer *out, struct error *err)
{
    char time[QUANTITY_SIZE];
    return seconds < 1 ? buffer_printf(out, err, "%.2g s for %s", seconds, of)
                       : buffer_printf(out, err, "%s for %s", quantity_seconds(seconds, time), of);
}

/* Tokens over a rate: no bound, whatever the tokens are. */
static status_t print_time(const struct circuit_estimate *estimate, struct buffer *out,
                           struct error *err)
{
    const struct ablate_rate *rate = &estimate->rate;
    char speed[QUANTITY_SIZE];
    status_t status = buffer_printf(out, err, "  %-11s about ", "time");
    if (status == ST_OK && estimate->seconds_usual < estimate->seconds_most)
        status = print_seconds(estimate->seconds_usual, "the usual, ", out, err);
    if (status == ST_OK)
        status = print_seconds(estimate->seconds_most, "the most of that", out, err);
    if (status == ST_OK)
        status = buffer_printf(out, err,
                               " at %s variant-tokens/s: %u run thread%s (%s), each as fast "
                               "as in this model's last verdict, and never idle\n",
                               quantity_count(estimate->tokens_per_second, speed),
                               (unsigned)rate->n_threads, rate->n_threads == 1 ? "" : "s",
                               rate->isa[0] ? rate->isa : rate->backend);
    return status;
}

static status_t print_work(const struct circuit_estimate *estimate, struct buffer *out,
                           struct error *err)
{
    char tasks[QUANTITY_SIZE], least[QUANTITY_SIZE], most[QUANTITY_SIZE];
    const bool is_searched = estimate->search.most > 0;
    status_t status = ST_OK;
    if (estimate->n_tokens_most)
        status = print_bounds("together", estimate->n_tokens_usual, estimate->n_tokens_most,
                              "variant-tokens", out, err);
    if (status == ST_OK)
        status = buffer_printf(out, err, "  %-11s %s at least%s; %s", "tasks",
                               quantity_count((double)estimate->n_tasks_least, tasks),
                               is_searched ? ", and one for each further round" : "",
                               quantity_count((double)estimate->units.least, least));
    if (status == ST_OK)
        status = estimate->units.most
                     ? buffer_printf(out, err, " to %s units\n",
                                     quantity_count((double)estimate->units.most, most))
                     : buffer_append_text(out, " or more units\n", err);
    return status == ST_OK && estimate->seconds_most > 0.0 ? print_time(estimate, out, err)
                                                           : status;
}

status_t circuit_estimate_print(const struct circuit_estimate *estimate, struct buffer *out,
                                struct error *err)
{
    char count[QUANTITY_SIZE];
    status_t status =
        estimate->n_candidates
            ? buffer_printf(out, err, "estimate    %s candidates\n",
                            quantity_count((double)estimate->n_candidates, count))
            : buffer_append_text(out, "estimate    how many candidates is not known\n", err);
    if (status == ST_OK && estimate->search.most)
        status = print_variants("search", estimate->search, out, err);
    if (status == ST_OK && estimate->verdict.most)
        status = print_variants("verdict", estimate->verdict, out, err);
    if (status == ST_OK && !estimate->verdict.most)
        status =
            buffer_printf(out, err, "  %-11s not known before the candidates are\n", "verdict");
    return status == ST_OK ? print_work(estimate, out, err) : status;
}
