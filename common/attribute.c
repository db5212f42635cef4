#include "common/attribute.h"

#include "common/evidence_bytes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION = 1, NUMBER_BYTES = 4, SCORE_BYTES = 8, UNIT_BYTES = 12, RESULT_HEAD_BYTES = 16 };

static const char *const METHOD_NAMES[ATTRIBUTE_N_METHODS] = {
    [ATTRIBUTE_ATP] = "atp", [ATTRIBUTE_EAP] = "eap", [ATTRIBUTE_EAP_IG] = "eap_ig"};

const char *attribute_method_name(enum attribute_method method)
{
    return (unsigned)method < ATTRIBUTE_N_METHODS ? METHOD_NAMES[method] : "?";
}

status_t attribute_method_parse(const char *name, enum attribute_method *out, struct error *err)
{
    for (unsigned i = 0; i < ATTRIBUTE_N_METHODS; i++) {
        if (strcmp(name, METHOD_NAMES[i]) != 0) continue;
        *out = (enum attribute_method)i;
        return ST_OK;
    }
    return error_set(err, ST_BAD_INPUT, "method: \"%s\" is not atp, eap or eap_ig", name);
}

/* --- places -------------------------------------------------------------------------------- */

size_t attribute_layer_node(const struct attribute_shape *s, size_t layer)
{
    return 1 + layer * (s->n_heads + 2 * s->n_kv_heads + 1);
}

size_t attribute_n_nodes(const struct attribute_shape *s)
{
    return attribute_layer_node(s, s->n_layers);
}

size_t attribute_layer_sender(const struct attribute_shape *s, size_t layer)
{
    return 1 + layer * (s->n_heads + 1);
}

size_t attribute_n_senders(const struct attribute_shape *s)
{
    return attribute_layer_sender(s, s->n_layers);
}

size_t attribute_attention_edge(const struct attribute_shape *s, size_t layer)
{
    const size_t n_readers = s->n_heads + 2 * s->n_kv_heads;
    size_t n = 0;
    for (size_t i = 0; i < layer; i++) {
        const size_t n_before = attribute_layer_sender(s, i);
        n += n_readers * n_before + n_before + s->n_heads;
    }
    return n;
}

size_t attribute_mlp_edge(const struct attribute_shape *s, size_t layer)
{
    return attribute_attention_edge(s, layer) +
           (s->n_heads + 2 * s->n_kv_heads) * attribute_layer_sender(s, layer);
}

size_t attribute_n_edges(const struct attribute_shape *s)
{
    return attribute_attention_edge(s, s->n_layers) + attribute_n_senders(s);
}

/* --- units --------------------------------------------------------------------------------- */

status_t attribute_unit_encode(const struct attribute_unit *unit, struct buffer *out,
                               struct error *err)
{
    void *room;
    const status_t status = buffer_reserve(out, UNIT_BYTES, &room, err);
    if (status != ST_OK) return status;
    unsigned char *at = evidence_put_u32(room, VERSION);
    at = evidence_put_u32(at, unit->first_prompt);
    (void)evidence_put_u32(at, unit->n_prompts);
    out->n_bytes += UNIT_BYTES;
    return ST_OK;
}

static status_t read_version(struct evidence_cursor *cursor, const char *what, struct error *err)
{
    const uint32_t version = evidence_get_u32(cursor);
    if (cursor->is_bad) return error_set(err, ST_CORRUPT, "%s: truncated", what);
    return version == VERSION ? ST_OK
                              : error_set(err, ST_PROTOCOL, "%s of version %u, not %d", what,
                                          (unsigned)version, VERSION);
}

status_t attribute_unit_decode(const void *bytes, size_t n_bytes, struct attribute_unit *out,
                               struct error *err)
{
    struct evidence_cursor cursor = {bytes, (const unsigned char *)bytes + n_bytes, false};
    struct attribute_unit unit;
    const status_t status = read_version(&cursor, "prompts to attribute", err);
    if (status != ST_OK) return status;
    unit.first_prompt = evidence_get_u32(&cursor);
    unit.n_prompts = evidence_get_u32(&cursor);
    if (cursor.is_bad || evidence_left(&cursor) || !unit.n_prompts)
        return error_set(err, ST_CORRUPT, "prompts to attribute: %zu bytes", n_bytes);
    *out = unit;
    return ST_OK;
}

/* --- results ------------------------------------------------------------------------------- */

void attribute_result_fini(struct attribute_result *result)
{
    free(result->nodes);
    free(result->edges);
    *result = (struct attribute_result){0};
}

static status_t check_result(size_t n_nodes, size_t n_edges, struct error *err)
{
    return n_nodes > ATTRIBUTE_MAX_NODES || n_edges > ATTRIBUTE_MAX_EDGES
               ? error_set(err, ST_TOO_LARGE,
                           "scores of %zu nodes and %zu edges, at most %d and %d", n_nodes, n_edges,
                           ATTRIBUTE_MAX_NODES, ATTRIBUTE_MAX_EDGES)
               : ST_OK;
}

static unsigned char *put_scores(unsigned char *at, const double *scores, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t bits;
        memcpy(&bits, &scores[i], sizeof bits);
        at = evidence_put_u64(at, bits);
    }
    return at;
}

status_t attribute_result_encode(const struct attribute_result *result, struct buffer *out,
                                 struct error *err)
{
    status_t status = check_result(result->n_nodes, result->n_edges, err);
    if (status != ST_OK) return status;
    const size_t n_bytes =
        RESULT_HEAD_BYTES + (result->n_nodes + result->n_edges) * (size_t)SCORE_BYTES;
    void *room;
    status = buffer_reserve(out, n_bytes, &room, err);
    if (status != ST_OK) return status;
    unsigned char *at = evidence_put_u32(room, VERSION);
    at = evidence_put_u32(at, (uint32_t)result->n_prompts);
    at = evidence_put_u32(at, (uint32_t)result->n_nodes);
    at = evidence_put_u32(at, (uint32_t)result->n_edges);
    at = put_scores(at, result->nodes, result->n_nodes);
    (void)put_scores(at, result->edges, result->n_edges);
    out->n_bytes += n_bytes;
    return ST_OK;
}

static status_t take_scores(struct evidence_cursor *cursor, size_t n, double *out,
                            struct error *err)
{
    for (size_t i = 0; i < n; i++) {
        const uint64_t low = evidence_get_u32(cursor);
        const uint64_t bits = low | (uint64_t)evidence_get_u32(cursor) << 32;
        memcpy(&out[i], &bits, sizeof out[i]);
        if (!isfinite(out[i])) return error_set(err, ST_CORRUPT, "score %zu is not finite", i);
    }
    return ST_OK;
}

status_t attribute_result_decode(const void *bytes, size_t n_bytes, struct attribute_result *out,
                                 struct error *err)
{
    struct evidence_cursor cursor = {bytes, (const unsigned char *)bytes + n_bytes, false};
    struct attribute_result result = {0};
    status_t status = read_version(&cursor, "attributions", err);
    if (status != ST_OK) return status;
    result.n_prompts = evidence_get_u32(&cursor);
    result.n_nodes = evidence_get_u32(&cursor);
    result.n_edges = evidence_get_u32(&cursor);
    status = check_result(result.n_nodes, result.n_edges, err);
    if (status != ST_OK) return status;
    if (cursor.is_bad ||
        evidence_left(&cursor) != (result.n_nodes + result.n_edges) * (size_t)SCORE_BYTES)
        return error_set(err, ST_CORRUPT, "attributions: %zu bytes", n_bytes);
    result.nodes = calloc(result.n_nodes + 1, sizeof *result.nodes);
    result.edges = calloc(result.n_edges + 1, sizeof *result.edges);
    if (!result.nodes || !result.edges)
        status = error_set(err, ST_NO_MEMORY, "%zu attributions", result.n_nodes + result.n_edges);
    if (status == ST_OK) status = take_scores(&cursor, result.n_nodes, result.nodes, err);
    if (status == ST_OK) status = take_scores(&cursor, result.n_edges, result.edges, err);
    if (status == ST_OK)
        *out = result;
    else
        attribute_result_fini(&result);
    return status;
}
