#include "coordinator/cli/cluster_down.h"

#include "coordinator/cli/json_field.h"
#include "coordinator/cli/process_log.h"
#include "coordinator/cli/supervisor.h"

#include <string.h>

const char cluster_down_cure[] =
    "mend it (`interp-worker devices --backend NAME` says what is there), then `interpctl down` "
    "and `interpctl up`; --backend cpu needs no device";

bool cluster_down_is(const json_t *member)
{
    return strcmp(json_field_text(member, "state", ""),
                  supervisor_state_name(SUPERVISOR_UNUSABLE)) == 0;
}

size_t cluster_down_count(const json_t *status)
{
    const json_t *members = json_field(status, "processes");
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(members); i++)
        n += cluster_down_is(json_array_get(members, i));
    return n;
}

void cluster_down_tell(FILE *out, const json_t *status, const struct cluster_paths *paths)
{
    const json_t *members = json_field(status, "processes");
    for (size_t i = 0; i < json_array_size(members); i++) {
        const char *name = json_field_text(json_array_get(members, i), "name", "?");
        char why[ERROR_TEXT_MAX];
        if (!cluster_down_is(json_array_get(members, i))) continue;
        process_log_reason(paths, name, why, sizeof why);
        (void)fprintf(out, "%s stays down: %s\n", name, why);
    }
    if (cluster_down_count(status)) (void)fprintf(out, "what to do: %s\n", cluster_down_cure);
}

status_t cluster_down_check(const json_t *status, const struct cluster_paths *paths,
                            size_t n_workers, struct error *err)
{
    const json_t *members = json_field(status, "processes");
    char why[ERROR_TEXT_MAX];
    size_t i = 0;
    if (n_workers == 0 || cluster_down_count(status) < n_workers) return ST_OK;
    while (!cluster_down_is(json_array_get(members, i))) i++;
    const char *name = json_field_text(json_array_get(members, i), "name", "?");
    process_log_reason(paths, name, why, sizeof why);
    return error_set(err, ST_NOT_FOUND, "%s: %.250s; %s",
                     n_workers == 1 ? "the worker does not start" : "no worker starts", why,
                     cluster_down_cure);
}
