/* The terms that could explain one feature, and what each of them covers.
 *
 * Terms are read off the strongest tokens of the firing windows (what the token is, how it is
 * spelled, what stands before it), kept by how many firing windows share them, and then matched
 * against every token of every window in one pass: a bit per window, and counts of strong
 * tokens hit and of silent tokens hit. Choosing a label is then arithmetic on bits.
 *
 *   windows sorted     bit 0 1 2 ... n_windows - 1   (by document, so input order is no matter)
 *   kind_mask[kind]    which windows are firing / silent at random / silent and hard
 *   fold_mask[fold]    which belong to a cross-validation fold (whole documents)
 *
 * A workspace is reused from feature to feature; it belongs to one thread. */
#ifndef COORDINATOR_SESSION_LEXICAL_CANDIDATES_H
#define COORDINATOR_SESSION_LEXICAL_CANDIDATES_H

#include "coordinator/session/lexical_pattern.h"

enum {
    LEXICAL_FOLDS = 4,
    LEXICAL_MAX_WINDOWS = 512,
    LEXICAL_WORDS = LEXICAL_MAX_WINDOWS / 64,
    LEXICAL_FAMILY_SIZE = 24, /* candidates kept per family */
    LEXICAL_STRONGEST = 4     /* tokens of a firing window that terms are read off */
};

/* Ways to explain a feature, simplest first: ties go to the earlier one. */
enum lexical_family {
    FAMILY_TOKEN,
    FAMILY_WORD,
    FAMILY_POSITION,
    FAMILY_CLASS,
    FAMILY_AFFIX,
    FAMILY_AFTER_WORD, /* one before */
    FAMILY_AFTER_WORD_2,
    FAMILY_AFTER_WORD_3,
    FAMILY_AFTER_CLASS,
    FAMILY_SEQUENCE,
    FAMILY_AFTER_SEQUENCE,
    FAMILY_REPEATED,
    LEXICAL_N_FAMILIES,
    FAMILY_MIXED = LEXICAL_N_FAMILIES /* any of the above together */
};
enum { LEXICAL_MAX_CANDIDATES = LEXICAL_N_FAMILIES * LEXICAL_FAMILY_SIZE };

struct lexical_candidate {
    struct lexical_term term;
    uint64_t key;      /* of the term's content: the order among equals */
    uint32_t n_firing; /* firing windows whose strongest tokens it was read off */
    uint64_t covers[LEXICAL_WORDS];
    uint32_t n_strong_hits[LEXICAL_FOLDS]; /* tokens of at least 0.3 of the window's maximum */
    uint32_t n_silent_hits[LEXICAL_FOLDS]; /* tokens at which the feature does not fire */
};

struct lexical_candidates {
    size_t n_windows;
    size_t n_words; /* of a mask in use */
    uint64_t kind_mask[WINDOW_N_KINDS][LEXICAL_WORDS];
    uint64_t fold_mask[LEXICAL_FOLDS][LEXICAL_WORDS];
    uint32_t n_strong[LEXICAL_FOLDS];        /* tokens, as in n_strong_hits */
    uint64_t n_silent_tokens[LEXICAL_FOLDS]; /* at which the feature does not fire */
    uint64_t n_tokens;                       /* of all windows */
    size_t n_in_family[LEXICAL_N_FAMILIES];
    struct lexical_candidate in_family[LEXICAL_N_FAMILIES][LEXICAL_FAMILY_SIZE];
};

struct lexical_workspace; /* opaque */

/* For features of a model with this vocabulary (borrowed). Errors: ST_NO_MEMORY. */
MUST_CHECK status_t lexical_workspace_create(struct lexical_workspace **out,
                                             const struct lexical_vocabulary *vocabulary,
                                             struct error *err);
void lexical_workspace_destroy(struct lexical_workspace **workspace); /* NULL-safe */
const struct lexical_vocabulary *lexical_workspace_vocabulary(
    const struct lexical_workspace *workspace);

/* Fill the workspace's candidates from a feature's explain windows (at most LEXICAL_MAX_WINDOWS,
 * at least one firing; each of at most LEXICAL_MAX_WINDOW_TOKENS tokens). The result is the
 * workspace's until the next call. Errors: ST_BAD_INPUT, ST_TOO_LARGE, ST_NO_MEMORY. */
enum { LEXICAL_MAX_WINDOW_TOKENS = 1024 };
MUST_CHECK status_t lexical_candidates_find(struct lexical_workspace *workspace,
                                            const struct window *windows, size_t n_windows,
                                            const struct lexical_candidates **out,
                                            struct error *err);

#endif
