#include "coordinator/sweep/circuit_results.h"

#include "common/file.h"
#include "coordinator/circuit/circuit_dot.h"
#include "coordinator/circuit/measures_json.h"
#include "coordinator/circuit/search_limits.h"
#include "coordinator/circuit/verdict_json.h"
#include "coordinator/circuit/verdict_text.h"
#include "coordinator/session/score_json.h"
#include "coordinator/sweep/circuit_run.h"

#include <stdlib.h>
#include <string.h>

enum { RESULTS_MAX_BYTES = INT32_MAX };

/* --- records ------------------------------------------------------------------------------ */

static json_t *json_effect(const struct node_effect *effect)
{
    return json_pack("{s:f s:o s:f}", "mean", effect->mean, "standard_error",
                     score_value_json(effect->standard_error), "p", effect->p);
}

static json_t *json_given(const struct circuit_run *run, const struct found_node *node)
{
    json_t *context = json_array(), *given = json_effect(&node->given);
    for (uint32_t i = 0; i < node->n_context; i++) {
        char name[COMPONENT_NAME_SIZE];
        (void)json_array_append_new(
            context, json_string(component_name(&run->candidates[node->context[i]], name)));
    }
    (void)json_object_set_new(given, "context", context);
    return given;
}

/* Why the search took it; no search takes what the user brings. */
static const char *reason_name(enum node_reason reason, bool is_brought)
{
    if (is_brought) return "brought";
    switch (reason) {
    case NODE_SINGLE: return "single";
    case NODE_CONDITIONAL: return "conditional";
    case NODE_DROPPED: return "dropped";
    case NODE_NOT_FOUND: break;
    }
    return "none";
}

static json_t *json_record(const struct circuit_run *run, size_t index)
{
    const struct component *component = &run->candidates[index];
    const struct found_node not_searched = {.reason = NODE_NOT_FOUND};
    const struct found_node *found = run->search ? &run->found.nodes[index] : &not_searched;
    const struct circuit_node *node = circuit_find_node(&run->found.circuit, component);
    char name[COMPONENT_NAME_SIZE], hook[COMPONENT_NAME_SIZE];
    return json_pack(
        "{s:s s:s s:s s:s? s:b s:s? s:s s:b s:o s:o s:o s:o}", "component",
        component_name(component, name), "type", component_type_name(component->type), "hook_point",
        component_hook(component, hook), "value",
        run->search ? ablate_value_name(run->sweep->spec->search.value) : NULL, "in_circuit",
        node != NULL, "class", node && node->role[0] ? node->role : NULL, "reason",
        reason_name(found->reason, node && !run->search), "is_measured", (int)found->is_measured,
        "effect", found->is_measured ? json_effect(&found->alone) : json_null(), "given",
        found->n_context ? json_given(run, found) : json_null(), "head_scores",
        run->heads.has_scores ? head_report_shares(&run->heads.scores, component) : json_null(),
        "attribution", score_value_json(circuit_attribution_of(run, component)));
}

static status_t append_json(struct buffer *out, json_t *json, size_t flags, struct error *err)
{
    char *text = json ? json_dumps(json, flags | JSON_SORT_KEYS | JSON_REAL_PRECISION(12)) : NULL;
    json_decref(json);
    if (!text) return error_set(err, ST_NO_MEMORY, "results");
    status_t status = buffer_append_text(out, text, err);
    if (status == ST_OK) status = buffer_append_text(out, "\n", err);
    free(text);
    return status;
}

/* --- files -------------------------------------------------------------------------------- */

/* Everything that is written, and for whom. */
struct writing {
    const struct circuit_run *run;
    const struct circuit_measures *measures; /* NULL: nothing was found */
    const struct circuit_verdict *verdict;
};

static status_t write_records(const struct writing *what, struct buffer *out, struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = 0; i < what->run->n_candidates && status == ST_OK; i++)
        status = append_json(out, json_record(what->run, i), JSON_COMPACT, err);
    return status;
}

static status_t write_edges(const struct writing *what, struct buffer *out, struct error *err)
{
    const struct circuit_search_result *found = &what->run->found;
    size_t n;
    if (!what->run->search) return ST_OK;
    const struct circuit_edge *edges = circuit_search_edges(what->run->search, &n);
    status_t status = ST_OK;
    for (size_t i = 0; i < found->n_edges && status == ST_OK; i++) {
        const struct found_edge *edge = &found->edges[i];
        char name[EDGE_NAME_SIZE];
        status = append_json(
            out,
            json_pack("{s:s s:b s:o s:o s:o}", "edge", circuit_edge_name(&edges[i], name),
                      "in_circuit", (int)edge->is_kept, "effect", json_effect(&edge->alone),
                      "given", edge->has_given ? json_effect(&edge->given) : json_null(),
                      "attribution",
                      score_value_json(circuit_attribution_of_edge(what->run, &edges[i]))),
            JSON_COMPACT, err);
    }
    return status;
}

static json_t *json_reasons(const struct writing *what)
{
    json_t *reasons = json_array();
    if (!what->verdict)
        (void)json_array_append_new(reasons, json_string("no component has a clear effect"));
    for (size_t i = 0; what->verdict && i < what->verdict->n_reasons; i++)
        (void)json_array_append_new(reasons, json_string(what->verdict->reasons[i]));
    return reasons;
}

static status_t write_summary(const struct writing *what, struct buffer *out, struct error *err)
{
    const struct circuit_run *run = what->run;
    const struct circuit_search_result *found = &run->found;
    json_t *prompts = json_object();
    for (unsigned part = 0; part < PROMPT_N_PARTS; part++)
        (void)json_object_set_new(prompts, prompt_part_name((enum prompt_part)part),
                                  json_integer((json_int_t)run->parts[part].n));
    const enum circuit_outcome outcome = what->verdict ? what->verdict->outcome : CIRCUIT_REJECTED;
    json_t *order;
    const status_t status = circuit_order_json(run, &order, err);
    if (status != ST_OK) {
        json_decref(prompts);
        return status;
    }
    return append_json(
        out,
        json_pack("{s:s s:b s:o s:I s:I s:I s:I s:I s:b s:o s:o s:o s:o s:o}", "outcome",
                  circuit_outcome_name(outcome), "is_brought", run->search == NULL, "reasons",
                  json_reasons(what), "n_candidates", (json_int_t)run->n_candidates, "n_nodes",
                  (json_int_t)found->circuit.n_nodes, "n_edges", (json_int_t)found->circuit.n_edges,
                  "n_variants", (json_int_t)found->n_variants, "n_rounds",
                  (json_int_t)found->n_rounds, "is_truncated", (int)found->is_truncated, "pairs",
                  search_pairs_json(found), "not_looked_at", search_limits_json(found), "prompts",
                  prompts, "stability", score_value_json(found->stability), "order", order),
        JSON_INDENT(1), err);
}

static status_t write_circuit(const struct writing *what, struct buffer *out, struct error *err)
{
    return circuit_write(&what->run->found.circuit, out, err);
}

static status_t write_dot(const struct writing *what, struct buffer *out, struct error *err)
{
    const struct circuit_head_answers *heads = &what->run->heads;
    const struct circuit_notes notes = head_report_notes(&heads->scores);
    return circuit_dot_write(&what->run->found.circuit, heads->has_scores ? &notes : NULL, out,
                             err);
}

static status_t write_measures(const struct writing *what, struct buffer *out, struct error *err)
{
    return measures_json_write(what->measures, &what->run->prompts, &what->run->parts[PART_VERDICT],
                               out, err);
}

static status_t write_verdict(const struct writing *what, struct buffer *out, struct error *err)
{
    return verdict_json_write(what->verdict, &what->run->found.circuit, out, err);
}

static status_t write_text(const struct writing *what, struct buffer *out, struct error *err)
{
    const struct circuit_run *run = what->run;
    const struct circuit *circuit = &run->found.circuit;
    const struct head_sequences sequences = circuit_head_sequences(run);
    status_t status = verdict_text_write(what->verdict, circuit, out, err);
    if (status == ST_OK) status = search_limits_text(&run->found, out, err);
    if (status == ST_OK) status = circuit_order_text(run, out, err);
    return status == ST_OK && run->heads.has_scores
               ? head_report_text(&run->heads.scores, &sequences, circuit, out, err)
               : status;
}

static status_t write_heads(const struct writing *what, struct buffer *out, struct error *err)
{
    const struct head_sequences sequences = circuit_head_sequences(what->run);
    return append_json(out, head_report_json(&what->run->heads.scores, &sequences), JSON_INDENT(1),
                       err);
}

static status_t write_agent(const struct writing *what, struct buffer *out, struct error *err)
{
    json_t *json = NULL;
    const status_t status = circuit_agent_json(what->run, &json, err);
    return status == ST_OK ? append_json(out, json, JSON_INDENT(1), err) : status;
}

static status_t write_agent_text(const struct writing *what, struct buffer *out, struct error *err)
{
    return circuit_agent_text(what->run, out, err);
}

typedef status_t write_fn(const struct writing *what, struct buffer *out, struct error *err);

/* Is there something to say in it? */
static bool is_wanted(const struct writing *what, write_fn *write)
{
    if (write == write_edges) return what->run->sweep->spec->search.edges != CIRCUIT_EDGES_NONE;
    if (write == write_heads) return what->run->heads.has_scores;
    if (write == write_agent || write == write_agent_text)
        return sweep_spec_asks_agent(what->run->sweep->spec);
    return what->verdict || write == write_records || write == write_summary;
}

static status_t write_file(const struct writing *what, const char *name, write_fn *write,
                           struct error *err)
{
    struct buffer out;
    buffer_init(&out, RESULTS_MAX_BYTES);
    char *path = sweep_path(what->run->sweep, name);
    status_t status = path ? write(what, &out, err) : error_set(err, ST_NO_MEMORY, "%s", name);
    if (status == ST_OK)
        status =
            file_write_atomic(path, out.bytes ? (const void *)out.bytes : "", out.n_bytes, err);
    free(path);
    buffer_fini(&out);
    return status;
}

/* The summary last: where it is, all is. */
status_t circuit_results_write(const struct circuit_run *run,
                               const struct circuit_measures *measures,
                               const struct circuit_verdict *verdict, struct error *err)
{
    static const struct {
        const char *name;
        write_fn *write;
    } files[] = {{"circuit.json", write_circuit},   {"circuit.dot", write_dot},
                 {"edges.jsonl", write_edges},      {"measures.json", write_measures},
                 {"verdict.json", write_verdict},   {"verdict.txt", write_text},
                 {"head_scores.json", write_heads}, {"agent.json", write_agent},
                 {"agent.txt", write_agent_text},   {"results.jsonl", write_records},
                 {"summary.json", write_summary}};
    const struct writing what = {run, measures, verdict};
    status_t status = ST_OK;
    for (size_t i = 0; i < sizeof files / sizeof files[0] && status == ST_OK; i++)
        if (is_wanted(&what, files[i].write))
            status = write_file(&what, files[i].name, files[i].write, err);
    return status;
}

/* --- reading back ------------------------------------------------------------------------- */

/* NULL: no such file. */
static char *read_file(const struct sweep *sweep, const char *name)
{
    struct error ignored = {0};
    char *path = sweep_path(sweep, name), *text = NULL;
    if (path) (void)!file_read(path, CIRCUIT_MAX_BYTES, &text, NULL, &ignored);
    free(path);
    return text;
}

static json_t *read_json(const struct sweep *sweep, const char *name)
{
    char *text = read_file(sweep, name);
    json_t *json = text ? json_loads(text, 0, NULL) : NULL;
    free(text);
    return json ? json : json_null();
}

static json_t *read_text(const struct sweep *sweep, const char *name)
{
    char *text = read_file(sweep, name);
    json_t *json = text ? json_string(text) : NULL;
    free(text);
    return json ? json : json_null();
}

status_t circuit_results_describe(const struct sweep *sweep, json_t *out, struct error *err)
{
    json_t *summary =
        sweep->state == SWEEP_FINISHED ? read_json(sweep, "summary.json") : json_null();
    return json_object_set_new(out, "circuit", summary) == 0
               ? ST_OK
               : error_set(err, ST_NO_MEMORY, "status of %s", sweep->id);
}

status_t circuit_results_read(const struct sweep *sweep, json_t **out, struct error *err)
{
    if (sweep->spec->kind != SWEEP_KIND_CIRCUIT)
        return error_set(err, ST_CONFLICT, "%s is no circuit sweep", sweep->id);
    if (sweep->state != SWEEP_FINISHED)
        return error_set(err, ST_CONFLICT, "%s is %s: a circuit has a verdict once it is finished",
                         sweep->id, sweep_state_name(sweep->state));
    *out = json_pack("{s:o s:o s:o s:o s:o s:o s:o s:o}", "circuit",
                     read_json(sweep, "circuit.json"), "verdict", read_json(sweep, "verdict.json"),
                     "summary", read_json(sweep, "summary.json"), "text",
                     read_text(sweep, "verdict.txt"), "dot", read_text(sweep, "circuit.dot"),
                     "head_scores", read_json(sweep, "head_scores.json"), "agent",
                     read_json(sweep, "agent.json"), "agent_text", read_text(sweep, "agent.txt"));
    return *out ? ST_OK : error_set(err, ST_NO_MEMORY, "circuit of %s", sweep->id);
}
