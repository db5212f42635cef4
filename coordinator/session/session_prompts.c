#include "coordinator/session/session_prompts.h"

#include "coordinator/session/prompt_data.h"

#include <stdlib.h>
#include <string.h>

const char *session_prompt_kind_name(enum session_prompt_kind kind)
{
    static const char *const names[SESSION_N_PROMPT_KINDS] = {"explainer", "refine", "experiments"};
    return names[kind];
}

const char *const PROMPT_REFINE_FIELDS[] = {"examples", "silent_examples", "history"};
const char *const PROMPT_DESIGN_FIELDS[] = {"examples", "silent_examples", "label", "tried",
                                            "n_each"};

enum { SHOWN_TRIED = 100 };
static const float STRONG_FRACTION = 0.3f; /* as in the examples: prompt_explainer.h */

/* --- one round ----------------------------------------------------------------------------- */

static status_t append_label(struct buffer *out, size_t number, const struct session_round *round,
                             struct error *err)
{
    if (!round->has_label)
        return buffer_printf(out, err,
                             "Round %zu: your answer held no description. It must be one "
                             "JSON object.",
                             number);
    status_t status = buffer_printf(out, err, "Round %zu: ", number);
    if (status == ST_OK)
        status =
            prompt_data_append(out, round->label.text, strlen(round->label.text), NULL, 0, err);
    return status;
}

static status_t append_experiment(struct buffer *out, const struct experiment *experiment,
                                  struct error *err)
{
    const bool predicted = experiment_kind_predicts_firing(experiment->kind);
    const struct prompt_mark peak = {experiment->peak_begin,
                                     experiment->peak_begin + experiment->peak_bytes};
    status_t status = buffer_printf(
        out, err, "\n- you said it %s, but it %s: ", predicted ? "fires" : "is silent",
        predicted ? "is silent" : "fires");
    if (status == ST_OK)
        status = prompt_data_append(out, experiment->text, experiment->n_bytes, &peak,
                                    experiment->peak_bytes > 0, err);
    return status;
}

static status_t append_failures(struct buffer *out, const struct session_round *round,
                                struct error *err)
{
    const struct experiments *tried = &round->experiments;
    size_t n_shown = 0;
    if (tried->n == 0) return ST_OK;
    status_t status = buffer_printf(out, err, "\nOf your %zu texts %zu came out as you said.",
                                    tried->n, experiments_n_right(tried, EXPERIMENT_N_KINDS));
    for (size_t i = 0; i < tried->n && n_shown < PROMPT_SHOWN_FAILURES && status == ST_OK; i++) {
        if (experiment_is_right(&tried->list[i]) || tried->list[i].truth == EXPERIMENT_FAILED)
            continue;
        status = append_experiment(out, &tried->list[i], err);
        n_shown++;
    }
    return status;
}

/* --- explain windows that a judge got wrong ------------------------------------------------ */

static bool is_wrong(enum judge_answer answer, enum window_kind truth)
{
    return answer != ANSWER_FAILED && (answer == ANSWER_FIRES) != (truth == WINDOW_FIRING);
}

static status_t append_window(struct buffer *out, const struct window *window,
                              const struct token_texts *texts, struct error *err)
{
    bool *marks = calloc(window->n_tokens + 1, sizeof *marks);
    if (!marks) return error_set(err, ST_NO_MEMORY, "marks of %zu tokens", window->n_tokens);
    if (window->kind == WINDOW_FIRING) (void)window_mark_strong(window, STRONG_FRACTION, marks);
    const status_t status = prompt_data_append_window(out, window, texts, marks, err);
    free(marks);
    return status;
}

static status_t append_wrong(struct buffer *out, const struct session_round *round,
                             const struct case_split *checked, const struct token_texts *texts,
                             struct error *err)
{
    const struct prompt_items *items = &checked->items[CASE_DETECTION];
    size_t n_shown = 0;
    status_t status = ST_OK;
    for (size_t i = 0; i < round->n_check && i < items->n_items && status == ST_OK; i++) {
        const struct prompt_item *item = &items->items[i];
        if (!is_wrong((enum judge_answer)round->check_answers[i], item->truth)) continue;
        if (n_shown++ == PROMPT_SHOWN_WRONG) break;
        if (n_shown == 1)
            status = buffer_append_text(
                out, "\nA reader who knew only this description was wrong about these texts:", err);
        if (status == ST_OK)
            status = buffer_printf(
                out, err, "\n- it %s: ", item->truth == WINDOW_FIRING ? "fires" : "is silent");
        if (status == ST_OK) status = append_window(out, item->window, texts, err);
    }
    return status;
}

/* --- the fields ---------------------------------------------------------------------------- */

status_t session_prompt_history(struct buffer *out, const struct session_rounds *rounds,
                                const struct case_split *checked, const struct token_texts *texts,
                                enum session_prompt_detail detail, struct error *err)
{
    const size_t last = session_rounds_last(rounds);
    const bool is_full = detail == SESSION_PROMPT_FULL;
    status_t status = ST_OK;
    for (size_t i = 0; i + 1 < rounds->n && status == ST_OK; i++) {
        const struct session_round *round = &rounds->list[i];
        if (i > 0) status = buffer_append_text(out, "\n\n", err);
        if (status == ST_OK) status = append_label(out, i + 1, round, err);
        if (status == ST_OK && is_full) status = append_failures(out, round, err);
        if (status == ST_OK && is_full && i == last && checked)
            status = append_wrong(out, round, checked, texts, err);
    }
    return status;
}

status_t session_prompt_tried(struct buffer *out, const struct session_rounds *rounds,
                              enum session_prompt_detail detail, struct error *err)
{
    size_t n_shown = 0;
    status_t status = ST_OK;
    if (detail == SESSION_PROMPT_BRIEF && rounds->n > 1)
        return buffer_append_text(out, "(too many to list)", err);
    for (size_t i = rounds->n; i-- > 0 && status == ST_OK;) { /* the latest first */
        const struct experiments *tried = &rounds->list[i].experiments;
        for (size_t k = 0; k < tried->n && n_shown < SHOWN_TRIED && status == ST_OK; k++) {
            status = buffer_append_text(out, n_shown++ ? "\n- " : "- ", err);
            if (status == ST_OK)
                status = prompt_data_append(out, tried->list[k].text, tried->list[k].n_bytes, NULL,
                                            0, err);
        }
    }
    return status == ST_OK && n_shown == 0 ? buffer_append_text(out, "(none yet)", err) : status;
}
