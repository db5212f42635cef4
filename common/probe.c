#include "common/probe.h"

#include "common/evidence_bytes.h"
#include "common/pack.h"
#include "common/probe_parts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool pack_list(msgpack_packer *packer, size_t n)
{
    return msgpack_pack_array(packer, 2) == 0 && msgpack_pack_int(packer, PROBE_VERSION) == 0 &&
           msgpack_pack_array(packer, n) == 0;
}

static bool pack_probe(msgpack_packer *packer, const struct probe *probe)
{
    return msgpack_pack_array(packer, PROBE_N_FIELDS) == 0 &&
           msgpack_pack_uint32(packer, probe->target) == 0 &&
           msgpack_pack_uint32(packer, probe->slot) == 0 &&
           pack_bin(packer, probe->text.bytes, probe->text.n_bytes);
}

status_t probe_unit_encode(const struct probe_unit *unit, struct buffer *out, struct error *err)
{
    const size_t n_before = out->n_bytes;
    msgpack_packer packer;
    if (unit->n_probes > PROBE_MAX_PER_UNIT)
        return error_set(err, ST_TOO_LARGE, "%zu probes in a unit, at most %d", unit->n_probes,
                         PROBE_MAX_PER_UNIT);
    msgpack_packer_init(&packer, out, pack_into_buffer);
    bool is_whole = pack_list(&packer, unit->n_probes);
    for (size_t i = 0; i < unit->n_probes && is_whole; i++) {
        if (unit->probes[i].text.n_bytes > PROBE_MAX_TEXT_BYTES) {
            out->n_bytes = n_before;
            return error_set(err, ST_TOO_LARGE, "a text of %zu bytes, at most %d",
                             unit->probes[i].text.n_bytes, PROBE_MAX_TEXT_BYTES);
        }
        is_whole = pack_probe(&packer, &unit->probes[i]);
    }
    return pack_end(out, n_before, is_whole, PROBE_MAX_UNIT_BYTES, "probes", err);
}

/* A bin of n_bytes whose bytes the caller fills in; NULL if there is no room. */
static unsigned char *begin_bin(msgpack_packer *packer, struct buffer *out, size_t n_bytes)
{
    void *room;
    if (msgpack_pack_bin(packer, n_bytes) != 0 ||
        buffer_reserve(out, n_bytes, &room, NULL) != ST_OK)
        return NULL;
    out->n_bytes += n_bytes;
    return room;
}

static bool pack_pieces(msgpack_packer *packer, struct buffer *out,
                        const struct probe_answer *answer)
{
    if (!answer->pieces) return msgpack_pack_nil(packer) == 0;
    size_t n_bytes = 0;
    if (msgpack_pack_array(packer, 2) != 0) return false;
    unsigned char *at = begin_bin(packer, out, answer->n_tokens * PROBE_NUMBER_BYTES);
    if (!at) return false;
    for (size_t i = 0; i < answer->n_tokens; i++) {
        at = evidence_put_u32(at, (uint32_t)answer->pieces[i].n_bytes);
        n_bytes += answer->pieces[i].n_bytes;
    }
    at = begin_bin(packer, out, n_bytes);
    if (!at) return false;
    for (size_t i = 0; i < answer->n_tokens; i++) {
        if (answer->pieces[i].n_bytes)
            memcpy(at, answer->pieces[i].bytes, answer->pieces[i].n_bytes);
        at += answer->pieces[i].n_bytes;
    }
    return true;
}

static bool pack_answer(msgpack_packer *packer, struct buffer *out,
                        const struct probe_answer *answer)
{
    const size_t n_error = strlen(answer->error);
    unsigned char *at;
    if (msgpack_pack_array(packer, PROBE_N_ANSWER_FIELDS) != 0 ||
        msgpack_pack_str(packer, n_error) != 0 ||
        msgpack_pack_str_body(packer, answer->error, n_error) != 0 ||
        (answer->is_cut ? msgpack_pack_true(packer) : msgpack_pack_false(packer)) != 0)
        return false;
    if (!(at = begin_bin(packer, out, answer->n_tokens * PROBE_NUMBER_BYTES))) return false;
    for (size_t i = 0; i < answer->n_tokens; i++) at = evidence_put_u32(at, answer->tokens[i]);
    if (!(at = begin_bin(packer, out, answer->n_tokens * PROBE_NUMBER_BYTES))) return false;
    for (size_t i = 0; i < answer->n_tokens; i++) at = evidence_put_f32(at, answer->activations[i]);
    return pack_pieces(packer, out, answer);
}

static bool is_activation(float value)
{
    return isfinite(value) && value >= 0;
}

static status_t check_answer(const struct probe_answer *answer, struct error *err)
{
    if (answer->n_tokens > PROBE_MAX_TOKENS)
        return error_set(err, ST_TOO_LARGE, "a probe of %zu tokens", answer->n_tokens);
    for (size_t i = 0; i < answer->n_tokens; i++)
        if (!is_activation(answer->activations[i]))
            return error_set(err, ST_BAD_INPUT, "a probe's token %zu: no activation", i);
    return ST_OK;
}

status_t probe_answer_encode(const struct probe_answer *answer, struct buffer *out,
                             struct error *err)
{
    const size_t n_before = out->n_bytes;
    msgpack_packer packer;
    const status_t status = check_answer(answer, err);
    if (status != ST_OK) return status;
    msgpack_packer_init(&packer, out, pack_into_buffer);
    return pack_end(out, n_before, pack_answer(&packer, out, answer), PROBE_MAX_RESULT_BYTES,
                    "a probe's answer", err);
}

status_t probe_result_encode(const struct probe_answer *answers, size_t n_answers,
                             struct buffer *out, struct error *err)
{
    const size_t n_before = out->n_bytes;
    msgpack_packer packer;
    status_t status = ST_OK;
    for (size_t i = 0; i < n_answers && status == ST_OK; i++)
        status = check_answer(&answers[i], err);
    if (status != ST_OK) return status;
    msgpack_packer_init(&packer, out, pack_into_buffer);
    bool is_whole = pack_list(&packer, n_answers);
    for (size_t i = 0; i < n_answers && is_whole; i++)
        is_whole = pack_answer(&packer, out, &answers[i]);
    return pack_end(out, n_before, is_whole, PROBE_MAX_RESULT_BYTES, "answers of probes", err);
}

void probe_answer_fini(struct probe_answer *answer)
{
    free(answer->tokens);
    free(answer->activations);
    free(answer->pieces);
    free(answer->piece_bytes);
    *answer = (struct probe_answer){0};
}

struct probe_answer probe_answer_of_error(const char *text)
{
    struct probe_answer answer = {0};
    (void)snprintf(answer.error, sizeof answer.error, "%.*s", PROBE_ERROR_SIZE - 1,
                   text[0] ? text : "unknown error");
    return answer;
}

float probe_answer_max(const struct probe_answer *answer)
{
    float max = 0;
    for (size_t i = 0; i < answer->n_tokens; i++)
        max = answer->activations[i] > max ? answer->activations[i] : max;
    return max;
}
