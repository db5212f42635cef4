/* The intervention score: does a label explain what the feature writes?
 *
 *   test windows, cut behind their strongest token      -> prompts, one a document
 *   the target model continues them, clean and with the feature moved by a strength at which the
 *   mean KL over the prompts is the wanted one          -> pairs
 *   the judge sees a pair in random order and k labels in random order, the feature's own and k - 1
 *   of other features, and says which explains what makes the two differ
 *   share of right choices; exact binomial p against 1 / k; interval over prompts
 *
 * A choice that fails to parse is wrong, and counted. A feature that does not move the model so far
 * at the largest strength, or writes no one direction (a head), has no score and says why. What is
 * drawn is named by seed and feature. Pure; one thread at a time. */
#ifndef COORDINATOR_SESSION_INTERVENTION_H
#define COORDINATOR_SESSION_INTERVENTION_H

#include "common/generate.h"
#include "coordinator/session/bootstrap.h"
#include "coordinator/session/prompt_messages.h"
#include "coordinator/session/prompt_reply.h"
#include "coordinator/session/prompt_template.h"
#include "coordinator/session/session_rounds.h"
#include "coordinator/session/window_text.h"

enum { INTERVENTION_N_LABELS = 5, INTERVENTION_MAX_PROMPTS = GENERATE_MAX_PROMPTS };

/* Of a sweep. n_prompts 0: there is no such score. */
struct intervention_rule {
    const struct prompt_template *template_; /* uses INTERVENTION_PROMPT_FIELDS */
    size_t n_prompts;                        /* 1..INTERVENTION_MAX_PROMPTS */
    uint32_t n_tokens;                       /* of a continuation */
    double target_kl, temperature;
};
extern const char *const INTERVENTION_PROMPT_FIELDS[];
enum { INTERVENTION_N_PROMPT_FIELDS = 5 };

struct intervention_pair {
    char *prompt; /* owned, as are the continuations; UTF-8 */
    char *clean, *steered;
    uint64_t document_key;
    bool can_judge;                        /* the model continued it */
    bool is_steered_first;                 /* shown first */
    uint32_t order[INTERVENTION_N_LABELS]; /* labels as shown; 0 is the feature's own */
    bool has_choice;
    size_t choice; /* number of the label as shown, from 1 */
};

struct intervention_trial {
    const struct intervention_rule *rule; /* borrowed */
    uint64_t seed;
    struct prompt_label labels[INTERVENTION_N_LABELS]; /* [0] the feature's own */
    struct intervention_pair *pairs;                   /* [n_pairs], owned */
    size_t n_pairs;
    double strength, kl;
    char failure[SESSION_FAILURE_SIZE]; /* why there is no score, "" if there is one */
};

struct intervention_params {
    const struct intervention_rule *rule;
    const struct token_texts *texts;
    uint64_t seed, subject;       /* of every draw: of the sweep, of the feature */
    const struct window *windows; /* [n_windows] test windows; silent ones are passed over */
    size_t n_windows;
    const struct prompt_label *const *labels; /* [n_labels], the feature's own first */
    size_t n_labels;                          /* fewer than INTERVENTION_N_LABELS: no score */
};
/* On ST_OK the caller owns *out (fini). Errors: ST_NO_MEMORY, ST_TOO_LARGE. */
MUST_CHECK status_t intervention_init(struct intervention_trial *out,
                                      const struct intervention_params *params, struct error *err);
void intervention_fini(struct intervention_trial *intervention); /* fine on zeroes or twice */

/* What the workers are to do; texts are borrowed. Not with a failure. */
void intervention_job(const struct intervention_trial *intervention, uint32_t target, uint32_t slot,
                      struct generate_job *out);
/* What they did. Errors: ST_NO_MEMORY. */
MUST_CHECK status_t intervention_take(struct intervention_trial *intervention,
                                      const struct generate_answer *answer, struct error *err);

/* Append the messages about pair `index`. */
MUST_CHECK status_t intervention_messages(const struct intervention_trial *intervention,
                                          size_t index, struct prompt_messages *messages,
                                          struct error *err);
/* The reply; NULL content: it failed for good. False: no choice. */
bool intervention_answer(struct intervention_trial *intervention, size_t index, const char *content,
                         size_t n_bytes);
/* In place of a judge: every pair a label drawn at random. */
void intervention_draw_choices(struct intervention_trial *intervention);

struct intervention_outcome {
    bool is_there; /* it was to be measured */
    char failure[SESSION_FAILURE_SIZE];
    size_t n_pairs, n_right, n_failed;
    struct score_value share; /* n_right / n_pairs */
    struct interval interval;
    double p; /* of so many right or more by chance; 1 where the share is undefined */
    double strength, kl;
};
/* Errors: ST_BAD_INPUT (params), ST_NO_MEMORY. */
MUST_CHECK status_t intervention_measure(const struct intervention_trial *intervention,
                                         const struct bootstrap_params *params,
                                         struct intervention_outcome *out, struct error *err);

/* P(X >= n_right), X binomial (n, chance); exact but for rounding. */
double intervention_upper_tail(size_t n, size_t n_right, double chance);

#endif
