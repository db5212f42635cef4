#include "coordinator/session/lexical_candidates.h"

#include "common/hash.h"
#include "coordinator/session/lexical_terms.h"

#include <stdlib.h>
#include <string.h>

enum {
    MAX_SEEN = LEXICAL_MAX_WINDOWS * LEXICAL_STRONGEST * LEXICAL_TERMS_AT,
    SEEN_SLOTS = 1 << 18,  /* > MAX_SEEN, a power of two */
    CHOSEN_SLOTS = 1 << 10 /* > 2 LEXICAL_MAX_CANDIDATES */
};
_Static_assert((int)SEEN_SLOTS > (int)MAX_SEEN, "seen terms fit their table");
_Static_assert((int)CHOSEN_SLOTS > 2 * (int)LEXICAL_MAX_CANDIDATES, "candidates fit their table");

/* A term met at a strong token of a firing window. */
struct seen_term {
    uint64_t key;
    struct lexical_term term;
    uint32_t slot;        /* where it stands in seen_slots, to clear it afterwards */
    uint32_t n_firing;    /* windows */
    uint32_t last_window; /* counted last: a window counts once */
};

/* Which sort of candidate might hold for a token or a spelling: most tokens have none. */
enum { FLAG_TOKEN = 1, FLAG_SEQUENCE = 2, FLAG_WORD = 4, FLAG_AFFIX = 8 };

struct lexical_workspace {
    const struct lexical_vocabulary *vocabulary;
    struct seen_term *seen; /* [MAX_SEEN] */
    size_t n_seen;
    uint32_t *seen_slots; /* [SEEN_SLOTS], index + 1 */
    uint8_t *token_flags; /* [n_tokens] */
    uint8_t *spelling_flags;
    struct lexical_candidate *chosen_slots[CHOSEN_SLOTS];
    struct lexical_candidate *class_candidate[LEXICAL_N_CLASSES][2]; /* by distance */
    const struct window *sorted[LEXICAL_MAX_WINDOWS];
    uint8_t fold[LEXICAL_MAX_WINDOWS];
    bool strong[LEXICAL_MAX_WINDOW_TOKENS];
    struct lexical_candidates candidates;
};

status_t lexical_workspace_create(struct lexical_workspace **out,
                                  const struct lexical_vocabulary *vocabulary, struct error *err)
{
    struct lexical_workspace *made = calloc(1, sizeof *made);
    if (!made) return error_set(err, ST_NO_MEMORY, "lexical workspace");
    made->vocabulary = vocabulary;
    made->seen = malloc(MAX_SEEN * sizeof *made->seen);
    made->seen_slots = calloc(SEEN_SLOTS, sizeof *made->seen_slots);
    made->token_flags = calloc(lexical_vocabulary_n_tokens(vocabulary) + 1, 1);
    made->spelling_flags = calloc(lexical_vocabulary_n_spellings(vocabulary) + 1, 1);
    if (!made->seen || !made->seen_slots || !made->token_flags || !made->spelling_flags) {
        lexical_workspace_destroy(&made);
        return error_set(err, ST_NO_MEMORY, "lexical workspace");
    }
    *out = made;
    return ST_OK;
}

void lexical_workspace_destroy(struct lexical_workspace **workspace)
{
    struct lexical_workspace *gone = *workspace;
    if (!gone) return;
    free(gone->seen);
    free(gone->seen_slots);
    free(gone->token_flags);
    free(gone->spelling_flags);
    free(gone);
    *workspace = NULL;
}

const struct lexical_vocabulary *lexical_workspace_vocabulary(
    const struct lexical_workspace *workspace)
{
    return workspace->vocabulary;
}

/* --- windows: order, kinds, folds ------------------------------------------------------ */

static int compare_pointers(const void *left, const void *right)
{
    return window_compare(*(const struct window *const *)left,
                          *(const struct window *const *)right);
}

static void set_bit(uint64_t *mask, size_t bit)
{
    mask[bit / 64] |= UINT64_C(1) << (bit % 64);
}

/* Whole documents go to folds in turn, those with a firing window apart from the others, so that
 * every fold gets its share of both. */
static void deal_folds(struct lexical_workspace *workspace)
{
    struct lexical_candidates *found = &workspace->candidates;
    size_t n_dealt[2] = {0, 0};
    for (size_t first = 0, end; first < found->n_windows; first = end) {
        bool has_firing = false;
        for (end = first; end < found->n_windows && workspace->sorted[end]->document_key ==
                                                        workspace->sorted[first]->document_key;
             end++)
            has_firing |= workspace->sorted[end]->kind == WINDOW_FIRING;
        const size_t fold = n_dealt[has_firing]++ % LEXICAL_FOLDS;
        for (size_t i = first; i < end; i++) {
            workspace->fold[i] = (uint8_t)fold;
            set_bit(found->fold_mask[fold], i);
            set_bit(found->kind_mask[workspace->sorted[i]->kind], i);
        }
    }
}

static status_t take_windows(struct lexical_workspace *workspace, const struct window *windows,
                             size_t n_windows, struct error *err)
{
    bool has_firing = false;
    if (n_windows > LEXICAL_MAX_WINDOWS)
        return error_set(err, ST_TOO_LARGE, "lexical: %zu windows (at most %d)", n_windows,
                         LEXICAL_MAX_WINDOWS);
    const status_t status = window_check(windows, n_windows, err);
    if (status != ST_OK) return status;
    for (size_t i = 0; i < n_windows; i++) {
        if (windows[i].n_tokens > LEXICAL_MAX_WINDOW_TOKENS)
            return error_set(err, ST_TOO_LARGE, "lexical: a window of %zu tokens (at most %d)",
                             windows[i].n_tokens, LEXICAL_MAX_WINDOW_TOKENS);
        has_firing |= windows[i].kind == WINDOW_FIRING;
        workspace->sorted[i] = &windows[i];
    }
    if (!has_firing) return error_set(err, ST_BAD_INPUT, "lexical: no firing window");
    qsort(workspace->sorted, n_windows, sizeof workspace->sorted[0], compare_pointers);
    memset(&workspace->candidates, 0, sizeof workspace->candidates);
    workspace->candidates.n_windows = n_windows;
    workspace->candidates.n_words = (n_windows + 63) / 64;
    deal_folds(workspace);
    return ST_OK;
}

/* --- reading terms off the firing windows ----------------------------------------------- */

static void see_term(struct lexical_workspace *workspace, const struct lexical_term *term,
                     uint32_t window)
{
    const uint64_t key = lexical_term_key(term);
    uint32_t slot = (uint32_t)(key & (SEEN_SLOTS - 1));
    for (; workspace->seen_slots[slot]; slot = (slot + 1) & (SEEN_SLOTS - 1)) {
        struct seen_term *known = &workspace->seen[workspace->seen_slots[slot] - 1];
        if (known->key != key) continue;
        known->n_firing += known->last_window != window;
        known->last_window = window;
        return;
    }
    workspace->seen[workspace->n_seen++] = (struct seen_term){key, *term, slot, 1, window};
    workspace->seen_slots[slot] = (uint32_t)workspace->n_seen;
}

/* The window's LEXICAL_STRONGEST largest values, first position first among equals. */
static size_t strongest_tokens(const struct window *window, size_t out[LEXICAL_STRONGEST])
{
    size_t n = 0;
    for (size_t i = 0; i < window->n_tokens; i++) {
        const float value = window_activation(window, i);
        if (!(value > 0.0f)) continue;
        size_t at = n;
        while (at > 0 && window_activation(window, out[at - 1]) < value) at--;
        if (at == LEXICAL_STRONGEST) continue;
        if (n < LEXICAL_STRONGEST) n++;
        for (size_t j = n - 1; j > at; j--) out[j] = out[j - 1];
        out[at] = i;
    }
    return n;
}

static void read_terms(struct lexical_workspace *workspace)
{
    struct lexical_term terms[LEXICAL_TERMS_AT];
    for (size_t i = 0; i < workspace->candidates.n_windows; i++) {
        const struct window *window = workspace->sorted[i];
        if (window->kind != WINDOW_FIRING) continue;
        size_t positions[LEXICAL_STRONGEST];
        const float floor_value = 0.3f * window_max(window);
        const size_t n_positions = strongest_tokens(window, positions);
        for (size_t p = 0; p < n_positions; p++) {
            if (window_activation(window, positions[p]) < floor_value) continue;
            const size_t n_terms =
                lexical_terms_at(workspace->vocabulary, window, positions[p], terms);
            for (size_t t = 0; t < n_terms; t++) see_term(workspace, &terms[t], (uint32_t)i);
        }
    }
}

/* --- keeping the best of each family ---------------------------------------------------- */

static bool is_before(const struct seen_term *seen, const struct lexical_candidate *candidate)
{
    if (seen->n_firing != candidate->n_firing) return seen->n_firing > candidate->n_firing;
    return seen->key < candidate->key;
}

static void offer(struct lexical_candidates *found, const struct seen_term *seen)
{
    const enum lexical_family family = lexical_term_family(&seen->term);
    struct lexical_candidate *kept = found->in_family[family];
    size_t n = found->n_in_family[family];
    if (n == LEXICAL_FAMILY_SIZE && !is_before(seen, &kept[n - 1])) return;
    if (n < LEXICAL_FAMILY_SIZE) found->n_in_family[family] = ++n;
    size_t at = n - 1;
    for (; at > 0 && is_before(seen, &kept[at - 1]); at--) kept[at] = kept[at - 1];
    kept[at] = (struct lexical_candidate){
        .term = seen->term, .key = seen->key, .n_firing = seen->n_firing};
}

/* Keep the most shared terms of each family; where any is shared by two windows, those of one
 * window only are coincidence and go. Empties the table of seen terms. */
static void keep_best(struct lexical_workspace *workspace)
{
    struct lexical_candidates *found = &workspace->candidates;
    for (size_t i = 0; i < workspace->n_seen; i++) {
        offer(found, &workspace->seen[i]);
        workspace->seen_slots[workspace->seen[i].slot] = 0;
    }
    workspace->n_seen = 0;
    for (size_t f = 0; f < LEXICAL_N_FAMILIES; f++) {
        const struct lexical_candidate *kept = found->in_family[f];
        if (found->n_in_family[f] == 0 || kept[0].n_firing < 2) continue;
        while (kept[found->n_in_family[f] - 1].n_firing < 2) found->n_in_family[f]--;
    }
}

/* --- matching them everywhere ----------------------------------------------------------- */

static struct lexical_candidate **chosen_slot(struct lexical_workspace *workspace, uint64_t key)
{
    size_t slot = key & (CHOSEN_SLOTS - 1);
    while (workspace->chosen_slots[slot] && workspace->chosen_slots[slot]->key != key)
        slot = (slot + 1) & (CHOSEN_SLOTS - 1);
    return &workspace->chosen_slots[slot];
}

/* Set (or clear again) what tells quickly that a token may match `candidate`. */
static void flag_candidate(struct lexical_workspace *workspace, struct lexical_candidate *candidate,
                           bool is_set)
{
    const struct lexical_term *term = &candidate->term;
    const uint32_t value = term->values[term->n_values - 1];
    uint8_t *flags = &workspace->spelling_flags[0];
    uint8_t flag = 0;
    switch ((enum lexical_term_kind)term->kind) {
    case TERM_TOKEN:
        flags = &workspace->token_flags[value];
        flag = FLAG_TOKEN;
        break;
    case TERM_FOLDED:
    case TERM_PREFIX:
    case TERM_SUFFIX:
    case TERM_PIECE:
        flags = &workspace->spelling_flags[value];
        flag = term->kind == TERM_FOLDED ? FLAG_WORD : FLAG_AFFIX;
        break;
    case TERM_SEQUENCE:
        flags = value & LEXICAL_WORD_IS_TOKEN
                    ? &workspace->token_flags[value & ~LEXICAL_WORD_IS_TOKEN]
                    : &workspace->spelling_flags[value];
        flag = FLAG_SEQUENCE;
        break;
    case TERM_CLASS:
        workspace->class_candidate[term->values[0]][term->distance] = is_set ? candidate : NULL;
        break;
    case TERM_POSITION:
    case TERM_REPEATED:
    case TERM_REPEATED_PAIR: break; /* matched without tokens */
    }
    *flags = (uint8_t)(is_set ? *flags | flag : *flags & ~flag);
}

static void flag_all(struct lexical_workspace *workspace, bool is_set)
{
    struct lexical_candidates *found = &workspace->candidates;
    memset(workspace->chosen_slots, 0, sizeof workspace->chosen_slots);
    for (size_t f = 0; f < LEXICAL_N_FAMILIES; f++)
        for (size_t i = 0; i < found->n_in_family[f]; i++) {
            struct lexical_candidate *candidate = &found->in_family[f][i];
            flag_candidate(workspace, candidate, is_set);
            if (is_set) *chosen_slot(workspace, candidate->key) = candidate;
        }
}

/* One window under the pass. */
struct cover {
    struct lexical_workspace *workspace;
    const struct window *window;
    size_t bit;
    size_t fold;
};

/* `candidate` matches with its last token at `at`: the feature would fire `distance` later. */
static void hit(const struct cover *cover, struct lexical_candidate *candidate, size_t at)
{
    const size_t position = at + candidate->term.distance;
    if (position >= cover->window->n_tokens) return;
    set_bit(candidate->covers, cover->bit);
    candidate->n_strong_hits[cover->fold] += cover->workspace->strong[position];
    candidate->n_silent_hits[cover->fold] += !(window_activation(cover->window, position) > 0.0f);
}

static void hit_value(const struct cover *cover, enum lexical_term_kind kind, size_t distance,
                      uint32_t value, size_t at)
{
    const struct lexical_term term = {(uint8_t)kind, (uint8_t)distance, 1, {value, 0, 0}};
    struct lexical_candidate *candidate = *chosen_slot(cover->workspace, lexical_term_key(&term));
    if (candidate) hit(cover, candidate, at);
}

static void hit_affixes(const struct cover *cover, const struct lexical_token *token, size_t at)
{
    const uint8_t *flags = cover->workspace->spelling_flags;
    const uint32_t *pieces = lexical_vocabulary_pieces(cover->workspace->vocabulary, token);
    for (size_t a = 0; a < LEXICAL_N_AFFIXES; a++) {
        if (token->prefixes[a] == LEXICAL_NO_TEXT) break;
        if (flags[token->prefixes[a]] & FLAG_AFFIX)
            hit_value(cover, TERM_PREFIX, 0, token->prefixes[a], at);
        if (flags[token->suffixes[a]] & FLAG_AFFIX)
            hit_value(cover, TERM_SUFFIX, 0, token->suffixes[a], at);
    }
    for (size_t i = 0; i < token->n_pieces; i++)
        if (flags[pieces[i]] & FLAG_AFFIX) hit_value(cover, TERM_PIECE, 0, pieces[i], at);
}

static void hit_matching(const struct cover *cover, enum lexical_family family, size_t at)
{
    struct lexical_candidates *found = &cover->workspace->candidates;
    for (size_t i = 0; i < found->n_in_family[family]; i++) {
        struct lexical_candidate *candidate = &found->in_family[family][i];
        if (lexical_term_matches(&candidate->term, cover->workspace->vocabulary, cover->window,
                                 at + candidate->term.distance))
            hit(cover, candidate, at);
    }
}

static void cover_token(const struct cover *cover, size_t at)
{
    struct lexical_workspace *workspace = cover->workspace;
    const uint32_t token = cover->window->tokens[at];
    const struct lexical_token *known = lexical_vocabulary_token(workspace->vocabulary, token);
    unsigned flags = token < lexical_vocabulary_n_tokens(workspace->vocabulary)
                         ? workspace->token_flags[token]
                         : 0u;
    if (flags & FLAG_TOKEN) hit_value(cover, TERM_TOKEN, 0, token, at);
    if (known->folded != LEXICAL_NO_TEXT) flags |= workspace->spelling_flags[known->folded];
    for (size_t d = 0; (flags & FLAG_WORD) && d <= LEXICAL_MAX_DISTANCE; d++)
        hit_value(cover, TERM_FOLDED, d, known->folded, at);
    if (flags & FLAG_SEQUENCE) {
        hit_matching(cover, FAMILY_SEQUENCE, at);
        hit_matching(cover, FAMILY_AFTER_SEQUENCE, at);
    }
    hit_affixes(cover, known, at);
    for (size_t c = 0; known->classes >> c; c++)
        for (size_t d = 0; (known->classes >> c & 1) && d < 2; d++)
            if (workspace->class_candidate[c][d]) hit(cover, workspace->class_candidate[c][d], at);
    hit_matching(cover, FAMILY_POSITION, at);
    hit_matching(cover, FAMILY_REPEATED, at);
}

static void cover_windows(struct lexical_workspace *workspace)
{
    struct lexical_candidates *found = &workspace->candidates;
    flag_all(workspace, true);
    for (size_t i = 0; i < found->n_windows; i++) {
        const struct window *window = workspace->sorted[i];
        const struct cover cover = {workspace, window, i, workspace->fold[i]};
        found->n_strong[cover.fold] +=
            (uint32_t)window_mark_strong(window, 0.3f, workspace->strong);
        found->n_silent_tokens[cover.fold] += window->n_tokens - window_n_firing(window);
        found->n_tokens += window->n_tokens;
        for (size_t at = 0; at < window->n_tokens; at++) cover_token(&cover, at);
    }
    flag_all(workspace, false);
}

status_t lexical_candidates_find(struct lexical_workspace *workspace, const struct window *windows,
                                 size_t n_windows, const struct lexical_candidates **out,
                                 struct error *err)
{
    const status_t status = take_windows(workspace, windows, n_windows, err);
    if (status != ST_OK) return status;
    read_terms(workspace);
    keep_best(workspace);
    cover_windows(workspace);
    *out = &workspace->candidates;
    return ST_OK;
}
