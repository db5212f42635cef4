#include "coordinator/circuit/circuit_dot.h"
#include "coordinator/circuit/circuit_file.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct circuit parse(const char *text)
{
    struct circuit circuit;
    struct error err = {.status = ST_OK};
    cr_assert_eq(circuit_file_parse(&circuit, "FILE", text, strlen(text), &err), ST_OK, "%s",
                 err.text);
    return circuit;
}

/* "L0H0:role L1H0 | L0H0->L1H0.k" */
static char *summary(const struct circuit *circuit, char out[512])
{
    char name[EDGE_NAME_SIZE];
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < circuit->n_nodes; i++)
        n += (size_t)snprintf(out + n, 512 - n, "%s%s%s%s", i ? " " : "",
                              component_name(&circuit->nodes[i].component, name),
                              circuit->nodes[i].role[0] ? ":" : "", circuit->nodes[i].role);
    for (size_t i = 0; i < circuit->n_edges; i++)
        n += (size_t)snprintf(out + n, 512 - n, "%s%s", i ? " " : " | ",
                              circuit_edge_name(&circuit->edges[i], name));
    return out;
}

Test(circuit_file, all_forms_are_read)
{
    static const char *const cases[][2] = {
        {"[\"9.9\", \"a10.h0\", [9, 6], \"logits\"]", "L9H6 L9H9 L10H0"},
        {"[\"a0.h1->a5.h5<k>\", \"input->a0.h1<q>\"]", "L0H1 L5H5 | embed->L0H1.q L0H1->L5H5.k"},
        {"{\"nodes\": [{\"name\": \"L0H0\", \"role\": \"previous\"}, {\"hook\": "
         "\"blocks.1.attn.hook_z\", \"head\": 2}], \"edges\": [[\"L0H0\", \"L1H2.k\"]]}",
         "L0H0:previous L1H2 | L0H0->L1H2.k"},
        {"{\"cfg\": {}, \"nodes\": {\"a9.h9\": true, \"input\": true, "
         "\"m0\": {\"in_graph\": false}},"
         " \"edges\": {\"a9.h9->logits\": {\"score\": 1.5, \"in_graph\": true},"
         " \"m0->logits\": {\"score\": 0.1, \"in_graph\": false}}}",
         "L9H9 | L9H9->logits"},
        {"{\"roles\": {\"name mover\": [[9, 9], \"10.0\"]}}", "L9H9:name mover L10H0:name mover"},
        {"{\"format\": 1, \"nodes\": [{\"name\": \"L0H1\", \"role\": \"previous_token\", "
         "\"in_circuit\": true}, {\"name\": \"L0MLP\", \"in_circuit\": false}], \"edges\": "
         "[{\"from\": \"pos_embed\", \"to\": \"L0H1\", \"input\": \"q\"}, "
         "{\"from\": \"L0H1\", \"to\": \"logits\"}]}",
         "L0H1:previous_token | pos_embed->L0H1.q L0H1->logits"},
        {"# heads\n[name mover]\n9.9  # the first\n a10.h0\n[]\nm3\nL9H9->logits\r\n",
         "L3MLP L9H9:name mover L10H0:name mover | L9H9->logits"},
        {"L3N7@end\n", "L3N7@end"},
    };
    char out[512];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct circuit circuit = parse(cases[i][0]);
        cr_expect_str_eq(summary(&circuit, out), cases[i][1]);
        circuit_fini(&circuit);
    }
}

static const char OURS[] =
    "{\"edges\":[{\"input\":\"k\",\"receiver\":\"L1H2\",\"sender\":\"L0H0\"}],"
    "\"format\":\"interp-circuit\",\"model\":{\"d_mlp\":512,\"d_model\":128,"
    "\"fingerprint\":\"00ff\",\"n_heads\":4,\"n_kv_heads\":4,\"n_layers\":2},\"name\":\"demo\","
    "\"nodes\":[{\"name\":\"L0H0\",\"role\":\"previous token\"},{\"name\":\"L1H2\",\"role\":null}],"
    "\"task\":null,\"version\":1}\n";

Test(circuit_file, our_form_comes_back_byte_for_byte)
{
    struct circuit circuit = parse(OURS);
    struct buffer out;
    buffer_init(&out, 1 << 20);
    cr_assert_eq(circuit_write(&circuit, &out, NULL), ST_OK);
    cr_expect_str_eq(buffer_text(&out), OURS);
    buffer_fini(&out);
    circuit_fini(&circuit);
}

Test(circuit_file, errors_name_source_and_place)
{
    static const char *const cases[][2] = {
        {"", "FILE: the circuit has no nodes"},
        {"{\"nodes\": [\"L0H0\", \"L0H\"]}", "nodes[1]: \"L0H\" is no component"},
        {"{\"nodes\": {\"L0H0\": 1}}", "nodes.L0H0"},
        {"{\"nodes\": 3}", "nodes is no list"},
        {"{\"nodes\": [\"L0H0\", \"a0.h0\"]}", "L0H0 is listed twice"},
        {"[\"L0H0\", \"L0H0->L1H0.k\"]", "L1H0 is an end of an edge, and no node"},
        {"[\"L0H0->L1H0.k\", \"a0.h0->a1.h0<k>\"]", "edge L0H0->L1H0.k is listed twice"},
        {"{\"edges\": [[\"L0H0\"]]}", "edges[0]"},
        {"{\"edges\": [{\"sender\": \"L0H0\", \"receiver\": \"nobody\"}]}", "edges[0]: receiver"},
        {"{\"roles\": {\"movers\": [7]}}", "roles: movers[0]"},
        {"{\"nodes\": [\"L0H0\"", "line 1"},
        {"{\"nodes\": [], \"nodes\": []}", "duplicate"},
        {"[[1, 2, 3]]", "[0]: a pair [layer, head]"},
        {"[[1, -2]]", "a pair [layer, head]"},
        {"L0H0\n\nL0H1 x\n", "line 3: \"L0H1 x\" is no component"},
        {"[r\xff]\nL0H0\n", "line 1: text that is not UTF-8"},
        {"{\"format\":\"interp-circuit\",\"nodes\":[\"L0H0\"]}", "version is missing"},
        {"{\"format\":\"interp-circuit\",\"version\":2,\"nodes\":[\"L0H0\"]}", "version 2"},
        {"{\"format\":\"interp-circuit\",\"version\":1,\"nodes\":[\"L0H0\"]}",
         "nodes[0] is no object"},
        {"{\"format\":\"interp-circuit\",\"version\":1,\"nodes\":[{\"name\":\"L0H0\","
         "\"in_circuit\":false}]}",
         "nodes[0]: unknown key \"in_circuit\""},
        {"{\"format\":\"other\",\"version\":1,\"nodes\":[\"L0H0\"]}", "format is not"},
        {"{\"format\":\"interp-circuit\",\"version\":1,\"node\":[\"L0H0\"]}",
         "unknown key \"node\""},
        {"{\"format\":\"interp-circuit\",\"version\":1,\"nodes\":[{\"name\":\"L0H0\"}],"
         "\"model\":{\"n_head\":1}}",
         "model: unknown key \"n_head\""},
        {"{\"nodes\":[\"L0H0\"], \"model\":{\"n_heads\":-1}}", "model: n_heads"},
        {"{\"nodes\":[{\"name\":\"L0H0\",\"role\":\"a role that is much longer than "
         "any role should be, by far and wide, in any circuit\"}]}",
         "nodes[0]: role"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct circuit circuit;
        struct error err = {.status = ST_OK};
        cr_expect_neq(circuit_file_parse(&circuit, "FILE", cases[i][0], strlen(cases[i][0]), &err),
                      ST_OK, "%s", cases[i][0]);
        cr_expect(strstr(err.text, "FILE") == err.text, "%s", err.text);
        cr_expect(strstr(err.text, cases[i][1]) != NULL, "%s: %s", cases[i][1], err.text);
    }
}

Test(circuit_file, every_truncation_of_ours_is_refused)
{
    for (size_t n = 0; n + 2 < sizeof OURS; n++) {
        struct circuit circuit;
        struct error err = {.status = ST_OK};
        cr_expect_neq(circuit_file_parse(&circuit, "FILE", OURS, n, &err), ST_OK, "%zu bytes", n);
        cr_expect(err.text[0] != '\0');
    }
}

Test(circuit, of_another_model_is_refused_by_what_differs)
{
    const struct model_shape same = {
        .n_layers = 2, .n_heads = 4, .n_kv_heads = 4, .d_mlp = 512, .d_model = 128};
    struct model_shape smaller = same, wider = same;
    struct circuit circuit = parse(OURS), bare = parse("[\"L1H2\", \"L2H0\"]");
    struct error err = {.status = ST_OK};
    smaller.n_heads = 2;
    wider.d_model = 256;
    cr_expect_eq(circuit_check(&circuit, &same, "00ff", NULL), ST_OK);
    cr_expect_eq(circuit_check(&circuit, &same, NULL, NULL), ST_OK);
    cr_expect_eq(circuit_check(&circuit, &same, "00fe", &err), ST_CONFLICT);
    cr_expect(strstr(err.text, "fingerprint 00ff"), "%s", err.text);
    error_clear(&err);
    cr_expect_eq(circuit_check(&circuit, &wider, "00ff", &err), ST_CONFLICT);
    cr_expect(strstr(err.text, "d_model is 128 there, 256 in this one"), "%s", err.text);
    error_clear(&err);
    cr_expect_eq(circuit_check(&bare, &same, "00ff", &err), ST_NOT_FOUND);
    cr_expect(strstr(err.text, "L2H0: the model has 2 layers"), "%s", err.text);
    error_clear(&err);
    cr_expect_eq(circuit_check(&bare, &smaller, "00ff", &err), ST_NOT_FOUND);
    cr_expect(strstr(err.text, "L1H2: the model has 2 heads"), "%s", err.text);
    circuit_fini(&circuit);
    circuit_fini(&bare);
}

Test(circuit, one_role_is_one_class)
{
    struct circuit circuit = parse("[mover]\n9.9\n9.6\n[]\n8.1\n8.2\n[mover]\n10.0\n");
    uint32_t classes[5];
    cr_assert_eq(circuit_classes(&circuit, classes), 3);
    const uint32_t want[] = {0, 1, 2, 2, 2}; /* 8.1, 8.2, 9.6, 9.9, 10.0 */
    for (size_t i = 0; i < 5; i++) cr_expect_eq(classes[i], want[i]);
    circuit_fini(&circuit);
}

Test(circuit_dot, text_from_outside_is_escaped)
{
    struct circuit circuit = parse(
        "{\"name\": \"a \\\"b\\\" \\\\ c\", \"nodes\": [{\"name\": \"L0H0\", \"role\": "
        "\"x\\\"];\\nevil [\\\\\"}, \"L1H0\"], \"edges\": [\"L0H0->L1H0.k\", \"L1H0->logits\"]}");
    struct buffer out;
    buffer_init(&out, 1 << 20);
    cr_assert_eq(circuit_dot_write(&circuit, NULL, &out, NULL), ST_OK);
    cr_expect_str_eq(
        buffer_text(&out),
        "digraph \"a \\\"b\\\" \\\\ c\" {\n  rankdir=BT;\n"
        "  node [style=filled, fontname=\"sans-serif\"];\n"
        "  \"L0H0\" [label=\"L0H0\\nx\\\"];?evil [\\\\\", shape=ellipse, fillcolor=\"#b3cde3\"];\n"
        "  \"L1H0\" [label=\"L1H0\", shape=ellipse, fillcolor=\"#ccebc5\"];\n"
        "  { rank=same; \"L0H0\"; }\n  { rank=same; \"L1H0\"; }\n"
        "  \"L0H0\" -> \"L1H0\" [label=\"k\"];\n  \"L1H0\" -> \"logits\";\n}\n");
    buffer_fini(&out);
    circuit_fini(&circuit);
}
