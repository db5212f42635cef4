/* What an agent tries on the target model to disprove its own label.
 *
 *   kind          the label says      meant as
 *   fires         it fires            a plain case
 *   silent        it is silent        a plain case
 *   hard_fires    it fires            far from the examples: is the label too wide?
 *   hard_silent   it is silent        near to the examples: is the label too narrow?
 *
 * The two hard kinds are the adversarial texts. Features fire seldom, so a list of near misses
 * alone would come out right under any label: as many texts of either hard kind are counted, the
 * first ones, and then a model that always fires, or never, is right on half of them. The round
 * is passed when the exact one-sided binomial p against 1/2 is at most `max_p` (8 of 10, 15 of
 * 20: reference, statistics.md 2) and at least `n_least` texts are counted. A text whose truth
 * could not be had counts as predicted wrongly.
 *
 * Pure; a list belongs to one thread. */
#ifndef COORDINATOR_SESSION_EXPERIMENTS_H
#define COORDINATOR_SESSION_EXPERIMENTS_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum experiment_kind {
    EXPERIMENT_FIRES,
    EXPERIMENT_SILENT,
    EXPERIMENT_HARD_FIRES,
    EXPERIMENT_HARD_SILENT
};
enum { EXPERIMENT_N_KINDS = 4, EXPERIMENT_LEAST_ADVERSARIAL = 10 };

const char *experiment_kind_name(enum experiment_kind kind); /* "hard_fires", ... */
bool experiment_kind_predicts_firing(enum experiment_kind kind);
bool experiment_kind_is_adversarial(enum experiment_kind kind);

enum experiment_truth {
    EXPERIMENT_UNKNOWN,
    EXPERIMENT_FIRED,
    EXPERIMENT_STAYED_SILENT,
    EXPERIMENT_FAILED
};

struct experiment {
    enum experiment_kind kind;
    enum experiment_truth truth;
    float max_value;                 /* of the feature over the text; 0 unless it fired */
    uint32_t peak_begin, peak_bytes; /* the strongest token in the text; 0, 0: not known */
    uint32_t n_bytes;
    char *text; /* [n_bytes] + NUL, UTF-8, no control character but \n, never empty; owned */
};

struct experiments {
    struct experiment *list; /* [n] of room `capacity`, owned */
    size_t n, capacity;
    size_t n_dropped; /* given, but empty, repeated, copied or beyond what was asked for */
};

/* Append a copy of the text. Errors: ST_NO_MEMORY. */
MUST_CHECK status_t experiments_add(struct experiments *experiments, enum experiment_kind kind,
                                    const char *text, size_t n_bytes, struct error *err);
/* Take text `index` < n out, counted as dropped. */
void experiments_drop(struct experiments *experiments, size_t index);
void experiments_fini(struct experiments *experiments); /* fine twice */
bool experiments_have(const struct experiments *experiments, const char *text);

/* Was the prediction right? False while the truth is not known. */
bool experiment_is_right(const struct experiment *experiment);
/* How many were right, of all kinds or of one (EXPERIMENT_N_KINDS: all). */
size_t experiments_n_right(const struct experiments *experiments, unsigned kind);

struct adversarial_rule {
    double max_p;   /* 0.055 */
    size_t n_least; /* texts that must be counted: EXPERIMENT_LEAST_ADVERSARIAL; 0: none */
};
struct adversarial_result {
    size_t n; /* counted: as many of either hard kind */
    size_t n_right;
    double p; /* 1 without any */
    bool has_passed;
};
struct adversarial_result experiments_adversarial(const struct experiments *experiments,
                                                  const struct adversarial_rule *rule);

/* P(at least n_right of n fair coins). */
double binomial_upper_tail(size_t n, size_t n_right);

#endif
