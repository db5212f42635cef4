/* A session with a scripted outside: windows made up here; an agent, a judge and a target model
 * that do what a script says. Templates are the real ones. For tests of the machine as a whole. */
#ifndef TESTS_UNIT_SESSION_PLAY_H
#define TESTS_UNIT_SESSION_PLAY_H

#include "coordinator/session/label_session.h"
#include "tests/support/session_windows.h"

enum { PROMPTS_SIZE = 1 << 20, N_EACH = 10 };

struct stage_world {
    struct token_texts texts;
    struct session_rules rules;
    struct feature_case full; /* every part; its windows are kept for ever */
    struct prompt_template *templates[6];
};

struct stage_world *make_world(enum session_mode mode);
/* The simulation score as well, and further judges called k, l, ... */
void add_judges(struct stage_world *world, size_t n_simulated, size_t n_more_judges);
void end_world(struct stage_world *world);

/* What the agent and the judge do; rounds from 0. */
struct script {
    const char *labels[5]; /* "": prose instead of JSON */
    double right_share[5]; /* of validate, check and test answers that the label gets right */
    bool is_confirming;    /* no adversarial texts */
    bool is_copying;       /* every text of an experiment is a piece of an example */
    bool is_model_silent;  /* the feature fires on no experiment */
    bool is_mumbling;      /* simulations leave a token out */
    uint64_t order;        /* 0: first ask first; else seeds the order of answers */
    char *prompts;         /* [PROMPTS_SIZE] what the explainer was asked, one behind the other */
};
struct script *script_of(struct script what);

/* Make the feature one of two meanings: explain windows 0 to 4 and 5 to 9. The agent calls them
 * "meaning 0" and "meaning 1"; the judge is right about all of the first and answers the second in
 * prose. */
void plant_meanings(struct stage_world *world);

/* The answer of one ask. */
void answer(struct stage_world *world, struct label_session *session, size_t ask,
            struct script *script);
/* Answer all asks of a stage, in the script's order. */
void answer_all(struct stage_world *world, struct label_session *session, struct script *script);
/* From open to done; the stages passed, by first letter of their names (h d e v t). */
struct label_session play(struct stage_world *world, struct script *script, char *stages);

#endif
