/* What workers are told about a circuit sweep's tasks. */
#include "coordinator/sweep/circuit_run.h"

static json_t *json_model(const struct circuit_run *run, enum task_kind kind)
{
    const struct sweep_spec *spec = run->sweep->spec;
    json_t *root = json_pack("{s:s s:s s:s}", "kind", task_kind_name(kind), "model", spec->model,
                             "compute", sweep_compute_name(spec->compute));
    if (kind != TASK_DESCRIBE) /* the weights that were described, or none */
        (void)json_object_set_new(root, "fingerprint", json_string(run->fingerprint));
    return root;
}

static char *dump(json_t *root)
{
    char *text = root ? json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(root);
    return text;
}

/* As targets of a capture: what reads a dictionary reads these. */
static json_t *json_dictionaries(const struct circuit_run *run, bool is_described)
{
    const struct sweep_spec *spec = run->sweep->spec;
    json_t *list = json_array();
    for (size_t i = 0; i < spec->n_dictionaries; i++) {
        const struct circuit_dictionary_spec *from = &spec->dictionaries[i];
        json_t *json = json_pack("{s:s s:s s:s}", "hook", from->hook, "units", "dictionary",
                                 "dictionary", from->dictionary);
        if (from->norm_scaling_factor > 0)
            (void)json_object_set_new(json, "norm_scaling_factor",
                                      json_real(from->norm_scaling_factor));
        if (is_described)
            (void)json_object_set_new(json, "fingerprint",
                                      json_string(run->dictionaries.fingerprints[i]));
        (void)json_array_append_new(list, json);
    }
    return list;
}

char *circuit_describe_spec(const struct circuit_run *run)
{
    json_t *root = json_model(run, TASK_DESCRIBE);
    (void)json_object_set_new(root, "targets", json_dictionaries(run, false));
    return dump(root);
}

char *circuit_prompts_spec(const struct circuit_run *run)
{
    const struct circuit_task_spec *task = &run->sweep->spec->task;
    const char *generator = circuit_generator_name(task->generator);
    json_t *root = json_model(run, TASK_PROMPTS);
    (void)json_object_set_new(root, "bos", json_string("auto"));
    if (!generator) {
        (void)json_object_set_new(root, "source", json_string(task->prompts));
        return dump(root);
    }
    (void)json_object_set_new(root, "generator", json_string(generator));
    (void)json_object_set_new(root, "n_prompts", json_integer(task->n_prompts));
    (void)json_object_set_new(root, "seed", json_integer((json_int_t)task->seed));
    if (task->generator == CIRCUIT_GENERATOR_INDUCTION)
        (void)json_object_set_new(root, "n_tokens", json_integer(task->n_tokens));
    return dump(root);
}

char *circuit_head_scores_spec(const struct circuit_run *run)
{
    const struct head_sequences sequences = circuit_head_sequences(run);
    json_t *root = json_model(run, TASK_HEAD_SCORES);
    (void)json_object_set_new(root, "n_ctx", json_integer(2 * (json_int_t)sequences.n_words + 1));
    (void)json_object_set_new(root, "repeated",
                              json_pack("{s:I s:I s:s}", "n_words", (json_int_t)sequences.n_words,
                                        "seed", (json_int_t)sequences.seed, "bos", "auto"));
    return dump(root);
}

/* --- ablation ----------------------------------------------------------------------------- */

static json_t *json_ids(const uint32_t *ids, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) (void)json_array_append_new(list, json_integer(ids[i]));
    return list;
}

static json_t *json_prompts(const struct circuit_run *run, enum prompt_part part, uint32_t *n_ctx)
{
    const struct prompt_choice *choice = &run->parts[part];
    json_t *list = json_array();
    for (size_t i = 0; i < choice->n; i++) {
        const struct circuit_prompt *prompt = &run->prompts.prompts[choice->prompts[i]];
        if (prompt->n_tokens > *n_ctx) *n_ctx = prompt->n_tokens;
        (void)json_array_append_new(
            list, json_pack("{s:o s:o s:I s:o s:o s:I}", "clean",
                            json_ids(prompt->clean, prompt->n_tokens), "corrupted",
                            json_ids(prompt->corrupted, prompt->n_tokens), "answer_at",
                            (json_int_t)prompt->answer_position, "answers",
                            json_ids(prompt->answers, prompt->n_answers), "distractors",
                            json_ids(prompt->distractors, prompt->n_distractors), "template",
                            (json_int_t)prompt->template_index));
    }
    return list;
}

char *circuit_attribute_spec(const struct circuit_run *run)
{
    const struct sweep_spec *spec = run->sweep->spec;
    uint32_t n_ctx = 1;
    json_t *root = json_model(run, TASK_ATTRIBUTE);
    (void)json_object_set_new(root, "prompts", json_prompts(run, PART_SEARCH, &n_ctx));
    (void)json_object_set_new(root, "n_ctx", json_integer(n_ctx));
    (void)json_object_set_new(root, "method",
                              json_string(attribute_method_name(spec->search.method)));
    (void)json_object_set_new(root, "metric", json_string(circuit_metric_name(spec->metric)));
    (void)json_object_set_new(root, "steps", json_integer(spec->search.steps));
    return dump(root);
}

static json_t *json_reference(const struct circuit_run *run, uint32_t *n_ctx)
{
    const struct prompt_choice *choice = &run->parts[PART_REFERENCE];
    json_t *list = json_array();
    for (size_t i = 0; i < choice->n; i++) {
        const struct circuit_prompt *prompt = &run->prompts.prompts[choice->prompts[i]];
        if (prompt->n_tokens > *n_ctx) *n_ctx = prompt->n_tokens;
        (void)json_array_append_new(
            list, json_pack("{s:o s:I}", "tokens", json_ids(prompt->clean, prompt->n_tokens),
                            "template", (json_int_t)prompt->template_index));
    }
    return list;
}

/* Set k + 1: where position k of the sweep is in every prompt (circuit_candidates.c saw that it is
 * there). */
static json_t *json_positions(const struct circuit_run *run, enum prompt_part part)
{
    const struct sweep_spec *spec = run->sweep->spec;
    const struct prompt_choice *choice = &run->parts[part];
    json_t *sets = json_array();
    for (size_t k = 0; k < spec->n_positions; k++) {
        json_t *set = json_array();
        for (size_t i = 0; i < choice->n; i++) {
            uint32_t at = 0;
            (void)circuit_prompt_position(&run->prompts.prompts[choice->prompts[i]],
                                          spec->positions[k], &at);
            (void)json_array_append_new(set, json_ids(&at, 1));
        }
        (void)json_array_append_new(sets, set);
    }
    return sets;
}

char *circuit_ablate_spec(const struct circuit_run *run, enum prompt_part part,
                          bool needs_vocabulary)
{
    uint32_t n_ctx = 1;
    json_t *root = json_model(run, TASK_ABLATE);
    (void)json_object_set_new(root, "prompts", json_prompts(run, part, &n_ctx));
    (void)json_object_set_new(root, "reference", json_reference(run, &n_ctx));
    (void)json_object_set_new(root, "positions", json_positions(run, part));
    (void)json_object_set_new(root, "n_ctx", json_integer(n_ctx));
    (void)json_object_set_new(root, "mean",
                              json_string(circuit_mean_name(run->sweep->spec->ablation.mean_over)));
    (void)json_object_set_new(root, "vocabulary", json_boolean(needs_vocabulary));
    if (run->sweep->spec->n_dictionaries)
        (void)json_object_set_new(root, "dictionaries", json_dictionaries(run, true));
    return dump(root);
}
