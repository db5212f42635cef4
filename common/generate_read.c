/* Reading what a peer wrote of generations: counts are checked before memory is reserved. */
#include "common/generate.h"

#include "common/evidence_bytes.h"
#include "common/generate_parts.h"

#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

static status_t unpack(const void *bytes, size_t n_bytes, size_t max_bytes, msgpack_unpacked *out,
                       struct error *err)
{
    size_t at = 0;
    msgpack_unpacked_init(out);
    if (n_bytes > max_bytes)
        return error_set(err, ST_TOO_LARGE, "a generation of %zu bytes", n_bytes);
    if (!wire_counts_fit(bytes, n_bytes) ||
        msgpack_unpack_next(out, bytes, n_bytes, &at) != MSGPACK_UNPACK_SUCCESS || at != n_bytes)
        return error_set(err, ST_CORRUPT, "a generation: truncated or malformed msgpack");
    return ST_OK;
}

static bool take_list(const msgpack_object *object, size_t min, size_t max,
                      const msgpack_object_array **out)
{
    if (object->type != MSGPACK_OBJECT_ARRAY || object->via.array.size < min ||
        object->via.array.size > max)
        return false;
    *out = &object->via.array;
    return true;
}

static bool take_u64(const msgpack_object *object, uint64_t max, uint64_t *out)
{
    if (object->type != MSGPACK_OBJECT_POSITIVE_INTEGER || object->via.u64 > max) return false;
    *out = object->via.u64;
    return true;
}

static bool take_u32(const msgpack_object *object, uint32_t *out)
{
    uint64_t value;
    if (!take_u64(object, UINT32_MAX, &value)) return false;
    *out = (uint32_t)value;
    return true;
}

static bool take_double(const msgpack_object *object, double *out)
{
    if (object->type != MSGPACK_OBJECT_FLOAT64) return false;
    *out = object->via.f64;
    return true;
}

/* The version, first of `n` fields. */
static status_t take_fields(const msgpack_object *object, size_t n, const msgpack_object **out,
                            struct error *err)
{
    const msgpack_object_array *list = NULL;
    uint64_t version;
    if (!take_list(object, 1, 64, &list) || !take_u64(&list->ptr[0], UINT64_MAX, &version))
        return error_set(err, ST_CORRUPT, "a generation: no version");
    if (version != GENERATE_VERSION)
        return error_set(err, ST_PROTOCOL, "a generation of version %llu, not %d",
                         (unsigned long long)version, GENERATE_VERSION);
    if (list->size != n) return error_set(err, ST_CORRUPT, "a generation of %u fields", list->size);
    *out = list->ptr;
    return ST_OK;
}

/* --- jobs ---------------------------------------------------------------------------------- */

static bool take_intervention(const msgpack_object *object, struct intervention *out)
{
    const msgpack_object_array *item = NULL;
    uint32_t kind;
    if (!take_list(object, GENERATE_N_INTERVENTION_FIELDS, GENERATE_N_INTERVENTION_FIELDS, &item) ||
        !take_u32(&item->ptr[0], &out->target) || !take_u32(&item->ptr[1], &out->slot) ||
        !take_u32(&item->ptr[2], &kind) || kind >= INTERVENTION_N_KINDS ||
        !take_double(&item->ptr[3], &out->value))
        return false;
    out->kind = (enum intervention_kind)kind;
    return true;
}

static bool take_lists(const msgpack_object *item, struct generate_job *job)
{
    const msgpack_object_array *interventions = NULL, *prompts = NULL;
    if (!take_list(&item[7], 1, GENERATE_MAX_INTERVENTIONS, &interventions) ||
        !take_list(&item[8], 1, GENERATE_MAX_PROMPTS, &prompts))
        return false;
    for (job->n_interventions = 0; job->n_interventions < interventions->size;
         job->n_interventions++)
        if (!take_intervention(&interventions->ptr[job->n_interventions],
                               &job->interventions[job->n_interventions]))
            return false;
    for (job->n_prompts = 0; job->n_prompts < prompts->size; job->n_prompts++) {
        const msgpack_object *prompt = &prompts->ptr[job->n_prompts];
        if (prompt->type != MSGPACK_OBJECT_BIN) return false;
        job->prompts[job->n_prompts] =
            (struct wire_text){prompt->via.bin.ptr, prompt->via.bin.size};
    }
    return true;
}

static bool take_job(const msgpack_object *item, struct generate_job *job)
{
    uint32_t where;
    if (!take_u32(&item[1], &job->n_tokens) || !take_u32(&item[2], &job->n_samples) ||
        !take_u32(&item[3], &where) || where >= GENERATE_N_WHERE ||
        !take_double(&item[4], &job->temperature) || !take_u64(&item[5], UINT64_MAX, &job->seed) ||
        !take_double(&item[6], &job->target_kl))
        return false;
    job->where = (enum generate_where)where;
    return take_lists(item, job);
}

status_t generate_job_decode(const void *bytes, size_t n_bytes, struct generate_job *out,
                             struct error *err)
{
    msgpack_unpacked unpacked;
    const msgpack_object *item = NULL;
    struct generate_job job = {0};
    status_t status = unpack(bytes, n_bytes, GENERATE_MAX_JOB_BYTES, &unpacked, err);
    if (status == ST_OK) status = take_fields(&unpacked.data, GENERATE_N_JOB_FIELDS, &item, err);
    if (status == ST_OK && !take_job(item, &job))
        status = error_set(err, ST_CORRUPT, "a generation: wrong fields");
    msgpack_unpacked_destroy(&unpacked); /* prompts point into `bytes`, not into the zone */
    if (status == ST_OK) status = generate_job_check(&job, err);
    if (status == ST_OK) *out = job;
    return status;
}

/* --- answers ------------------------------------------------------------------------------- */

static status_t take_text(const msgpack_object *object, size_t max, char **out, size_t *n_out)
{
    if (object->type != MSGPACK_OBJECT_BIN || object->via.bin.size > max) return ST_CORRUPT;
    char *text = malloc(object->via.bin.size + (size_t)1);
    if (!text) return ST_NO_MEMORY;
    if (object->via.bin.size) memcpy(text, object->via.bin.ptr, object->via.bin.size);
    *out = text;
    *n_out = object->via.bin.size;
    return ST_OK;
}

static bool take_error(const msgpack_object *object, char out[GENERATE_ERROR_SIZE])
{
    return object->type == MSGPACK_OBJECT_STR && object->via.str.size < GENERATE_ERROR_SIZE &&
           wire_text_copy((struct wire_text){object->via.str.ptr, object->via.str.size}, out,
                          GENERATE_ERROR_SIZE);
}

static status_t take_continuation(const msgpack_object *object, struct continuation *out)
{
    const msgpack_object_array *item = NULL;
    if (!take_list(object, 2, 2, &item) || item->ptr[0].type != MSGPACK_OBJECT_BIN)
        return ST_CORRUPT;
    const msgpack_object_bin tokens = item->ptr[0].via.bin;
    if (tokens.size % GENERATE_TOKEN_BYTES ||
        tokens.size / GENERATE_TOKEN_BYTES > GENERATE_MAX_TOKENS)
        return ST_CORRUPT;
    out->tokens = malloc(tokens.size + (size_t)1);
    if (!out->tokens) return ST_NO_MEMORY;
    out->n_tokens = tokens.size / GENERATE_TOKEN_BYTES;
    const unsigned char *bytes = (const unsigned char *)tokens.ptr;
    struct evidence_cursor cursor = {bytes, bytes + tokens.size, false};
    for (size_t i = 0; i < out->n_tokens; i++) out->tokens[i] = evidence_get_u32(&cursor);
    return take_text(&item->ptr[1], GENERATE_MAX_TEXT_BYTES, &out->text, &out->n_text);
}

static status_t take_samples(const msgpack_object *object, struct generate_prompt *out)
{
    const msgpack_object_array *list = NULL, *pair = NULL;
    status_t status = ST_OK;
    if (!take_list(object, 0, GENERATE_MAX_SAMPLES, &list)) return ST_CORRUPT;
    out->samples = calloc(list->size + (size_t)1, sizeof *out->samples);
    if (!out->samples) return ST_NO_MEMORY;
    out->n_samples = list->size;
    for (size_t i = 0; i < out->n_samples && status == ST_OK; i++) {
        if (!take_list(&list->ptr[i], 2, 2, &pair)) return ST_CORRUPT;
        status = take_continuation(&pair->ptr[0], &out->samples[i].clean);
        if (status == ST_OK) status = take_continuation(&pair->ptr[1], &out->samples[i].steered);
    }
    return status;
}

static status_t take_change(const msgpack_object *object, struct generate_change *out)
{
    const msgpack_object_array *item = NULL;
    if (!take_list(object, GENERATE_N_CHANGE_FIELDS, GENERATE_N_CHANGE_FIELDS, &item) ||
        !take_u32(&item->ptr[0], &out->token) || !take_double(&item->ptr[1], &out->p_clean) ||
        !take_double(&item->ptr[2], &out->p_steered))
        return ST_CORRUPT;
    return take_text(&item->ptr[3], GENERATE_MAX_TEXT_BYTES, &out->text, &out->n_text);
}

static status_t take_changes(const msgpack_object *object, struct generate_prompt *out)
{
    const msgpack_object_array *list = NULL;
    status_t status = ST_OK;
    if (!take_list(object, 0, GENERATE_MAX_CHANGES, &list)) return ST_CORRUPT;
    out->changes = calloc(list->size + (size_t)1, sizeof *out->changes);
    if (!out->changes) return ST_NO_MEMORY;
    out->n_changes = list->size;
    for (size_t i = 0; i < out->n_changes && status == ST_OK; i++)
        status = take_change(&list->ptr[i], &out->changes[i]);
    return status;
}

static status_t take_prompt(const msgpack_object *object, struct generate_prompt *out)
{
    const msgpack_object_array *item = NULL;
    uint64_t n_tokens = 0;
    if (!take_list(object, GENERATE_N_PROMPT_FIELDS, GENERATE_N_PROMPT_FIELDS, &item) ||
        !take_error(&item->ptr[0], out->error) || !take_u64(&item->ptr[1], UINT32_MAX, &n_tokens) ||
        !take_double(&item->ptr[2], &out->kl))
        return ST_CORRUPT;
    out->n_tokens = (size_t)n_tokens;
    const status_t status = take_samples(&item->ptr[3], out);
    return status == ST_OK ? take_changes(&item->ptr[4], out) : status;
}

static status_t take_answer(const msgpack_object *item, struct generate_answer *out)
{
    const msgpack_object_array *list = NULL;
    status_t status = ST_OK;
    if (!take_error(&item[1], out->error) || !take_double(&item[2], &out->strength) ||
        !take_double(&item[3], &out->kl) || !take_list(&item[4], 0, GENERATE_MAX_PROMPTS, &list))
        return ST_CORRUPT;
    out->prompts = calloc(list->size + (size_t)1, sizeof *out->prompts);
    if (!out->prompts) return ST_NO_MEMORY;
    out->n_prompts = list->size;
    for (size_t i = 0; i < out->n_prompts && status == ST_OK; i++)
        status = take_prompt(&list->ptr[i], &out->prompts[i]);
    return status == ST_OK && !generate_answer_is_sound(out) ? ST_CORRUPT : status;
}

status_t generate_answer_decode(const void *bytes, size_t n_bytes, struct generate_answer *out,
                                struct error *err)
{
    msgpack_unpacked unpacked;
    const msgpack_object *item = NULL;
    struct generate_answer answer = {0};
    status_t status = unpack(bytes, n_bytes, GENERATE_MAX_ANSWER_BYTES, &unpacked, err);
    if (status == ST_OK) status = take_fields(&unpacked.data, GENERATE_N_ANSWER_FIELDS, &item, err);
    if (status == ST_OK && (status = take_answer(item, &answer)) != ST_OK)
        status = error_set(err, status, "a generation's answer: %s",
                           status == ST_NO_MEMORY ? "no memory" : "wrong fields");
    msgpack_unpacked_destroy(&unpacked);
    if (status == ST_OK)
        *out = answer;
    else
        generate_answer_fini(&answer);
    return status;
}
