/* Labels of another sweep as evidence for an agent: records of heads and of dictionary features
 * whose component is a candidate. Labels are what a language model wrote: data (prompt_data.h). */
#include "coordinator/report/results_file.h"
#include "coordinator/sweep/circuit_run.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void circuit_labels_fini(struct circuit_labels *labels)
{
    for (size_t i = 0; labels->items && i < labels->n; i++)
        free((char *)(uintptr_t)labels->items[i].text);
    free(labels->items);
    *labels = (struct circuit_labels){.n = 0};
}

/* DATA/sweeps/ID/results.jsonl of an id that is one (no path). */
static status_t open_results(const struct circuit_run *run, struct results_file **out,
                             struct error *err)
{
    const char *id = run->sweep->spec->search.agent.labels;
    char path[4096];
    struct error ignored = {.status = ST_OK};
    const int n = snprintf(path, sizeof path, "%s/sweeps/%s/results.jsonl",
                           run->sweep->context->data_directory, id);
    const bool is_name = call_name_is_valid(id) && id[0] != '.';
    if (is_name && n > 0 && (size_t)n < sizeof path &&
        results_file_open(out, path, &ignored) == ST_OK)
        return ST_OK;
    return error_set(err, ST_NOT_FOUND, "search.agent.labels: no finished label sweep \"%.64s\"",
                     id);
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

static status_t take_record(struct circuit_labels *out, const struct circuit_run *run,
                            struct wire_text line, struct error *err)
{
    struct component component;
    json_t *record = json_loadb(line.bytes, line.n_bytes, 0, NULL);
    const char *label = json_string_value(json_object_get(record, "label"));
    status_t status = ST_OK;
    if (label && component_of(record, &component) && circuit_candidates_have(run, &component)) {
        struct proposal_label *next = &out->items[out->n];
        *next = (struct proposal_label){component, strdup(label)};
        if (next->text)
            out->n++;
        else
            status = error_set(err, ST_NO_MEMORY, "labels");
    }
    json_decref(record);
    return status;
}

status_t circuit_labels_read(struct circuit_labels *out, const struct circuit_run *run,
                             struct error *err)
{
    struct results_file *file = NULL;
    *out = (struct circuit_labels){.n = 0};
    if (!run->sweep->spec->search.agent.labels) return ST_OK;
    status_t status = open_results(run, &file, err);
    if (status != ST_OK) return status;
    const size_t n = results_file_n_records(file);
    out->items = calloc(n + 1, sizeof *out->items);
    if (!out->items) {
        results_file_close(&file);
        return error_set(err, ST_NO_MEMORY, "labels");
    }
    for (size_t i = 0; i < n && status == ST_OK; i++)
        status = take_record(out, run, results_file_record(file, i), err);
    results_file_close(&file);
    if (status != ST_OK) circuit_labels_fini(out);
    return status;
}
