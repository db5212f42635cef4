#include "coordinator/session/session_rounds.h"

#include <stdlib.h>

status_t session_rounds_add(struct session_rounds *rounds, struct session_round **out,
                            struct error *err)
{
    if (rounds->n == SESSION_MAX_ROUNDS)
        return error_set(err, ST_TOO_LARGE, "more than %d rounds", SESSION_MAX_ROUNDS);
    struct session_round *grown = realloc(rounds->list, (rounds->n + 1) * sizeof *grown);
    if (!grown) return error_set(err, ST_NO_MEMORY, "round %zu", rounds->n + 1);
    rounds->list = grown;
    *out = &grown[rounds->n++];
    **out = (struct session_round){.adversarial = {.p = 1.0}};
    return ST_OK;
}

void session_rounds_fini(struct session_rounds *rounds)
{
    for (size_t i = 0; i < rounds->n; i++) {
        experiments_fini(&rounds->list[i].experiments);
        free(rounds->list[i].check_answers);
        free(rounds->list[i].validate_answers);
    }
    free(rounds->list);
    *rounds = (struct session_rounds){0};
}

size_t session_rounds_n_tested(const struct session_rounds *rounds)
{
    size_t n = 0;
    for (size_t i = 0; i < rounds->n; i++) n += rounds->list[i].is_tested;
    return n;
}

size_t session_rounds_first(const struct session_rounds *rounds)
{
    for (size_t i = 0; i < rounds->n; i++)
        if (rounds->list[i].is_tested) return i;
    return SESSION_NO_ROUND;
}

size_t session_rounds_last(const struct session_rounds *rounds)
{
    for (size_t i = rounds->n; i-- > 0;)
        if (rounds->list[i].is_tested) return i;
    return SESSION_NO_ROUND;
}

static bool is_better(const struct session_round *round, const struct session_round *than)
{
    if (!round->accuracy.is_defined) return false;
    return !than->accuracy.is_defined || round->accuracy.value > than->accuracy.value;
}

size_t session_rounds_best(const struct session_rounds *rounds)
{
    size_t best = session_rounds_first(rounds);
    for (size_t i = best; i < rounds->n; i++)
        if (rounds->list[i].is_tested && is_better(&rounds->list[i], &rounds->list[best])) best = i;
    return best;
}

bool session_rounds_are_settled(const struct session_rounds *rounds, const struct rounds_rule *rule)
{
    const size_t best = session_rounds_best(rounds);
    if (best == SESSION_NO_ROUND || session_rounds_n_tested(rounds) < rule->min) return false;
    const struct session_round *round = &rounds->list[best];
    return round->adversarial.has_passed && round->accuracy.is_defined &&
           round->accuracy.value >= rule->target_accuracy;
}

bool session_rounds_have_tried(const struct session_rounds *rounds, const char *text)
{
    for (size_t i = 0; i < rounds->n; i++)
        if (experiments_have(&rounds->list[i].experiments, text)) return true;
    return false;
}
