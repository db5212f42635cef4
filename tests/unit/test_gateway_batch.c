/* Batches: the file that goes up, the answers that come back, the record that outlives a crash. */
#include "coordinator/gateway/batch.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ID_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ID_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

Test(batch, a_line_of_the_form_is_the_request_with_its_name)
{
    struct buffer form;
    buffer_init(&form, 1 << 16);
    cr_assert_eq(batch_form_begin(&form, NULL), ST_OK);
    cr_assert_eq(batch_form_add(&form, ID_A, 7, "{\"model\":\"m\"}", 13, NULL), ST_OK);
    cr_assert_eq(batch_form_end(&form, NULL), ST_OK);
    const char *text = buffer_text(&form);
    const char *line = strstr(text, "{\"custom_id\"");
    cr_assert_not_null(line);
    cr_expect_not_null(strstr(text, "name=\"purpose\"\r\n\r\nbatch\r\n"));
    json_t *request = json_loadb(line, (size_t)(strchr(line, '\n') - line), 0, NULL);
    cr_expect_str_eq(json_string_value(json_object_get(request, "custom_id")), ID_A "-7");
    cr_expect_str_eq(json_string_value(json_object_get(request, "url")), "/v1/chat/completions");
    cr_expect_str_eq(json_string_value(json_object_get(json_object_get(request, "body"), "model")),
                     "m");
    json_decref(request);
    buffer_fini(&form);
}

static status_t report(const char *text, struct batch_report *out)
{
    struct error err;
    error_clear(&err);
    return batch_report_parse(text, strlen(text), out, &err);
}

Test(batch, a_report_is_read_and_odd_ones_are_refused)
{
    struct batch_report got;
    cr_assert_eq(report("{\"id\":\"batch_1\",\"status\":\"expired\",\"output_file_id\":\"f-1\","
                        "\"error_file_id\":null,\"metadata\":{\"interp_batch\":\"t.1\"},"
                        "\"request_counts\":{\"completed\":3,\"failed\":-1}}",
                        &got),
                 ST_OK);
    cr_expect_eq(got.state, BATCH_EXPIRED);
    cr_expect_str_eq(got.id, "batch_1");
    cr_expect_str_eq(got.tag, "t.1");
    cr_expect_str_eq(got.output_file, "f-1");
    cr_expect_str_eq(got.error_file, "");
    cr_expect(got.n_completed == 3 && got.n_failed == 0);
    cr_assert_eq(report("{\"id\":\"b\",\"status\":\"failed\",\"errors\":{\"data\":[{\"code\":\"x\","
                        "\"message\":\"no\\u0007 \"}]},\"output_file_id\":\"../../etc\"}",
                        &got),
                 ST_OK);
    cr_expect(got.state == BATCH_REFUSED && strcmp(got.problem, "no? ") == 0);
    cr_expect_str_eq(got.output_file, "", "an id that is no name is none");
    cr_assert_eq(report("{\"id\":\"b\",\"status\":\"finalizing\"}", &got), ST_OK);
    cr_expect_eq(got.state, BATCH_PENDING);
    static const char *const bad[] = {"",
                                      "[]",
                                      "{}",
                                      "{\"id\":\"b\"}",
                                      "{\"status\":\"failed\"}",
                                      "{\"id\":\"a/b\",\"status\":\"completed\"}",
                                      "{\"id\":7,\"status\":\"completed\"}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_eq(report(bad[i], &got), ST_CORRUPT, "%s", bad[i]);
}

Test(batch, the_list_is_searched_page_by_page)
{
    static const char page[] =
        "{\"data\":[{\"id\":\"b2\",\"status\":\"completed\",\"metadata\":null},"
        "{\"id\":\"b1\",\"status\":\"in_progress\",\"metadata\":{\"interp_batch\":\"mine\"}}],"
        "\"has_more\":true}";
    struct batch_report got;
    char next[BATCH_NAME_SIZE];
    bool is_found = false;
    struct error err;
    error_clear(&err);
    cr_assert_eq(batch_list_find(page, strlen(page), "mine", &got, &is_found, next, &err), ST_OK);
    cr_expect(is_found && strcmp(got.id, "b1") == 0 && next[0] == '\0');
    cr_assert_eq(batch_list_find(page, strlen(page), "other", &got, &is_found, next, &err), ST_OK);
    cr_expect(!is_found);
    cr_expect_str_eq(next, "b1", "the next page is behind the last of this one");
    cr_expect_eq(batch_list_find("{}", 2, "mine", &got, &is_found, next, &err), ST_CORRUPT);
}

struct seen {
    size_t n;
    struct batch_line last;
    char body[64];
};

static void note(void *context, const struct batch_line *line)
{
    struct seen *seen = context;
    seen->n++;
    seen->last = *line;
    (void)snprintf(seen->body, sizeof seen->body, "%s", line->body);
}

Test(batch, lines_of_a_result_are_read_and_others_counted)
{
    static const char file[] =
        "{\"custom_id\":\"" ID_A "-12\",\"response\":{\"status_code\":200,\"body\":{\"a\":1}}}\r\n"
        "\n"
        "{half\n[]\n"
        "{\"custom_id\":\"" ID_A "-\",\"response\":null}\n"
        "{\"custom_id\":\"" ID_A "-1x\",\"response\":null}\n"
        "{\"custom_id\":\"aa-1\",\"response\":null}\n"
        "{\"custom_id\":\"" ID_B "-3\",\"response\":null,"
        "\"error\":{\"code\":\"batch_expired\",\"message\":\"late\"}}";
    struct seen seen = {.n = 0};
    cr_expect_eq(batch_lines_read(file, strlen(file), note, &seen), 5, "of 7 lines");
    cr_expect_eq(seen.n, 2);
    cr_expect_str_eq(seen.last.id, ID_B);
    cr_expect(seen.last.attempt == 3 && seen.last.http_status == 0);
    cr_expect_str_eq(seen.last.error_code, "batch_expired");
    cr_expect_eq(batch_lines_read(file, (size_t)(strchr(file, '\r') - file), note, &seen), 0);
    cr_expect(seen.last.http_status == 200 && seen.last.attempt == 12);
    cr_expect_str_eq(seen.body, "{\"a\":1}");
}

/* ---- record ------------------------------------------------------------------------------ */

static struct batch *two_calls(void)
{
    struct batch *batch = batch_create(NULL, "tag.1", 1234);
    struct grant a = {.id = ID_A,
                      .attempt = 5,
                      .sweep_id = "s",
                      .tokens_in = 10,
                      .tokens_out = 64,
                      .microdollars = 99,
                      .n_body_bytes = 200};
    struct grant b = {.id = ID_B,
                      .attempt = 9,
                      .sweep_id = "t-2",
                      .tokens_in = 11,
                      .tokens_out = 65,
                      .microdollars = 100,
                      .n_body_bytes = 201};
    cr_assert(batch && batch_add(batch, &a, NULL) == ST_OK && batch_add(batch, &b, NULL) == ST_OK);
    return batch;
}

static status_t keep(void *context, const struct journal_record *record, struct error *err)
{
    char provider[CALL_NAME_MAX + 1];
    struct batch **out = context;
    (void)err;
    batch_destroy(out);
    cr_assert(record->kind == JOURNAL_BATCH && batch_read_record(record, provider, out));
    cr_expect_str_eq(provider, "p");
    return ST_OK;
}

Test(batch, a_record_brings_back_the_open_calls)
{
    char directory[] = "/tmp/batch-test-XXXXXX", command[64];
    struct journal *journal = NULL;
    struct batch *batch = two_calls(), *back = NULL;
    size_t n_torn;
    cr_assert_not_null(mkdtemp(directory));
    cr_assert_eq(journal_open(&journal, directory, clock_system(), NULL), ST_OK);
    batch->stage = BATCH_UPLOADING;
    cr_assert_eq(batch_append_record(batch, "p", journal, NULL), ST_OK);
    batch->stage = BATCH_FETCHING;
    (void)snprintf(batch->batch_id, sizeof batch->batch_id, "batch_1");
    batch->members[0].is_settled = true;
    cr_assert_eq(batch_append_record(batch, "p", journal, NULL), ST_OK);
    cr_assert_eq(journal_replay(journal, keep, &back, &n_torn, NULL), ST_OK);
    cr_assert(back && back->n_members == 1 && back->n_open == 1, "the last record holds");
    cr_expect_eq(back->stage, BATCH_RUNNING);
    cr_expect_str_eq(back->batch_id, "batch_1");
    cr_expect_str_eq(back->tag, "tag.1");
    cr_expect_eq(back->opened_unix_ms, 1234);
    const struct grant *grant = &back->members[0].grant;
    cr_expect(strcmp(grant->id, ID_B) == 0 && strcmp(grant->sweep_id, "t-2") == 0);
    cr_expect(grant->attempt == 9 && grant->tokens_in == 11 && grant->tokens_out == 65 &&
              grant->microdollars == 100 && grant->n_body_bytes == 201);
    batch_destroy(&batch);
    batch_destroy(&back);
    journal_close(&journal);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", directory);
    cr_assert_eq(system(command), 0);
}

Test(batch, a_damaged_record_is_not_taken)
{
    static const char *const bad[] = {"",
                                      ID_A " 5 s 1 2 3\n",
                                      ID_A " 5 s 1 2 3 4",
                                      "x 5 s 1 2 3 4\n",
                                      ID_A " -5 s 1 2 3 4\n",
                                      ID_A " 5 a/b 1 2 3 4\n",
                                      ID_A " 99999999999999999999999 s 1 2 3 4\n",
                                      ID_A " 5 s 1 2 3 4\n" ID_B " 5 s 1 2 3 4\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char provider[CALL_NAME_MAX + 1];
        struct batch *batch = NULL;
        struct journal_record record = {
            .kind = JOURNAL_BATCH,
            .n_fields = 7,
            .fields = {"p", "tag", "run", "f", "b", "1", bad[i]},
            .n_bytes = {1, 3, 3, 1, 1, 1, strlen(bad[i])},
        };
        cr_expect_not(batch_read_record(&record, provider, &batch), "%s", bad[i]);
        cr_expect_null(batch);
    }
}

Test(batch, a_call_is_found_by_attempt_and_id)
{
    struct batch *batch = two_calls();
    cr_expect_eq(batch_find(batch, ID_A, 5), &batch->members[0]);
    cr_expect_eq(batch_find(batch, ID_B, 9), &batch->members[1]);
    cr_expect_null(batch_find(batch, ID_A, 9));
    cr_expect_null(batch_find(batch, ID_A, 6));
    cr_expect_null(batch_find(batch, ID_A, 10));
    batch_destroy(&batch);
}
