/* Percentile bootstrap intervals over *documents*, the unit that was sampled: windows of one
 * document resemble each other, so resampling windows would promise too much.
 *
 * Each resample draws as many documents as there are, with replacement, and computes the score
 * from their summed counts; the interval is the percentiles of those scores, interpolated
 * linearly at (n - 1) q. A resample in which a class is empty has no score and is drawn again
 * (the interval is conditional on both classes being there); these are counted, and after
 * BOOTSTRAP_MAX_REDRAWS for every wanted resample the interval is undefined. The result depends
 * on the set of judgements and the seed only: documents are put in order of their keys.
 *
 * A resample costs two additions and half a mix per document: about 0.1 ms for 2,000 resamples
 * of 40 documents. Pure functions; any thread. */
#ifndef COORDINATOR_SESSION_BOOTSTRAP_H
#define COORDINATOR_SESSION_BOOTSTRAP_H

#include "coordinator/session/score.h"

enum { BOOTSTRAP_RESAMPLES = 2000, BOOTSTRAP_MAX_RESAMPLES = 1000000, BOOTSTRAP_MAX_REDRAWS = 10 };

/* What one document adds to the confusion; for a paired comparison, under each of two labels. */
struct document_counts {
    uint64_t document_key;
    struct confusion label;
    struct confusion rival; /* zero unless paired */
};

/* One record per document, in order of the key. `rival` (n_rival judgements, may be 0) is a
 * second label judged on the same windows. The caller frees *out. Errors: ST_NO_MEMORY;
 * ST_BAD_INPUT if a rival is given and the two do not hold the same number of firing and of
 * silent items per document (then a paired difference has no meaning). */
MUST_CHECK status_t document_counts_build(const struct judgement *judgements, size_t n_judgements,
                                          const struct judgement *rival, size_t n_rival,
                                          enum score_negatives negatives,
                                          struct document_counts **out, size_t *n_documents,
                                          struct error *err);

struct bootstrap_params {
    uint32_t n_resamples; /* 1 .. BOOTSTRAP_MAX_RESAMPLES */
    double confidence;    /* in (0, 1); 0.95 */
    uint64_t seed;        /* of the sweep */
    uint64_t subject;     /* what is resampled: feature and score type */
};

struct interval {
    bool is_defined;
    double low;
    double high;
    uint32_t n_redrawn; /* resamples without one class, drawn again */
};

/* Balanced accuracy of `label`. Errors: ST_BAD_INPUT (params), ST_NO_MEMORY. */
MUST_CHECK status_t bootstrap_balanced_accuracy(const struct document_counts *documents,
                                                size_t n_documents,
                                                const struct bootstrap_params *params,
                                                struct interval *out, struct error *err);
/* F1 of `label`. */
MUST_CHECK status_t bootstrap_f1(const struct document_counts *documents, size_t n_documents,
                                 const struct bootstrap_params *params, struct interval *out,
                                 struct error *err);
/* Balanced accuracy of `label` minus that of `rival`, over the same drawn documents. */
MUST_CHECK status_t bootstrap_difference(const struct document_counts *documents,
                                         size_t n_documents, const struct bootstrap_params *params,
                                         struct interval *out, struct error *err);

/* Any other statistic of documents (Pearson of simulated activations, AUROC): called with the
 * drawn documents' indices [n_documents]; false when it is undefined for them. */
typedef bool bootstrap_statistic(void *context, const uint32_t *drawn, size_t n_documents,
                                 double *value);
MUST_CHECK status_t bootstrap_documents(bootstrap_statistic *statistic, void *context,
                                        size_t n_documents, const struct bootstrap_params *params,
                                        struct interval *out, struct error *err);

/* The q-quantile (0..1) of values[n], n >= 1, interpolated linearly; reorders them. */
double bootstrap_quantile(double *values, size_t n, double q);

#endif
