#include "worker/model/pretokenizer.h"

#include "common/size.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

enum { FIRST_CAPACITY = 256 };

/* ---- lists ------------------------------------------------------------------------------ */

void pretokenizer_scratch_init(struct pretokenizer_scratch *scratch, size_t max_bytes)
{
    *scratch = (struct pretokenizer_scratch){0};
    buffer_init(&scratch->text_buffer, max_bytes);
    buffer_init(&scratch->next_text, max_bytes);
}

void pretokenizer_scratch_fini(struct pretokenizer_scratch *scratch)
{
    free(scratch->pieces.pieces);
    free(scratch->next_pieces.pieces);
    free(scratch->spans);
    buffer_fini(&scratch->text_buffer);
    buffer_fini(&scratch->next_text);
    *scratch = (struct pretokenizer_scratch){0};
}

static status_t grow_list(void **items, size_t *capacity, size_t item_bytes, struct error *err)
{
    size_t n_bytes;
    const size_t grown_capacity = *capacity ? 2 * *capacity : FIRST_CAPACITY;
    if (!size_mul(grown_capacity, item_bytes, &n_bytes))
        return error_set(err, ST_TOO_LARGE, "list of %zu pieces", *capacity);
    void *grown = realloc(*items, n_bytes);
    if (!grown) return error_set(err, ST_NO_MEMORY, "list of %zu pieces", grown_capacity);
    *items = grown;
    *capacity = grown_capacity;
    return ST_OK;
}

static status_t append_piece(struct piece_list *list, size_t begin, size_t end, bool at_start,
                             struct error *err)
{
    if (begin == end) return ST_OK;
    if (list->n_pieces == list->capacity) {
        void *items = list->pieces;
        const status_t status = grow_list(&items, &list->capacity, sizeof *list->pieces, err);
        if (status != ST_OK) return status;
        list->pieces = items;
    }
    list->pieces[list->n_pieces++] = (struct text_piece){(uint32_t)begin, (uint32_t)end, at_start};
    return ST_OK;
}

static status_t append_span(struct pretokenizer_scratch *scratch, size_t begin, size_t end,
                            bool is_match, struct error *err)
{
    if (scratch->n_spans == scratch->span_capacity) {
        void *items = scratch->spans;
        const status_t status =
            grow_list(&items, &scratch->span_capacity, sizeof *scratch->spans, err);
        if (status != ST_OK) return status;
        scratch->spans = items;
    }
    scratch->spans[scratch->n_spans++] =
        (struct split_span){(uint32_t)begin, (uint32_t)end, is_match};
    return ST_OK;
}

/* ---- finding matches: spans cover the piece, offsets from its begin ------------------------ */

static status_t find_pattern_spans(const struct pretokenizer_step *step,
                                   struct pretokenizer_scratch *scratch,
                                   struct regex_cursor *cursor, const char *text, size_t n_bytes,
                                   struct error *err)
{
    size_t covered = 0;
    size_t from = 0;
    while (from <= n_bytes) {
        bool found;
        size_t begin, end;
        status_t status = text_pattern_find(&step->pattern, cursor, text, n_bytes, from, &found,
                                            &begin, &end, err);
        if (status == ST_OK && found && covered < begin)
            status = append_span(scratch, covered, begin, step->is_inverted, err);
        if (status == ST_OK && found)
            status = append_span(scratch, begin, end, !step->is_inverted, err);
        if (status != ST_OK) return status;
        if (!found) break;
        covered = end;
        from = end;
        if (begin == end) { /* an empty match cuts here; look on behind the next character */
            size_t n_used = 1;
            if (end < n_bytes) (void)utf8_read(text + end, &n_used);
            from += n_used;
        }
    }
    if (covered == n_bytes) return ST_OK;
    return append_span(scratch, covered, n_bytes, step->is_inverted, err);
}

static bool is_in_class(enum split_class class, uint32_t codepoint)
{
    if (class == CLASS_WHITE_SPACE) return utf8_is_white_space(codepoint);
    if (codepoint < 0x80) {
        if (class == CLASS_NUMERIC) return codepoint >= '0' && codepoint <= '9';
        return (codepoint > ' ' && codepoint < '0') || (codepoint > '9' && codepoint < 'A') ||
               (codepoint > 'Z' && codepoint < 'a') || (codepoint > 'z' && codepoint < 0x7f);
    }
    const utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)codepoint);
    if (class == CLASS_NUMERIC)
        return category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO;
    return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
}

static status_t find_class_spans(const struct pretokenizer_step *step,
                                 struct pretokenizer_scratch *scratch, const char *text,
                                 size_t n_bytes, struct error *err)
{
    size_t covered = 0;
    for (size_t at = 0, n_used; at < n_bytes; at += n_used) {
        if (!is_in_class(step->class, utf8_read(text + at, &n_used))) continue;
        status_t status = ST_OK;
        if (covered < at) status = append_span(scratch, covered, at, false, err);
        if (status == ST_OK) status = append_span(scratch, at, at + n_used, true, err);
        if (status != ST_OK) return status;
        covered = at + n_used;
    }
    return covered < n_bytes ? append_span(scratch, covered, n_bytes, false, err) : ST_OK;
}

/* ---- from matches to pieces -------------------------------------------------------------- */

/* Whether span `at` (> 0) belongs to the piece of the span before it. In a run of matches only
 * the first joins what precedes the run, only the last what follows it. */
static bool joins_previous(const struct split_span *spans, size_t at, enum split_behavior behavior)
{
    const bool is_match = spans[at].is_match;
    const bool after_match = spans[at - 1].is_match;
    if (behavior == SPLIT_CONTIGUOUS) return is_match == after_match;
    if (behavior == SPLIT_WITH_PREVIOUS) return is_match && !after_match;
    if (behavior == SPLIT_WITH_NEXT) return after_match && !is_match;
    return false;
}

static status_t emit_pieces(const struct pretokenizer_step *step,
                            struct pretokenizer_scratch *scratch, const struct text_piece *piece,
                            struct error *err)
{
    const struct split_span *spans = scratch->spans;
    for (size_t i = 0, next; i < scratch->n_spans; i = next) {
        next = i + 1;
        while (next < scratch->n_spans && joins_previous(spans, next, step->behavior)) next++;
        if (step->behavior == SPLIT_REMOVED && spans[i].is_match) continue;
        const size_t begin = piece->begin + (size_t)spans[i].begin;
        const size_t end = piece->begin + (size_t)spans[next - 1].end;
        const status_t status = append_piece(&scratch->next_pieces, begin, end,
                                             piece->at_start && begin == piece->begin, err);
        if (status != ST_OK) return status;
    }
    return ST_OK;
}

static status_t split_piece(const struct pretokenizer_step *step,
                            struct pretokenizer_scratch *scratch, struct regex_cursor *cursor,
                            const struct text_piece *piece, struct error *err)
{
    const char *text = scratch->text + piece->begin;
    const size_t n_bytes = piece->end - piece->begin;
    scratch->n_spans = 0;
    const status_t status = step->kind == PRETOKENIZER_SPLIT_CLASS
                                ? find_class_spans(step, scratch, text, n_bytes, err)
                                : find_pattern_spans(step, scratch, cursor, text, n_bytes, err);
    return status == ST_OK ? emit_pieces(step, scratch, piece, err) : status;
}

static status_t cut_before_mark(const struct pretokenizer_step *step,
                                struct pretokenizer_scratch *scratch,
                                const struct text_piece *piece, struct error *err)
{
    const char *text = scratch->text;
    const size_t n_mark = strlen(step->mark);
    size_t begin = piece->begin;
    bool after_mark = true;
    for (size_t at = piece->begin; at < piece->end;) {
        const bool is_mark =
            piece->end - at >= n_mark && memcmp(text + at, step->mark, n_mark) == 0;
        if (is_mark && !after_mark) {
            const status_t status = append_piece(&scratch->next_pieces, begin, at,
                                                 piece->at_start && begin == piece->begin, err);
            if (status != ST_OK) return status;
            begin = at;
        }
        after_mark = is_mark;
        at += is_mark ? n_mark : 1;
    }
    return append_piece(&scratch->next_pieces, begin, piece->end,
                        piece->at_start && begin == piece->begin, err);
}

/* ---- steps that rewrite text --------------------------------------------------------------- */

static status_t append_marked(const struct pretokenizer_step *step, const char *text,
                              size_t n_bytes, bool at_start, struct buffer *out, struct error *err)
{
    const size_t n_mark = strlen(step->mark);
    const bool has_mark =
        text[0] == ' ' || (n_bytes >= n_mark && memcmp(text, step->mark, n_mark) == 0);
    status_t status = ST_OK;
    if (!has_mark &&
        (step->scheme == PREPEND_ALWAYS || (step->scheme == PREPEND_FIRST && at_start)))
        status = buffer_append(out, step->mark, n_mark, err);
    while (status == ST_OK && n_bytes > 0) {
        const char *space = memchr(text, ' ', n_bytes);
        const size_t n_plain = space ? (size_t)(space - text) : n_bytes;
        status = buffer_append(out, text, n_plain, err);
        if (status == ST_OK && space) status = buffer_append(out, step->mark, n_mark, err);
        const size_t n_read = n_plain + (space ? 1 : 0);
        text += n_read;
        n_bytes -= n_read;
    }
    return status;
}

static status_t rewrite_piece(const struct pretokenizer_step *step,
                              struct pretokenizer_scratch *scratch, const struct text_piece *piece,
                              struct error *err)
{
    struct buffer *out = &scratch->next_text;
    const char *text = scratch->text + piece->begin;
    const size_t n_bytes = piece->end - piece->begin;
    const size_t begin = out->n_bytes;
    status_t status = ST_OK;
    if (step->kind == PRETOKENIZER_METASPACE) {
        status = append_marked(step, text, n_bytes, piece->at_start, out, err);
    } else {
        if (text[0] != ' ') status = buffer_append(out, " ", 1, err);
        if (status == ST_OK) status = buffer_append(out, text, n_bytes, err);
    }
    if (status != ST_OK) return status;
    return append_piece(&scratch->next_pieces, begin, out->n_bytes, piece->at_start, err);
}

/* ---- running the steps ---------------------------------------------------------------------- */

static status_t run_on_piece(const struct pretokenizer_step *step,
                             struct pretokenizer_scratch *scratch, struct regex_cursor *cursor,
                             const struct text_piece *piece, struct error *err)
{
    switch (step->kind) {
    case PRETOKENIZER_PREFIX_SPACE:
    case PRETOKENIZER_METASPACE: return rewrite_piece(step, scratch, piece, err);
    case PRETOKENIZER_CUT_BEFORE: return cut_before_mark(step, scratch, piece, err);
    case PRETOKENIZER_SPLIT:
    case PRETOKENIZER_SPLIT_CLASS: return split_piece(step, scratch, cursor, piece, err);
    }
    return error_set(err, ST_INTERNAL, "no pre-tokenizer step %d", (int)step->kind);
}

static status_t run_step(const struct pretokenizer_step *step, struct pretokenizer_scratch *scratch,
                         struct regex_cursor *cursor, struct error *err)
{
    const bool rewrites =
        step->kind == PRETOKENIZER_PREFIX_SPACE || step->kind == PRETOKENIZER_METASPACE;
    scratch->next_pieces.n_pieces = 0;
    scratch->next_text.n_bytes = 0;
    for (size_t i = 0; i < scratch->pieces.n_pieces; i++) {
        const status_t status =
            run_on_piece(step, scratch, cursor, &scratch->pieces.pieces[i], err);
        if (status != ST_OK) return status;
    }
    const struct piece_list pieces = scratch->pieces;
    scratch->pieces = scratch->next_pieces;
    scratch->next_pieces = pieces;
    if (!rewrites) return ST_OK;
    const struct buffer text = scratch->text_buffer;
    scratch->text_buffer = scratch->next_text;
    scratch->next_text = text;
    scratch->text = (const char *)scratch->text_buffer.bytes;
    return ST_OK;
}

status_t pretokenizer_run(const struct pretokenizer *pretokenizer,
                          struct pretokenizer_scratch *scratch, struct regex_cursor *cursor,
                          const char *text, size_t n_bytes, bool at_start, struct error *err)
{
    scratch->text = text;
    scratch->pieces.n_pieces = 0;
    status_t status = append_piece(&scratch->pieces, 0, n_bytes, at_start, err);
    for (size_t i = 0; status == ST_OK && i < pretokenizer->n_steps; i++)
        status = run_step(&pretokenizer->steps[i], scratch, cursor, err);
    return status;
}
