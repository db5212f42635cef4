/* One score of one label with everything a reader needs to doubt it: counts with parse failures,
 * balanced accuracy with its interval over documents, F1, precision, recall, AUROC where
 * probabilities exist; and the paired comparison with another label (lexical, or the first
 * round). Pure; any thread. */
#ifndef COORDINATOR_SESSION_SCORE_SUMMARY_H
#define COORDINATOR_SESSION_SCORE_SUMMARY_H

#include "coordinator/session/bootstrap.h"

struct score_summary {
    struct confusion counts;
    struct kind_counts neighbours; /* among the hard ones; none among random ones */
    struct score_value balanced_accuracy;
    struct interval interval; /* of the balanced accuracy */
    struct score_value f1;
    struct score_value precision;
    struct score_value recall;
    struct score_value auroc;
    size_t n_documents; /* that take part */
};

/* Errors: ST_BAD_INPUT (params, probabilities), ST_NO_MEMORY. */
MUST_CHECK status_t score_summarise(const struct judgement *judgements, size_t n_judgements,
                                    enum score_negatives negatives,
                                    const struct bootstrap_params *params,
                                    struct score_summary *out, struct error *err);

struct score_comparison {
    struct score_value difference; /* of balanced accuracy: label minus rival */
    struct interval interval;      /* of the difference, over the same resampled documents */
    bool is_better;                /* the whole interval is above 0 */
};

/* The two must have been judged on the same windows. Errors: as above. */
MUST_CHECK status_t score_compare(const struct judgement *label, size_t n_label,
                                  const struct judgement *rival, size_t n_rival,
                                  enum score_negatives negatives,
                                  const struct bootstrap_params *params,
                                  struct score_comparison *out, struct error *err);

#endif
