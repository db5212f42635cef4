/* Lexical patterns in words. Terms of one kind and distance share a clause:
 *   any of the tokens " cat", " dog"; or the token right after any of the words "the" ... */
#include "coordinator/session/lexical_pattern.h"
#include "coordinator/session/utf8.h"

#include <string.h>

enum { MAX_QUOTED_BYTES = 40, MAX_DESCRIPTION = 16384 };

/* Quote bytes of any kind: valid visible UTF-8 as it is, the rest as escapes. */
static status_t append_quoted(struct buffer *out, const char *text, size_t n_bytes,
                              struct error *err)
{
    const size_t n_shown = n_bytes > MAX_QUOTED_BYTES ? MAX_QUOTED_BYTES : n_bytes;
    status_t status = buffer_append_text(out, "\"", err);
    for (size_t at = 0; at < n_shown && status == ST_OK;) {
        uint32_t c = 0;
        const size_t n_read = utf8_decode(text + at, n_bytes - at, &c);
        if (n_read == 0) {
            status = buffer_printf(out, err, "\\x%02X", (unsigned char)text[at]);
        } else if (c == '\n') {
            status = buffer_append_text(out, "\\n", err);
        } else if (c == '\t') {
            status = buffer_append_text(out, "\\t", err);
        } else if (c == '"' || c == '\\') {
            status = buffer_printf(out, err, "\\%c", (char)c);
        } else if (c < 0x20 || (c >= 0x7F && c < 0xA0) || (c >= 0x2028 && c <= 0x202E) ||
                   (c >= 0x200B && c <= 0x200F) || (c >= 0x2060 && c <= 0x206F) || c == 0xFEFF) {
            status = buffer_printf(out, err, "\\u%04X", (unsigned)c);
        } else {
            status = buffer_append(out, text + at, n_read, err);
        }
        at += n_read ? n_read : 1;
    }
    if (status == ST_OK && n_shown < n_bytes) status = buffer_append_text(out, "...", err);
    if (status == ST_OK) status = buffer_append_text(out, "\"", err);
    return status;
}

static status_t append_spelling(struct buffer *out, const struct lexical_vocabulary *vocabulary,
                                uint32_t spelling, struct error *err)
{
    size_t n_bytes;
    const char *text = lexical_vocabulary_spelling(vocabulary, spelling, &n_bytes);
    return append_quoted(out, text, n_bytes, err);
}

static status_t append_token(struct buffer *out, const struct lexical_vocabulary *vocabulary,
                             uint32_t token, struct error *err)
{
    const struct token_text text = lexical_vocabulary_text(vocabulary, token);
    return append_quoted(out, text.bytes, text.n_bytes, err);
}

static status_t append_sequence(struct buffer *out, const struct lexical_vocabulary *vocabulary,
                                const struct lexical_term *term, struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = 0; i < term->n_values && status == ST_OK; i++) {
        const uint32_t word = term->values[i];
        if (i > 0) status = buffer_append_text(out, " + ", err);
        if (status != ST_OK) break;
        status = word & LEXICAL_WORD_IS_TOKEN
                     ? append_token(out, vocabulary, word & ~LEXICAL_WORD_IS_TOKEN, err)
                     : append_spelling(out, vocabulary, word, err);
    }
    return status;
}

static status_t append_value(struct buffer *out, const struct lexical_vocabulary *vocabulary,
                             const struct lexical_term *term, struct error *err)
{
    switch ((enum lexical_term_kind)term->kind) {
    case TERM_TOKEN: return append_token(out, vocabulary, term->values[0], err);
    case TERM_FOLDED:
    case TERM_PREFIX:
    case TERM_SUFFIX:
    case TERM_PIECE: return append_spelling(out, vocabulary, term->values[0], err);
    case TERM_SEQUENCE: return append_sequence(out, vocabulary, term, err);
    case TERM_CLASS:
        return buffer_append_text(out, lexical_class_name((enum lexical_class)term->values[0]),
                                  err);
    case TERM_POSITION:
        if (term->values[0] == 1)
            return buffer_append_text(out, "the first token of a document", err);
        return buffer_printf(out, err, "one of the first %u tokens of a document",
                             (unsigned)term->values[0]);
    case TERM_REPEATED:
        return buffer_append_text(out, "a token that occurred earlier in the window", err);
    case TERM_REPEATED_PAIR:
        return buffer_append_text(
            out, "the second token of a pair that occurred earlier in the window", err);
    }
    return error_set(err, ST_INTERNAL, "lexical term of kind %d", term->kind);
}

/* What stands around the values of a clause, for one value and for several. */
struct phrase {
    const char *one, *several, *behind;
};

static struct phrase phrase_of(enum lexical_term_kind kind)
{
    switch (kind) {
    case TERM_TOKEN: return (struct phrase){"the token ", "any of the tokens ", ""};
    case TERM_FOLDED:
        return (struct phrase){"the word ", "any of the words ", " (any case or spacing)"};
    case TERM_PREFIX:
        return (struct phrase){"a token starting with ", "a token starting with ", ""};
    case TERM_SUFFIX: return (struct phrase){"a token ending in ", "a token ending in ", ""};
    case TERM_PIECE: return (struct phrase){"a token containing ", "a token containing ", ""};
    case TERM_SEQUENCE:
        return (struct phrase){"the sequence ", "any of the sequences ", " (any case or spacing)"};
    case TERM_POSITION:
    case TERM_CLASS:
    case TERM_REPEATED:
    case TERM_REPEATED_PAIR: break;
    }
    return (struct phrase){"", "", ""};
}

static const char *place_of(const struct lexical_term *term)
{
    static const char *const places[LEXICAL_MAX_DISTANCE + 1] = {
        "", "the token right after ", "the second token after ", "the third token after "};
    if (term->distance == 0) return term->kind == TERM_SEQUENCE ? "the last token of " : "";
    return places[term->distance <= LEXICAL_MAX_DISTANCE ? term->distance : LEXICAL_MAX_DISTANCE];
}

static bool same_clause(const struct lexical_term *a, const struct lexical_term *b)
{
    return a->kind == b->kind && a->distance == b->distance;
}

/* The clause of all terms like terms[first]. */
static status_t append_clause(struct buffer *out, const struct lexical_pattern *pattern,
                              const struct lexical_vocabulary *vocabulary, size_t first,
                              struct error *err)
{
    const struct lexical_term *head = &pattern->terms[first];
    const struct phrase phrase = phrase_of((enum lexical_term_kind)head->kind);
    size_t n_like = 0, n_written = 0;
    for (size_t t = first; t < pattern->n_terms; t++)
        n_like += same_clause(head, &pattern->terms[t]);
    status_t status = buffer_append_text(out, place_of(head), err);
    if (status == ST_OK)
        status = buffer_append_text(out, n_like == 1 ? phrase.one : phrase.several, err);
    for (size_t t = first; t < pattern->n_terms && status == ST_OK; t++) {
        if (!same_clause(head, &pattern->terms[t])) continue;
        const bool is_spelled = *phrase.one != '\0';
        if (n_written++ > 0) status = buffer_append_text(out, is_spelled ? ", " : " or ", err);
        if (status == ST_OK) status = append_value(out, vocabulary, &pattern->terms[t], err);
    }
    if (status == ST_OK) status = buffer_append_text(out, phrase.behind, err);
    return status;
}

static bool starts_clause(const struct lexical_pattern *pattern, size_t index)
{
    for (size_t t = 0; t < index; t++)
        if (same_clause(&pattern->terms[t], &pattern->terms[index])) return false;
    return true;
}

status_t lexical_pattern_describe(const struct lexical_pattern *pattern,
                                  const struct lexical_vocabulary *vocabulary,
                                  char out[LEXICAL_LABEL_SIZE], struct error *err)
{
    struct buffer text;
    buffer_init(&text, MAX_DESCRIPTION);
    status_t status = ST_OK;
    for (size_t t = 0; t < pattern->n_terms && status == ST_OK; t++) {
        if (!starts_clause(pattern, t)) continue;
        if (t > 0) status = buffer_append_text(&text, "; or ", err);
        if (status == ST_OK) status = append_clause(&text, pattern, vocabulary, t, err);
    }
    if (status == ST_OK) {
        const size_t n_bytes =
            text.n_bytes ? utf8_cut((const char *)text.bytes, text.n_bytes, LEXICAL_LABEL_SIZE - 1)
                         : 0;
        if (n_bytes) memcpy(out, text.bytes, n_bytes);
        out[n_bytes] = '\0';
    }
    buffer_fini(&text);
    return status;
}
