/* What a session has judged: sheets opened at a stage, and read when it is over. */
#include "coordinator/session/label_session_parts.h"

#include "coordinator/session/random_judge.h"
#include "coordinator/session/session_outlook.h"

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

bool session_claims_score(const struct label_session *session)
{
    return feature_status_claims_score(session->status) && session->chosen != SESSION_NO_ROUND;
}

static bool wants_at_test(const struct label_session *session, enum session_sheet sheet,
                          enum case_score score)
{
    const struct session_rules *rules = session->rules;
    if (!session_claims_score(session)) return false;
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

/* Do more judges than the first see this sheet? They are asked for their agreement about the
 * label that is chosen, never for the null. */
static bool wants_panel(const struct label_session *session, enum case_score score)
{
    return !session->is_foreign && session_wants_sheet(session, SHEET_TEST, score);
}

/* --- opening ------------------------------------------------------------------------------- */

/* `ask` names judge, sheet and score; its index counts the prompts. */
static status_t open_sheet(struct label_session *session, const struct feature_case *feature_case,
                           struct session_ask ask, bool is_wanted, struct error *err)
{
    struct answer_sheet *answers = session_answers_open(session, &ask);
    const struct case_split *split = &feature_case->splits[session_sheet_split(ask.sheet)];
    answer_sheet_fini(answers);
    if (!is_wanted || split->items[ask.score].n_items == 0) return ST_OK;
    const status_t status = answer_sheet_init(answers, &split->plans[ask.score], err);
    for (; status == ST_OK && ask.index < answers->n_prompts; ask.index++)
        session->asks[session->n_asks++] = ask;
    return status;
}

static size_t n_prompts(const struct feature_case *feature_case, enum session_sheet sheet)
{
    const struct case_split *split = &feature_case->splits[session_sheet_split(sheet)];
    size_t n = 0;
    for (unsigned score = 0; score < CASE_N_SCORES; score++) n += split->plans[score].n_prompts;
    return n;
}

static size_t most_asks(const struct session_rules *rules, const struct feature_case *feature_case)
{
    size_t n = 2 * rules->n_simulated + rules->n_more_judges * n_prompts(feature_case, SHEET_TEST);
    for (unsigned sheet = 0; sheet < SESSION_N_SHEETS; sheet++)
        n += n_prompts(feature_case, (enum session_sheet)sheet);
    return n;
}

/* Only whom a call reaches: a pattern, or a coin, is asked when the answers are read. */
static status_t open_judge(struct label_session *session, const struct feature_case *feature_case,
                           struct error *err)
{
    status_t status = ST_OK;
    if (!session->rules->judge.name) return ST_OK;
    for (unsigned sheet = 0; sheet < SESSION_N_SHEETS; sheet++)
        for (unsigned score = 0; score < CASE_N_SCORES && status == ST_OK; score++) {
            const struct session_ask ask = {.kind = ASK_JUDGE,
                                            .sheet = (enum session_sheet)sheet,
                                            .score = (enum case_score)score};
            status = open_sheet(session, feature_case, ask,
                                session_wants_sheet(session, ask.sheet, ask.score), err);
        }
    return status;
}

static status_t open_panel(struct label_session *session, const struct feature_case *feature_case,
                           struct error *err)
{
    const struct session_rules *rules = session->rules;
    status_t status = ST_OK;
    for (size_t judge = 0; judge < rules->n_more_judges; judge++)
        for (unsigned score = 0; score < CASE_N_SCORES && status == ST_OK; score++) {
            const struct session_ask ask = {.kind = ASK_JUDGE,
                                            .sheet = SHEET_TEST,
                                            .score = (enum case_score)score,
                                            .judge = (uint8_t)(judge + 1)};
            if (rules->more_judges[judge].name)
                status =
                    open_sheet(session, feature_case, ask, wants_panel(session, ask.score), err);
        }
    return status;
}

status_t session_open_sheets(struct label_session *session, const struct feature_case *feature_case,
                             struct error *err)
{
    free(session->asks);
    session->asks = calloc(most_asks(session->rules, feature_case) + 1, sizeof *session->asks);
    if (!session->asks) return error_set(err, ST_NO_MEMORY, "asks");
    status_t status = open_judge(session, feature_case, err);
    if (status == ST_OK) status = open_panel(session, feature_case, err);
    return status == ST_OK ? session_open_simulation(session, feature_case, err) : status;
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

struct random_judge_params session_coins(const struct label_session *session,
                                         const struct feature_case *feature_case,
                                         enum session_sheet sheet, uint64_t windows)
{
    return (struct random_judge_params){
        .seed = session->rules->seed,
        .subject = feature_case->subject,
        .windows = windows,
        .label = session_sheet_label(session, sheet)->text,
    };
}

/* Every judge has coins of its own. */
static void judge_randomly(const struct label_session *session,
                           const struct feature_case *feature_case, const struct session_ask *ask,
                           struct judgement *judgements)
{
    const enum evidence_split split = session_sheet_split(ask->sheet);
    const uint64_t windows = ((uint64_t)ask->judge * EVIDENCE_N_SPLITS + split) * CASE_N_SCORES;
    const struct random_judge_params params =
        session_coins(session, feature_case, ask->sheet, windows + ask->score);
    random_judge(&params, &feature_case->splits[split].items[ask->score], judgements);
}

/* Who answers a sheet, and how. */
enum answered_by { ANSWERED_BY_NOBODY, ANSWERED_BY_CALLS, ANSWERED_BY_PATTERN, ANSWERED_BY_COINS };

static status_t read_answers(const struct label_session *session,
                             const struct feature_case *feature_case, const struct session_ask *ask,
                             enum answered_by by, struct judgement *judgements, struct error *err)
{
    const struct case_split *split = &feature_case->splits[session_sheet_split(ask->sheet)];
    const struct prompt_items *items = &split->items[ask->score];
    if (by == ANSWERED_BY_CALLS)
        return answer_sheet_judge(session_answers(session, ask), &split->plans[ask->score], items,
                                  judgements, err);
    if (by == ANSWERED_BY_COINS)
        judge_randomly(session, feature_case, ask, judgements);
    else
        feature_case_judge_lexically(items, &session->lexical->pattern, session->rules->vocabulary,
                                     judgements);
    return ST_OK;
}

/* What `ask` says of judge, sheet and score. */
static status_t make_judgements(const struct label_session *session,
                                const struct feature_case *feature_case,
                                const struct session_ask *ask, enum answered_by by,
                                struct judgement **out, size_t *n_out, struct error *err)
{
    const size_t n =
        feature_case->splits[session_sheet_split(ask->sheet)].items[ask->score].n_items;
    *out = NULL;
    *n_out = 0;
    if (n == 0 || by == ANSWERED_BY_NOBODY) return ST_OK;
    struct judgement *judgements = calloc(n, sizeof *judgements);
    if (!judgements) return error_set(err, ST_NO_MEMORY, "%zu judgements", n);
    const status_t status = read_answers(session, feature_case, ask, by, judgements, err);
    if (status != ST_OK) {
        free(judgements);
        return status;
    }
    *out = judgements;
    *n_out = n;
    return ST_OK;
}

status_t label_session_judgements(const struct label_session *session,
                                  const struct feature_case *feature_case, enum session_sheet sheet,
                                  enum case_score score, struct judgement **out, size_t *n_out,
                                  struct error *err)
{
    const bool is_contrast = sheet == SHEET_FIRST || sheet == SHEET_LAST;
    const enum session_sheet read =
        is_contrast && is_same_label(session, sheet) ? SHEET_TEST : sheet;
    const struct session_ask ask = {.sheet = read, .score = score};
    enum answered_by by = ANSWERED_BY_NOBODY;
    if (is_judged_randomly(session, read, score))
        by = ANSWERED_BY_COINS;
    else if (is_judged_lexically(session, read, score))
        by = ANSWERED_BY_PATTERN;
    else if (session->sheets[read][score].answers)
        by = ANSWERED_BY_CALLS;
    return make_judgements(session, feature_case, &ask, by, out, n_out, err);
}

status_t label_session_panel(const struct label_session *session,
                             const struct feature_case *feature_case, size_t judge,
                             enum case_score score, struct judgement **out, size_t *n_out,
                             struct error *err)
{
    const struct session_ask ask = {
        .sheet = SHEET_TEST, .score = score, .judge = (uint8_t)(judge + 1)};
    enum answered_by by = ANSWERED_BY_NOBODY;
    *out = NULL;
    *n_out = 0;
    if (session->is_foreign || !wants_at_test(session, SHEET_TEST, score)) return ST_OK;
    if (session->rules->has_random_judge)
        by = ANSWERED_BY_COINS;
    else if (session->panel[judge][score].answers)
        by = ANSWERED_BY_CALLS;
    else if (!session->rules->more_judges[judge].name && session->lexical)
        by = ANSWERED_BY_PATTERN;
    return make_judgements(session, feature_case, &ask, by, out, n_out, err);
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
    const struct bootstrap_params params = {.n_resamples = session->rules->rounds.n_resamples,
                                            .confidence = 0.95,
                                            .seed = session->rules->seed,
                                            .subject = feature_case->subject};
    if (judgements) status = session_outlook_measure(&session->rounds, judgements, n, &params, err);
    free(judgements);
    if (status != ST_OK) return status;
    status = label_session_judgements(session, feature_case, SHEET_CHECK, CASE_DETECTION,
                                      &judgements, &n, err);
    if (status == ST_OK && judgements) status = keep_check(round, judgements, n, err);
    free(judgements);
    return status;
}
