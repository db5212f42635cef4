#include "coordinator/session/lexical_terms.h"

#include "common/hash.h"

struct term_list {
    struct lexical_term *terms;
    size_t n;
};

static void add(struct term_list *list, enum lexical_term_kind kind, size_t distance,
                uint32_t value)
{
    list->terms[list->n++] =
        (struct lexical_term){(uint8_t)kind, (uint8_t)distance, 1, {value, 0, 0}};
}

static void add_spelled(struct term_list *list, enum lexical_term_kind kind, size_t distance,
                        uint32_t spelling)
{
    if (spelling != LEXICAL_NO_TEXT) add(list, kind, distance, spelling);
}

static void add_classes(struct term_list *list, unsigned classes, size_t distance)
{
    for (uint32_t c = 0; c < LEXICAL_N_CLASSES; c++)
        if (classes >> c & 1) add(list, TERM_CLASS, distance, c);
}

static void add_affixes(struct term_list *list, const struct lexical_vocabulary *vocabulary,
                        const struct lexical_token *token)
{
    const uint32_t *pieces = lexical_vocabulary_pieces(vocabulary, token);
    for (size_t a = 0; a < LEXICAL_N_AFFIXES; a++) {
        add_spelled(list, TERM_PREFIX, 0, token->prefixes[a]);
        add_spelled(list, TERM_SUFFIX, 0, token->suffixes[a]);
    }
    for (size_t i = 0; i < token->n_pieces; i++) add(list, TERM_PIECE, 0, pieces[i]);
}

/* The two and the three words that end at token `at`. */
static void add_sequences(struct term_list *list, const struct lexical_vocabulary *vocabulary,
                          const struct window *window, size_t at, size_t distance)
{
    for (size_t length = 2; length <= LEXICAL_MAX_SEQUENCE && length <= at + 1; length++) {
        struct lexical_term term = {TERM_SEQUENCE, (uint8_t)distance, (uint8_t)length, {0, 0, 0}};
        for (size_t i = 0; i < length; i++)
            term.values[i] = lexical_word(vocabulary, window->tokens[at + 1 + i - length]);
        list->terms[list->n++] = term;
    }
}

static void add_repeats(struct term_list *list, const struct lexical_vocabulary *vocabulary,
                        const struct window *window, size_t position)
{
    static const enum lexical_term_kind kinds[] = {TERM_REPEATED, TERM_REPEATED_PAIR};
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        const struct lexical_term term = {(uint8_t)kinds[k], 0, 1, {0, 0, 0}};
        if (lexical_term_matches(&term, vocabulary, window, position))
            list->terms[list->n++] = term;
    }
}

size_t lexical_terms_at(const struct lexical_vocabulary *vocabulary, const struct window *window,
                        size_t position, struct lexical_term *out)
{
    struct term_list list = {out, 0};
    const struct lexical_token *token =
        lexical_vocabulary_token(vocabulary, window->tokens[position]);
    add(&list, TERM_TOKEN, 0, window->tokens[position]);
    add_spelled(&list, TERM_FOLDED, 0, token->folded);
    for (uint32_t step = 0; step < LEXICAL_POSITION_STEPS; step++)
        if ((uint64_t)window->document_offset + position < (1u << step))
            add(&list, TERM_POSITION, 0, 1u << step);
    add_classes(&list, token->classes, 0);
    add_affixes(&list, vocabulary, token);
    for (size_t d = 1; d <= LEXICAL_MAX_DISTANCE && d <= position; d++) {
        const struct lexical_token *before =
            lexical_vocabulary_token(vocabulary, window->tokens[position - d]);
        add_spelled(&list, TERM_FOLDED, d, before->folded);
        if (d == 1) add_classes(&list, before->classes, 1);
    }
    add_sequences(&list, vocabulary, window, position, 0);
    if (position > 0) add_sequences(&list, vocabulary, window, position - 1, 1);
    add_repeats(&list, vocabulary, window, position);
    return list.n;
}

enum lexical_family lexical_term_family(const struct lexical_term *term)
{
    static const enum lexical_family words[LEXICAL_MAX_DISTANCE + 1] = {
        FAMILY_WORD, FAMILY_AFTER_WORD, FAMILY_AFTER_WORD_2, FAMILY_AFTER_WORD_3};
    switch ((enum lexical_term_kind)term->kind) {
    case TERM_TOKEN: return FAMILY_TOKEN;
    case TERM_FOLDED: return words[term->distance];
    case TERM_PREFIX:
    case TERM_SUFFIX:
    case TERM_PIECE: return FAMILY_AFFIX;
    case TERM_CLASS: return term->distance ? FAMILY_AFTER_CLASS : FAMILY_CLASS;
    case TERM_SEQUENCE: return term->distance ? FAMILY_AFTER_SEQUENCE : FAMILY_SEQUENCE;
    case TERM_POSITION: return FAMILY_POSITION;
    case TERM_REPEATED:
    case TERM_REPEATED_PAIR: break;
    }
    return FAMILY_REPEATED;
}

uint64_t lexical_term_key(const struct lexical_term *term)
{
    uint64_t key = hash_mix64((uint64_t)term->kind | (uint64_t)term->distance << 8 |
                              (uint64_t)term->n_values << 16);
    for (size_t i = 0; i < term->n_values; i++) key = hash_mix64(key ^ term->values[i]);
    return key;
}
