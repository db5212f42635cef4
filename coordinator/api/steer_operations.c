/* steer: a prompt that the target model continues, clean and with features steered. Asked again
 * until it is done. */
#include "coordinator/api/subject.h"

#include "coordinator/session/utf8.h"
#include "coordinator/sweep/probe_desk.h"

#include <stdlib.h>
#include <string.h>

enum { DEFAULT_TOKENS = 32, MOST_CONTEXT = 2048 };

/* What was asked; the texts are the arguments'. */
struct steered {
    struct api_subject subject;
    struct generate_job job;
    uint64_t features[GENERATE_MAX_INTERVENTIONS]; /* [job.n_interventions] */
};

/* --- the request --------------------------------------------------------------------------- */

/* {"feature": N, "set": V} or {"feature": N, "add": V} */
static status_t read_intervention(const struct api_subject *subject, const json_t *item,
                                  uint64_t *feature, struct intervention *out, struct error *err)
{
    const json_t *set = json_object_get(item, "set"), *add = json_object_get(item, "add");
    const json_t *value = set ? set : add;
    if (!json_is_object(item) || !json_is_number(value) || json_object_size(item) != 2 ||
        (set && add))
        return error_set(err, ST_BAD_INPUT,
                         "argument \"interventions\": each is a feature with a number to set or "
                         "add");
    const status_t status = args_count(item, "feature", UINT64_MAX, feature, err);
    if (status != ST_OK) return status;
    if (*feature >= UINT32_MAX)
        return error_set(err, ST_BAD_INPUT, "argument \"feature\" is missing or too large");
    out->kind = set ? INTERVENTION_SET : INTERVENTION_ADD;
    out->value = json_number_value(value);
    return api_subject_check_feature(subject, *feature, err);
}

static status_t read_interventions(const json_t *args, struct steered *out, struct error *err)
{
    const json_t *list = json_object_get(args, "interventions");
    const size_t n = json_array_size(list);
    status_t status = ST_OK;
    if (n < 1 || n > GENERATE_MAX_INTERVENTIONS)
        return error_set(err, ST_BAD_INPUT,
                         "argument \"interventions\" is not a list of 1 to %d features",
                         GENERATE_MAX_INTERVENTIONS);
    for (size_t i = 0; i < n && status == ST_OK; i++)
        status = read_intervention(&out->subject, json_array_get(list, i), &out->features[i],
                                   &out->job.interventions[i], err);
    out->job.n_interventions = n;
    return status;
}

static status_t read_where(const json_t *args, enum generate_where *out, struct error *err)
{
    const char *name;
    *out = GENERATE_ALL;
    if (!json_object_get(args, "where")) return ST_OK;
    const status_t status = args_text(args, "where", &name, err);
    if (status != ST_OK) return status;
    for (unsigned i = 0; i < GENERATE_N_WHERE; i++)
        if (strcmp(name, generate_where_name((enum generate_where)i)) == 0) {
            *out = (enum generate_where)i;
            return ST_OK;
        }
    return error_set(err, ST_BAD_INPUT, "argument \"where\" is not all, last or new");
}

static status_t read_job(const json_t *args, struct steered *out, struct error *err)
{
    const char *prompt = NULL;
    const json_t *temperature = json_object_get(args, "temperature");
    uint64_t n_tokens = 0, n_samples = 0, seed = 0;
    status_t status = args_text(args, "prompt", &prompt, err);
    if (status == ST_OK) status = args_count(args, "n_tokens", DEFAULT_TOKENS, &n_tokens, err);
    if (status == ST_OK) status = args_count(args, "n_samples", 1, &n_samples, err);
    if (status == ST_OK) status = args_count(args, "seed", 0, &seed, err);
    if (status == ST_OK) status = read_where(args, &out->job.where, err);
    if (status == ST_OK && temperature && !json_is_number(temperature))
        status = error_set(err, ST_BAD_INPUT, "argument \"temperature\" is no number");
    if (status != ST_OK) return status;
    out->job.prompts[0] = wire_text_of(prompt);
    out->job.n_prompts = 1;
    out->job.n_tokens = n_tokens < UINT32_MAX ? (uint32_t)n_tokens : UINT32_MAX;
    out->job.n_samples = n_samples < UINT32_MAX ? (uint32_t)n_samples : UINT32_MAX;
    out->job.seed = seed;
    out->job.temperature = json_number_value(temperature);
    return generate_job_check(&out->job, err);
}

static status_t read_steered(struct api *api, const json_t *args, struct steered *out,
                             struct error *err)
{
#define OF_BOTH "interventions", "prompt", "n_tokens", "n_samples", "temperature", "seed", "where"
    static const struct args_allowed of_sweep = {{API_SUBJECT_OF_SWEEP, OF_BOTH, NULL}};
    static const struct args_allowed of_model = {{API_SUBJECT_OF_MODEL, OF_BOTH, NULL}};
#undef OF_BOTH
    const bool has_model = json_object_get(args, "model") != NULL;
    status_t status = args_check(args, has_model ? &of_model : &of_sweep, err);
    if (status == ST_OK) status = api_subject_read(api, args, &out->subject, err);
    if (status == ST_OK) status = read_interventions(args, out, err);
    return status == ST_OK ? read_job(args, out, err) : status;
}

/* --- the answer ---------------------------------------------------------------------------- */

/* Bytes of tokens as text: what is no UTF-8 becomes U+FFFD. */
static json_t *json_text(const char *bytes, size_t n_bytes)
{
    struct buffer text;
    buffer_init(&text, 4 * GENERATE_MAX_TEXT_BYTES);
    json_t *json = utf8_append_valid(&text, bytes, n_bytes, NULL) == ST_OK
                       ? json_stringn(buffer_text(&text), text.n_bytes)
                       : NULL;
    buffer_fini(&text);
    return json ? json : json_string("");
}

static json_t *json_continuation(const struct continuation *one)
{
    json_t *tokens = json_array();
    for (size_t i = 0; i < one->n_tokens; i++)
        (void)json_array_append_new(tokens, json_integer((json_int_t)one->tokens[i]));
    return json_pack("{s:o s:o}", "text", json_text(one->text, one->n_text), "token_ids", tokens);
}

static json_t *json_samples(const struct generate_prompt *prompt)
{
    json_t *list = json_array();
    for (size_t i = 0; i < prompt->n_samples; i++)
        (void)json_array_append_new(
            list, json_pack("{s:o s:o}", "clean", json_continuation(&prompt->samples[i].clean),
                            "steered", json_continuation(&prompt->samples[i].steered)));
    return list;
}

static json_t *json_changes(const struct generate_prompt *prompt)
{
    json_t *list = json_array();
    for (size_t i = 0; i < prompt->n_changes; i++) {
        const struct generate_change *change = &prompt->changes[i];
        (void)json_array_append_new(list, json_pack("{s:o s:I s:f s:f}", "token",
                                                    json_text(change->text, change->n_text),
                                                    "token_id", (json_int_t)change->token, "clean",
                                                    change->p_clean, "steered", change->p_steered));
    }
    return list;
}

static json_t *json_interventions(const struct steered *steered)
{
    json_t *list = json_array();
    for (size_t i = 0; i < steered->job.n_interventions; i++) {
        const struct intervention *one = &steered->job.interventions[i];
        (void)json_array_append_new(
            list, json_pack("{s:I s:f}", "feature", (json_int_t)steered->features[i],
                            one->kind == INTERVENTION_SET ? "set" : "add", one->value));
    }
    return list;
}

static json_t *json_done(const struct steered *steered, const struct generate_prompt *prompt)
{
    const struct api_subject *subject = &steered->subject;
    return json_pack("{s:s s:s s:s s:s? s:o s:o s:s s:I s:f s:o s:o}", "state", "done", "model",
                     subject->model, "hook_point", subject->hook, "dictionary", subject->dictionary,
                     "interventions", json_interventions(steered), "prompt",
                     json_stringn(steered->job.prompts[0].bytes, steered->job.prompts[0].n_bytes),
                     "where", generate_where_name(steered->job.where), "n_prompt_tokens",
                     (json_int_t)prompt->n_tokens, "kl", prompt->kl, "changes",
                     json_changes(prompt), "continuations", json_samples(prompt));
}

/* --- asking -------------------------------------------------------------------------------- */

static status_t take(const struct steered *steered, const struct generate_answer *answer,
                     json_t **out, struct error *err)
{
    if (answer->error[0]) return error_set(err, ST_BAD_INPUT, "%s", answer->error);
    if (answer->n_prompts != 1) return error_set(err, ST_INTERNAL, "an answer without a prompt");
    if (answer->prompts[0].error[0])
        return error_set(err, ST_BAD_INPUT, "prompt: %s", answer->prompts[0].error);
    *out = json_done(steered, &answer->prompts[0]);
    return ST_OK;
}

status_t api_steer(struct api *api, const json_t *args, json_t **out, struct error *err)
{
    struct steered steered = {.job = {.n_samples = 1}};
    struct api_units units;
    const struct generate_answer *answer = NULL;
    status_t status = read_steered(api, args, &steered, err);
    if (status != ST_OK) return status;
    steered.subject.n_ctx = MOST_CONTEXT; /* a prompt may be longer than a capture's rows */
    api_units_of(&steered.subject, steered.features, steered.job.n_interventions, &units);
    for (size_t i = 0; i < steered.job.n_interventions; i++)
        steered.job.interventions[i].slot =
            api_units_slot(&steered.subject, &units, steered.features[i]);
    char *spec = api_subject_spec(&steered.subject, TASK_GENERATE, &units);
    if (!spec) return error_set(err, ST_BAD_INPUT, "the prompt's subject is not valid UTF-8");
    const struct probe_desk_generation request = {spec, &steered.job, steered.subject.pin};
    status = probe_desk_generate(api->probes, &request, &answer, err);
    free(spec);
    if (status != ST_OK) return status;
    if (answer) return take(&steered, answer, out, err);
    *out = api_subject_pending(api, &steered.subject);
    return ST_OK;
}
