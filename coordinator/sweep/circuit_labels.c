#include "coordinator/sweep/circuit_labels.h"

#include "common/file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY "search.agent.labels: "
enum { PATH_SIZE = 4096, SUMMARY_MAX = 1 << 20 };

/* --- may they be shown? ------------------------------------------------------------------- */

/* Which of the circuit sweep's dictionaries is at that hook point; n_dictionaries: none. */
static size_t find_dictionary(const struct sweep_spec *spec, const char *hook)
{
    struct component wanted, place;
    if (!circuit_hook_read(hook, &wanted)) return spec->n_dictionaries;
    size_t i = 0;
    while (i < spec->n_dictionaries && !(circuit_hook_read(spec->dictionaries[i].hook, &place) &&
                                         component_equal(&place, &wanted)))
        i++;
    return i;
}

/* Its path; NULL: none. */
static const char *dictionary_at(const struct sweep_spec *spec, const char *hook)
{
    const size_t index = find_dictionary(spec, hook);
    return index < spec->n_dictionaries ? spec->dictionaries[index].dictionary : NULL;
}

/* *is_known: some of what the target is about may be a candidate. */
static status_t check_target(const struct sweep_spec *spec, const struct sweep *from,
                             const struct sweep_target *target, bool *is_known, struct error *err)
{
    const char *mine = dictionary_at(spec, target->hook);
    *is_known = *is_known ||
                (target->units == SWEEP_UNITS_HEADS && (spec->candidates & CIRCUIT_HEADS) != 0);
    if (target->units != SWEEP_UNITS_DICTIONARY || !mine) return ST_OK;
    *is_known = true;
    if (strcmp(mine, target->dictionary) == 0) return ST_OK;
    return error_set(err, ST_BAD_INPUT,
                     KEY "at %s, %s is about the dictionary %s, this sweep about %s", target->hook,
                     from->id, target->dictionary, mine);
}

static status_t check_targets(const struct sweep_spec *spec, const struct sweep *from,
                              struct error *err)
{
    bool is_known = false;
    status_t status = ST_OK;
    for (size_t i = 0; i < from->spec->n_targets && status == ST_OK; i++)
        status = check_target(spec, from, &from->spec->targets[i], &is_known, err);
    if (status != ST_OK || is_known) return status;
    return error_set(err, ST_BAD_INPUT,
                     KEY "%s is about no candidate of this sweep: neither heads that are some, nor "
                         "features of its dictionaries",
                     from->id);
}

status_t circuit_labels_check(const struct sweep_spec *spec, const struct sweep *from,
                              struct error *err)
{
    const char *control = sweep_control_name(from->spec->control);
    if (from->spec->kind != SWEEP_KIND_LABEL)
        return error_set(err, ST_BAD_INPUT, KEY "%s is a %s sweep, and labels nothing", from->id,
                         sweep_kind_name(from->spec->kind));
    if (control)
        return error_set(err, ST_BAD_INPUT, KEY "%s is a control (%s): it is no evidence", from->id,
                         control);
    if (from->state != SWEEP_FINISHED)
        return error_set(err, ST_CONFLICT, KEY "%s is %s, and a finished one is wanted", from->id,
                         sweep_state_name(from->state));
    if (strcmp(from->spec->model, spec->model) != 0)
        return error_set(err, ST_BAD_INPUT, KEY "%s is about the model %s, this sweep about %s",
                         from->id, from->spec->model, spec->model);
    return check_targets(spec, from, err);
}

/* --- files of the label sweep ------------------------------------------------------------- */

static status_t path_of(const struct circuit_labels_source *source, const char *name,
                        char out[PATH_SIZE], struct error *err)
{
    const char *id = source->spec->search.agent.labels;
    const int n = snprintf(out, PATH_SIZE, "%s/sweeps/%s/%s", source->data_directory, id, name);
    if (!call_name_is_valid(id) || id[0] == '.') /* part of a path */
        return error_set(err, ST_BAD_INPUT, KEY "'%.64s' is no sweep's id", id);
    return n > 0 && n < PATH_SIZE ? ST_OK
                                  : error_set(err, ST_TOO_LARGE, KEY "path of %s: too long", id);
}

status_t circuit_labels_open(const struct circuit_labels_source *source, struct results_file **out,
                             struct error *err)
{
    char path[PATH_SIZE];
    status_t status = path_of(source, "results.jsonl", path, err);
    if (status != ST_OK) return status;
    status = results_file_open(out, path, err);
    return status == ST_OK ? ST_OK : error_wrap(err, "search.agent.labels");
}

/* --- are they about what is there now? ---------------------------------------------------- */

static status_t read_summary(const struct circuit_labels_source *source, json_t **out,
                             struct error *err)
{
    char path[PATH_SIZE], *text;
    size_t n_bytes;
    status_t status = path_of(source, "summary.json", path, err);
    if (status != ST_OK) return status;
    status = file_read(path, SUMMARY_MAX, &text, &n_bytes, err);
    if (status != ST_OK) return error_wrap(err, "search.agent.labels");
    *out = json_loadb(text, n_bytes, 0, NULL);
    free(text);
    return *out ? ST_OK : error_set(err, ST_CORRUPT, KEY "%s: no JSON", path);
}

/* `what`: "model", "dictionary"; `then`: NULL where the label sweep did not keep it. */
static status_t check_fingerprint(const struct circuit_labels_source *source, const char *what,
                                  const char *then, const char *now, struct error *err)
{
    const char *id = source->spec->search.agent.labels;
    if (then && strcmp(then, now) == 0) return ST_OK;
    if (!then)
        return error_set(err, ST_CONFLICT,
                         KEY "%s does not say which %s it labelled: submit its file again (calls "
                             "that were paid for cost nothing), and name that sweep",
                         id, what);
    return error_set(err, ST_CONFLICT,
                     KEY "%s labelled another %s of the same path (fingerprint %.12s, now %.12s): "
                         "label it again, or leave the labels out",
                     id, what, then, now);
}

static status_t check_subjects(const struct circuit_labels_source *source,
                               const struct circuit_labels_subjects *now, const json_t *summary,
                               struct error *err)
{
    const json_t *targets = json_object_get(summary, "targets"), *target;
    const char *model = json_string_value(json_object_get(summary, "model_fingerprint"));
    status_t status = check_fingerprint(source, "model", model, now->model, err);
    size_t i;
    json_array_foreach(targets, i, target)
    {
        const char *hook = json_string_value(json_object_get(target, "hook_point"));
        const bool has_dictionary = json_is_string(json_object_get(target, "dictionary"));
        const size_t mine = hook && has_dictionary ? find_dictionary(source->spec, hook) : SIZE_MAX;
        if (status != ST_OK || mine >= source->spec->n_dictionaries) continue;
        const json_t *fingerprint = json_object_get(target, "dictionary_fingerprint");
        status = check_fingerprint(source, "dictionary", json_string_value(fingerprint),
                                   now->dictionaries[mine], err);
    }
    return status;
}

status_t circuit_labels_check_same(const struct circuit_labels_source *source,
                                   const struct circuit_labels_subjects *now, struct error *err)
{
    json_t *summary = NULL;
    status_t status = read_summary(source, &summary, err);
    if (status == ST_OK) status = check_subjects(source, now, summary, err);
    json_decref(summary);
    return status;
}

/* --- reading ------------------------------------------------------------------------------ */

void circuit_labels_fini(struct circuit_labels *labels)
{
    for (size_t i = 0; labels->items && i < labels->n; i++)
        free((char *)(uintptr_t)labels->items[i].text);
    free(labels->items);
    *labels = (struct circuit_labels){.n = 0};
}

/* Is the record about this sweep's model, and about heads or a dictionary of it? */
static bool is_about(const struct sweep_spec *spec, const json_t *target)
{
    const char *model = json_string_value(json_object_get(target, "model"));
    const char *hook = json_string_value(json_object_get(target, "hook_point"));
    const char *dictionary = json_string_value(json_object_get(target, "dictionary"));
    if (!model || !hook || strcmp(model, spec->model) != 0) return false;
    const char *mine = dictionary_at(spec, hook);
    return !dictionary || (mine && strcmp(mine, dictionary) == 0);
}

/* The component that a record is about: heads, and features of a dictionary. */
static bool component_of(const json_t *record, struct component *out)
{
    const json_t *target = json_object_get(record, "target");
    const char *hook = json_string_value(json_object_get(target, "hook_point"));
    const json_t *feature = json_object_get(record, "feature");
    const bool has_dictionary = json_is_string(json_object_get(target, "dictionary"));
    char name[COMPONENT_NAME_SIZE * 2];
    struct error ignored = {.status = ST_OK};
    if (!hook || strlen(hook) >= COMPONENT_NAME_SIZE || !json_is_integer(feature)) return false;
    const int n = snprintf(name, sizeof name, has_dictionary ? "%s.f%" PRId64 : "%s[%" PRId64 "]",
                           hook, (int64_t)json_integer_value(feature));
    memset(out, 0, sizeof *out);
    if (component_parse(name, (size_t)n, out, &ignored) != ST_OK) return false;
    return has_dictionary || out->type == COMPONENT_HEAD;
}

static int compare_bases(const void *wanted, const void *candidate)
{
    struct component base = *(const struct component *)candidate;
    base.position[0] = '\0';
    return component_compare(wanted, &base);
}

/* At any position: what a label says is true of the component wherever it is ablated. */
static bool is_candidate(const struct circuit_labels_source *source,
                         const struct component *component)
{
    return source->n_candidates > 0 && bsearch(component, source->candidates, source->n_candidates,
                                               sizeof *component, compare_bases) != NULL;
}

/* Balanced accuracy on held-out text, of detection or else of fuzzing; 0 where there is none. */
static double score_of(const json_t *record)
{
    static const char *const names[] = {"detection", "fuzzing"};
    const json_t *scores = json_object_get(record, "scores");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const json_t *random = json_object_get(json_object_get(scores, names[i]), "random");
        const json_t *value = json_object_get(random, "balanced_accuracy");
        if (json_is_number(value)) return json_number_value(value);
    }
    return 0.0;
}

static status_t take_record(struct circuit_labels *out, const struct circuit_labels_source *source,
                            struct wire_text line, struct error *err)
{
    struct component component;
    json_t *record = json_loadb(line.bytes, line.n_bytes, 0, NULL);
    const char *label = json_string_value(json_object_get(record, "label"));
    status_t status = ST_OK;
    if (label && is_about(source->spec, json_object_get(record, "target")) &&
        component_of(record, &component) && is_candidate(source, &component)) {
        struct proposal_label *next = &out->items[out->n];
        *next = (struct proposal_label){.component = component,
                                        .text = strdup(label),
                                        .is_supported =
                                            json_is_true(json_object_get(record, "supported")),
                                        .score = score_of(record)};
        if (next->text)
            out->n++;
        else
            status = error_set(err, ST_NO_MEMORY, "labels");
    }
    json_decref(record);
    return status;
}

status_t circuit_labels_read(struct circuit_labels *out, const struct circuit_labels_source *source,
                             struct error *err)
{
    struct results_file *file = NULL;
    *out = (struct circuit_labels){.n = 0};
    status_t status = circuit_labels_open(source, &file, err);
    if (status != ST_OK) return status;
    const size_t n = results_file_n_records(file);
    out->items = calloc(n + 1, sizeof *out->items);
    if (!out->items) status = error_set(err, ST_NO_MEMORY, "labels");
    for (size_t i = 0; i < n && status == ST_OK; i++)
        status = take_record(out, source, results_file_record(file, i), err);
    results_file_close(&file);
    if (status != ST_OK) circuit_labels_fini(out);
    return status;
}
