/* From a finished session to the kind of its feature (session/feature_type.h), to what its output
 * side has in common, and to what is said of each of its meanings. */
#include "coordinator/sweep/label_scoring_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct kinds_input {
    const struct label_scoring *scoring;
    const struct label_session *session;
    const struct feature_case *feature_case;
    size_t index;
};

/* --- the type ------------------------------------------------------------------------------ */

/* On validate windows: the pattern was not fitted to those. */
static status_t find_type(const struct kinds_input *input, struct slot_result *out,
                          struct error *err)
{
    const struct case_split *held_out = &input->feature_case->held_out;
    const struct lexical_label *lexical = input->session->lexical;
    const struct feature_type_params params = {
        .vocabulary = input->session->rules->vocabulary,
        .windows = held_out->pool,
        .n_windows = held_out->n_pool,
        .clusters = &input->feature_case->groups.clusters,
        .pattern = lexical ? &lexical->pattern : NULL,
        .claimed = out->label.type,
        .thresholds = feature_type_thresholds_default(),
    };
    if (params.clusters->n_clusters == 0) return ST_OK; /* no explain window fires */
    const status_t status = feature_type_find(&params, &out->typing, err);
    out->has_typing = status == ST_OK;
    return status;
}

/* --- meanings ------------------------------------------------------------------------------ */

static status_t summarise(const struct kinds_input *input, size_t meaning,
                          const struct judgement *judgements, size_t n, bool *has,
                          struct score_summary *out, struct error *err)
{
    const struct bootstrap_params params =
        label_bootstrap(input->scoring, input->index, BOOTSTRAP_MEANINGS + (unsigned)meaning);
    status_t status = ST_OK;
    for (unsigned kind = 0; kind < SCORE_N_NEGATIVES && status == ST_OK; kind++) {
        status =
            score_summarise(judgements, n, (enum score_negatives)kind, &params, &out[kind], err);
        has[kind] = status == ST_OK;
    }
    return status;
}

/* What the group's own pattern says of the same windows, beside a language model. */
static status_t score_baseline(const struct kinds_input *input, size_t meaning,
                               struct slot_meaning *out, struct error *err)
{
    const struct session_rules *rules = input->session->rules;
    const struct case_meaning *of = &input->feature_case->groups.meanings[meaning];
    const struct prompt_items *items = &of->test.items[CASE_DETECTION];
    if (!rules->judge.name || !of->has_lexical || items->n_items == 0) return ST_OK;
    struct judgement *judgements = calloc(items->n_items, sizeof *judgements);
    if (!judgements) return error_set(err, ST_NO_MEMORY, "%zu judgements", items->n_items);
    feature_case_judge_lexically(items, &of->lexical.pattern, rules->vocabulary, judgements);
    const status_t status = summarise(input, meaning, judgements, items->n_items, out->has_baseline,
                                      out->baseline, err);
    free(judgements);
    return status;
}

static status_t score_meaning(const struct kinds_input *input, size_t meaning,
                              struct slot_meaning *out, struct error *err)
{
    struct judgement *judgements = NULL;
    size_t n = 0;
    status_t status = label_session_meaning_judgements(input->session, input->feature_case, meaning,
                                                       &judgements, &n, err);
    if (status != ST_OK || !judgements) return status;
    status = summarise(input, meaning, judgements, n, out->has, out->own, err);
    free(judgements);
    return status == ST_OK ? score_baseline(input, meaning, out, err) : status;
}

static status_t make_meaning(const struct kinds_input *input, size_t meaning,
                             struct slot_meaning *out, struct error *err)
{
    const struct session_meaning *session = &input->session->meanings[meaning];
    const struct case_groups *groups = &input->feature_case->groups;
    const struct case_meaning *of = &groups->meanings[meaning];
    out->has_label = session->has_label;
    if (session->has_label) out->label = session->label;
    memcpy(out->no_label, session->failure, sizeof out->no_label);
    out->n_windows = groups->clusters.clusters[meaning].n_windows;
    out->has_lexical = of->has_lexical;
    if (of->has_lexical) (void)snprintf(out->lexical, sizeof out->lexical, "%s", of->lexical.text);
    return score_meaning(input, meaning, out, err);
}

static status_t make_meanings(const struct kinds_input *input, struct slot_result *out,
                              struct error *err)
{
    const struct case_groups *groups = &input->feature_case->groups;
    struct slot_meanings *meanings = &out->meanings;
    if (input->session->n_meanings == 0) return ST_OK;
    if (groups->n_meanings != input->session->n_meanings)
        return error_set(err, ST_INTERNAL, "a case without the meanings of its session");
    meanings->list = calloc(groups->n_meanings, sizeof *meanings->list);
    if (!meanings->list) return error_set(err, ST_NO_MEMORY, "%zu meanings", groups->n_meanings);
    meanings->n = groups->n_meanings;
    meanings->n_test_firing = (uint32_t)groups->n_test_firing;
    meanings->n_test_grouped = (uint32_t)groups->n_test_grouped;
    status_t status = ST_OK;
    for (size_t i = 0; i < meanings->n && status == ST_OK; i++)
        status = make_meaning(input, i, &meanings->list[i], err);
    return status;
}

/* --- the output side ----------------------------------------------------------------------- */

static status_t describe_output(const struct kinds_input *input, struct slot_result *out,
                                struct error *err)
{
    const struct label_scoring *scoring = input->scoring;
    const struct slot_name name = label_slot_name(scoring, input->index);
    const struct label_outputs *outputs = &scoring->run->targets[name.target].outputs;
    const struct logits_entry *promoted = label_outputs_find(outputs, name.slot);
    uint32_t tokens[LOGITS_MAX_TOP];
    if (!promoted) return ST_OK;
    for (uint32_t i = 0; i < outputs->n_top; i++) tokens[i] = promoted[i].token;
    return output_pattern_describe(scoring->output_background, tokens, outputs->n_top,
                                   &out->has_output_label, out->output_label, err);
}

status_t label_result_kinds(const struct label_scoring *scoring,
                            const struct label_session *session,
                            const struct feature_case *feature_case, size_t index,
                            struct slot_result *out, struct error *err)
{
    const struct kinds_input input = {scoring, session, feature_case, index};
    status_t status = find_type(&input, out, err);
    if (status == ST_OK) status = describe_output(&input, out, err);
    return status == ST_OK ? make_meanings(&input, out, err) : status;
}

/* --- types of all features ----------------------------------------------------------------- */

static size_t count_supported(const struct label_scoring *scoring, enum feature_type type)
{
    const enum case_score score = label_main_score(scoring);
    size_t n = 0;
    for (size_t i = 0; i < scoring->n_slots; i++)
        n += scoring->results[i].has_typing && scoring->results[i].typing.type == type &&
             scoring->verdicts->support[i][score][NEGATIVES_RANDOM].verdict == SUPPORT_SUPPORTED;
    return n;
}

json_t *label_types_json(const struct label_scoring *scoring)
{
    json_t *types = json_object();
    for (unsigned t = FEATURE_TYPE_NONE + 1; types && t < FEATURE_N_TYPES; t++) {
        const enum feature_type type = (enum feature_type)t;
        json_t *supported = scoring->verdicts
                                ? json_integer((json_int_t)count_supported(scoring, type))
                                : json_null();
        (void)json_object_set_new(types, feature_type_name(type),
                                  json_pack("{s:I, s:o}", "n", (json_int_t)scoring->n_types[t],
                                            "n_supported", supported));
    }
    return types;
}
