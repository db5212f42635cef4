/* circuit: what a circuit sweep found, as a report, a drawing or JSON. */
#include "coordinator/cli/circuit_report.h"
#include "coordinator/cli/commands.h"

status_t circuit_command(struct cli *cli, const struct cli_arguments *arguments, struct error *err)
{
    struct client *client = NULL;
    json_t *answer = NULL;
    status_t status = cli_connect(&client, cli, arguments, err);
    if (status == ST_OK)
        status = circuit_report_ask(client, arguments->positional[0], &answer, err);
    if (status == ST_OK) status = circuit_report_print(cli, arguments, answer, err);
    json_decref(answer);
    client_close(&client);
    return status;
}
