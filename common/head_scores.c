#include "common/head_scores.h"

#include "common/evidence_bytes.h"

#include <math.h>
#include <stdlib.h>

enum {
    WORD = 4,
    UNIT_HEADER = 3 * WORD,
    RESULT_HEADER = 3 * WORD,
    SEQUENCE_BYTES = (1 + 2 * HEAD_N_PATTERNS) * WORD,
    SUM_BYTES = 8,
    N_KINDS = 3 /* mul, abs, S */
};

const char *head_pattern_name(enum head_pattern pattern)
{
    static const char *const names[HEAD_N_PATTERNS] = {"previous_token", "duplicate_token",
                                                       "induction"};
    return (unsigned)pattern < HEAD_N_PATTERNS ? names[pattern] : "?";
}

static unsigned char *put_f64(unsigned char *at, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return evidence_put_u64(at, bits);
}

static double get_f64(struct evidence_cursor *cursor)
{
    const uint64_t low = evidence_get_u32(cursor);
    const uint64_t bits = low | (uint64_t)evidence_get_u32(cursor) << 32;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static bool is_length(uint32_t n_tokens)
{
    return n_tokens >= 2 && n_tokens <= HEAD_SCORES_MAX_TOKENS;
}

static bool is_shape(uint32_t n, uint32_t n_layers, uint32_t n_heads)
{
    return n >= 1 && n <= HEAD_SCORES_MAX_SEQUENCES && n_layers >= 1 && n_heads >= 1 &&
           (uint64_t)n_layers * n_heads <= HEAD_SCORES_MAX_HEADS;
}

/* --- units --------------------------------------------------------------------------------- */

void head_scores_unit_fini(struct head_scores_unit *unit)
{
    free(unit->lengths);
    free(unit->ids);
    *unit = (struct head_scores_unit){.n = 0};
}

static status_t count_ids(const struct head_scores_unit *unit, size_t *n_ids, struct error *err)
{
    *n_ids = 0;
    if (unit->n < 1 || unit->n > HEAD_SCORES_MAX_SEQUENCES)
        return error_set(err, ST_BAD_INPUT, "%u sequences in a unit", (unsigned)unit->n);
    for (uint32_t i = 0; unit->is_listed && i < unit->n; i++) {
        if (!is_length(unit->lengths[i]))
            return error_set(err, ST_BAD_INPUT, "sequence %u of %u tokens: 2 to %d", (unsigned)i,
                             (unsigned)unit->lengths[i], HEAD_SCORES_MAX_TOKENS);
        *n_ids += unit->lengths[i];
    }
    return ST_OK;
}

status_t head_scores_unit_encode(const struct head_scores_unit *unit, struct buffer *out,
                                 struct error *err)
{
    void *room;
    size_t n_ids;
    status_t status = count_ids(unit, &n_ids, err);
    if (status != ST_OK) return status;
    const size_t n_bytes = UNIT_HEADER + (unit->is_listed ? unit->n + n_ids : 0) * WORD;
    status = buffer_reserve(out, n_bytes, &room, err);
    if (status != ST_OK) return status;
    unsigned char *at = evidence_put_u32(room, unit->first);
    const uint32_t *ids = unit->ids;
    at = evidence_put_u32(at, unit->n);
    at = evidence_put_u32(at, unit->is_listed);
    for (uint32_t i = 0; unit->is_listed && i < unit->n; i++) {
        at = evidence_put_u32(at, unit->lengths[i]);
        for (uint32_t t = 0; t < unit->lengths[i]; t++) at = evidence_put_u32(at, *ids++);
    }
    out->n_bytes += n_bytes;
    return ST_OK;
}

/* False where a length or the bytes do not fit. */
static bool read_listed(struct evidence_cursor *cursor, struct head_scores_unit *out)
{
    size_t n_ids = 0;
    for (uint32_t i = 0; i < out->n; i++) {
        const uint32_t n = evidence_get_u32(cursor);
        if (cursor->is_bad || !is_length(n) || evidence_left(cursor) < (size_t)n * WORD)
            return false;
        out->lengths[i] = n;
        for (uint32_t t = 0; t < n; t++) out->ids[n_ids++] = evidence_get_u32(cursor);
    }
    return evidence_left(cursor) == 0;
}

status_t head_scores_unit_decode(const void *bytes, size_t n_bytes, struct head_scores_unit *out,
                                 struct error *err)
{
    struct evidence_cursor cursor = {bytes, (const unsigned char *)bytes + n_bytes, false};
    struct head_scores_unit made = {.first = evidence_get_u32(&cursor)};
    made.n = evidence_get_u32(&cursor);
    const uint32_t is_listed = evidence_get_u32(&cursor);
    made.is_listed = is_listed == 1;
    if (cursor.is_bad || is_listed > 1 || made.n < 1 || made.n > HEAD_SCORES_MAX_SEQUENCES ||
        (is_listed == 0 && evidence_left(&cursor) > 0))
        return error_set(err, ST_CORRUPT, "head scores unit of %zu bytes", n_bytes);
    if (made.is_listed) {
        made.lengths = calloc(made.n, sizeof *made.lengths);
        made.ids = calloc(evidence_left(&cursor) / WORD + 1, sizeof *made.ids);
        status_t status = made.lengths && made.ids
                              ? ST_OK
                              : error_set(err, ST_NO_MEMORY, "%u sequences", (unsigned)made.n);
        if (status == ST_OK && !read_listed(&cursor, &made))
            status = error_set(err, ST_CORRUPT, "head scores unit of %zu bytes", n_bytes);
        if (status != ST_OK) {
            head_scores_unit_fini(&made);
            return status;
        }
    }
    *out = made;
    return ST_OK;
}

/* --- results ------------------------------------------------------------------------------- */

static size_t n_sums(const struct head_scores_result *result)
{
    return (size_t)result->n * result->n_layers * result->n_heads * HEAD_N_SUMS;
}

status_t head_scores_result_init(struct head_scores_result *out, uint32_t n, uint32_t n_layers,
                                 uint32_t n_heads, struct error *err)
{
    struct head_scores_result made = {n, n_layers, n_heads, NULL, NULL};
    if (!is_shape(n, n_layers, n_heads) ||
        n_sums(&made) > (size_t)HEAD_SCORES_MAX_RESULT_BYTES / SUM_BYTES)
        return error_set(err, ST_TOO_LARGE, "head scores of %u sequences, %u layers of %u heads",
                         (unsigned)n, (unsigned)n_layers, (unsigned)n_heads);
    made.sequences = calloc(n, sizeof *made.sequences);
    made.sums = calloc(n_sums(&made), sizeof *made.sums);
    if (!made.sequences || !made.sums) {
        head_scores_result_fini(&made);
        return error_set(err, ST_NO_MEMORY, "head scores of %u sequences", (unsigned)n);
    }
    *out = made;
    return ST_OK;
}

void head_scores_result_fini(struct head_scores_result *result)
{
    free(result->sequences);
    free(result->sums);
    *result = (struct head_scores_result){.n = 0};
}

status_t head_scores_result_encode(const struct head_scores_result *result, struct buffer *out,
                                   struct error *err)
{
    void *room;
    const size_t n_each = n_sums(result) / result->n;
    const size_t n_bytes =
        RESULT_HEADER + (size_t)result->n * SEQUENCE_BYTES + n_sums(result) * SUM_BYTES;
    const status_t status = buffer_reserve(out, n_bytes, &room, err);
    if (status != ST_OK) return status;
    unsigned char *at = evidence_put_u32(room, result->n);
    at = evidence_put_u32(at, result->n_layers);
    at = evidence_put_u32(at, result->n_heads);
    for (uint32_t i = 0; i < result->n; i++) {
        const struct head_scores_sequence *sequence = &result->sequences[i];
        at = evidence_put_u32(at, sequence->n_tokens);
        for (size_t p = 0; p < HEAD_N_PATTERNS; p++) {
            at = evidence_put_u32(at, sequence->n_pairs[p]);
            at = evidence_put_u32(at, sequence->n_queries[p]);
        }
        for (size_t s = 0; s < n_each; s++) at = put_f64(at, result->sums[i * n_each + s]);
    }
    out->n_bytes += n_bytes;
    return ST_OK;
}

static bool read_sequence(struct evidence_cursor *cursor, struct head_scores_sequence *out)
{
    out->n_tokens = evidence_get_u32(cursor);
    if (!is_length(out->n_tokens)) return false;
    for (size_t p = 0; p < HEAD_N_PATTERNS; p++) {
        out->n_pairs[p] = evidence_get_u32(cursor);
        out->n_queries[p] = evidence_get_u32(cursor);
        if (out->n_queries[p] > out->n_tokens || out->n_queries[p] > out->n_pairs[p] ||
            out->n_pairs[p] > (uint64_t)out->n_tokens * out->n_tokens)
            return false;
    }
    return true;
}

/* Rows of attention sum to 1, each to within rounding. */
static bool read_sums(struct evidence_cursor *cursor, uint32_t n_tokens, double *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = get_f64(cursor);
        if (!isfinite(out[i]) || out[i] < 0 || out[i] > 1.001 * n_tokens) return false;
        if (i % HEAD_N_SUMS == 0 && out[i] < 0.999 * n_tokens) return false;
    }
    return !cursor->is_bad;
}

status_t head_scores_result_decode(const void *bytes, size_t n_bytes,
                                   struct head_scores_result *out, struct error *err)
{
    struct evidence_cursor cursor = {bytes, (const unsigned char *)bytes + n_bytes, false};
    struct head_scores_result made = {.n = 0};
    const uint32_t n = evidence_get_u32(&cursor), n_layers = evidence_get_u32(&cursor);
    const uint32_t n_heads = evidence_get_u32(&cursor);
    const size_t n_each =
        is_shape(n, n_layers, n_heads) ? (size_t)n_layers * n_heads * HEAD_N_SUMS : 0;
    if (cursor.is_bad || n_each == 0 ||
        evidence_left(&cursor) != n * (SEQUENCE_BYTES + n_each * SUM_BYTES))
        return error_set(err, ST_CORRUPT, "head scores of %zu bytes", n_bytes);
    status_t status = head_scores_result_init(&made, n, n_layers, n_heads, err);
    for (uint32_t i = 0; i < n && status == ST_OK; i++)
        if (!read_sequence(&cursor, &made.sequences[i]) ||
            !read_sums(&cursor, made.sequences[i].n_tokens, made.sums + i * n_each, n_each))
            status = error_set(err, ST_CORRUPT, "head scores of sequence %u are no attention",
                               (unsigned)i);
    if (status == ST_OK)
        *out = made;
    else
        head_scores_result_fini(&made);
    return status;
}

/* --- scores over sequences ------------------------------------------------------------------ */

status_t head_scores_init(struct head_scores *out, uint32_t n_layers, uint32_t n_heads,
                          struct error *err)
{
    struct head_scores made = {.n_layers = n_layers, .n_heads = n_heads};
    if (!is_shape(1, n_layers, n_heads))
        return error_set(err, ST_TOO_LARGE, "head scores of %u layers of %u heads",
                         (unsigned)n_layers, (unsigned)n_heads);
    made.sums = calloc((size_t)n_layers * n_heads * HEAD_N_PATTERNS * N_KINDS, sizeof *made.sums);
    if (!made.sums) return error_set(err, ST_NO_MEMORY, "head scores");
    *out = made;
    return ST_OK;
}

void head_scores_fini(struct head_scores *scores)
{
    free(scores->sums);
    *scores = (struct head_scores){.n_layers = 0};
}

static void add_head(const struct head_scores_sequence *sequence, const double *sums, double *into)
{
    const double total = sums[0];
    for (size_t p = 0; p < HEAD_N_PATTERNS; p++, into += N_KINDS) {
        const double s = sums[1 + p];
        into[0] += s / total;
        into[1] += 1 - ((double)sequence->n_pairs[p] + total - 2 * s) / sequence->n_tokens;
        into[2] += s;
    }
}

status_t head_scores_add(struct head_scores *scores, const struct head_scores_result *result,
                         struct error *err)
{
    const size_t n_all = (size_t)scores->n_layers * scores->n_heads;
    if (result->n_layers != scores->n_layers || result->n_heads != scores->n_heads)
        return error_set(err, ST_CORRUPT, "head scores of %u layers of %u heads, not %u of %u",
                         (unsigned)result->n_layers, (unsigned)result->n_heads,
                         (unsigned)scores->n_layers, (unsigned)scores->n_heads);
    for (uint32_t i = 0; i < result->n; i++) {
        const double *sums = result->sums + i * n_all * HEAD_N_SUMS;
        for (size_t h = 0; h < n_all; h++)
            add_head(&result->sequences[i], sums + h * HEAD_N_SUMS,
                     scores->sums + h * HEAD_N_PATTERNS * N_KINDS);
        for (size_t p = 0; p < HEAD_N_PATTERNS; p++)
            scores->n_queries[p] += result->sequences[i].n_queries[p];
        scores->n_sequences++;
    }
    return ST_OK;
}

struct head_score head_scores_of(const struct head_scores *scores, uint32_t layer, uint32_t head,
                                 enum head_pattern pattern)
{
    const size_t h = (size_t)layer * scores->n_heads + head;
    const double *sums = scores->sums + (h * HEAD_N_PATTERNS + pattern) * N_KINDS;
    const double n = (double)scores->n_sequences;
    if (scores->n_queries[pattern] == 0) return (struct head_score){.is_defined = false};
    return (struct head_score){sums[0] / n, sums[1] / n,
                               sums[2] / (double)scores->n_queries[pattern], true};
}
