/* The reading half of probe.h: any bytes, from workers, the coordinator or the store. */
#include "common/probe.h"

#include "common/evidence_bytes.h"
#include "common/probe_parts.h"

#include <math.h>
#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

/* One msgpack value and nothing behind it. The caller destroys *unpacked in any case. */
static status_t unpack(const void *bytes, size_t n_bytes, size_t max_bytes,
                       msgpack_unpacked *unpacked, struct error *err)
{
    size_t used = 0;
    msgpack_unpacked_init(unpacked);
    if (n_bytes > max_bytes) return error_set(err, ST_TOO_LARGE, "probes of %zu bytes", n_bytes);
    if (!wire_counts_fit(bytes, n_bytes) ||
        msgpack_unpack_next(unpacked, bytes, n_bytes, &used) != MSGPACK_UNPACK_SUCCESS ||
        used != n_bytes)
        return error_set(err, ST_CORRUPT, "probes: truncated or malformed msgpack");
    return ST_OK;
}

/* [version, [...]]: the inner array. */
static status_t take_list(const msgpack_object *root, const msgpack_object_array **out,
                          struct error *err)
{
    const msgpack_object *item = root->via.array.ptr;
    if (root->type != MSGPACK_OBJECT_ARRAY || root->via.array.size != 2 ||
        item[0].type != MSGPACK_OBJECT_POSITIVE_INTEGER || item[1].type != MSGPACK_OBJECT_ARRAY)
        return error_set(err, ST_CORRUPT, "probes: not [version, list]");
    if (item[0].via.u64 != PROBE_VERSION)
        return error_set(err, ST_PROTOCOL, "probes of version %llu, not %d",
                         (unsigned long long)item[0].via.u64, PROBE_VERSION);
    *out = &item[1].via.array;
    return ST_OK;
}

static bool take_u32(const msgpack_object *object, uint32_t *out)
{
    if (object->type != MSGPACK_OBJECT_POSITIVE_INTEGER || object->via.u64 > UINT32_MAX)
        return false;
    *out = (uint32_t)object->via.u64;
    return true;
}

static bool take_probe(const msgpack_object *object, struct probe *out)
{
    const msgpack_object *item = object->via.array.ptr;
    if (object->type != MSGPACK_OBJECT_ARRAY || object->via.array.size != PROBE_N_FIELDS ||
        !take_u32(&item[0], &out->target) || !take_u32(&item[1], &out->slot) ||
        item[2].type != MSGPACK_OBJECT_BIN || item[2].via.bin.size > PROBE_MAX_TEXT_BYTES)
        return false;
    out->text = (struct wire_text){item[2].via.bin.ptr, item[2].via.bin.size};
    return true;
}

status_t probe_unit_decode(const void *bytes, size_t n_bytes, struct probe_unit *out,
                           struct error *err)
{
    msgpack_unpacked unpacked;
    const msgpack_object_array *list = NULL;
    struct probe_unit unit = {0};
    status_t status = unpack(bytes, n_bytes, PROBE_MAX_UNIT_BYTES, &unpacked, err);
    if (status == ST_OK) status = take_list(&unpacked.data, &list, err);
    if (status == ST_OK && list->size > PROBE_MAX_PER_UNIT)
        status = error_set(err, ST_TOO_LARGE, "%u probes in a unit", (unsigned)list->size);
    for (; status == ST_OK && unit.n_probes < list->size; unit.n_probes++)
        if (!take_probe(&list->ptr[unit.n_probes], &unit.probes[unit.n_probes]))
            status =
                error_set(err, ST_CORRUPT, "probe %zu: not [target, slot, text]", unit.n_probes);
    msgpack_unpacked_destroy(&unpacked); /* texts point into `bytes`, not into the zone */
    if (status == ST_OK) *out = unit;
    return status;
}

static struct evidence_cursor cursor_of(const msgpack_object *bin)
{
    const unsigned char *bytes = (const unsigned char *)bin->via.bin.ptr;
    return (struct evidence_cursor){bytes, bytes + bin->via.bin.size, false};
}

/* [sizes, bytes]; the sizes add up to the bytes. */
static status_t take_pieces(const msgpack_object *object, struct probe_answer *out)
{
    const msgpack_object *item = object->via.array.ptr;
    const size_t n = out->n_tokens;
    if (object->type == MSGPACK_OBJECT_NIL) return ST_OK;
    if (object->type != MSGPACK_OBJECT_ARRAY || object->via.array.size != 2 ||
        item[0].type != MSGPACK_OBJECT_BIN || item[1].type != MSGPACK_OBJECT_BIN ||
        item[0].via.bin.size != n * PROBE_NUMBER_BYTES)
        return ST_CORRUPT;
    const size_t n_bytes = item[1].via.bin.size;
    out->pieces = malloc((n + 1) * sizeof *out->pieces);
    out->piece_bytes = malloc(n_bytes + 1);
    if (!out->pieces || !out->piece_bytes) return ST_NO_MEMORY;
    if (n_bytes) memcpy(out->piece_bytes, item[1].via.bin.ptr, n_bytes);
    struct evidence_cursor sizes = cursor_of(&item[0]);
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        const uint32_t size = evidence_get_u32(&sizes);
        if (size > n_bytes - at) return ST_CORRUPT;
        out->pieces[i] = (struct wire_text){out->piece_bytes + at, size};
        at += size;
    }
    return at == n_bytes ? ST_OK : ST_CORRUPT;
}

static status_t take_numbers(const msgpack_object *item, struct probe_answer *out)
{
    const size_t n = out->n_tokens;
    out->tokens = malloc((n + 1) * sizeof *out->tokens);
    out->activations = malloc((n + 1) * sizeof *out->activations);
    if (!out->tokens || !out->activations) return ST_NO_MEMORY;
    struct evidence_cursor tokens = cursor_of(&item[2]), activations = cursor_of(&item[3]);
    for (size_t i = 0; i < n; i++) {
        out->tokens[i] = evidence_get_u32(&tokens);
        out->activations[i] = evidence_get_f32(&activations);
        if (!(isfinite(out->activations[i]) && out->activations[i] >= 0)) return ST_CORRUPT;
    }
    return ST_OK;
}

static status_t take_answer(const msgpack_object *object, struct probe_answer *out)
{
    const msgpack_object *item = object->via.array.ptr;
    if (object->type != MSGPACK_OBJECT_ARRAY || object->via.array.size != PROBE_N_ANSWER_FIELDS ||
        item[0].type != MSGPACK_OBJECT_STR || item[0].via.str.size >= PROBE_ERROR_SIZE ||
        item[1].type != MSGPACK_OBJECT_BOOLEAN || item[2].type != MSGPACK_OBJECT_BIN ||
        item[3].type != MSGPACK_OBJECT_BIN || item[2].via.bin.size % PROBE_NUMBER_BYTES ||
        item[2].via.bin.size != item[3].via.bin.size ||
        item[2].via.bin.size / PROBE_NUMBER_BYTES > PROBE_MAX_TOKENS ||
        !wire_text_copy((struct wire_text){item[0].via.str.ptr, item[0].via.str.size}, out->error,
                        sizeof out->error))
        return ST_CORRUPT;
    out->is_cut = item[1].via.boolean;
    out->n_tokens = item[2].via.bin.size / PROBE_NUMBER_BYTES;
    const status_t status = take_numbers(item, out);
    return status == ST_OK ? take_pieces(&item[4], out) : status;
}

static status_t read_answer(const msgpack_object *object, size_t index, struct probe_answer *out,
                            struct error *err)
{
    struct probe_answer answer = {0};
    const status_t status = take_answer(object, &answer);
    if (status == ST_OK) {
        *out = answer;
        return ST_OK;
    }
    probe_answer_fini(&answer);
    return error_set(err, status, "answer %zu of a probe: %s", index,
                     status == ST_NO_MEMORY ? "no memory" : "wrong fields");
}

status_t probe_answer_decode(const void *bytes, size_t n_bytes, struct probe_answer *out,
                             struct error *err)
{
    msgpack_unpacked unpacked;
    status_t status = unpack(bytes, n_bytes, PROBE_MAX_RESULT_BYTES, &unpacked, err);
    if (status == ST_OK) status = read_answer(&unpacked.data, 0, out, err);
    msgpack_unpacked_destroy(&unpacked);
    return status;
}

status_t probe_result_decode(const void *bytes, size_t n_bytes, struct probe_answer *answers,
                             size_t n_answers, struct error *err)
{
    msgpack_unpacked unpacked;
    const msgpack_object_array *list = NULL;
    size_t n_read = 0;
    status_t status = unpack(bytes, n_bytes, PROBE_MAX_RESULT_BYTES, &unpacked, err);
    if (status == ST_OK) status = take_list(&unpacked.data, &list, err);
    if (status == ST_OK && list->size != n_answers)
        status =
            error_set(err, ST_CORRUPT, "%u answers of %zu probes", (unsigned)list->size, n_answers);
    struct probe_answer *read = status == ST_OK ? calloc(n_answers + 1, sizeof *read) : NULL;
    if (status == ST_OK && !read) status = error_set(err, ST_NO_MEMORY, "answers");
    while (status == ST_OK && n_read < n_answers) {
        status = read_answer(&list->ptr[n_read], n_read, &read[n_read], err);
        n_read += status == ST_OK;
    }
    if (status == ST_OK && n_answers) memcpy(answers, read, n_answers * sizeof *read);
    for (size_t i = 0; status != ST_OK && i < n_read; i++) probe_answer_fini(&read[i]);
    free(read);
    msgpack_unpacked_destroy(&unpacked);
    return status;
}
