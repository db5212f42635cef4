#include "coordinator/session/label_json_parts.h"

#include "coordinator/session/session_prompts.h"
#include "coordinator/session/window_text.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SCORE_DIGITS = 12, ACTIVATION_DIGITS = 5, LOGIT_DIGITS = 6 };

const char *lexical_family_name(enum lexical_family family)
{
    static const char *const names[LEXICAL_N_FAMILIES + 1] = {
        [FAMILY_TOKEN] = "token",
        [FAMILY_WORD] = "word",
        [FAMILY_POSITION] = "position",
        [FAMILY_CLASS] = "class",
        [FAMILY_AFFIX] = "affix",
        [FAMILY_AFTER_WORD] = "after_word",
        [FAMILY_AFTER_WORD_2] = "after_word_2",
        [FAMILY_AFTER_WORD_3] = "after_word_3",
        [FAMILY_AFTER_CLASS] = "after_class",
        [FAMILY_SEQUENCE] = "sequence",
        [FAMILY_AFTER_SEQUENCE] = "after_sequence",
        [FAMILY_REPEATED] = "repeated",
        [FAMILY_MIXED] = "mixed"};
    return (unsigned)family <= FAMILY_MIXED ? names[family] : "unknown";
}

/* Rounded to significant digits, so that the shortest form is the same everywhere. */
static json_t *number(double value, int digits)
{
    char text[40];
    if (!isfinite(value)) return NULL;
    (void)snprintf(text, sizeof text, "%.*g", digits, value);
    const double rounded = strtod(text, NULL);
    return json_real(rounded == 0.0 ? 0.0 : rounded); /* no negative zero */
}

static json_t *score(double value)
{
    return number(value, SCORE_DIGITS);
}

json_t *label_json_value(struct score_value value)
{
    return value.is_defined ? score(value.value) : json_null();
}

static json_t *text_or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}

json_t *label_json_count(uint64_t n)
{
    return json_integer((json_int_t)n);
}

json_t *label_json_interval(const struct interval *interval)
{
    if (!interval->is_defined) return json_null();
    return json_pack("[o, o]", score(interval->low), score(interval->high));
}

/* --- scores ------------------------------------------------------------------------------- */

static json_t *counts_json(const struct confusion *counts)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "true_firing",
                     label_json_count(counts->n_true_firing), "missed",
                     label_json_count(counts->n_missed), "true_silent",
                     label_json_count(counts->n_true_silent), "false_alarm",
                     label_json_count(counts->n_false_alarm), "failed_firing",
                     label_json_count(counts->n_failed_firing), "failed_silent",
                     label_json_count(counts->n_failed_silent));
}

/* Of hard windows those in which a neighbour fires; null where there are none. */
static json_t *neighbours_json(const struct kind_counts *counts)
{
    if (counts->n_true_silent + counts->n_false_alarm == 0) return json_null();
    return json_pack("{s:o, s:o}", "true_silent", label_json_count(counts->n_true_silent),
                     "false_alarm", label_json_count(counts->n_false_alarm));
}

json_t *label_json_null(const struct null_model *null, const struct support *support)
{
    if (!null) return json_null();
    const struct score_value none = {false, 0.0};
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "n", label_json_count(null->n_scores), "mean",
                     score(null->mean), "sd", score(null->sd), "z",
                     label_json_value(support ? support->z : none), "p",
                     label_json_value(support ? support->p : none));
}

static json_t *versus_json(const struct score_comparison *versus)
{
    if (!versus) return json_null();
    return json_pack("{s:o, s:o, s:b}", "difference", label_json_value(versus->difference),
                     "interval", label_json_interval(&versus->interval), "beats",
                     versus->is_better);
}

static json_t *summary_json(const struct label_score *of)
{
    const struct score_summary *summary = of->summary;
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "balanced_accuracy",
        label_json_value(summary->balanced_accuracy), "interval",
        label_json_interval(&summary->interval), "f1", label_json_value(summary->f1), "precision",
        label_json_value(summary->precision), "recall", label_json_value(summary->recall), "auroc",
        label_json_value(summary->auroc), "n_documents", label_json_count(summary->n_documents),
        "n_redrawn", label_json_count(summary->interval.n_redrawn), "counts",
        counts_json(&summary->counts), "neighbours", neighbours_json(&summary->neighbours), "null",
        label_json_null(of->null, of->support), "verdict",
        text_or_null(of->support ? support_verdict_text(of->support->verdict) : NULL),
        "versus_lexical", versus_json(of->versus_lexical));
}

/* {"detection": {"random": ..., "hard": ...}}; NULL if a name and kind comes twice. */
static json_t *scores_json(const struct label_score *scores, size_t n_scores)
{
    json_t *all = json_object();
    for (size_t i = 0; all && i < n_scores; i++) {
        const char *kind = scores[i].negatives == NEGATIVES_RANDOM ? "random" : "hard";
        json_t *of_name = json_object_get(all, scores[i].name);
        if (!of_name) {
            of_name = json_object();
            if (json_object_set_new(all, scores[i].name, of_name) != 0) goto fail;
        }
        if (json_object_get(of_name, kind) ||
            json_object_set_new(of_name, kind, summary_json(&scores[i])) != 0)
            goto fail;
    }
    return all;
fail:
    json_decref(all);
    return NULL;
}

/* The label's own: with its simulation score, if there is one. */
static json_t *own_scores_json(const struct label_record *record)
{
    json_t *all = scores_json(record->scores, record->n_scores);
    if (!all || !record->simulation) return all;
    if (json_object_set_new(
            all, "simulation",
            json_pack("{s:o}", "random", label_json_simulation(record->simulation))) == 0)
        return all;
    json_decref(all);
    return NULL;
}

static json_t *lexical_json(const struct label_record *record)
{
    const struct lexical_label *lexical = record->lexical;
    if (!lexical) return json_null();
    return json_pack("{s:s, s:s, s:o, s:o}", "label", lexical->text, "family",
                     lexical_family_name(lexical->family), "held_out",
                     label_json_value(lexical->held_out), "scores",
                     scores_json(record->lexical_scores, record->n_lexical_scores));
}

/* --- meanings ----------------------------------------------------------------------------- */

static json_t *meaning_json(const struct label_meaning *meaning)
{
    json_t *lexical = json_null();
    if (meaning->lexical)
        lexical = json_pack("{s:s, s:o}", "label", meaning->lexical, "scores",
                            scores_json(meaning->lexical_scores, meaning->n_lexical_scores));
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "label", text_or_null(meaning->label), "no_label",
                     text_or_null(meaning->label ? NULL : meaning->no_label), "n_windows",
                     label_json_count(meaning->n_windows), "scores",
                     scores_json(meaning->scores, meaning->n_scores), "lexical", lexical);
}

static json_t *meanings_json(const struct label_record *record)
{
    if (record->n_meanings == 0) return json_null();
    json_t *list = json_array();
    for (size_t i = 0; list && i < record->n_meanings; i++)
        if (json_array_append_new(list, meaning_json(&record->meanings[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    return json_pack("{s:o, s:o, s:o}", "n_test_firing", label_json_count(record->n_test_firing),
                     "n_test_grouped", label_json_count(record->n_test_grouped), "list", list);
}

/* --- the output side ---------------------------------------------------------------------- */

/* A token by itself: bytes that are no text are shown as such (window_text.h). */
static json_t *entry_json(const struct logits_entry *entry, const struct token_texts *texts)
{
    const struct window window = {.tokens = &entry->token, .n_tokens = 1};
    struct window_text text;
    if (window_text_init(&text, &window, texts, NULL) != ST_OK) return NULL;
    json_t *made = json_pack("{s:o, s:o, s:o}", "token", json_stringn(text.text, text.n_bytes),
                             "id", label_json_count(entry->token), "logit",
                             number((double)entry->value, LOGIT_DIGITS));
    window_text_fini(&text);
    return made;
}

static json_t *entries_json(const struct logits_entry *entries, size_t n,
                            const struct token_texts *texts)
{
    if (!entries) return json_null();
    json_t *all = json_array();
    for (size_t i = 0; all && i < n; i++)
        if (json_array_append_new(all, entry_json(&entries[i], texts)) != 0) {
            json_decref(all);
            return NULL;
        }
    return all;
}

static bool add_output(json_t *json, const struct label_record *record)
{
    const struct label_output *output = &record->output;
    return json_object_set_new(json, "promoted",
                               entries_json(output->promoted, output->n, record->texts)) == 0 &&
           json_object_set_new(json, "suppressed",
                               entries_json(output->suppressed, output->n, record->texts)) == 0 &&
           json_object_set_new(json, "output_label", text_or_null(output->label)) == 0 &&
           json_object_set_new(json, "no_output",
                               text_or_null(output->promoted ? NULL : output->reason)) == 0;
}

/* --- evidence ----------------------------------------------------------------------------- */

/* tokens[i] joined are the text; a token that ends inside a character leaves it to the next. */
static json_t *tokens_json(const struct window_text *text)
{
    json_t *tokens = json_array();
    for (size_t i = 0; tokens && i < text->n_tokens; i++)
        if (json_array_append_new(tokens, json_stringn(text->text + text->cuts[i],
                                                       text->cuts[i + 1] - text->cuts[i])) != 0) {
            json_decref(tokens);
            return NULL;
        }
    return tokens;
}

static json_t *activations_json(const struct window *window)
{
    json_t *values = json_array();
    for (size_t i = 0; values && i < window->n_tokens; i++)
        if (json_array_append_new(
                values, number((double)window_activation(window, i), ACTIVATION_DIGITS)) != 0) {
            json_decref(values);
            return NULL;
        }
    return values;
}

static json_t *evidence_json(const struct label_evidence *evidence, const struct token_texts *texts)
{
    const struct window *window = evidence->window;
    struct window_text text;
    char key[17];
    if (window_text_init(&text, window, texts, NULL) != ST_OK) return NULL;
    (void)snprintf(key, sizeof key, "%016llx", (unsigned long long)window->document_key);
    json_t *made =
        json_pack("{s:o, s:s, s:o, s:s, s:o, s:o, s:o, s:o}", "document",
                  text_or_null(evidence->document_id), "document_key", key, "offset",
                  label_json_count(window->document_offset), "kind", window_kind_name(window->kind),
                  "max", number((double)window_max(window), ACTIVATION_DIGITS), "text",
                  json_stringn(text.text, text.n_bytes), "tokens", tokens_json(&text),
                  "activations", activations_json(window));
    window_text_fini(&text);
    return made;
}

static json_t *all_evidence_json(const struct label_record *record)
{
    json_t *all = json_array();
    for (size_t i = 0; all && i < record->n_evidence; i++)
        if (json_array_append_new(all, evidence_json(&record->evidence[i], record->texts)) != 0) {
            json_decref(all);
            return NULL;
        }
    return all;
}

/* --- the record --------------------------------------------------------------------------- */

static json_t *prompts_json(const struct label_record *record)
{
    json_t *prompts = json_object();
    for (size_t i = 0; prompts && i < record->n_prompts; i++)
        if (json_object_set_new(prompts, record->prompts[i].name,
                                json_string(record->prompts[i].hash)) != 0) {
            json_decref(prompts);
            return NULL;
        }
    return prompts;
}

static json_t *firing_json(const struct label_record *record)
{
    const struct triage_input *counts = record->counts;
    const double density =
        counts->n_tokens ? (double)counts->n_firing_tokens / (double)counts->n_tokens : 0.0;
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "n_tokens",
                     label_json_count(counts->n_tokens), "n_firing_tokens",
                     label_json_count(counts->n_firing_tokens), "n_test_documents",
                     label_json_count(counts->n_test_documents), "density", score(density), "max",
                     number((double)record->max_value, ACTIVATION_DIGITS), "position_f1",
                     score(counts->position_f1), "token_f1", score(counts->token_f1));
}

static json_t *record_json(const struct label_record *record)
{
    json_t *target =
        json_pack("{s:o, s:o, s:o}", "model", text_or_null(record->model), "hook_point",
                  text_or_null(record->hook_point), "dictionary", text_or_null(record->dictionary));
    json_t *dropped = json_pack("{s:o, s:o, s:o}", "leaked", label_json_count(record->n_leaked),
                                "mislabelled", label_json_count(record->n_mislabelled),
                                "near_duplicates", label_json_count(record->n_near_duplicates));
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o, "
        "s:o, s:o}",
        "feature", label_json_count(record->feature), "target", target, "status",
        text_or_null(feature_status_name(record->status)), "fire_threshold",
        number((double)record->fire_threshold, SCORE_DIGITS), "firing", firing_json(record),
        "label", text_or_null(record->label), "no_label",
        text_or_null(record->label ? NULL : record->no_label), "type",
        text_or_null(feature_type_name(record->type)), "explainer", text_or_null(record->explainer),
        "judge", text_or_null(record->judge), "prompts", prompts_json(record), "scores",
        own_scores_json(record), "lexical", lexical_json(record), "dropped", dropped,
        "n_shared_documents", label_json_count(record->n_shared_documents), "supported",
        record->is_supported, "evidence", all_evidence_json(record), "typing",
        record->typing ? feature_typing_json(record->typing) : json_null(), "meanings",
        meanings_json(record));
}

/* --- rounds ------------------------------------------------------------------------------- */

/* Balanced accuracy and counts: nothing is claimed of it. */
static json_t *plain_score_json(const struct confusion *counts)
{
    return json_pack("{s:o, s:o}", "balanced_accuracy",
                     label_json_value(score_balanced_accuracy(counts)), "counts",
                     counts_json(counts));
}

/* With the interval that decides whether there are further rounds. */
static json_t *validate_json(const struct session_round *round)
{
    json_t *random = plain_score_json(&round->validate[NEGATIVES_RANDOM]);
    if (!random ||
        json_object_set_new(random, "interval", label_json_interval(&round->interval)) != 0) {
        json_decref(random);
        return NULL;
    }
    return json_pack("{s:o, s:o}", "random", random, "hard",
                     plain_score_json(&round->validate[NEGATIVES_HARD]));
}

static json_t *fired_json(const struct experiment *experiment)
{
    if (experiment->truth == EXPERIMENT_FIRED) return json_true();
    return experiment->truth == EXPERIMENT_STAYED_SILENT ? json_false() : json_null();
}

static json_t *experiments_json(const struct experiments *experiments)
{
    json_t *all = json_array();
    for (size_t i = 0; all && i < experiments->n; i++) {
        const struct experiment *one = &experiments->list[i];
        json_t *json =
            json_pack("{s:s, s:s, s:b, s:o, s:o}", "kind", experiment_kind_name(one->kind), "text",
                      one->text, "predicted", experiment_kind_predicts_firing(one->kind), "fired",
                      fired_json(one), "max", number((double)one->max_value, ACTIVATION_DIGITS));
        if (json_array_append_new(all, json) != 0) {
            json_decref(all);
            return NULL;
        }
    }
    return all;
}

static json_t *adversarial_json(const struct adversarial_result *result)
{
    return json_pack("{s:o, s:o, s:o, s:b}", "n", label_json_count(result->n), "right",
                     label_json_count(result->n_right), "p", score(result->p), "passed",
                     result->has_passed);
}

static json_t *text_unless_empty(const char *text)
{
    return text[0] ? json_string(text) : json_null();
}

static json_t *round_json(const struct session_round *round)
{
    return json_pack("{s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o}", "label",
                     text_or_null(round->has_label ? round->label.text : NULL), "type",
                     text_or_null(feature_type_name(round->label.type)), "failure",
                     text_unless_empty(round->failure), "tested", round->is_tested, "validate",
                     round->is_tested ? validate_json(round) : json_null(), "check",
                     round->is_tested ? plain_score_json(&round->check) : json_null(),
                     "adversarial", adversarial_json(&round->adversarial), "n_dropped",
                     label_json_count(round->experiments.n_dropped), "design_failure",
                     text_unless_empty(round->design_failure), "experiments",
                     experiments_json(&round->experiments));
}

static json_t *all_rounds_json(const struct session_rounds *rounds)
{
    json_t *all = json_array();
    for (size_t i = 0; all && i < rounds->n; i++)
        if (json_array_append_new(all, round_json(&rounds->list[i])) != 0) {
            json_decref(all);
            return NULL;
        }
    return all;
}

static json_t *session_json(const struct label_rounds *of)
{
    const bool is_agentic = of->mode == SESSION_AGENTIC;
    return json_pack(
        "{s:s, s:o, s:b, s:o, s:b, s:o, s:o, s:o}", "mode", session_mode_name(of->mode),
        "chosen_round",
        of->chosen == SESSION_NO_ROUND ? json_null() : label_json_count(of->chosen + 1), "settled",
        is_agentic && of->outlook == OUTLOOK_SETTLED, "outlook",
        text_or_null(is_agentic ? session_outlook_name(of->outlook) : NULL), "supported_ood",
        of->is_supported_ood, "ood", scores_json(of->ood, of->n_ood), "refinement",
        versus_json(of->refinement), "rounds", all_rounds_json(of->rounds));
}

static json_t *intervention_json(const struct intervention_outcome *of, double wanted_kl)
{
    const bool has_kl = of->strength != 0;
    if (!of->is_there) return json_null();
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:i, s:o, s:o, s:f, s:o}", "accuracy",
                     of->share.is_defined ? json_real(of->share.value) : json_null(), "interval",
                     of->interval.is_defined
                         ? json_pack("[f, f]", of->interval.low, of->interval.high)
                         : json_null(),
                     "p", of->share.is_defined ? json_real(of->p) : json_null(), "n_prompts",
                     label_json_count(of->n_pairs), "n_right", label_json_count(of->n_right),
                     "n_failed", label_json_count(of->n_failed), "n_labels", INTERVENTION_N_LABELS,
                     "strength", has_kl ? json_real(of->strength) : json_null(), "kl",
                     has_kl ? json_real(of->kl) : json_null(), "wanted_kl", wanted_kl, "undefined",
                     text_or_null(of->failure[0] ? of->failure : NULL));
}

static json_t *numbers_json(const uint64_t *numbers, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < n; i++)
        if (json_array_append_new(list, label_json_count(numbers[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *cut_prompts_json(unsigned cut)
{
    json_t *list = json_array();
    for (unsigned i = 0; list && i < SESSION_N_PROMPT_KINDS; i++)
        if ((cut & 1u << i) && json_array_append_new(list, json_string(session_prompt_kind_name((
                                                               enum session_prompt_kind)i))) != 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

/* Keys that only some records have: those of a plain single pass stay what they always were. */
static bool add_more(json_t *json, const struct label_record *record)
{
    if (!add_output(json, record)) return false;
    if (record->rounds && json_object_set_new(json, "session", session_json(record->rounds)) != 0)
        return false;
    if (record->n_neighbours > 0 &&
        json_object_set_new(json, "neighbours",
                            numbers_json(record->neighbours, record->n_neighbours)) != 0)
        return false;
    if (record->cut_prompts &&
        json_object_set_new(json, "cut_prompts", cut_prompts_json(record->cut_prompts)) != 0)
        return false;
    if (record->agreement &&
        json_object_set_new(json, "agreement", label_json_agreement(record->agreement)) != 0)
        return false;
    if (record->intervention &&
        json_object_set_new(json, "intervention",
                            intervention_json(record->intervention, record->intervention_kl)) != 0)
        return false;
    if (record->control && json_object_set_new(json, "control", json_string(record->control)) != 0)
        return false;
    return !record->is_same_family_allowed ||
           json_object_set_new(json, "same_family_allowed", json_true()) == 0;
}

static json_t *whole_json(const struct label_record *record)
{
    json_t *json = record_json(record);
    if (json && !add_more(json, record)) {
        json_decref(json);
        return NULL;
    }
    return json;
}

status_t label_json_write(const struct label_record *record, struct buffer *out, struct error *err)
{
    json_t *json = whole_json(record);
    if (!json)
        return error_set(err, ST_BAD_INPUT,
                         "result of feature %llu: text that is not UTF-8, a number that is not "
                         "finite, a score given twice, or no memory",
                         (unsigned long long)record->feature);
    char *text =
        json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(SCORE_DIGITS));
    const size_t n_before = out->n_bytes;
    status_t status = text ? buffer_append(out, text, strlen(text), err)
                           : error_set(err, ST_NO_MEMORY, "result of feature %llu",
                                       (unsigned long long)record->feature);
    if (status == ST_OK) status = buffer_append_text(out, "\n", err);
    if (status != ST_OK) out->n_bytes = n_before;
    free(text);
    json_decref(json);
    return status;
}
