/* What a session has judged: sheets opened at a stage, and read when it is over. */
#include "coordinator/session/label_session_parts.h"

#include "coordinator/session/random_judge.h"

#include <stdlib.h>
#include <string.h>

enum evidence_split session_sheet_split(enum session_sheet sheet)
{
    static const enum evidence_split splits[SESSION_N_SHEETS] = {
        [SHEET_CHECK] = EVIDENCE_EXPLAIN, [SHEET_VALIDATE] = EVIDENCE_VALIDATE,
        [SHEET_TEST] = EVIDENCE_TEST,     [SHEET_OOD] = EVIDENCE_OOD,
        [SHEET_FIRST] = EVIDENCE_TEST,    [SHEET_LAST] = EVIDENCE_TEST};
    return splits[sheet];
}

static size_t round_of(const struct label_session *session, enum session_sheet sheet)
{
    switch (sheet) {
    case SHEET_CHECK:
    case SHEET_VALIDATE: return session->rounds.n - 1;
    case SHEET_FIRST: return session_rounds_first(&session->rounds);
    case SHEET_LAST: return session_rounds_last(&session->rounds);
    case SHEET_TEST:
    case SHEET_OOD: break;
    }
    return session->chosen;
}

const struct prompt_label *session_sheet_label(const struct label_session *session,
                                               enum session_sheet sheet)
{
    const size_t round = round_of(session, sheet);
    return round < session->rounds.n ? &session->rounds.list[round].label : NULL;
}

static bool is_same_label(const struct label_session *session, enum session_sheet sheet)
{
    const struct prompt_label *label = session_sheet_label(session, sheet);
    const struct prompt_label *chosen = label_session_label(session);
    return label && chosen && strcmp(label->text, chosen->text) == 0;
}

static bool wants_at_test(const struct label_session *session, enum session_sheet sheet,
                          enum case_score score)
{
    const struct session_rules *rules = session->rules;
    if (!feature_status_claims_score(session->status) || session->chosen == SESSION_NO_ROUND)
        return false;
    if (sheet == SHEET_TEST) return rules->scores & (1u << score);
    if (session->is_foreign || session->mode == SESSION_SINGLE_PASS) return false;
    if (sheet == SHEET_OOD) return rules->has_ood && (rules->scores & (1u << score));
    return session->mode == SESSION_AGENTIC && score == rules->main_score &&
           !is_same_label(session, sheet);
}

bool session_wants_sheet(const struct label_session *session, enum session_sheet sheet,
                         enum case_score score)
{
    const bool is_of_round = sheet == SHEET_CHECK || sheet == SHEET_VALIDATE;
    if (session->stage == SESSION_VALIDATE) return is_of_round && score == CASE_DETECTION;
    return !is_of_round && wants_at_test(session, sheet, score);
}

/* --- opening ------------------------------------------------------------------------------- */

static status_t open_sheet(struct label_session *session, const struct feature_case *feature_case,
                           enum session_sheet sheet, enum case_score score, struct error *err)
{
    struct answer_sheet *answers = &session->sheets[sheet][score];
    const struct case_split *split = &feature_case->splits[session_sheet_split(sheet)];
    answer_sheet_fini(answers);
    if (!session_wants_sheet(session, sheet, score) || split->items[score].n_items == 0)
        return ST_OK;
    const status_t status = answer_sheet_init(answers, &split->plans[score], err);
    for (uint32_t i = 0; status == ST_OK && i < answers->n_prompts; i++)
        session->asks[session->n_asks++] =
            (struct session_ask){.kind = ASK_JUDGE, .sheet = sheet, .score = score, .index = i};
    return status;
}

static size_t most_prompts(const struct feature_case *feature_case)
{
    size_t n = 0;
    for (unsigned sheet = 0; sheet < SESSION_N_SHEETS; sheet++)
        for (unsigned score = 0; score < CASE_N_SCORES; score++)
            n += feature_case->splits[session_sheet_split((enum session_sheet)sheet)]
                     .plans[score]
                     .n_prompts;
    return n;
}

status_t session_open_sheets(struct label_session *session, const struct feature_case *feature_case,
                             struct error *err)
{
    if (!session->rules->judge.name)
        return ST_OK; /* a pattern, or a coin, is asked when the answers are read */
    free(session->asks);
    session->asks = calloc(most_prompts(feature_case) + 1, sizeof *session->asks);
    if (!session->asks) return error_set(err, ST_NO_MEMORY, "asks");
    status_t status = ST_OK;
    for (unsigned sheet = 0; sheet < SESSION_N_SHEETS; sheet++)
        for (unsigned score = 0; score < CASE_N_SCORES && status == ST_OK; score++)
            status = open_sheet(session, feature_case, (enum session_sheet)sheet,
                                (enum case_score)score, err);
    return status;
}

/* --- reading ------------------------------------------------------------------------------- */

/* Would a lexical judge have been asked about this? A pattern has no rounds. */
static bool is_judged_lexically(const struct label_session *session, enum session_sheet sheet,
                                enum case_score score)
{
    const struct session_rules *rules = session->rules;
    return !rules->judge.name && !rules->has_random_judge && session->lexical &&
           sheet == SHEET_TEST && wants_at_test(session, sheet, score);
}

/* Where a judge would have been asked, and coins answer. */
static bool is_judged_randomly(const struct label_session *session, enum session_sheet sheet,
                               enum case_score score)
{
    return session->rules->has_random_judge && session_sheet_label(session, sheet) &&
           session_wants_sheet(session, sheet, score);
}

static void judge_randomly(const struct label_session *session,
                           const struct feature_case *feature_case, enum session_sheet sheet,
                           enum case_score score, struct judgement *judgements)
{
    const enum evidence_split split = session_sheet_split(sheet);
    const struct random_judge_params params = {
        .seed = session->rules->seed,
        .subject = feature_case->subject,
        .windows = (uint64_t)split * CASE_N_SCORES + score,
        .label = session_sheet_label(session, sheet)->text,
    };
    random_judge(&params, &feature_case->splits[split].items[score], judgements);
}

status_t label_session_judgements(const struct label_session *session,
                                  const struct feature_case *feature_case, enum session_sheet sheet,
                                  enum case_score score, struct judgement **out, size_t *n_out,
                                  struct error *err)
{
    const bool is_contrast = sheet == SHEET_FIRST || sheet == SHEET_LAST;
    const enum session_sheet read =
        is_contrast && is_same_label(session, sheet) ? SHEET_TEST : sheet;
    const struct answer_sheet *answers = &session->sheets[read][score];
    const struct case_split *split = &feature_case->splits[session_sheet_split(sheet)];
    const struct prompt_items *items = &split->items[score];
    const bool is_lexical = is_judged_lexically(session, read, score);
    const bool is_random = is_judged_randomly(session, read, score);
    *out = NULL;
    *n_out = 0;
    if (items->n_items == 0 || (!answers->answers && !is_lexical && !is_random)) return ST_OK;
    struct judgement *judgements = calloc(items->n_items, sizeof *judgements);
    if (!judgements) return error_set(err, ST_NO_MEMORY, "%zu judgements", items->n_items);
    status_t status = ST_OK;
    if (is_random)
        judge_randomly(session, feature_case, read, score, judgements);
    else if (is_lexical)
        feature_case_judge_lexically(items, &session->lexical->pattern, session->rules->vocabulary,
                                     judgements);
    else
        status = answer_sheet_judge(answers, &split->plans[score], items, judgements, err);
    if (status != ST_OK) {
        free(judgements);
        return status;
    }
    *out = judgements;
    *n_out = items->n_items;
    return ST_OK;
}

/* --- a round's figures --------------------------------------------------------------------- */

static status_t keep_check(struct session_round *round, const struct judgement *judgements,
                           size_t n, struct error *err)
{
    round->check = score_count(judgements, n, NEGATIVES_RANDOM);
    round->check_answers = malloc(n + 1);
    if (!round->check_answers) return error_set(err, ST_NO_MEMORY, "%zu answers", n);
    for (size_t i = 0; i < n; i++) round->check_answers[i] = (int8_t)judgements[i].answer;
    round->n_check = n;
    return ST_OK;
}

status_t session_score_round(struct label_session *session, const struct feature_case *feature_case,
                             struct error *err)
{
    struct session_round *round = session_this_round(session);
    struct judgement *judgements = NULL;
    size_t n;
    status_t status = label_session_judgements(session, feature_case, SHEET_VALIDATE,
                                               CASE_DETECTION, &judgements, &n, err);
    if (status != ST_OK) return status;
    for (unsigned kind = 0; kind < SCORE_N_NEGATIVES; kind++)
        round->validate[kind] = score_count(judgements, n, (enum score_negatives)kind);
    round->accuracy = score_balanced_accuracy(&round->validate[NEGATIVES_RANDOM]);
    round->is_tested = true;
    free(judgements);
    status = label_session_judgements(session, feature_case, SHEET_CHECK, CASE_DETECTION,
                                      &judgements, &n, err);
    if (status == ST_OK && judgements) status = keep_check(round, judgements, n, err);
    free(judgements);
    return status;
}
