/* Reports of what heads attend to: shares of attention by pattern, notes of a drawing, the table of
 * members and of heads that only look like some. */
#include "coordinator/circuit/circuit_file.h"
#include "coordinator/circuit/head_report.h"

#include <criterion/criterion.h>
#include <string.h>

static struct head_scores scores; /* 2 layers of 3 heads */

static void set_up(void)
{
    struct error err = {0};
    cr_assert_eq(head_scores_init(&scores, 2, 3, &err), ST_OK);
    scores.n_sequences = 4;
    scores.n_queries[PATTERN_PREVIOUS_TOKEN] = 100;
    scores.n_queries[PATTERN_INDUCTION] = 50; /* of duplicate tokens there are none */
}

static void tear_down(void)
{
    head_scores_fini(&scores);
}

TestSuite(head_report, .init = set_up, .fini = tear_down);

/* Attention of that share of all queries. */
static void give(uint32_t layer, uint32_t head, enum head_pattern pattern, double share)
{
    double *sums = scores.sums + ((layer * 3 + head) * HEAD_N_PATTERNS + (size_t)pattern) * 3;
    sums[0] = 4 * share / 2; /* mul */
    sums[2] = share * (double)scores.n_queries[pattern];
}

static struct component head_at(uint32_t layer, uint32_t index)
{
    return (struct component){.type = COMPONENT_HEAD, .layer = layer, .index = index};
}

Test(head_report, shares_are_those_of_attention)
{
    const struct component head = head_at(1, 2), mlp = {.type = COMPONENT_MLP};
    give(1, 2, PATTERN_INDUCTION, 0.75);
    json_t *json = head_report_shares(&scores, &head);
    cr_expect_float_eq(json_number_value(json_object_get(json, "induction")), 0.75, 1e-12);
    cr_expect(json_is_null(json_object_get(json, "duplicate_token")), "no token was there twice");
    json_decref(json);
    json = head_report_shares(&scores, &mlp);
    cr_expect(json_is_null(json), "an MLP attends to nothing");
    json_decref(json);
}

Test(head_report, json_has_every_head_and_every_definition)
{
    const struct head_sequences sequences = {4, 12, 7};
    give(0, 1, PATTERN_PREVIOUS_TOKEN, 0.5);
    json_t *json = head_report_json(&scores, &sequences);
    const json_t *heads = json_object_get(json, "heads"), *head = json_array_get(heads, 1);
    cr_assert_eq(json_array_size(heads), 6);
    cr_expect_str_eq(json_string_value(json_object_get(head, "component")), "L0H1");
    const json_t *score = json_object_get(head, "previous_token");
    cr_expect_float_eq(json_number_value(json_object_get(score, "attention")), 0.5, 1e-12);
    cr_expect_float_eq(json_number_value(json_object_get(score, "mul")), 0.25, 1e-12);
    cr_expect_eq(json_integer_value(json_object_get(json_object_get(json, "sequences"), "n_words")),
                 12);
    json_decref(json);
}

Test(head_report, a_note_says_the_pattern_that_is_attended_to_most)
{
    const struct component head = head_at(0, 0), faint = head_at(0, 1),
                           mlp = {.type = COMPONENT_MLP};
    const struct circuit_notes notes = head_report_notes(&scores);
    char note[CIRCUIT_NOTE_SIZE] = "";
    give(0, 0, PATTERN_PREVIOUS_TOKEN, 0.93);
    give(0, 0, PATTERN_INDUCTION, 0.2);
    give(0, 1, PATTERN_INDUCTION, 0.09);
    notes.write(notes.context, &faint, note);
    notes.write(notes.context, &mlp, note);
    cr_expect_str_eq(note, "");
    notes.write(notes.context, &head, note);
    cr_expect_str_eq(note, "previous token 0.93");
}

Test(head_report, text_names_members_then_those_that_look_like_some)
{
    static const char list[] = "L1H2\nL0H0\n";
    const struct head_sequences sequences = {4, 12, 7};
    struct circuit circuit;
    struct buffer out;
    struct error err = {0};
    buffer_init(&out, 1 << 16);
    give(0, 0, PATTERN_PREVIOUS_TOKEN, 0.02); /* a member, whatever it attends to */
    give(0, 1, PATTERN_PREVIOUS_TOKEN, 1.0);  /* an impostor */
    give(1, 2, PATTERN_INDUCTION, 0.8);
    give(1, 0, PATTERN_INDUCTION, 0.4);
    cr_assert_eq(circuit_file_parse(&circuit, "list", list, strlen(list), &err), ST_OK, "%s",
                 err.text);
    cr_assert_eq(head_report_text(&scores, &sequences, &circuit, &out, &err), ST_OK);
    const char *text = buffer_text(&out);
    const char *first = strstr(text, "L0H0"), *second = strstr(text, "L1H2");
    const char *other = strstr(text, "L0H1");
    cr_assert(first && second && other, "%s", text);
    cr_expect(first < second && second < other, "%s", text);
    cr_expect(strstr(other, "not in it") && !strstr(text, "L1H0"), "%s", text);
    cr_expect(strstr(text, "undefined"), "no token was there twice");
    for (const char *line = text; *line; line += strcspn(line, "\n") + 1)
        cr_expect_leq(strcspn(line, "\n"), 80);
    buffer_fini(&out);
    circuit_fini(&circuit);
}
