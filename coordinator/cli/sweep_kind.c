#include "coordinator/cli/sweep_kind.h"

#include "coordinator/cli/json_field.h"

#include <string.h>

static const char *kind_of(const json_t *summary)
{
    return json_field_text(summary, "kind", "?");
}

bool sweep_kind_is_label(const json_t *summary)
{
    return strcmp(kind_of(summary), "label") == 0;
}

status_t sweep_kind_check(const char *sweep, const json_t *summary, struct error *err)
{
    if (sweep_kind_is_label(summary)) return ST_OK;
    if (strcmp(kind_of(summary), "circuit") == 0)
        return error_set(err, ST_BAD_INPUT,
                         "%s is a circuit sweep, it has components and no features: `interpctl "
                         "circuit %s` shows what it found, `interpctl results %s` each component",
                         sweep, sweep, sweep);
    return error_set(err, ST_BAD_INPUT,
                     "%s is a %s sweep, it has no features: `interpctl status "
                     "%s` shows it",
                     sweep, kind_of(summary), sweep);
}

status_t sweep_kind_check_both(const char *const sweeps[2], json_t *const summaries[2],
                               struct error *err)
{
    const char *const first = kind_of(summaries[0]), *const second = kind_of(summaries[1]);
    if (sweep_kind_is_label(summaries[0]) && sweep_kind_is_label(summaries[1])) return ST_OK;
    if (strcmp(first, second) == 0)
        return error_set(err, ST_BAD_INPUT,
                         "%s and %s are %s sweeps: only label sweeps can be compared", sweeps[0],
                         sweeps[1], first);
    return error_set(err, ST_BAD_INPUT,
                     "%s is a %s sweep and %s is a %s sweep: only label sweeps can be compared",
                     sweeps[0], first, sweeps[1], second);
}
