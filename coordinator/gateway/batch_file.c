#include "coordinator/gateway/batch_file.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A line of JSON holds no line break, so this never occurs within the file. */
#define BOUNDARY "interp-batch-4f1d0c7a9b"
const char batch_form_type[] = "Content-Type: multipart/form-data; boundary=" BOUNDARY;

/* ---- asking ------------------------------------------------------------------------------ */

status_t batch_form_begin(struct buffer *form, struct error *err)
{
    return buffer_append_text(form,
                              "--" BOUNDARY "\r\n"
                              "Content-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n"
                              "--" BOUNDARY "\r\n"
                              "Content-Disposition: form-data; name=\"file\"; "
                              "filename=\"calls.jsonl\"\r\n"
                              "Content-Type: application/jsonl\r\n\r\n",
                              err);
}

status_t batch_form_add(struct buffer *form, const char *id, uint64_t attempt, const char *body,
                        size_t n_body_bytes, struct error *err)
{
    status_t status = buffer_printf(form, err,
                                    "{\"custom_id\":\"%s-%llu\",\"method\":\"POST\","
                                    "\"url\":\"/v1/chat/completions\",\"body\":",
                                    id, (unsigned long long)attempt);
    if (status == ST_OK) status = buffer_append(form, body, n_body_bytes, err);
    return status == ST_OK ? buffer_append_text(form, "}\n", err) : status;
}

status_t batch_form_end(struct buffer *form, struct error *err)
{
    return buffer_append_text(form, "\r\n--" BOUNDARY "--\r\n", err);
}

char *batch_create_body(const char *file_id, const char *tag)
{
    json_t *body = json_pack("{s:s, s:s, s:s, s:{s:s}}", "input_file_id", file_id, "endpoint",
                             "/v1/chat/completions", "completion_window", "24h", "metadata",
                             "interp_batch", tag);
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    return text;
}

/* ---- answers ----------------------------------------------------------------------------- */

static void copy_printable(char *out, size_t size, const json_t *value)
{
    const char *text = json_string_value(value);
    (void)snprintf(out, size, "%s", text ? text : "");
    for (char *c = out; *c; c++)
        if ((unsigned char)*c < 0x20 || (unsigned char)*c > 0x7e) *c = '?';
}

/* An id that goes into a URL. */
static bool copy_name(char *out, size_t size, const json_t *value)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789_.-";
    const char *text = json_string_value(value);
    const size_t length = text ? strspn(text, allowed) : 0;
    if (length == 0 || length >= size || text[length]) return false;
    memcpy(out, text, length + 1);
    return true;
}

status_t batch_file_id_parse(const char *bytes, size_t n_bytes, char out[BATCH_NAME_SIZE],
                             struct error *err)
{
    json_t *root = json_loadb(bytes, n_bytes, 0, NULL);
    const bool is_named = copy_name(out, BATCH_NAME_SIZE, json_object_get(root, "id"));
    json_decref(root);
    return is_named ? ST_OK : error_set(err, ST_CORRUPT, "the uploaded file got no id");
}

static enum batch_state state_of(const char *word)
{
    static const struct {
        const char *word;
        enum batch_state state;
    } words[] = {{"completed", BATCH_COMPLETED},
                 {"failed", BATCH_REFUSED},
                 {"expired", BATCH_EXPIRED},
                 {"cancelled", BATCH_CANCELLED}};
    for (size_t i = 0; word && i < sizeof words / sizeof words[0]; i++)
        if (strcmp(word, words[i].word) == 0) return words[i].state;
    return BATCH_PENDING;
}

static uint64_t count_of(const json_t *counts, const char *name)
{
    const json_int_t n = json_integer_value(json_object_get(counts, name));
    return n > 0 ? (uint64_t)n : 0;
}

static bool take_report(const json_t *batch, struct batch_report *out)
{
    struct batch_report report = {.state = BATCH_PENDING};
    const json_t *counts = json_object_get(batch, "request_counts");
    const json_t *problem =
        json_array_get(json_object_get(json_object_get(batch, "errors"), "data"), 0);
    const char *word = json_string_value(json_object_get(batch, "status"));
    if (!word || !copy_name(report.id, sizeof report.id, json_object_get(batch, "id")))
        return false;
    report.state = state_of(word);
    copy_printable(report.tag, sizeof report.tag,
                   json_object_get(json_object_get(batch, "metadata"), "interp_batch"));
    (void)copy_name(report.output_file, sizeof report.output_file,
                    json_object_get(batch, "output_file_id"));
    (void)copy_name(report.error_file, sizeof report.error_file,
                    json_object_get(batch, "error_file_id"));
    report.n_completed = count_of(counts, "completed");
    report.n_failed = count_of(counts, "failed");
    copy_printable(report.problem, sizeof report.problem, json_object_get(problem, "message"));
    copy_printable(report.problem_code, sizeof report.problem_code,
                   json_object_get(problem, "code"));
    *out = report;
    return true;
}

status_t batch_report_parse(const char *bytes, size_t n_bytes, struct batch_report *out,
                            struct error *err)
{
    json_t *root = json_loadb(bytes, n_bytes, 0, NULL);
    const bool is_whole = take_report(root, out);
    json_decref(root);
    return is_whole ? ST_OK : error_set(err, ST_CORRUPT, "the answer is no batch");
}

status_t batch_list_find(const char *bytes, size_t n_bytes, const char *tag,
                         struct batch_report *out, bool *is_found, char next[BATCH_NAME_SIZE],
                         struct error *err)
{
    json_t *root = json_loadb(bytes, n_bytes, 0, NULL);
    const json_t *data = json_object_get(root, "data");
    const size_t n = json_array_size(data);
    struct batch_report report;
    *is_found = false;
    next[0] = '\0';
    for (size_t i = 0; i < n && !*is_found; i++) {
        if (!take_report(json_array_get(data, i), &report)) continue;
        *is_found = strcmp(report.tag, tag) == 0;
        (void)snprintf(next, BATCH_NAME_SIZE, "%s", report.id);
    }
    if (*is_found) *out = report;
    if (*is_found || !json_is_true(json_object_get(root, "has_more"))) next[0] = '\0';
    const bool is_list = json_is_array(data);
    json_decref(root);
    return is_list ? ST_OK : error_set(err, ST_CORRUPT, "the answer is no list of batches");
}

/* ---- result files ------------------------------------------------------------------------ */

static bool take_custom_id(const json_t *value, struct batch_line *out)
{
    const char *text = json_string_value(value);
    char *end;
    if (!text || strspn(text, "0123456789abcdef") != HASH_HEX_SIZE - 1 ||
        text[HASH_HEX_SIZE - 1] != '-')
        return false;
    const char *digits = text + HASH_HEX_SIZE;
    if (*digits < '0' || *digits > '9') return false;
    (void)snprintf(out->id, sizeof out->id, "%.*s", HASH_HEX_SIZE - 1, text);
    out->attempt = strtoull(digits, &end, 10);
    return *end == '\0';
}

static bool visit_line(const json_t *root, batch_visit_fn *visit, void *context)
{
    struct batch_line line = {.http_status = 0};
    const json_t *response = json_object_get(root, "response");
    const json_t *error = json_object_get(root, "error");
    const json_t *body = json_object_get(response, "body");
    if (!take_custom_id(json_object_get(root, "custom_id"), &line)) return false;
    const json_int_t http_status = json_integer_value(json_object_get(response, "status_code"));
    if (http_status >= 100 && http_status <= 999) line.http_status = (int)http_status;
    copy_printable(line.error_code, sizeof line.error_code, json_object_get(error, "code"));
    copy_printable(line.error_message, sizeof line.error_message,
                   json_object_get(error, "message"));
    char *text = body ? json_dumps(body, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    line.body = text ? text : "";
    line.n_body_bytes = strlen(line.body);
    visit(context, &line);
    free(text);
    return true;
}

size_t batch_lines_read(const char *bytes, size_t n_bytes, batch_visit_fn *visit, void *context)
{
    size_t n_unread = 0;
    for (size_t at = 0; at < n_bytes;) {
        const char *end = memchr(bytes + at, '\n', n_bytes - at);
        const size_t length = end ? (size_t)(end - (bytes + at)) : n_bytes - at;
        if (length > 0 && !(length == 1 && bytes[at] == '\r')) {
            json_t *root = json_loadb(bytes + at, length, JSON_ALLOW_NUL, NULL);
            n_unread += !visit_line(root, visit, context);
            json_decref(root);
        }
        at += length + 1;
    }
    return n_unread;
}
