#include "coordinator/session/agreement.h"

#include <stdlib.h>

/* What windows add to either kappa: all are counts, so that "expected agreement is 1" is exact. */
struct tally {
    uint64_t document_key;
    uint64_t n;            /* windows */
    uint64_t n_same_pairs; /* ordered pairs of different judges with one answer */
    uint64_t n_fires;      /* answers "fires", of all judges */
    uint64_t n_first;      /* of the first judge */
    uint64_t n_second;     /* of the second */
};

typedef struct score_value expected_agreement(const struct tally *tally, size_t n_judges);

static struct score_value expected_cohen(const struct tally *tally, size_t n_judges)
{
    (void)n_judges; /* two */
    const double n = (double)tally->n;
    const double a = (double)tally->n_first / n, b = (double)tally->n_second / n;
    const bool is_certain = (tally->n_first == 0 && tally->n_second == 0) ||
                            (tally->n_first == tally->n && tally->n_second == tally->n);
    return (struct score_value){!is_certain, is_certain ? 1.0 : a * b + (1.0 - a) * (1.0 - b)};
}

static struct score_value expected_fleiss(const struct tally *tally, size_t n_judges)
{
    const double n_answers = (double)tally->n * (double)n_judges;
    const double fires = (double)tally->n_fires / n_answers;
    const bool is_certain = tally->n_fires == 0 || tally->n_fires == tally->n * n_judges;
    return (struct score_value){!is_certain,
                                is_certain ? 1.0 : fires * fires + (1.0 - fires) * (1.0 - fires)};
}

/* What a resample needs. */
struct panel {
    expected_agreement *expected;
    size_t n_judges;
    struct tally *documents; /* in order of the key */
    size_t n_documents;
};

static double observed_of(const struct panel *panel, const struct tally *sum)
{
    const double n_pairs = (double)panel->n_judges * (double)(panel->n_judges - 1);
    return (double)sum->n_same_pairs / (n_pairs * (double)sum->n);
}

/* Undefined when expected agreement is 1. */
static struct score_value kappa_of(const struct panel *panel, const struct tally *sum)
{
    if (sum->n == 0) return (struct score_value){false, 0.0};
    const struct score_value expected = panel->expected(sum, panel->n_judges);
    if (!expected.is_defined) return (struct score_value){false, 0.0};
    const double beyond = observed_of(panel, sum) - expected.value;
    return (struct score_value){true, beyond / (1.0 - expected.value)};
}

static void add_tally(struct tally *sum, const struct tally *more)
{
    sum->n += more->n;
    sum->n_same_pairs += more->n_same_pairs;
    sum->n_fires += more->n_fires;
    sum->n_first += more->n_first;
    sum->n_second += more->n_second;
}

static bool kappa_of_drawn(void *context, const uint32_t *drawn, size_t n_documents, double *value)
{
    const struct panel *panel = context;
    struct tally sum = {0};
    for (size_t i = 0; i < n_documents; i++) add_tally(&sum, &panel->documents[drawn[i]]);
    const struct score_value kappa = kappa_of(panel, &sum);
    *value = kappa.value;
    return kappa.is_defined;
}

/* --- counting ------------------------------------------------------------ */

static int compare_documents(const void *left, const void *right)
{
    const uint64_t a = ((const struct tally *)left)->document_key;
    const uint64_t b = ((const struct tally *)right)->document_key;
    return (a > b) - (a < b);
}

/* One window; false if a judge did not answer it. */
static bool count_window(const struct judgement *const *judges, size_t n_judges, size_t index,
                         struct tally *out)
{
    uint64_t n_fires = 0;
    for (size_t j = 0; j < n_judges; j++) {
        if (judges[j][index].answer == ANSWER_FAILED) return false;
        n_fires += judges[j][index].answer == ANSWER_FIRES;
    }
    const uint64_t n_silent = n_judges - n_fires;
    *out = (struct tally){.document_key = judges[0][index].document_key,
                          .n = 1,
                          .n_same_pairs = n_fires * n_fires + n_silent * n_silent - n_judges,
                          .n_fires = n_fires,
                          .n_first = judges[0][index].answer == ANSWER_FIRES,
                          .n_second = judges[1][index].answer == ANSWER_FIRES};
    return true;
}

static size_t merge_documents(struct tally *tallies, size_t n)
{
    size_t n_documents = 0;
    qsort(tallies, n, sizeof *tallies, compare_documents);
    for (size_t i = 0; i < n; i++)
        if (n_documents > 0 && tallies[n_documents - 1].document_key == tallies[i].document_key)
            add_tally(&tallies[n_documents - 1], &tallies[i]);
        else
            tallies[n_documents++] = tallies[i];
    return n_documents;
}

static status_t check_judges(const struct judgement *const *judges, size_t n_judges,
                             size_t n_windows, struct error *err)
{
    if (n_judges < 2 || n_judges > AGREEMENT_MAX_JUDGES)
        return error_set(err, ST_BAD_INPUT, "agreement of %zu judges (2 to %d)", n_judges,
                         AGREEMENT_MAX_JUDGES);
    for (size_t j = 1; j < n_judges; j++)
        for (size_t i = 0; i < n_windows; i++)
            if (judges[j][i].document_key != judges[0][i].document_key ||
                judges[j][i].truth != judges[0][i].truth)
                return error_set(err, ST_BAD_INPUT,
                                 "agreement: judge %zu saw another window at %zu than the first", j,
                                 i);
    return ST_OK;
}

static status_t measure(struct panel *panel, const struct judgement *const *judges,
                        size_t n_windows, const struct bootstrap_params *params,
                        struct agreement *out, struct error *err)
{
    struct agreement made = {.n_windows = 0};
    struct tally sum = {0};
    for (size_t i = 0; i < n_windows; i++)
        made.n_windows +=
            count_window(judges, panel->n_judges, i, &panel->documents[made.n_windows]);
    made.n_left_out = n_windows - made.n_windows;
    panel->n_documents = made.n_documents = merge_documents(panel->documents, made.n_windows);
    for (size_t i = 0; i < panel->n_documents; i++) add_tally(&sum, &panel->documents[i]);
    if (sum.n > 0) {
        made.observed = (struct score_value){true, observed_of(panel, &sum)};
        made.expected = (struct score_value){true, panel->expected(&sum, panel->n_judges).value};
    }
    made.kappa = kappa_of(panel, &sum);
    status_t status = ST_OK;
    if (made.kappa.is_defined)
        status = bootstrap_documents(kappa_of_drawn, panel, panel->n_documents, params,
                                     &made.interval, err);
    if (status == ST_OK) *out = made;
    return status;
}

static status_t agreement_of(expected_agreement *expected, const struct judgement *const *judges,
                             size_t n_judges, size_t n_windows,
                             const struct bootstrap_params *params, struct agreement *out,
                             struct error *err)
{
    status_t status = check_judges(judges, n_judges, n_windows, err);
    if (status != ST_OK) return status;
    struct panel panel = {expected, n_judges, NULL, 0};
    panel.documents = calloc(n_windows + 1, sizeof *panel.documents);
    if (!panel.documents)
        return error_set(err, ST_NO_MEMORY, "agreement on %zu windows", n_windows);
    status = measure(&panel, judges, n_windows, params, out, err);
    free(panel.documents);
    return status;
}

status_t agreement_cohen(const struct judgement *a, const struct judgement *b, size_t n_windows,
                         const struct bootstrap_params *params, struct agreement *out,
                         struct error *err)
{
    const struct judgement *const judges[2] = {a, b};
    return agreement_of(expected_cohen, judges, 2, n_windows, params, out, err);
}

status_t agreement_fleiss(const struct judgement *const *judges, size_t n_judges, size_t n_windows,
                          const struct bootstrap_params *params, struct agreement *out,
                          struct error *err)
{
    return agreement_of(expected_fleiss, judges, n_judges, n_windows, params, out, err);
}
