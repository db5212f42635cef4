#include "worker/model/memory_needs.h"

#include "worker/model/dictionary_config.h"

#include <string.h>

static bool is_counted(const struct memory_needs *needs, const char *directory, double factor)
{
    for (size_t i = 0; i < needs->n_targets; i++) {
        const struct memory_target *t = &needs->targets[i];
        const double apart = t->norm_scaling_factor - factor;
        if (t->directory && strcmp(t->directory, directory) == 0 && !(apart < 0) && !(apart > 0))
            return true;
    }
    return false;
}

status_t memory_needs_add(struct memory_needs *needs, const char *directory,
                          double norm_scaling_factor, struct error *err)
{
    struct memory_target target = {.directory = directory,
                                   .norm_scaling_factor = norm_scaling_factor};
    struct dictionary_config config;
    if (needs->n_targets == MEMORY_MAX_TARGETS)
        return error_set(err, ST_TOO_LARGE, "over %d targets", MEMORY_MAX_TARGETS);
    if (directory) {
        const status_t status = dictionary_config_read(&config, directory, err);
        if (status != ST_OK) return status;
        target.d_in = config.d_in;
        target.n_features = config.n_features;
        target.is_there = is_counted(needs, directory, norm_scaling_factor);
    }
    needs->targets[needs->n_targets++] = target;
    return ST_OK;
}

static bool is_same_target(const struct memory_target *a, const struct memory_target *b)
{
    return a->d_in == b->d_in && a->n_features == b->n_features && a->tally_k == b->tally_k &&
           a->digest_windows == b->digest_windows;
}

bool memory_needs_are_equal(const struct memory_needs *a, const struct memory_needs *b)
{
    bool is_same = a->n_ctx == b->n_ctx && a->n_rows == b->n_rows && a->n_prompts == b->n_prompts &&
                   a->adjoint == b->adjoint && a->is_compared == b->is_compared &&
                   a->n_columns == b->n_columns && a->n_targets == b->n_targets;
    for (size_t i = 0; is_same && i < a->n_targets; i++)
        is_same = is_same_target(&a->targets[i], &b->targets[i]);
    return is_same;
}
