/* Graphs of edges, single edges and sets of nodes of models whose circuit is known by construction,
 * through the ablate handler, against an independent evaluation in float64 (tests/golden/circuits):
 * every prompt's logit difference, not only the mean. */
#include "tests/unit/known_world.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_EDGES = 1024, MOST_VARIANTS = 64, N_RANDOM_GRAPHS = 3 };

struct edge {
    char from[8], to[8], input; /* '\0' but for heads */
    struct ablate_site sender, receiver;
    bool is_true;
};

static struct known_world world;
static struct known_graphs {
    json_t *golden;
    struct edge edges[MOST_EDGES];
    size_t n_edges;
} graphs;

/* --- the model and its prompts ------------------------------------------------------------- */

static size_t number(const json_t *object, const char *key)
{
    return (size_t)json_integer_value(json_object_get(object, key));
}

static const char *argument(size_t index)
{
    return json_string_value(json_array_get(json_object_get(graphs.golden, "arguments"), index));
}

static void list_edges(void);

/* The model of a golden file; the first held-out pairs are measured. */
static void open_known(const char *name)
{
    char path[128];
    (void)snprintf(path, sizeof path, "tests/golden/circuits/%s.json", name);
    graphs = (struct known_graphs){.golden = json_load_file(path, 0, NULL)};
    cr_assert(graphs.golden, "%s", path);
    const struct known_world_params params = {.model = {.kind = argument(0),
                                                        .seed = strtoull(argument(2), NULL, 10),
                                                        .size = strtoul(argument(4), NULL, 10),
                                                        .rope = argument(8)},
                                              .n_pairs = number(graphs.golden, "n_reference"),
                                              .n_prompts = number(graphs.golden, "n_evaluated"),
                                              .mean = "position"};
    known_world_open(&world, &params);
    list_edges();
}

static void close_known(void)
{
    known_world_close(&world);
    json_decref(graphs.golden);
}

/* --- edges, in the order of make_circuits.py ----------------------------------------------- */

struct node {
    char name[8];
    struct ablate_site site;
};

static size_t list_senders(struct node *out, size_t layer, bool has_heads, bool has_mlp)
{
    size_t n = 0;
    out[n++] = (struct node){"embed", {ABLATE_RESID_PRE, 0, 0, (uint32_t)world.d_model}};
    for (size_t i = 0; i <= layer; i++) {
        for (size_t h = 0; h < world.n_heads && (i < layer || has_heads); h++, n++) {
            out[n].site = (struct ablate_site){ABLATE_Z, (uint32_t)i, (uint32_t)(h * world.d_head),
                                               (uint32_t)world.d_head};
            (void)snprintf(out[n].name, sizeof out[n].name, "L%uH%u", (unsigned)i, (unsigned)h);
        }
        if (i == layer && !has_mlp) break;
        out[n].site = (struct ablate_site){ABLATE_MLP_OUT, (uint32_t)i, 0, (uint32_t)world.d_model};
        (void)snprintf(out[n++].name, sizeof out[n].name, "L%uMLP", (unsigned)i);
    }
    return n;
}

/* Is it in circuit.json, where the embedding is two senders and every head has a key? */
static bool is_true_edge(const struct edge *edge, size_t n_shared)
{
    const json_t *list = json_object_get(world.truth, "edges");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        const char *from = json_string_value(json_object_get(item, "from"));
        const char *to = json_string_value(json_object_get(item, "to"));
        const char *input = json_string_value(json_object_get(item, "input"));
        unsigned layer, head, at_layer, at_head;
        const bool is_from = strcmp(from, edge->from) == 0 ||
                             (strcmp(from, "pos_embed") == 0 && strcmp(edge->from, "embed") == 0);
        const bool is_group = sscanf(to, "L%uH%u", &layer, &head) == 2 &&
                              sscanf(edge->to, "L%uH%u", &at_layer, &at_head) == 2 &&
                              layer == at_layer && head / n_shared * n_shared == at_head;
        const bool is_to =
            edge->input == 'k' || edge->input == 'v' ? is_group : strcmp(to, edge->to) == 0;
        if (is_from && is_to && (input ? input[0] : '\0') == edge->input) return true;
    }
    return false;
}

static void add_receiver(const char *name, char input, struct ablate_site at,
                         const struct node *senders, size_t n)
{
    const size_t n_shared = world.n_heads / world.n_kv_heads;
    for (size_t i = 0; i < n; i++) {
        cr_assert_lt(graphs.n_edges, MOST_EDGES);
        struct edge *edge = &graphs.edges[graphs.n_edges++];
        *edge = (struct edge){.input = input, .sender = senders[i].site, .receiver = at};
        (void)snprintf(edge->from, sizeof edge->from, "%s", senders[i].name);
        (void)snprintf(edge->to, sizeof edge->to, "%s", name);
        edge->is_true = is_true_edge(edge, n_shared);
    }
}

static void list_edges(void)
{
    static const struct {
        char input;
        enum ablate_place place;
    } inputs[] = {{'q', ABLATE_Q}, {'k', ABLATE_K}, {'v', ABLATE_V}};
    struct node senders[64];
    char name[8];
    const uint32_t d_head = (uint32_t)world.d_head, d_model = (uint32_t)world.d_model;
    for (uint32_t layer = 0; layer < world.n_layers; layer++) {
        const size_t n = list_senders(senders, layer, false, false);
        for (size_t k = 0; k < 3; k++) {
            const size_t n_heads = k ? world.n_kv_heads : world.n_heads;
            for (uint32_t h = 0; h < n_heads; h++) {
                (void)snprintf(name, sizeof name, "L%uH%u", (unsigned)layer,
                               (unsigned)(h * (world.n_heads / n_heads)));
                add_receiver(name, inputs[k].input,
                             (struct ablate_site){inputs[k].place, layer, h * d_head, d_head},
                             senders, n);
            }
        }
        (void)snprintf(name, sizeof name, "L%uMLP", (unsigned)layer);
        add_receiver(name, '\0', (struct ablate_site){ABLATE_MLP_OUT, layer, 0, d_model}, senders,
                     list_senders(senders, layer, true, false));
    }
    const uint32_t last = (uint32_t)world.n_layers - 1;
    add_receiver("logits", '\0', (struct ablate_site){ABLATE_RESID_POST, last, 0, d_model}, senders,
                 list_senders(senders, last, true, true));
}

/* --- graphs -------------------------------------------------------------------------------- */

static struct ablate_unit unit;
static uint32_t ends[MOST_VARIANTS];
static struct ablate_change changes[MOST_VARIANTS * MOST_EDGES];
static const json_t *wanted[MOST_VARIANTS];

static bool is_key(const struct edge *edge)
{
    return edge->is_true && edge->input == 'k' && strcmp(edge->from, "embed") != 0;
}

static bool is_ablated(const char *graph, const struct edge *edge, uint32_t drawn)
{
    if (strcmp(graph, "true") == 0) return !edge->is_true;
    if (strcmp(graph, "complement") == 0) return edge->is_true;
    if (strcmp(graph, "empty") == 0) return true;
    if (strcmp(graph, "keys") == 0) return is_key(edge);
    if (strcmp(graph, "true_without_keys") == 0) return !edge->is_true || is_key(edge);
    unsigned i;
    cr_assert_eq(sscanf(graph, "random_%u", &i), 1, "%s", graph);
    return drawn % 16 <= 2 * i;
}

/* What random_i draws for edge number `index`. */
static uint32_t drawn_for(const char *graph, size_t index)
{
    unsigned i = 0;
    uint32_t state = 7;
    if (sscanf(graph, "random_%u", &i) != 1) return 0;
    for (size_t k = 0; k <= i * graphs.n_edges + index; k++) state = state * 1664525U + 1013904223U;
    return state >> 8;
}

static enum ablate_value value_of(const char *name)
{
    return strcmp(name, "zero") == 0       ? ABLATE_ZERO
           : strcmp(name, "resample") == 0 ? ABLATE_RESAMPLE
                                           : ABLATE_MEAN;
}

static void add_graph(const json_t *record)
{
    const char *name = json_string_value(json_object_get(record, "name"));
    const enum ablate_value value = value_of(json_string_value(json_object_get(record, "value")));
    uint32_t end = ends[unit.n_variants - 1];
    const uint32_t begin = end;
    cr_assert_lt(unit.n_variants, MOST_VARIANTS);
    for (size_t i = 0; i < graphs.n_edges; i++) {
        const struct edge *edge = &graphs.edges[i];
        const bool is_kept = value == ABLATE_ZERO && strcmp(edge->from, "embed") == 0;
        if (!is_kept && is_ablated(name, edge, drawn_for(name, i)))
            changes[end++] = (struct ablate_change){
                .at = edge->receiver, .value = value, .sender = edge->sender};
    }
    cr_assert_eq(end - begin, number(record, "n_ablated"), "%s: %u edges", name,
                 (unsigned)(end - begin));
    wanted[unit.n_variants] = record;
    ends[unit.n_variants++] = end;
}

/* Of differences of logits from the golden ones, per prompt. */
struct comparison {
    double mean, worst, largest; /* largest golden one */
};

static struct comparison compare(const struct ablate_outcome *outcomes, const json_t *golden)
{
    struct comparison c = {0, 0, 0};
    for (size_t p = 0; p < world.n_prompts; p++) {
        const double got = outcomes[p].answer_logit - outcomes[p].distractor_logit;
        const double want = json_number_value(json_array_get(golden, p));
        c.worst = fmax(c.worst, fabs(got - want));
        c.largest = fmax(c.largest, fabs(want));
        c.mean += got / (double)world.n_prompts;
    }
    return c;
}

/* What the clean pass may differ, as a share of the largest difference. A backup head about to wake
 * magnifies every rounding: f32 itself, with sums in any order, is up to 3.3e-5 away
 * (tests/golden/circuits/f32_noise.py), elsewhere up to 1.0e-5. */
static double clean_tolerance(void)
{
    return strcmp(argument(0), "backup") == 0 ? 4e-5 : 1e-5;
}

/* Within 1e-5 of the largest difference; where the clean pass itself, in f32, is further from
 * float64 than a quarter of that (a backup head about to wake), within four times its error. */
static void check_graph(const struct comparison *c, const struct comparison *clean,
                        const json_t *record, const char *model)
{
    const double largest = fmax(c->largest, clean->largest);
    cr_expect(c->worst <= fmax(1e-5 * largest, 4 * clean->worst), "%s, %s, %s: differs by %g of %g",
              model, json_string_value(json_object_get(record, "name")),
              json_string_value(json_object_get(record, "value")), c->worst, largest);
}

/* Mean difference of a graph. */
static double mean_of(const double *means, const char *name, const char *value)
{
    for (size_t i = 1; i < unit.n_variants; i++)
        if (strcmp(json_string_value(json_object_get(wanted[i], "name")), name) == 0 &&
            strcmp(json_string_value(json_object_get(wanted[i], "value")), value) == 0)
            return means[i];
    cr_assert(false, "no graph %s, %s", name, value);
    return 0;
}

/* The clean run, then every graph of the golden file. */
static void add_graphs(void)
{
    unit = (struct ablate_unit){.n_variants = 1, .ends = ends, .changes = changes};
    ends[0] = 0;
    const json_t *records = json_object_get(graphs.golden, "records");
    for (size_t i = 0; i < json_array_size(records); i++) {
        const json_t *record = json_array_get(records, i);
        if (strcmp(json_string_value(json_object_get(record, "what")), "graph") == 0)
            add_graph(record);
    }
    cr_assert_eq(unit.n_variants, 1 + 3 * (5 + N_RANDOM_GRAPHS));
}

/* What holds where one edge into a key carries everything. The rest moves the last norm. */
static void check_serial(const double *means, const char *model)
{
    static const char *const kinds[] = {"zero", "mean_position", "resample"};
    for (size_t k = 0; k < 3; k++) {
        const double empty = mean_of(means, "empty", kinds[k]), span = means[0] - empty;
        cr_expect_float_eq((mean_of(means, "true", kinds[k]) - empty) / span, 1, 0.03, "%s, %s",
                           model, kinds[k]);
        cr_expect_float_eq((mean_of(means, "keys", kinds[k]) - empty) / span, 0, 0.03, "%s, %s",
                           model, kinds[k]);
    }
}

static void check_model(const char *name, bool is_serial)
{
    double means[MOST_VARIANTS] = {0};
    struct ablate_result result;
    open_known(name);
    add_graphs();
    known_world_run(&world, &unit, &result);
    const struct comparison clean =
        compare(result.outcomes, json_object_get(graphs.golden, "clean_metric"));
    cr_expect(clean.worst <= clean_tolerance() * clean.largest, "%s: clean differs by %g", name,
              clean.worst);
    means[0] = clean.mean;
    for (size_t i = 1; i < unit.n_variants; i++) {
        const struct comparison c =
            compare(result.outcomes + i * world.n_prompts, json_object_get(wanted[i], "metric"));
        check_graph(&c, &clean, wanted[i], name);
        means[i] = c.mean;
    }
    if (is_serial) check_serial(means, name);
    ablate_result_fini(&result);
    close_known();
}

TestSuite(known_graphs, .timeout = 120);

/* The true edges alone are faithful, and the edge into the key is all of it. */
Test(known_graphs, of_induction)
{
    check_model("induction-32-1", true);
    check_model("induction-16-3", true);
}

Test(known_graphs, of_induction_under_grouped_queries)
{
    check_model("llama-induction-32-2", true);
    check_model("llama-induction-16-1", true);
}

Test(known_graphs, of_gates_backups_and_negative_heads)
{
    check_model("or-gate-24-2", false);
    check_model("and-gate-24-2", false);
    check_model("backup-24-2", false);
    check_model("negative-24-2", false);
}

/* --- nodes and single edges, value by value ------------------------------------------------- */

enum { N_VALUE_RECORDS_LEAST = 50 };

/* "L0H3", "L1MLP": as senders are listed. */
static struct ablate_site site_of(const char *name)
{
    unsigned layer, head;
    if (sscanf(name, "L%uH%u", &layer, &head) == 2)
        return (struct ablate_site){ABLATE_Z, layer, (uint32_t)(head * world.d_head),
                                    (uint32_t)world.d_head};
    cr_assert_eq(sscanf(name, "L%uMLP", &layer), 1, "%s", name);
    return (struct ablate_site){ABLATE_MLP_OUT, layer, 0, (uint32_t)world.d_model};
}

/* The edge of a record. Golden keys and values are named by their head, here by the first head of
 * the group. NULL: one that has no sender of ours (the embedding is one sender here, tokens and
 * positions together). */
static const struct edge *edge_of(const json_t *record)
{
    const char *from = json_string_value(json_object_get(record, "from"));
    const char *to = json_string_value(json_object_get(record, "to"));
    const char *input = json_string_value(json_object_get(record, "input"));
    const size_t n_shared = world.n_heads / world.n_kv_heads;
    char receiver[16];
    unsigned layer, head;
    (void)snprintf(receiver, sizeof receiver, "%s", to);
    if (input && input[0] != 'q' && sscanf(to, "L%uH%u", &layer, &head) == 2)
        (void)snprintf(receiver, sizeof receiver, "L%uH%u", layer,
                       (unsigned)(head / n_shared * n_shared));
    for (size_t i = 0; i < graphs.n_edges; i++)
        if (strcmp(graphs.edges[i].from, from) == 0 && strcmp(graphs.edges[i].to, receiver) == 0 &&
            graphs.edges[i].input == (input ? input[0] : '\0'))
            return strcmp(from, "embed") == 0 ? NULL : &graphs.edges[i];
    return NULL;
}

/* False: not of this test (graphs have their own, means over other sets, the embedding). */
static bool add_values(const json_t *record)
{
    const char *what = json_string_value(json_object_get(record, "what"));
    const char *named = json_string_value(json_object_get(record, "value"));
    const json_t *ablated = json_object_get(record, "ablated");
    const enum ablate_value value = value_of(named);
    uint32_t end = ends[unit.n_variants - 1];
    if (strcmp(what, "graph") == 0 || strcmp(named, "mean_overall") == 0 ||
        strcmp(named, "mean_template") == 0)
        return false;
    if (strcmp(what, "edge") == 0) {
        const struct edge *edge = edge_of(record);
        if (!edge) return false;
        changes[end++] =
            (struct ablate_change){.at = edge->receiver, .value = value, .sender = edge->sender};
    }
    for (size_t i = 0; i < json_array_size(ablated); i++)
        changes[end++] = (struct ablate_change){
            .at = site_of(json_string_value(json_array_get(ablated, i))), .value = value};
    wanted[unit.n_variants] = record;
    ends[unit.n_variants++] = end;
    return true;
}

/* Those of the unit against numpy's, prompt by prompt. */
static void check_values(const char *model)
{
    struct ablate_result result;
    known_world_run(&world, &unit, &result);
    for (size_t i = 1; i < unit.n_variants; i++) {
        const struct comparison c =
            compare(result.outcomes + i * world.n_prompts, json_object_get(wanted[i], "metric"));
        char *record = json_dumps(wanted[i], JSON_COMPACT);
        cr_expect(c.worst <= 1e-3, "%s differs by %g: %.120s", model, c.worst, record);
        free(record);
    }
    ablate_result_fini(&result);
}

static void begin_values(void)
{
    unit = (struct ablate_unit){.n_variants = 1, .ends = ends, .changes = changes};
    ends[0] = 0;
}

static void check_model_values(const char *name)
{
    size_t n_records = 0;
    open_known(name);
    const json_t *records = json_object_get(graphs.golden, "records");
    begin_values();
    for (size_t i = 0; i < json_array_size(records); i++) {
        n_records += add_values(json_array_get(records, i));
        if (unit.n_variants < MOST_VARIANTS && i + 1 < json_array_size(records)) continue;
        check_values(name);
        begin_values();
    }
    cr_expect(n_records >= N_VALUE_RECORDS_LEAST, "%s: only %zu records", name, n_records);
    close_known();
}

Test(known_graphs, values_of_induction)
{
    check_model_values("induction-32-1");
    check_model_values("induction-64-4");
    check_model_values("negative-32-1");
}

Test(known_graphs, values_of_induction_under_grouped_queries)
{
    check_model_values("llama-induction-32-2");
    check_model_values("llama-induction-16-1");
}

Test(known_graphs, values_of_gates_and_backups)
{
    check_model_values("or-gate-32-1");
    check_model_values("graded-gate-32-1");
    check_model_values("and-gate-32-1");
    check_model_values("backup-32-1");
}
