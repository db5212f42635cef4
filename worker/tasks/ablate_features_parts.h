/* The parts of ablated features: a dictionary of the spec with what a unit needs of it. Private to
 * worker/tasks/ablate_feature*.c. */
#ifndef WORKER_TASKS_ABLATE_FEATURES_PARTS_H
#define WORKER_TASKS_ABLATE_FEATURES_PARTS_H

#include "worker/tasks/ablate_features.h"
#include "worker/tasks/capture_target.h"

#define ABLATE_MAX_MATRIX_BYTES ((size_t)4 << 30)

/* A row of a matrix: the unit's features of the dictionary, ascending; then, if the unit has its
 * error, the error [width]. */
struct feature_dictionary {
    struct ablate_features *all;
    struct capture_target *target;
    const struct dictionary *dictionary;
    struct hook_point hook;
    size_t width;
    /* of the unit: */
    uint32_t *features; /* [n_features], ascending */
    size_t n_features, n_columns;
    bool has_error, is_wanted[ABLATE_N_VALUES];
    float *directions;              /* [n_features, width] */
    float *clean;                   /* [n_prompts * n_ctx, n_columns] */
    float *values[ABLATE_N_VALUES]; /* likewise; NULL for zero */
    bool has_device_directions;     /* of the unit, below */
    /* of all units: device [n_device_directions], grown */
    float *device_directions;
    size_t n_device_directions;
};

/* Context of a hook, in a chain to be freed. */
struct feature_hook {
    struct feature_hook *next;
    struct feature_dictionary *at;
    const struct feature_changes *by_prompt;
    uint32_t number; /* of the dictionary */
};

struct ablate_features {
    struct ablate_features_params with;
    uint32_t n_dictionaries;
    struct feature_dictionary *dictionaries;
    struct feature_hook *hooks;
    /* scratch, grown: rows of a variant, and what is in them */
    float *acts, *columns, *scales;
    size_t n_acts, n_columns, n_scales;
    float *scratch; /* [2 * widest] */
    /* device [n_device_acts], grown; and a list of edits [edit_capacity] */
    float *device_acts;
    size_t n_device_acts;
    struct edit *edits;
    size_t edit_capacity;
};

/* --- ablate_features.c --- */

/* The changes that a hook makes in a row of the prompts. */
size_t feature_n_changes(const struct feature_hook *hook, size_t row);
bool feature_is_changed(const struct feature_hook *hook, size_t row);
/* Which column of the row's matrix number i of them sets (of a unit without the error), and to
 * what. False: it is a change of another dictionary, or of other positions. */
bool feature_target_of(const struct feature_hook *hook, size_t row, size_t i, size_t *column,
                       float *value);

/* Host room for n_rows rows of scratch. */
MUST_CHECK status_t feature_reserve(float **values, size_t *capacity, size_t n_rows, size_t width,
                                    struct error *err);

/* --- ablate_features_device.c --- */

/* Can the dictionary's changes of this unit be made by operations? Not where the error is one of
 * them: that needs the whole decoder. */
bool feature_is_movable(const struct feature_dictionary *at);
/* A variant_place_fn of a struct feature_hook. */
status_t feature_change_place(void *context, const struct variant_place *place, struct error *err);
void feature_device_destroy(struct ablate_features *features);

/* --- ablate_feature_values.c --- */

/* Column of a feature of the unit; SIZE_MAX: it is none. */
size_t feature_column(const struct feature_dictionary *at, uint32_t feature);
/* Rows of a matrix, out [n, n_columns], from acts [n, width]. */
MUST_CHECK status_t feature_read_rows(struct feature_dictionary *at, const float *acts, size_t n,
                                      float *out, struct error *err);
/* The same from acts on the device, of a unit without the error. */
MUST_CHECK status_t feature_read_device_rows(struct feature_dictionary *at, const float *acts,
                                             size_t n, float *out, struct error *err);
/* clean, and those of values that are wanted. */
MUST_CHECK status_t feature_read_values(struct feature_dictionary *at, struct error *err);

#endif
