/* Order and bytes of attributions. */
#include "common/attribute.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static struct error err;

/* The counts that EAP-IG and MIB give: circuits.md 2. */
Test(attribute, edges_are_counted_as_the_reference_counts_them)
{
    const struct attribute_shape gpt2 = {12, 12, 12}, llama = {32, 32, 32}, grouped = {32, 32, 8};
    cr_expect_eq(attribute_n_edges(&gpt2), 32491);
    cr_expect_eq(attribute_n_senders(&gpt2), 157);
    cr_expect_eq(attribute_n_edges(&llama), 1592881);
    cr_expect_eq(attribute_n_senders(&llama), 1057);
    cr_expect_eq(attribute_n_edges(&grouped), 48 * 16400 + 17424 + 1057);
    cr_expect_eq(attribute_n_nodes(&grouped), 1 + 32 * (32 + 16 + 1));
}

Test(attribute, places_follow_each_other)
{
    const struct attribute_shape shape = {3, 4, 2};
    size_t at = 0;
    for (size_t layer = 0; layer < shape.n_layers; layer++) {
        cr_expect_eq(attribute_attention_edge(&shape, layer), at);
        at += 8 * attribute_layer_sender(&shape, layer);
        cr_expect_eq(attribute_mlp_edge(&shape, layer), at);
        at += attribute_layer_sender(&shape, layer) + 4;
    }
    cr_expect_eq(attribute_attention_edge(&shape, 3), at);
    cr_expect_eq(attribute_n_edges(&shape), at + attribute_n_senders(&shape));
    cr_expect_eq(attribute_layer_node(&shape, 1), 1 + 4 + 4 + 1);
}

Test(attribute, methods_have_names)
{
    enum attribute_method method;
    for (unsigned i = 0; i < ATTRIBUTE_N_METHODS; i++) {
        cr_assert_eq(
            attribute_method_parse(attribute_method_name((enum attribute_method)i), &method, &err),
            ST_OK);
        cr_expect_eq(method, i);
    }
    cr_expect_eq(attribute_method_parse("acdc", &method, &err), ST_BAD_INPUT);
    cr_expect(strstr(err.text, "eap_ig"), "%s", err.text);
}

Test(attribute, units_come_back_and_no_part_of_one_does)
{
    const struct attribute_unit unit = {7, 9};
    struct attribute_unit back = {0};
    struct buffer bytes;
    buffer_init(&bytes, 1 << 10);
    cr_assert_eq(attribute_unit_encode(&unit, &bytes, &err), ST_OK);
    cr_assert_eq(attribute_unit_decode(bytes.bytes, bytes.n_bytes, &back, &err), ST_OK);
    cr_expect_eq(back.first_prompt, 7);
    cr_expect_eq(back.n_prompts, 9);
    for (size_t n = 0; n < bytes.n_bytes; n++) {
        error_clear(&err);
        cr_expect_eq(attribute_unit_decode(bytes.bytes, n, &back, &err), ST_CORRUPT, "%zu", n);
    }
    bytes.bytes[0] = 2;
    error_clear(&err);
    cr_expect_eq(attribute_unit_decode(bytes.bytes, bytes.n_bytes, &back, &err), ST_PROTOCOL);
    buffer_fini(&bytes);
}

static void encode(double first_edge, struct buffer *bytes)
{
    double nodes[] = {1.5, -2}, edges[] = {first_edge, 0, 1e-300};
    const struct attribute_result result = {4, 2, 3, nodes, edges};
    buffer_init(bytes, 1 << 10);
    cr_assert_eq(attribute_result_encode(&result, bytes, &err), ST_OK);
}

Test(attribute, results_come_back_and_no_part_of_one_does)
{
    struct attribute_result back = {0};
    struct buffer bytes;
    encode(0.25, &bytes);
    cr_assert_eq(attribute_result_decode(bytes.bytes, bytes.n_bytes, &back, &err), ST_OK);
    cr_expect_eq(back.n_prompts, 4);
    cr_expect_eq(back.n_nodes, 2);
    cr_expect_eq(back.n_edges, 3);
    cr_expect_eq(back.nodes[1], -2);
    cr_expect_eq(back.edges[0], 0.25);
    cr_expect_eq(back.edges[2], 1e-300);
    attribute_result_fini(&back);
    for (size_t n = 0; n < bytes.n_bytes; n++) {
        error_clear(&err);
        cr_expect_eq(attribute_result_decode(bytes.bytes, n, &back, &err), ST_CORRUPT, "%zu", n);
    }
    buffer_fini(&bytes);
}

Test(attribute, results_that_lie_are_refused)
{
    struct attribute_result back = {0};
    struct buffer bytes;
    encode(NAN, &bytes);
    cr_expect_eq(attribute_result_decode(bytes.bytes, bytes.n_bytes, &back, &err), ST_CORRUPT);
    cr_expect(strstr(err.text, "not finite"), "%s", err.text);
    memset(bytes.bytes + 8, 0xff, 8); /* counts without end */
    error_clear(&err);
    cr_expect_eq(attribute_result_decode(bytes.bytes, bytes.n_bytes, &back, &err), ST_TOO_LARGE);
    cr_expect_null(back.nodes);
    buffer_fini(&bytes);
}
