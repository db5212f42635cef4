#include "coordinator/session/session_outlook.h"

#include "coordinator/session/score_summary.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *session_outlook_name(enum session_outlook outlook)
{
    static const char *const names[SESSION_N_OUTLOOKS] = {"early", "contested", "settled",
                                                          "hopeless", "decided"};
    return (unsigned)outlook < SESSION_N_OUTLOOKS ? names[outlook] : NULL;
}

bool session_outlook_goes_on(enum session_outlook outlook)
{
    return outlook == OUTLOOK_EARLY || outlook == OUTLOOK_CONTESTED;
}

double session_outlook_floor(size_t n_firing, size_t n_silent, double z_min)
{
    if (n_firing == 0 || n_silent == 0) return 0.0;
    return fmin(1.0, 0.5 + z_min * sqrt(1.0 / (double)n_firing + 1.0 / (double)n_silent) / 4.0);
}

/* --- the rule ------------------------------------------------------------------------------ */

static bool lies_below(const struct session_round *round, double bar)
{
    return round->interval.is_defined && round->interval.high < bar;
}

static bool is_hopeless(const struct session_rounds *rounds, const struct rounds_rule *rule)
{
    size_t n = 0;
    if (!lies_below(&rounds->list[session_rounds_best(rounds)], rule->floor)) return false;
    for (size_t i = rounds->n; i-- > 0 && n < rule->patience;) {
        if (!rounds->list[i].is_tested) continue;
        if (!lies_below(&rounds->list[i], rule->floor)) return false;
        n++;
    }
    return n == rule->patience;
}

static bool is_contested(const struct session_rounds *rounds, const struct rounds_rule *rule)
{
    const struct session_round *best = &rounds->list[session_rounds_best(rounds)];
    if (!lies_below(best, rule->target_accuracy)) return true;
    if (!best->adversarial.has_passed && !lies_below(best, rule->floor)) return true;
    return rounds->has_rival && !(rounds->lead.is_defined && rounds->lead.low > 0.0);
}

enum session_outlook session_outlook(const struct session_rounds *rounds,
                                     const struct rounds_rule *rule)
{
    const size_t n_tested = session_rounds_n_tested(rounds);
    if (n_tested == 0 || n_tested < rule->min) return OUTLOOK_EARLY;
    if (session_rounds_are_settled(rounds, rule)) return OUTLOOK_SETTLED;
    if (rule->patience == 0) return OUTLOOK_CONTESTED;
    if (is_hopeless(rounds, rule)) return OUTLOOK_HOPELESS;
    return is_contested(rounds, rule) ? OUTLOOK_CONTESTED : OUTLOOK_DECIDED;
}

/* --- measuring ----------------------------------------------------------------------------- */

/* The best tested round with another label than round `best`; SESSION_NO_ROUND: none. */
static size_t rival_of(const struct session_rounds *rounds, size_t best)
{
    size_t rival = SESSION_NO_ROUND;
    for (size_t i = 0; i < rounds->n; i++) {
        const struct session_round *round = &rounds->list[i];
        if (!round->is_tested || !round->accuracy.is_defined ||
            strcmp(round->label.text, rounds->list[best].label.text) == 0)
            continue;
        if (rival == SESSION_NO_ROUND || round->accuracy.value > rounds->list[rival].accuracy.value)
            rival = i;
    }
    return rival;
}

/* The answers of a round put to the windows of `judgements`. The caller frees *out. */
static status_t answers_of(const struct session_round *round, const struct judgement *judgements,
                           size_t n, struct judgement **out, struct error *err)
{
    if (round->n_validate != n)
        return error_set(err, ST_INTERNAL, "rounds were judged on %zu and %zu windows",
                         round->n_validate, n);
    *out = calloc(n + 1, sizeof **out);
    if (!*out) return error_set(err, ST_NO_MEMORY, "%zu judgements", n);
    for (size_t i = 0; i < n; i++) {
        (*out)[i] = judgements[i];
        (*out)[i].answer = (enum judge_answer)round->validate_answers[i];
    }
    return ST_OK;
}

static status_t measure_lead(struct session_rounds *rounds, const struct judgement *judgements,
                             size_t n, const struct bootstrap_params *params, struct error *err)
{
    const size_t best = session_rounds_best(rounds), rival = rival_of(rounds, best);
    struct judgement *ours = NULL, *theirs = NULL;
    struct score_comparison comparison;
    rounds->has_rival = rival != SESSION_NO_ROUND;
    rounds->lead = (struct interval){0};
    if (!rounds->has_rival) return ST_OK;
    status_t status = answers_of(&rounds->list[best], judgements, n, &ours, err);
    if (status == ST_OK) status = answers_of(&rounds->list[rival], judgements, n, &theirs, err);
    if (status == ST_OK)
        status = score_compare(ours, n, theirs, n, NEGATIVES_RANDOM, params, &comparison, err);
    if (status == ST_OK) rounds->lead = comparison.interval;
    free(ours);
    free(theirs);
    return status;
}

static status_t keep_answers(struct session_round *round, const struct judgement *judgements,
                             size_t n, struct error *err)
{
    free(round->validate_answers);
    round->validate_answers = malloc(n + 1);
    if (!round->validate_answers) return error_set(err, ST_NO_MEMORY, "%zu answers", n);
    for (size_t i = 0; i < n; i++) round->validate_answers[i] = (int8_t)judgements[i].answer;
    round->n_validate = n;
    return ST_OK;
}

status_t session_outlook_measure(struct session_rounds *rounds, const struct judgement *judgements,
                                 size_t n_judgements, const struct bootstrap_params *params,
                                 struct error *err)
{
    struct session_round *round = &rounds->list[rounds->n - 1];
    struct score_summary summary;
    status_t status = keep_answers(round, judgements, n_judgements, err);
    if (status == ST_OK)
        status = score_summarise(judgements, n_judgements, NEGATIVES_RANDOM, params, &summary, err);
    if (status != ST_OK) return status;
    round->interval = summary.interval;
    return measure_lead(rounds, judgements, n_judgements, params, err);
}
