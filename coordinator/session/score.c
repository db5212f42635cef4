#include "coordinator/session/score.h"

#include <stdlib.h>

bool score_includes(enum window_kind truth, enum score_negatives negatives)
{
    if (truth == WINDOW_FIRING) return true;
    return (truth == WINDOW_SILENT_RANDOM) == (negatives == NEGATIVES_RANDOM);
}

struct confusion score_count(const struct judgement *judgements, size_t n_judgements,
                             enum score_negatives negatives)
{
    struct confusion counts = {0};
    for (size_t i = 0; i < n_judgements; i++) {
        const struct judgement *judgement = &judgements[i];
        if (!score_includes(judgement->truth, negatives)) continue;
        if (judgement->truth == WINDOW_FIRING) {
            counts.n_true_firing += judgement->answer == ANSWER_FIRES;
            counts.n_missed += judgement->answer != ANSWER_FIRES;
            counts.n_failed_firing += judgement->answer == ANSWER_FAILED;
        } else {
            counts.n_true_silent += judgement->answer == ANSWER_SILENT;
            counts.n_false_alarm += judgement->answer != ANSWER_SILENT;
            counts.n_failed_silent += judgement->answer == ANSWER_FAILED;
        }
    }
    return counts;
}

struct kind_counts score_count_kind(const struct judgement *judgements, size_t n_judgements,
                                    enum window_kind kind)
{
    struct kind_counts counts = {0};
    for (size_t i = 0; i < n_judgements; i++) {
        if (judgements[i].truth != kind) continue;
        counts.n_true_silent += judgements[i].answer == ANSWER_SILENT;
        counts.n_false_alarm += judgements[i].answer != ANSWER_SILENT;
    }
    return counts;
}

static double n_firing(const struct confusion *confusion)
{
    return (double)confusion->n_true_firing + confusion->n_missed;
}

static double n_silent(const struct confusion *confusion)
{
    return (double)confusion->n_true_silent + confusion->n_false_alarm;
}

static struct score_value ratio(const struct confusion *confusion, double part, double whole)
{
    if (n_firing(confusion) <= 0 || n_silent(confusion) <= 0 || whole <= 0)
        return (struct score_value){false, 0.0};
    return (struct score_value){true, part / whole};
}

struct score_value score_balanced_accuracy(const struct confusion *confusion)
{
    const double firing = n_firing(confusion), silent = n_silent(confusion);
    return ratio(confusion, confusion->n_true_firing * silent + confusion->n_true_silent * firing,
                 2.0 * firing * silent);
}

struct score_value score_recall(const struct confusion *confusion)
{
    return ratio(confusion, confusion->n_true_firing, n_firing(confusion));
}

struct score_value score_precision(const struct confusion *confusion)
{
    return ratio(confusion, confusion->n_true_firing,
                 (double)confusion->n_true_firing + confusion->n_false_alarm);
}

struct score_value score_f1(const struct confusion *confusion)
{
    const double doubled = 2.0 * confusion->n_true_firing;
    return ratio(confusion, doubled, doubled + confusion->n_missed + confusion->n_false_alarm);
}

struct ranked {
    double probability;
    bool is_firing;
};

static int compare_ranked(const void *left, const void *right)
{
    const double a = ((const struct ranked *)left)->probability;
    const double b = ((const struct ranked *)right)->probability;
    return (a > b) - (a < b);
}

/* Mann-Whitney over ascending probabilities: each firing one beats the silent ones below it and
 * half of those it ties with. */
static struct score_value auroc_of_sorted(const struct ranked *ranked, size_t n)
{
    double wins = 0.0, n_silent_below = 0.0, n_firing_seen = 0.0;
    for (size_t first = 0; first < n;) {
        double tied_firing = 0.0, tied_silent = 0.0;
        size_t last = first;
        for (; last < n && !(ranked[last].probability > ranked[first].probability); last++) {
            tied_firing += ranked[last].is_firing;
            tied_silent += !ranked[last].is_firing;
        }
        wins += tied_firing * (n_silent_below + tied_silent / 2.0);
        n_silent_below += tied_silent;
        n_firing_seen += tied_firing;
        first = last;
    }
    if (n_firing_seen <= 0 || n_silent_below <= 0) return (struct score_value){false, 0.0};
    return (struct score_value){true, wins / (n_firing_seen * n_silent_below)};
}

status_t score_auroc(const struct judgement *judgements, size_t n_judgements,
                     enum score_negatives negatives, struct score_value *out, struct error *err)
{
    struct ranked *ranked = calloc(n_judgements + 1, sizeof *ranked);
    if (!ranked) return error_set(err, ST_NO_MEMORY, "AUROC of %zu judgements", n_judgements);
    status_t status = ST_OK;
    size_t n = 0;
    *out = (struct score_value){false, 0.0};
    for (size_t i = 0; i < n_judgements; i++) {
        const struct judgement *judgement = &judgements[i];
        if (!score_includes(judgement->truth, negatives)) continue;
        const bool is_firing = judgement->truth == WINDOW_FIRING;
        double probability = is_firing ? -1.0 : 2.0; /* failed: behind every answer */
        if (judgement->answer != ANSWER_FAILED) {
            if (!judgement->has_probability) goto done;
            probability = judgement->probability;
            if (!(probability >= 0.0 && probability <= 1.0)) {
                status =
                    error_set(err, ST_BAD_INPUT, "judgement %zu: probability %g", i, probability);
                goto done;
            }
        }
        ranked[n++] = (struct ranked){probability, is_firing};
    }
    qsort(ranked, n, sizeof *ranked, compare_ranked);
    *out = auroc_of_sorted(ranked, n);
done:
    free(ranked);
    return status;
}
