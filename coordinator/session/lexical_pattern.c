#include "coordinator/session/lexical_pattern.h"

static bool holds(const uint32_t *values, size_t n_values, uint32_t value)
{
    for (size_t i = 0; i < n_values; i++)
        if (values[i] == value) return true;
    return false;
}

static bool token_matches(const struct lexical_term *term,
                          const struct lexical_vocabulary *vocabulary, uint32_t token)
{
    const struct lexical_token *known = lexical_vocabulary_token(vocabulary, token);
    const uint32_t value = term->values[0];
    switch ((enum lexical_term_kind)term->kind) {
    case TERM_TOKEN: return token == value;
    case TERM_FOLDED: return known->folded == value;
    case TERM_PREFIX: return holds(known->prefixes, LEXICAL_N_AFFIXES, value);
    case TERM_SUFFIX: return holds(known->suffixes, LEXICAL_N_AFFIXES, value);
    case TERM_PIECE:
        return holds(lexical_vocabulary_pieces(vocabulary, known), known->n_pieces, value);
    case TERM_CLASS: return value < LEXICAL_N_CLASSES && (known->classes >> value & 1);
    case TERM_SEQUENCE:
    case TERM_POSITION:
    case TERM_REPEATED:
    case TERM_REPEATED_PAIR: break; /* not about one token */
    }
    return false;
}

static bool sequence_ends_at(const struct lexical_term *term,
                             const struct lexical_vocabulary *vocabulary,
                             const struct window *window, size_t at)
{
    if (at + 1 < term->n_values) return false;
    const uint32_t *tokens = window->tokens + (at + 1 - term->n_values);
    for (size_t i = 0; i < term->n_values; i++)
        if (lexical_word(vocabulary, tokens[i]) != term->values[i]) return false;
    return true;
}

static bool repeats(const struct window *window, size_t at, bool is_pair)
{
    if (is_pair && at == 0) return false;
    for (size_t j = is_pair ? 1 : 0; j < at; j++)
        if (window->tokens[j] == window->tokens[at] &&
            (!is_pair || window->tokens[j - 1] == window->tokens[at - 1]))
            return true;
    return false;
}

bool lexical_term_matches(const struct lexical_term *term,
                          const struct lexical_vocabulary *vocabulary, const struct window *window,
                          size_t position)
{
    if (position < term->distance || position >= window->n_tokens) return false;
    const size_t at = position - term->distance;
    switch ((enum lexical_term_kind)term->kind) {
    case TERM_SEQUENCE: return sequence_ends_at(term, vocabulary, window, at);
    case TERM_POSITION: return (uint64_t)window->document_offset + at < term->values[0];
    case TERM_REPEATED: return repeats(window, at, false);
    case TERM_REPEATED_PAIR: return repeats(window, at, true);
    case TERM_TOKEN:
    case TERM_FOLDED:
    case TERM_PREFIX:
    case TERM_SUFFIX:
    case TERM_PIECE:
    case TERM_CLASS: break;
    }
    return token_matches(term, vocabulary, window->tokens[at]);
}

bool lexical_pattern_matches(const struct lexical_pattern *pattern,
                             const struct lexical_vocabulary *vocabulary,
                             const struct window *window, size_t position)
{
    for (uint32_t t = 0; t < pattern->n_terms; t++)
        if (lexical_term_matches(&pattern->terms[t], vocabulary, window, position)) return true;
    return false;
}

bool lexical_pattern_predict(const struct lexical_pattern *pattern,
                             const struct lexical_vocabulary *vocabulary,
                             const struct window *window)
{
    for (size_t i = 0; i < window->n_tokens; i++)
        if (lexical_pattern_matches(pattern, vocabulary, window, i)) return true;
    return false;
}

bool lexical_pattern_predict_marked(const struct lexical_pattern *pattern,
                                    const struct lexical_vocabulary *vocabulary,
                                    const struct window *window, const bool *marks)
{
    size_t n_marked = 0, n_matching = 0;
    for (size_t i = 0; i < window->n_tokens; i++) {
        if (!marks[i]) continue;
        n_marked++;
        n_matching += lexical_pattern_matches(pattern, vocabulary, window, i);
    }
    return n_matching > 0 && (double)n_matching >= pattern->mark_threshold * (double)n_marked;
}
