#include "coordinator/session/lexical.h"

#include <string.h>

static const double TOKEN_WEIGHT = 0.3;    /* of the F1 over tokens beside balanced accuracy */
static const double TERM_PENALTY = 0.01;   /* for every term after the first */
static const double FAMILY_MARGIN = 0.005; /* a later family must be this much better */

/* The windows that a fit or a test may look at: all folds, all but one, or one. */
struct view {
    const struct lexical_candidates *found;
    uint64_t mask[WINDOW_N_KINDS][LEXICAL_WORDS];
    double n_windows[WINDOW_N_KINDS];
    bool uses_fold[LEXICAL_FOLDS];
    double n_strong, n_silent_tokens;
};

/* What a union of candidates covers. Token counts are sums over its terms: exact while the terms
 * do not overlap, bounds otherwise. */
struct tally {
    uint64_t covers[LEXICAL_WORDS];
    double n_strong_hits, n_silent_hits;
    size_t n_terms;
};

struct solution {
    const struct lexical_candidate *terms[LEXICAL_MAX_TERMS];
    struct tally tally;
    double objective;
};

struct family_list {
    const struct lexical_candidate *candidates[LEXICAL_MAX_CANDIDATES];
    size_t n;
    size_t max_terms;
};

static size_t count_common(const uint64_t *a, const uint64_t *b, size_t n_words)
{
    size_t n = 0;
    for (size_t w = 0; w < n_words; w++) n += (size_t)__builtin_popcountll(a[w] & b[w]);
    return n;
}

static void view_init(struct view *view, const struct lexical_candidates *found,
                      const bool uses_fold[LEXICAL_FOLDS])
{
    *view = (struct view){.found = found};
    for (size_t fold = 0; fold < LEXICAL_FOLDS; fold++) {
        view->uses_fold[fold] = uses_fold[fold];
        if (!uses_fold[fold]) continue;
        view->n_strong += found->n_strong[fold];
        view->n_silent_tokens += (double)found->n_silent_tokens[fold];
        for (size_t kind = 0; kind < WINDOW_N_KINDS; kind++)
            for (size_t w = 0; w < found->n_words; w++)
                view->mask[kind][w] |= found->kind_mask[kind][w] & found->fold_mask[fold][w];
    }
    for (size_t kind = 0; kind < WINDOW_N_KINDS; kind++)
        view->n_windows[kind] =
            (double)count_common(view->mask[kind], view->mask[kind], found->n_words);
}

static bool has_both_classes(const struct view *view)
{
    double n_silent = 0;
    for (size_t kind = WINDOW_SILENT_RANDOM; kind < WINDOW_N_KINDS; kind++)
        n_silent += view->n_windows[kind];
    return view->n_windows[WINDOW_FIRING] > 0 && n_silent > 0;
}

static double rate_of(const struct view *view, enum window_kind kind, const uint64_t *covers)
{
    return (double)count_common(view->mask[kind], covers, view->found->n_words) /
           view->n_windows[kind];
}

/* (TPR + TNR) / 2; TNR is the mean over the kinds of silent windows that are there. With one
 * class only, the rate of that class. */
static double balanced_accuracy(const struct view *view, const uint64_t *covers)
{
    double true_negative = 0.0, n_kinds = 0.0;
    for (unsigned kind = WINDOW_SILENT_RANDOM; kind < WINDOW_N_KINDS; kind++) {
        if (view->n_windows[kind] <= 0) continue;
        true_negative += 1.0 - rate_of(view, (enum window_kind)kind, covers);
        n_kinds += 1.0;
    }
    if (n_kinds > 0) true_negative /= n_kinds;
    if (view->n_windows[WINDOW_FIRING] <= 0) return true_negative;
    const double true_positive = rate_of(view, WINDOW_FIRING, covers);
    return n_kinds > 0 ? (true_positive + true_negative) / 2.0 : true_positive;
}

/* base^exponent by squaring: the same bits on every machine, unlike pow(). */
static double power(double base, uint64_t exponent)
{
    double result = 1.0;
    for (; exponent > 0; exponent >>= 1) {
        if (exponent & 1) result *= base;
        base *= base;
    }
    return result;
}

/* Balanced accuracy as it must be expected from tokens: a silent window of the usual length stays
 * silent with (1 - r)^length, r the share of silent tokens that match. Far less noisy than the
 * few silent windows themselves, which greedy unions learn by heart. */
static double expected_accuracy(const struct view *view, const struct tally *tally)
{
    const uint64_t length = view->found->n_tokens / view->found->n_windows;
    double rate = view->n_silent_tokens > 0 ? tally->n_silent_hits / view->n_silent_tokens : 0.0;
    if (rate > 1.0) rate = 1.0;
    const double true_positive =
        view->n_windows[WINDOW_FIRING] > 0 ? rate_of(view, WINDOW_FIRING, tally->covers) : 0.0;
    return (true_positive + power(1.0 - rate, length)) / 2.0;
}

static double objective_of(const struct view *view, const struct tally *tally)
{
    const double n_called = view->n_strong + tally->n_strong_hits + tally->n_silent_hits;
    const double token_f1 = n_called > 0 ? 2.0 * tally->n_strong_hits / n_called : 0.0;
    const double n_further = tally->n_terms > 0 ? (double)tally->n_terms - 1.0 : 0.0;
    const double accuracy =
        (balanced_accuracy(view, tally->covers) + expected_accuracy(view, tally)) / 2.0;
    return accuracy + TOKEN_WEIGHT * (token_f1 < 1.0 ? token_f1 : 1.0) - TERM_PENALTY * n_further;
}

static void tally_add(const struct view *view, struct tally *tally,
                      const struct lexical_candidate *candidate)
{
    tally->n_terms++;
    for (size_t w = 0; w < view->found->n_words; w++) tally->covers[w] |= candidate->covers[w];
    for (size_t fold = 0; fold < LEXICAL_FOLDS; fold++) {
        if (!view->uses_fold[fold]) continue;
        tally->n_strong_hits += candidate->n_strong_hits[fold];
        tally->n_silent_hits += candidate->n_silent_hits[fold];
    }
}

static void add_term(const struct view *view, struct solution *solution,
                     const struct lexical_candidate *candidate)
{
    solution->terms[solution->tally.n_terms] = candidate;
    tally_add(view, &solution->tally, candidate);
    solution->objective = objective_of(view, &solution->tally);
}

static bool has_term(const struct solution *solution, const struct lexical_candidate *candidate)
{
    for (size_t t = 0; t < solution->tally.n_terms; t++)
        if (solution->terms[t] == candidate) return true;
    return false;
}

/* The candidate that makes the best union with `so_far`; its objective in *objective. */
static const struct lexical_candidate *best_addition(const struct view *view,
                                                     const struct family_list *family,
                                                     const struct solution *so_far,
                                                     double *objective)
{
    const struct lexical_candidate *best = NULL;
    for (size_t i = 0; i < family->n; i++) {
        if (has_term(so_far, family->candidates[i])) continue;
        struct tally tried = so_far->tally;
        tally_add(view, &tried, family->candidates[i]);
        const double value = objective_of(view, &tried);
        if (best && value <= *objective + 1e-12) continue;
        best = family->candidates[i];
        *objective = value;
    }
    return best;
}

/* Add the term that helps most, as long as one helps. */
static struct solution fit_union(const struct view *view, const struct family_list *family)
{
    struct solution fitted = {.objective = 0.0};
    while (fitted.tally.n_terms < family->max_terms) {
        double objective = 0.0;
        const struct lexical_candidate *next = best_addition(view, family, &fitted, &objective);
        if (!next || (fitted.tally.n_terms > 0 && objective <= fitted.objective + 1e-12)) break;
        add_term(view, &fitted, next);
    }
    return fitted;
}

/* The same terms, judged on other windows. */
static struct solution rejudge(const struct view *view, const struct solution *fitted)
{
    struct solution judged = {.objective = 0.0};
    for (size_t t = 0; t < fitted->tally.n_terms; t++) add_term(view, &judged, fitted->terms[t]);
    return judged;
}

struct held_out {
    size_t n_folds; /* in which both classes were on both sides */
    double objective, balanced_accuracy;
};

struct folds {
    struct view all;
    struct view train[LEXICAL_FOLDS];
    struct view test[LEXICAL_FOLDS];
};

static void folds_init(struct folds *folds, const struct lexical_candidates *found)
{
    static const bool every[LEXICAL_FOLDS] = {true, true, true, true};
    view_init(&folds->all, found, every);
    for (size_t fold = 0; fold < LEXICAL_FOLDS; fold++) {
        bool others[LEXICAL_FOLDS] = {true, true, true, true}, only[LEXICAL_FOLDS] = {false};
        others[fold] = false;
        only[fold] = true;
        view_init(&folds->train[fold], found, others);
        view_init(&folds->test[fold], found, only);
    }
}

static struct held_out cross_validate(const struct folds *folds, const struct family_list *family)
{
    struct held_out sum = {0};
    for (size_t fold = 0; fold < LEXICAL_FOLDS; fold++) {
        const struct view *train = &folds->train[fold], *test = &folds->test[fold];
        if (!has_both_classes(train) || !has_both_classes(test)) continue;
        const struct solution fitted = fit_union(train, family);
        const struct solution judged = rejudge(test, &fitted);
        sum.n_folds++;
        sum.objective += judged.objective;
        sum.balanced_accuracy += balanced_accuracy(test, judged.tally.covers);
    }
    if (sum.n_folds == 0) return sum;
    sum.objective /= (double)sum.n_folds;
    sum.balanced_accuracy /= (double)sum.n_folds;
    return sum;
}

/* FAMILY_MIXED is every candidate together. */
static struct family_list list_family(const struct lexical_candidates *found,
                                      enum lexical_family family)
{
    static const size_t max_terms[LEXICAL_N_FAMILIES + 1] = {
        [FAMILY_TOKEN] = 8,        [FAMILY_WORD] = 8,           [FAMILY_POSITION] = 1,
        [FAMILY_CLASS] = 2,        [FAMILY_AFFIX] = 4,          [FAMILY_AFTER_WORD] = 8,
        [FAMILY_AFTER_WORD_2] = 4, [FAMILY_AFTER_WORD_3] = 4,   [FAMILY_AFTER_CLASS] = 2,
        [FAMILY_SEQUENCE] = 8,     [FAMILY_AFTER_SEQUENCE] = 8, [FAMILY_REPEATED] = 1,
        [FAMILY_MIXED] = 6};
    struct family_list list = {.max_terms = max_terms[family]};
    for (size_t f = 0; f < LEXICAL_N_FAMILIES; f++)
        for (size_t i = 0; (f == family || family == FAMILY_MIXED) && i < found->n_in_family[f];
             i++)
            list.candidates[list.n++] = &found->in_family[f][i];
    return list;
}

struct choice {
    enum lexical_family family;
    struct held_out held_out;
    bool is_made;
    double value;
};

static void consider(struct choice *choice, const struct folds *folds,
                     const struct family_list *list, enum lexical_family family)
{
    struct held_out held_out = cross_validate(folds, list);
    double value = held_out.objective;
    if (held_out.n_folds == 0) value = fit_union(&folds->all, list).objective;
    if (choice->is_made && value <= choice->value + FAMILY_MARGIN) return;
    *choice = (struct choice){family, held_out, true, value};
}

/* Halfway between how often the pattern matches strong tokens and silent ones. */
static double mark_threshold(const struct view *view, const struct solution *solution)
{
    const double hit_rate =
        view->n_strong > 0 ? solution->tally.n_strong_hits / view->n_strong : 0.0;
    const double false_rate =
        view->n_silent_tokens > 0 ? solution->tally.n_silent_hits / view->n_silent_tokens : 0.0;
    if (hit_rate <= false_rate) return 1.0;
    const double middle = ((hit_rate < 1.0 ? hit_rate : 1.0) + false_rate) / 2.0;
    return middle < 1.0 ? middle : 1.0;
}

static void pattern_of(const struct view *view, const struct solution *solution,
                       struct lexical_pattern *out)
{
    *out = (struct lexical_pattern){.n_terms = (uint32_t)solution->tally.n_terms};
    for (size_t t = 0; t < solution->tally.n_terms; t++) out->terms[t] = solution->terms[t]->term;
    out->mark_threshold = mark_threshold(view, solution);
}

status_t lexical_explain(struct lexical_workspace *workspace, const struct window *windows,
                         size_t n_windows, struct lexical_label *out, struct error *err)
{
    const struct lexical_candidates *found;
    status_t status = lexical_candidates_find(workspace, windows, n_windows, &found, err);
    if (status != ST_OK) return status;
    struct folds folds;
    struct choice choice = {.is_made = false};
    folds_init(&folds, found);
    for (enum lexical_family family = 0; family <= FAMILY_MIXED; family++) {
        const struct family_list list = list_family(found, family);
        if (list.n > 0) consider(&choice, &folds, &list, family);
    }
    if (!choice.is_made) return error_set(err, ST_NOT_FOUND, "lexical: no usable term");
    const struct family_list list = list_family(found, choice.family);
    const struct solution fitted = fit_union(&folds.all, &list);
    struct lexical_label made = {.family = choice.family};
    made.fitted = (struct score_value){has_both_classes(&folds.all),
                                       balanced_accuracy(&folds.all, fitted.tally.covers)};
    made.held_out =
        (struct score_value){choice.held_out.n_folds > 0, choice.held_out.balanced_accuracy};
    pattern_of(&folds.all, &fitted, &made.pattern);
    status = lexical_pattern_describe(&made.pattern, lexical_workspace_vocabulary(workspace),
                                      made.text, err);
    if (status == ST_OK) *out = made;
    return status;
}
