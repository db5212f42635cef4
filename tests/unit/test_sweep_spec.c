#include "coordinator/intake/sweep_spec.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SMALLEST                                                                                   \
    "kind: label\nname: demo\nmodel: model\ncorpus: {path: ./corpus.jsonl}\n"                      \
    "targets:\n- {hook: blocks.2.hook_resid_pre, dictionary: sae}\n"

static status_t parse(struct sweep_spec **out, const char *yaml, const char *directory,
                      struct error *err)
{
    const struct sweep_text text = {yaml, strlen(yaml), "s.yaml", directory};
    *out = NULL;
    return sweep_spec_parse(out, &text, err);
}

Test(sweep_spec, the_smallest_label_sweep_gets_the_defaults_of_the_design)
{
    struct error err = {.status = ST_OK};
    struct sweep_spec *spec;
    cr_assert_eq(parse(&spec, SMALLEST, "/data/x", &err), ST_OK, "%s", err.text);
    cr_expect_eq(spec->kind, SWEEP_KIND_LABEL);
    cr_expect_str_eq(spec->model, "/data/x/model");
    cr_expect_str_eq(spec->corpus.path, "/data/x/corpus.jsonl");
    cr_expect_str_eq(spec->targets[0].dictionary, "/data/x/sae");
    cr_expect_str_eq(spec->targets[0].features, "all");
    cr_expect_str_eq(spec->explainer, "lexical");
    cr_expect_eq(spec->splits.explain + spec->splits.validate + spec->splits.test, 100);
    cr_expect_eq(spec->splits.validate, 20);
    cr_expect_eq(spec->scores, SWEEP_SCORE_DETECTION | SWEEP_SCORE_FUZZING);
    cr_expect_eq(spec->scoring.null_pairs, 1000);
    cr_expect_eq(spec->scoring.bootstrap_resamples, 2000);
    cr_expect_eq(spec->thresholds.z_min, 3.0);
    cr_expect_eq(spec->durability, SWEEP_DURABILITY_EVERYSEC);
    cr_expect_eq(spec->control, SWEEP_CONTROL_NONE);
    cr_expect_null(sweep_control_name(spec->control));
    cr_expect_not(spec->allow_same_family);
    cr_expect_not(sweep_spec_uses_provider(spec));
    sweep_spec_free(&spec);
    cr_expect_null(spec);
}

Test(sweep_spec, default_evidence_limits_are_those_of_the_evidence)
{
    struct error err = {.status = ST_OK};
    struct sweep_spec *spec;
    cr_assert_eq(parse(&spec, SMALLEST, NULL, &err), ST_OK, "%s", err.text);
    for (unsigned split = 0; split < EVIDENCE_N_SPLITS; split++) {
        const struct evidence_limits want = evidence_limits_default((enum evidence_split)split);
        const struct evidence_limits got =
            sweep_spec_evidence_limits(spec, (enum evidence_split)split);
        cr_expect_eq(memcmp(&want, &got, sizeof want), 0, "split %u", split);
    }
    sweep_spec_free(&spec);
}

Test(sweep_spec, canonical_json_is_a_sweep_file_of_the_same_sweep)
{
    struct error err = {.status = ST_OK};
    struct sweep_spec *spec, *again;
    const char *yaml =
        SMALLEST "- {hook: blocks.0.mlp.hook_post, units: neurons, features: '0-9,12', sample: 5}\n"
                 "ood: [{name: news, path: /n.txt, document: separator, separator: \"\\n--\\n\"}]\n"
                 "scores: [fuzzing]\nbudget_dollars: 0.25\nexplainer: local\n";
    char key[HASH_HEX_SIZE], key_again[HASH_HEX_SIZE];
    char *json;
    cr_assert_eq(parse(&spec, yaml, "/d", &err), ST_OK, "%s", err.text);
    json = sweep_spec_to_json(spec);
    cr_assert_eq(parse(&again, json, "/elsewhere", &err), ST_OK, "%s in %s", err.text, json);
    cr_assert(sweep_spec_key(spec, key));
    cr_assert(sweep_spec_key(again, key_again));
    cr_expect_str_eq(key, key_again);
    cr_expect_str_eq(again->ood[0].separator, "\n--\n");
    cr_expect_eq(again->targets[1].units, SWEEP_UNITS_NEURONS);
    cr_expect(sweep_spec_uses_provider(again));
    free(json);
    sweep_spec_free(&spec);
    sweep_spec_free(&again);
}

Test(sweep_spec, the_key_sees_every_change_and_no_spelling)
{
    static const struct {
        const char *yaml;
        bool is_same;
    } cases[] = {
        {"# a comment\n" SMALLEST, true},
        {SMALLEST "seed: 0\nscores: [fuzzing, detection]\n", true},
        {SMALLEST "seed: 1\n", false},
        {SMALLEST "thresholds: {z_min: 3.5}\n", false},
        {SMALLEST "compute: bf16\n", false},
    };
    struct error err = {.status = ST_OK};
    struct sweep_spec *spec;
    char want[HASH_HEX_SIZE], got[HASH_HEX_SIZE];
    cr_assert_eq(parse(&spec, SMALLEST, "/d", &err), ST_OK);
    cr_assert(sweep_spec_key(spec, want));
    sweep_spec_free(&spec);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_assert_eq(parse(&spec, cases[i].yaml, "/d", &err), ST_OK, "%s", err.text);
        cr_assert(sweep_spec_key(spec, got));
        cr_expect_eq(strcmp(want, got) == 0, cases[i].is_same, "case %zu", i);
        sweep_spec_free(&spec);
    }
}

struct refusal {
    const char *yaml;
    status_t status;
    const char *text; /* one line, with place and remedy */
};

static void expect_refusals(const struct refusal *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct error err = {.status = ST_OK};
        struct sweep_spec *spec;
        cr_expect_eq(parse(&spec, cases[i].yaml, "/d", &err), cases[i].status, "case %zu", i);
        cr_expect_str_eq(err.text, cases[i].text);
        cr_expect_null(spec);
    }
}

Test(sweep_spec, kinds_and_words_are_refused_with_what_is_allowed)
{
    static const struct refusal cases[] = {
        {"kind: audit\nname: x\n", ST_UNSUPPORTED,
         "s.yaml:1: kind: 'audit' sweeps are not built yet; allowed: label | circuit | noop"},
        {"kind: lable\nname: x\n", ST_BAD_INPUT,
         "s.yaml:1: kind: 'lable' is unknown; allowed: label | circuit | noop"},
        {"name: x\n", ST_BAD_INPUT,
         "s.yaml:1: kind: missing and required; allowed: label | circuit | noop"},
        {SMALLEST "mode: twice\n", ST_BAD_INPUT,
         "s.yaml:7: mode: 'twice' is unknown; allowed: single_pass | agentic | score_only"},
        {SMALLEST "backend: gpu\n", ST_BAD_INPUT,
         "s.yaml:7: backend: 'gpu' is unknown; allowed: any | cpu | cuda | emu"},
        {"kind: label\nname: a b\nmodel: m\ncorpus: {path: p}\ntargets: [{hook: h, dictionary: d}]",
         ST_BAD_INPUT,
         "s.yaml:2: name: 'a b' is no name; allowed: 1 to 64 letters, digits, . _ -, no leading "
         "."}};
    expect_refusals(cases, sizeof cases / sizeof cases[0]);
}

Test(sweep_spec, a_mode_wants_what_it_needs)
{
    static const struct refusal cases[] = {
        {SMALLEST "mode: agentic\n", ST_BAD_INPUT,
         "s.yaml:7: mode: agentic needs a provider as 'explainer'; the lexical one designs no "
         "experiments"},
        {SMALLEST "mode: agentic\nexplainer: big\n", ST_BAD_INPUT,
         "s.yaml:7: mode: agentic needs a provider as 'judge'; the lexical one cannot read labels"},
        {SMALLEST "mode: agentic\nexplainer: big\njudge: other\nrounds: {min: 6}\n", ST_BAD_INPUT,
         "s.yaml:10: rounds.min: 6 is more than rounds.max (5)"},
        {SMALLEST "experiments: {per_round: 22}\n", ST_BAD_INPUT,
         "s.yaml:7: experiments.per_round: 22 is no multiple of 4: there are four kinds of "
         "experiments"},
        {SMALLEST "mode: agentic\nexplainer: big\njudge: other\n"
                  "splits: {explain: 70, validate: 0, test: 30}\n",
         ST_BAD_INPUT,
         "s.yaml:10: splits.validate: mode agentic chooses its label on validate documents; give "
         "it some"},
        {SMALLEST "mode: score_only\njudge: other\n", ST_BAD_INPUT,
         "s.yaml:7: mode: score_only scores labels of yours, but the key 'labels' is missing"},
        {SMALLEST "mode: score_only\nlabels: l.jsonl\nlabels_sha256: abc\n", ST_BAD_INPUT,
         "s.yaml:9: labels_sha256: 64 hexadecimal digits in lower case are wanted"},
        {SMALLEST "labels: l.jsonl\n", ST_BAD_INPUT,
         "s.yaml:7: labels: is used only with mode: score_only"}};
    expect_refusals(cases, sizeof cases / sizeof cases[0]);
}

Test(sweep_spec, a_corpus_is_cut_as_it_can_be)
{
    static const struct refusal cases[] = {
        {"kind: label\nname: a\nmodel: m\ntargets: [{hook: h, dictionary: d}]", ST_BAD_INPUT,
         "s.yaml:1: corpus.path: missing and required; allowed: text"},
        {"kind: label\nname: a\nmodel: m\ncorpus: {path: p, chat_template: x}\n"
         "targets: [{hook: h, dictionary: d}]",
         ST_UNSUPPORTED,
         "s.yaml:4: corpus.chat_template: chat templates are not built yet; leave the key out"},
        {"kind: label\nname: a\nmodel: m\ncorpus:\n  path: p\n  window_tokens: 64\n"
         "  context_tokens: 32\ntargets: [{hook: h, dictionary: d}]",
         ST_BAD_INPUT, "s.yaml:6: corpus.window_tokens: 64 is more than context_tokens (32)"},
        {"kind: label\nname: a\nmodel: m\ncorpus: {path: p, document: separator}\n"
         "targets: [{hook: h, dictionary: d}]",
         ST_BAD_INPUT,
         "s.yaml:4: corpus.document: documents end at a separator, but the key 'separator' is "
         "missing"},
        {SMALLEST "splits: {explain: 60}\n", ST_BAD_INPUT,
         "s.yaml:7: splits: explain 60, validate 20 and test 30 make 110 percent, not 100"},
        {SMALLEST "ood:\n- {name: a, path: p}\n- {name: a, path: q}\n", ST_BAD_INPUT,
         "s.yaml:9: ood[1].name: 'a' names two corpora"}};
    expect_refusals(cases, sizeof cases / sizeof cases[0]);
}

Test(sweep_spec, a_target_is_of_one_kind_and_its_features_are_a_list)
{
    static const struct refusal cases[] = {
        {"kind: label\nname: a\nmodel: m\ncorpus: {path: p}\ntargets: []\n", ST_BAD_INPUT,
         "s.yaml:5: targets: wrong number of items; allowed: a list of 1 to 64 mappings"},
        {SMALLEST "- {hook: h}\n", ST_BAD_INPUT,
         "s.yaml:7: targets[1].dictionary: missing; give a dictionary, or units: neurons | "
         "residual | heads"},
        {SMALLEST "- {hook: h, units: heads, norm_scaling_factor: 2}\n", ST_BAD_INPUT,
         "s.yaml:7: targets[1].norm_scaling_factor: scales what a dictionary reads; units: heads "
         "have none"},
        {SMALLEST "- {hook: h, dictionary: d, units: heads}\n", ST_BAD_INPUT,
         "s.yaml:7: targets[1].dictionary: a target has a dictionary or units: heads, not both"},
        {SMALLEST "- {hook: h, units: heads, features: 9-3}\n", ST_BAD_INPUT,
         "s.yaml:7: targets[1].features: range 9-3 runs backwards"},
        {SMALLEST "- {hook: h, units: heads, features: '1,x'}\n", ST_BAD_INPUT,
         "s.yaml:7: targets[1].features: 'x' is no feature or range of features (0 to 1048575)"}};
    expect_refusals(cases, sizeof cases / sizeof cases[0]);
}

Test(sweep_spec, scores_want_a_judge_that_can)
{
    static const struct refusal cases[] = {
        {SMALLEST "scores: []\n", ST_BAD_INPUT, "s.yaml:7: scores: at least one score is wanted"},
        {SMALLEST "scores: [detection, insight]\n", ST_BAD_INPUT,
         "s.yaml:7: scores[1]: 'insight' is unknown; allowed: a list of detection | fuzzing | "
         "simulation | intervention"},
        {SMALLEST "scores: [detection, intervention]\n", ST_BAD_INPUT,
         "s.yaml:7: scores: intervention needs a provider as 'judge'; the lexical one cannot say "
         "what explains a change of text"},
        {SMALLEST "scores: [simulation]\njudge: big\n", ST_BAD_INPUT,
         "s.yaml:7: scores: detection or fuzzing is wanted: one of them decides what is supported"},
        {SMALLEST "scores: [fuzzing, simulation]\n", ST_BAD_INPUT,
         "s.yaml:7: scores: simulation needs a provider as 'judge'; the lexical one predicts no "
         "values"},
        {SMALLEST "scores: [fuzzing, simulation]\njudge: big\nscoring: {n_firing: 4}\n",
         ST_BAD_INPUT,
         "s.yaml:9: scoring.n_simulated: 5 windows of each kind are to be simulated, but only 4 "
         "are judged"},
        {SMALLEST "judge: big\njudges: [other, big]\n", ST_BAD_INPUT,
         "s.yaml:8: judges[1]: 'big' is a judge already"},
        {SMALLEST "judge: big\njudges: [other, other]\n", ST_BAD_INPUT,
         "s.yaml:8: judges[1]: 'other' is a judge already"},
        {SMALLEST "explainer: e\njudge: big\njudges: [lexical]\n", ST_BAD_INPUT,
         "s.yaml:9: judges[0]: the lexical judge reads no labels but those of the lexical "
         "explainer"},
        {SMALLEST "scoring: {n_silent: 50}\n", ST_BAD_INPUT,
         "s.yaml:7: scoring.n_silent: 50 silent windows are wanted but evidence.silent_k keeps "
         "40"}};
    expect_refusals(cases, sizeof cases / sizeof cases[0]);
}

Test(sweep_spec, unknown_keys_hear_of_the_nearest_one)
{
    static const struct refusal cases[] = {
        {SMALLEST "rows_per_unit: 4096\nwindow_tokens: 3\n", ST_BAD_INPUT,
         "s.yaml:8: window_tokens: unknown key; did you mean 'corpus.window_tokens'?"},
        {SMALLEST "ood: [{name: a, path: p, context_tokens: 9}]\n", ST_BAD_INPUT,
         "s.yaml:7: ood[0].context_tokens: unknown key; did you mean 'corpus.context_tokens'?"},
        {SMALLEST "windows: 3\n", ST_BAD_INPUT,
         "s.yaml:7: windows: unknown key; allowed: kind, name, priority, durability, mode, "
         "rounds, experiments, labels, labels_sha256, labels_format, model, corpus, ood, targets, "
         "explainer, judge, judges, allow_same_family, control, scores, compute, backend, "
         "rows_per_unit, splits, evidence, scoring"},
        {"kind: noop\nname: x\nmodel: m\n", ST_BAD_INPUT,
         "s.yaml:3: model: unknown key; allowed: kind, name, priority, durability, n_units, "
         "payload_bytes, unit_ms, fail_unit, kill_unit"}};
    expect_refusals(cases, sizeof cases / sizeof cases[0]);
}

Test(sweep_spec, a_unit_may_not_outgrow_a_message)
{
    struct error err = {.status = ST_OK};
    struct sweep_spec *spec;
    const char *yaml = "kind: label\nname: a\nmodel: m\ncorpus: {path: p, context_tokens: 1024}\n"
                       "rows_per_unit: 4096\ntargets: [{hook: h, units: residual}]\n";
    cr_expect_eq(parse(&spec, yaml, NULL, &err), ST_TOO_LARGE);
    cr_expect_not_null(strstr(err.text, "s.yaml:5: rows_per_unit: 4096 rows of 1024 tokens"));
}

Test(sweep_spec, noop_sweeps_have_their_own_keys)
{
    struct error err = {.status = ST_OK};
    struct sweep_spec *spec;
    cr_assert_eq(parse(&spec, "kind: noop\nname: q\nn_units: 5\n", "/d", &err), ST_OK, "%s",
                 err.text);
    cr_expect_eq(spec->kind, SWEEP_KIND_NOOP);
    cr_expect_eq(spec->n_units, 5);
    cr_expect_eq(spec->payload_bytes, 0);
    cr_expect_geq(spec->fail_unit, spec->n_units, "no unit fails unless asked to");
    cr_expect_geq(spec->kill_unit, spec->n_units);
    cr_expect_eq(spec->priority, 5);
    sweep_spec_free(&spec);
}

Test(sweep_spec, help_names_keys_of_every_depth)
{
    struct error err = {.status = ST_OK};
    struct buffer out;
    buffer_init(&out, 1 << 16);
    cr_assert_eq(sweep_spec_help(&out, &err), ST_OK);
    cr_expect_not_null(strstr(buffer_text(&out), "corpus.window_tokens"));
    cr_expect_not_null(strstr(buffer_text(&out), "targets[].features"));
    cr_expect_not_null(strstr(buffer_text(&out), "payload_bytes"));
    buffer_fini(&out);
}

Test(sweep_spec, relative_paths_start_at_the_directory)
{
    static const struct {
        const char *path, *want;
    } cases[] = {{"m", "/a/b/m"},         {"./m", "/a/b/m"},         {"../m", "/a/m"},
                 {"../../m", "/m"},       {"../../../m", "/m"},      {"./../c/../m", "/a/c/../m"},
                 {"..m/x", "/a/b/..m/x"}, {"/abs/../m", "/abs/../m"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char yaml[512];
        struct sweep_spec *spec = NULL;
        struct error err = {0};
        (void)snprintf(yaml, sizeof yaml,
                       "kind: label\nname: x\nmodel: %s\ncorpus: {path: c.jsonl}\n"
                       "targets: [{hook: blocks.0.hook_resid_pre, units: residual}]\n"
                       "explainer: lexical\njudge: lexical\n",
                       cases[i].path);
        cr_assert_eq(parse(&spec, yaml, "/a/b", &err), ST_OK, "%s", err.text);
        cr_expect_str_eq(spec->model, cases[i].want);
        sweep_spec_free(&spec);
    }
}

Test(sweep_spec, every_judge_has_its_place_and_is_asked_or_not)
{
    struct error err = {.status = ST_OK};
    struct sweep_spec *spec;
    cr_assert_eq(parse(&spec,
                       SMALLEST "judges: [big, other]\nscores: [detection]\n"
                                "scoring: {n_simulated: 20}\n",
                       NULL, &err),
                 ST_OK, "%s", err.text);
    cr_expect_eq(spec->n_judges, 2);
    cr_expect_str_eq(sweep_spec_judge(spec, 0), "lexical");
    cr_expect_str_eq(sweep_spec_judge(spec, 2), "other");
    cr_expect(!sweep_spec_asks(spec, 0) && sweep_spec_asks(spec, 1) && sweep_spec_asks(spec, 2));
    cr_expect(sweep_spec_uses_provider(spec) && !sweep_spec_asks_judge(spec),
              "a further judge costs money too");
    spec->control = SWEEP_CONTROL_RANDOM_JUDGE;
    cr_expect(!sweep_spec_asks(spec, 1) && !sweep_spec_uses_provider(spec));
    sweep_spec_free(&spec);
}

Test(sweep_spec, a_random_judge_asks_nobody)
{
    static const struct {
        const char *more;
        const char *control;
        bool asks_judge, uses_provider;
    } cases[] = {
        {"judge: big\n", NULL, true, true},
        {"judge: big\ncontrol: permuted\n", "permuted", true, true},
        {"judge: big\ncontrol: random_judge\n", "random_judge", false, false},
        {"explainer: big\ncontrol: random_judge\n", "random_judge", false, true},
        {"explainer: big\nmode: agentic\ncontrol: random_judge\n", "random_judge", false, true},
        {"control: random_weights\n", "random_weights", false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = {.status = ST_OK};
        struct sweep_spec *spec;
        char yaml[1024];
        (void)snprintf(yaml, sizeof yaml, "%s%s", SMALLEST, cases[i].more);
        cr_assert_eq(parse(&spec, yaml, NULL, &err), ST_OK, "case %zu: %s", i, err.text);
        const char *name = sweep_control_name(spec->control);
        cr_expect(name ? cases[i].control && strcmp(name, cases[i].control) == 0
                       : !cases[i].control,
                  "case %zu", i);
        cr_expect_eq(sweep_spec_asks_judge(spec), cases[i].asks_judge, "case %zu", i);
        cr_expect_eq(sweep_spec_uses_provider(spec), cases[i].uses_provider, "case %zu", i);
        sweep_spec_free(&spec);
    }
}

/* --- circuits ------------------------------------------------------------------------------- */

#define CIRCUIT "kind: circuit\nname: c\nmodel: m\n"

Test(sweep_spec, a_circuit_sweep_has_defaults_and_reads_its_own_json)
{
    struct error err = {.status = ST_OK};
    struct sweep_spec *spec, *again;
    cr_assert_eq(parse(&spec, CIRCUIT "task: {prompts: p.jsonl}\n", "/d", &err), ST_OK, "%s",
                 err.text);
    cr_expect_eq(spec->kind, SWEEP_KIND_CIRCUIT);
    cr_expect_str_eq(spec->model, "/d/m");
    cr_expect_str_eq(spec->task.prompts, "/d/p.jsonl");
    cr_expect_eq(spec->metric, METRIC_LOGIT_DIFFERENCE);
    cr_expect_eq(spec->candidates, CIRCUIT_HEADS | CIRCUIT_MLPS);
    cr_expect_eq(spec->ablation.values, 7);
    cr_expect_eq(spec->ablation.mean_over, MEAN_PER_POSITION);
    cr_expect_eq(spec->search.value, ABLATE_RESAMPLE);
    cr_expect(spec->search.conditional);
    cr_expect_eq(spec->search.agent.max_tokens, CIRCUIT_AGENT_MAX_TOKENS);
    cr_expect_eq(spec->budget_dollars, 10.0, "left out: no budget without limit");
    cr_expect_not(sweep_spec_uses_provider(spec));
    char *json = sweep_spec_to_json(spec);
    cr_assert_eq(parse(&again, json, NULL, &err), ST_OK, "%s", err.text);
    char *same = sweep_spec_to_json(again);
    cr_expect_str_eq(same, json);
    free(json);
    free(same);
    sweep_spec_free(&spec);
    sweep_spec_free(&again);
}

Test(sweep_spec, a_circuit_has_one_source_of_prompts)
{
    static const struct refusal cases[] = {
        {CIRCUIT, ST_BAD_INPUT,
         "s.yaml:1: task: prompts are missing; give a generator, or a file of prompts"},
        {CIRCUIT "task: {generator: ioi, prompts: p}\n", ST_BAD_INPUT,
         "s.yaml:4: task.prompts: a task has a generator or a file of prompts, not both"},
        {CIRCUIT "task: {generator: iou}\n", ST_BAD_INPUT,
         "s.yaml:4: task.generator: 'iou' is unknown; allowed: none | induction | ioi | "
         "greater_than | gendered_pronoun | subject_verb"},
        {CIRCUIT "task: {generator: ioi}\nprompt_splits: {search: 50}\n", ST_BAD_INPUT,
         "s.yaml:5: prompt_splits: search 50, reference 20 and verdict 40 make 110 percent, not "
         "100"},
        {CIRCUIT "task: {generator: ioi, prompts_sha256: abc}\n", ST_BAD_INPUT,
         "s.yaml:4: task.prompts_sha256: of no file that is named"},
        {CIRCUIT "task: {prompts: p.jsonl, prompts_sha256: abc}\n", ST_BAD_INPUT,
         "s.yaml:4: task.prompts_sha256: 64 hexadecimal digits in lower case are wanted"}};
    expect_refusals(cases, sizeof cases / sizeof cases[0]);
}

Test(sweep_spec, a_circuit_is_searched_among_components_that_are_named)
{
    static const struct refusal cases[] = {
        {CIRCUIT "task: {generator: ioi}\ncandidates: []\n", ST_BAD_INPUT,
         "s.yaml:5: candidates: at least one kind of components is wanted"},
        {CIRCUIT "task: {generator: ioi}\nlayers: 0-x\n", ST_BAD_INPUT,
         "s.yaml:5: layers: '0-x' is no feature or range of features (0 to 1048575)"},
        {CIRCUIT "task: {generator: ioi}\ntargets: []\n", ST_BAD_INPUT,
         "s.yaml:5: targets: unknown key; allowed: kind, name, priority, durability, model, task, "
         "circuit, circuit_sha256, metric, candidates, layers, neurons, dimensions, dictionaries, "
         "positions, head_scores, ablation, prompt_splits, search, verdict, budget_dollars, "
         "compute, backend, seed"},
        {CIRCUIT "task: {generator: ioi}\ndictionaries: [{hook: h, dictionary: d}]\n", ST_BAD_INPUT,
         "s.yaml:5: dictionaries[0].hook: 'h' is no hook point of a dictionary, as "
         "blocks.6.hook_resid_pre"},
        {CIRCUIT "task: {generator: ioi}\ndictionaries:\n"
                 " - {hook: blocks.1.hook_mlp_out, dictionary: d}\n"
                 " - {hook: blocks.1.hook_mlp_out, dictionary: e}\n",
         ST_UNSUPPORTED,
         "s.yaml:7: dictionaries[1].hook: a second dictionary at blocks.1.hook_mlp_out: features "
         "are named by their hook point"},
        {CIRCUIT "task: {generator: ioi}\nneurons: 3-1\n", ST_BAD_INPUT,
         "s.yaml:5: neurons: range 3-1 runs backwards"}};
    expect_refusals(cases, sizeof cases / sizeof cases[0]);
}

Test(sweep_spec, a_circuit_search_wants_what_goes_together)
{
    static const struct refusal cases[] = {
        {CIRCUIT "task: {generator: ioi}\nablation: {values: [mean]}\n", ST_BAD_INPUT,
         "s.yaml:5: ablation.values: search.value, 'resample', is not among them"},
        {CIRCUIT "task: {generator: ioi}\nablation: {values: []}\n", ST_BAD_INPUT,
         "s.yaml:5: ablation.values: at least one of zero, mean, resample is wanted"},
        {CIRCUIT "task: {generator: ioi}\nsearch: {taus: [0.1, -1]}\n", ST_BAD_INPUT,
         "s.yaml:5: search.taus[1]: '-1' is no number above 0"},
        {CIRCUIT "task: {generator: ioi}\ncandidates: [neurons]\nsearch: {edges: acdc}\n",
         ST_UNSUPPORTED,
         "s.yaml:6: search.edges: edges are searched between heads and MLPs; neurons have none: "
         "leave them out"},
        {CIRCUIT "task: {generator: ioi}\npositions: [end]\nsearch: {edges: acdc}\n",
         ST_UNSUPPORTED,
         "s.yaml:6: search.edges: edges are not searched between components at named positions"},
        {CIRCUIT "task: {generator: ioi}\nmetric: accuracy\nsearch: {order: attribution}\n",
         ST_BAD_INPUT,
         "s.yaml:6: search.order: attribution follows slopes, and metric accuracy has none"},
        {CIRCUIT "task: {generator: ioi}\nmetric: kl\nsearch: {order: attribution, method: eap}\n",
         ST_BAD_INPUT,
         "s.yaml:6: search.method: metric kl has slope 0 at the clean run, where eap takes it: use "
         "eap_ig"},
        {CIRCUIT "task: {generator: ioi}\nsearch: {order: attribution, method: atp, edges: acdc}\n",
         ST_BAD_INPUT, "s.yaml:5: search.method: atp orders no edges: use eap or eap_ig"},
        {CIRCUIT "task: {generator: ioi}\nhead_scores: {n_words: 1}\n", ST_BAD_INPUT,
         "s.yaml:5: head_scores.n_words: two words at least are wanted, or 0"}};
    expect_refusals(cases, sizeof cases / sizeof cases[0]);
}

Test(sweep_spec, a_circuit_sweep_passes_over_no_key)
{
    static const struct refusal cases[] = {
        {CIRCUIT "task: {generator: ioi}\ncircuit_sha256: abc\n", ST_BAD_INPUT,
         "s.yaml:5: circuit_sha256: of no file that is named"},
        {CIRCUIT "task: {generator: ioi}\nsearch:\n  agent:\n    labels: l-1\n", ST_BAD_INPUT,
         "s.yaml:7: search.agent.labels: is of an agent, and nobody is asked: give "
         "search.agent.provider too, or leave it out"},
        {CIRCUIT "task: {generator: ioi}\nsearch: {agent: {max_tokens: 100}}\n", ST_BAD_INPUT,
         "s.yaml:5: search.agent.max_tokens: is of an agent, and nobody is asked: give "
         "search.agent.provider too, or leave it out"},
        {CIRCUIT "task: {generator: ioi}\ncircuit: c.json\nsearch: {agent: {provider: p}}\n",
         ST_BAD_INPUT,
         "s.yaml:6: search.agent.provider: is of a search, and a circuit that is brought is not "
         "searched: leave it out"},
        {CIRCUIT "task: {generator: ioi}\ncircuit: c.json\nsearch: {order: attribution}\n",
         ST_BAD_INPUT,
         "s.yaml:6: search.order: is of a search, and a circuit that is brought is not searched: "
         "leave it out"},
        {CIRCUIT "task: {generator: ioi}\ncircuit: c.json\ncircuit_sha256: abc\n", ST_BAD_INPUT,
         "s.yaml:6: circuit_sha256: 64 hexadecimal digits in lower case are wanted"}};
    expect_refusals(cases, sizeof cases / sizeof cases[0]);
}
