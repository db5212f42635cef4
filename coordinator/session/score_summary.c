#include "coordinator/session/score_summary.h"

#include <stdlib.h>

status_t score_summarise(const struct judgement *judgements, size_t n_judgements,
                         enum score_negatives negatives, const struct bootstrap_params *params,
                         struct score_summary *out, struct error *err)
{
    struct document_counts *documents = NULL;
    struct score_summary made = {.counts = score_count(judgements, n_judgements, negatives)};
    if (negatives == NEGATIVES_HARD)
        made.neighbours = score_count_kind(judgements, n_judgements, WINDOW_SILENT_NEIGHBOUR);
    made.balanced_accuracy = score_balanced_accuracy(&made.counts);
    made.f1 = score_f1(&made.counts);
    made.precision = score_precision(&made.counts);
    made.recall = score_recall(&made.counts);
    status_t status = score_auroc(judgements, n_judgements, negatives, &made.auroc, err);
    if (status == ST_OK)
        status = document_counts_build(judgements, n_judgements, NULL, 0, negatives, &documents,
                                       &made.n_documents, err);
    if (status == ST_OK && made.balanced_accuracy.is_defined)
        status =
            bootstrap_balanced_accuracy(documents, made.n_documents, params, &made.interval, err);
    free(documents);
    if (status == ST_OK) *out = made;
    return status;
}

status_t score_compare(const struct judgement *label, size_t n_label, const struct judgement *rival,
                       size_t n_rival, enum score_negatives negatives,
                       const struct bootstrap_params *params, struct score_comparison *out,
                       struct error *err)
{
    const struct confusion counts = score_count(label, n_label, negatives);
    const struct confusion rival_counts = score_count(rival, n_rival, negatives);
    const struct score_value a = score_balanced_accuracy(&counts);
    const struct score_value b = score_balanced_accuracy(&rival_counts);
    struct document_counts *documents = NULL;
    struct score_comparison made = {{false, 0.0}, {false, 0.0, 0.0, 0}, false};
    size_t n_documents;
    status_t status = document_counts_build(label, n_label, rival, n_rival, negatives, &documents,
                                            &n_documents, err);
    if (status == ST_OK && a.is_defined && b.is_defined) {
        made.difference = (struct score_value){true, a.value - b.value};
        status = bootstrap_difference(documents, n_documents, params, &made.interval, err);
        made.is_better = made.interval.is_defined && made.interval.low > 0.0;
    }
    free(documents);
    if (status == ST_OK) *out = made;
    return status;
}
