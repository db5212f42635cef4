#include "coordinator/sweep/sweep.h"

#include <stdio.h>
#include <stdlib.h>

const char sweep_paused_by_user[] = "paused by a user";

const struct sweep_engine_ops *sweep_engine_for(enum sweep_kind kind)
{
    switch (kind) {
    case SWEEP_KIND_LABEL: return &label_engine;
    case SWEEP_KIND_CIRCUIT: return &circuit_engine;
    case SWEEP_KIND_NOOP: return &noop_engine;
    }
    return NULL;
}

const char *sweep_over_words(const struct sweep *sweep)
{
    switch (sweep->state) {
    case SWEEP_FINISHED: return "its sweep is finished";
    case SWEEP_CANCELLED: return "its sweep was cancelled";
    case SWEEP_FAILED: return "its sweep failed";
    case SWEEP_QUEUED:
    case SWEEP_RUNNING:
    case SWEEP_PAUSED:
    case SWEEP_N_STATES: break;
    }
    return "its sweep gave it up";
}

char *sweep_path(const struct sweep *sweep, const char *name)
{
    char path[4096];
    const int n = snprintf(path, sizeof path, "%s/sweeps/%s%s%s", sweep->context->data_directory,
                           sweep->id, name ? "/" : "", name ? name : "");
    if (n < 0 || (size_t)n >= sizeof path) return NULL;
    char *copy = malloc((size_t)n + 1);
    if (copy) (void)snprintf(copy, (size_t)n + 1, "%s", path);
    return copy;
}
