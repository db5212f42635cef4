#include "worker/tasks/ablate_features_parts.h"

#include "common/size.h"
#include "worker/model/encoder.h"

#include <stdlib.h>
#include <string.h>

/* --- life ---------------------------------------------------------------------------------- */

static void forget_unit(struct feature_dictionary *at)
{
    free(at->features);
    free(at->directions);
    free(at->clean);
    for (size_t i = 0; i < ABLATE_N_VALUES; i++) free(at->values[i]);
    *at = (struct feature_dictionary){.all = at->all,
                                      .target = at->target,
                                      .dictionary = at->dictionary,
                                      .hook = at->hook,
                                      .width = at->width,
                                      .device_directions = at->device_directions,
                                      .n_device_directions = at->n_device_directions};
}

void ablate_features_forget(struct ablate_features *self)
{
    while (self->hooks) {
        struct feature_hook *next = self->hooks->next;
        free(self->hooks);
        self->hooks = next;
    }
    for (size_t i = 0; i < self->n_dictionaries; i++) forget_unit(&self->dictionaries[i]);
}

void ablate_features_destroy(struct ablate_features **features)
{
    struct ablate_features *self = *features;
    if (!self) return;
    if (self->dictionaries) ablate_features_forget(self);
    feature_device_destroy(self);
    for (size_t i = 0; self->dictionaries && i < self->n_dictionaries; i++)
        capture_target_close(&self->dictionaries[i].target);
    free(self->dictionaries);
    free(self->acts);
    free(self->columns);
    free(self->scales);
    free(self->scratch);
    free(self);
    *features = NULL;
}

static status_t open_dictionary(struct ablate_features *self, struct feature_dictionary *at,
                                const json_t *item, struct error *err)
{
    struct slot_unit first;
    char name[HOOK_NAME_SIZE];
    at->all = self;
    status_t status =
        capture_target_open(&at->target, self->with.models, self->with.model, item, err);
    if (status == ST_OK) status = capture_target_slot_unit(at->target, 0, &first, err);
    if (status != ST_OK) return status;
    at->dictionary = first.dictionary;
    at->hook = capture_target_hook(at->target);
    at->width = hook_point_width(at->hook, model_config(self->with.model));
    if (!at->dictionary) return error_set(err, ST_BAD_INPUT, "units must be dictionary");
    return forward_can_edit(at->hook.kind) ? ST_OK
                                           : error_set(err, ST_BAD_INPUT, "%s cannot be changed",
                                                       hook_point_name(at->hook, name));
}

static status_t open_all(struct ablate_features *self, const json_t *list, struct error *err)
{
    const size_t n = json_array_size(list);
    size_t widest = 1;
    if (n > ABLATE_MAX_DICTIONARIES)
        return error_set(err, ST_TOO_LARGE, "%zu dictionaries, at most %d", n,
                         ABLATE_MAX_DICTIONARIES);
    self->dictionaries = calloc(n + 1, sizeof *self->dictionaries);
    if (!self->dictionaries) return error_set(err, ST_NO_MEMORY, "dictionaries");
    for (size_t i = 0; i < n; i++) {
        struct feature_dictionary *at = &self->dictionaries[self->n_dictionaries++];
        const status_t status = open_dictionary(self, at, json_array_get(list, i), err);
        if (status != ST_OK) return error_wrap(err, "dictionary %zu", i);
        widest = at->width > widest ? at->width : widest;
    }
    self->scratch = calloc(widest, 2 * sizeof *self->scratch);
    return self->scratch ? ST_OK : error_set(err, ST_NO_MEMORY, "dictionaries");
}

status_t ablate_features_create(struct ablate_features **out,
                                const struct ablate_features_params *params, const json_t *spec,
                                struct error *err)
{
    struct ablate_features *self = calloc(1, sizeof *self);
    if (!self) return error_set(err, ST_NO_MEMORY, "features");
    self->with = *params;
    const status_t status = open_all(self, json_object_get(spec, "dictionaries"), err);
    if (status == ST_OK)
        *out = self;
    else
        ablate_features_destroy(&self);
    return status;
}

uint32_t ablate_features_n_dictionaries(const struct ablate_features *features)
{
    return features->n_dictionaries;
}

bool ablate_is_feature(const struct ablate_change *change)
{
    return change->at.place == ABLATE_FEATURE || change->at.place == ABLATE_ERROR;
}

/* --- a unit -------------------------------------------------------------------------------- */

static status_t check_change(const struct ablate_features *self, const struct ablate_change *c,
                             struct error *err)
{
    const bool is_error = c->at.place == ABLATE_ERROR;
    if (c->at.layer >= self->n_dictionaries)
        return error_set(err, ST_BAD_INPUT, "dictionary %u of %u", (unsigned)c->at.layer,
                         (unsigned)self->n_dictionaries);
    if (c->sender.n_columns)
        return error_set(err, ST_BAD_INPUT, "dictionary %u receives nothing",
                         (unsigned)c->at.layer);
    const size_t n_features =
        dictionary_config(self->dictionaries[c->at.layer].dictionary)->n_features;
    if (c->at.n_columns != 1 || c->at.column >= (is_error ? 1 : n_features))
        return error_set(err, ST_BAD_INPUT, "dictionary %u: %s %u of %zu", (unsigned)c->at.layer,
                         is_error ? "error" : "feature", (unsigned)c->at.column,
                         is_error ? (size_t)1 : n_features);
    return c->positions <= self->with.prompts->n_masks
               ? ST_OK
               : error_set(err, ST_BAD_INPUT, "positions %u of %zu", (unsigned)c->positions,
                           self->with.prompts->n_masks);
}

static int compare_u32(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* features, n_columns, has_error, is_wanted of every dictionary. */
static status_t note_changes(struct ablate_features *self, const struct ablate_change *changes,
                             size_t n, struct error *err)
{
    for (size_t i = 0; i < n; i++) {
        if (!ablate_is_feature(&changes[i])) continue;
        const status_t status = check_change(self, &changes[i], err);
        if (status != ST_OK) return error_wrap(err, "change %zu", i);
        struct feature_dictionary *at = &self->dictionaries[changes[i].at.layer];
        at->is_wanted[changes[i].value] = true;
        at->has_error = at->has_error || changes[i].at.place == ABLATE_ERROR;
        at->n_features += changes[i].at.place == ABLATE_FEATURE;
    }
    for (size_t d = 0; d < self->n_dictionaries; d++) {
        struct feature_dictionary *at = &self->dictionaries[d];
        size_t n_all = 0, n_unique = 0;
        at->features = calloc(at->n_features + 1, sizeof *at->features);
        if (!at->features) return error_set(err, ST_NO_MEMORY, "%zu features", at->n_features);
        for (size_t i = 0; i < n; i++)
            if (changes[i].at.place == ABLATE_FEATURE && changes[i].at.layer == d)
                at->features[n_all++] = changes[i].at.column;
        qsort(at->features, n_all, sizeof *at->features, compare_u32);
        for (size_t i = 0; i < n_all; i++)
            if (!i || at->features[i] != at->features[i - 1])
                at->features[n_unique++] = at->features[i];
        at->n_features = n_unique;
        at->n_columns = n_unique + (at->has_error ? at->width : 0);
    }
    return ST_OK;
}

/* The error needs all of the features. */
static status_t select_features(const struct feature_dictionary *at, struct error *err)
{
    const size_t n_all = dictionary_config(at->dictionary)->n_features;
    if (!at->has_error) return capture_target_select(at->target, at->features, at->n_features, err);
    uint32_t *all = malloc(n_all * sizeof *all);
    if (!all) return error_set(err, ST_NO_MEMORY, "%zu features", n_all);
    for (size_t i = 0; i < n_all; i++) all[i] = (uint32_t)i;
    const status_t status = capture_target_select(at->target, all, n_all, err);
    free(all);
    return status;
}

static status_t read_directions(struct feature_dictionary *at, struct error *err)
{
    size_t n_bytes;
    status_t status = ST_OK;
    if (!size_tensor(at->n_features, at->width, sizeof(float), &n_bytes) ||
        n_bytes > ABLATE_MAX_MATRIX_BYTES)
        return error_set(err, ST_TOO_LARGE, "%zu features", at->n_features);
    at->directions = malloc(n_bytes + 1);
    if (!at->directions) return error_set(err, ST_NO_MEMORY, "%zu features", at->n_features);
    for (size_t i = 0; i < at->n_features && status == ST_OK; i++)
        status = dictionary_direction(at->dictionary, at->features[i],
                                      at->directions + i * at->width, err);
    return status;
}

static status_t prepare(struct feature_dictionary *at, struct error *err)
{
    if (at->n_columns == 0) return ST_OK;
    status_t status = select_features(at, err);
    if (status == ST_OK) status = read_directions(at, err);
    return status == ST_OK ? feature_read_values(at, err) : status;
}

status_t ablate_features_prepare(struct ablate_features *self, const struct ablate_change *changes,
                                 size_t n, struct error *err)
{
    ablate_features_forget(self);
    status_t status = note_changes(self, changes, n, err);
    for (size_t d = 0; d < self->n_dictionaries && status == ST_OK; d++) {
        status = prepare(&self->dictionaries[d], err);
        if (status != ST_OK) (void)error_wrap(err, "dictionary %zu", d);
    }
    return status;
}

/* --- changes ------------------------------------------------------------------------------- */

/* Columns of a change in a row of its dictionary's matrices. */
struct columns {
    size_t first, n;
};

static struct columns columns_of(const struct feature_dictionary *at,
                                 const struct ablate_change *change)
{
    return change->at.place == ABLATE_ERROR
               ? (struct columns){at->n_features, at->width}
               : (struct columns){feature_column(at, change->at.column), 1};
}

static bool is_in_positions(const struct ablate_features *self, const struct ablate_change *change,
                            size_t row)
{
    return !change->positions || self->with.prompts->masks[change->positions - 1][row];
}

/* What column `k` of a row is to become. */
static float value_at(const struct feature_dictionary *at, const struct ablate_change *change,
                      size_t row, size_t column)
{
    const float *values = at->values[change->value];
    return values ? values[row * at->n_columns + column] : 0.0F;
}

bool ablate_features_is_silent(const struct ablate_features *self,
                               const struct ablate_change *change, size_t prompt)
{
    const struct ablate_prompts *prompts = self->with.prompts;
    const struct feature_dictionary *at = &self->dictionaries[change->at.layer];
    const struct columns columns = columns_of(at, change);
    for (size_t t = 0; t < prompts->clean.lengths[prompt]; t++) {
        const size_t row = prompt * prompts->n_ctx + t;
        if (!is_in_positions(self, change, row)) continue;
        for (size_t k = columns.first; k < columns.first + columns.n; k++)
            if (at->clean[row * at->n_columns + k] != value_at(at, change, row, k)) return false;
    }
    return true;
}

static bool is_of(const struct feature_hook *hook, const struct ablate_change *change, size_t row)
{
    return ablate_is_feature(change) && change->at.layer == hook->number &&
           is_in_positions(hook->at->all, change, row);
}

/* The changes of the row's prompt. */
static const struct feature_changes *changes_at(const struct feature_hook *hook, size_t row)
{
    return &hook->by_prompt[row / hook->at->all->with.prompts->n_ctx];
}

size_t feature_n_changes(const struct feature_hook *hook, size_t row)
{
    return changes_at(hook, row)->n;
}

bool feature_target_of(const struct feature_hook *hook, size_t row, size_t i, size_t *column,
                       float *value)
{
    const struct ablate_change *change = &changes_at(hook, row)->changes[i];
    if (!is_of(hook, change, row)) return false;
    *column = columns_of(hook->at, change).first;
    *value = value_at(hook->at, change, row, *column);
    return true;
}

bool feature_is_changed(const struct feature_hook *hook, size_t row)
{
    const struct feature_changes *list = changes_at(hook, row);
    for (size_t i = 0; i < list->n; i++)
        if (is_of(hook, &list->changes[i], row)) return true;
    return false;
}

/* now: the row's columns before any change; x [width] is changed. */
static void change_row(const struct feature_hook *hook, size_t row, const float *acts,
                       const float *now, float *x)
{
    const struct feature_dictionary *at = hook->at;
    const struct feature_changes *list = changes_at(hook, row);
    const float scale = encoder_output_scale(at->dictionary, acts, at->all->scratch);
    for (size_t i = 0; i < list->n; i++) {
        const struct ablate_change *change = &list->changes[i];
        if (!is_of(hook, change, row)) continue;
        const struct columns columns = columns_of(at, change);
        for (size_t k = columns.first; k < columns.first + columns.n; k++) {
            const float by = value_at(at, change, row, k) - now[k];
            if (by == 0.0F) continue; /* to the bit */
            if (change->at.place == ABLATE_ERROR) {
                x[k - columns.first] += by;
                continue;
            }
            const float *direction = at->directions + k * at->width;
            for (size_t d = 0; d < at->width; d++) x[d] += by * scale * direction[d];
        }
    }
}

status_t feature_reserve(float **values, size_t *capacity, size_t n_rows, size_t width,
                         struct error *err)
{
    size_t n_bytes;
    if (!size_tensor(n_rows, width, sizeof **values, &n_bytes))
        return error_set(err, ST_TOO_LARGE, "%zu changed tokens", n_rows);
    if (n_bytes / sizeof **values <= *capacity) return ST_OK;
    free(*values);
    *values = malloc(n_bytes);
    *capacity = *values ? n_bytes / sizeof **values : 0;
    return *values ? ST_OK : error_set(err, ST_NO_MEMORY, "%zu changed tokens", n_rows);
}

static status_t apply(void *context, const struct variant_rows *rows, struct error *err)
{
    struct feature_hook *hook = context;
    struct feature_dictionary *at = hook->at;
    struct ablate_features *self = at->all;
    size_t n = 0;
    status_t status = feature_reserve(&self->acts, &self->n_acts, rows->n_rows, at->width, err);
    if (status == ST_OK)
        status =
            feature_reserve(&self->columns, &self->n_columns, rows->n_rows, at->n_columns, err);
    if (status != ST_OK) return status;
    for (size_t r = 0; r < rows->n_rows; r++)
        if (feature_is_changed(hook, rows->rows[r]))
            memcpy(self->acts + n++ * at->width, rows->values + r * rows->ld,
                   at->width * sizeof(float));
    if (n == 0) return ST_OK;
    status = feature_read_rows(at, self->acts, n, self->columns, err);
    n = 0;
    for (size_t r = 0; r < rows->n_rows && status == ST_OK; r++) {
        if (!feature_is_changed(hook, rows->rows[r])) continue;
        change_row(hook, rows->rows[r], self->acts + n * at->width,
                   self->columns + n * at->n_columns, rows->values + r * rows->ld);
        n++;
    }
    return status;
}

status_t ablate_features_hook(struct ablate_features *self, uint32_t dictionary,
                              const struct feature_changes *by_prompt, struct variant_hook *out,
                              struct error *err)
{
    struct feature_hook *hook = malloc(sizeof *hook);
    if (!hook) return error_set(err, ST_NO_MEMORY, "a change of features");
    *hook = (struct feature_hook){.next = self->hooks,
                                  .at = &self->dictionaries[dictionary],
                                  .by_prompt = by_prompt,
                                  .number = dictionary};
    self->hooks = hook;
    *out = (struct variant_hook){hook->at->hook, apply, hook,
                                 feature_is_movable(hook->at) ? feature_change_place : NULL};
    return ST_OK;
}
