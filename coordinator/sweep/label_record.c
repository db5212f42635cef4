/* A result as its canonical line (session/label_json.h). */
#include "coordinator/session/label_json.h"
#include "coordinator/sweep/label_scoring_parts.h"

#include <string.h>

enum {
    SCORES_MAX = CASE_N_SCORES * SCORE_N_NEGATIVES,
    MEANING_SCORES_MAX = WINDOW_CLUSTERS_MAX * SCORE_N_NEGATIVES
};

/* Everything that a struct label_record borrows. */
struct record_parts {
    struct label_score own[SCORES_MAX], baseline[SCORES_MAX], ood[SCORES_MAX];
    struct label_prompt prompts[SCORING_N_TEMPLATES];
    struct label_simulation simulation;
    struct label_agreement agreement;
    struct label_rounds rounds;
    struct label_meaning meanings[WINDOW_CLUSTERS_MAX];
    struct label_score meaning_scores[MEANING_SCORES_MAX], meaning_baseline[MEANING_SCORES_MAX];
    struct label_evidence evidence[KEPT_WINDOWS];
    uint64_t neighbours[EVIDENCE_NEIGHBOURS];
};

static size_t list_scores(const struct label_scoring *scoring, size_t index, bool is_baseline,
                          struct label_score *out)
{
    const struct slot_result *result = &scoring->results[index];
    const struct slot_scores *scores = is_baseline ? &result->baseline : &result->own;
    size_t n = 0;
    for (unsigned score = 0; score < CASE_N_SCORES; score++)
        for (unsigned kind = 0; kind < SCORE_N_NEGATIVES; kind++) {
            if (!scores->has[score][kind]) continue;
            out[n] = (struct label_score){.name = case_score_name((enum case_score)score),
                                          .negatives = (enum score_negatives)kind,
                                          .summary = &scores->summary[score][kind]};
            if (!is_baseline && scoring->verdicts) {
                out[n].null = &scoring->verdicts->null_models[score][kind];
                out[n].support = &scoring->verdicts->support[index][score][kind];
            }
            if (!is_baseline && result->baseline.has[score][kind])
                out[n].versus_lexical = &result->versus[score][kind];
            n++;
        }
    return n;
}

/* NULL where nothing was simulated. */
static const struct label_simulation *list_simulation(const struct label_scoring *scoring,
                                                      size_t index, struct record_parts *parts)
{
    const struct simulation_outcome *outcome = &scoring->results[index].simulation;
    const struct label_verdicts *verdicts = scoring->verdicts;
    if (!outcome->is_there) return NULL;
    parts->simulation = (struct label_simulation){.outcome = outcome};
    if (verdicts) {
        parts->simulation.null = &verdicts->simulation_null;
        parts->simulation.support = &verdicts->simulation_support[index];
    }
    return &parts->simulation;
}

static size_t list_prompts(const struct label_scoring *scoring, struct label_prompt *out)
{
    static const char *const names[SCORING_N_TEMPLATES] = {
        "explainer",   "detection",  "fuzzing",          "refine",
        "experiments", "simulation", "simulation_scale", "intervention"};
    size_t n = 0;
    for (size_t i = 0; i < SCORING_N_TEMPLATES; i++)
        if (scoring->templates[i])
            out[n++] = (struct label_prompt){names[i], prompt_template_hash(scoring->templates[i])};
    return n;
}

static size_t list_evidence(const struct label_scoring *scoring, const struct slot_result *result,
                            struct label_evidence *out)
{
    for (size_t i = 0; i < result->n_kept; i++)
        out[i] = (struct label_evidence){
            &result->kept[i],
            token_corpus_document(scoring->run->corpus, result->kept[i].document_index).id};
    return result->n_kept;
}

/* Slots of dictionaries are features one by one. */
static size_t list_neighbours(const struct label_run *run, struct slot_name name, uint64_t *out)
{
    const struct label_target *target = &run->targets[name.target];
    const uint32_t *slots = target->frozen.neighbours[name.slot];
    size_t n = 0;
    for (; n < EVIDENCE_NEIGHBOURS && slots[n] != EVIDENCE_NO_SLOT; n++)
        out[n] = target->captured.features[slots[n]];
    return n;
}

static bool is_supported(const struct label_scoring *scoring, size_t index)
{
    const struct label_verdicts *verdicts = scoring->verdicts;
    return verdicts &&
           verdicts->support[index][label_main_score(scoring)][NEGATIVES_RANDOM].verdict ==
               SUPPORT_SUPPORTED;
}

static size_t list_ood(const struct label_scoring *scoring, size_t index, struct label_score *out)
{
    const struct slot_scores *scores = &scoring->results[index].history->ood;
    const struct label_verdicts *verdicts = scoring->verdicts;
    size_t n = 0;
    for (unsigned score = 0; score < CASE_N_SCORES; score++)
        for (unsigned kind = 0; kind < SCORE_N_NEGATIVES; kind++) {
            if (!scores->has[score][kind]) continue;
            out[n] = (struct label_score){.name = case_score_name((enum case_score)score),
                                          .negatives = (enum score_negatives)kind,
                                          .summary = &scores->summary[score][kind]};
            if (verdicts && score == label_main_score(scoring) && kind == NEGATIVES_RANDOM) {
                out[n].null = &verdicts->null_models[score][kind];
                out[n].support = &verdicts->support_ood[index];
            }
            n++;
        }
    return n;
}

static size_t list_meaning_scores(const bool *has, const struct score_summary *summaries,
                                  struct label_score *out)
{
    size_t n = 0;
    for (unsigned kind = 0; kind < SCORE_N_NEGATIVES; kind++)
        if (has[kind])
            out[n++] = (struct label_score){.name = case_score_name(CASE_DETECTION),
                                            .negatives = (enum score_negatives)kind,
                                            .summary = &summaries[kind]};
    return n;
}

static size_t list_meanings(const struct slot_result *result, struct record_parts *parts)
{
    for (size_t i = 0; i < result->meanings.n; i++) {
        const struct slot_meaning *from = &result->meanings.list[i];
        struct label_score *own = &parts->meaning_scores[i * SCORE_N_NEGATIVES];
        struct label_score *baseline = &parts->meaning_baseline[i * SCORE_N_NEGATIVES];
        parts->meanings[i] = (struct label_meaning){
            .label = from->has_label ? from->label.text : NULL,
            .no_label = from->no_label,
            .n_windows = from->n_windows,
            .lexical = from->has_lexical ? from->lexical : NULL,
            .scores = own,
            .n_scores = list_meaning_scores(from->has, from->own, own),
            .lexical_scores = baseline,
            .n_lexical_scores = list_meaning_scores(from->has_baseline, from->baseline, baseline),
        };
    }
    return result->meanings.n;
}

static struct label_output list_output(const struct label_scoring *scoring, size_t index)
{
    const struct slot_result *result = &scoring->results[index];
    const struct slot_name name = label_slot_name(scoring, index);
    const struct label_outputs *outputs = &scoring->run->targets[name.target].outputs;
    const struct logits_entry *entries = label_outputs_find(outputs, name.slot);
    return (struct label_output){
        .promoted = entries,
        .suppressed = entries ? entries + outputs->n_top : NULL,
        .n = outputs->n_top,
        .label = result->has_output_label ? result->output_label : NULL,
        .reason = outputs->reason[0] ? outputs->reason : NULL,
    };
}

/* What a session had beside its test: NULL for a single pass. */
static const struct label_rounds *list_rounds(const struct label_scoring *scoring, size_t index,
                                              struct record_parts *parts)
{
    const struct session_history *history = scoring->results[index].history;
    const struct label_verdicts *verdicts = scoring->verdicts;
    if (!history) return NULL;
    parts->rounds = (struct label_rounds){
        .mode = history->mode,
        .rounds = &history->rounds,
        .chosen = history->chosen,
        .outlook = history->outlook,
        .ood = parts->ood,
        .n_ood = list_ood(scoring, index, parts->ood),
        .is_supported_ood = verdicts &&
                            history->ood.has[label_main_score(scoring)][NEGATIVES_RANDOM] &&
                            verdicts->support_ood[index].verdict == SUPPORT_SUPPORTED,
        .refinement = history->has_refinement ? &history->refinement : NULL,
    };
    return &parts->rounds;
}

static const char *who(const struct session_provider *provider)
{
    return provider->name ? provider->model : "lexical";
}

static const char *who_judges(const struct session_rules *rules, size_t judge)
{
    if (rules->has_random_judge) return "random";
    return who(judge ? &rules->more_judges[judge - 1] : &rules->judge);
}

void label_record_agreement(const struct label_scoring *scoring,
                            const struct panel_agreement *panels, struct label_agreement *out)
{
    *out = (struct label_agreement){.n_judges = 1 + scoring->rules.n_more_judges, .panels = panels};
    for (size_t i = 0; i < out->n_judges; i++) out->judges[i] = who_judges(&scoring->rules, i);
}

/* NULL where one judge is all. */
static const struct label_agreement *list_agreement(const struct label_scoring *scoring,
                                                    size_t index, struct record_parts *parts)
{
    const struct slot_panel *panel = scoring->results[index].panel;
    if (!panel) return NULL;
    label_record_agreement(scoring, panel->agreement, &parts->agreement);
    return &parts->agreement;
}

status_t label_record_write(const struct label_scoring *scoring, size_t index, struct buffer *out,
                            struct error *err)
{
    const struct label_run *run = scoring->run;
    const struct slot_result *result = &scoring->results[index];
    const struct slot_name name = label_slot_name(scoring, index);
    const struct sweep_target *target = &run->sweep->spec->targets[name.target];
    struct record_parts parts;
    const struct label_record record = {
        .feature = label_slot_feature(scoring, index),
        .model = run->sweep->spec->model,
        .hook_point = target->hook,
        .dictionary = target->dictionary,
        .status = result->status,
        .fire_threshold = run->targets[name.target].frozen.fire_threshold[name.slot],
        .max_value = result->max_value,
        .counts = &result->counts,
        .label = result->has_label ? result->label.text : NULL,
        .no_label = result->no_label,
        .type = result->label.type,
        .explainer = scoring->import ? "given" : who(&scoring->rules.explainer),
        .judge = who_judges(&scoring->rules, 0),
        .is_supported = is_supported(scoring, index),
        .prompts = parts.prompts,
        .n_prompts = list_prompts(scoring, parts.prompts),
        .scores = parts.own,
        .n_scores = list_scores(scoring, index, false, parts.own),
        .simulation = list_simulation(scoring, index, &parts),
        .agreement = list_agreement(scoring, index, &parts),
        .intervention = scoring->rules.intervention.n_prompts ? &result->intervention : NULL,
        .intervention_kl = scoring->rules.intervention.target_kl,
        .lexical = result->has_lexical ? &result->lexical : NULL,
        .lexical_scores = parts.baseline,
        .n_lexical_scores = list_scores(scoring, index, true, parts.baseline),
        .typing = result->has_typing ? &result->typing : NULL,
        .output = list_output(scoring, index),
        .meanings = parts.meanings,
        .n_meanings = list_meanings(result, &parts),
        .n_test_firing = result->meanings.n_test_firing,
        .n_test_grouped = result->meanings.n_test_grouped,
        .n_leaked = result->n_leaked,
        .n_mislabelled = result->n_mislabelled,
        .n_near_duplicates = result->n_near_duplicates,
        .n_shared_documents = result->n_shared_documents,
        .evidence = parts.evidence,
        .n_evidence = list_evidence(scoring, result, parts.evidence),
        .neighbours = parts.neighbours,
        .n_neighbours = list_neighbours(run, name, parts.neighbours),
        .cut_prompts = result->cut_prompts,
        .texts = &scoring->token_texts,
        .rounds = list_rounds(scoring, index, &parts),
        .control = sweep_control_name(run->sweep->spec->control),
        .is_same_family_allowed = run->sweep->spec->allow_same_family,
    };
    return label_json_write(&record, out, err);
}
