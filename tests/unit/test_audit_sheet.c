#include "coordinator/cli/audit_sheet.h"

#include <criterion/criterion.h>
#include <string.h>

static struct audit_item items[] = {{.id = "bcdfg-001"}, {.id = "bcdfg-002"}, {.id = "bcdfg-003"}};
static const struct audit_key key = {.n_population = 9, .items = items, .n_items = 3};

/* --- writing ------------------------------------------------------------------------------- */

static json_t *window(const char *first)
{
    return json_pack("{s:f, s:[s,s,s], s:[f,f,f]}", "max", 4.0, "tokens", first, " red", " sea",
                     "activations", 0.0, 4.0, 0.5);
}

Test(audit_sheet, an_item_is_one_line_of_safe_text)
{
    struct buffer out;
    json_t *record =
        json_pack("{s:i, s:f, s:s, s:b, s:[o,o]}", "feature", 4711, "fire_threshold", 1.0, "status",
                  "open", "supported", 1, "evidence", window("the"), window("=1\n+2, \"q\""));
    buffer_init(&out, 65536);
    cr_assert_eq(audit_sheet_append_heading(&out, NULL), ST_OK);
    cr_assert_eq(audit_sheet_append_item(&out, "bcdfg-001", "-x, \"y\"", record, NULL), ST_OK);
    cr_expect_str_eq(buffer_text(&out),
                     "\xEF\xBB\xBFitem,description,text_1,text_2,text_3,text_4,fits,note\r\n"
                     "bcdfg-001,\"'-x, \"\"y\"\"\",\"the[ red] sea\","
                     "\"'=1\u21B5+2, \"\"q\"\"[ red] sea\",,,,\r\n");
    buffer_fini(&out);
    json_decref(record);
}

Test(audit_sheet, a_sheet_that_was_not_filled_in_reads_as_blanks)
{
    struct buffer out;
    enum audit_answer answers[3] = {AUDIT_YES, AUDIT_YES, AUDIT_YES};
    json_t *record = json_pack("{s:[o,o,o,o,o]}", "evidence", window("a\nb"), window("\"\"\""),
                               window(",;\t"), window("["), window("fifth"));
    buffer_init(&out, 65536);
    cr_assert_eq(audit_sheet_append_heading(&out, NULL), ST_OK);
    for (size_t i = 0; i < key.n_items; i++)
        cr_assert_eq(audit_sheet_append_item(&out, items[i].id, "a \"b\"; c", record, NULL), ST_OK);
    cr_expect_null(strstr(buffer_text(&out), "fifth"));
    cr_assert_eq(audit_sheet_read(&key, "f.csv", (char *)out.bytes, out.n_bytes, answers, NULL),
                 ST_OK);
    for (size_t i = 0; i < key.n_items; i++) cr_expect_eq(answers[i], AUDIT_BLANK);
    buffer_fini(&out);
    json_decref(record);
}

/* --- reading ------------------------------------------------------------------------------- */

static status_t read_text(const char *text, enum audit_answer answers[3], struct error *err)
{
    char bytes[512];
    (void)snprintf(bytes, sizeof bytes, "%s", text);
    *err = (struct error){0};
    return audit_sheet_read(&key, "f.csv", bytes, strlen(bytes), answers, err);
}

Test(audit_sheet, reads_answers_in_any_order_and_column)
{
    static const char *const sheets[] = {
        "item,fits\nbcdfg-001,yes\nbcdfg-002,no\nbcdfg-003,unsure\n",
        "\xEF\xBB\xBFitem,x,fits\r\nbcdfg-003,,unsure\r\nbcdfg-001,,yes\r\nbcdfg-002,,no\r\n",
        "Fits;\"Item\"\nYES;\"bcdfg-001\"\nNo;bcdfg-002\n\" unsure \";\" bcdfg-003\"\n;\n",
        "\n\nfits\titem\tmore\nyes\tbcdfg-001\n\nno\tbcdfg-002\nUnsure\tbcdfg-003\ta\tb\n",
    };
    for (size_t i = 0; i < sizeof sheets / sizeof sheets[0]; i++) {
        enum audit_answer answers[3] = {AUDIT_BLANK};
        struct error err;
        cr_expect_eq(read_text(sheets[i], answers, &err), ST_OK, "%zu: %s", i, err.text);
        cr_expect(answers[0] == AUDIT_YES && answers[1] == AUDIT_NO && answers[2] == AUDIT_UNSURE,
                  "sheet %zu", i);
    }
}

Test(audit_sheet, what_a_spreadsheet_cut_off_is_unanswered)
{
    enum audit_answer answers[3] = {AUDIT_NO, AUDIT_NO, AUDIT_NO};
    struct error err;
    cr_assert_eq(read_text("item,fits\nbcdfg-001\nbcdfg-002,\nbcdfg-003,  \n", answers, &err),
                 ST_OK, "%s", err.text);
    for (size_t i = 0; i < 3; i++) cr_expect_eq(answers[i], AUDIT_BLANK);
}

Test(audit_sheet, refuses_by_file_line_and_item)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "f.csv: nothing in it"},
        {"\n,,\n", "f.csv: nothing in it"},
        {"item,note\n", "f.csv:1: no column \"fits\""},
        {"\nid,fits\n", "f.csv:2: no column \"item\""},
        {"item,fits,Item\n", "f.csv:1: two columns \"item\""},
        {"item,fits\nbcdfg-001,yes\nbcdfg-009,yes\n", "f.csv:3: item \"bcdfg-009\" is not of this"},
        {"item,fits\n\xFF\x1b[31m,yes\n", "f.csv:2: item \"\uFFFD\uFFFD[31m\" is not of this"},
        {"item,fits\nbcdfg-001,yes\n,no\n", "f.csv:3: no item"},
        {"item,fits\nbcdfg-001,yes\nbcdfg-001,yes\n", "f.csv:3: item bcdfg-001 stands in line 2"},
        {"item,fits\nbcdfg-002,maybe\n", "f.csv:2: item bcdfg-002: \"maybe\" is no answer"},
        {"item,fits\nbcdfg-002,\"y\nes\"\n", "f.csv:2: item bcdfg-002: \"y\u21B5es\" is no answer"},
        {"item,fits\nbcdfg-001,yes\nbcdfg-003,\n", "f.csv: item bcdfg-002 is missing"},
        {"item,fits\nbcdfg-001,\"yes\n", "f.csv:2: a quote that is never closed"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum audit_answer answers[3];
        struct error err;
        cr_expect_eq(read_text(cases[i].text, answers, &err), ST_BAD_INPUT, "case %zu", i);
        cr_expect(strstr(err.text, cases[i].says), "case %zu: %s", i, err.text);
    }
}
