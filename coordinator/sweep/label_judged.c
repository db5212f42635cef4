/* judged.jsonl: what the judges were asked about one feature, with the truth, in one line. Replies
 * stay in the store under the id of their call, so whoever has both can compute every score, kappa
 * and interval again, without this program (tests/support/recompute_scores.py does).
 *
 *   feature, target, label, seed, resamples
 *   sheets[{score, judge, subject, prompts[{call, items[{document, offset, truth}]}]}]
 *       items in the order of the prompt's texts; judge: "judge" of the sweep is 0
 *   agreement{subject}
 *   simulation{form, subject, windows[{call, document, tokens[], activations[]}]} or null
 *   foreign (judged-null.jsonl: the feature whose label was judged on these windows), else null
 *
 * seed, subject: what the bootstrap's draws are named by, and document: its key, all in hex;
 * offset: of the window in its document, in tokens. Only judges that were asked by calls are in it;
 * activations are exact. Canonical, as records are. */
#include "coordinator/sweep/label_scoring_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Builders return a new reference or NULL; json_pack() takes "o" values over and fails on NULL. */

static json_t *hex(uint64_t value)
{
    char text[17];
    (void)snprintf(text, sizeof text, "%016llx", (unsigned long long)value);
    return json_string(text);
}

struct judged_input {
    const struct label_scoring *scoring;
    const struct open_session *open;
    size_t index; /* of the slot whose windows were judged */
    const struct case_split *test;
};

static json_t *call_json(const struct judged_input *input, size_t ask)
{
    char text[HASH_HEX_SIZE];
    call_id_print(input->open->ids[ask], text);
    return json_string(text);
}

static json_t *subject_json(const struct judged_input *input, unsigned score)
{
    return hex(label_bootstrap(input->scoring, input->index, score).subject);
}

/* --- sheets -------------------------------------------------------------------------------- */

static json_t *items_json(const struct judged_input *input, const struct session_ask *ask)
{
    const struct prompt_plan *plan = &input->test->plans[ask->score];
    const struct prompt_items *items = &input->test->items[ask->score];
    json_t *list = json_array();
    size_t n;
    const size_t first = prompt_plan_range(plan, ask->index, &n);
    for (size_t i = 0; list && i < n; i++) {
        const struct prompt_item *item = &items->items[plan->order[first + i]];
        if (json_array_append_new(list, json_pack("{s:o, s:I, s:s}", "document",
                                                  hex(item->window->document_key), "offset",
                                                  (json_int_t)item->window->document_offset,
                                                  "truth", window_kind_name(item->truth))) == 0)
            continue;
        json_decref(list);
        return NULL;
    }
    return list;
}

static bool is_of(const struct session_ask *ask, unsigned judge, unsigned score)
{
    return ask->kind == ASK_JUDGE && ask->sheet == SHEET_TEST && ask->judge == judge &&
           (unsigned)ask->score == score;
}

/* Prompts in their order, as the asks have them; empty where nobody was asked. */
static json_t *prompts_json(const struct judged_input *input, unsigned judge, unsigned score)
{
    const struct label_session *session = &input->open->session;
    json_t *list = json_array();
    for (size_t i = 0; list && i < session->n_asks; i++) {
        if (!is_of(&session->asks[i], judge, score)) continue;
        if (json_array_append_new(list, json_pack("{s:o, s:o}", "call", call_json(input, i),
                                                  "items", items_json(input, &session->asks[i]))) ==
            0)
            continue;
        json_decref(list);
        return NULL;
    }
    return list;
}

static bool add_sheet(const struct judged_input *input, unsigned judge, unsigned score,
                      json_t *sheets)
{
    json_t *prompts = prompts_json(input, judge, score);
    if (prompts && json_array_size(prompts) == 0) {
        json_decref(prompts);
        return true;
    }
    return json_array_append_new(
               sheets, json_pack("{s:s, s:i, s:o, s:o}", "score",
                                 case_score_name((enum case_score)score), "judge", (int)judge,
                                 "subject", subject_json(input, score), "prompts", prompts)) == 0;
}

static json_t *sheets_json(const struct judged_input *input)
{
    const size_t n_judges = 1 + input->scoring->rules.n_more_judges;
    json_t *sheets = json_array();
    bool is_ok = sheets != NULL;
    for (unsigned judge = 0; judge < n_judges; judge++)
        for (unsigned score = 0; score < CASE_N_SCORES && is_ok; score++)
            is_ok = add_sheet(input, judge, score, sheets);
    if (is_ok) return sheets;
    json_decref(sheets);
    return NULL;
}

/* --- the simulation ------------------------------------------------------------------------ */

static json_t *activations_json(const struct window *window)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < window->n_tokens; i++)
        if (json_array_append_new(list, json_real((double)window_activation(window, i))) != 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

/* The tokens as the judge saw them. */
static json_t *tokens_json(const struct window *window, const struct token_texts *texts)
{
    struct simulation_tokens tokens;
    json_t *list = json_array();
    int failed = !list;
    if (failed || simulation_tokens_init(&tokens, window, texts, NULL) != ST_OK) {
        json_decref(list);
        return NULL;
    }
    for (size_t i = 0; i < tokens.n_tokens && !failed; i++) {
        size_t n;
        const char *token = simulation_token(&tokens, i, &n);
        failed = json_array_append_new(list, json_stringn(token, n));
    }
    simulation_tokens_fini(&tokens);
    if (!failed) return list;
    json_decref(list);
    return NULL;
}

static json_t *windows_json(const struct judged_input *input, const size_t *chosen)
{
    const struct label_session *session = &input->open->session;
    json_t *list = json_array();
    for (size_t i = 0; list && i < session->n_asks; i++) {
        if (session->asks[i].kind != ASK_SIMULATE) continue;
        const struct window *window = &input->test->judged.windows[chosen[session->asks[i].index]];
        json_t *json = json_pack("{s:o, s:o, s:o, s:o}", "call", call_json(input, i), "document",
                                 hex(window->document_key), "tokens",
                                 tokens_json(window, session->rules->texts), "activations",
                                 activations_json(window));
        if (json_array_append_new(list, json) == 0) continue;
        json_decref(list);
        return NULL;
    }
    return list;
}

static json_t *simulation_json(const struct judged_input *input)
{
    const struct label_session *session = &input->open->session;
    const size_t n_each = session->rules->n_simulated;
    if (!session->simulation.texts) return json_null();
    size_t *chosen = calloc(2 * n_each + 1, sizeof *chosen);
    if (!chosen) return NULL;
    (void)simulation_choose(&input->test->judged, n_each, chosen);
    json_t *json = json_pack("{s:s, s:o, s:o}", "form",
                             session->rules->judge.has_logprobs ? "logprobs" : "scale", "subject",
                             subject_json(input, BOOTSTRAP_SIMULATION), "windows",
                             windows_json(input, chosen));
    free(chosen);
    return json;
}

/* --- the line ------------------------------------------------------------------------------ */

/* Whose label a pair of the null was judged with. */
static json_t *foreign_json(const struct judged_input *input)
{
    const struct label_scoring *scoring = input->scoring;
    if (!input->open->session.is_foreign) return json_null();
    const struct null_pair *pair = &scoring->pairs[input->open->index];
    return json_integer((json_int_t)label_slot_feature(scoring, scoring->scored[pair->foreign]));
}

static json_t *line_json(const struct judged_input *input)
{
    const struct label_scoring *scoring = input->scoring;
    const size_t index = input->index;
    const struct bootstrap_params params = label_bootstrap(scoring, index, 0);
    return json_pack("{s:I, s:I, s:s, s:o, s:I, s:o, s:{s:o}, s:o, s:o}", "feature",
                     (json_int_t)label_slot_feature(scoring, index), "target",
                     (json_int_t)label_slot_name(scoring, index).target, "label",
                     label_session_label(&input->open->session)->text, "seed", hex(params.seed),
                     "resamples", (json_int_t)params.n_resamples, "sheets", sheets_json(input),
                     "agreement", "subject", subject_json(input, BOOTSTRAP_AGREEMENT), "simulation",
                     simulation_json(input), "foreign", foreign_json(input));
}

static bool has_judged(const struct label_session *session)
{
    for (size_t i = 0; i < session->n_asks; i++)
        if (session->asks[i].kind == ASK_SIMULATE ||
            (session->asks[i].kind == ASK_JUDGE && session->asks[i].sheet == SHEET_TEST))
            return true;
    return false;
}

status_t label_judged_make(const struct label_scoring *scoring, const struct open_session *open,
                           const struct feature_case *feature_case, char **out, struct error *err)
{
    const size_t index = open->session.is_foreign
                             ? scoring->scored[scoring->pairs[open->index].feature]
                             : open->index;
    const struct judged_input input = {scoring, open, index, &feature_case->splits[EVIDENCE_TEST]};
    if (!has_judged(&open->session)) return ST_OK;
    json_t *json = line_json(&input);
    char *text =
        json ? json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17)) : NULL;
    json_decref(json);
    char *line = text ? realloc(text, strlen(text) + 2) : NULL;
    if (!line) {
        free(text);
        return error_set(err, ST_NO_MEMORY, "what was judged of slot %zu", open->index);
    }
    line[strlen(line) + 1] = '\0';
    line[strlen(line)] = '\n';
    *out = line;
    return ST_OK;
}
