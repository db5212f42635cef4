#include "common/probe.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static struct error err;
static struct buffer bytes;

static void set_up(void)
{
    error_clear(&err);
    buffer_init(&bytes, PROBE_MAX_RESULT_BYTES);
}

static void tear_down(void)
{
    buffer_fini(&bytes);
}

TestSuite(probe, .init = set_up, .fini = tear_down);

static const struct probe_unit two_probes = {
    2, {{0, 7, {"caf\xc3\xa9 \0 x", 8}}, {3, UINT32_MAX, {"", 0}}}};

/* Three answers: whole, with pieces, and an error. */
static struct {
    uint32_t tokens[3];
    float activations[3];
    struct wire_text pieces[3];
    struct probe_answer answers[3];
} made = {.tokens = {5, 0, UINT32_MAX},
          .activations = {0, 1.25e-30f, 3e38f},
          .pieces = {{"a", 1}, {"", 0}, {" \xff", 2}}};

static const struct probe_answer *make_answers(void)
{
    for (size_t i = 0; i < 2; i++)
        made.answers[i] = (struct probe_answer){
            .n_tokens = 3, .tokens = made.tokens, .activations = made.activations};
    made.answers[0].is_cut = true;
    made.answers[1].pieces = made.pieces;
    made.answers[2] = probe_answer_of_error("empty after tokenization");
    return made.answers;
}

Test(probe, a_unit_comes_back)
{
    struct probe_unit back;
    cr_assert_eq(probe_unit_encode(&two_probes, &bytes, &err), ST_OK, "%s", err.text);
    cr_assert_eq(probe_unit_decode(bytes.bytes, bytes.n_bytes, &back, &err), ST_OK, "%s", err.text);
    cr_assert_eq(back.n_probes, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct probe *want = &two_probes.probes[i], *got = &back.probes[i];
        cr_expect_eq(got->target, want->target);
        cr_expect_eq(got->slot, want->slot);
        cr_assert_eq(got->text.n_bytes, want->text.n_bytes);
        cr_expect(memcmp(got->text.bytes, want->text.bytes, want->text.n_bytes) == 0);
    }
}

static void expect_equal(const struct probe_answer *got, const struct probe_answer *want)
{
    cr_expect_str_eq(got->error, want->error);
    cr_expect_eq(got->is_cut, want->is_cut);
    cr_assert_eq(got->n_tokens, want->n_tokens);
    if (want->n_tokens) {
        cr_expect_arr_eq(got->tokens, want->tokens, 4 * want->n_tokens);
        cr_expect_arr_eq(got->activations, want->activations, 4 * want->n_tokens, "every bit");
    }
    cr_assert_eq(got->pieces == NULL, want->pieces == NULL);
    for (size_t i = 0; want->pieces && i < want->n_tokens; i++) {
        cr_assert_eq(got->pieces[i].n_bytes, want->pieces[i].n_bytes);
        cr_expect(memcmp(got->pieces[i].bytes, want->pieces[i].bytes, want->pieces[i].n_bytes) ==
                  0);
    }
}

Test(probe, answers_come_back_bit_for_bit)
{
    struct probe_answer back[3];
    const struct probe_answer *answers = make_answers();
    cr_assert_eq(probe_result_encode(answers, 3, &bytes, &err), ST_OK, "%s", err.text);
    cr_assert_eq(probe_result_decode(bytes.bytes, bytes.n_bytes, back, 3, &err), ST_OK, "%s",
                 err.text);
    for (size_t i = 0; i < 3; i++) {
        expect_equal(&back[i], &answers[i]);
        probe_answer_fini(&back[i]);
    }
}

Test(probe, an_answer_alone_comes_back)
{
    struct probe_answer back;
    const struct probe_answer *answers = make_answers();
    for (size_t i = 0; i < 3; i++) {
        bytes.n_bytes = 0;
        cr_assert_eq(probe_answer_encode(&answers[i], &bytes, &err), ST_OK, "%s", err.text);
        cr_assert_eq(probe_answer_decode(bytes.bytes, bytes.n_bytes, &back, &err), ST_OK);
        expect_equal(&back, &answers[i]);
        probe_answer_fini(&back);
        probe_answer_fini(&back);
    }
}

Test(probe, the_maximum_is_the_largest_activation)
{
    const struct probe_answer *answers = make_answers();
    cr_expect_eq(probe_answer_max(&answers[0]), 3e38f);
    cr_expect_eq(probe_answer_max(&answers[2]), 0);
}

Test(probe, every_truncation_is_refused)
{
    struct probe_unit unit = {.n_probes = 77};
    struct probe_answer back[3] = {{.n_tokens = 77}};
    cr_assert_eq(probe_unit_encode(&two_probes, &bytes, &err), ST_OK);
    for (size_t n = 0; n < bytes.n_bytes; n++)
        cr_assert_neq(probe_unit_decode(bytes.bytes, n, &unit, &err), ST_OK, "%zu", n);
    cr_expect_eq(unit.n_probes, 77);
    bytes.n_bytes = 0;
    cr_assert_eq(probe_result_encode(make_answers(), 3, &bytes, NULL), ST_OK);
    for (size_t n = 0; n < bytes.n_bytes; n++)
        cr_assert_neq(probe_result_decode(bytes.bytes, n, back, 3, &err), ST_OK, "%zu", n);
    cr_expect_eq(back[0].n_tokens, 77);
}

Test(probe, what_is_no_unit_is_refused)
{
    static const struct {
        const char *what, *bytes;
        size_t n;
        status_t want;
    } cases[] = {
        {"another version", "\x92\x02\x90", 3, ST_PROTOCOL},
        {"not a pair", "\x93\x01\x90\xc0", 4, ST_CORRUPT},
        {"not an array", "\x80", 1, ST_CORRUPT},
        {"a probe of two fields", "\x92\x01\x91\x92\x00\x00", 6, ST_CORRUPT},
        {"a negative slot", "\x92\x01\x91\x93\x00\xff\xc4\x00", 8, ST_CORRUPT},
        {"a target over 32 bits", "\x92\x01\x91\x93\xcf\0\0\0\1\0\0\0\0\0\xc4\0", 16, ST_CORRUPT},
        {"a text that is no bin", "\x92\x01\x91\x93\x00\x00\xa1x", 8, ST_CORRUPT},
        {"bytes behind the end", "\x92\x01\x90\x00", 4, ST_CORRUPT},
        {"items that are not there", "\x92\x01\xdd\xff\xff\xff\xff", 7, ST_CORRUPT},
    };
    struct probe_unit unit;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        error_clear(&err);
        cr_expect_eq(probe_unit_decode(cases[i].bytes, cases[i].n, &unit, &err), cases[i].want,
                     "%s: %s", cases[i].what, err.text);
    }
}

Test(probe, what_is_no_answer_is_refused)
{
    static const struct {
        const char *what, *bytes;
        size_t n;
    } cases[] = {
        {"four fields", "\x94\xa0\xc2\xc4\0\xc4\0", 7},
        {"tokens without activations", "\x95\xa0\xc2\xc4\4\1\0\0\0\xc4\0\xc0", 13},
        {"half a token", "\x95\xa0\xc2\xc4\2\1\0\xc4\2\1\0\xc0", 13},
        {"a negative activation", "\x95\xa0\xc2\xc4\4\1\0\0\0\xc4\4\0\0\x80\xbf\xc0", 17},
        {"not a number", "\x95\xa0\xc2\xc4\4\1\0\0\0\xc4\4\0\0\xc0\x7f\xc0", 17},
        {"infinity", "\x95\xa0\xc2\xc4\4\1\0\0\0\xc4\4\0\0\x80\x7f\xc0", 17},
        {"an error that holds NUL", "\x95\xa1\0\xc2\xc4\0\xc4\0\xc0", 9},
        {"sizes of pieces that do not add up",
         "\x95\xa0\xc2\xc4\4\1\0\0\0\xc4\4\0\0\0\0"
         "\x92\xc4\4\2\0\0\0\xc4\1x",
         26},
        {"pieces for other tokens", "\x95\xa0\xc2\xc4\0\xc4\0\x92\xc4\4\0\0\0\0\xc4\0", 16},
    };
    struct probe_answer answer = {.n_tokens = 77};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_eq(probe_answer_decode(cases[i].bytes, cases[i].n, &answer, NULL), ST_CORRUPT,
                     "%s", cases[i].what);
    cr_expect_eq(answer.n_tokens, 77);
}

Test(probe, another_number_of_answers_than_probes_is_refused)
{
    struct probe_answer back[3];
    cr_assert_eq(probe_result_encode(make_answers(), 3, &bytes, &err), ST_OK);
    cr_expect_eq(probe_result_decode(bytes.bytes, bytes.n_bytes, back, 2, &err), ST_CORRUPT);
}

Test(probe, caps_are_kept_and_leave_the_buffer_as_it_was)
{
    static char text[PROBE_MAX_TEXT_BYTES + 1];
    struct probe_unit unit = {1, {{0, 0, {text, sizeof text}}}};
    struct buffer small;
    cr_assert_eq(buffer_append_text(&bytes, "before", &err), ST_OK);
    cr_expect_eq(probe_unit_encode(&unit, &bytes, &err), ST_TOO_LARGE);
    unit.n_probes = PROBE_MAX_PER_UNIT + 1;
    error_clear(&err);
    cr_expect_eq(probe_unit_encode(&unit, &bytes, &err), ST_TOO_LARGE);
    cr_expect_eq(bytes.n_bytes, 6);
    buffer_init(&small, 16);
    error_clear(&err);
    cr_expect_eq(probe_result_encode(make_answers(), 3, &small, &err), ST_TOO_LARGE);
    cr_expect_eq(small.n_bytes, 0);
    buffer_fini(&small);
}

Test(probe, an_activation_that_is_none_is_not_sent)
{
    uint32_t token = 1;
    float values[] = {-1, NAN, INFINITY};
    for (size_t i = 0; i < 3; i++) {
        const struct probe_answer answer = {
            .n_tokens = 1, .tokens = &token, .activations = &values[i]};
        error_clear(&err);
        cr_expect_eq(probe_answer_encode(&answer, &bytes, &err), ST_BAD_INPUT);
    }
}

Test(probe, a_long_error_is_cut)
{
    static char text[2 * PROBE_ERROR_SIZE];
    memset(text, 'x', sizeof text - 1);
    const struct probe_answer answer = probe_answer_of_error(text);
    cr_expect_eq(strlen(answer.error), PROBE_ERROR_SIZE - 1);
    cr_expect(probe_answer_of_error("").error[0], "an error always says something");
}
