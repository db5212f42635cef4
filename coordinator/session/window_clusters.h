/* Does a feature have one meaning or several? Its firing explain windows are put into groups by
 * what stands at the strongest token of each, without a language model, so that every group can
 * be labelled and scored on its own.
 *
 *   windows    those that reach half of the largest activation, and the 20 strongest: where a
 *              feature fires weakly, it often fires on anything
 *   traits     what can be said of the strongest token and the words before it (a causal model
 *              has not seen what comes behind), shared by more firing windows than chance would
 *              have it and rare among silent tokens: window_traits.h
 *   distance   1 - Jaccard index of two windows' traits
 *   groups     k-medoids for k = 2, 3, 4; of those in which every group has 15 % of the firing
 *              windows (and 4), has a trait of its own (90 % inside, 20 % outside) and shares
 *              none with another group (90 % in both) the k of the largest silhouette, if that
 *              is at least 0.25; a window without any trait of its group is left out again
 *
 * One group comes first: if 90 % of the windows that have any trait share one, that is the one
 * meaning, however its spellings differ. And one group is the answer when nothing else is well
 * founded: when more than 40 % of the windows have no trait (the concept is not lexical), or no k
 * holds, such as for a list of many words: more than four groups are a set, not a list of
 * meanings. Then `is_founded` is false.
 *
 * Limits, which whoever reads the number must know: two to four words that never share spelling,
 * class or context are found as that many groups, also where a person sees one idea in them; and
 * senses that no word nearby tells apart are one group. Groups are candidates for meanings; the
 * labels and scores of the groups decide. Planted mixtures of two and three concepts (of tokens,
 * spellings, prefixes, digits, words before): 99 % of the counts right, 99 % of the grouped
 * windows in the group of their concept (test_window_clusters.c).
 *
 * The result does not depend on the order of the windows. Only explain windows may be passed in.
 * About half a millisecond for 40 such windows of 32 tokens. Pure; any thread. */
#ifndef COORDINATOR_SESSION_WINDOW_CLUSTERS_H
#define COORDINATOR_SESSION_WINDOW_CLUSTERS_H

#include "coordinator/session/lexical_pattern.h"
#include "coordinator/session/score.h"
#include "coordinator/session/window_traits.h"

#define WINDOW_CLUSTER_NONE UINT32_MAX
enum {
    WINDOW_CLUSTERS_MAX = 4,
    WINDOW_CLUSTERS_MAX_WINDOWS = 96, /* that are looked at: spread over the strong ones */
    WINDOW_CLUSTERS_STRONGEST = 20,   /* are looked at however weak they are */
    WINDOW_CLUSTERS_MIN_WINDOWS = 8,  /* with traits, below which there is one group */
    WINDOW_CLUSTER_TRAITS = 3
};

/* What the windows of a group have in common. */
struct cluster_trait {
    struct lexical_term term; /* at the strongest token of a window */
    double inside;            /* share of the group's windows */
    double outside;           /* share of the other groups' windows; 0 if there is one group */
    double background;        /* share of silent tokens */
};

struct window_cluster {
    size_t n_windows;
    uint32_t medoid; /* the window that stands for it: index into the given windows */
    struct cluster_trait traits[WINDOW_CLUSTER_TRAITS]; /* the most telling first */
    size_t n_traits;                                    /* 0 only in a group not founded */
};

/* By what other windows are put into one of several groups. */
struct cluster_key {
    struct lexical_term *terms; /* [n_terms], owned: the traits that were compared */
    size_t n_terms;             /* 0 where there is one group */
    uint64_t medoid[WINDOW_CLUSTERS_MAX][WINDOW_TRAITS_WORDS]; /* bit t: it has trait t */
    uint64_t held[WINDOW_CLUSTERS_MAX][WINDOW_TRAITS_WORDS]; /* trait t holds the group together */
};

struct window_clusters {
    struct window_cluster clusters[WINDOW_CLUSTERS_MAX]; /* largest first */
    size_t n_clusters;                                   /* 1 to 4 */
    bool is_founded;               /* every group has a trait that holds it together */
    struct score_value silhouette; /* undefined for one group */
    uint32_t *cluster_of;          /* [n_windows] as given, owned; WINDOW_CLUSTER_NONE if silent,
                                      left out of several groups, or not looked at */
    size_t n_windows;
    size_t n_firing;   /* that were looked at */
    size_t n_left_out; /* of them in no group */
    struct cluster_key key;
};

/* Half of the largest activation: what counts as strong. 0 when nothing fires. */
float window_clusters_strong(const struct window *windows, size_t n_windows);

/* windows [n_windows] of every kind; silent ones are the background. On ST_OK the caller owns
 * *out (window_clusters_fini). Errors: ST_BAD_INPUT (window_check(); no window fires),
 * ST_TOO_LARGE, ST_NO_MEMORY; *out untouched. */
MUST_CHECK status_t window_clusters_find(const struct lexical_vocabulary *vocabulary,
                                         const struct window *windows, size_t n_windows,
                                         struct window_clusters *out, struct error *err);
void window_clusters_fini(struct window_clusters *clusters); /* fine on zeroes or twice */

/* The group of another firing window, by the same traits at its strongest token: that of the
 * nearest medoid (ties: the larger group). WINDOW_CLUSTER_NONE if it has no trait that holds that
 * group together, or there is one group. */
uint32_t window_clusters_assign(const struct window_clusters *clusters,
                                const struct lexical_vocabulary *vocabulary,
                                const struct window *window);

/* What is common to a group in words (at most 512 bytes): its most telling trait; "" if none. */
MUST_CHECK status_t window_cluster_describe(const struct window_cluster *cluster,
                                            const struct lexical_vocabulary *vocabulary,
                                            char out[LEXICAL_LABEL_SIZE], struct error *err);

#endif
