/* The rounds of a session: what was claimed, tried and measured in each, and the two questions
 * asked of them: is it settled, and which round's label is the one.
 *
 *   settled   the best round reaches the target on validate windows, it passed its adversarial
 *             texts, and at least `min` rounds were tested
 *   best      the tested round of largest balanced accuracy on validate windows (random
 *             negatives); ties and undefined scores: the earlier
 *
 * A round counts as tested when its label was judged on validate windows; a reply without a
 * label makes a round that was not. The same label again is a round like any other: it is
 * judged anew (at no cost) and must pass new experiments. Pure. */
#ifndef COORDINATOR_SESSION_SESSION_ROUNDS_H
#define COORDINATOR_SESSION_SESSION_ROUNDS_H

#include "coordinator/session/bootstrap.h"
#include "coordinator/session/experiments.h"
#include "coordinator/session/prompt_reply.h"
#include "coordinator/session/score.h"

enum { SESSION_MAX_ROUNDS = 20, SESSION_NO_ROUND = SESSION_MAX_ROUNDS, SESSION_FAILURE_SIZE = 128 };

struct session_round {
    bool has_label;
    struct prompt_label label;
    char failure[SESSION_FAILURE_SIZE];        /* why there is no label, "" if there is one */
    char design_failure[SESSION_FAILURE_SIZE]; /* why there are no experiments */
    struct experiments experiments;            /* owned */
    struct adversarial_result adversarial;
    bool is_tested;
    struct confusion validate[SCORE_N_NEGATIVES];
    struct score_value accuracy; /* balanced, on validate, random negatives: what decides */
    struct interval interval;    /* of it, over documents */
    int8_t *validate_answers;    /* [n_validate] enum judge_answer by item, owned; may be NULL */
    size_t n_validate;
    struct confusion check; /* on explain windows: its errors may be shown */
    int8_t *check_answers;  /* [n_check] enum judge_answer by item, owned; may be NULL */
    size_t n_check;
};

struct session_rounds {
    struct session_round *list; /* [n], owned */
    size_t n;
    bool has_rival;       /* another label was tested than the best round's */
    struct interval lead; /* then: of the best round's accuracy over that of the best rival */
};

struct rounds_rule {
    size_t min, max;
    double target_accuracy;
    struct adversarial_rule adversarial;
    size_t patience; /* rounds without hope that end a session; 0: none do (session_outlook.h) */
    double floor;    /* balanced accuracy below which there is none */
    uint32_t n_resamples; /* of the intervals that this rests on */
};

/* A new last round. Errors: ST_NO_MEMORY, ST_TOO_LARGE above SESSION_MAX_ROUNDS. */
MUST_CHECK status_t session_rounds_add(struct session_rounds *rounds, struct session_round **out,
                                       struct error *err);
void session_rounds_fini(struct session_rounds *rounds); /* fine twice */

size_t session_rounds_n_tested(const struct session_rounds *rounds);
/* Index of the first, the last and the best tested round; SESSION_NO_ROUND without any. */
size_t session_rounds_first(const struct session_rounds *rounds);
size_t session_rounds_last(const struct session_rounds *rounds);
size_t session_rounds_best(const struct session_rounds *rounds);
bool session_rounds_are_settled(const struct session_rounds *rounds,
                                const struct rounds_rule *rule);
/* Was this very text tried in any round? */
bool session_rounds_have_tried(const struct session_rounds *rounds, const char *text);

#endif
