#include "coordinator/sweep/circuit_labels.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY "search.agent.labels: "

/* --- may they be shown? ------------------------------------------------------------------- */

/* The dictionary that the circuit sweep has at that hook point; NULL: none. */
static const char *dictionary_at(const struct sweep_spec *spec, const char *hook)
{
    struct component wanted, place;
    if (!circuit_hook_read(hook, &wanted)) return NULL;
    for (size_t i = 0; i < spec->n_dictionaries; i++)
        if (circuit_hook_read(spec->dictionaries[i].hook, &place) &&
            component_equal(&place, &wanted))
            return spec->dictionaries[i].dictionary;
    return NULL;
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

/* --- reading ------------------------------------------------------------------------------ */

status_t circuit_labels_open(const struct circuit_labels_source *source, struct results_file **out,
                             struct error *err)
{
    const char *id = source->spec->search.agent.labels;
    char path[4096];
    const int n =
        snprintf(path, sizeof path, "%s/sweeps/%s/results.jsonl", source->data_directory, id);
    if (!call_name_is_valid(id) || id[0] == '.') /* part of a path */
        return error_set(err, ST_BAD_INPUT, KEY "'%.64s' is no sweep's id", id);
    if (n < 0 || (size_t)n >= sizeof path)
        return error_set(err, ST_TOO_LARGE, KEY "path of %s: too long", id);
    const status_t status = results_file_open(out, path, err);
    return status == ST_OK ? ST_OK : error_wrap(err, "search.agent.labels");
}

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
