#include "coordinator/circuit/circuit_file.h"
#include "coordinator/circuit/random_circuits.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct circuit parse(const char *text)
{
    struct circuit circuit;
    struct error err = {.status = ST_OK};
    cr_assert_eq(circuit_file_parse(&circuit, "test", text, strlen(text), &err), ST_OK, "%s",
                 err.text);
    return circuit;
}

enum { MAX_CANDIDATES = 256 };

/* n_heads heads in each of n_layers layers, and an MLP each. */
static size_t heads_of(size_t n_layers, size_t n_heads, struct component *out)
{
    size_t n = 0;
    for (uint32_t l = 0; l < n_layers; l++) {
        for (uint32_t h = 0; h < n_heads; h++)
            out[n++] = (struct component){.type = COMPONENT_HEAD, .layer = l, .index = h};
        out[n++] = (struct component){.type = COMPONENT_MLP, .layer = l};
    }
    return n;
}

static struct random_circuits draw(const struct circuit *circuit, size_t n_layers, size_t n_heads,
                                   size_t n_wanted, uint64_t seed)
{
    struct component candidates[MAX_CANDIDATES];
    const struct circuit_candidates given = {candidates, heads_of(n_layers, n_heads, candidates)};
    struct random_circuits out;
    struct error err = {.status = ST_OK};
    cr_assert_eq(random_circuits_draw(&out, circuit, &given, n_wanted, seed, &err), ST_OK, "%s",
                 err.text);
    return out;
}

static bool is_same(const struct random_circuits *all, size_t a, const struct component *b)
{
    struct component left[16], right[16];
    memcpy(left, all->nodes + a * all->n_nodes, all->n_nodes * sizeof *left);
    memcpy(right, b, all->n_nodes * sizeof *right);
    qsort(left, all->n_nodes, sizeof *left, component_compare_items);
    qsort(right, all->n_nodes, sizeof *right, component_compare_items);
    return memcmp(left, right, all->n_nodes * sizeof *left) == 0;
}

/* Same layers and types column by column, no two alike, none the circuit. */
static void expect_valid(const struct random_circuits *got, const struct circuit *circuit)
{
    struct component own[16];
    for (size_t i = 0; i < circuit->n_nodes; i++) own[i] = circuit->nodes[i].component;
    for (size_t r = 0; r < got->n; r++) {
        const struct component *nodes = got->nodes + r * got->n_nodes;
        for (size_t i = 0; i < got->n_nodes; i++)
            cr_expect(nodes[i].layer == own[i].layer && nodes[i].type == own[i].type &&
                      strcmp(nodes[i].position, own[i].position) == 0);
        if (circuit->n_edges == 0) {
            cr_expect_not(is_same(got, r, own));
            for (size_t q = 0; q < r; q++)
                cr_expect_not(is_same(got, q, nodes), "%zu and %zu are equal", q, r);
        }
    }
}

Test(random_circuits, few_are_listed_exactly)
{
    static const struct {
        const char *circuit;
        size_t n_heads, n_others; /* all circuits of that shape, made of others */
    } cases[] = {
        {"L0H0\nL1H0\n", 4, 3 * 3},
        {"L0H0\nL0H2\nL1H1\n", 4, 1 * 3},
        {"L0H0\nL0H2\nL0H3\n", 4, 3}, /* too few others: from all */
        {"L0H0\nL0H1\nL0H2\nL0H3\n", 4, 0},
        {"L0MLP\nL1H3\n", 4, 3},
        {"L0H0@end\nL0H1@s2\n", 4, 2}, /* which head at which position */
        {"L0H0@end\nL0H0@s2\n", 4, 3}, /* one head at two positions */
        {"L0H0->L1H0.k\nL0H0\nL1H0\n", 4, 9},
        {"L0H0->L1H0.k\nL0H1->L1H0.k\n", 4, 1 * 3}, /* two alike: no new circuit */
        {"L0H0->L1H0.k\nL0H1->L1H0.q\n", 4, 2 * 3},
        {"embed->L0H0.q\nL0H0->logits\n", 4, 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct circuit circuit = parse(cases[i].circuit);
        struct random_circuits got = draw(&circuit, 2, cases[i].n_heads, 200, 1);
        cr_expect_eq(got.n, cases[i].n_others, "%s: %zu", cases[i].circuit, got.n);
        cr_expect(got.is_exhaustive);
        expect_valid(&got, &circuit);
        random_circuits_fini(&got);
        circuit_fini(&circuit);
    }
}

Test(random_circuits, many_are_drawn_without_repetition)
{
    static const struct {
        const char *circuit;
        size_t n_heads;
    } cases[] = {{"L0H0\nL0H1\nL1H5\nL2H3\n", 8},               /* of 735: listed, chosen */
                 {"L0H0\nL0H1\nL0H2\nL1H5\nL1H6\nL2H3\n", 16}}; /* a million: drawn */
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct circuit circuit = parse(cases[i].circuit);
        struct random_circuits got = draw(&circuit, 3, cases[i].n_heads, 200, 5);
        struct random_circuits again = draw(&circuit, 3, cases[i].n_heads, 200, 5);
        struct random_circuits other = draw(&circuit, 3, cases[i].n_heads, 200, 6);
        const size_t n_bytes = got.n * got.n_nodes * sizeof *got.nodes;
        cr_expect_eq(got.n, 200);
        cr_expect_not(got.is_exhaustive);
        expect_valid(&got, &circuit);
        cr_expect_eq(memcmp(got.nodes, again.nodes, n_bytes), 0, "equal seeds, equal circuits");
        cr_expect_neq(memcmp(got.nodes, other.nodes, n_bytes), 0);
        random_circuits_fini(&got);
        random_circuits_fini(&again);
        random_circuits_fini(&other);
        circuit_fini(&circuit);
    }
}

Test(random_circuits, every_head_is_drawn_as_often_as_any_other)
{
    struct circuit circuit = parse("L0H0\nL0H1\nL0H2\nL1H5\nL1H6\nL2H3\n");
    struct random_circuits got = draw(&circuit, 3, 16, 8000, 7);
    size_t n_of[16] = {0};
    for (size_t r = 0; r < got.n; r++)
        for (size_t i = 0; i < 3; i++) n_of[got.nodes[r * got.n_nodes + i].index]++;
    for (size_t h = 0; h < 3; h++) cr_expect_eq(n_of[h], 0, "a head of the circuit");
    for (size_t h = 3; h < 16; h++) /* 1,846 +- 38 expected: five deviations */
        cr_expect(n_of[h] > 1656 && n_of[h] < 2036, "head %zu: %zu", h, n_of[h]);
    random_circuits_fini(&got);
    circuit_fini(&circuit);
}

Test(random_circuits, edges_go_with_their_components)
{
    struct circuit circuit = parse("embed->L0H0.v\nL0H0->L1H3.k\nL1H3->logits\nL0H0->L1MLP\n");
    struct random_circuits got = draw(&circuit, 2, 4, 200, 2);
    cr_expect_eq(got.n, 9);
    for (size_t r = 0; r < got.n; r++) {
        const struct component *nodes = got.nodes + r * got.n_nodes; /* L0H0, L1H3, L1MLP */
        for (size_t e = 0; e < got.n_edges; e++) {
            const struct circuit_edge *own = &circuit.edges[e];
            const struct circuit_edge *edge = &got.edges[r * got.n_edges + e];
            const bool from_first = own->sender.type == COMPONENT_HEAD && own->sender.layer == 0;
            cr_expect_eq(edge->input, own->input);
            if (from_first) cr_expect(component_equal(&edge->sender, &nodes[0]));
            if (own->sender.type == COMPONENT_EMBED)
                cr_expect(component_equal(&edge->sender, &own->sender));
            if (own->input == EDGE_K) cr_expect(component_equal(&edge->receiver, &nodes[1]));
            if (own->input == EDGE_MLP) cr_expect(component_equal(&edge->receiver, &nodes[2]));
        }
    }
    random_circuits_fini(&got);
    circuit_fini(&circuit);
}

Test(random_circuits, what_is_no_candidate_is_named)
{
    struct circuit circuit = parse("L5H0\n");
    struct component candidates[] = {{.type = COMPONENT_HEAD}, {.type = COMPONENT_HEAD}};
    const struct circuit_candidates one = {candidates, 1}, twice = {candidates, 2};
    struct random_circuits out;
    struct error err = {.status = ST_OK};
    cr_expect_eq(random_circuits_draw(&out, &circuit, &one, 200, 1, &err), ST_BAD_INPUT);
    cr_expect_str_eq(err.text, "L5H0 is in the circuit, and no candidate");
    error_clear(&err);
    cr_expect_eq(random_circuits_draw(&out, &circuit, &twice, 200, 1, &err), ST_BAD_INPUT);
    cr_expect_str_eq(err.text, "candidate L0H0 is listed twice");
    cr_expect_eq(random_circuits_draw(&out, &circuit, &one, 0, 1, NULL), ST_BAD_INPUT);
    circuit_fini(&circuit);
}
