/* How well a judge tells firing windows from silent ones, given a label.
 *
 * A judgement is one answer about one window. An answer that does not parse is a wrong answer of
 * its class (reference: statistics.md 2) and is counted apart as well. Random and hard negatives
 * are two scores over the same firing windows; nothing here ever pools them. Hard ones are near
 * misses and windows of neighbours; the latter are counted apart as well.
 *
 *                 answer fires      answer silent     no answer
 *   truth fires   n_true_firing     n_missed          n_missed, n_failed_firing
 *   truth silent  n_false_alarm     n_true_silent     n_false_alarm, n_failed_silent
 *
 * Every score is undefined when a class is empty. Pure functions; any thread. */
#ifndef COORDINATOR_SESSION_SCORE_H
#define COORDINATOR_SESSION_SCORE_H

#include "common/error.h"
#include "coordinator/session/window.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum judge_answer { ANSWER_FAILED = -1, ANSWER_SILENT = 0, ANSWER_FIRES = 1 };

struct judgement {
    uint64_t document_key;  /* the unit of the bootstrap */
    enum window_kind truth; /* of the item: a firing window with wrong tokens marked is hard */
    enum judge_answer answer;
    bool has_probability;
    double probability; /* that it fires, where the provider gives one */
};

enum score_negatives { NEGATIVES_RANDOM, NEGATIVES_HARD };
enum { SCORE_N_NEGATIVES = 2 };

/* Does a judgement take part in the score over these negatives? */
bool score_includes(enum window_kind truth, enum score_negatives negatives);

struct confusion {
    uint32_t n_true_firing;
    uint32_t n_missed;
    uint32_t n_true_silent;
    uint32_t n_false_alarm;
    uint32_t n_failed_firing; /* among n_missed */
    uint32_t n_failed_silent; /* among n_false_alarm */
};

struct score_value {
    bool is_defined;
    double value; /* 0 unless defined; never NaN */
};

struct confusion score_count(const struct judgement *judgements, size_t n_judgements,
                             enum score_negatives negatives);

/* One kind of silent windows: how many were called silent, and how many not. */
struct kind_counts {
    uint32_t n_true_silent, n_false_alarm;
};
struct kind_counts score_count_kind(const struct judgement *judgements, size_t n_judgements,
                                    enum window_kind kind);

/* (TPR + TNR) / 2. */
struct score_value score_balanced_accuracy(const struct confusion *confusion);
struct score_value score_recall(const struct confusion *confusion);
/* Undefined also when nothing was called firing. */
struct score_value score_precision(const struct confusion *confusion);
/* 2 TP / (2 TP + FP + FN): 0 for a judge that never says "fires". */
struct score_value score_f1(const struct confusion *confusion);

/* Probability that a firing window gets the larger probability, ties counting half. A failed
 * answer ranks behind every right one: a firing window lowest, a silent one highest. Undefined
 * when a class is empty or an answered judgement has no probability. Errors: ST_NO_MEMORY,
 * ST_BAD_INPUT (a probability outside [0, 1]). */
MUST_CHECK status_t score_auroc(const struct judgement *judgements, size_t n_judgements,
                                enum score_negatives negatives, struct score_value *out,
                                struct error *err);

#endif
