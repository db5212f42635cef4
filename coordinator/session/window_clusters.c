#include "coordinator/session/window_clusters.h"

#include "coordinator/session/k_medoids.h"
#include "coordinator/session/lexical_terms.h"
#include "coordinator/session/window_traits.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const float STRONG_SHARE = 0.5f; /* of the largest activation */

enum { MIN_GROUP_WINDOWS = 4 };
static const double MIN_TRAITED = 0.6;     /* of the firing windows */
static const double MIN_GROUP = 0.15;      /* of the firing windows are a group */
static const double MIN_INSIDE = 0.9;      /* of a group's windows share its trait */
static const double MAX_OUTSIDE = 0.2;     /* of the other groups' windows */
static const double MIN_SILHOUETTE = 0.25; /* of several groups */

/* --- the windows, in an order of their own --------------------------------------- */

static int compare_windows(const void *left, const void *right)
{
    return window_compare(*(const struct window *const *)left,
                          *(const struct window *const *)right);
}

float window_clusters_strong(const struct window *windows, size_t n_windows)
{
    float largest = 0.0f;
    for (size_t i = 0; i < n_windows; i++) largest = fmaxf(largest, window_max(&windows[i]));
    return STRONG_SHARE * largest;
}

static int compare_falling(const void *left, const void *right)
{
    const float a = *(const float *)left, b = *(const float *)right;
    return (a < b) - (a > b);
}

/* The maximum that a window needs to be looked at; maxima [n_windows] is scratch. */
static float least_maximum(const struct window *windows, size_t n_windows, float *maxima)
{
    const float strong = window_clusters_strong(windows, n_windows);
    for (size_t i = 0; i < n_windows; i++) maxima[i] = window_max(&windows[i]);
    qsort(maxima, n_windows, sizeof *maxima, compare_falling);
    const size_t last =
        n_windows < WINDOW_CLUSTERS_STRONGEST ? n_windows : WINDOW_CLUSTERS_STRONGEST;
    return last > 0 ? fminf(strong, maxima[last - 1]) : strong;
}

static bool is_looked_at(const struct window *window, float least)
{
    return window->kind == WINDOW_FIRING && window_max(window) >= least;
}

/* Of the windows to look at at most WINDOW_CLUSTERS_MAX_WINDOWS, evenly spread. */
static size_t pick_firing(const struct window *const *all, size_t n_all, float least,
                          const struct window **out)
{
    size_t n_strong = 0, n = 0, n_seen = 0;
    for (size_t i = 0; i < n_all; i++) n_strong += is_looked_at(all[i], least);
    const size_t step = n_strong / (WINDOW_CLUSTERS_MAX_WINDOWS + 1) + 1;
    for (size_t i = 0; i < n_all; i++)
        if (is_looked_at(all[i], least) && n_seen++ % step == 0) out[n++] = all[i];
    return n;
}

/* --- groups ------------------------------------------------------------------------ */

/* One way to group the firing windows that have a trait. */
struct grouping {
    size_t n_groups;
    double silhouette;
    bool is_founded;
    uint32_t group_of[WINDOW_CLUSTERS_MAX_WINDOWS];          /* of items */
    struct window_cluster groups[WINDOW_CLUSTERS_MAX];       /* medoid: an item */
    uint64_t held[WINDOW_CLUSTERS_MAX][WINDOW_TRAITS_WORDS]; /* bit t: trait t holds it together */
};

/* What is grouped: items[i] is an index of a firing window. */
struct subject {
    const struct window_traits *traits;
    uint32_t items[WINDOW_CLUSTERS_MAX_WINDOWS];
    size_t n_items;
    double *distances; /* [n_items, n_items], owned */
};

/* Is `a` the better name? Traits are offered simplest first, so a tie stays as it is. */
static bool is_better(const struct cluster_trait *a, const struct cluster_trait *b)
{
    return a->inside - a->outside > b->inside - b->outside;
}

static void offer_trait(struct window_cluster *group, const struct cluster_trait *trait)
{
    size_t at = group->n_traits;
    while (at > 0 && is_better(trait, &group->traits[at - 1])) at--;
    if (at == WINDOW_CLUSTER_TRAITS) return;
    if (group->n_traits < WINDOW_CLUSTER_TRAITS) group->n_traits++;
    memmove(&group->traits[at + 1], &group->traits[at],
            (group->n_traits - 1 - at) * sizeof *group->traits);
    group->traits[at] = *trait;
}

/* How many windows of each group have trait `t`. */
static void count_trait(const struct subject *subject, const struct grouping *grouping, size_t t,
                        size_t n_with[WINDOW_CLUSTERS_MAX])
{
    for (size_t g = 0; g < WINDOW_CLUSTERS_MAX; g++) n_with[g] = 0;
    for (size_t i = 0; i < subject->n_items; i++)
        n_with[grouping->group_of[i]] += window_has_trait(subject->traits, subject->items[i], t);
}

/* Offer trait `t` to each group that it holds together and apart from the others. A trait that
 * holds two groups together makes them one: then the grouping is not founded. */
static void use_trait(const struct subject *subject, struct grouping *grouping, size_t t)
{
    size_t n_with[WINDOW_CLUSTERS_MAX], n_all = 0, n_held = 0;
    count_trait(subject, grouping, t, n_with);
    for (size_t g = 0; g < grouping->n_groups; g++) n_all += n_with[g];
    for (size_t g = 0; g < grouping->n_groups; g++) {
        struct window_cluster *group = &grouping->groups[g];
        const size_t n_others = subject->n_items - group->n_windows;
        const struct cluster_trait trait = {
            .term = subject->traits->traits[t].term,
            .inside = (double)n_with[g] / (double)group->n_windows,
            .outside = n_others > 0 ? (double)(n_all - n_with[g]) / (double)n_others : 0.0,
            .background = subject->traits->traits[t].background};
        n_held += trait.inside >= MIN_INSIDE;
        if (trait.inside < MIN_INSIDE || trait.outside > MAX_OUTSIDE) continue;
        offer_trait(group, &trait);
        grouping->held[g][t / 64] |= UINT64_C(1) << (t % 64);
    }
    if (n_held > 1) grouping->is_founded = false;
}

/* Windows without any trait of their group belong to none. */
static void leave_strangers_out(const struct subject *subject, struct grouping *grouping)
{
    for (size_t i = 0; i < subject->n_items; i++) {
        const uint32_t g = grouping->group_of[i];
        const uint64_t *has = subject->traits->masks[subject->items[i]];
        uint64_t shared = 0;
        for (size_t w = 0; w < WINDOW_TRAITS_WORDS; w++) shared |= has[w] & grouping->held[g][w];
        if (shared) continue;
        grouping->group_of[i] = WINDOW_CLUSTER_NONE;
        grouping->groups[g].n_windows--;
    }
}

static void group_items(const struct subject *subject, size_t k, struct grouping *out)
{
    uint32_t medoids[WINDOW_CLUSTERS_MAX] = {0};
    *out = (struct grouping){.n_groups = k, .is_founded = true};
    k_medoids(subject->distances, subject->n_items, k, out->group_of, medoids);
    out->silhouette = k_medoids_silhouette(subject->distances, subject->n_items, k, out->group_of);
    for (size_t i = 0; i < subject->n_items; i++) out->groups[out->group_of[i]].n_windows++;
    for (size_t t = 0; t < subject->traits->n_traits; t++) use_trait(subject, out, t);
    for (size_t g = 0; g < k; g++) out->groups[g].medoid = medoids[g];
    if (k > 1) leave_strangers_out(subject, out);
    for (size_t g = 0; g < k; g++)
        if (out->groups[g].n_traits == 0 || out->groups[g].n_windows < MIN_GROUP_WINDOWS ||
            (double)out->groups[g].n_windows < MIN_GROUP * (double)subject->traits->n_firing)
            out->is_founded = false;
}

/* One group if one trait is common to nearly all; else the founded one of the largest
 * silhouette; else one group that is not founded. */
static void choose_grouping(const struct subject *subject, struct grouping *best)
{
    struct grouping tried;
    group_items(subject, 1, best);
    if (best->is_founded) return;
    for (size_t k = 2; k <= WINDOW_CLUSTERS_MAX && k < subject->n_items; k++) {
        group_items(subject, k, &tried);
        if (!tried.is_founded || tried.silhouette < MIN_SILHOUETTE) continue;
        if (!best->is_founded || tried.silhouette > best->silhouette) *best = tried;
    }
}

/* --- the answer -------------------------------------------------------------------- */

static int compare_sizes(const void *left, const void *right)
{
    const struct window_cluster *a = left, *b = right;
    if (a->n_windows != b->n_windows) return a->n_windows > b->n_windows ? -1 : 1;
    return (a->medoid > b->medoid) - (a->medoid < b->medoid); /* in the order of the windows */
}

/* Groups by falling size; each item's group, and what holds it, is found again by its medoid. */
static void sort_groups(struct grouping *grouping, size_t n_items)
{
    uint32_t medoid_of[WINDOW_CLUSTERS_MAX] = {0};
    uint64_t held[WINDOW_CLUSTERS_MAX][WINDOW_TRAITS_WORDS];
    memcpy(held, grouping->held, sizeof held);
    for (size_t g = 0; g < grouping->n_groups; g++) medoid_of[g] = grouping->groups[g].medoid;
    qsort(grouping->groups, grouping->n_groups, sizeof *grouping->groups, compare_sizes);
    for (size_t g = 0; g < grouping->n_groups; g++)
        for (size_t old = 0; old < grouping->n_groups; old++)
            if (medoid_of[old] == grouping->groups[g].medoid)
                memcpy(grouping->held[g], held[old], sizeof held[old]);
    for (size_t i = 0; i < n_items; i++) {
        if (grouping->group_of[i] == WINDOW_CLUSTER_NONE) continue;
        const uint32_t medoid = medoid_of[grouping->group_of[i]];
        for (uint32_t g = 0; g < grouping->n_groups; g++)
            if (grouping->groups[g].medoid == medoid) grouping->group_of[i] = g;
    }
}

/* All firing windows are the one group. */
static void answer_one(const struct window *windows, const struct window *const *firing,
                       size_t n_firing, const struct grouping *grouping, uint32_t medoid,
                       struct window_clusters *out)
{
    struct window_cluster *cluster = &out->clusters[0];
    if (grouping && grouping->is_founded) *cluster = grouping->groups[0];
    out->is_founded = cluster->n_traits > 0;
    out->n_clusters = 1;
    cluster->n_windows = n_firing;
    cluster->medoid = (uint32_t)(firing[medoid] - windows);
    for (size_t i = 0; i < n_firing; i++) out->cluster_of[firing[i] - windows] = 0;
}

/* What window_clusters_assign() needs to know. */
static status_t keep_key(const struct subject *subject, const struct grouping *grouping,
                         struct cluster_key *out, struct error *err)
{
    const struct window_traits *traits = subject->traits;
    out->terms = calloc(traits->n_traits + 1, sizeof *out->terms);
    if (!out->terms) return error_set(err, ST_NO_MEMORY, "%zu traits", traits->n_traits);
    out->n_terms = traits->n_traits;
    for (size_t t = 0; t < traits->n_traits; t++) out->terms[t] = traits->traits[t].term;
    for (size_t g = 0; g < grouping->n_groups; g++) {
        const uint32_t item = subject->items[grouping->groups[g].medoid];
        memcpy(out->medoid[g], traits->masks[item], sizeof out->medoid[g]);
        memcpy(out->held[g], grouping->held[g], sizeof out->held[g]);
    }
    return ST_OK;
}

static void answer_several(const struct window *windows, const struct window *const *firing,
                           const struct subject *subject, const struct grouping *grouping,
                           struct window_clusters *out)
{
    out->is_founded = true;
    out->n_clusters = grouping->n_groups;
    out->silhouette = (struct score_value){true, grouping->silhouette};
    memcpy(out->clusters, grouping->groups, sizeof out->clusters);
    out->n_left_out = out->n_firing;
    for (size_t g = 0; g < grouping->n_groups; g++)
        out->n_left_out -= grouping->groups[g].n_windows;
    for (size_t g = 0; g < grouping->n_groups; g++)
        out->clusters[g].medoid =
            (uint32_t)(firing[subject->items[grouping->groups[g].medoid]] - windows);
    for (size_t i = 0; i < subject->n_items; i++)
        out->cluster_of[firing[subject->items[i]] - windows] = grouping->group_of[i];
}

static uint32_t largest_window(const struct window *const *firing, size_t n_firing)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < n_firing; i++)
        if (window_max(firing[i]) > window_max(firing[best])) best = i;
    return best;
}

static status_t group_windows(const struct window *windows, const struct window *const *firing,
                              const struct window_traits *traits, struct window_clusters *out,
                              struct error *err)
{
    struct subject subject = {.traits = traits};
    struct grouping grouping;
    for (uint32_t i = 0; i < traits->n_firing; i++)
        if (window_has_traits(traits, i)) subject.items[subject.n_items++] = i;
    const size_t n = subject.n_items;
    out->n_firing = traits->n_firing;
    if (n < WINDOW_CLUSTERS_MIN_WINDOWS || (double)n < MIN_TRAITED * (double)traits->n_firing) {
        answer_one(windows, firing, traits->n_firing, NULL,
                   largest_window(firing, traits->n_firing), out);
        return ST_OK;
    }
    subject.distances = calloc(n * n, sizeof *subject.distances); /* at most 96 x 96 */
    if (!subject.distances) return error_set(err, ST_NO_MEMORY, "distances of %zu windows", n);
    for (size_t a = 0; a < n; a++)
        for (size_t b = 0; b < n; b++)
            subject.distances[a * n + b] =
                window_traits_distance(traits, subject.items[a], subject.items[b]);
    choose_grouping(&subject, &grouping);
    sort_groups(&grouping, n);
    status_t status = ST_OK;
    if (grouping.n_groups == 1) {
        answer_one(windows, firing, traits->n_firing, &grouping,
                   subject.items[grouping.groups[0].medoid], out);
    } else {
        answer_several(windows, firing, &subject, &grouping, out);
        status = keep_key(&subject, &grouping, &out->key, err);
    }
    free(subject.distances);
    return status;
}

status_t window_clusters_find(const struct lexical_vocabulary *vocabulary,
                              const struct window *windows, size_t n_windows,
                              struct window_clusters *out, struct error *err)
{
    status_t status = window_check(windows, n_windows, err);
    if (status != ST_OK) return status;
    struct window_clusters made = {.n_windows = n_windows};
    struct window_traits traits = {0};
    const struct window *firing[WINDOW_CLUSTERS_MAX_WINDOWS];
    const struct window **all = calloc(n_windows + 1, sizeof *all);
    float *maxima = calloc(n_windows + 1, sizeof *maxima);
    made.cluster_of = calloc(n_windows + 1, sizeof *made.cluster_of);
    size_t n_firing = 0;
    if (!all || !maxima || !made.cluster_of) {
        status = error_set(err, ST_NO_MEMORY, "clusters of %zu windows", n_windows);
        goto done;
    }
    for (size_t i = 0; i < n_windows; i++) all[i] = &windows[i];
    for (size_t i = 0; i < n_windows; i++) made.cluster_of[i] = WINDOW_CLUSTER_NONE;
    qsort(all, n_windows, sizeof *all, compare_windows);
    n_firing = pick_firing(all, n_windows, least_maximum(windows, n_windows, maxima), firing);
    if (n_firing == 0) status = error_set(err, ST_BAD_INPUT, "clusters: no window fires");
    if (status == ST_OK)
        status = window_traits_find(vocabulary, firing, n_firing, all, n_windows, &traits, err);
    if (status == ST_OK) status = group_windows(windows, firing, &traits, &made, err);
    if (status != ST_OK) goto done;
    *out = made;
    made.cluster_of = NULL; /* the caller's now */
    made.key.terms = NULL;
done:
    window_traits_fini(&traits);
    free(made.key.terms);
    free(made.cluster_of);
    free(maxima);
    free(all);
    return status;
}

void window_clusters_fini(struct window_clusters *clusters)
{
    free(clusters->cluster_of);
    free(clusters->key.terms);
    clusters->cluster_of = NULL;
    clusters->key = (struct cluster_key){.terms = NULL};
    clusters->n_windows = 0;
}

uint32_t window_clusters_assign(const struct window_clusters *clusters,
                                const struct lexical_vocabulary *vocabulary,
                                const struct window *window)
{
    const struct cluster_key *key = &clusters->key;
    uint64_t mask[WINDOW_TRAITS_WORDS], shared = 0;
    uint32_t nearest = 0;
    double least = 2.0;
    if (key->n_terms == 0) return WINDOW_CLUSTER_NONE;
    window_traits_mask(key->terms, key->n_terms, vocabulary, window, mask);
    for (uint32_t g = 0; g < clusters->n_clusters; g++) {
        const double distance = window_traits_mask_distance(mask, key->medoid[g]);
        if (distance >= least) continue;
        least = distance;
        nearest = g;
    }
    for (size_t i = 0; i < WINDOW_TRAITS_WORDS; i++) shared |= mask[i] & key->held[nearest][i];
    return shared ? nearest : WINDOW_CLUSTER_NONE;
}

status_t window_cluster_describe(const struct window_cluster *cluster,
                                 const struct lexical_vocabulary *vocabulary,
                                 char out[LEXICAL_LABEL_SIZE], struct error *err)
{
    struct lexical_pattern pattern = {.n_terms = cluster->n_traits > 0};
    if (cluster->n_traits > 0) pattern.terms[0] = cluster->traits[0].term;
    return lexical_pattern_describe(&pattern, vocabulary, out, err);
}
