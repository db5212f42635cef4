/* What the files of the generate task share. Private to worker/tasks/generate_*.c. */
#ifndef WORKER_TASKS_GENERATE_PARTS_H
#define WORKER_TASKS_GENERATE_PARTS_H

#include "worker/tasks/generate_runner.h"
#include "worker/tasks/steering.h"
#include "worker/tasks/subject.h"

enum { GENERATE_MAX_ROWS = 8, GENERATE_MAX_PAIRS = GENERATE_MAX_ROWS / 2 };

struct generate_runner {
    struct subject subject;
    _Atomic uint64_t *ticks;
    bool has_eos;
    uint32_t eos;
    struct forward *forward; /* of the last shape; NULL: none */
    size_t n_rows, n_ctx;
    uint32_t *tokens; /* [n_rows, n_ctx] */
};

/* One job under way. */
struct generation {
    struct generate_runner *runner;
    const struct generate_job *job;
    struct generate_answer *answer;
    struct steering *steering;
    struct probe_rows rows;             /* of the prompts */
    size_t valid[GENERATE_MAX_PROMPTS]; /* [n_valid] prompts that can be run */
    size_t n_valid;
};

/* A prompt's rows in a batch: 2 i the clean one, 2 i + 1 the steered one. */
struct generate_pair {
    size_t prompt; /* of the job */
    uint32_t sample;
    uint32_t drawn[2][GENERATE_MAX_TOKENS]; /* behind the prompt; clean, steered */
    size_t n_drawn[2];
    bool is_over[2];
};
struct generate_batch {
    struct generate_pair pairs[GENERATE_MAX_PAIRS];
    size_t n_pairs;
};

const struct probe_row *generate_row_of(const struct generation *self, size_t prompt);
/* Its first token that is changed. */
uint32_t generate_first_changed(const struct generation *self, size_t prompt);

/* What a pass is to say of the batch; tokens are row times n_ctx plus token. */
struct generate_wanted {
    const uint32_t *head_rows; /* [n_head_rows] tokens whose logits are wanted, or NULL */
    size_t n_head_rows;
    const struct row_pair *pairs;   /* [n_pairs] tokens to be compared, or NULL */
    struct divergence *divergences; /* [n_pairs], filled */
    size_t n_pairs;
};
/* One pass over the batch: *logits [n_head_rows, n_vocab], borrowed until the next; NULL if none
 * are wanted. */
MUST_CHECK status_t generate_run_batch(struct generation *self, const struct generate_batch *batch,
                                       const struct generate_wanted *wanted, const float **logits,
                                       struct error *err);

/* --- generate_effect.c --- */

/* The strength, found where the job asks for it; KL and changed tokens of every valid prompt. An
 * effect that is too weak, or not finite, is the answer's error. */
MUST_CHECK status_t generate_effect(struct generation *self, struct error *err);

#endif
