/* Finding a node of a circuit. (Reading and writing: test_circuit_file.c.) */
#include "coordinator/circuit/circuit_file.h"

#include <criterion/criterion.h>
#include <string.h>

static struct circuit circuit_of(const char *text)
{
    struct circuit circuit;
    struct error err = {.status = ST_OK};
    cr_assert_eq(circuit_file_parse(&circuit, "c.json", text, strlen(text), &err), ST_OK, "%s",
                 err.text);
    return circuit;
}

static bool has(const struct circuit *circuit, const char *name, const char *want)
{
    struct component component;
    char found[COMPONENT_NAME_SIZE];
    memset(&component, 0, sizeof component);
    cr_assert_eq(component_parse(name, strlen(name), &component, NULL), ST_OK, "%s", name);
    const struct circuit_node *node = circuit_find_node(circuit, &component);
    if (!node || !want) return !node && !want;
    return strcmp(component_name(&node->component, found), want) == 0;
}

Test(circuit, finds_its_nodes_and_no_others)
{
    struct circuit circuit = circuit_of("[\"L2MLP\", \"L0H1\", \"L1H1\", \"L0H3\"]");
    static const char *const names[] = {"L0H1", "L0H3", "L1H1", "L2MLP"};
    for (size_t i = 0; i < 4; i++) cr_expect(has(&circuit, names[i], names[i]), "%s", names[i]);
    static const char *const others[] = {"L0H0", "L0H2",     "L0H4",  "L1MLP", "L2N1",
                                         "L9H9", "L0H1@end", "embed", "logits"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        cr_expect(has(&circuit, others[i], NULL), "%s", others[i]);
    circuit_fini(&circuit);
}

Test(circuit, finds_a_name_without_position_at_any)
{
    struct circuit circuit = circuit_of("[\"L0H1@end\", \"L0H1@answer\", \"L1H0@end\"]");
    cr_expect(has(&circuit, "L0H1", "L0H1@answer"));
    cr_expect(has(&circuit, "L0H1@end", "L0H1@end"));
    cr_expect(has(&circuit, "L1H0", "L1H0@end"));
    cr_expect(has(&circuit, "L1H0@answer", NULL));
    cr_expect(has(&circuit, "L0H0", NULL));
    circuit_fini(&circuit);
}

Test(circuit, of_nothing_has_no_node)
{
    struct circuit circuit;
    circuit_init(&circuit);
    cr_expect(has(&circuit, "L0H0", NULL));
    circuit_fini(&circuit);
}
