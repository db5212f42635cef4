/* circuit: what a circuit sweep found, and its verdict. */
#include "coordinator/api/operations.h"

#include "coordinator/sweep/circuit_results.h"

status_t api_circuit(struct api *api, const json_t *args, json_t **out, struct error *err)
{
    const struct args_allowed allowed = {{"sweep", NULL}};
    struct sweep *sweep;
    status_t status = args_check(args, &allowed, err);
    if (status == ST_OK) status = args_sweep(api, args, &sweep, err);
    return status == ST_OK ? circuit_results_read(sweep, out, err) : status;
}
