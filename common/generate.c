#include "common/generate.h"

#include "common/evidence_bytes.h"
#include "common/generate_parts.h"
#include "common/pack.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *generate_where_name(enum generate_where where)
{
    static const char *const names[GENERATE_N_WHERE] = {
        [GENERATE_ALL] = "all", [GENERATE_LAST] = "last", [GENERATE_NEW] = "new"};
    return (unsigned)where < GENERATE_N_WHERE ? names[where] : "?";
}

/* --- what may be asked --------------------------------------------------------------------- */

static bool is_between(double value, double low, double high)
{
    return value >= low && value <= high; /* false for NaN */
}

static status_t check_counts(const struct generate_job *job, struct error *err)
{
    if (job->n_tokens > GENERATE_MAX_TOKENS)
        return error_set(err, ST_BAD_INPUT, "continuations of %u tokens: at most %d",
                         (unsigned)job->n_tokens, GENERATE_MAX_TOKENS);
    if (job->n_samples < 1 || job->n_samples > GENERATE_MAX_SAMPLES)
        return error_set(err, ST_BAD_INPUT, "%u continuations of a prompt: 1 to %d",
                         (unsigned)job->n_samples, GENERATE_MAX_SAMPLES);
    if (job->n_prompts < 1 || job->n_prompts > GENERATE_MAX_PROMPTS)
        return error_set(err, ST_BAD_INPUT, "%zu prompts: 1 to %d", job->n_prompts,
                         GENERATE_MAX_PROMPTS);
    if (job->n_interventions < 1 || job->n_interventions > GENERATE_MAX_INTERVENTIONS)
        return error_set(err, ST_BAD_INPUT, "%zu interventions: 1 to %d", job->n_interventions,
                         GENERATE_MAX_INTERVENTIONS);
    for (size_t i = 0; i < job->n_prompts; i++)
        if (job->prompts[i].n_bytes > GENERATE_MAX_PROMPT_BYTES)
            return error_set(err, ST_BAD_INPUT, "a prompt of %zu bytes: at most %d",
                             job->prompts[i].n_bytes, GENERATE_MAX_PROMPT_BYTES);
    return ST_OK;
}

status_t generate_job_check(const struct generate_job *job, struct error *err)
{
    const status_t status = check_counts(job, err);
    if (status != ST_OK) return status;
    if ((unsigned)job->where >= GENERATE_N_WHERE)
        return error_set(err, ST_BAD_INPUT, "changed tokens of kind %u", (unsigned)job->where);
    if (!is_between(job->temperature, 0, GENERATE_MAX_TEMPERATURE))
        return error_set(err, ST_BAD_INPUT, "temperature %g: 0 to %d", job->temperature,
                         GENERATE_MAX_TEMPERATURE);
    if (!is_between(job->target_kl, 0, GENERATE_MAX_KL))
        return error_set(err, ST_BAD_INPUT, "target KL %g: 0 to %d", job->target_kl,
                         GENERATE_MAX_KL);
    for (size_t i = 0; i < job->n_interventions; i++) {
        const struct intervention *one = &job->interventions[i];
        if ((unsigned)one->kind >= INTERVENTION_N_KINDS)
            return error_set(err, ST_BAD_INPUT, "intervention of kind %u", (unsigned)one->kind);
        if (!is_between(one->value, -GENERATE_MAX_VALUE, GENERATE_MAX_VALUE))
            return error_set(err, ST_BAD_INPUT, "intervention with value %g: %g to %g", one->value,
                             -GENERATE_MAX_VALUE, GENERATE_MAX_VALUE);
    }
    if (job->temperature == 0 && job->n_samples != 1)
        return error_set(err, ST_BAD_INPUT, "greedy continuations of a prompt are all the same");
    if (job->target_kl > 0 &&
        (job->n_interventions != 1 || job->interventions[0].kind != INTERVENTION_ADD))
        return error_set(err, ST_BAD_INPUT, "a strength is searched for one added feature only");
    return ST_OK;
}

static bool is_sound_prompt(const struct generate_prompt *prompt)
{
    if (!is_between(prompt->kl, 0, HUGE_VAL) || isinf(prompt->kl) ||
        prompt->n_samples > GENERATE_MAX_SAMPLES || prompt->n_changes > GENERATE_MAX_CHANGES)
        return false;
    for (size_t i = 0; i < prompt->n_samples; i++) {
        const struct generate_sample *sample = &prompt->samples[i];
        if (sample->clean.n_tokens > GENERATE_MAX_TOKENS ||
            sample->steered.n_tokens > GENERATE_MAX_TOKENS ||
            sample->clean.n_text > GENERATE_MAX_TEXT_BYTES ||
            sample->steered.n_text > GENERATE_MAX_TEXT_BYTES)
            return false;
    }
    for (size_t i = 0; i < prompt->n_changes; i++)
        if (!is_between(prompt->changes[i].p_clean, 0, 1) ||
            !is_between(prompt->changes[i].p_steered, 0, 1) ||
            prompt->changes[i].n_text > GENERATE_MAX_TEXT_BYTES)
            return false;
    return true;
}

bool generate_answer_is_sound(const struct generate_answer *answer)
{
    if (!isfinite(answer->strength) || !isfinite(answer->kl) || answer->kl < 0 ||
        answer->n_prompts > GENERATE_MAX_PROMPTS)
        return false;
    for (size_t i = 0; i < answer->n_prompts; i++)
        if (!is_sound_prompt(&answer->prompts[i])) return false;
    return true;
}

/* --- writing ------------------------------------------------------------------------------- */

static bool pack_str(msgpack_packer *packer, const char *text)
{
    const size_t n = strlen(text);
    return msgpack_pack_str(packer, n) == 0 && msgpack_pack_str_body(packer, text, n) == 0;
}

static bool pack_intervention(msgpack_packer *packer, const struct intervention *one)
{
    return msgpack_pack_array(packer, GENERATE_N_INTERVENTION_FIELDS) == 0 &&
           msgpack_pack_uint32(packer, one->target) == 0 &&
           msgpack_pack_uint32(packer, one->slot) == 0 &&
           msgpack_pack_uint32(packer, one->kind) == 0 &&
           msgpack_pack_double(packer, one->value) == 0;
}

static bool pack_job(msgpack_packer *packer, const struct generate_job *job)
{
    bool is_whole = msgpack_pack_array(packer, GENERATE_N_JOB_FIELDS) == 0 &&
                    msgpack_pack_uint32(packer, GENERATE_VERSION) == 0 &&
                    msgpack_pack_uint32(packer, job->n_tokens) == 0 &&
                    msgpack_pack_uint32(packer, job->n_samples) == 0 &&
                    msgpack_pack_uint32(packer, job->where) == 0 &&
                    msgpack_pack_double(packer, job->temperature) == 0 &&
                    msgpack_pack_uint64(packer, job->seed) == 0 &&
                    msgpack_pack_double(packer, job->target_kl) == 0 &&
                    msgpack_pack_array(packer, job->n_interventions) == 0;
    for (size_t i = 0; i < job->n_interventions && is_whole; i++)
        is_whole = pack_intervention(packer, &job->interventions[i]);
    is_whole = is_whole && msgpack_pack_array(packer, job->n_prompts) == 0;
    for (size_t i = 0; i < job->n_prompts && is_whole; i++)
        is_whole = pack_bin(packer, job->prompts[i].bytes, job->prompts[i].n_bytes);
    return is_whole;
}

status_t generate_job_encode(const struct generate_job *job, struct buffer *out, struct error *err)
{
    const size_t n_before = out->n_bytes;
    msgpack_packer packer;
    const status_t status = generate_job_check(job, err);
    if (status != ST_OK) return status;
    msgpack_packer_init(&packer, out, pack_into_buffer);
    return pack_end(out, n_before, pack_job(&packer, job), GENERATE_MAX_JOB_BYTES, "a generation",
                    err);
}

static bool pack_continuation(msgpack_packer *packer, const struct continuation *one)
{
    unsigned char tokens[GENERATE_MAX_TOKENS * GENERATE_TOKEN_BYTES];
    unsigned char *at = tokens;
    for (size_t i = 0; i < one->n_tokens; i++) at = evidence_put_u32(at, one->tokens[i]);
    return msgpack_pack_array(packer, 2) == 0 && pack_bin(packer, tokens, (size_t)(at - tokens)) &&
           pack_bin(packer, one->text, one->n_text);
}

static bool pack_prompt(msgpack_packer *packer, const struct generate_prompt *prompt)
{
    bool is_whole = msgpack_pack_array(packer, GENERATE_N_PROMPT_FIELDS) == 0 &&
                    pack_str(packer, prompt->error) &&
                    msgpack_pack_uint64(packer, prompt->n_tokens) == 0 &&
                    msgpack_pack_double(packer, prompt->kl) == 0 &&
                    msgpack_pack_array(packer, prompt->n_samples) == 0;
    for (size_t i = 0; i < prompt->n_samples && is_whole; i++)
        is_whole = msgpack_pack_array(packer, 2) == 0 &&
                   pack_continuation(packer, &prompt->samples[i].clean) &&
                   pack_continuation(packer, &prompt->samples[i].steered);
    is_whole = is_whole && msgpack_pack_array(packer, prompt->n_changes) == 0;
    for (size_t i = 0; i < prompt->n_changes && is_whole; i++)
        is_whole = msgpack_pack_array(packer, GENERATE_N_CHANGE_FIELDS) == 0 &&
                   msgpack_pack_uint32(packer, prompt->changes[i].token) == 0 &&
                   msgpack_pack_double(packer, prompt->changes[i].p_clean) == 0 &&
                   msgpack_pack_double(packer, prompt->changes[i].p_steered) == 0 &&
                   pack_bin(packer, prompt->changes[i].text, prompt->changes[i].n_text);
    return is_whole;
}

status_t generate_answer_encode(const struct generate_answer *answer, struct buffer *out,
                                struct error *err)
{
    const size_t n_before = out->n_bytes;
    msgpack_packer packer;
    if (!generate_answer_is_sound(answer))
        return error_set(err, ST_BAD_INPUT, "a generation's answer has a number out of range");
    msgpack_packer_init(&packer, out, pack_into_buffer);
    bool is_whole = msgpack_pack_array(&packer, GENERATE_N_ANSWER_FIELDS) == 0 &&
                    msgpack_pack_uint32(&packer, GENERATE_VERSION) == 0 &&
                    pack_str(&packer, answer->error) &&
                    msgpack_pack_double(&packer, answer->strength) == 0 &&
                    msgpack_pack_double(&packer, answer->kl) == 0 &&
                    msgpack_pack_array(&packer, answer->n_prompts) == 0;
    for (size_t i = 0; i < answer->n_prompts && is_whole; i++)
        is_whole = pack_prompt(&packer, &answer->prompts[i]);
    return pack_end(out, n_before, is_whole, GENERATE_MAX_ANSWER_BYTES, "a generation's answer",
                    err);
}

/* --- memory -------------------------------------------------------------------------------- */

static void continuation_fini(struct continuation *one)
{
    free(one->tokens);
    free(one->text);
}

static void prompt_fini(struct generate_prompt *prompt)
{
    for (size_t i = 0; prompt->samples && i < prompt->n_samples; i++) {
        continuation_fini(&prompt->samples[i].clean);
        continuation_fini(&prompt->samples[i].steered);
    }
    for (size_t i = 0; prompt->changes && i < prompt->n_changes; i++) free(prompt->changes[i].text);
    free(prompt->samples);
    free(prompt->changes);
}

void generate_answer_fini(struct generate_answer *answer)
{
    for (size_t i = 0; answer->prompts && i < answer->n_prompts; i++)
        prompt_fini(&answer->prompts[i]);
    free(answer->prompts);
    *answer = (struct generate_answer){0};
}

struct generate_answer generate_answer_of_error(const char *text)
{
    struct generate_answer answer = {0};
    (void)snprintf(answer.error, sizeof answer.error, "%.*s", GENERATE_ERROR_SIZE - 1,
                   text[0] ? text : "unknown error");
    return answer;
}
