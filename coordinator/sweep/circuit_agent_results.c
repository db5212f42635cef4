/* What the agent proposed and how good it was: beside the verdict, never in it. */
#include "coordinator/gateway/provider_config.h"
#include "coordinator/session/score_json.h"
#include "coordinator/sweep/circuit_run.h"

#include <stdlib.h>
#include <string.h>

/* Only candidates were searched: where those have positions, a name without one is none. */
static bool is_in_circuit(const struct circuit_run *run, const struct component *component)
{
    return circuit_candidates_have(run, component) &&
           circuit_find_node(&run->found.circuit, component) != NULL;
}

/* Against the circuit that the search found. */
static status_t score(const struct circuit_run *run, struct proposal_score *out, struct error *err)
{
    const struct proposal_order_view order = {run->agent.order.order, run->agent.order.n_named,
                                              run->n_candidates};
    bool *is_found = calloc(run->n_candidates + 1, sizeof *is_found);
    if (!is_found) return error_set(err, ST_NO_MEMORY, "proposals");
    for (size_t i = 0; i < run->n_candidates; i++)
        is_found[i] = is_in_circuit(run, &run->candidates[i]);
    const status_t status = proposal_score(&order, is_found, out, err);
    free(is_found);
    return status;
}

/* --- JSON --------------------------------------------------------------------------------- */

static json_t *json_score(const struct proposal_score *value)
{
    return json_pack("{s:I s:I s:o s:o s:o s:o}", "n_found", (json_int_t)value->n_found, "n_right",
                     (json_int_t)value->n_right, "precision", score_value_json(value->precision),
                     "recall", score_value_json(value->recall), "precision_first",
                     score_value_json(value->precision_first), "auroc",
                     score_value_json(value->auroc));
}

static json_t *json_proposals(const struct circuit_run *run)
{
    const struct proposals *proposals = &run->agent.proposals;
    json_t *list = json_array();
    for (size_t i = 0; i < proposals->n; i++) {
        const struct proposal *item = &proposals->items[i];
        char name[COMPONENT_NAME_SIZE];
        (void)json_array_append_new(
            list,
            json_pack("{s:s s:s? s:b s:b}", "component", component_name(&item->component, name),
                      "role", item->role[0] ? item->role : NULL, "is_candidate",
                      (int)circuit_candidates_have(run, &item->component), "in_circuit",
                      (int)is_in_circuit(run, &item->component)));
    }
    return list;
}

static json_t *json_part(size_t n, size_t n_shown)
{
    return json_pack("{s:I s:I}", "n", (json_int_t)n, "n_shown", (json_int_t)n_shown);
}

static json_t *json_shown(const struct proposal_shown *shown)
{
    return json_pack("{s:o s:o s:o}", "candidates",
                     json_part(shown->n_candidates, shown->n_candidates_shown), "heads",
                     json_part(shown->n_heads, shown->n_heads_shown), "labels",
                     json_part(shown->n_labels, shown->n_labels_shown));
}

/* Who was asked, with what, and who answered. */
static json_t *json_asked(const struct circuit_run *run)
{
    const struct circuit_agent *agent = &run->agent;
    const struct provider *provider =
        provider_find(run->sweep->context->providers, agent->call.provider);
    return json_pack("{s:s s:s s:s? s:s? s:s s:s s:s? s:o s:s?}", "provider", agent->call.provider,
                     "model", provider ? provider->model : "", "served_by",
                     agent->served_by[0] ? agent->served_by : NULL, "served_model",
                     agent->served_model[0] ? agent->served_model : NULL, "prompt_sha256",
                     prompt_template_hash(agent->template_), "call", agent->call.id, "labels",
                     run->sweep->spec->search.agent.labels, "shown", json_shown(&agent->shown),
                     "problem", agent->problem[0] ? agent->problem : NULL);
}

static json_t *json_answer(const struct circuit_run *run, const struct proposal_score *value)
{
    const struct circuit_agent *agent = &run->agent;
    const struct proposals *proposals = &agent->proposals;
    return json_pack("{s:b s:I s:I s:I s:I s:I s:I s:o s:o}", "is_repaired",
                     (int)proposals->is_repaired, "n_proposed", (json_int_t)proposals->n, "n_named",
                     (json_int_t)agent->order.n_named, "n_unknown",
                     (json_int_t)agent->order.n_unknown, "n_unreadable",
                     (json_int_t)proposals->n_unreadable, "n_repeated",
                     (json_int_t)proposals->n_repeated, "n_beyond", (json_int_t)proposals->n_beyond,
                     "score", json_score(value), "proposals", json_proposals(run));
}

status_t circuit_agent_json(const struct circuit_run *run, json_t **out, struct error *err)
{
    struct proposal_score value;
    const status_t status = score(run, &value, err);
    if (status != ST_OK) return status;
    json_t *answer = json_answer(run, &value);
    *out = json_asked(run);
    const bool is_whole = *out && answer && json_object_update(*out, answer) == 0;
    json_decref(answer);
    if (is_whole) return ST_OK;
    json_decref(*out);
    *out = NULL;
    return error_set(err, ST_NO_MEMORY, "proposals");
}

/* --- text --------------------------------------------------------------------------------- */

static status_t put_share(struct buffer *out, const char *name, struct score_value value,
                          struct error *err)
{
    return value.is_defined ? buffer_printf(out, err, ", %s %.3g", name, value.value)
                            : buffer_printf(out, err, ", %s undefined", name);
}

static status_t put_proposals(const struct circuit_run *run, struct buffer *out, struct error *err)
{
    enum { MOST = 20 };
    const struct proposals *proposals = &run->agent.proposals;
    status_t status = ST_OK;
    for (size_t i = 0; i < proposals->n && i < MOST && status == ST_OK; i++) {
        const struct proposal *item = &proposals->items[i];
        char name[COMPONENT_NAME_SIZE];
        const char *what = is_in_circuit(run, &item->component)             ? "in the circuit"
                           : circuit_candidates_have(run, &item->component) ? "not in it"
                                                                            : "no candidate";
        status = buffer_printf(out, err, "  %-14s %-14s %s\n",
                               component_name(&item->component, name), what, item->role);
    }
    return status == ST_OK && proposals->n > MOST
               ? buffer_printf(out, err, "  and %zu more\n", proposals->n - MOST)
               : status;
}

/* Who answered in the place of the one that was asked. */
static status_t put_fallback(const struct circuit_agent *agent, struct buffer *out,
                             struct error *err)
{
    if (!agent->served_by[0] || strcmp(agent->served_by, agent->call.provider) == 0) return ST_OK;
    return buffer_printf(out, err, "  its fallback %s answered, model %s\n", agent->served_by,
                         agent->served_model);
}

/* Only of what did not fit. */
static status_t put_shown(const struct proposal_shown *shown, struct buffer *out, struct error *err)
{
    const struct {
        size_t n, n_shown;
        const char *what;
    } parts[] = {{shown->n_candidates, shown->n_candidates_shown, "candidates, the first"},
                 {shown->n_heads, shown->n_heads_shown, "heads' scores, the strongest"},
                 {shown->n_labels, shown->n_labels_shown, "labels, the best"}};
    status_t status = ST_OK;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && status == ST_OK; i++)
        if (parts[i].n_shown < parts[i].n)
            status = buffer_printf(out, err, "  it was shown %zu of %zu %s\n", parts[i].n_shown,
                                   parts[i].n, parts[i].what);
    return status;
}

status_t circuit_agent_text(const struct circuit_run *run, struct buffer *out, struct error *err)
{
    const struct circuit_agent *agent = &run->agent;
    struct proposal_score value;
    status_t status = score(run, &value, err);
    if (status != ST_OK) return status;
    status = buffer_printf(out, err,
                           "\nWhat the agent %s proposed, which ordered the search and decided "
                           "nothing\n",
                           agent->call.provider);
    if (status == ST_OK) status = put_fallback(agent, out, err);
    if (status == ST_OK) status = put_shown(&agent->shown, out, err);
    if (status == ST_OK && agent->problem[0])
        return buffer_printf(out, err, "  no proposals: %s\n", agent->problem);
    if (status == ST_OK)
        status = buffer_printf(out, err, "  %zu candidates named, %zu of the circuit's %zu",
                               agent->order.n_named, value.n_right, value.n_found);
    if (status == ST_OK) status = put_share(out, "precision", value.precision, err);
    if (status == ST_OK) status = put_share(out, "recall", value.recall, err);
    if (status == ST_OK) status = put_share(out, "AUROC", value.auroc, err);
    if (status == ST_OK) status = buffer_append_text(out, "\n", err);
    return status == ST_OK ? put_proposals(run, out, err) : status;
}
