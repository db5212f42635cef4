/* What is at the hook point of a dictionary, as rows of its unit's features and its error: in the
 * clean run, on the corrupted prompts, on average. */
#include "worker/tasks/ablate_features_parts.h"

#include "common/size.h"
#include "worker/model/encoder.h"

#include <stdlib.h>
#include <string.h>

/* --- rows of activations ------------------------------------------------------------------- */

static int compare_u32(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

size_t feature_column(const struct feature_dictionary *at, uint32_t feature)
{
    const uint32_t *found =
        bsearch(&feature, at->features, at->n_features, sizeof *at->features, compare_u32);
    return found ? (size_t)(found - at->features) : SIZE_MAX;
}

/* One token's row of a matrix from its firing features [n]. */
static status_t read_token(struct feature_dictionary *at, const float *acts,
                           const uint32_t *features, const float *values, size_t n, float *out,
                           struct error *err)
{
    float *error = out + at->n_features;
    memset(out, 0, at->n_features * sizeof *out);
    for (size_t i = 0; i < n && at->n_features; i++) {
        const size_t column = feature_column(at, features[i]);
        if (column != SIZE_MAX) out[column] = values[i];
    }
    if (!at->has_error) return ST_OK;
    const status_t status =
        encoder_decode(at->dictionary, acts, features, values, n, at->all->scratch, error, err);
    for (size_t i = 0; i < at->width && status == ST_OK; i++) error[i] = acts[i] - error[i];
    return status;
}

/* out [n, n_columns] from acts [n, width]. */
status_t feature_read_rows(struct feature_dictionary *at, const float *acts, size_t n, float *out,
                           struct error *err)
{
    struct sparse_rows rows;
    status_t status = capture_target_read(at->target, NULL, acts, n, &rows, err);
    for (size_t t = 0; t < n && status == ST_OK; t++) {
        const size_t low = rows.row_start[t];
        status = read_token(at, acts + t * at->width, rows.feature + low, rows.value + low,
                            rows.row_start[t + 1] - low, out + t * at->n_columns, err);
    }
    return status;
}

status_t feature_read_device_rows(struct feature_dictionary *at, const float *acts, size_t n,
                                  float *out, struct error *err)
{
    struct sparse_rows rows;
    status_t status = capture_target_read_device(at->target, acts, n, &rows, err);
    for (size_t t = 0; t < n && status == ST_OK; t++) {
        const size_t low = rows.row_start[t];
        status = read_token(at, NULL, rows.feature + low, rows.value + low,
                            rows.row_start[t + 1] - low, out + t * at->n_columns, err);
    }
    return status;
}

/* --- values -------------------------------------------------------------------------------- */

static status_t new_matrix(const struct feature_dictionary *at, size_t n_rows, float **out,
                           struct error *err)
{
    size_t n_bytes;
    if (!size_tensor(n_rows, at->n_columns, sizeof **out, &n_bytes) ||
        n_bytes > ABLATE_MAX_MATRIX_BYTES)
        return error_set(err, ST_TOO_LARGE, "%zu features on %zu tokens", at->n_columns, n_rows);
    *out = calloc(1, n_bytes + 1);
    return *out ? ST_OK : error_set(err, ST_NO_MEMORY, "%zu features", at->n_columns);
}

struct reading {
    struct feature_dictionary *at;
    const struct ablate_rows *rows;
    float *out;     /* rows of all prompts; NULL: means */
    float *batch;   /* means: rows of one batch */
    double *sums;   /* [n_groups, n_columns] */
    size_t *counts; /* [n_groups] */
};

static status_t keep_rows(void *context, size_t low, size_t n, const float *acts, struct error *err)
{
    const struct reading *reading = context;
    const size_t n_ctx = reading->at->all->with.prompts->n_ctx;
    return feature_read_rows(reading->at, acts, n * n_ctx,
                             reading->out + low * n_ctx * reading->at->n_columns, err);
}

static status_t sum_rows(void *context, size_t low, size_t n, const float *acts, struct error *err)
{
    const struct reading *reading = context;
    const struct ablate_features *all = reading->at->all;
    const size_t n_ctx = all->with.prompts->n_ctx, n_columns = reading->at->n_columns;
    const status_t status = feature_read_rows(reading->at, acts, n * n_ctx, reading->batch, err);
    for (size_t i = 0; i < n && status == ST_OK; i++)
        for (size_t t = 0; t < reading->rows->lengths[low + i]; t++) {
            const size_t group =
                ablate_values_group(all->with.values, reading->rows->templates[low + i], t);
            const float *from = reading->batch + (i * n_ctx + t) * n_columns;
            double *to = reading->sums + group * n_columns;
            for (size_t k = 0; k < n_columns; k++) to[k] += (double)from[k];
            reading->counts[group]++;
        }
    return status;
}

static status_t read_prompts(struct feature_dictionary *at, const struct ablate_rows *rows,
                             float **out, struct error *err)
{
    const struct ablate_features_params *with = &at->all->with;
    status_t status = new_matrix(at, rows->n * with->prompts->n_ctx, out, err);
    struct reading reading = {.at = at, .rows = rows, .out = *out};
    return status == ST_OK
               ? ablate_values_pass(with->values, rows, at->hook, keep_rows, &reading, err)
               : status;
}

/* Row r of the prompts from the mean of its group. */
static void write_means(const struct reading *reading, float *out)
{
    const struct ablate_features_params *with = &reading->at->all->with;
    const struct ablate_rows *rows = &with->prompts->clean;
    const size_t n_ctx = with->prompts->n_ctx, n_columns = reading->at->n_columns;
    for (size_t i = 0; i < rows->n; i++)
        for (size_t t = 0; t < rows->lengths[i]; t++) {
            const size_t group = ablate_values_group(with->values, rows->templates[i], t);
            const double *sum = reading->sums + group * n_columns;
            float *to = out + (i * n_ctx + t) * n_columns;
            for (size_t k = 0; k < n_columns; k++)
                to[k] = (float)(sum[k] / (double)reading->counts[group]);
        }
}

static status_t sum_reference(struct reading *reading, struct error *err)
{
    const struct ablate_features_params *with = &reading->at->all->with;
    status_t status =
        ablate_values_pass(with->values, reading->rows, reading->at->hook, sum_rows, reading, err);
    return status == ST_OK ? ablate_values_check(with->values, reading->counts, err) : status;
}

static status_t read_means(struct feature_dictionary *at, float **out, struct error *err)
{
    const struct ablate_features_params *with = &at->all->with;
    const size_t n_groups = ablate_values_n_groups(with->values);
    const size_t n_rows = with->prompts->clean.n * with->prompts->n_ctx;
    struct reading reading = {.at = at, .rows = &with->prompts->reference};
    status_t status = new_matrix(at, n_rows, out, err);
    if (status == ST_OK) status = new_matrix(at, n_rows, &reading.batch, err);
    if (status != ST_OK) return status;
    reading.sums = calloc(n_groups, at->n_columns * sizeof *reading.sums);
    reading.counts = calloc(n_groups, sizeof *reading.counts);
    status = reading.sums && reading.counts ? sum_reference(&reading, err)
                                            : error_set(err, ST_NO_MEMORY, "%zu means", n_groups);
    if (status == ST_OK) write_means(&reading, *out);
    free(reading.batch);
    free(reading.sums);
    free(reading.counts);
    return status;
}

/* A variant that changes nothing shows what is there: bit for bit what variants see. */
struct capture {
    struct feature_dictionary *at;
    float *acts; /* [n_prompts * n_ctx, width] */
};

static status_t copy_rows(void *context, const struct variant_rows *rows, struct error *err)
{
    const struct capture *capture = context;
    const size_t width = capture->at->width;
    (void)err;
    for (size_t r = 0; r < rows->n_rows; r++)
        memcpy(capture->acts + rows->rows[r] * width, rows->values + r * rows->ld,
               width * sizeof(float));
    return ST_OK;
}

static status_t drop(void *context, size_t index, const float *logits, const float *clean,
                     struct error *err)
{
    (void)context;
    (void)index;
    (void)logits;
    (void)clean;
    (void)err;
    return ST_OK;
}

static status_t read_clean(struct feature_dictionary *at, struct error *err)
{
    const struct ablate_features_params *with = &at->all->with;
    const size_t n_rows = with->prompts->clean.n * with->prompts->n_ctx;
    struct capture capture = {at, calloc(n_rows, at->width * sizeof(float))};
    const struct variant_hook hook = {at->hook, copy_rows, &capture, NULL};
    const struct variant look = {.hooks = &hook, .n_hooks = 1};
    if (!capture.acts) return error_set(err, ST_NO_MEMORY, "%zu tokens", n_rows);
    status_t status = variants_run_naive(with->variants, &look, 1, drop, NULL, err);
    if (status == ST_OK) status = new_matrix(at, n_rows, &at->clean, err);
    if (status == ST_OK) status = feature_read_rows(at, capture.acts, n_rows, at->clean, err);
    free(capture.acts);
    return status;
}

status_t feature_read_values(struct feature_dictionary *at, struct error *err)
{
    const struct ablate_prompts *prompts = at->all->with.prompts;
    status_t status = read_clean(at, err);
    if (status == ST_OK && at->is_wanted[ABLATE_RESAMPLE])
        status = read_prompts(at, &prompts->corrupted, &at->values[ABLATE_RESAMPLE], err);
    if (status == ST_OK && at->is_wanted[ABLATE_MEAN])
        status = read_means(at, &at->values[ABLATE_MEAN], err);
    return status;
}
