#include "coordinator/session/feature_type.h"

#include "common/hash.h"
#include "coordinator/session/score_json.h"

#include <stdlib.h>

struct feature_type_thresholds feature_type_thresholds_default(void)
{
    return (struct feature_type_thresholds){.token_f1 = 0.7, .spelled = 0.5, .constancy = 0.8};
}

/* --- the pattern ------------------------------------------------------------------- */

/* Is the term about which word it is, or how it is spelled? */
static bool is_spelling(const struct lexical_term *term)
{
    switch ((enum lexical_term_kind)term->kind) {
    case TERM_TOKEN:
    case TERM_FOLDED:
    case TERM_PREFIX:
    case TERM_SUFFIX:
    case TERM_PIECE:
    case TERM_SEQUENCE: return term->distance == 0;
    case TERM_CLASS:
        return term->distance == 0 &&
               (term->values[0] == CLASS_DIGITS || term->values[0] == CLASS_HAS_DIGIT ||
                term->values[0] == CLASS_ONE_LETTER || term->values[0] == CLASS_NOT_ASCII);
    case TERM_POSITION:
    case TERM_REPEATED:
    case TERM_REPEATED_PAIR: break;
    }
    return false;
}

static struct lexical_pattern spelled_part(const struct lexical_pattern *pattern)
{
    struct lexical_pattern part = {.n_terms = 0};
    for (size_t t = 0; t < pattern->n_terms; t++)
        if (is_spelling(&pattern->terms[t])) part.terms[part.n_terms++] = pattern->terms[t];
    return part;
}

static struct score_value share_of(size_t n, size_t n_all)
{
    return (struct score_value){n_all > 0, n_all > 0 ? (double)n / (double)n_all : 0.0};
}

/* What a token says: strong ones fire, weak ones say nothing. */
enum firing { FIRING_SILENT, FIRING_WEAK, FIRING_STRONG };

static enum firing firing_at(const struct window *window, size_t index, float strong)
{
    const float value = window_activation(window, index);
    if (!(value > 0.0f)) return FIRING_SILENT;
    return value >= strong ? FIRING_STRONG : FIRING_WEAK;
}

static void measure_pattern(const struct feature_type_params *params, float strong,
                            struct feature_type_evidence *out)
{
    const struct lexical_pattern spelled = spelled_part(params->pattern);
    size_t n_right = 0, n_spelled = 0, n_called = 0, n_firing = 0;
    for (size_t w = 0; w < params->n_windows; w++) {
        const struct window *window = &params->windows[w];
        for (size_t i = 0; i < window->n_tokens; i++) {
            const enum firing firing = firing_at(window, i, strong);
            if (firing == FIRING_WEAK) continue;
            const bool fires = firing == FIRING_STRONG;
            const bool is_called =
                lexical_pattern_matches(params->pattern, params->vocabulary, window, i);
            n_firing += fires;
            n_called += is_called;
            if (!fires || !is_called) continue;
            n_right++;
            n_spelled += lexical_pattern_matches(&spelled, params->vocabulary, window, i);
        }
    }
    if (n_firing > 0) out->token_f1 = share_of(2 * n_right, n_called + n_firing);
    out->spelled = share_of(n_spelled, n_right);
}

/* --- constancy --------------------------------------------------------------------- */

struct occurrence {
    uint32_t word; /* lexical_word() */
    bool fires;
};

static int compare_occurrences(const void *left, const void *right)
{
    const struct occurrence *a = left, *b = right;
    if (a->word != b->word) return a->word < b->word ? -1 : 1;
    return (int)a->fires - (int)b->fires;
}

/* Words that fire somewhere, by a hash: others need not be counted. */
struct word_filter {
    uint64_t bits[64];
};

static bool filter_has(struct word_filter *filter, uint32_t word, bool adds)
{
    const uint64_t place = hash_mix64(word) % (64 * 64);
    const uint64_t bit = UINT64_C(1) << (place % 64);
    if (adds) filter->bits[place / 64] |= bit;
    return filter->bits[place / 64] & bit;
}

static struct word_filter filter_firing(const struct feature_type_params *params, float strong)
{
    struct word_filter filter = {{0}};
    for (size_t w = 0; w < params->n_windows; w++) {
        const struct window *window = &params->windows[w];
        for (size_t i = 0; window->activations && i < window->n_tokens; i++)
            if (firing_at(window, i, strong) == FIRING_STRONG)
                (void)filter_has(&filter, lexical_word(params->vocabulary, window->tokens[i]),
                                 true);
    }
    return filter;
}

static size_t list_occurrences(const struct feature_type_params *params, float strong,
                               struct occurrence *out)
{
    struct word_filter filter = filter_firing(params, strong);
    size_t n = 0;
    for (size_t w = 0; w < params->n_windows; w++) {
        const struct window *window = &params->windows[w];
        for (size_t i = 0; i < window->n_tokens; i++) {
            const enum firing firing = firing_at(window, i, strong);
            const uint32_t word = lexical_word(params->vocabulary, window->tokens[i]);
            if (firing == FIRING_WEAK || !filter_has(&filter, word, false)) continue;
            out[n++] = (struct occurrence){word, firing == FIRING_STRONG};
        }
    }
    return n;
}

static status_t measure_constancy(const struct feature_type_params *params, float strong,
                                  struct feature_type_evidence *out, struct error *err)
{
    size_t n_tokens = 0, n_places = 0, n_fired = 0;
    for (size_t w = 0; w < params->n_windows; w++) n_tokens += params->windows[w].n_tokens;
    struct occurrence *all = calloc(n_tokens + 1, sizeof *all);
    if (!all) return error_set(err, ST_NO_MEMORY, "words of %zu tokens", n_tokens);
    const size_t n = list_occurrences(params, strong, all);
    qsort(all, n, sizeof *all, compare_occurrences);
    for (size_t first = 0, last; first < n; first = last) {
        size_t n_fires = 0;
        for (last = first; last < n && all[last].word == all[first].word; last++)
            n_fires += all[last].fires;
        out->n_words += n_fires > 0;
        if (n_fires == 0 || last - first < 2) continue;
        n_places += last - first;
        n_fired += n_fires;
    }
    if (n_places >= FEATURE_TYPE_MIN_REPEATS) out->constancy = share_of(n_fired, n_places);
    free(all);
    return ST_OK;
}

/* --- the answer -------------------------------------------------------------------- */

static bool reaches(struct score_value score, double least)
{
    return score.is_defined && score.value >= least;
}

enum feature_type feature_type_of(const struct feature_type_evidence *evidence,
                                  const struct feature_type_thresholds *thresholds)
{
    if (evidence->n_clusters > 1) return FEATURE_TYPE_POLYSEMANTIC;
    if (reaches(evidence->token_f1, thresholds->token_f1))
        return reaches(evidence->spelled, thresholds->spelled) ? FEATURE_TYPE_CONCRETE
                                                               : FEATURE_TYPE_SYNTACTIC;
    return reaches(evidence->constancy, thresholds->constancy) ? FEATURE_TYPE_CONCRETE
                                                               : FEATURE_TYPE_ABSTRACT;
}

status_t feature_type_find(const struct feature_type_params *params, struct feature_typing *out,
                           struct error *err)
{
    status_t status = window_check(params->windows, params->n_windows, err);
    if (status != ST_OK) return status;
    struct feature_typing made = {.claimed = params->claimed};
    made.evidence.n_clusters = params->clusters->n_clusters;
    made.evidence.is_founded = params->clusters->is_founded;
    made.evidence.silhouette = params->clusters->silhouette;
    const float strong = window_clusters_strong(params->windows, params->n_windows);
    if (params->pattern) measure_pattern(params, strong, &made.evidence);
    status = measure_constancy(params, strong, &made.evidence, err);
    if (status != ST_OK) return status;
    made.type = feature_type_of(&made.evidence, &params->thresholds);
    *out = made;
    return ST_OK;
}

/* --- for the record ---------------------------------------------------------------- */

json_t *feature_typing_json(const struct feature_typing *typing)
{
    const struct feature_type_evidence *evidence = &typing->evidence;
    const bool is_claimed = typing->claimed != FEATURE_TYPE_NONE;
    json_t *record =
        json_pack("{s:I, s:b, s:I}", "n_clusters", (json_int_t)evidence->n_clusters, "is_founded",
                  evidence->is_founded, "n_words", (json_int_t)evidence->n_words);
    const int failed =
        json_object_set_new(record, "silhouette", score_value_json(evidence->silhouette)) ||
        json_object_set_new(record, "token_f1", score_value_json(evidence->token_f1)) ||
        json_object_set_new(record, "spelled", score_value_json(evidence->spelled)) ||
        json_object_set_new(record, "constancy", score_value_json(evidence->constancy));
    if (failed) {
        json_decref(record);
        return NULL;
    }
    return json_pack("{s:s, s:s?, s:o, s:o}", "type", feature_type_name(typing->type), "claimed",
                     feature_type_name(typing->claimed), "agrees",
                     is_claimed ? json_boolean(typing->claimed == typing->type) : json_null(),
                     "evidence", record);
}
