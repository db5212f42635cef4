#include "coordinator/cli/plan_text.h"

#include "common/hash.h"
#include "common/quantity.h"
#include "coordinator/cli/cluster_paths.h"
#include "coordinator/cli/document.h"
#include "coordinator/cli/wrapped_text.h"
#include "coordinator/gateway/call.h"
#include "coordinator/plan/budget.h"
#include "coordinator/plan/circuit_estimate.h"
#include "coordinator/plan/circularity.h"
#include "coordinator/plan/estimate.h"
#include "coordinator/plan/estimate_facts.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NAME_COLUMNS = 14 };

/* Where the plan goes. */
struct page {
    FILE *out;
    size_t width; /* columns; 0: lines may have any number */
};

static void line(const struct page *page, const char *name, const char *value)
{
    (void)fprintf(page->out, "  %-11s ", name);
    wrapped_text_continue(page->out, value, NAME_COLUMNS, page->width);
}

static void print_noop(const struct page *page, const struct sweep_spec *spec)
{
    char units[QUANTITY_SIZE], bytes[QUANTITY_SIZE], text[128];
    (void)snprintf(text, sizeof text, "%s tasks that settle %s each and compute nothing",
                   quantity_count((double)spec->n_units, units),
                   quantity_bytes((double)spec->payload_bytes, bytes));
    line(page, "work", text);
}

static void print_target(const struct page *page, const struct sweep_target *target)
{
    char text[512];
    (void)snprintf(text, sizeof text, "%s %s%s%s, features %s%s", target->hook,
                   sweep_units_name(target->units), target->dictionary ? " of " : "",
                   target->dictionary ? target->dictionary : "", target->features,
                   target->sample ? " (a sample)" : "");
    line(page, "target", text);
}

static void print_waivers(const struct page *page, const struct sweep_spec *spec)
{
    static const char *const controls[] = {
        [SWEEP_CONTROL_PERMUTED] = "permuted: labels are judged on another feature's windows",
        [SWEEP_CONTROL_RANDOM_JUDGE] = "random_judge: every answer of the judge is a coin",
        [SWEEP_CONTROL_RANDOM_WEIGHTS] = "random_weights: the model's weights are shuffled"};
    if (spec->control != SWEEP_CONTROL_NONE) line(page, "control", controls[spec->control]);
    if (spec->allow_same_family) line(page, "families", "explainer and judge may be of one family");
}

/* What is asked of nobody costs nothing, whatever the budget. */
static void print_budget(const struct page *page, const struct sweep_spec *spec)
{
    char words[BUDGET_WORDS_SIZE];
    if (sweep_spec_uses_provider(spec))
        line(page, "budget", budget_words(spec->budget_dollars, words));
}

static void print_label(const struct page *page, const struct sweep_spec *spec)
{
    char text[512];
    line(page, "model", spec->model);
    line(page, "corpus", spec->corpus.path);
    for (size_t i = 0; i < spec->n_targets; i++) print_target(page, &spec->targets[i]);
    (void)snprintf(text, sizeof text, "explainer %s, judge %s", spec->explainer, spec->judge);
    line(page, "labels by", text);
    for (size_t i = 0; i < spec->n_judges; i++) line(page, "and judge", spec->judges[i]);
    print_waivers(page, spec);
    print_budget(page, spec);
}

static void print_components(const struct page *page, const struct sweep_spec *spec)
{
    static const struct {
        unsigned kind;
        const char *name;
    } kinds[] = {{CIRCUIT_HEADS, "heads"},
                 {CIRCUIT_MLPS, "MLPs"},
                 {CIRCUIT_KV_GROUPS, "K/V groups"},
                 {CIRCUIT_NEURONS, "neurons"},
                 {CIRCUIT_RESIDUAL, "residual dimensions"}};
    char text[512] = "";
    size_t n = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (spec->candidates & kinds[i].kind)
            n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", n ? ", " : "", kinds[i].name);
    if (n) line(page, "components", text);
    for (size_t i = 0; i < spec->n_dictionaries; i++) {
        const struct circuit_dictionary_spec *from = &spec->dictionaries[i];
        (void)snprintf(text, sizeof text, "features %.40s%s at %.60s of %.300s", from->features,
                       from->error_term ? " and the error term" : "", from->hook, from->dictionary);
        line(page, n || i ? "and" : "components", text);
    }
}

static void print_search(const struct page *page, const struct circuit_search_spec *search)
{
    const bool is_ordered = search->order == CIRCUIT_ORDER_ATTRIBUTION;
    char text[256], most[QUANTITY_SIZE];
    (void)snprintf(
        text, sizeof text, "under %s%s, at most %s variants%s%s%s",
        ablate_value_name(search->value), search->conditional ? ", backups and gates too" : "",
        quantity_count(search->max_variants, most),
        search->edges == CIRCUIT_EDGES_NONE ? "" : ", then edges",
        is_ordered ? "; ordered by " : "", is_ordered ? attribute_method_name(search->method) : "");
    line(page, "search", text);
}

static void print_circuit(const struct page *page, const struct sweep_spec *spec)
{
    const struct circuit_task_spec *task = &spec->task;
    const char *generator = circuit_generator_name(task->generator);
    char text[512];
    line(page, "model", spec->model);
    if (generator)
        (void)snprintf(text, sizeof text, "%u of %s, seed %llu", task->n_prompts, generator,
                       (unsigned long long)task->seed);
    else
        (void)snprintf(text, sizeof text, "%s", task->prompts);
    line(page, "prompts", text);
    line(page, "metric", circuit_metric_name(spec->metric));
    print_components(page, spec);
    if (spec->circuit)
        line(page, "circuit", spec->circuit);
    else
        print_search(page, &spec->search);
    (void)snprintf(text, sizeof text,
                   "beside %u random circuits of its size, on %u %% of the prompts",
                   spec->verdict.n_random, spec->prompt_splits.verdict);
    line(page, "verdict", text);
    if (sweep_spec_asks_agent(spec))
        (void)snprintf(text, sizeof text, "one call to %.200s", spec->search.agent.provider);
    line(page, "cost", sweep_spec_asks_agent(spec) ? text : "no call to a language model");
    print_budget(page, spec);
}

/* --- estimate ------------------------------------------------------------------------------ */

enum { PLAN_MAX_BYTES = 64 * 1024 };

/* Providers by name alone, for counting calls where nobody told the prices. */
struct unpriced {
    struct provider providers[2 + SWEEP_MAX_MORE_JUDGES];
    struct provider_config config;
};

static void fill_unpriced(struct unpriced *out, const struct sweep_spec *spec)
{
    *out = (struct unpriced){.providers = {{.name = spec->explainer}, {.name = spec->judge}}};
    for (size_t i = 0; i < spec->n_judges; i++) out->providers[2 + i].name = spec->judges[i];
    out->config =
        (struct provider_config){.providers = out->providers, .n_providers = 2 + spec->n_judges};
}

/* --providers, else providers.yaml in the state directory; NULL if there is none. */
static status_t load_providers(struct provider_config **out, const struct cli_arguments *arguments,
                               struct error *err)
{
    struct cluster_paths paths;
    char path[CLUSTER_PATH_SIZE];
    if (arguments->providers) return provider_config_load(out, arguments->providers, err);
    if (cluster_paths_init(&paths, arguments->state, NULL) != ST_OK ||
        access(cluster_path(&paths, "providers.yaml", path), F_OK) != 0)
        return ST_OK;
    return provider_config_load(out, path, err);
}

struct plan {
    struct estimate estimate;
    struct circuit_estimate circuit;  /* of a circuit sweep, in the place of that */
    bool is_priced;                   /* dollars are known (0 when nothing is paid for) */
    char unbooked[CALL_NAME_MAX + 1]; /* one that is asked and has no price; "": none */
};

static bool has_no_price(const struct provider_config *providers, const char *name)
{
    const struct provider *provider = name ? provider_find(providers, name) : NULL;
    return provider && provider_price_in(provider) == 0 && provider_price_out(provider) == 0;
}

/* What costs nothing in the books is held back by no budget: that must be said. */
static void find_unbooked(struct plan *out, const struct sweep_spec *spec,
                          const struct provider_config *providers)
{
    const char *names[2 + SWEEP_MAX_MORE_JUDGES] = {NULL};
    const bool is_label = spec->kind == SWEEP_KIND_LABEL;
    out->unbooked[0] = '\0';
    names[0] = is_label ? spec->explainer : spec->search.agent.provider;
    for (size_t i = 0; is_label && i <= spec->n_judges; i++)
        if (sweep_spec_asks(spec, i)) names[1 + i] = sweep_spec_judge(spec, i);
    for (size_t i = 0; i < sizeof names / sizeof names[0] && !out->unbooked[0]; i++)
        if (has_no_price(providers, names[i]))
            (void)snprintf(out->unbooked, sizeof out->unbooked, "%s", names[i]);
}

/* With the rates that the local cluster's coordinator noted, if there is one. */
static status_t make_circuit_plan(struct plan *out, const struct sweep_spec *spec,
                                  const struct cli_arguments *arguments, struct error *err)
{
    struct cluster_paths paths;
    char path[CLUSTER_PATH_SIZE];
    struct circuit_estimate_input input;
    const bool has_paths = cluster_paths_init(&paths, arguments->state, NULL) == ST_OK;
    const status_t status = circuit_estimate_read(
        &input, spec, has_paths ? cluster_path(&paths, "data", path) : NULL, err);
    if (status == ST_OK) circuit_estimate_make(&input, &out->circuit);
    return status;
}

static status_t make_plan(struct plan *out, const struct sweep_spec *spec,
                          const struct cli_arguments *arguments, struct error *err)
{
    struct provider_config *providers = NULL;
    struct unpriced unpriced;
    struct estimate_input input;
    const bool asks_provider = sweep_spec_uses_provider(spec);
    status_t status = asks_provider ? load_providers(&providers, arguments, err) : ST_OK;
    fill_unpriced(&unpriced, spec);
    if (status == ST_OK) status = circularity_check(spec, providers, err);
    if (status == ST_OK)
        status = estimate_facts_read(&input, spec, providers ? providers : &unpriced.config, err);
    if (status == ST_OK) estimate_make(&input, &out->estimate);
    if (status == ST_OK && spec->kind == SWEEP_KIND_CIRCUIT)
        status = make_circuit_plan(out, spec, arguments, err);
    out->is_priced = providers || !asks_provider;
    if (status == ST_OK && providers) find_unbooked(out, spec, providers);
    provider_config_destroy(&providers);
    return status;
}

static status_t print_json(FILE *out, const struct sweep_spec *spec, const struct plan *plan,
                           struct error *err)
{
    char key[HASH_HEX_SIZE];
    char *text = sweep_spec_to_json(spec);
    json_t *document = NULL;
    status_t status = ST_OK;
    if (text && sweep_spec_key(spec, key))
        document =
            json_pack("{s:s, s:s, s:b, s:o, s:o}", "name", spec->name, "key", key, "is_priced",
                      (int)plan->is_priced, "estimate",
                      spec->kind == SWEEP_KIND_CIRCUIT ? circuit_estimate_json(&plan->circuit)
                                                       : estimate_to_json(&plan->estimate),
                      "spec", json_loads(text, JSON_ALLOW_NUL, NULL));
    free(text);
    if (!document) return error_set(err, ST_NO_MEMORY, "plan as JSON");
    status = document_print(out, "Plan", document, err);
    json_decref(document);
    return status;
}

/* Lines "name        value", or "  name        value": what is too long goes on below its value. */
static void print_lines(const struct page *page, const char *text)
{
    while (*text) {
        const size_t n = strcspn(text, "\n");
        const size_t column = text[0] == ' ' ? NAME_COLUMNS : NAME_COLUMNS - 2;
        const size_t n_name = n < column ? n : column;
        char *value = strndup(text + n_name, n - n_name);
        if (!value) return; /* no memory for an estimate */
        (void)fprintf(page->out, "%.*s", (int)n_name, text);
        wrapped_text_continue(page->out, value, column, page->width);
        free(value);
        text += n + (text[n] == '\n');
    }
}

/* What the figures leave out. */
static void print_remarks(const struct page *page, const struct sweep_spec *spec,
                          const struct plan *plan)
{
    char text[256];
    if (!plan->is_priced)
        wrapped_text_print(page->out,
                           "Dollars are not known here: --providers FILE gives the prices.", 0,
                           page->width);
    (void)snprintf(text, sizeof text,
                   "Provider %s has no price: its calls cost nothing in the books, and no budget "
                   "holds them back.",
                   plan->unbooked);
    if (plan->unbooked[0]) wrapped_text_print(page->out, text, 0, page->width);
    if (spec->kind != SWEEP_KIND_CIRCUIT && sweep_spec_uses_provider(spec))
        wrapped_text_print(page->out,
                           "Not counted: features of several meanings, a label and detection for "
                           "each of them.",
                           0, page->width);
}

static status_t print_estimate(const struct page *page, const struct sweep_spec *spec,
                               const struct plan *plan, struct error *err)
{
    struct buffer text;
    buffer_init(&text, PLAN_MAX_BYTES);
    const bool is_circuit = spec->kind == SWEEP_KIND_CIRCUIT;
    const status_t status = is_circuit
                                ? circuit_estimate_print(&plan->circuit, &text, err)
                                : estimate_print(&plan->estimate, spec->budget_dollars, &text, err);
    if (status == ST_OK) print_lines(page, buffer_text(&text));
    if (status == ST_OK) print_remarks(page, spec, plan);
    buffer_fini(&text);
    return status;
}

status_t plan_text_print(const struct cli *cli, const struct cli_arguments *arguments, FILE *out,
                         const struct sweep_spec *spec, struct error *err)
{
    struct plan plan = {.unbooked = ""};
    const struct page page = {out, cli->width};
    const bool is_json = arguments->dry_run && arguments->format == CLI_FORMAT_JSON;
    if (!is_json) {
        (void)fprintf(out, "sweep %s\n", spec->name);
        if (spec->kind == SWEEP_KIND_NOOP) print_noop(&page, spec);
        if (spec->kind == SWEEP_KIND_CIRCUIT) print_circuit(&page, spec);
        if (spec->kind == SWEEP_KIND_LABEL) print_label(&page, spec);
        (void)fflush(out); /* reading a large corpus takes its time */
    }
    const bool is_estimated = spec->kind != SWEEP_KIND_NOOP;
    status_t status = is_estimated || is_json ? make_plan(&plan, spec, arguments, err) : ST_OK;
    if (status != ST_OK) return status;
    if (is_json) return print_json(out, spec, &plan, err);
    return is_estimated ? print_estimate(&page, spec, &plan, err) : ST_OK;
}
