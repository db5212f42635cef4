/* The meanings of a feature whose windows fall into several groups: a label for each, and what a
 * judge makes of it on test windows of that group. */
#include "coordinator/session/label_session_parts.h"

#include "coordinator/session/random_judge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

status_t session_meanings_init(struct label_session *session,
                               const struct feature_case *feature_case, struct error *err)
{
    const size_t n = feature_case->groups.clusters.n_clusters;
    if (n < 2) return ST_OK;
    session->meanings = calloc(n, sizeof *session->meanings);
    if (!session->meanings) return error_set(err, ST_NO_MEMORY, "%zu meanings", n);
    session->n_meanings = n;
    return ST_OK;
}

void session_meanings_fini(struct label_session *session)
{
    for (size_t i = 0; i < session->n_meanings; i++) answer_sheet_fini(&session->meanings[i].sheet);
    free(session->meanings);
    session->meanings = NULL;
    session->n_meanings = 0;
}

static status_t check_case(const struct label_session *session,
                           const struct feature_case *feature_case, struct error *err)
{
    return feature_case->groups.n_meanings == session->n_meanings
               ? ST_OK
               : error_set(err, ST_INTERNAL, "session: %zu meanings, the case has %zu",
                           session->n_meanings, feature_case->groups.n_meanings);
}

/* --- labels -------------------------------------------------------------------------------- */

bool session_explains_meanings(const struct label_session *session)
{
    return session->rules->explainer.name && session->rules->explainer_template;
}

static void take_lexical(struct session_meaning *meaning, const struct case_meaning *of)
{
    meaning->has_label = of->has_lexical;
    if (of->has_lexical)
        (void)snprintf(meaning->label.text, sizeof meaning->label.text, "%s", of->lexical.text);
    else
        (void)snprintf(meaning->failure, sizeof meaning->failure,
                       "no token pattern separates its windows");
}

status_t session_enter_distinguish(struct label_session *session,
                                   const struct feature_case *feature_case, struct error *err)
{
    status_t status = check_case(session, feature_case, err);
    if (status != ST_OK) return status;
    if (!session_explains_meanings(session)) {
        for (size_t i = 0; i < session->n_meanings; i++)
            take_lexical(&session->meanings[i], &feature_case->groups.meanings[i]);
        return ST_OK;
    }
    status = session_make_asks(session, session->n_meanings, err);
    for (size_t i = 0; status == ST_OK && i < session->n_meanings; i++)
        session->asks[i] = (struct session_ask){.kind = ASK_MEANING_LABEL, .meaning = (uint32_t)i};
    return status;
}

void session_take_meaning_label(struct label_session *session, size_t meaning, const char *content,
                                size_t n_bytes)
{
    struct session_meaning *of = &session->meanings[meaning];
    struct error why = {.status = ST_OK};
    of->has_label =
        content && prompt_reply_label(content, n_bytes, session->rules->explainer_template,
                                      &of->label, &why) == ST_OK;
    if (of->has_label) return;
    session->n_failed_calls++;
    (void)snprintf(of->failure, sizeof of->failure, "the explainer gave no label: %.90s",
                   content ? why.text : "no reply");
}

/* --- judging ------------------------------------------------------------------------------- */

static bool is_judged(const struct label_session *session, size_t meaning)
{
    return feature_status_claims_score(session->status) && session->meanings[meaning].has_label;
}

static status_t open_sheet(struct label_session *session, const struct case_split *test,
                           uint32_t meaning, struct error *err)
{
    struct answer_sheet *sheet = &session->meanings[meaning].sheet;
    answer_sheet_fini(sheet);
    if (!is_judged(session, meaning) || test->items[CASE_DETECTION].n_items == 0) return ST_OK;
    const status_t status = answer_sheet_init(sheet, &test->plans[CASE_DETECTION], err);
    for (uint32_t i = 0; status == ST_OK && i < sheet->n_prompts; i++)
        session->asks[session->n_asks++] = (struct session_ask){
            .kind = ASK_MEANING_JUDGE, .score = CASE_DETECTION, .index = i, .meaning = meaning};
    return status;
}

status_t session_enter_meanings(struct label_session *session,
                                const struct feature_case *feature_case, struct error *err)
{
    status_t status = check_case(session, feature_case, err);
    size_t n_most = 0;
    if (status != ST_OK || !session->rules->judge.name) return status;
    for (size_t i = 0; i < session->n_meanings; i++)
        n_most += feature_case->groups.meanings[i].test.plans[CASE_DETECTION].n_prompts;
    status = session_make_asks(session, n_most, err);
    session->n_asks = 0;
    for (uint32_t i = 0; i < session->n_meanings && status == ST_OK; i++)
        status = open_sheet(session, &feature_case->groups.meanings[i].test, i, err);
    return status;
}

/* --- reading ------------------------------------------------------------------------------- */

static void judge_randomly(const struct label_session *session,
                           const struct feature_case *feature_case, size_t meaning,
                           struct judgement *judgements)
{
    const struct random_judge_params params = {
        .seed = session->rules->seed,
        .subject = feature_case->subject,
        .windows = UINT64_MAX / 4 + meaning, /* apart from those of the sheets */
        .label = session->meanings[meaning].label.text,
    };
    random_judge(&params, &feature_case->groups.meanings[meaning].test.items[CASE_DETECTION],
                 judgements);
}

status_t label_session_meaning_judgements(const struct label_session *session,
                                          const struct feature_case *feature_case, size_t meaning,
                                          struct judgement **out, size_t *n_out, struct error *err)
{
    const struct session_rules *rules = session->rules;
    status_t status = check_case(session, feature_case, err);
    *out = NULL;
    *n_out = 0;
    if (status != ST_OK || !is_judged(session, meaning)) return status;
    const struct case_meaning *of = &feature_case->groups.meanings[meaning];
    const struct prompt_items *items = &of->test.items[CASE_DETECTION];
    const struct answer_sheet *sheet = &session->meanings[meaning].sheet;
    const bool is_lexical = !rules->judge.name && !rules->has_random_judge && of->has_lexical;
    if (items->n_items == 0 || (!sheet->answers && !is_lexical && !rules->has_random_judge))
        return ST_OK;
    struct judgement *judgements = calloc(items->n_items, sizeof *judgements);
    if (!judgements) return error_set(err, ST_NO_MEMORY, "%zu judgements", items->n_items);
    if (rules->has_random_judge)
        judge_randomly(session, feature_case, meaning, judgements);
    else if (is_lexical)
        feature_case_judge_lexically(items, &of->lexical.pattern, rules->vocabulary, judgements);
    else
        status = answer_sheet_judge(sheet, &of->test.plans[CASE_DETECTION], items, judgements, err);
    if (status != ST_OK) {
        free(judgements);
        return status;
    }
    *out = judgements;
    *n_out = items->n_items;
    return ST_OK;
}
