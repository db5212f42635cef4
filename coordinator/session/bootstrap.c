#include "coordinator/session/bootstrap.h"

#include "coordinator/session/draw.h"

#include <stdlib.h>
#include <string.h>

/* --- documents ------------------------------------------------------------------------ */

struct tagged {
    const struct judgement *judgement;
    bool is_rival;
};

static int compare_tagged(const void *left, const void *right)
{
    const uint64_t a = ((const struct tagged *)left)->judgement->document_key;
    const uint64_t b = ((const struct tagged *)right)->judgement->document_key;
    return (a > b) - (a < b);
}

static size_t tag_included(const struct judgement *judgements, size_t n, bool is_rival,
                           enum score_negatives negatives, struct tagged *out)
{
    size_t n_out = 0;
    for (size_t i = 0; i < n; i++)
        if (score_includes(judgements[i].truth, negatives))
            out[n_out++] = (struct tagged){&judgements[i], is_rival};
    return n_out;
}

static void add_counts(struct confusion *sum, struct confusion more)
{
    sum->n_true_firing += more.n_true_firing;
    sum->n_missed += more.n_missed;
    sum->n_true_silent += more.n_true_silent;
    sum->n_false_alarm += more.n_false_alarm;
    sum->n_failed_firing += more.n_failed_firing;
    sum->n_failed_silent += more.n_failed_silent;
}

static bool same_items(const struct document_counts *document)
{
    const struct confusion *a = &document->label, *b = &document->rival;
    return a->n_true_firing + a->n_missed == b->n_true_firing + b->n_missed &&
           a->n_true_silent + a->n_false_alarm == b->n_true_silent + b->n_false_alarm;
}

status_t document_counts_build(const struct judgement *judgements, size_t n_judgements,
                               const struct judgement *rival, size_t n_rival,
                               enum score_negatives negatives, struct document_counts **out,
                               size_t *n_documents, struct error *err)
{
    struct tagged *tagged = calloc(n_judgements + n_rival + 1, sizeof *tagged);
    struct document_counts *documents = calloc(n_judgements + n_rival + 1, sizeof *documents);
    status_t status = ST_OK;
    size_t n = 0;
    if (!tagged || !documents) {
        status = error_set(err, ST_NO_MEMORY, "counts of %zu judgements", n_judgements + n_rival);
        goto done;
    }
    size_t n_tagged = tag_included(judgements, n_judgements, false, negatives, tagged);
    n_tagged += tag_included(rival, n_rival, true, negatives, tagged + n_tagged);
    qsort(tagged, n_tagged, sizeof *tagged, compare_tagged);
    for (size_t i = 0; i < n_tagged; i++) {
        const struct judgement *judgement = tagged[i].judgement;
        if (n == 0 || documents[n - 1].document_key != judgement->document_key)
            documents[n++].document_key = judgement->document_key;
        struct document_counts *document = &documents[n - 1];
        add_counts(tagged[i].is_rival ? &document->rival : &document->label,
                   score_count(judgement, 1, negatives));
    }
    for (size_t i = 0; n_rival > 0 && i < n && status == ST_OK; i++)
        if (!same_items(&documents[i]))
            status = error_set(err, ST_BAD_INPUT,
                               "paired labels: document %016llx was not judged on the same windows",
                               (unsigned long long)documents[i].document_key);
    if (status != ST_OK) goto done;
    *out = documents;
    *n_documents = n;
    documents = NULL; /* the caller's now */
done:
    free(tagged);
    free(documents);
    return status;
}

/* --- quantiles ------------------------------------------------------------------------ */

/* Hoare's selection: values[k] becomes the k-th smallest, larger ones stand behind it. */
static double select_kth(double *values, size_t n, size_t k)
{
    size_t low = 0, high = n - 1;
    while (low < high) {
        const double pivot = values[low + (high - low) / 2];
        size_t i = low, j = high;
        for (;;) {
            while (values[i] < pivot) i++;
            while (values[j] > pivot) j--;
            if (i >= j) break;
            const double swapped = values[i];
            values[i++] = values[j];
            values[j--] = swapped;
        }
        if (k <= j)
            high = j;
        else
            low = j + 1;
    }
    return values[k];
}

double bootstrap_quantile(double *values, size_t n, double q)
{
    const double place = q * (double)(n - 1);
    const size_t below = (size_t)place;
    const double low = select_kth(values, n, below);
    if (below + 1 >= n) return low;
    double next = values[below + 1];
    for (size_t i = below + 2; i < n; i++)
        if (values[i] < next) next = values[i];
    return low + (place - (double)below) * (next - low);
}

/* --- resampling ----------------------------------------------------------------------- */

static status_t check_params(const struct bootstrap_params *params, size_t n_documents,
                             struct error *err)
{
    if (params->n_resamples == 0 || params->n_resamples > BOOTSTRAP_MAX_RESAMPLES)
        return error_set(err, ST_BAD_INPUT, "bootstrap: %u resamples (1 to %d)",
                         params->n_resamples, BOOTSTRAP_MAX_RESAMPLES);
    if (!(params->confidence > 0.0 && params->confidence < 1.0))
        return error_set(err, ST_BAD_INPUT, "bootstrap: confidence %g is not in (0, 1)",
                         params->confidence);
    if (n_documents > UINT32_MAX)
        return error_set(err, ST_TOO_LARGE, "bootstrap: %zu documents", n_documents);
    return ST_OK;
}

static void interval_of(double *values, const struct bootstrap_params *params, struct interval *out)
{
    const double tail = (1.0 - params->confidence) / 2.0;
    out->is_defined = true;
    out->low = bootstrap_quantile(values, params->n_resamples, tail);
    out->high = bootstrap_quantile(values, params->n_resamples, 1.0 - tail);
}

status_t bootstrap_documents(bootstrap_statistic *statistic, void *context, size_t n_documents,
                             const struct bootstrap_params *params, struct interval *out,
                             struct error *err)
{
    const status_t status = check_params(params, n_documents, err);
    if (status != ST_OK) return status;
    double *values = malloc(params->n_resamples * sizeof *values);
    uint32_t *drawn = malloc((n_documents + 1) * sizeof *drawn);
    struct draw draw = draw_stream(params->seed, DRAW_BOOTSTRAP, params->subject);
    const uint64_t max_redraws = (uint64_t)BOOTSTRAP_MAX_REDRAWS * params->n_resamples;
    uint32_t n_values = 0;
    *out = (struct interval){0};
    if (!values || !drawn) {
        free(values);
        free(drawn);
        return error_set(err, ST_NO_MEMORY, "bootstrap of %zu documents", n_documents);
    }
    while (n_documents > 0 && n_values < params->n_resamples && out->n_redrawn < max_redraws) {
        for (size_t i = 0; i < n_documents; i++)
            drawn[i] = draw_below(&draw, (uint32_t)n_documents);
        const bool is_defined = statistic(context, drawn, n_documents, &values[n_values]);
        n_values += is_defined;
        out->n_redrawn += !is_defined;
    }
    if (n_values == params->n_resamples) interval_of(values, params, out);
    free(values);
    free(drawn);
    return ST_OK;
}

/* The fast path: counts of a document packed two to a word, so that a resample is additions.
 * Sums stay below 2^32 because pack_counts() refuses more. */
struct packed {
    uint64_t firing; /* n_true_firing | n_missed << 32 */
    uint64_t silent; /* n_true_silent | n_false_alarm << 32 */
};

static struct packed pack(const struct confusion *counts)
{
    return (struct packed){counts->n_true_firing | (uint64_t)counts->n_missed << 32,
                           counts->n_true_silent | (uint64_t)counts->n_false_alarm << 32};
}

static struct confusion unpack(struct packed packed)
{
    return (struct confusion){.n_true_firing = (uint32_t)packed.firing,
                              .n_missed = (uint32_t)(packed.firing >> 32),
                              .n_true_silent = (uint32_t)packed.silent,
                              .n_false_alarm = (uint32_t)(packed.silent >> 32)};
}

struct pair {
    struct packed label;
    struct packed rival;
};

/* Draw n documents. Two draws share one mix; a multiply maps 32 bits to [0, n), whose bias
 * (below n / 2^32) is far under the noise of 2,000 resamples. */
static struct packed resample_one(const struct pair *pairs, size_t n, struct draw *draw)
{
    struct packed sum = {0, 0};
    uint64_t word = 0;
    for (size_t i = 0; i < n; i++) {
        word = i % 2 ? word >> 32 : draw_next(draw);
        const struct packed *one = &pairs[((word & UINT32_MAX) * n) >> 32].label;
        sum.firing += one->firing;
        sum.silent += one->silent;
    }
    return sum;
}

static struct pair resample_both(const struct pair *pairs, size_t n, struct draw *draw)
{
    struct pair sum = {{0, 0}, {0, 0}};
    uint64_t word = 0;
    for (size_t i = 0; i < n; i++) {
        word = i % 2 ? word >> 32 : draw_next(draw);
        const struct pair *one = &pairs[((word & UINT32_MAX) * n) >> 32];
        sum.label.firing += one->label.firing;
        sum.label.silent += one->label.silent;
        sum.rival.firing += one->rival.firing;
        sum.rival.silent += one->rival.silent;
    }
    return sum;
}

enum counted_score { COUNTED_BALANCED_ACCURACY, COUNTED_F1, COUNTED_DIFFERENCE };

static struct score_value score_resample(const struct pair *pairs, size_t n,
                                         enum counted_score score, struct draw *draw)
{
    if (score != COUNTED_DIFFERENCE) {
        const struct confusion counts = unpack(resample_one(pairs, n, draw));
        return score == COUNTED_F1 ? score_f1(&counts) : score_balanced_accuracy(&counts);
    }
    const struct pair sum = resample_both(pairs, n, draw);
    const struct confusion label = unpack(sum.label), rival = unpack(sum.rival);
    const struct score_value a = score_balanced_accuracy(&label);
    const struct score_value b = score_balanced_accuracy(&rival);
    return (struct score_value){a.is_defined && b.is_defined, a.value - b.value};
}

static status_t pack_documents(const struct document_counts *documents, size_t n_documents,
                               struct pair **out, struct error *err)
{
    uint64_t largest = 0;
    struct pair *pairs = malloc((n_documents + 1) * sizeof *pairs);
    if (!pairs) return error_set(err, ST_NO_MEMORY, "bootstrap of %zu documents", n_documents);
    for (size_t i = 0; i < n_documents; i++) {
        const struct confusion *a = &documents[i].label, *b = &documents[i].rival;
        const uint64_t n_items = (uint64_t)a->n_true_firing + a->n_missed + a->n_true_silent +
                                 a->n_false_alarm + b->n_true_firing + b->n_missed +
                                 b->n_true_silent + b->n_false_alarm;
        if (n_items > largest) largest = n_items;
        pairs[i] = (struct pair){pack(a), pack(b)};
    }
    if (n_documents > 0 && largest > UINT32_MAX / n_documents) {
        free(pairs);
        return error_set(err, ST_TOO_LARGE, "bootstrap: %zu documents of up to %llu windows",
                         n_documents, (unsigned long long)largest);
    }
    *out = pairs;
    return ST_OK;
}

static status_t bootstrap_counts(const struct document_counts *documents, size_t n_documents,
                                 enum counted_score score, const struct bootstrap_params *params,
                                 struct interval *out, struct error *err)
{
    struct pair *pairs = NULL;
    status_t status = check_params(params, n_documents, err);
    if (status == ST_OK) status = pack_documents(documents, n_documents, &pairs, err);
    if (status != ST_OK) return status;
    double *values = malloc(params->n_resamples * sizeof *values);
    if (!values) {
        free(pairs);
        return error_set(err, ST_NO_MEMORY, "bootstrap of %u resamples", params->n_resamples);
    }
    struct draw draw = draw_stream(params->seed, DRAW_BOOTSTRAP, params->subject);
    const uint64_t max_redraws = (uint64_t)BOOTSTRAP_MAX_REDRAWS * params->n_resamples;
    uint32_t n_values = 0;
    *out = (struct interval){0};
    while (n_documents > 0 && n_values < params->n_resamples && out->n_redrawn < max_redraws) {
        const struct score_value drawn = score_resample(pairs, n_documents, score, &draw);
        values[n_values] = drawn.value;
        n_values += drawn.is_defined;
        out->n_redrawn += !drawn.is_defined;
    }
    if (n_values == params->n_resamples) interval_of(values, params, out);
    free(values);
    free(pairs);
    return ST_OK;
}

status_t bootstrap_balanced_accuracy(const struct document_counts *documents, size_t n_documents,
                                     const struct bootstrap_params *params, struct interval *out,
                                     struct error *err)
{
    return bootstrap_counts(documents, n_documents, COUNTED_BALANCED_ACCURACY, params, out, err);
}

status_t bootstrap_f1(const struct document_counts *documents, size_t n_documents,
                      const struct bootstrap_params *params, struct interval *out,
                      struct error *err)
{
    return bootstrap_counts(documents, n_documents, COUNTED_F1, params, out, err);
}

status_t bootstrap_difference(const struct document_counts *documents, size_t n_documents,
                              const struct bootstrap_params *params, struct interval *out,
                              struct error *err)
{
    return bootstrap_counts(documents, n_documents, COUNTED_DIFFERENCE, params, out, err);
}
