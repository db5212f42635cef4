#include "coordinator/intake/sweep_spec.h"

#include "coordinator/intake/circuit_check.h"
#include "coordinator/intake/hash_key.h"
#include "coordinator/intake/sweep_keys.h"
#include "coordinator/plan/feature_set.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_BYTES = 64, PATH_KEY_SIZE = 64 };

static const char *choice_name(const struct config_choice *choices, int value)
{
    for (; choices->name; choices++)
        if (choices->value == value && !choices->is_reserved) return choices->name;
    return NULL;
}

const char *sweep_units_name(enum sweep_units units)
{
    return choice_name(sweep_units_choices, (int)units);
}

const char *sweep_control_name(enum sweep_control control)
{
    return control == SWEEP_CONTROL_NONE ? NULL : choice_name(sweep_control_choices, (int)control);
}

const char *sweep_compute_name(enum sweep_compute compute)
{
    return choice_name(sweep_compute_choices, (int)compute);
}

const char *sweep_spec_backend_name(const struct sweep_spec *spec)
{
    return spec->backend == SWEEP_BACKEND_ANY
               ? NULL
               : choice_name(sweep_backend_choices, (int)spec->backend);
}

const char *sweep_bos_name(enum sweep_bos bos)
{
    return choice_name(sweep_bos_choices, (int)bos);
}

const char *sweep_durability_name(enum sweep_durability durability)
{
    return choice_name(sweep_durability_choices, (int)durability);
}

const char *sweep_kind_name(enum sweep_kind kind)
{
    return choice_name(sweep_kind_choices, (int)kind);
}

static const struct config_schema *schema_of(enum sweep_kind kind)
{
    switch (kind) {
    case SWEEP_KIND_NOOP: return &sweep_noop_schema;
    case SWEEP_KIND_CIRCUIT: return &sweep_circuit_schema;
    case SWEEP_KIND_LABEL: break;
    }
    return &sweep_label_schema;
}

/* --- checks that span keys -------------------------------------------------------------- */

static bool is_name(const char *name)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    const size_t n = strspn(name, letters);
    return n > 0 && n <= NAME_MAX_BYTES && name[n] == '\0' && name[0] != '.';
}

static status_t check_name(const struct yaml_tree *tree, const char *path, const char *name,
                           struct error *err)
{
    if (is_name(name)) return ST_OK;
    return config_error(tree, path, err, ST_BAD_INPUT,
                        "'%.70s' is no name; allowed: 1 to %d letters, digits, . _ -, no leading .",
                        name, NAME_MAX_BYTES);
}

static status_t check_source(const struct yaml_tree *tree, const char *path,
                             const struct sweep_source *source, struct error *err)
{
    const bool is_separated = source->document == CORPUS_DOCUMENT_SEPARATOR;
    const bool is_json =
        source->format == CORPUS_FORMAT_JSONL || source->format == CORPUS_FORMAT_TOKENS;
    char key[PATH_KEY_SIZE];
    (void)snprintf(key, sizeof key, "%s.%s", path, is_separated ? "document" : "separator");
    if (is_separated && !source->separator)
        return config_error(tree, key, err, ST_BAD_INPUT,
                            "documents end at a separator, but the key 'separator' is missing");
    if (!is_separated && source->separator)
        return config_error(tree, key, err, ST_BAD_INPUT, "is used only with document: separator");
    (void)snprintf(key, sizeof key, "%s.document", path);
    if (is_json && source->document != CORPUS_DOCUMENT_FILE)
        return config_error(tree, key, err, ST_BAD_INPUT,
                            "is for plain text; in JSON lines every line is a document");
    return ST_OK;
}

static status_t check_corpus(const struct yaml_tree *tree, const struct sweep_spec *spec,
                             struct error *err)
{
    const struct sweep_corpus *corpus = &spec->corpus;
    const struct sweep_source source = sweep_spec_main_source(spec);
    if (corpus->chat_template)
        return config_error(tree, "corpus.chat_template", err, ST_UNSUPPORTED,
                            "chat templates are not built yet; leave the key out");
    if (corpus->window_tokens > corpus->context_tokens)
        return config_error(tree, "corpus.window_tokens", err, ST_BAD_INPUT,
                            "%u is more than context_tokens (%u)", corpus->window_tokens,
                            corpus->context_tokens);
    if (corpus->min_window_tokens > corpus->window_tokens)
        return config_error(tree, "corpus.min_window_tokens", err, ST_BAD_INPUT,
                            "%u is more than window_tokens (%u)", corpus->min_window_tokens,
                            corpus->window_tokens);
    if ((uint64_t)corpus->context_tokens * spec->rows_per_unit > 2u << 20)
        return config_error(tree, "rows_per_unit", err, ST_TOO_LARGE,
                            "%u rows of %u tokens are more than a unit may hold (2 Mi tokens)",
                            spec->rows_per_unit, corpus->context_tokens);
    return check_source(tree, "corpus", &source, err);
}

static status_t check_ood(const struct yaml_tree *tree, const struct sweep_spec *spec,
                          struct error *err)
{
    for (size_t i = 0; i < spec->n_ood; i++) {
        char path[PATH_KEY_SIZE], key[PATH_KEY_SIZE + 8];
        status_t status;
        (void)snprintf(path, sizeof path, "ood[%zu]", i);
        (void)snprintf(key, sizeof key, "%s.name", path);
        status = check_name(tree, key, spec->ood[i].name, err);
        if (status == ST_OK) status = check_source(tree, path, &spec->ood[i], err);
        if (status != ST_OK) return status;
        for (size_t j = 0; j < i; j++)
            if (strcmp(spec->ood[j].name, spec->ood[i].name) == 0)
                return config_error(tree, key, err, ST_BAD_INPUT, "'%s' names two corpora",
                                    spec->ood[i].name);
    }
    return ST_OK;
}

static status_t check_target(const struct yaml_tree *tree, const struct sweep_target *target,
                             size_t index, struct error *err)
{
    char path[PATH_KEY_SIZE];
    struct error cause = {.status = ST_OK};
    (void)snprintf(path, sizeof path, "targets[%zu].dictionary", index);
    if (target->units == SWEEP_UNITS_DICTIONARY && !target->dictionary)
        return config_error(tree, path, err, ST_BAD_INPUT,
                            "missing; give a dictionary, or units: neurons | residual | heads");
    if (target->units != SWEEP_UNITS_DICTIONARY && target->dictionary)
        return config_error(tree, path, err, ST_BAD_INPUT,
                            "a target has a dictionary or units: %s, not both",
                            sweep_units_name(target->units));
    (void)snprintf(path, sizeof path, "targets[%zu].norm_scaling_factor", index);
    if (target->units != SWEEP_UNITS_DICTIONARY && target->norm_scaling_factor > 0)
        return config_error(tree, path, err, ST_BAD_INPUT,
                            "scales what a dictionary reads; units: %s have none",
                            sweep_units_name(target->units));
    (void)snprintf(path, sizeof path, "targets[%zu].features", index);
    if (feature_set_check(target->features, &cause) != ST_OK)
        return config_error(tree, path, err, cause.status, "%s", cause.text);
    (void)snprintf(path, sizeof path, "targets[%zu].density_min", index);
    if (target->density_min > target->density_max)
        return config_error(tree, path, err, ST_BAD_INPUT, "%g is more than density_max (%g)",
                            target->density_min, target->density_max);
    return ST_OK;
}

static status_t check_scoring(const struct yaml_tree *tree, const struct sweep_spec *spec,
                              struct error *err)
{
    const struct sweep_splits *splits = &spec->splits;
    const uint32_t sum = splits->explain + splits->validate + splits->test;
    if (sum != 100)
        return config_error(tree, "splits", err, ST_BAD_INPUT,
                            "explain %u, validate %u and test %u make %u percent, not 100",
                            splits->explain, splits->validate, splits->test, sum);
    if (spec->thresholds.min_test_documents > spec->evidence.doc_k)
        return config_error(tree, "thresholds.min_test_documents", err, ST_BAD_INPUT,
                            "%u documents cannot be told apart when evidence.doc_k is %u",
                            spec->thresholds.min_test_documents, spec->evidence.doc_k);
    if (spec->scores == 0)
        return config_error(tree, "scores", err, ST_BAD_INPUT, "at least one score is wanted");
    if (!(spec->scores & (SWEEP_SCORE_DETECTION | SWEEP_SCORE_FUZZING)))
        return config_error(tree, "scores", err, ST_BAD_INPUT,
                            "detection or fuzzing is wanted: one of them decides what is "
                            "supported");
    if (spec->evidence.silent_k < spec->scoring.n_silent)
        return config_error(tree, "scoring.n_silent", err, ST_BAD_INPUT,
                            "%u silent windows are wanted but evidence.silent_k keeps %u",
                            spec->scoring.n_silent, spec->evidence.silent_k);
    return ST_OK;
}

/* A score that needs a language model as the judge. */
static status_t check_simulation(const struct yaml_tree *tree, const struct sweep_spec *spec,
                                 struct error *err)
{
    const struct sweep_scoring *scoring = &spec->scoring;
    if (!(spec->scores & SWEEP_SCORE_SIMULATION)) return ST_OK;
    if (strcmp(spec->judge, "lexical") == 0 && spec->control != SWEEP_CONTROL_RANDOM_JUDGE)
        return config_error(tree, "scores", err, ST_BAD_INPUT,
                            "simulation needs a provider as 'judge'; the lexical one predicts no "
                            "values");
    const uint32_t least =
        scoring->n_firing < scoring->n_silent ? scoring->n_firing : scoring->n_silent;
    if (scoring->n_simulated > least)
        return config_error(tree, "scoring.n_simulated", err, ST_BAD_INPUT,
                            "%u windows of each kind are to be simulated, but only %u are judged",
                            scoring->n_simulated, least);
    return ST_OK;
}

static status_t check_intervention(const struct yaml_tree *tree, const struct sweep_spec *spec,
                                   struct error *err)
{
    if (!(spec->scores & SWEEP_SCORE_INTERVENTION)) return ST_OK;
    if (strcmp(spec->judge, "lexical") == 0 && spec->control != SWEEP_CONTROL_RANDOM_JUDGE)
        return config_error(tree, "scores", err, ST_BAD_INPUT,
                            "intervention needs a provider as 'judge'; the lexical one cannot say "
                            "what explains a change of text");
    return ST_OK;
}

/* Every judge once; a lexical one can only judge lexical labels. */
static status_t check_judges(const struct yaml_tree *tree, const struct sweep_spec *spec,
                             struct error *err)
{
    for (size_t i = 0; i < spec->n_judges; i++) {
        char key[PATH_KEY_SIZE];
        (void)snprintf(key, sizeof key, "judges[%zu]", i);
        for (size_t j = 0; j <= i; j++)
            if (strcmp(sweep_spec_judge(spec, j), spec->judges[i]) == 0)
                return config_error(tree, key, err, ST_BAD_INPUT, "'%.64s' is a judge already",
                                    spec->judges[i]);
        const bool is_lexical_label =
            spec->mode != SWEEP_MODE_SCORE_ONLY && strcmp(spec->explainer, "lexical") == 0;
        if (strcmp(spec->judges[i], "lexical") == 0 && !is_lexical_label)
            return config_error(tree, key, err, ST_BAD_INPUT,
                                "the lexical judge reads no labels but those of the lexical "
                                "explainer");
    }
    return ST_OK;
}

/* Who can do what a mode asks for. */
static status_t check_mode(const struct yaml_tree *tree, const struct sweep_spec *spec,
                           struct error *err)
{
    const status_t status =
        hash_key_check(tree, "labels_sha256", spec->labels_sha256, spec->labels, err);
    if (status != ST_OK) return status;
    const bool is_score_only = spec->mode == SWEEP_MODE_SCORE_ONLY;
    const bool is_agentic = spec->mode == SWEEP_MODE_AGENTIC;
    if (is_score_only && !spec->labels)
        return config_error(tree, "mode", err, ST_BAD_INPUT,
                            "score_only scores labels of yours, but the key 'labels' is missing");
    if (!is_score_only && spec->labels)
        return config_error(tree, "labels", err, ST_BAD_INPUT,
                            "is used only with mode: score_only");
    if (is_agentic && strcmp(spec->explainer, "lexical") == 0)
        return config_error(tree, "mode", err, ST_BAD_INPUT,
                            "agentic needs a provider as 'explainer'; the lexical one designs no "
                            "experiments");
    if ((is_agentic || is_score_only) && strcmp(spec->judge, "lexical") == 0 &&
        spec->control != SWEEP_CONTROL_RANDOM_JUDGE)
        return config_error(tree, "mode", err, ST_BAD_INPUT,
                            "%s needs a provider as 'judge'; the lexical one cannot read labels",
                            is_agentic ? "agentic" : "score_only");
    if (spec->rounds.min > spec->rounds.max)
        return config_error(tree, "rounds.min", err, ST_BAD_INPUT,
                            "%u is more than rounds.max (%u)", spec->rounds.min, spec->rounds.max);
    if (spec->experiments.per_round % 4)
        return config_error(tree, "experiments.per_round", err, ST_BAD_INPUT,
                            "%u is no multiple of 4: there are four kinds of experiments",
                            spec->experiments.per_round);
    if (is_agentic && spec->splits.validate == 0)
        return config_error(tree, "splits.validate", err, ST_BAD_INPUT,
                            "mode agentic chooses its label on validate documents; give it some");
    return ST_OK;
}

static status_t check_label(const struct yaml_tree *tree, const struct sweep_spec *spec,
                            struct error *err)
{
    status_t status = check_corpus(tree, spec, err);
    if (status == ST_OK) status = check_mode(tree, spec, err);
    if (status == ST_OK) status = check_ood(tree, spec, err);
    for (size_t i = 0; status == ST_OK && i < spec->n_targets; i++)
        status = check_target(tree, &spec->targets[i], i, err);
    if (status == ST_OK) status = check_scoring(tree, spec, err);
    if (status == ST_OK) status = check_simulation(tree, spec, err);
    if (status == ST_OK) status = check_intervention(tree, spec, err);
    return status == ST_OK ? check_judges(tree, spec, err) : status;
}

/* --- paths ------------------------------------------------------------------------------ */

/* Replace a relative *path by directory/path. Each "../" in front takes a name off the directory,
 * which has no symbolic links in it. */
static bool resolve_path(char **path, const char *directory)
{
    const char *relative = *path;
    size_t n_directory = strlen(directory);
    if (!relative || relative[0] == '/') return true;
    for (;;) {
        const bool is_up = strncmp(relative, "../", 3) == 0;
        if (!is_up && strncmp(relative, "./", 2) != 0) break;
        relative += is_up ? 3 : 2;
        while (is_up && n_directory && directory[--n_directory] != '/') {
        }
    }
    const size_t n = n_directory + strlen(relative) + 2;
    char *absolute = malloc(n);
    if (!absolute) return false;
    (void)snprintf(absolute, n, "%.*s/%s", (int)n_directory, directory, relative);
    free(*path);
    *path = absolute;
    return true;
}

static status_t resolve_paths(struct sweep_spec *spec, const char *directory, struct error *err)
{
    bool is_ok = resolve_path(&spec->model, directory);
    is_ok = is_ok && resolve_path(&spec->task.prompts, directory);
    is_ok = is_ok && resolve_path(&spec->circuit, directory);
    is_ok = is_ok && resolve_path(&spec->corpus.path, directory);
    is_ok = is_ok && resolve_path(&spec->labels, directory);
    for (size_t i = 0; is_ok && i < spec->n_ood; i++)
        is_ok = resolve_path(&spec->ood[i].path, directory);
    for (size_t i = 0; is_ok && i < spec->n_targets; i++)
        is_ok = resolve_path(&spec->targets[i].dictionary, directory);
    for (size_t i = 0; is_ok && i < spec->n_dictionaries; i++)
        is_ok = resolve_path(&spec->dictionaries[i].dictionary, directory);
    return is_ok ? ST_OK : error_set(err, ST_NO_MEMORY, "paths of sweep %s", spec->name);
}

/* --- parsing ---------------------------------------------------------------------------- */

/* The kind chooses the table, so it is read first: a circuit's keys in a file of an unknown kind
 * should hear about the kind, not about the first key. A missing kind is the label table's to
 * report. */
static status_t read_kind(const struct yaml_tree *tree, enum sweep_kind *out, struct error *err)
{
    static const char allowed[] = "label | circuit | noop";
    const struct yaml_node *node = yaml_node_child(yaml_tree_root(tree), "kind");
    const struct config_choice *choice = sweep_kind_choices;
    *out = SWEEP_KIND_LABEL;
    if (!node || !node->text) return ST_OK;
    while (choice->name && strcmp(choice->name, node->text) != 0) choice++;
    if (!choice->name)
        return config_error(tree, "kind", err, ST_BAD_INPUT, "'%.40s' is unknown; allowed: %s",
                            node->text, allowed);
    if (choice->is_reserved)
        return config_error(tree, "kind", err, ST_UNSUPPORTED,
                            "'%s' sweeps are not built yet; allowed: %s", choice->name, allowed);
    *out = (enum sweep_kind)choice->value;
    return ST_OK;
}

static status_t check_keys(const struct yaml_tree *tree, const struct sweep_spec *spec,
                           struct error *err)
{
    const status_t status = check_name(tree, "name", spec->name, err);
    if (status != ST_OK) return status;
    switch (spec->kind) {
    case SWEEP_KIND_LABEL: return check_label(tree, spec, err);
    case SWEEP_KIND_CIRCUIT: return circuit_check_keys(tree, spec, err);
    case SWEEP_KIND_NOOP: break;
    }
    return ST_OK;
}

static status_t parse_tree(struct sweep_spec **out, const struct yaml_tree *tree,
                           const struct sweep_text *text, bool is_accepted, struct error *err)
{
    enum sweep_kind kind;
    void *data = NULL;
    struct sweep_spec *spec;
    status_t status = read_kind(tree, &kind, err);
    if (status == ST_OK) status = config_load(&data, schema_of(kind), tree, err);
    if (status != ST_OK) return status;
    spec = data;
    status = check_keys(tree, spec, err);
    if (status == ST_OK && kind == SWEEP_KIND_CIRCUIT && !is_accepted)
        status = circuit_check_unused(tree, spec, err);
    if (status == ST_OK && text->directory) status = resolve_paths(spec, text->directory, err);
    if (status == ST_OK)
        *out = spec;
    else
        sweep_spec_free(&spec);
    return status;
}

static status_t parse_text(struct sweep_spec **out, const struct sweep_text *text, bool is_accepted,
                           struct error *err)
{
    struct yaml_tree *tree = NULL;
    status_t status = yaml_tree_parse(&tree, text->yaml, text->n_bytes, text->name, err);
    if (status == ST_OK) status = parse_tree(out, tree, text, is_accepted, err);
    yaml_tree_destroy(&tree);
    return status;
}

status_t sweep_spec_parse(struct sweep_spec **out, const struct sweep_text *text, struct error *err)
{
    return parse_text(out, text, false, err);
}

status_t sweep_spec_parse_accepted(struct sweep_spec **out, const struct sweep_text *text,
                                   struct error *err)
{
    return parse_text(out, text, true, err);
}

void sweep_spec_free(struct sweep_spec **spec)
{
    void *data = spec ? *spec : NULL;
    if (!data) return;
    config_destroy(&data, schema_of((*spec)->kind));
    *spec = NULL;
}

/* --- what a spec says ------------------------------------------------------------------- */

char *sweep_spec_to_json(const struct sweep_spec *spec)
{
    json_t *json = config_to_json(schema_of(spec->kind), spec);
    char *text = json ? json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(json);
    return text;
}

bool sweep_spec_key(const struct sweep_spec *spec, char out[HASH_HEX_SIZE])
{
    char *text = sweep_spec_to_json(spec);
    if (!text) return false;
    hash_sha256_hex(text, strlen(text), out);
    free(text);
    return true;
}

status_t sweep_spec_help(struct buffer *out, struct error *err)
{
    const struct config_schema *const schemas[] = {&sweep_label_schema, &sweep_circuit_schema,
                                                   &sweep_noop_schema};
    status_t status = ST_OK;
    for (size_t i = 0; i < sizeof schemas / sizeof schemas[0] && status == ST_OK; i++) {
        if (i) status = buffer_append_text(out, "\n", err);
        if (status == ST_OK) status = config_help(schemas[i], out, err);
    }
    return status;
}

const char *sweep_spec_judge(const struct sweep_spec *spec, size_t index)
{
    return index == 0 ? spec->judge : spec->judges[index - 1];
}

bool sweep_spec_asks(const struct sweep_spec *spec, size_t index)
{
    return spec->control != SWEEP_CONTROL_RANDOM_JUDGE &&
           strcmp(sweep_spec_judge(spec, index), "lexical") != 0;
}

static bool asks_any_judge(const struct sweep_spec *spec)
{
    for (size_t i = 0; i <= spec->n_judges; i++)
        if (sweep_spec_asks(spec, i)) return true;
    return false;
}

bool sweep_spec_asks_agent(const struct sweep_spec *spec)
{
    return spec->kind == SWEEP_KIND_CIRCUIT && !spec->circuit && spec->search.agent.provider;
}

bool sweep_spec_uses_provider(const struct sweep_spec *spec)
{
    if (sweep_spec_asks_agent(spec)) return true;
    return spec->kind == SWEEP_KIND_LABEL &&
           (strcmp(spec->explainer, "lexical") != 0 || asks_any_judge(spec));
}

bool sweep_spec_asks_judge(const struct sweep_spec *spec)
{
    return spec->kind == SWEEP_KIND_LABEL && sweep_spec_asks(spec, 0);
}

uint64_t sweep_spec_shuffle_seed(const struct sweep_spec *spec)
{
    static const uint64_t name = 0x7765696768747321; /* "weights!": apart from other draws */
    if (spec->kind != SWEEP_KIND_LABEL || spec->control != SWEEP_CONTROL_RANDOM_WEIGHTS) return 0;
    return hash_mix64(hash_mix64(spec->seed ^ spec->scoring.seed) ^ name) | 1;
}

struct evidence_limits sweep_spec_evidence_limits(const struct sweep_spec *spec,
                                                  enum evidence_split split)
{
    const struct sweep_evidence *keep = &spec->evidence;
    const bool is_explain = split == EVIDENCE_EXPLAIN;
    return (struct evidence_limits){
        .top_k = keep->top_k,
        .bin_k = keep->bin_k,
        .silent_k = is_explain ? keep->explain_silent_k : keep->silent_k,
        .near_miss_k = is_explain ? 0 : keep->near_miss_k,
        .neighbour_k = is_explain ? 0 : keep->neighbour_k,
        .doc_k = keep->doc_k,
        .window_tokens = spec->corpus.window_tokens,
        .min_window_tokens = spec->corpus.min_window_tokens,
        .counts_positions = split == EVIDENCE_VALIDATE, /* firing thresholds are known there */
    };
}

struct sweep_source sweep_spec_main_source(const struct sweep_spec *spec)
{
    return (struct sweep_source){.path = spec->corpus.path,
                                 .format = spec->corpus.format,
                                 .document = spec->corpus.document,
                                 .separator = spec->corpus.separator,
                                 .max_tokens = spec->corpus.max_tokens};
}
