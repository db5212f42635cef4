/* Phase `agent`, where the sweep names an agent: one call that proposes candidates. What it
 * answers is an order of the candidates for the search, and a report; without an answer that can
 * be read the search goes in the order of the list. Submitting is idempotent, so a restarted
 * coordinator asks again and finds what is stored. */
#include "common/file.h"
#include "coordinator/circuit/proposal_prompt.h"
#include "coordinator/gateway/provider_config.h"
#include "coordinator/sweep/circuit_labels.h"
#include "coordinator/sweep/circuit_run.h"
#include "coordinator/sweep/paid_calls.h"
#include "coordinator/sweep/provider_format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { READ_EVERY_MS = 100 };
static const char template_file[] = "proposer.txt";

static const struct circuit_agent_spec *spec_of(const struct circuit_run *run)
{
    return &run->sweep->spec->search.agent;
}

/* --- the call ----------------------------------------------------------------------------- */

static status_t load_template(struct circuit_run *run, struct error *err)
{
    const char *directory = run->sweep->context->prompts_directory;
    struct circuit_agent *agent = &run->agent;
    if (!directory)
        return error_set(err, ST_BAD_INPUT, "the coordinator was started without --prompts");
    char *path = file_join(directory, template_file);
    if (!path) return error_set(err, ST_NO_MEMORY, "prompts");
    status_t status = prompt_template_load(&agent->template_, path, err);
    if (status == ST_OK)
        status = prompt_template_check_fields(agent->template_, PROPOSAL_PROMPT_FIELDS,
                                              PROPOSAL_N_PROMPT_FIELDS, err);
    free(path);
    return status;
}

/* Line `number` of a text, from 0; NULL behind the last. */
static const char *line_of(const char *text, size_t number)
{
    for (; text && number > 0; number--) {
        text = strchr(text, '\n');
        if (text) text++;
    }
    return text;
}

/* Texts of the first search prompts; *kept holds them. Prompts without a text are left out. */
static size_t list_examples(struct circuit_run *run, json_t *kept,
                            struct proposal_example out[PROPOSAL_EXAMPLES])
{
    const struct prompt_choice *choice = &run->parts[PART_SEARCH];
    const char *lines = buffer_text(&run->prompt_text);
    size_t n = 0;
    for (size_t i = 0; i < choice->n && i < PROPOSAL_EXAMPLES; i++) {
        const char *line = line_of(lines, choice->prompts[i]);
        json_t *prompt = line ? json_loads(line, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
        const char *clean = json_string_value(json_object_get(prompt, "clean_text"));
        const char *corrupted = json_string_value(json_object_get(prompt, "corrupted_text"));
        const bool is_kept = prompt && json_array_append_new(kept, prompt) == 0;
        if (is_kept && clean && corrupted) out[n++] = (struct proposal_example){clean, corrupted};
    }
    return n;
}

static struct circuit_labels_source labels_source(const struct circuit_run *run)
{
    return (struct circuit_labels_source){run->sweep->spec, run->sweep->context->data_directory,
                                          run->candidates, run->n_candidates};
}

static status_t read_labels(const struct circuit_run *run, struct circuit_labels *out,
                            struct error *err)
{
    const struct circuit_labels_source source = labels_source(run);
    return spec_of(run)->labels ? circuit_labels_read(out, &source, err) : ST_OK;
}

/* What is missing is said before there was work. */
static status_t check_labels(const struct circuit_run *run, struct error *err)
{
    const struct circuit_labels_source source = labels_source(run);
    struct results_file *file = NULL;
    if (!spec_of(run)->labels) return ST_OK;
    const status_t status = circuit_labels_open(&source, &file, err);
    if (status == ST_OK) results_file_close(&file);
    return status;
}

status_t circuit_agent_described(const struct circuit_run *run, struct error *err)
{
    const struct circuit_labels_source source = labels_source(run);
    const struct circuit_labels_subjects now = {run->fingerprint, run->dictionaries.fingerprints};
    return spec_of(run)->labels ? circuit_labels_check_same(&source, &now, err) : ST_OK;
}

static status_t fill_messages(struct circuit_run *run, struct prompt_messages *messages,
                              struct error *err)
{
    const struct sweep_spec *spec = run->sweep->spec;
    const char *generator = circuit_generator_name(spec->task.generator);
    struct proposal_example examples[PROPOSAL_EXAMPLES];
    struct circuit_labels labels = {.n = 0};
    json_t *kept = json_array();
    status_t status = read_labels(run, &labels, err);
    const struct proposal_view view = {.task = generator ? generator : spec->name,
                                       .metric = circuit_metric_name(spec->metric),
                                       .n_layers = run->shape.n_layers,
                                       .candidates = run->candidates,
                                       .n_candidates = run->n_candidates,
                                       .examples = examples,
                                       .n_examples = list_examples(run, kept, examples),
                                       .scores = run->heads.has_scores ? &run->heads.scores : NULL,
                                       .labels = labels.items,
                                       .n_labels = labels.n};
    if (status == ST_OK)
        status =
            proposal_prompt_fill(run->agent.template_, &view, messages, &run->agent.shown, err);
    circuit_labels_fini(&labels);
    json_decref(kept);
    return status;
}

static status_t write_body(struct circuit_run *run, const struct provider *provider, json_t **out,
                           struct error *err)
{
    struct prompt_messages messages;
    struct buffer body;
    prompt_messages_init(&messages);
    buffer_init(&body, CALL_BODY_MAX);
    status_t status = fill_messages(run, &messages, err);
    const struct prompt_request request = {.model = provider->model,
                                           .messages = &messages,
                                           .max_tokens = spec_of(run)->max_tokens,
                                           .format = provider_prompt_format(provider),
                                           .wanted = PROMPT_WANTS_PROPOSALS};
    if (status == ST_OK) status = prompt_request_write(&request, &body, err);
    *out = status == ST_OK ? json_loadb((const char *)body.bytes, body.n_bytes, 0, NULL) : NULL;
    if (status == ST_OK && !*out) status = error_set(err, ST_NO_MEMORY, "request of the agent");
    buffer_fini(&body);
    prompt_messages_fini(&messages);
    return status;
}

static status_t find_provider(const struct circuit_run *run, const struct provider **out,
                              struct error *err)
{
    const struct provider_config *config = run->sweep->context->providers;
    const char *name = spec_of(run)->provider;
    *out = config ? provider_find(config, name) : NULL;
    return *out
               ? ST_OK
               : error_set(err, ST_NOT_FOUND,
                           "search.agent.provider: no provider \"%s\" in the providers file", name);
}

status_t circuit_agent_start(struct circuit_run *run, struct error *err)
{
    const struct provider *provider;
    if (!sweep_spec_asks_agent(run->sweep->spec)) return ST_OK;
    status_t status = find_provider(run, &provider, err);
    if (status == ST_OK) status = check_labels(run, err);
    return status == ST_OK ? load_template(run, err) : status;
}

static status_t agent_begin(struct circuit_run *run, struct error *err)
{
    const struct provider *provider;
    json_t *body = NULL;
    status_t status = find_provider(run, &provider, err);
    if (status == ST_OK) status = write_body(run, provider, &body, err);
    if (status == ST_OK) status = call_prepare(&run->agent.call, provider->name, body, err);
    json_decref(body);
    return status;
}

/* --- waiting ------------------------------------------------------------------------------ */

static struct store *store_of(const struct circuit_run *run)
{
    return run->sweep->context->store;
}

static status_t submit(struct circuit_run *run, struct error *err)
{
    const struct sweep *sweep = run->sweep;
    status_t status = paid_calls_set_budget(sweep, err);
    if (status == ST_OK)
        status = call_queue_submit(sweep->context->calls, &run->agent.call, sweep->id,
                                   sweep->spec->priority, "agent", err);
    const status_t drained = store_drain(store_of(run), NULL, NULL, err);
    if (status == ST_OK) status = drained;
    run->agent.is_asked = status == ST_OK;
    return status;
}

/* Why the call does not move, if it does not. */
static status_t find_problem(const struct circuit_run *run, char out[SWEEP_REASON_SIZE],
                             struct error *err)
{
    const char *const names[] = {run->agent.call.provider};
    const struct paid_providers providers = {names, 1};
    return paid_calls_find_problem(run->sweep, &providers, out, err);
}

status_t circuit_agent_recheck(struct circuit_run *run, bool *may_go_on, struct error *err)
{
    char problem[SWEEP_REASON_SIZE];
    *may_go_on = true;
    if (run->phase != CIRCUIT_AGENT || !run->has_begun) return ST_OK;
    const status_t status = find_problem(run, problem, err);
    *may_go_on = status == ST_OK && !problem[0];
    return status;
}

/* What was not named goes by attribution, where that was asked for. */
static status_t order_the_rest(struct circuit_run *run, struct error *err)
{
    struct proposal_order *order = &run->agent.order;
    size_t n = order->n_named;
    if (!run->attribution.order) return ST_OK;
    bool *is_named = calloc(run->n_candidates + 1, sizeof *is_named);
    if (!is_named) return error_set(err, ST_NO_MEMORY, "proposals");
    for (size_t i = 0; i < order->n_named; i++) is_named[order->order[i]] = true;
    for (size_t i = 0; i < run->n_candidates; i++)
        if (!is_named[run->attribution.order[i]]) order->order[n++] = run->attribution.order[i];
    free(is_named);
    return ST_OK;
}

static status_t take_order(struct circuit_run *run, struct error *err)
{
    struct circuit_agent *agent = &run->agent;
    const struct proposals *proposals = &agent->proposals;
    struct component *named = malloc((proposals->n + 1) * sizeof *named);
    agent->order.order = malloc((run->n_candidates + 1) * sizeof *agent->order.order);
    status_t status =
        named && agent->order.order ? ST_OK : error_set(err, ST_NO_MEMORY, "proposals");
    for (size_t i = 0; i < proposals->n && status == ST_OK; i++)
        named[i] = proposals->items[i].component;
    const struct proposal_ranking ranking = {named, proposals->n, run->candidates,
                                             run->n_candidates};
    if (status == ST_OK) status = proposal_order(&ranking, &agent->order, err);
    if (status == ST_OK) status = order_the_rest(run, err);
    free(named);
    return status;
}

/* Whatever was answered: proposals, or why there are none. */
static status_t take_reply(struct circuit_run *run, const struct call_reply *reply,
                           struct error *err)
{
    struct circuit_agent *agent = &run->agent;
    struct error problem = {.status = ST_OK};
    memcpy(agent->served_by, reply->served_by, sizeof agent->served_by);
    memcpy(agent->served_model, reply->model, sizeof agent->served_model);
    if (reply->state == CALL_FAILED) {
        (void)snprintf(agent->problem, sizeof agent->problem, "no answer: %.200s",
                       reply->reason ? reply->reason : "no reason is told");
    } else {
        const status_t status =
            proposal_reply_read(reply->content ? reply->content : "", reply->n_content_bytes,
                                &agent->proposals, &problem);
        if (status == ST_NO_MEMORY) return error_set(err, status, "%s", problem.text);
        if (status != ST_OK)
            (void)snprintf(agent->problem, sizeof agent->problem, "%.*s", SWEEP_REASON_SIZE - 1,
                           problem.text);
    }
    return take_order(run, err);
}

static status_t check(struct circuit_run *run, struct error *err)
{
    struct sweep *sweep = run->sweep;
    char problem[SWEEP_REASON_SIZE];
    const status_t status = find_problem(run, problem, err);
    if (status == ST_OK && problem[0]) memcpy(sweep->wants_pause, problem, sizeof problem);
    return status;
}

static status_t agent_poll(struct circuit_run *run, bool *is_over, struct error *err)
{
    struct circuit_agent *agent = &run->agent;
    const int64_t now_ms = clock_monotonic_ms(run->sweep->context->clock);
    struct call_reply reply = {.state = CALL_UNKNOWN};
    *is_over = false;
    if (now_ms < agent->next_read_ms) return ST_OK;
    agent->next_read_ms = now_ms + READ_EVERY_MS;
    status_t status = agent->is_asked ? ST_OK : submit(run, err);
    if (status == ST_OK) status = call_reply_read(store_of(run), agent->call.id, &reply, err);
    if (status != ST_OK) return status;
    if (reply.state == CALL_UNKNOWN) agent->is_asked = false; /* lost: asked again */
    *is_over = reply.state == CALL_DONE || reply.state == CALL_FAILED;
    status = *is_over ? take_reply(run, &reply, err) : check(run, err);
    call_reply_fini(&reply);
    return status;
}

void circuit_agent_fini(struct circuit_run *run)
{
    struct circuit_agent *agent = &run->agent;
    prompt_template_destroy(&agent->template_);
    call_fini(&agent->call);
    proposals_fini(&agent->proposals);
    free(agent->order.order);
    agent->order.order = NULL;
}

const struct circuit_phase_ops circuit_agent_phase = {
    .name = "agent", .is_asked = sweep_spec_asks_agent, .begin = agent_begin, .poll = agent_poll};
