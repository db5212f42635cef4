#include "coordinator/session/lexical_vocabulary.h"

#include "coordinator/session/lexical_spellings.h"
#include "coordinator/session/utf8.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct lexical_vocabulary {
    const struct token_texts *texts;
    struct lexical_token *tokens; /* [texts->n_tokens] */
    uint32_t *pieces;             /* [texts->n_tokens * LEXICAL_MAX_PIECES], n_pieces used */
    size_t n_pieces;
    struct lexical_spellings spellings;
};

static const struct lexical_token NO_TOKEN = {LEXICAL_NO_TEXT,
                                              {LEXICAL_NO_TEXT, LEXICAL_NO_TEXT, LEXICAL_NO_TEXT},
                                              {LEXICAL_NO_TEXT, LEXICAL_NO_TEXT, LEXICAL_NO_TEXT},
                                              0,
                                              0,
                                              0};

const char *lexical_class_name(enum lexical_class token_class)
{
    static const char *const names[LEXICAL_N_CLASSES] = {
        "a number in digits",
        "a token with a digit in it",
        "a capitalised word",
        "a word in capital letters",
        "a single letter",
        "punctuation or a symbol",
        "a line break",
        "white space",
        "the start of a word (a space, then a letter)",
        "the continuation of a word (a small letter without a space before it)",
        "text outside ASCII"};
    return (unsigned)token_class < LEXICAL_N_CLASSES ? names[token_class] : "unknown class";
}

/* --- letters -------------------------------------------------------------------------- */

static uint32_t to_lower(uint32_t c)
{
    if (c >= 'A' && c <= 'Z') return c + 32;
    if (c >= 0xC0 && c <= 0xDE && c != 0xD7) return c + 32;
    if (c >= 0x391 && c <= 0x3A9 && c != 0x3A2) return c + 32;
    if (c >= 0x410 && c <= 0x42F) return c + 32;
    if (c >= 0x400 && c <= 0x40F) return c + 80;
    return c;
}

static bool is_upper(uint32_t c)
{
    return to_lower(c) != c;
}

static bool is_lower(uint32_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 0xDF && c <= 0xFF && c != 0xF7) ||
           (c >= 0x3B1 && c <= 0x3C9) || (c >= 0x430 && c <= 0x45F);
}

static bool is_digit(uint32_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_space(uint32_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r') || c == 0xA0 || c == 0x3000 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029;
}

static bool is_mark(uint32_t c)
{
    if (c < 0x80) return c > ' ' && c != 0x7F && !is_digit(c) && !is_upper(c) && !is_lower(c);
    return (c >= 0xA1 && c <= 0xBF && c != 0xAA && c != 0xB5 && c != 0xBA) || c == 0xD7 ||
           c == 0xF7 || (c >= 0x2010 && c <= 0x205E && c != 0x2028 && c != 0x2029) ||
           (c >= 0x2190 && c <= 0x2BFF) || (c >= 0x3001 && c <= 0x3003) ||
           (c >= 0x3008 && c <= 0x3011);
}

/* --- one token ------------------------------------------------------------------------ */

struct letters {
    uint32_t all[LEXICAL_MAX_CHARACTERS]; /* as written */
    size_t n_all;
    uint32_t folded[LEXICAL_MAX_CHARACTERS]; /* lower case, without white space at either end */
    size_t n_folded;
    size_t n_leading_space;
};

static bool read_letters(struct token_text text, struct letters *out)
{
    *out = (struct letters){.n_all = 0};
    for (size_t at = 0; at < text.n_bytes;) {
        uint32_t c;
        const size_t n_read = utf8_decode(text.bytes + at, text.n_bytes - at, &c);
        if (n_read == 0 || out->n_all == LEXICAL_MAX_CHARACTERS) return false;
        out->all[out->n_all++] = c;
        at += n_read;
    }
    size_t first = 0, end = out->n_all;
    while (first < end && is_space(out->all[first])) first++;
    while (end > first && is_space(out->all[end - 1])) end--;
    for (size_t i = first; i < end; i++) out->folded[out->n_folded++] = to_lower(out->all[i]);
    out->n_leading_space = first;
    return true;
}

struct letter_counts {
    size_t n_space, n_digit, n_upper, n_lower, n_mark, n_break, n_not_ascii;
};

static struct letter_counts count_letters(const struct letters *letters)
{
    struct letter_counts counts = {0};
    for (size_t i = 0; i < letters->n_all; i++) {
        const uint32_t c = letters->all[i];
        counts.n_space += is_space(c);
        counts.n_digit += is_digit(c);
        counts.n_upper += is_upper(c);
        counts.n_lower += is_lower(c);
        counts.n_mark += is_mark(c);
        counts.n_break += c == '\n' || c == '\r';
        counts.n_not_ascii += c >= 0x80;
    }
    return counts;
}

static uint16_t classes_of(const struct letters *letters)
{
    const struct letter_counts n = count_letters(letters);
    const size_t n_visible = letters->n_all - n.n_space;
    const size_t n_letters = n.n_upper + n.n_lower;
    const uint32_t first = n_visible ? letters->all[letters->n_leading_space] : 0;
    const bool is_member[LEXICAL_N_CLASSES] = {
        [CLASS_DIGITS] = n_visible > 0 && n.n_digit == n_visible,
        [CLASS_HAS_DIGIT] = n.n_digit > 0,
        [CLASS_CAPITALISED] = is_upper(first) && n.n_upper == 1 && n.n_lower > 0,
        [CLASS_ALL_CAPITALS] = n_letters >= 2 && n.n_upper == n_letters,
        [CLASS_ONE_LETTER] = n_visible == 1 && n_letters == 1,
        [CLASS_PUNCTUATION] = n_visible > 0 && n.n_mark == n_visible,
        [CLASS_LINE_BREAK] = n.n_break > 0,
        [CLASS_WHITE_SPACE] = letters->n_all > 0 && n_visible == 0,
        [CLASS_WORD_START] = letters->n_leading_space > 0 && (is_upper(first) || is_lower(first)),
        [CLASS_WORD_PIECE] = letters->n_leading_space == 0 && is_lower(first),
        [CLASS_NOT_ASCII] = n.n_not_ascii > 0,
    };
    unsigned bits = 0;
    for (unsigned c = 0; c < LEXICAL_N_CLASSES; c++) bits |= is_member[c] ? 1u << c : 0u;
    return (uint16_t)bits;
}

/* --- building ------------------------------------------------------------------------- */

static status_t add_affixes(struct lexical_vocabulary *vocabulary, const struct letters *letters,
                            struct lexical_token *token, struct error *err)
{
    status_t status = ST_OK;
    for (size_t a = 0; a < LEXICAL_N_AFFIXES && status == ST_OK; a++) {
        const size_t length = LEXICAL_MIN_AFFIX + a;
        if (length > letters->n_folded) break;
        status = lexical_spellings_add(&vocabulary->spellings, letters->folded, length,
                                       &token->prefixes[a], err);
        if (status == ST_OK)
            status = lexical_spellings_add(&vocabulary->spellings,
                                           letters->folded + letters->n_folded - length, length,
                                           &token->suffixes[a], err);
    }
    return status;
}

static bool has_piece(const uint32_t *pieces, size_t n_pieces, uint32_t piece)
{
    for (size_t i = 0; i < n_pieces; i++)
        if (pieces[i] == piece) return true;
    return false;
}

static status_t add_pieces(struct lexical_vocabulary *vocabulary, const struct letters *letters,
                           struct lexical_token *token, struct error *err)
{
    uint32_t *pieces = vocabulary->pieces + vocabulary->n_pieces;
    token->first_piece = (uint32_t)vocabulary->n_pieces;
    for (size_t length = LEXICAL_MIN_PIECE; length <= LEXICAL_MAX_PIECE; length++) {
        for (size_t at = 0; at + length <= letters->n_folded; at++) {
            uint32_t piece = 0;
            if (token->n_pieces == LEXICAL_MAX_PIECES) break;
            const status_t status = lexical_spellings_add(
                &vocabulary->spellings, letters->folded + at, length, &piece, err);
            if (status != ST_OK) return status;
            if (!has_piece(pieces, token->n_pieces, piece)) pieces[token->n_pieces++] = piece;
        }
    }
    vocabulary->n_pieces += token->n_pieces;
    return ST_OK;
}

static status_t add_token(struct lexical_vocabulary *vocabulary, size_t index, struct error *err)
{
    struct letters letters;
    struct lexical_token *token = &vocabulary->tokens[index];
    *token = NO_TOKEN;
    if (!read_letters(vocabulary->texts->texts[index], &letters)) return ST_OK;
    token->classes = classes_of(&letters);
    if (letters.n_folded == 0) return ST_OK;
    status_t status = lexical_spellings_add(&vocabulary->spellings, letters.folded,
                                            letters.n_folded, &token->folded, err);
    if (status == ST_OK) status = add_affixes(vocabulary, &letters, token, err);
    if (status == ST_OK) status = add_pieces(vocabulary, &letters, token, err);
    return status;
}

status_t lexical_vocabulary_create(struct lexical_vocabulary **out, const struct token_texts *texts,
                                   struct error *err)
{
    struct lexical_vocabulary *made = calloc(1, sizeof *made);
    if (!made) return error_set(err, ST_NO_MEMORY, "vocabulary");
    status_t status = ST_OK;
    made->texts = texts;
    made->tokens = calloc(texts->n_tokens + 1, sizeof *made->tokens);
    if (texts->n_tokens < UINT32_MAX / LEXICAL_MAX_PIECES) /* pieces are numbered in 32 bits */
        made->pieces = calloc(texts->n_tokens + 1, LEXICAL_MAX_PIECES * sizeof *made->pieces);
    if (!made->tokens || !made->pieces)
        status = error_set(err, ST_NO_MEMORY, "vocabulary of %zu tokens", texts->n_tokens);
    for (size_t i = 0; status == ST_OK && i < texts->n_tokens; i++)
        status = add_token(made, i, err);
    if (status == ST_OK)
        *out = made;
    else
        lexical_vocabulary_destroy(&made);
    return status;
}

void lexical_vocabulary_destroy(struct lexical_vocabulary **vocabulary)
{
    struct lexical_vocabulary *gone = *vocabulary;
    if (!gone) return;
    lexical_spellings_fini(&gone->spellings);
    free(gone->tokens);
    free(gone->pieces);
    free(gone);
    *vocabulary = NULL;
}

size_t lexical_vocabulary_n_tokens(const struct lexical_vocabulary *vocabulary)
{
    return vocabulary->texts->n_tokens;
}

size_t lexical_vocabulary_n_spellings(const struct lexical_vocabulary *vocabulary)
{
    return vocabulary->spellings.n_spellings;
}

const struct lexical_token *lexical_vocabulary_token(const struct lexical_vocabulary *vocabulary,
                                                     uint32_t token)
{
    return token < vocabulary->texts->n_tokens ? &vocabulary->tokens[token] : &NO_TOKEN;
}

const uint32_t *lexical_vocabulary_pieces(const struct lexical_vocabulary *vocabulary,
                                          const struct lexical_token *token)
{
    return token->n_pieces ? vocabulary->pieces + token->first_piece : NULL;
}

const char *lexical_vocabulary_spelling(const struct lexical_vocabulary *vocabulary, uint32_t id,
                                        size_t *n_bytes)
{
    return lexical_spellings_text(&vocabulary->spellings, id, n_bytes);
}

struct token_text lexical_vocabulary_text(const struct lexical_vocabulary *vocabulary,
                                          uint32_t token)
{
    if (token < vocabulary->texts->n_tokens) return vocabulary->texts->texts[token];
    return (struct token_text){UTF8_REPLACEMENT, sizeof UTF8_REPLACEMENT - 1};
}
