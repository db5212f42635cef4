/* What the agent proposed and how good it was: beside the verdict, never in it. */
#include "coordinator/gateway/provider_config.h"
#include "coordinator/session/score_json.h"
#include "coordinator/sweep/circuit_run.h"

#include <stdlib.h>

static bool is_in_circuit(const struct circuit_run *run, const struct component *component)
{
    const struct circuit *circuit = &run->found.circuit;
    for (size_t i = 0; i < circuit->n_nodes; i++)
        if (component_equal(&circuit->nodes[i].component, component)) return true;
    return false;
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

status_t circuit_agent_json(const struct circuit_run *run, json_t **out, struct error *err)
{
    const struct circuit_agent *agent = &run->agent;
    const struct provider *provider =
        provider_find(run->sweep->context->providers, agent->call.provider);
    const struct proposals *proposals = &agent->proposals;
    struct proposal_score value;
    const status_t status = score(run, &value, err);
    if (status != ST_OK) return status;
    *out =
        json_pack("{s:s s:s s:s s:s s:s? s:b s:I s:I s:I s:I s:I s:I s:o s:o}", "provider",
                  agent->call.provider, "model", provider ? provider->model : "", "prompt_sha256",
                  prompt_template_hash(agent->template_), "call", agent->call.id, "problem",
                  agent->problem[0] ? agent->problem : NULL, "is_repaired",
                  (int)proposals->is_repaired, "n_proposed", (json_int_t)proposals->n, "n_named",
                  (json_int_t)agent->order.n_named, "n_unknown", (json_int_t)agent->order.n_unknown,
                  "n_unreadable", (json_int_t)proposals->n_unreadable, "n_repeated",
                  (json_int_t)proposals->n_repeated, "n_beyond", (json_int_t)proposals->n_beyond,
                  "score", json_score(&value), "proposals", json_proposals(run));
    return *out ? ST_OK : error_set(err, ST_NO_MEMORY, "proposals");
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
