/* probe: what the target model does on the user's texts. Asked again until it is done. */
#include "coordinator/api/subject.h"

#include "coordinator/session/window_text.h"
#include "coordinator/sweep/label_engine.h"
#include "coordinator/sweep/probe_desk.h"

#include <stdlib.h>
#include <string.h>

/* One feature of the subject. */
struct probed {
    struct api_subject subject;
    uint64_t feature;
    bool has_threshold;
    double fire_threshold;
};

/* A dictionary's feature fires above 0, any other above what the sweep froze. */
static void find_threshold(struct probed *probed)
{
    const struct api_subject *subject = &probed->subject;
    struct label_probe_facts facts = {.has_threshold = false};
    if (subject->sweep)
        label_engine_probe_facts(subject->sweep, subject->target, probed->feature, &facts);
    probed->has_threshold = facts.has_threshold || subject->dictionary;
    probed->fire_threshold = facts.has_threshold ? (double)facts.fire_threshold : 0;
    if (probed->has_threshold || !subject->sweep) return;
    json_t *record = api_find_record(subject->sweep, probed->feature, subject->target);
    const json_t *threshold = json_object_get(record, "fire_threshold");
    probed->has_threshold = json_is_number(threshold);
    probed->fire_threshold = json_number_value(threshold);
    json_decref(record);
}

static status_t read_probed(struct api *api, const json_t *args, struct probed *out,
                            struct error *err)
{
    static const struct args_allowed of_sweep = {{API_SUBJECT_OF_SWEEP, "feature", "texts", NULL}};
    static const struct args_allowed of_model = {{API_SUBJECT_OF_MODEL, "feature", "texts", NULL}};
    const bool has_model = json_object_get(args, "model") != NULL;
    status_t status = args_check(args, has_model ? &of_model : &of_sweep, err);
    if (status == ST_OK) status = api_subject_read(api, args, &out->subject, err);
    if (status == ST_OK) status = args_count(args, "feature", UINT64_MAX, &out->feature, err);
    if (status == ST_OK && out->feature >= UINT32_MAX)
        status = error_set(err, ST_BAD_INPUT, "argument \"feature\" is missing or too large");
    if (status == ST_OK) status = api_subject_check_feature(&out->subject, out->feature, err);
    if (status == ST_OK) find_threshold(out);
    return status;
}

static status_t read_texts(const json_t *args, struct wire_text *texts, size_t *n,
                           struct error *err)
{
    const json_t *list = json_object_get(args, "texts");
    *n = json_array_size(list);
    if (*n < 1 || *n > PROBE_MAX_PER_UNIT)
        return error_set(err, ST_BAD_INPUT, "argument \"texts\" is not a list of 1 to %d texts",
                         PROBE_MAX_PER_UNIT);
    for (size_t i = 0; i < *n; i++) {
        const json_t *text = json_array_get(list, i);
        if (!json_is_string(text))
            return error_set(err, ST_BAD_INPUT, "argument \"texts\": number %zu is no text", i + 1);
        texts[i] = (struct wire_text){json_string_value(text), json_string_length(text)};
    }
    return ST_OK;
}

/* --- the answer ---------------------------------------------------------------------------- */

/* The tokens as strings that join to the text (window_text.h). */
static json_t *json_pieces(const struct probe_answer *answer)
{
    json_t *list = json_array();
    struct token_text *texts = calloc(answer->n_tokens + 1, sizeof *texts);
    uint32_t *places = calloc(answer->n_tokens + 1, sizeof *places);
    struct window_text text = {0};
    for (size_t i = 0; texts && places && i < answer->n_tokens; i++) {
        texts[i] = (struct token_text){answer->pieces[i].bytes, answer->pieces[i].n_bytes};
        places[i] = (uint32_t)i;
    }
    const struct token_texts all = {texts, answer->n_tokens};
    const struct window window = {.tokens = places, .n_tokens = answer->n_tokens};
    if (texts && places && window_text_init(&text, &window, &all, NULL) == ST_OK)
        for (size_t i = 0; i < text.n_tokens; i++)
            (void)json_array_append_new(
                list, json_stringn(text.text + text.cuts[i], text.cuts[i + 1] - text.cuts[i]));
    window_text_fini(&text);
    free(texts);
    free(places);
    return list;
}

static json_t *json_probe(const struct probed *probed, const struct wire_text *text,
                          const struct probe_answer *answer)
{
    const double max = (double)probe_answer_max(answer);
    const bool has_pieces = answer->pieces && answer->n_tokens;
    json_t *ids = json_array(), *activations = json_array();
    for (size_t i = 0; i < answer->n_tokens; i++) {
        (void)json_array_append_new(ids, json_integer((json_int_t)answer->tokens[i]));
        (void)json_array_append_new(activations, json_real((double)answer->activations[i]));
    }
    json_t *fires = probed->has_threshold && !answer->error[0]
                        ? json_boolean(max > probed->fire_threshold)
                        : json_null();
    return json_pack("{s:o s:o s:b s:o s:o s:o s:o s:o}", "text",
                     json_stringn(text->bytes, text->n_bytes), "error",
                     answer->error[0] ? json_string(answer->error) : json_null(), "is_cut",
                     (int)answer->is_cut, "tokens", has_pieces ? json_pieces(answer) : json_array(),
                     "token_ids", ids, "activations", activations, "max",
                     answer->error[0] ? json_null() : json_real(max), "fires", fires);
}

static json_t *json_done(const struct probed *probed, const struct wire_text *texts, size_t n_texts,
                         const struct probe_answer *answers)
{
    json_t *probes = json_array();
    for (size_t i = 0; i < n_texts; i++)
        (void)json_array_append_new(probes, json_probe(probed, &texts[i], &answers[i]));
    return json_pack(
        "{s:s s:s s:s s:s? s:I s:o s:o}", "state", "done", "model", probed->subject.model,
        "hook_point", probed->subject.hook, "dictionary", probed->subject.dictionary, "feature",
        (json_int_t)probed->feature, "fire_threshold",
        probed->has_threshold ? json_real(probed->fire_threshold) : json_null(), "probes", probes);
}

static status_t ask(struct api *api, const struct probed *probed, const struct wire_text *texts,
                    size_t n_texts, json_t **out, struct error *err)
{
    const struct probe_answer *answers = NULL;
    const struct api_subject *subject = &probed->subject;
    struct api_units units;
    api_units_of(subject, &probed->feature, 1, &units);
    char *spec = api_subject_spec(subject, TASK_PROBE, &units);
    if (!spec) return error_set(err, ST_BAD_INPUT, "the probe is not valid UTF-8");
    const struct probe_desk_request request = {.spec_json = spec,
                                               .slot =
                                                   api_units_slot(subject, &units, probed->feature),
                                               .n_slots = api_units_n_slots(subject, &units),
                                               .texts = texts,
                                               .n_texts = n_texts,
                                               .pin = subject->pin};
    const status_t status = probe_desk_ask(api->probes, &request, &answers, err);
    free(spec);
    if (status != ST_OK) return status;
    *out = answers ? json_done(probed, texts, n_texts, answers) : api_subject_pending(api, subject);
    return ST_OK;
}

status_t api_probe(struct api *api, const json_t *args, json_t **out, struct error *err)
{
    struct probed probed = {0};
    struct wire_text texts[PROBE_MAX_PER_UNIT];
    size_t n_texts;
    status_t status = read_probed(api, args, &probed, err);
    if (status == ST_OK) status = read_texts(args, texts, &n_texts, err);
    return status == ST_OK ? ask(api, &probed, texts, n_texts, out, err) : status;
}
