/* Scores of attribution found by component and by edge: every number of a model with grouped keys
 * told apart, once by a plain walk in the order that common/attribute.h lays down. */
#include "coordinator/circuit/attribution_scores.h"
#include "coordinator/circuit/circuit.h"

#include <criterion/criterion.h>

enum { N_LAYERS = 3, N_HEADS = 4, N_GROUPS = 2, MAX_NODES = 64, MAX_EDGES = 1024 };

static const struct attribute_shape shape = {N_LAYERS, N_HEADS, N_GROUPS};
static double nodes[MAX_NODES], edges[MAX_EDGES];

static struct attribution_scores scores_of(bool has_edges)
{
    for (size_t i = 0; i < MAX_NODES; i++) nodes[i] = (double)i;
    for (size_t i = 0; i < MAX_EDGES; i++) edges[i] = (double)i;
    return (struct attribution_scores){
        .shape = shape, .nodes = nodes, .edges = has_edges ? edges : NULL, .n_prompts = 2};
}

static struct component make(enum component_type type, size_t layer, size_t index)
{
    return (struct component){.type = type, .layer = (uint32_t)layer, .index = (uint32_t)index};
}

static void expect_drop(struct score_value score, double place, const char *what)
{
    cr_expect(score.is_defined, "%s", what);
    cr_expect_float_eq(score.value, -place / 2, 1e-12, "%s: %g, place %g", what, score.value,
                       place);
}

Test(attribution_scores, nodes_are_told_in_their_order)
{
    const struct attribution_scores scores = scores_of(false);
    const struct component embed = make(COMPONENT_EMBED, 0, 0);
    double place = 0;
    expect_drop(attribution_of_node(&scores, &embed), place++, "embed");
    for (size_t layer = 0; layer < N_LAYERS; layer++) {
        static const struct {
            enum component_type type;
            size_t n;
        } blocks[] = {{COMPONENT_HEAD, N_HEADS},
                      {COMPONENT_KEY_GROUP, N_GROUPS},
                      {COMPONENT_VALUE_GROUP, N_GROUPS},
                      {COMPONENT_MLP, 1}};
        for (size_t b = 0; b < 4; b++)
            for (size_t i = 0; i < blocks[b].n; i++) {
                const struct component one = make(blocks[b].type, layer, i);
                char name[COMPONENT_NAME_SIZE];
                expect_drop(attribution_of_node(&scores, &one), place++,
                            component_name(&one, name));
            }
    }
    cr_expect_eq((size_t)place, attribute_n_nodes(&shape));
}

/* Every sender of a receiver, from `place` on. */
static double walk(const struct attribution_scores *scores, struct circuit_edge edge,
                   size_t n_layers, bool has_own_heads, double place)
{
    char name[EDGE_NAME_SIZE];
    edge.sender = make(COMPONENT_EMBED, 0, 0);
    expect_drop(attribution_of_edge(scores, &edge), place++, circuit_edge_name(&edge, name));
    for (size_t layer = 0; layer < n_layers + has_own_heads; layer++) {
        for (size_t h = 0; h < N_HEADS; h++) {
            edge.sender = make(COMPONENT_HEAD, layer, h);
            expect_drop(attribution_of_edge(scores, &edge), place++,
                        circuit_edge_name(&edge, name));
        }
        if (layer == n_layers) break;
        edge.sender = make(COMPONENT_MLP, layer, 0);
        expect_drop(attribution_of_edge(scores, &edge), place++, circuit_edge_name(&edge, name));
    }
    return place;
}

Test(attribution_scores, edges_are_told_in_their_order)
{
    const struct attribution_scores scores = scores_of(true);
    double place = 0;
    for (size_t layer = 0; layer < N_LAYERS; layer++) {
        for (size_t h = 0; h < N_HEADS; h++)
            place = walk(&scores, (struct circuit_edge){.receiver = make(COMPONENT_HEAD, layer, h)},
                         layer, false, place);
        for (size_t kind = 0; kind < 2; kind++)
            for (size_t g = 0; g < N_GROUPS; g++) {
                const struct circuit_edge edge = {
                    .receiver = make(kind ? COMPONENT_VALUE_GROUP : COMPONENT_KEY_GROUP, layer, g),
                    .input = kind ? EDGE_V : EDGE_K};
                place = walk(&scores, edge, layer, false, place);
            }
        place = walk(
            &scores,
            (struct circuit_edge){.receiver = make(COMPONENT_MLP, layer, 0), .input = EDGE_MLP},
            layer, true, place);
    }
    place =
        walk(&scores,
             (struct circuit_edge){.receiver = {.type = COMPONENT_LOGITS}, .input = EDGE_LOGITS},
             N_LAYERS, false, place);
    cr_expect_eq((size_t)place, attribute_n_edges(&shape));
}

Test(attribution_scores, a_head_reads_the_key_of_its_group)
{
    const struct attribution_scores scores = scores_of(true);
    const struct circuit_edge head = {make(COMPONENT_HEAD, 0, 1), make(COMPONENT_HEAD, 2, 3),
                                      EDGE_K};
    const struct circuit_edge group = {make(COMPONENT_HEAD, 0, 1), make(COMPONENT_KEY_GROUP, 2, 1),
                                       EDGE_K};
    cr_expect_float_eq(attribution_of_edge(&scores, &head).value,
                       attribution_of_edge(&scores, &group).value, 0);
}

Test(attribution_scores, a_rise_of_a_divergence_is_a_drop)
{
    struct attribution_scores scores = scores_of(false);
    const struct component head = make(COMPONENT_HEAD, 0, 0);
    scores.is_divergence = true;
    cr_expect_float_eq(attribution_of_node(&scores, &head).value, 0.5, 1e-12);
}

Test(attribution_scores, nothing_is_said_of_what_attribution_does_not_know)
{
    const struct attribution_scores scores = scores_of(true), nodes_only = scores_of(false);
    static const enum component_type others[] = {COMPONENT_NEURON, COMPONENT_RESIDUAL,
                                                 COMPONENT_FEATURE, COMPONENT_ERROR};
    for (size_t i = 0; i < 4; i++) {
        const struct component one = make(others[i], 1, 0);
        cr_expect_not(attribution_of_node(&scores, &one).is_defined);
    }
    const struct circuit_edge edge = {make(COMPONENT_HEAD, 0, 1), make(COMPONENT_HEAD, 2, 3),
                                      EDGE_Q};
    const struct circuit_edge back = {make(COMPONENT_HEAD, 2, 1), make(COMPONENT_HEAD, 1, 3),
                                      EDGE_Q};
    cr_expect_not(attribution_of_edge(&nodes_only, &edge).is_defined);
    cr_expect_not(attribution_of_edge(&scores, &back).is_defined);
}
