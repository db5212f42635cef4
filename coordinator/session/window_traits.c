#include "coordinator/session/window_traits.h"

#include "common/hash.h"
#include "coordinator/session/lexical_terms.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double MIN_SHARE = 0.06;      /* of the firing windows */
static const double MAX_BACKGROUND = 0.02; /* of the silent tokens */
static const double MAX_CHANCE = 1e-4;     /* that so many windows share it by accident */

static size_t least_support(size_t n_firing)
{
    const size_t share = (size_t)ceil(MIN_SHARE * (double)n_firing);
    return share > WINDOW_TRAITS_MIN_SUPPORT ? share : WINDOW_TRAITS_MIN_SUPPORT;
}

/* --- candidates: what the strongest tokens share ------------------------------------------- */

struct noted {
    struct lexical_term term;
    uint64_t key;
    uint32_t window;
};

static size_t strongest_token(const struct window *window)
{
    size_t best = 0;
    for (size_t i = 1; i < window->n_tokens; i++)
        if (window_activation(window, i) > window_activation(window, best)) best = i;
    return best;
}

static int compare_noted(const void *left, const void *right)
{
    const struct noted *a = left, *b = right;
    if (a->key != b->key) return a->key < b->key ? -1 : 1;
    return (a->window > b->window) - (a->window < b->window);
}

static int compare_traits(const void *left, const void *right)
{
    const struct window_trait *a = left, *b = right;
    if (a->n_firing != b->n_firing) return a->n_firing > b->n_firing ? -1 : 1;
    return (a->key > b->key) - (a->key < b->key);
}

/* Drop what too few windows have, counted by a hash of the key: some strays stay, nothing that
 * counts is lost, and little is left to sort. */
static size_t drop_rare(struct noted *noted, size_t n, size_t min_support)
{
    uint8_t counts[4096] = {0};
    size_t n_kept = 0;
    for (size_t i = 0; i < n; i++) {
        uint8_t *count = &counts[hash_mix64(noted[i].key) % sizeof counts];
        *count = (uint8_t)(*count + (*count < UINT8_MAX));
    }
    for (size_t i = 0; i < n; i++)
        if (counts[hash_mix64(noted[i].key) % sizeof counts] >= min_support)
            noted[n_kept++] = noted[i];
    return n_kept;
}

static size_t note_terms(const struct lexical_vocabulary *vocabulary,
                         const struct window *const *firing, size_t n_firing, size_t min_support,
                         struct noted *out)
{
    struct lexical_term terms[LEXICAL_TERMS_AT];
    size_t n = 0;
    for (size_t w = 0; w < n_firing; w++) {
        const size_t n_terms =
            lexical_terms_at(vocabulary, firing[w], strongest_token(firing[w]), terms);
        for (size_t t = 0; t < n_terms; t++)
            out[n++] = (struct noted){terms[t], lexical_term_key(&terms[t]), (uint32_t)w};
    }
    n = drop_rare(out, n, min_support);
    qsort(out, n, sizeof *out, compare_noted);
    return n;
}

/* Runs of equal keys that are long enough; no window has a term twice. */
static size_t take_shared(const struct noted *noted, size_t n_noted, size_t min_support,
                          struct window_trait *out)
{
    size_t n = 0;
    for (size_t first = 0, last; first < n_noted; first = last) {
        for (last = first; last < n_noted && noted[last].key == noted[first].key; last++) continue;
        if (last - first < min_support) continue;
        out[n++] = (struct window_trait){.term = noted[first].term,
                                         .key = noted[first].key,
                                         .n_firing = (uint32_t)(last - first)};
    }
    qsort(out, n, sizeof *out, compare_traits);
    return n;
}

/* --- the background -------------------------------------------------------------------------- */

struct place {
    const struct window *window;
    size_t position;
};

/* At most WINDOW_TRAITS_BACKGROUND silent tokens, evenly spread; returns how many. */
static size_t sample_silent(const struct window *const *all, size_t n_all, struct place *out)
{
    size_t n_silent = 0, n = 0, n_seen = 0;
    for (size_t w = 0; w < n_all; w++) n_silent += all[w]->n_tokens - window_n_firing(all[w]);
    const size_t step = n_silent / WINDOW_TRAITS_BACKGROUND + 1;
    for (size_t w = 0; w < n_all; w++)
        for (size_t i = 0; i < all[w]->n_tokens; i++)
            if (!(window_activation(all[w], i) > 0.0f) && n_seen++ % step == 0)
                out[n++] = (struct place){all[w], i};
    return n;
}

/* P(X >= n) of a Poisson variable: how many windows share what happens to stand there. */
static double chance_of(size_t n, double mean)
{
    double term = exp(-mean), sum = 0.0;
    for (size_t i = 1; i <= n; i++) term *= mean / (double)i;
    for (size_t i = n; i < n + 64; i++, term *= mean / (double)i) sum += term;
    return sum;
}

/* Keep the traits that are rare among silent tokens, too rare to be shared by accident; returns
 * how many. */
static size_t keep_telling(const struct lexical_vocabulary *vocabulary, size_t n_firing,
                           const struct place *silent, size_t n_silent, struct window_trait *traits,
                           size_t n_traits)
{
    const size_t n_too_many = (size_t)(MAX_BACKGROUND * (double)n_silent) + 1;
    size_t n = 0;
    for (size_t t = 0; t < n_traits && n < WINDOW_TRAITS_MAX; t++) {
        struct window_trait trait = traits[t];
        size_t n_hits = 0;
        for (size_t i = 0; i < n_silent && n_hits <= n_too_many; i++)
            n_hits +=
                lexical_term_matches(&trait.term, vocabulary, silent[i].window, silent[i].position);
        trait.background = n_silent > 0 ? (double)n_hits / (double)n_silent : 0.0;
        const double by_accident = (double)n_firing * (double)(n_hits + 1) / (double)(n_silent + 1);
        if (trait.background <= MAX_BACKGROUND &&
            chance_of(trait.n_firing, by_accident) <= MAX_CHANCE)
            traits[n++] = trait;
    }
    return n;
}

/* --- who has what ----------------------------------------------------------------- */

/* Which of the firing windows have the trait: bit w of out. */
static void windows_with(const struct lexical_vocabulary *vocabulary,
                         const struct window *const *firing, size_t n_firing,
                         const struct window_trait *trait, uint64_t *out)
{
    for (size_t w = 0; w < n_firing; w++)
        if (lexical_term_matches(&trait->term, vocabulary, firing[w], strongest_token(firing[w])))
            out[w / 64] |= UINT64_C(1) << (w % 64);
}

/* Rarer elsewhere, then a simpler family, then the order of kinds and values (of classes the
 * narrower comes first). */
static int compare_simplicity(const void *left, const void *right)
{
    const struct window_trait *a = left, *b = right;
    if (a->background > b->background || a->background < b->background)
        return a->background < b->background ? -1 : 1;
    const int families[2] = {(int)lexical_term_family(&a->term),
                             (int)lexical_term_family(&b->term)};
    if (families[0] != families[1]) return families[0] - families[1];
    if (a->term.kind != b->term.kind) return (int)a->term.kind - (int)b->term.kind;
    if (a->term.values[0] != b->term.values[0])
        return a->term.values[0] < b->term.values[0] ? -1 : 1;
    return (a->key > b->key) - (a->key < b->key);
}

/* Spellings say one thing in many ways (" cat", "cat", "ca...", "...at"): of traits that the
 * same windows have, the simplest stays. Fills the masks; returns how many are left. */
static size_t keep_distinct(const struct lexical_vocabulary *vocabulary,
                            const struct window *const *firing, struct window_traits *traits)
{
    uint64_t with[WINDOW_TRAITS_MAX][WINDOW_TRAITS_MAX_WINDOWS / 64] = {{0}};
    size_t n = 0;
    qsort(traits->traits, traits->n_traits, sizeof *traits->traits, compare_simplicity);
    for (size_t t = 0; t < traits->n_traits; t++) {
        const struct window_trait trait = traits->traits[t];
        memset(with[n], 0, sizeof with[n]);
        windows_with(vocabulary, firing, traits->n_firing, &trait, with[n]);
        size_t same = 0;
        while (same < n && memcmp(with[same], with[n], sizeof with[n]) != 0) same++;
        if (same == n) traits->traits[n++] = trait;
    }
    for (size_t t = 0; t < n; t++)
        for (size_t w = 0; w < traits->n_firing; w++)
            if (with[t][w / 64] >> (w % 64) & 1)
                traits->masks[w][t / 64] |= UINT64_C(1) << (t % 64);
    return n;
}

status_t window_traits_find(const struct lexical_vocabulary *vocabulary,
                            const struct window *const *firing, size_t n_firing,
                            const struct window *const *all, size_t n_all,
                            struct window_traits *out, struct error *err)
{
    if (n_firing > WINDOW_TRAITS_MAX_WINDOWS)
        return error_set(err, ST_TOO_LARGE, "traits of %zu windows (at most %d)", n_firing,
                         WINDOW_TRAITS_MAX_WINDOWS);
    const size_t n_most = (n_firing + 1) * LEXICAL_TERMS_AT;
    struct noted *noted = calloc(n_most, sizeof *noted);
    struct place *silent = calloc(WINDOW_TRAITS_BACKGROUND + 1, sizeof *silent);
    struct window_traits made = {.n_firing = n_firing};
    made.traits = calloc(n_most, sizeof *made.traits);
    made.masks = calloc(n_firing + 1, sizeof *made.masks);
    status_t status = ST_OK;
    if (noted && silent && made.traits && made.masks) {
        const size_t min_support = least_support(n_firing);
        const size_t n_noted = note_terms(vocabulary, firing, n_firing, min_support, noted);
        made.n_traits = take_shared(noted, n_noted, min_support, made.traits);
        made.n_traits = keep_telling(vocabulary, n_firing, silent,
                                     sample_silent(all, n_all, silent), made.traits, made.n_traits);
        made.n_traits = keep_distinct(vocabulary, firing, &made);
        *out = made;
    } else {
        window_traits_fini(&made);
        status = error_set(err, ST_NO_MEMORY, "traits of %zu windows", n_firing);
    }
    free(noted);
    free(silent);
    return status;
}

void window_traits_fini(struct window_traits *traits)
{
    free(traits->traits);
    free(traits->masks);
    *traits = (struct window_traits){0};
}

bool window_has_traits(const struct window_traits *traits, size_t window)
{
    uint64_t any = 0;
    for (size_t i = 0; i < WINDOW_TRAITS_WORDS; i++) any |= traits->masks[window][i];
    return any != 0;
}

void window_traits_mask(const struct lexical_term *terms, size_t n_terms,
                        const struct lexical_vocabulary *vocabulary, const struct window *window,
                        uint64_t out[WINDOW_TRAITS_WORDS])
{
    const size_t strongest = strongest_token(window);
    for (size_t i = 0; i < WINDOW_TRAITS_WORDS; i++) out[i] = 0;
    for (size_t t = 0; t < n_terms; t++)
        if (lexical_term_matches(&terms[t], vocabulary, window, strongest))
            out[t / 64] |= UINT64_C(1) << (t % 64);
}

double window_traits_mask_distance(const uint64_t a[WINDOW_TRAITS_WORDS],
                                   const uint64_t b[WINDOW_TRAITS_WORDS])
{
    int n_both = 0, n_any = 0;
    for (size_t i = 0; i < WINDOW_TRAITS_WORDS; i++) {
        n_both += __builtin_popcountll(a[i] & b[i]);
        n_any += __builtin_popcountll(a[i] | b[i]);
    }
    return n_any > 0 ? 1.0 - (double)n_both / (double)n_any : 0.0;
}

double window_traits_distance(const struct window_traits *traits, size_t a, size_t b)
{
    return window_traits_mask_distance(traits->masks[a], traits->masks[b]);
}
