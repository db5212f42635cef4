/* Any bytes as what a batch API answers: a report, a page of the list, a result file. Names that
 * go into URLs stay names. Built with -fsanitize=fuzzer. */
#include "coordinator/gateway/batch_file.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_name(const char *name)
{
    if (strlen(name) >= BATCH_NAME_SIZE || strpbrk(name, "/?&#% \r\n")) abort();
}

static void on_line(void *context, const struct batch_line *line)
{
    (void)context;
    if (strlen(line->id) != HASH_HEX_SIZE - 1 || line->body[line->n_body_bytes] != '\0') abort();
    if (line->http_status && (line->http_status < 100 || line->http_status > 999)) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct batch_report report;
    char name[BATCH_NAME_SIZE];
    bool is_found;
    if (batch_report_parse(text, size, &report, NULL) == ST_OK) {
        check_name(report.id);
        check_name(report.output_file);
        check_name(report.error_file);
    }
    if (batch_file_id_parse(text, size, name, NULL) == ST_OK) check_name(name);
    if (batch_list_find(text, size, "tag", &report, &is_found, name, NULL) == ST_OK)
        check_name(name);
    (void)batch_lines_read(text, size, on_line, NULL);
    return 0;
}
