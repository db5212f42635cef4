/* Ablations of models whose circuit is known by construction (worker/known): what closed form says
 * of every component and edge (reference: circuits.md 5), through the ablate handler. */
#include "tests/unit/known_world.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_PROMPTS = 16, MOST_VARIANTS = 64, MOST_CHANGES = 512 };

static struct known_world world;

static void open_known(const char *kind, uint64_t seed, const char *rope)
{
    const struct known_world_params params = {
        .model = {.kind = kind, .seed = seed, .size = 32, .rope = rope},
        .n_pairs = N_PROMPTS,
        .n_prompts = N_PROMPTS,
        .mean = "overall"};
    known_world_open(&world, &params);
}

static void close_known(void)
{
    known_world_close(&world);
}

/* --- variants ------------------------------------------------------------------------------ */

static struct ablate_unit unit;
static uint32_t ends[MOST_VARIANTS];
static struct ablate_change changes[MOST_CHANGES];
static double differences[MOST_VARIANTS]; /* mean logit difference of each variant */

static void begin(void)
{
    unit = (struct ablate_unit){.n_variants = 1, .ends = ends, .changes = changes};
    ends[0] = 0; /* the clean run */
}

static void next_variant(void)
{
    cr_assert_lt(unit.n_variants, MOST_VARIANTS);
    ends[unit.n_variants] = ends[unit.n_variants - 1];
    unit.n_variants++;
}

static void add(struct ablate_change change)
{
    cr_assert_lt(ends[unit.n_variants - 1], MOST_CHANGES);
    changes[ends[unit.n_variants - 1]++] = change;
}

static struct ablate_site site_of(const char *name)
{
    unsigned layer, head;
    if (sscanf(name, "L%uH%u", &layer, &head) == 2)
        return (struct ablate_site){ABLATE_Z, layer, (uint32_t)(head * world.d_head),
                                    (uint32_t)world.d_head};
    cr_assert_eq(sscanf(name, "L%uMLP", &layer), 1, "%s", name);
    return (struct ablate_site){ABLATE_MLP_OUT, layer, 0, (uint32_t)world.d_model};
}

static void ablate(const char *name, enum ablate_value value)
{
    add((struct ablate_change){.at = site_of(name), .value = value});
}

static void run(void)
{
    struct ablate_result result;
    known_world_run(&world, &unit, &result);
    for (size_t i = 0; i < result.n_variants; i++) {
        differences[i] = 0;
        for (size_t p = 0; p < N_PROMPTS; p++) {
            const struct ablate_outcome *o = &result.outcomes[i * N_PROMPTS + p];
            differences[i] += (o->answer_logit - o->distractor_logit) / N_PROMPTS;
        }
    }
    ablate_result_fini(&result);
}

/* --- nodes --------------------------------------------------------------------------------- */

static const json_t *node_at(size_t index)
{
    return json_array_get(json_object_get(world.truth, "nodes"), index);
}

static const char *text_of(const json_t *node, const char *key)
{
    const char *text = json_string_value(json_object_get(node, key));
    return text ? text : "";
}

static const char *node_with_role(const char *role)
{
    for (size_t i = 0; node_at(i); i++)
        if (strcmp(text_of(node_at(i), "role"), role) == 0) return text_of(node_at(i), "name");
    cr_assert(false, "no node is \"%s\"", role);
    return "";
}

static bool is_dead(const char *name)
{
    const json_t *dead = json_object_get(world.truth, "dead");
    for (size_t i = 0; i < json_array_size(dead); i++)
        if (strcmp(json_string_value(json_array_get(dead, i)), name) == 0) return true;
    return false;
}

/* One node at a time, under one value. */
static void sweep_nodes(enum ablate_value value)
{
    begin();
    for (size_t i = 0; node_at(i); i++) {
        next_variant();
        ablate(text_of(node_at(i), "name"), value);
    }
    run();
}

static void check_serial_circuit(double clean)
{
    for (unsigned value = 0; value < ABLATE_N_VALUES; value++) {
        sweep_nodes((enum ablate_value)value);
        cr_expect_float_eq(differences[0], clean, 0.02, "clean %g", differences[0]);
        for (size_t i = 0; node_at(i); i++) {
            const char *name = text_of(node_at(i), "name");
            const bool is_in = json_is_true(json_object_get(node_at(i), "in_circuit"));
            const double effect = differences[0] - differences[i + 1];
            cr_expect_float_eq(effect, is_in ? clean : 0, 0.03, "%s, %s (%s): %g", name,
                               ablate_value_name((enum ablate_value)value),
                               text_of(node_at(i), "role"), effect);
            if (is_dead(name)) cr_expect_eq(effect, 0, "%s is dead: %g", name, effect);
        }
    }
}

Test(known_circuits, nodes_of_the_induction_circuit_and_no_others_count)
{
    for (uint64_t seed = 1; seed <= 2; seed++) {
        open_known("induction", seed, NULL);
        check_serial_circuit(3.9725);
        close_known();
    }
}

Test(known_circuits, nodes_of_the_llama_circuit_and_no_others_count)
{
    open_known("llama-induction", 3, "half");
    check_serial_circuit(3.38);
    close_known();
}

Test(known_circuits, weights_in_the_other_rotary_layout_answer_nothing)
{
    open_known("llama-induction", 3, "interleaved");
    begin();
    run();
    cr_expect_float_eq(differences[0], 0, 0.05, "%g", differences[0]);
    close_known();
}

Test(known_circuits, a_negative_head_lowers_the_answer)
{
    open_known("negative", 1, NULL);
    const char *const negative = node_with_role("negative_induction");
    sweep_nodes(ABLATE_ZERO);
    cr_expect_float_eq(differences[0], 2.3909, 0.02, "%g", differences[0]);
    for (size_t i = 0; node_at(i); i++)
        if (strcmp(text_of(node_at(i), "name"), negative) == 0)
            cr_expect_float_eq(differences[i + 1], 3.975, 0.03, "%g", differences[i + 1]);
    close_known();
}

/* Both nodes of the gate alone, and together. */
static void check_gate(const char *kind, double alone_least, double alone_most)
{
    open_known(kind, 1, NULL);
    const json_t *routes = json_object_get(json_object_get(world.truth, "gate"), "routes");
    cr_assert_eq(json_array_size(routes), 2, "%s", kind);
    for (unsigned value = 0; value < ABLATE_N_VALUES; value++) {
        begin();
        for (size_t i = 0; i < 2; i++) {
            next_variant();
            ablate(json_string_value(json_array_get(routes, i)), (enum ablate_value)value);
        }
        next_variant();
        for (size_t i = 0; i < 2; i++)
            ablate(json_string_value(json_array_get(routes, i)), (enum ablate_value)value);
        run();
        for (size_t i = 1; i <= 2; i++) {
            const double share = 1 - differences[i] / differences[0];
            cr_expect(share >= alone_least && share <= alone_most, "%s, %s, route %zu: %g", kind,
                      ablate_value_name((enum ablate_value)value), i, share);
        }
        cr_expect_float_eq(differences[3] / differences[0], 0, 0.02, "%s: %g", kind,
                           differences[3]);
    }
    close_known();
}

Test(known_circuits, an_or_gate_shows_only_when_both_routes_are_gone)
{
    check_gate("or-gate", -0.01, 0.01);
}

Test(known_circuits, a_backup_shows_only_when_the_head_before_it_is_gone_too)
{
    check_gate("backup", -0.05, 0.05);
}

Test(known_circuits, a_graded_gate_shows_shares)
{
    check_gate("graded-gate", 0.38, 0.62);
}

Test(known_circuits, either_route_of_an_and_gate_is_all_of_it)
{
    check_gate("and-gate", 0.97, 1.02);
}

/* --- edges --------------------------------------------------------------------------------- */

/* From every head of layer 0 into each of q, k and v of the induction head, under each value. Keys
 * and values are its group's. */
static void check_key_edge(double clean)
{
    static const enum ablate_place inputs[] = {ABLATE_Q, ABLATE_K, ABLATE_V};
    const json_t *circuit = json_object_get(world.truth, "circuit");
    const char *const sender = json_string_value(json_array_get(circuit, 0));
    const struct ablate_site head = site_of(json_string_value(json_array_get(circuit, 1)));
    const uint32_t d = (uint32_t)world.d_head,
                   n_shared = (uint32_t)(world.n_heads / world.n_kv_heads);
    cr_assert(head.layer == 1);
    for (unsigned value = 0; value < ABLATE_N_VALUES; value++) {
        begin();
        for (uint32_t i = 0; i < 3 * world.n_heads; i++) {
            const uint32_t column = i % 3 ? head.column / d / n_shared * d : head.column;
            next_variant();
            add((struct ablate_change){.at = {inputs[i % 3], 1, column, d},
                                       .value = value,
                                       .sender = {ABLATE_Z, 0, i / 3 * d, d}});
        }
        run();
        for (uint32_t i = 0; i < 3 * world.n_heads; i++) {
            char name[16];
            (void)snprintf(name, sizeof name, "L0H%u", (unsigned)(i / 3));
            const bool is_edge = strcmp(name, sender) == 0 && inputs[i % 3] == ABLATE_K;
            const double effect = differences[0] - differences[1 + i];
            cr_expect_float_eq(effect, is_edge ? clean : 0, 0.03, "%s -> %c, %s: %g", name,
                               "qkv"[i % 3], ablate_value_name((enum ablate_value)value), effect);
        }
    }
}

Test(known_circuits, the_edge_of_induction_is_the_key_alone)
{
    open_known("induction", 2, NULL);
    check_key_edge(3.9725);
    close_known();
    open_known("llama-induction", 3, "half");
    check_key_edge(3.38);
    close_known();
}

/* The induction head's answer goes straight to the logits. */
Test(known_circuits, the_answer_reaches_the_logits_by_the_direct_edge)
{
    open_known("induction", 2, NULL);
    const json_t *circuit = json_object_get(world.truth, "circuit");
    begin();
    for (size_t i = 0; i < 2; i++) {
        next_variant();
        add((struct ablate_change){
            .at = {ABLATE_RESID_POST, (uint32_t)world.n_layers - 1, 0, (uint32_t)world.d_model},
            .value = ABLATE_RESAMPLE,
            .sender = site_of(json_string_value(json_array_get(circuit, i)))});
    }
    run();
    cr_expect_float_eq(differences[1], differences[0], 0.03, "the previous-token head");
    cr_expect_float_eq(differences[2], 0, 0.03, "the induction head: %g", differences[2]);
    close_known();
}
