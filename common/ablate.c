#include "common/ablate.h"

#include "common/evidence_bytes.h"

#include <stdlib.h>

enum { VERSION = 2, NUMBER_BYTES = 4, HEAD_BYTES = 3 * NUMBER_BYTES };
enum { CHANGE_BYTES = 10 * NUMBER_BYTES, OUTCOME_BYTES = 8 * ABLATE_N_FIELDS };
enum { RESULT_HEAD_BYTES = HEAD_BYTES + 8 };

const char *ablate_value_name(enum ablate_value value)
{
    static const char *const names[ABLATE_N_VALUES] = {"zero", "mean", "resample"};
    return (unsigned)value < ABLATE_N_VALUES ? names[value] : "?";
}

void ablate_unit_fini(struct ablate_unit *unit)
{
    free(unit->ends);
    free(unit->changes);
    *unit = (struct ablate_unit){0};
}

void ablate_result_fini(struct ablate_result *result)
{
    free(result->outcomes);
    *result = (struct ablate_result){0};
}

static status_t check_unit(size_t n_variants, size_t n_changes, struct error *err)
{
    return n_variants > ABLATE_MAX_VARIANTS || n_changes > ABLATE_MAX_CHANGES
               ? error_set(err, ST_TOO_LARGE, "%zu variants of %zu changes, at most %d and %d",
                           n_variants, n_changes, ABLATE_MAX_VARIANTS, ABLATE_MAX_CHANGES)
               : ST_OK;
}

static unsigned char *put_site(unsigned char *at, const struct ablate_site *site)
{
    at = evidence_put_u32(at, site->place);
    at = evidence_put_u32(at, site->layer);
    at = evidence_put_u32(at, site->column);
    return evidence_put_u32(at, site->n_columns);
}

static unsigned char *put_change(unsigned char *at, const struct ablate_change *change)
{
    at = put_site(at, &change->at);
    at = evidence_put_u32(at, change->value);
    at = evidence_put_u32(at, change->positions);
    return put_site(at, &change->sender);
}

status_t ablate_unit_encode(const struct ablate_unit *unit, struct buffer *out, struct error *err)
{
    const size_t n_changes = unit->n_variants ? unit->ends[unit->n_variants - 1] : 0;
    status_t status = check_unit(unit->n_variants, n_changes, err);
    if (status != ST_OK) return status;
    const size_t n_bytes = HEAD_BYTES + unit->n_variants * NUMBER_BYTES + n_changes * CHANGE_BYTES;
    void *room;
    status = buffer_reserve(out, n_bytes, &room, err);
    if (status != ST_OK) return status;
    unsigned char *at = evidence_put_u32(room, VERSION);
    at = evidence_put_u32(at, (uint32_t)unit->n_variants);
    at = evidence_put_u32(at, (uint32_t)n_changes);
    for (size_t i = 0; i < unit->n_variants; i++) at = evidence_put_u32(at, unit->ends[i]);
    for (size_t i = 0; i < n_changes; i++) at = put_change(at, &unit->changes[i]);
    out->n_bytes += n_bytes;
    return ST_OK;
}

/* version, two counts, and as many bytes behind them as those want. */
static status_t read_head(struct evidence_cursor *cursor, const char *what, uint32_t counts[2],
                          struct error *err)
{
    const uint32_t version = evidence_get_u32(cursor);
    counts[0] = evidence_get_u32(cursor);
    counts[1] = evidence_get_u32(cursor);
    if (cursor->is_bad) return error_set(err, ST_CORRUPT, "%s: truncated", what);
    return version == VERSION ? ST_OK
                              : error_set(err, ST_PROTOCOL, "%s of version %u, not %d", what,
                                          (unsigned)version, VERSION);
}

static struct ablate_site take_site(struct evidence_cursor *cursor)
{
    struct ablate_site site = {.place = evidence_get_u32(cursor)};
    site.layer = evidence_get_u32(cursor);
    site.column = evidence_get_u32(cursor);
    site.n_columns = evidence_get_u32(cursor);
    return site;
}

static bool take_change(struct evidence_cursor *cursor, struct ablate_change *out)
{
    out->at = take_site(cursor);
    out->value = evidence_get_u32(cursor);
    out->positions = evidence_get_u32(cursor);
    out->sender = take_site(cursor);
    return out->at.place < ABLATE_N_PLACES && out->sender.place < ABLATE_N_PLACES &&
           out->sender.place < ABLATE_FEATURE && out->value < ABLATE_N_VALUES &&
           out->positions <= ABLATE_MAX_POSITIONS && out->at.n_columns > 0;
}

static status_t take_unit(struct evidence_cursor *cursor, size_t n_changes, struct ablate_unit *out,
                          struct error *err)
{
    uint32_t low = 0;
    for (size_t i = 0; i < out->n_variants; i++) {
        out->ends[i] = evidence_get_u32(cursor);
        if (out->ends[i] < low || out->ends[i] > n_changes)
            return error_set(err, ST_CORRUPT, "variant %zu: ends at change %u of %zu", i,
                             (unsigned)out->ends[i], n_changes);
        low = out->ends[i];
    }
    if (low != n_changes) return error_set(err, ST_CORRUPT, "changes of no variant");
    for (size_t i = 0; i < n_changes; i++)
        if (!take_change(cursor, &out->changes[i]))
            return error_set(err, ST_CORRUPT, "change %zu: no such place, value or positions", i);
    return ST_OK;
}

status_t ablate_unit_decode(const void *bytes, size_t n_bytes, struct ablate_unit *out,
                            struct error *err)
{
    struct evidence_cursor cursor = {bytes, (const unsigned char *)bytes + n_bytes, false};
    uint32_t counts[2];
    status_t status = read_head(&cursor, "variants", counts, err);
    if (status == ST_OK) status = check_unit(counts[0], counts[1], err);
    if (status != ST_OK) return status;
    const size_t n_variants = counts[0], n_changes = counts[1];
    if (evidence_left(&cursor) != n_variants * NUMBER_BYTES + n_changes * CHANGE_BYTES)
        return error_set(err, ST_CORRUPT, "variants: %zu bytes", n_bytes);
    struct ablate_unit unit = {.n_variants = n_variants,
                               .ends = calloc(n_variants + 1, sizeof *unit.ends),
                               .changes = calloc(n_changes + 1, sizeof *unit.changes)};
    status = unit.ends && unit.changes ? take_unit(&cursor, n_changes, &unit, err)
                                       : error_set(err, ST_NO_MEMORY, "%zu variants", n_variants);
    if (status == ST_OK)
        *out = unit;
    else
        ablate_unit_fini(&unit);
    return status;
}

/* --- results ------------------------------------------------------------------------------- */

static status_t check_result(size_t n_variants, size_t n_prompts, struct error *err)
{
    return n_variants > ABLATE_MAX_VARIANTS || n_prompts > ABLATE_MAX_PROMPTS
               ? error_set(err, ST_TOO_LARGE, "outcomes of %zu variants on %zu prompts", n_variants,
                           n_prompts)
               : ST_OK;
}

static unsigned char *put_f64(unsigned char *at, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return evidence_put_u64(at, bits);
}

static uint64_t get_u64(struct evidence_cursor *cursor)
{
    const uint64_t low = evidence_get_u32(cursor);
    return low | (uint64_t)evidence_get_u32(cursor) << 32;
}

static double get_f64(struct evidence_cursor *cursor)
{
    const uint64_t bits = get_u64(cursor);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static unsigned char *put_outcome(unsigned char *at, const struct ablate_outcome *o)
{
    const double fields[ABLATE_N_FIELDS] = {o->answer_logit,       o->distractor_logit,
                                            o->answer_probability, o->distractor_probability,
                                            o->is_correct,         o->kl};
    for (size_t i = 0; i < ABLATE_N_FIELDS; i++) at = put_f64(at, fields[i]);
    return at;
}

status_t ablate_result_encode(const struct ablate_result *result, struct buffer *out,
                              struct error *err)
{
    status_t status = check_result(result->n_variants, result->n_prompts, err);
    if (status != ST_OK) return status;
    const size_t n = result->n_variants * result->n_prompts;
    void *room;
    status = buffer_reserve(out, RESULT_HEAD_BYTES + n * OUTCOME_BYTES, &room, err);
    if (status != ST_OK) return status;
    unsigned char *at = evidence_put_u32(room, VERSION);
    at = evidence_put_u32(at, (uint32_t)result->n_variants);
    at = evidence_put_u32(at, (uint32_t)result->n_prompts);
    at = evidence_put_u64(at, result->n_skipped);
    for (size_t i = 0; i < n; i++) at = put_outcome(at, &result->outcomes[i]);
    out->n_bytes += RESULT_HEAD_BYTES + n * OUTCOME_BYTES;
    return ST_OK;
}

static struct ablate_outcome take_outcome(struct evidence_cursor *cursor)
{
    struct ablate_outcome o = {.answer_logit = get_f64(cursor)};
    o.distractor_logit = get_f64(cursor);
    o.answer_probability = get_f64(cursor);
    o.distractor_probability = get_f64(cursor);
    o.is_correct = get_f64(cursor);
    o.kl = get_f64(cursor);
    return o;
}

status_t ablate_result_decode(const void *bytes, size_t n_bytes, struct ablate_result *out,
                              struct error *err)
{
    struct evidence_cursor cursor = {bytes, (const unsigned char *)bytes + n_bytes, false};
    uint32_t counts[2];
    status_t status = read_head(&cursor, "outcomes", counts, err);
    if (status == ST_OK) status = check_result(counts[0], counts[1], err);
    if (status != ST_OK) return status;
    const size_t n = (size_t)counts[0] * counts[1];
    const uint64_t n_skipped = get_u64(&cursor);
    if (cursor.is_bad || evidence_left(&cursor) != n * OUTCOME_BYTES)
        return error_set(err, ST_CORRUPT, "outcomes: %zu bytes", n_bytes);
    struct ablate_outcome *outcomes = calloc(n + 1, sizeof *outcomes);
    if (!outcomes) return error_set(err, ST_NO_MEMORY, "%zu outcomes", n);
    for (size_t i = 0; i < n; i++) outcomes[i] = take_outcome(&cursor);
    *out = (struct ablate_result){counts[0], counts[1], outcomes, n_skipped};
    return ST_OK;
}
