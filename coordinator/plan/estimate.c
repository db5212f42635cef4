#include "coordinator/plan/estimate.h"

#include "common/quantity.h"
#include "coordinator/plan/budget.h"
#include "coordinator/plan/tokenize_plan.h"

#include <math.h>

static uint64_t divide_up(uint64_t a, uint64_t b)
{
    return a / b + (a % b != 0);
}

static uint64_t scaled(uint64_t n, double factor)
{
    const double product = (double)n * factor;
    return product < 1.8e19 ? (uint64_t)product : UINT64_MAX;
}

/* --- work on the model ------------------------------------------------------------------ */

static void estimate_tokens(const struct estimate_input *input, struct estimate *out)
{
    const double ratio =
        input->bytes_per_token > 0.0 ? input->bytes_per_token : ESTIMATE_BYTES_PER_TOKEN;
    if (input->plan_stats) {
        for (unsigned i = 0; i < EVIDENCE_N_SPLITS; i++)
            out->n_tokens += input->plan_stats->n_tokens[i];
    } else {
        out->n_tokens =
            input->n_tokens ? input->n_tokens : scaled(input->n_text_bytes, 1.0 / ratio);
    }
    out->is_tokens_exact = input->plan_stats || input->n_tokens;
    out->n_tokenize_batches = divide_up(input->n_text_bytes, TOKENIZE_BATCH_BYTES);
}

/* Without a plan: full rows, and half a row lost at the end of every document that stands
 * alone. */
static void estimate_units(const struct estimate_input *input, struct estimate *out)
{
    const struct sweep_corpus *corpus = &input->spec->corpus;
    const uint64_t row_tokens = corpus->context_tokens > 1 ? corpus->context_tokens - 1 : 1;
    uint64_t n_rows;
    if (input->plan_stats) {
        for (unsigned i = 0; i < EVIDENCE_N_SPLITS; i++)
            out->n_units += input->plan_stats->n_units[i];
        out->is_units_exact = true;
        return;
    }
    n_rows = divide_up(out->n_tokens, row_tokens);
    if (corpus->packing == SWEEP_PACKING_NONE) {
        n_rows += input->n_documents / 2;
        if (n_rows < input->n_documents) n_rows = input->n_documents;
    }
    out->n_units = divide_up(n_rows, input->spec->rows_per_unit);
}

static void estimate_capture_time(const struct estimate_input *input, struct estimate *out)
{
    const uint32_t n_workers = input->n_workers ? input->n_workers : 1;
    const struct sweep_spec *spec = input->spec;
    const double n_places =
        (double)out->n_units * spec->rows_per_unit * spec->corpus.context_tokens;
    if (input->capture_tokens_per_second <= 0.0) return;
    out->capture_hours = n_places / input->capture_tokens_per_second / n_workers / 3600.0;
}

/* --- calls ------------------------------------------------------------------------------ */

static uint64_t window_tokens(const struct sweep_spec *spec)
{
    return (uint64_t)ceil(spec->corpus.window_tokens * ESTIMATE_WINDOW_GROWTH) +
           ESTIMATE_WINDOW_OVERHEAD;
}

/* Windows of one label that are judged, dealt to prompts score by score. */
struct judged_windows {
    uint64_t n_windows, n_prompts;
    uint64_t n_simulated; /* apart from those: each a prompt of its own */
    uint64_t n_choices;   /* the same: pairs of continuations */
};

static void add_windows(struct judged_windows *sum, const struct sweep_spec *spec,
                        uint64_t n_windows)
{
    sum->n_windows += n_windows;
    sum->n_prompts += divide_up(n_windows, spec->scoring.windows_per_prompt);
}

/* Firing, random and hard windows of one split under every score that is asked for. */
static void add_split(struct judged_windows *sum, const struct sweep_spec *spec, unsigned scores)
{
    const uint64_t n = (uint64_t)spec->scoring.n_firing + 2 * (uint64_t)spec->scoring.n_silent;
    const uint64_t n_wrong = spec->scoring.n_firing < ESTIMATE_FUZZ_WRONG
                                 ? spec->scoring.n_firing
                                 : (uint64_t)ESTIMATE_FUZZ_WRONG;
    if (scores & SWEEP_SCORE_DETECTION) add_windows(sum, spec, n);
    if (scores & SWEEP_SCORE_FUZZING) add_windows(sum, spec, n + n_wrong);
}

/* Firing and random windows of test. */
static void add_simulation(struct judged_windows *sum, const struct sweep_spec *spec)
{
    if (spec->scores & SWEEP_SCORE_SIMULATION)
        sum->n_simulated += 2 * (uint64_t)spec->scoring.n_simulated;
}

static void add_choices(struct judged_windows *sum, const struct sweep_spec *spec)
{
    if (spec->scores & SWEEP_SCORE_INTERVENTION)
        sum->n_choices += spec->scoring.intervention_prompts;
}

static void price(struct estimate_calls *calls, const struct estimate_provider *provider)
{
    const double n_in = (double)calls->n_tokens_in, n_out = (double)calls->n_tokens_out;
    double minutes = 0.0;
    calls->dollars = n_in / 1e6 * provider->dollars_per_million_input +
                     n_out / 1e6 * provider->dollars_per_million_output;
    if (provider->requests_per_minute)
        minutes = (double)calls->n_calls / (double)provider->requests_per_minute;
    if (provider->tokens_per_minute)
        minutes = fmax(minutes, (n_in + n_out) / (double)provider->tokens_per_minute);
    calls->hours = minutes / 60.0;
}

static void add_judgements(struct estimate_calls *out, const struct sweep_spec *spec,
                           const struct estimate_provider *judge, uint64_t n,
                           const struct judged_windows *each)
{
    const uint64_t n_prompts = n * each->n_prompts, n_simulated = n * each->n_simulated;
    const uint64_t n_reply =
        judge->has_logprobs ? ESTIMATE_SIMULATION_REPLY : ESTIMATE_SIMULATION_REPLY_JSON;
    out->n_calls = n_prompts + n_simulated;
    out->n_tokens_in =
        n_prompts * ESTIMATE_JUDGE_INSTRUCTIONS + n * each->n_windows * window_tokens(spec);
    out->n_tokens_in += n_simulated * (ESTIMATE_SIMULATION_INSTRUCTIONS +
                                       ESTIMATE_SIMULATION_TOKEN * window_tokens(spec));
    out->n_tokens_out =
        n_prompts * ESTIMATE_JUDGE_REPLY + n * each->n_windows * ESTIMATE_JUDGE_REPLY_WINDOW;
    out->n_tokens_out += n_simulated * n_reply * window_tokens(spec);
    const uint64_t n_choices = n * each->n_choices;
    out->n_calls += n_choices;
    out->n_tokens_in += n_choices * (ESTIMATE_CHOICE_INSTRUCTIONS + window_tokens(spec) +
                                     2 * (uint64_t)spec->scoring.intervention_tokens);
    out->n_tokens_out += n_choices * ESTIMATE_JUDGE_REPLY;
}

/* What a session does: how often it goes round, and whether its first and last labels are not the
 * chosen one, so that they are judged on test windows as well. */
struct session_course {
    uint64_t n_rounds; /* 1 unless agentic */
    bool has_contrast;
};

static void estimate_judgements(const struct estimate_input *input,
                                const struct session_course *course, struct estimate_calls *out)
{
    const struct sweep_spec *spec = input->spec;
    struct judged_windows each = {0, 0, 0, 0};
    if (!input->judge.is_used) return;
    for (uint64_t i = 0; spec->mode == SWEEP_MODE_AGENTIC && i < course->n_rounds; i++) {
        add_split(&each, spec, SWEEP_SCORE_DETECTION);
        add_windows(&each, spec, ESTIMATE_CHECK_WINDOWS);
    }
    add_split(&each, spec, spec->scores);
    add_simulation(&each, spec);
    add_choices(&each, spec);
    if (spec->mode != SWEEP_MODE_SINGLE_PASS && spec->n_ood) add_split(&each, spec, spec->scores);
    for (int i = 0; course->has_contrast && i < 2; i++) {
        const unsigned detection = spec->scores & SWEEP_SCORE_DETECTION;
        add_split(&each, spec, detection ? detection : spec->scores);
    }
    add_judgements(out, spec, &input->judge, input->n_features, &each);
}

/* Foreign labels are judged on test windows, in every mode. */
static void estimate_null(const struct estimate_input *input, uint64_t n_pairs,
                          struct estimate_calls *out)
{
    struct judged_windows each = {0, 0, 0, 0};
    add_split(&each, input->spec, input->spec->scores);
    add_simulation(&each, input->spec);
    if (input->judge.is_used) add_judgements(out, input->spec, &input->judge, n_pairs, &each);
}

/* The other judges see what the first one sees on test windows, but for the simulation. They work
 * side by side: the slowest of them is waited for. */
static void estimate_agreement(const struct estimate_input *input, struct estimate_calls *out)
{
    struct judged_windows each = {0, 0, 0, 0};
    add_split(&each, input->spec, input->spec->scores);
    for (size_t i = 0; i < SWEEP_MAX_MORE_JUDGES; i++) {
        const struct estimate_provider *judge = &input->more_judges[i];
        struct estimate_calls calls = {0};
        if (!judge->is_used) continue;
        add_judgements(&calls, input->spec, judge, input->n_features, &each);
        price(&calls, judge);
        out->n_calls += calls.n_calls;
        out->n_tokens_in += calls.n_tokens_in;
        out->n_tokens_out += calls.n_tokens_out;
        out->dollars += calls.dollars;
        out->hours = fmax(out->hours, calls.hours);
    }
}

static void estimate_explanations(const struct estimate_input *input,
                                  const struct session_course *course, struct estimate_calls *out)
{
    const struct sweep_spec *spec = input->spec;
    const uint64_t n = input->n_features, n_rounds = course->n_rounds;
    const uint64_t n_prompt = ESTIMATE_EXPLAINER_INSTRUCTIONS +
                              (uint64_t)ESTIMATE_EXPLAINER_WINDOWS * window_tokens(spec);
    if (!input->explainer.is_used || spec->mode == SWEEP_MODE_SCORE_ONLY) return;
    out->n_calls = n * n_rounds;
    out->n_tokens_in = out->n_calls * n_prompt;
    out->n_tokens_out = out->n_calls * ESTIMATE_EXPLAINER_REPLY;
    if (spec->mode != SWEEP_MODE_AGENTIC) return;
    const uint64_t n_history = n_rounds * (n_rounds - 1) / 2; /* earlier rounds shown, together */
    const uint64_t n_texts = spec->experiments.per_round;
    out->n_tokens_in +=
        n * n_history * (ESTIMATE_HISTORY_ROUND + n_texts * ESTIMATE_EXPERIMENT_TEXT);
    out->n_tokens_in += n * n_rounds * n_prompt; /* the designs */
    out->n_tokens_out +=
        n * n_rounds * (ESTIMATE_DESIGN_REPLY + n_texts * ESTIMATE_EXPERIMENT_TEXT);
    out->n_calls += n * n_rounds;
}

/* A label and detection on test windows for each of the most meanings of every feature. */
static void estimate_meanings(const struct estimate_input *input, struct estimate_calls *out)
{
    const struct sweep_spec *spec = input->spec;
    const uint64_t n = input->n_features * ESTIMATE_MOST_MEANINGS;
    struct judged_windows each = {0, 0, 0, 0};
    struct estimate_calls explain = {0}, judge = {0};
    if (input->explainer.is_used && spec->mode != SWEEP_MODE_SCORE_ONLY) {
        explain.n_calls = n;
        explain.n_tokens_in = n * (ESTIMATE_EXPLAINER_INSTRUCTIONS +
                                   (uint64_t)ESTIMATE_EXPLAINER_WINDOWS * window_tokens(spec));
        explain.n_tokens_out = n * ESTIMATE_EXPLAINER_REPLY;
        price(&explain, &input->explainer);
    }
    add_split(&each, spec, SWEEP_SCORE_DETECTION);
    if (input->judge.is_used) add_judgements(&judge, spec, &input->judge, n, &each);
    price(&judge, &input->judge);
    *out = (struct estimate_calls){.n_calls = explain.n_calls + judge.n_calls,
                                   .n_tokens_in = explain.n_tokens_in + judge.n_tokens_in,
                                   .n_tokens_out = explain.n_tokens_out + judge.n_tokens_out,
                                   .dollars = explain.dollars + judge.dollars,
                                   .hours = explain.hours + judge.hours};
}

static uint64_t n_null_pairs(const struct sweep_spec *spec, uint64_t n_features)
{
    const uint64_t n_least =
        n_features < ESTIMATE_NULL_FEW_FEATURES ? n_features * ESTIMATE_NULL_PAIRS_PER_FEATURE : 0;
    if (spec->scoring.null_pairs == 0) return 0;
    return spec->scoring.null_pairs > n_least ? spec->scoring.null_pairs : n_least;
}

/* The cap holds per feature over explaining and judging; both shrink alike. */
static void apply_cap(const struct estimate_input *input, struct estimate *out)
{
    const uint64_t cap = input->spec->max_prompt_tokens;
    const uint64_t n_in = out->explain.n_tokens_in + out->judge.n_tokens_in;
    if (cap == 0 || n_in / out->n_features <= cap) return;
    const double factor = (double)cap * (double)out->n_features / (double)n_in;
    out->explain.n_tokens_in = scaled(out->explain.n_tokens_in, factor);
    out->judge.n_tokens_in = scaled(out->judge.n_tokens_in, factor);
    out->is_prompt_capped = true;
}

static void estimate_course(const struct estimate_input *input, const struct session_course *course,
                            struct estimate *out)
{
    estimate_explanations(input, course, &out->explain);
    estimate_judgements(input, course, &out->judge);
    estimate_null(input, n_null_pairs(input->spec, input->n_features), &out->null_pairs);
    estimate_agreement(input, &out->agreement);
    out->calls_per_feature =
        (out->explain.n_calls + out->judge.n_calls + out->agreement.n_calls) / input->n_features;
    apply_cap(input, out);
    price(&out->explain, &input->explainer);
    price(&out->judge, &input->judge);
    price(&out->null_pairs, &input->judge);
    out->n_calls = out->explain.n_calls + out->judge.n_calls + out->null_pairs.n_calls +
                   out->agreement.n_calls;
    out->dollars = out->explain.dollars + out->judge.dollars + out->null_pairs.dollars +
                   out->agreement.dollars;
    out->call_hours =
        out->explain.hours + out->null_pairs.hours + fmax(out->judge.hours, out->agreement.hours);
}

static void estimate_null_power(const struct sweep_spec *spec, struct estimate *out)
{
    out->n_null_pairs = n_null_pairs(spec, out->n_features);
    const double q = spec->thresholds.fdr_q, n_p = (double)out->n_null_pairs + 1.0;
    if (out->n_null_pairs == 0) return;
    const double least = q > 0.0 ? ceil((double)out->n_features / (q * n_p) - 1e-9) : INFINITY;
    const double most = (double)out->n_features + 1.0; /* says it all */
    out->n_supported_least = (uint64_t)fmin(least, most);
}

static void estimate_calls(const struct estimate_input *input, struct estimate *out)
{
    const struct sweep_spec *spec = input->spec;
    const bool is_agentic = spec->mode == SWEEP_MODE_AGENTIC;
    const struct session_course longest = {is_agentic ? spec->rounds.max : 1, is_agentic};
    const struct session_course shortest = {is_agentic ? spec->rounds.min : 1, false};
    struct estimate least = {.n_features = input->n_features};
    out->n_features = input->n_features;
    if (input->n_features == 0) return;
    estimate_null_power(spec, out);
    estimate_course(input, &longest, out);
    estimate_meanings(input, &out->meanings);
    estimate_course(input, &shortest, &least);
    out->n_calls_least = least.n_calls;
    out->dollars_least = least.dollars;
    out->is_over_budget = out->dollars > spec->budget_dollars;
}

void estimate_make(const struct estimate_input *input, struct estimate *out)
{
    *out = (struct estimate){0};
    if (input->spec->kind == SWEEP_KIND_CIRCUIT) return; /* pays nobody, and asks as it goes */
    if (input->spec->kind == SWEEP_KIND_NOOP) {
        out->n_units = input->spec->n_units;
        out->is_units_exact = out->is_tokens_exact = true;
        return;
    }
    estimate_tokens(input, out);
    estimate_units(input, out);
    estimate_capture_time(input, out);
    estimate_calls(input, out);
}

/* --- showing it ------------------------------------------------------------------------- */

static json_t *calls_to_json(const struct estimate_calls *calls)
{
    return json_pack("{s:I, s:I, s:I, s:f, s:f}", "calls", (json_int_t)calls->n_calls, "tokens_in",
                     (json_int_t)calls->n_tokens_in, "tokens_out", (json_int_t)calls->n_tokens_out,
                     "dollars", calls->dollars, "hours", calls->hours);
}

json_t *estimate_to_json(const struct estimate *estimate)
{
    return json_pack(
        "{s:I, s:b, s:I, s:b, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:I, s:f, s:I, s:f, s:b, "
        "s:f, s:f, s:b, s:I, s:I}",
        "tokens", (json_int_t)estimate->n_tokens, "tokens_exact", estimate->is_tokens_exact,
        "units", (json_int_t)estimate->n_units, "units_exact", estimate->is_units_exact,
        "tokenize_batches", (json_int_t)estimate->n_tokenize_batches, "features",
        (json_int_t)estimate->n_features, "calls_per_feature",
        (json_int_t)estimate->calls_per_feature, "explain", calls_to_json(&estimate->explain),
        "judge", calls_to_json(&estimate->judge), "null_pairs",
        calls_to_json(&estimate->null_pairs), "agreement", calls_to_json(&estimate->agreement),
        "meanings", calls_to_json(&estimate->meanings), "calls", (json_int_t)estimate->n_calls,
        "dollars", estimate->dollars, "calls_least", (json_int_t)estimate->n_calls_least,
        "dollars_least", estimate->dollars_least, "over_budget", estimate->is_over_budget,
        "capture_hours", estimate->capture_hours, "call_hours", estimate->call_hours,
        "prompt_capped", estimate->is_prompt_capped, "n_null_pairs",
        (json_int_t)estimate->n_null_pairs, "supported_least",
        (json_int_t)estimate->n_supported_least);
}

static status_t print_calls(const char *what, const struct estimate_calls *calls,
                            struct buffer *out, struct error *err)
{
    char n[QUANTITY_SIZE], in[QUANTITY_SIZE], out_of[QUANTITY_SIZE];
    return buffer_printf(
        out, err, "  %-11s %12s %14s %13s %10.2f %9.2f\n", what,
        quantity_count((double)calls->n_calls, n), quantity_count((double)calls->n_tokens_in, in),
        quantity_count((double)calls->n_tokens_out, out_of), calls->dollars, calls->hours);
}

static status_t print_work(const struct estimate *estimate, struct buffer *out, struct error *err)
{
    char tokens[QUANTITY_SIZE], units[QUANTITY_SIZE], batches[QUANTITY_SIZE];
    status_t status = buffer_printf(
        out, err, "capture     %s%s tokens in %s%s units, %s batches of text\n",
        estimate->is_tokens_exact ? "" : "about ",
        quantity_count((double)estimate->n_tokens, tokens),
        estimate->is_units_exact ? "" : "about ", quantity_count((double)estimate->n_units, units),
        quantity_count((double)estimate->n_tokenize_batches, batches));
    if (status == ST_OK && estimate->capture_hours > 0.0)
        status = estimate->capture_hours < 1.0
                     ? buffer_printf(out, err, "            %.0f s on the workers there are now\n",
                                     estimate->capture_hours * 3600.0)
                     : buffer_printf(out, err, "            %.1f h on the workers there are now\n",
                                     estimate->capture_hours);
    return status;
}

/* All calls together, in the columns of print_calls(). */
static status_t print_sum(const struct estimate *estimate, struct buffer *out, struct error *err)
{
    const struct estimate_calls *const parts[] = {&estimate->explain, &estimate->judge,
                                                  &estimate->null_pairs, &estimate->agreement};
    struct estimate_calls sum = {
        .n_calls = estimate->n_calls, .dollars = estimate->dollars, .hours = estimate->call_hours};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        sum.n_tokens_in += parts[i]->n_tokens_in;
        sum.n_tokens_out += parts[i]->n_tokens_out;
    }
    return print_calls("together", &sum, out, err);
}

static status_t print_total(const struct estimate *estimate, double budget_dollars,
                            struct buffer *out, struct error *err)
{
    char words[BUDGET_WORDS_SIZE], count[QUANTITY_SIZE];
    status_t status = print_sum(estimate, out, err);
    if (status == ST_OK && estimate->n_calls_least < estimate->n_calls)
        status = buffer_printf(out, err,
                               "  %-11s %12s %14s %13s %10.2f\n"
                               "  %-11s if every label settles after rounds.min\n",
                               "at least", quantity_count((double)estimate->n_calls_least, count),
                               "", "", estimate->dollars_least, "");
    if (status == ST_OK && estimate->meanings.n_calls)
        status = buffer_printf(out, err,
                               "more        %s calls (%.2f dollars) if every feature had %d "
                               "meanings; few have several\n",
                               quantity_count((double)estimate->meanings.n_calls, count),
                               estimate->meanings.dollars, ESTIMATE_MOST_MEANINGS);
    if (status == ST_OK && estimate->is_prompt_capped)
        status = buffer_append_text(out, "prompts are cut to max_prompt_tokens per feature\n", err);
    if (status == ST_OK && estimate->is_over_budget)
        status = buffer_printf(out, err, "more than budget_dollars: %s\n",
                               budget_words(budget_dollars, words));
    return status;
}

/* Only where the null has too few pairs for a label to stand alone. */
static status_t print_null_power(const struct estimate *estimate, struct buffer *out,
                                 struct error *err)
{
    char pairs[QUANTITY_SIZE], features[QUANTITY_SIZE], more[QUANTITY_SIZE];
    if (estimate->n_supported_least <= 1) return ST_OK;
    (void)quantity_count((double)estimate->n_null_pairs, pairs);
    (void)quantity_count((double)estimate->n_null_pairs + 1, more);
    (void)quantity_count((double)estimate->n_features, features);
    if (estimate->n_supported_least > estimate->n_features)
        return buffer_printf(out, err,
                             "warning     %s null pairs can support no label of %s: p is at "
                             "least 1/%s,\n            above thresholds.fdr_q; raise "
                             "scoring.null_pairs\n",
                             pairs, features, more);
    status_t status = buffer_printf(out, err,
                                    "note        %s null pairs, %s features: p is at least 1/%s, "
                                    "so\n            Benjamini-Hochberg ",
                                    pairs, features, more);
    if (status == ST_OK)
        status =
            buffer_printf(out, err,
                          "supports %s labels or more that beat every null\n            score, or "
                          "none\n",
                          quantity_count((double)estimate->n_supported_least, more));
    return status;
}

static status_t print_all_calls(const struct estimate *estimate, double budget_dollars,
                                struct buffer *out, struct error *err)
{
    char each[QUANTITY_SIZE], features[QUANTITY_SIZE];
    status_t status = buffer_printf(out, err,
                                    "calls       at most %s a feature, %s features\n"
                                    "  %-11s %12s %14s %13s %10s %9s\n",
                                    quantity_count((double)estimate->calls_per_feature, each),
                                    quantity_count((double)estimate->n_features, features), "",
                                    "calls", "tokens in", "tokens out", "dollars", "hours");
    if (status == ST_OK) status = print_calls("explain", &estimate->explain, out, err);
    if (status == ST_OK) status = print_calls("judge", &estimate->judge, out, err);
    if (status == ST_OK) status = print_calls("null pairs", &estimate->null_pairs, out, err);
    if (status == ST_OK && estimate->agreement.n_calls)
        status = print_calls("more judges", &estimate->agreement, out, err);
    return status == ST_OK ? print_total(estimate, budget_dollars, out, err) : status;
}

status_t estimate_print(const struct estimate *estimate, double budget_dollars, struct buffer *out,
                        struct error *err)
{
    char features[QUANTITY_SIZE];
    status_t status = print_work(estimate, out, err);
    if (status != ST_OK) return status;
    if (estimate->n_features == 0)
        return buffer_append_text(out, "calls       not counted: features are not known yet\n",
                                  err);
    status = estimate->n_calls == 0
                 ? buffer_printf(out, err, "calls       none (lexical), %s features\n",
                                 quantity_count((double)estimate->n_features, features))
                 : print_all_calls(estimate, budget_dollars, out, err);
    return status == ST_OK ? print_null_power(estimate, out, err) : status;
}
