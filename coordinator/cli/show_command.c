/* show: one feature with its evidence. */
#include "coordinator/cli/commands.h"
#include "coordinator/cli/document.h"
#include "coordinator/cli/record_text.h"

#include <stdint.h>

status_t show_command(struct cli *cli, const struct cli_arguments *arguments, struct error *err)
{
    int64_t feature = 0;
    json_t *record = NULL;
    const int64_t target = arguments->target < 0 ? 0 : arguments->target;
    status_t status =
        cli_parse_count(arguments->positional[1], "feature", 0, INT64_C(1) << 40, &feature, err);
    if (status != ST_OK) return status;
    json_t *to_send = json_pack("{s:s, s:I, s:I}", "sweep", arguments->positional[0], "feature",
                                (json_int_t)feature, "target", (json_int_t)target);
    if (!to_send) return error_set(err, ST_BAD_INPUT, "the sweep's id is not valid UTF-8");
    const struct client_request request = {"feature", to_send, true};
    status = cli_ask(cli, arguments, &request, &record, err);
    if (status == ST_OK && arguments->format == CLI_FORMAT_JSON)
        status = document_print(cli->out, "Feature", record, err);
    else if (status == ST_OK)
        status = record_print(cli, record,
                              arguments->limit < 0 ? SIZE_MAX : (size_t)arguments->limit, err);
    json_decref(to_send);
    json_decref(record);
    return status;
}
