/* Against tests/golden/circuit_verdicts/make_circuit_verdicts.py (plain numpy), to 1e-9; and what
 * must hold for any measures. */
#include "coordinator/circuit/circuit_file.h"
#include "coordinator/circuit/circuit_stability.h"
#include "coordinator/circuit/circuit_verdict.h"
#include "tests/unit/circuit_cases.h"

/* --- the golden cases --------------------------------------------------------------------- */

static const struct circuit *kept_circuit(const char *text)
{
    struct circuit *circuit = keep_alloc(1, sizeof *circuit);
    cr_assert_eq(circuit_file_parse(circuit, "test", text, strlen(text), NULL), ST_OK);
    return circuit;
}

static struct value_measures value_of(const json_t *json, enum ablate_value value)
{
    const json_t *random = json_object_get(json, "random_circuit");
    return (struct value_measures){
        .is_measured = true,
        .method = {.types = 1u << COMPONENT_HEAD,
                   .value = value,
                   .mean = value == ABLATE_MEAN ? MEAN_OVERALL : MEAN_NONE},
        .empty = numbers_of(json, "empty"),
        .circuit = numbers_of(json, "circuit"),
        .complement = numbers_of(json, "complement"),
        .without_member = numbers_of(json, "without_member"),
        .without_class_rest = numbers_of(json, "without_class_rest"),
        .without_class = numbers_of(json, "without_class"),
        .n_subsets = json_array_size(json_object_get(json, "circuit_without_subset")),
        .circuit_without_subset = numbers_of(json, "circuit_without_subset"),
        .model_without_subset = numbers_of(json, "model_without_subset"),
        .n_minimality = json_array_size(json_object_get(json, "minimality_member")),
        .minimality_member = indices_of(json, "minimality_member"),
        .minimality_without_subset = numbers_of(json, "minimality_without_subset"),
        .minimality_without_both = numbers_of(json, "minimality_without_both"),
        .n_random = json_array_size(random),
        .random_circuit = numbers_of(json, "random_circuit"),
        .random_complement = numbers_of(json, "random_complement"),
        .n_curve_candidates = json_object_get(json, "curve_signed") ? 100 : 0,
        .curve = {numbers_of(json, "curve_signed"), numbers_of(json, "curve_absolute")},
        .kl_circuit = numbers_of(json, "kl_circuit"),
        .kl_empty = numbers_of(json, "kl_empty")};
}

/* circuit_stability() of sets of small numbers. */
static int compare_numbers(const void *a, const void *b)
{
    const uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

static struct score_value stability_of(const json_t *sets)
{
    const struct found_kind kind = {sizeof(uint32_t), compare_numbers};
    struct found_set found[32];
    struct score_value out;
    const size_t n = json_array_size(sets);
    for (size_t s = 0; s < n; s++) {
        const json_t *set = json_array_get(sets, s);
        uint32_t *items = keep_alloc(json_array_size(set) + 1, sizeof *items);
        for (size_t i = 0; i < json_array_size(set); i++)
            items[i] = (uint32_t)json_integer_value(json_array_get(set, i));
        found[s] = (struct found_set){items, json_array_size(set)};
    }
    cr_assert_eq(circuit_stability(found, n, &kind, &out, NULL), ST_OK);
    return out;
}

static struct circuit_measures measures_of(const json_t *json)
{
    const json_t *values = json_object_get(json, "values");
    struct circuit_measures measures = {
        .circuit = kept_circuit("L0H0\nL0H1\nL1H0\n"),
        .metric = METRIC_LOGIT_DIFFERENCE,
        .units = units_of(json),
        .full = numbers_of(json, "full"),
        .n_researches = (size_t)json_integer_value(json_object_get(json, "n_searches")),
        .stability = stability_of(json_object_get(json, "sets"))};
    for (int v = 0; v < ABLATE_N_VALUES; v++) {
        const enum ablate_value value = (enum ablate_value)v;
        measures.values[v] = value_of(json_object_get(values, ablate_value_name(value)), value);
    }
    return measures;
}

static struct verdict_thresholds rules_of(const json_t *json)
{
    struct verdict_thresholds rules =
        verdict_thresholds_default((uint64_t)json_integer_value(json_object_get(json, "seed")));
    rules.bootstrap.n_resamples =
        (uint32_t)json_integer_value(json_object_get(json, "n_resamples"));
    return rules;
}

static void expect_interval(const struct interval *got, const json_t *object)
{
    const json_t *want = json_object_get(object, "interval");
    json_t *ends =
        json_pack("{s:O, s:O}", "low", json_array_get(want, 0), "high", json_array_get(want, 1));
    cr_expect(got->is_defined);
    expect_number(got->low, ends, "low");
    expect_number(got->high, ends, "high");
    json_decref(ends);
}

static void expect_ratio(const struct ratio_verdict *got, const json_t *want)
{
    const json_t *quantiles = json_object_get(want, "quantiles");
    if (!want) {
        cr_expect_not(got->of_means.value.is_defined || got->percentile.is_defined);
        return;
    }
    expect_score(got->of_means.value, want, "ratio");
    expect_interval(&got->of_means.interval, want);
    expect_score(got->by_prompt.mean, want, "mean_of_ratios");
    expect_number((double)got->by_prompt.n_prompts, want, "n_ratios");
    for (int q = 0; q < RATIO_N_QUANTILES; q++)
        cr_expect_float_eq(got->by_prompt.quantiles[q],
                           json_number_value(json_array_get(quantiles, (size_t)q)), 1e-9);
    expect_score(got->random_limit, want, "random_limit");
    expect_score(got->percentile, want, "percentile");
    cr_expect_eq(got->is_above_random, json_is_true(json_object_get(want, "above_random")));
}

static void expect_members(const struct value_verdict *got, const json_t *want)
{
    const json_t *members = json_object_get(want, "members"), *member;
    size_t m;
    json_array_foreach(members, m, member)
    {
        const json_t *drop = json_object_get(member, "drop");
        const json_t *conditional = json_object_get(member, "conditional");
        expect_score(got->members[m].drop.value, drop, "value");
        expect_interval(&got->members[m].drop.interval, drop);
        expect_score(got->members[m].conditional.value, conditional, "value");
        expect_interval(&got->members[m].conditional.interval, conditional);
        expect_score(got->members[m].minimality, member, "minimality");
        cr_expect_eq(got->members[m].is_conditional_clear,
                     json_is_true(json_object_get(member, "clear")));
    }
}

static void expect_curves(const struct value_verdict *got, const json_t *want)
{
    cr_expect_eq(got->has_curves, want != NULL);
    for (int order = 0; order < CURVE_N_ORDERS && want; order++) {
        const struct faithfulness_curve *curve = &got->curves[order];
        const json_t *of = json_object_get(want, curve_order_name((enum curve_order)order));
        expect_score(curve->cpr, of, "cpr");
        expect_score(curve->cmd, of, "cmd");
        cr_expect_eq(curve->order, (enum curve_order)order);
        for (size_t k = 0; k < CURVE_N_FRACTIONS && !curve->is_flat; k++)
            cr_expect_float_eq(curve->f[k].value,
                               json_number_value(json_array_get(json_object_get(of, "f"), k)),
                               1e-9);
    }
}

static void expect_value(const struct value_verdict *got, const json_t *want)
{
    const json_t *kl = json_object_get(want, "kl");
    expect_curves(got, json_object_get(want, "curves"));
    expect_number(got->empty, want, "empty");
    expect_number(got->circuit, want, "circuit");
    expect_number(got->complement, want, "complement");
    expect_number(got->difference, want, "difference");
    expect_score(got->standard_error, want, "standard_error");
    cr_expect_eq(got->is_flat, json_is_true(json_object_get(want, "is_flat")));
    expect_ratio(&got->sufficiency, json_object_get(want, "sufficiency"));
    expect_ratio(&got->necessity, json_object_get(want, "necessity"));
    expect_score(got->completeness, want, "completeness");
    expect_score(got->completeness_share, want, "completeness_share");
    expect_number((double)got->completeness_subset, want, "completeness_subset");
    expect_members(got, want);
    cr_expect_eq(got->has_kl, kl != NULL);
    if (!kl) return;
    expect_score(got->kl_sufficiency.value, kl, "sufficiency");
    expect_interval(&got->kl_sufficiency.interval, kl);
    expect_number(got->kl_mean, kl, "mean");
    expect_number(got->kl_median, kl, "median");
    expect_number(got->kl_max, kl, "max");
}

/* Each failed condition has its reason, in order, beginning with the value's name. */
static void expect_reasons(const struct circuit_verdict *got, const json_t *failed)
{
    static const char *const words[][2] = {{"flat", "undefined: flat metric"},
                                           {"sufficiency", "sufficiency"},
                                           {"necessity", "necessity"},
                                           {"sufficiency random", "sufficiency"},
                                           {"necessity random", "necessity"},
                                           {"conditional", "L0H1"},
                                           {"low", "is under 0.8"},
                                           {"searches", "20 are asked for"}};
    cr_assert_eq(got->n_reasons, json_array_size(failed));
    for (size_t i = 0; i < got->n_reasons; i++) {
        const json_t *want = json_array_get(failed, i);
        const char *value = json_string_value(json_array_get(want, 0));
        const char *kind = json_string_value(json_array_get(want, 1));
        size_t w = 0;
        while (strcmp(words[w][0], kind) != 0) w++;
        cr_expect(strncmp(got->reasons[i], value, strlen(value)) == 0, "%s", got->reasons[i]);
        cr_expect(strstr(got->reasons[i], words[w][1]) != NULL, "%s", got->reasons[i]);
        cr_expect_eq(strstr(kind, "random") != NULL,
                     strstr(got->reasons[i], "not above the random") != NULL);
    }
}

Test(circuit_verdict, is_that_of_the_reference)
{
    json_t *cases = load_circuit_cases();
    const json_t *verdicts = json_object_get(cases, "verdicts"), *json;
    size_t c;
    cr_assert_eq(json_array_size(verdicts), 8);
    json_array_foreach(verdicts, c, json)
    {
        const struct circuit_measures measures = measures_of(json);
        const struct verdict_thresholds rules = rules_of(json);
        const json_t *want = json_object_get(json, "want");
        const json_t *values = json_object_get(want, "values");
        struct circuit_verdict got;
        struct error err = {.status = ST_OK};
        cr_assert_eq(circuit_verdict_decide(&measures, &rules, &got, &err), ST_OK, "%s", err.text);
        expect_score(measures.stability, json, "stability");
        cr_expect_str_eq(circuit_outcome_name(got.outcome),
                         json_string_value(json_object_get(want, "outcome")), "case %zu", c);
        for (int v = 0; v < ABLATE_N_VALUES; v++)
            expect_value(&got.values[v],
                         json_object_get(values, ablate_value_name((enum ablate_value)v)));
        expect_reasons(&got, json_object_get(want, "failed"));
        circuit_verdict_fini(&got);
    }
    json_decref(cases);
}

/* --- what must hold ----------------------------------------------------------------------- */

enum { N = 12, N_RANDOM = 30 };

/* A perfect circuit of two heads: every array at a level between empty (0) and full (1). */
struct world {
    double full[N], empty[N], circuit[N], complement[N], drops[2 * N], rest[2 * N], all[2 * N];
    double random_circuit[N_RANDOM * N], random_complement[N_RANDOM * N];
    uint32_t unit_of[N];
    struct circuit_measures measures;
};

static void fill(double *values, size_t n, double level)
{
    for (size_t i = 0; i < n; i++) values[i] = level + 0.001 * (double)((i * 7) % 5);
}

static void world_init(struct world *world)
{
    *world = (struct world){.full = {0}};
    fill(world->full, N, 1.0);
    fill(world->empty, N, 0.0);
    fill(world->circuit, N, 1.0);
    fill(world->complement, N, 0.01);
    fill(world->drops, 2 * N, 0.0);
    for (size_t m = 0; m < 2; m++) memcpy(world->rest + m * N, world->full, sizeof world->full);
    fill(world->all, 2 * N, 0.0);
    for (size_t r = 0; r < N_RANDOM; r++) {
        fill(world->random_circuit + r * N, N, 0.01 * (double)r);
        fill(world->random_complement + r * N, N, 1.0 - 0.01 * (double)r);
    }
    for (uint32_t i = 0; i < N; i++) world->unit_of[i] = i;
    world->measures = (struct circuit_measures){.circuit = kept_circuit("L0H0\nL1H0\n"),
                                                .units = {world->unit_of, N, N},
                                                .full = world->full,
                                                .n_researches = 20,
                                                .stability = {true, 1.0}};
    for (int v = 0; v < ABLATE_N_VALUES; v++)
        world->measures.values[v] =
            (struct value_measures){.is_measured = true,
                                    .method = {.value = (enum ablate_value)v},
                                    .empty = world->empty,
                                    .circuit = world->circuit,
                                    .complement = world->complement,
                                    .without_member = world->drops,
                                    .without_class_rest = world->rest,
                                    .without_class = world->all,
                                    .n_random = N_RANDOM,
                                    .random_circuit = world->random_circuit,
                                    .random_complement = world->random_complement};
}

static struct circuit_verdict decide(const struct world *world)
{
    const struct verdict_thresholds rules = verdict_thresholds_default(9);
    struct circuit_verdict verdict;
    struct error err = {.status = ST_OK};
    cr_assert_eq(circuit_verdict_decide(&world->measures, &rules, &verdict, &err), ST_OK, "%s",
                 err.text);
    return verdict;
}

static void expect_outcome(const struct world *world, enum circuit_outcome outcome,
                           const char *reason)
{
    struct circuit_verdict verdict = decide(world);
    bool is_named = reason == NULL;
    for (size_t i = 0; i < verdict.n_reasons; i++)
        is_named = is_named || (reason && strcmp(verdict.reasons[i], reason) == 0);
    cr_expect_eq(verdict.outcome, outcome, "%s", reason ? reason : "verified");
    cr_expect(is_named, "\"%s\" is not \"%s\"", verdict.n_reasons ? verdict.reasons[0] : "",
              reason ? reason : "");
    circuit_verdict_fini(&verdict);
}

Test(circuit_verdict, better_than_all_random_circuits_is_percentile_100)
{
    struct world world;
    world_init(&world);
    struct circuit_verdict verdict = decide(&world);
    const struct value_verdict *value = &verdict.values[ABLATE_MEAN];
    cr_expect_eq(verdict.outcome, CIRCUIT_VERIFIED);
    cr_expect_eq(verdict.n_reasons, 0);
    cr_expect_eq(value->sufficiency.percentile.value, 100.0);
    cr_expect_eq(value->necessity.percentile.value, 100.0);
    cr_expect_float_eq(value->sufficiency.of_means.value.value, 1.0, 1e-12);
    cr_expect_float_eq(value->necessity.of_means.value.value, 0.99, 1e-12);
    circuit_verdict_fini(&verdict);
}

Test(circuit_verdict, no_better_than_random_is_rejected_under_mean_or_resample_only)
{
    struct world world;
    world_init(&world);
    world.measures.values[ABLATE_ZERO].circuit = world.empty;
    expect_outcome(&world, CIRCUIT_VERIFIED, NULL);
    for (int v = ABLATE_MEAN; v <= ABLATE_RESAMPLE; v++) {
        world_init(&world);
        world.measures.values[v].random_complement = world.random_circuit; /* 0 .. .29 left */
        world.measures.values[v].complement = world.random_circuit + (size_t)10 * N;
        struct circuit_verdict verdict = decide(&world);
        cr_expect_eq(verdict.outcome, CIRCUIT_REJECTED);
        cr_expect_eq(verdict.n_reasons, 1);
        circuit_verdict_fini(&verdict);
    }
}

Test(circuit_verdict, as_good_as_the_best_random_circuit_counts_half)
{
    struct world world;
    world_init(&world);
    world.measures.values[ABLATE_MEAN].circuit = world.random_circuit + (N_RANDOM - 1) * N;
    struct circuit_verdict verdict = decide(&world);
    const struct ratio_verdict *ratio = &verdict.values[ABLATE_MEAN].sufficiency;
    cr_expect_float_eq(ratio->percentile.value, 100.0 * 29.5 / 30.0, 1e-12);
    cr_expect(ratio->is_above_random, "the 95 %% quantile lies below the best of 30");
    circuit_verdict_fini(&verdict);
}

Test(circuit_verdict, what_was_not_measured_fails_by_name)
{
    struct world world;
    world_init(&world);
    world.measures.values[ABLATE_MEAN].is_measured = false;
    expect_outcome(&world, CIRCUIT_PARTIAL, "mean: not measured");
    world_init(&world);
    world.measures.values[ABLATE_RESAMPLE].n_random = 0;
    expect_outcome(&world, CIRCUIT_PARTIAL,
                   "resample: no random circuits to compare sufficiency with");
    world_init(&world);
    world.measures.values[ABLATE_MEAN].without_class = NULL;
    world.measures.values[ABLATE_MEAN].without_class_rest = NULL;
    expect_outcome(&world, CIRCUIT_PARTIAL, "mean: conditional drops not measured");
    world_init(&world);
    world.measures.stability.is_defined = false;
    expect_outcome(&world, CIRCUIT_PARTIAL, "stability: undefined");
    world.measures.n_researches = 5;
    expect_outcome(&world, CIRCUIT_PARTIAL, "stability: 5 searches run again, 20 are asked for");
    world.measures.is_adaptive_search = true;
    world.measures.stability = (struct score_value){true, 0.8};
    expect_outcome(&world, CIRCUIT_VERIFIED, NULL);
    world.measures.is_brought = true;
    expect_outcome(&world, CIRCUIT_PARTIAL,
                   "stability: not measured, no search found this circuit");
}

Test(circuit_verdict, members_that_do_nothing_are_named_together)
{
    struct world world;
    world_init(&world);
    world.measures.values[ABLATE_MEAN].without_class = world.rest;
    expect_outcome(&world, CIRCUIT_PARTIAL,
                   "mean: conditional drop does not exclude 0: L0H0, L1H0");
}

static void expect_finite(const struct circuit_verdict *verdict)
{
    for (int v = 0; v < ABLATE_N_VALUES; v++) {
        const struct value_verdict *value = &verdict->values[v];
        const struct ratio_verdict *ratios[] = {&value->sufficiency, &value->necessity};
        for (int r = 0; r < 2; r++) {
            cr_expect_not(ratios[r]->of_means.value.is_defined);
            cr_expect_not(ratios[r]->of_means.interval.is_defined);
            cr_expect(isfinite(ratios[r]->of_means.value.value));
            cr_expect(isfinite(ratios[r]->by_prompt.mean.value));
        }
        cr_expect(isfinite(value->completeness_share.value));
    }
}

Test(circuit_verdict, a_flat_metric_is_undefined_and_never_nan)
{
    struct world world;
    struct circuit_verdict verdict;
    for (int kind = 0; kind < 3; kind++) {
        world_init(&world);
        if (kind == 0) memcpy(world.empty, world.full, sizeof world.full); /* equal: 0 of 0 */
        for (size_t i = 0; kind == 1 && i < N; i++) /* under 3 standard errors */
            world.empty[i] = world.full[i] + (i % 2 ? 1.0 : -1.2);
        if (kind == 2) { /* one unit has no standard error */
            memset(world.unit_of, 0, sizeof world.unit_of);
            world.measures.units.n_units = 1;
        }
        verdict = decide(&world);
        cr_expect_eq(verdict.outcome, CIRCUIT_PARTIAL);
        cr_expect(verdict.values[ABLATE_MEAN].is_flat);
        cr_expect_str_eq(verdict.reasons[0], "mean: undefined: flat metric");
        expect_finite(&verdict);
        circuit_verdict_fini(&verdict);
    }
}

Test(circuit_verdict, bad_measures_are_refused_by_array_and_prompt)
{
    const struct verdict_thresholds rules = verdict_thresholds_default(9);
    struct circuit_verdict verdict;
    struct error err = {.status = ST_OK};
    struct world world;
    world_init(&world);
    world.drops[N + 3] = NAN;
    cr_expect_eq(circuit_verdict_decide(&world.measures, &rules, &verdict, &err), ST_BAD_INPUT);
    cr_expect_str_eq(err.text, "measures under zero: without_member, row 1, prompt 3: not finite");
    error_clear(&err);
    world_init(&world);
    world.measures.values[ABLATE_MEAN].empty = NULL;
    cr_expect_eq(circuit_verdict_decide(&world.measures, &rules, &verdict, &err), ST_BAD_INPUT);
    cr_expect_str_eq(err.text, "measures under mean: empty is missing");
    error_clear(&err);
    world_init(&world);
    world.measures.units.n_prompts = 0;
    cr_expect_eq(circuit_verdict_decide(&world.measures, &rules, &verdict, &err), ST_BAD_INPUT);
}

/* --- stability ---------------------------------------------------------------------------- */

Test(circuit_stability, equal_sets_are_1_disjoint_ones_0)
{
    static const uint32_t a[] = {1, 2, 3}, b[] = {4, 5}, c[] = {2, 3, 4};
    const struct found_kind kind = {sizeof(uint32_t), compare_numbers};
    const struct found_set sets[] = {{a, 3}, {a, 3}, {b, 2}, {c, 3}, {NULL, 0}, {NULL, 0}};
    struct score_value out;
    cr_expect_eq(circuit_jaccard(&sets[0], &sets[1], &kind), 1.0);
    cr_expect_eq(circuit_jaccard(&sets[0], &sets[2], &kind), 0.0);
    cr_expect_eq(circuit_jaccard(&sets[0], &sets[3], &kind), 0.5);
    cr_expect_eq(circuit_jaccard(&sets[0], &sets[4], &kind), 0.0);
    cr_expect_eq(circuit_jaccard(&sets[4], &sets[5], &kind), 1.0);
    cr_assert_eq(circuit_stability(sets, 2, &kind, &out, NULL), ST_OK);
    cr_expect(out.is_defined && out.value == 1.0);
    cr_assert_eq(circuit_stability(sets, 1, &kind, &out, NULL), ST_OK);
    cr_expect_not(out.is_defined, "one search has nothing to compare with");
    const struct found_set descending = {(const uint32_t[]){2, 1}, 2};
    cr_expect_eq(circuit_stability(&descending, 1, &kind, &out, NULL), ST_BAD_INPUT);
}
