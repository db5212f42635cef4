/* The digest of a unit: its rows are encoded into memory of the device, grouped and selected there,
 * and what is left of them is fetched. */
#include "kernels/cuda/sparse_encoder.h"

#include "common/evidence_bins.h"
#include "common/size.h"

#include <stdlib.h>

void sparse_digest_close(struct sparse_digest *digest)
{
    struct digest_array *const host[] = {&digest->host_starts, &digest->slots,     &digest->active,
                                         &digest->words,       &digest->positions, &digest->values};
    for (size_t i = 0; i < sizeof host / sizeof host[0]; i++) free(host[i]->memory);
    scratch_release(&digest->arrays);
    scratch_release(&digest->cuts);
}

/* --- memory -------------------------------------------------------------------------------- */

enum { ALIGNMENT = 256 };

/* Arrays one behind the other; NULL memory: their bytes are merely counted. */
struct arena {
    unsigned char *memory;
    size_t n_bytes;
    bool is_too_large;
};

static void *take(struct arena *arena, size_t rows, size_t columns, size_t item)
{
    const size_t at = arena->n_bytes;
    size_t n_bytes;
    if (!size_tensor(rows, columns, item, &n_bytes) || !size_add(n_bytes, ALIGNMENT, &n_bytes) ||
        !size_add(at, n_bytes / ALIGNMENT * ALIGNMENT, &arena->n_bytes))
        arena->is_too_large = true;
    return arena->memory ? arena->memory + at : NULL;
}

static size_t room_of(const struct digest_shape *shape)
{
    return shape->n_tokens * (shape->n_features < DIGEST_SHARE ? shape->n_features : DIGEST_SHARE);
}

static size_t active_words(size_t n_windows)
{
    return (n_windows + SPARSE_WORD - 1) / SPARSE_WORD;
}

/* What comes down takes the place of what is no longer read by then. */
static void lay_out(struct sparse_digest *digest, const struct digest_shape *shape,
                    struct arena *arena)
{
    struct digest_device *d = &digest->device;
    const size_t n = room_of(shape), n_slots = shape->n_features;
    d->n_slots = n_slots;
    digest->windows = take(arena, shape->n_windows, 1, sizeof *d->windows);
    digest->row_starts = take(arena, shape->n_tokens + 1, 1, sizeof *d->row_starts);
    d->feature = take(arena, n, 1, sizeof *d->feature);
    d->value = take(arena, n, 1, sizeof *d->value);
    d->ends = take(arena, n_slots, shape->n_windows, sizeof *d->ends);
    d->slot_starts = take(arena, n_slots + 1, 1, sizeof *d->slot_starts);
    d->grouped_value = take(arena, n, 1, sizeof *d->grouped_value);
    d->grouped_position = take(arena, n, 1, sizeof *d->grouped_position);
    d->words = take(arena, n, DIGEST_WORDS + 1, sizeof *d->words);
    d->key = (void *)d->words;
    d->max_bits = d->words ? d->words + 2 * n : NULL;
    d->candidate = d->words ? d->words + DIGEST_WORDS * n : NULL;
    d->staged = take(arena, n, DIGEST_WORDS, sizeof *d->staged);
    d->slots = take(arena, n_slots, 1, sizeof *d->slots);
    d->active = take(arena, n_slots, active_words(shape->n_windows), sizeof *d->active);
    d->word_starts = take(arena, n_slots + 1, 1, sizeof *d->word_starts);
    d->pair_starts = take(arena, n_slots + 1, 1, sizeof *d->pair_starts);
    d->windows = digest->windows;
    d->row_starts = digest->row_starts;
    d->positions = (void *)d->feature;
    d->values = d->value;
}

static bool is_possible(const struct digest_shape *shape)
{
    return shape->n_features > 0 && shape->n_tokens <= DIGEST_MAX_TOKENS &&
           shape->n_windows <= DIGEST_MAX_WINDOWS;
}

static size_t array_bytes(const struct digest_shape *shape)
{
    struct sparse_digest nowhere = {.room = 0};
    struct arena arena = {.memory = NULL};
    if (!is_possible(shape)) return 0;
    lay_out(&nowhere, shape, &arena);
    return arena.is_too_large ? 0 : arena.n_bytes;
}

static size_t cut_bytes(size_t n_features, size_t n_limits)
{
    return n_features * sizeof(struct digest_cut) + n_limits;
}

size_t sparse_digest_estimate(const struct backend *backend, const struct digest_shape *shape)
{
    const size_t n_arrays = array_bytes(shape);
    size_t n_bytes;
    (void)backend;
    if (!n_arrays ||
        !size_add(n_arrays,
                  cut_bytes(shape->n_features, shape->n_features * EVIDENCE_RESERVOIR_BINS),
                  &n_bytes))
        return 0;
    return n_bytes;
}

/* At least n_bytes; what it held is lost when it grows. */
static status_t reserve_host(struct digest_array *array, size_t n_bytes, struct error *err)
{
    if (n_bytes <= array->n_bytes && array->memory) return ST_OK;
    free(array->memory);
    array->memory = malloc(n_bytes + n_bytes / 2 + 1);
    array->n_bytes = array->memory ? n_bytes + n_bytes / 2 + 1 : 0;
    return array->memory ? ST_OK : error_set(err, ST_NO_MEMORY, "digest of %zu bytes", n_bytes);
}

/* --- before the rows ----------------------------------------------------------------------- */

static status_t check_params(const struct sparse_encoder *e, const struct digest_params *p,
                             struct error *err)
{
    if (e->selected) return error_set(err, ST_BAD_INPUT, "digest of selected features");
    if (p->n_tokens > DIGEST_MAX_TOKENS || p->room_windows > DIGEST_MAX_WINDOWS)
        return error_set(err, ST_TOO_LARGE, "digest of %zu tokens in %zu windows", p->n_tokens,
                         p->room_windows);
    if (p->n_windows > p->room_windows)
        return error_set(err, ST_BAD_INPUT, "digest of %zu windows in the room of %zu",
                         p->n_windows, p->room_windows);
    for (size_t w = 0; w < p->n_windows; w++) {
        const struct digest_window *window = &p->windows[w];
        if (window->n_tokens > DIGEST_MAX_POSITIONS || window->first_token > p->n_tokens ||
            window->n_tokens > p->n_tokens - window->first_token)
            return error_set(err, ST_BAD_INPUT, "digest: window %zu is not in %zu tokens", w,
                             p->n_tokens);
    }
    return ST_OK;
}

static status_t reserve_arrays(struct sparse_encoder *e, const struct digest_params *p,
                               struct error *err)
{
    struct sparse_digest *digest = &e->digest;
    const struct digest_shape shape = {e->sparse->device.n_features, p->n_tokens, p->room_windows};
    const size_t n_bytes = array_bytes(&shape);
    if (!n_bytes) return error_set(err, ST_TOO_LARGE, "digest of %zu tokens", p->n_tokens);
    const status_t status = scratch_reserve(e->exec, &digest->arrays, n_bytes, err);
    if (status != ST_OK) return status;
    struct arena arena = {.memory = digest->arrays.memory};
    lay_out(digest, &shape, &arena);
    digest->device.n_windows = p->n_windows;
    digest->device.n_active_words = active_words(p->n_windows);
    digest->room = room_of(&shape);
    digest->device.top_k = p->top_k;
    digest->device.bin_k = p->bin_k;
    return ST_OK;
}

static status_t check_cuts(const struct digest_cuts *cuts, size_t n_features, struct error *err)
{
    for (size_t f = 0; f < n_features; f++) {
        const struct digest_cut *cut = &cuts->cut[f];
        if (cut->n_bins > EVIDENCE_RESERVOIR_BINS || cut->first_limit > cuts->n_limits ||
            cut->n_bins > cuts->n_limits - cut->first_limit)
            return error_set(err, ST_BAD_INPUT, "digest: limits of feature %zu", f);
    }
    return ST_OK;
}

static status_t put_cuts(struct sparse_encoder *e, const struct digest_cuts *cuts,
                         struct error *err)
{
    struct sparse_digest *digest = &e->digest;
    const size_t n_features = e->sparse->device.n_features;
    digest->device.cuts = NULL;
    if (!cuts) return ST_OK;
    status_t status = ST_OK;
    if (cuts->number != digest->cuts_number) {
        digest->cuts_number = 0;
        status = check_cuts(cuts, n_features, err);
        if (status == ST_OK)
            status =
                scratch_reserve(e->exec, &digest->cuts,
                                cut_bytes(n_features, n_features * EVIDENCE_RESERVOIR_BINS), err);
        if (status == ST_OK)
            status = exec_upload(e->exec, digest->cuts.memory, cuts->cut,
                                 n_features * sizeof *cuts->cut, err);
        if (status == ST_OK)
            status = exec_upload(e->exec,
                                 (unsigned char *)digest->cuts.memory + cut_bytes(n_features, 0),
                                 cuts->limits, cuts->n_limits, err);
    }
    if (status != ST_OK) return status;
    digest->cuts_number = cuts->number;
    digest->device.cuts = digest->cuts.memory;
    digest->device.limits = (unsigned char *)digest->cuts.memory + cut_bytes(n_features, 0);
    return ST_OK;
}

status_t sparse_digest_take(struct sparse_encoder *e, const struct sparse_entries *entries,
                            size_t at, size_t n, struct error *err)
{
    const struct digest_device *d = &e->digest.device;
    if (at > e->digest.room || n > e->digest.room - at) return ST_OK; /* seen when it is over */
    const status_t status =
        exec_copy(e->exec, d->feature + at, entries->feature, n * sizeof *d->feature, err);
    return status == ST_OK
               ? exec_copy(e->exec, d->value + at, entries->value, n * sizeof *d->value, err)
               : status;
}

/* --- from rows to the digest --------------------------------------------------------------- */

/* Where rows begin, and the windows. */
static status_t put_unit(struct sparse_encoder *e, const struct digest_params *p, struct error *err)
{
    struct sparse_digest *digest = &e->digest;
    const size_t n_starts = p->n_tokens + 1;
    status_t status = reserve_host(&digest->host_starts, n_starts * sizeof(uint32_t), err);
    if (status != ST_OK) return status;
    uint32_t *starts = digest->host_starts.memory;
    for (size_t t = 0; t < n_starts; t++) starts[t] = (uint32_t)e->rows.row_start[t];
    status = exec_upload(e->exec, digest->row_starts, starts, n_starts * sizeof *starts, err);
    return status == ST_OK ? exec_upload(e->exec, digest->windows, p->windows,
                                         p->n_windows * sizeof *p->windows, err)
                           : status;
}

/* Without a window there is nothing to launch over, and no slot has a value. */
static status_t group(struct sparse_encoder *e, struct error *err)
{
    const struct digest_device *d = &e->digest.device;
    const bool has_windows = d->n_windows > 0;
    cudaStream_t stream = e->exec->stream;
    cudaError_t code =
        cudaMemsetAsync(d->ends, 0, d->n_slots * d->n_windows * sizeof *d->ends, stream);
    if (code == cudaSuccess && has_windows) code = launch_digest_count(stream, d);
    if (code == cudaSuccess) code = launch_digest_total(stream, d);
    if (code == cudaSuccess) code = launch_sparse_starts(stream, d->slot_starts, d->n_slots);
    if (code == cudaSuccess) code = launch_digest_place(stream, d);
    if (code == cudaSuccess && has_windows) code = launch_digest_group(stream, d);
    return cuda_check(code, "grouping by feature", err);
}

static status_t choose(struct sparse_encoder *e, struct error *err)
{
    const struct digest_device *d = &e->digest.device;
    cudaStream_t stream = e->exec->stream;
    cudaError_t code = launch_digest_select(stream, d);
    if (code == cudaSuccess) code = launch_sparse_starts(stream, d->word_starts, d->n_slots);
    if (code == cudaSuccess) code = launch_sparse_starts(stream, d->pair_starts, d->n_slots);
    if (code == cudaSuccess) code = launch_digest_pack(stream, d);
    return cuda_check(code, "selecting windows", err);
}

static status_t fetch(struct sparse_encoder *e, struct digest_array *to, const void *from,
                      size_t n_bytes, struct error *err)
{
    const status_t status = reserve_host(to, n_bytes, err);
    return status == ST_OK && n_bytes ? exec_download(e->exec, to->memory, from, n_bytes, err)
                                      : status;
}

static status_t fetch_digest(struct sparse_encoder *e, struct digest *out, struct error *err)
{
    struct sparse_digest *digest = &e->digest;
    const struct digest_device *d = &digest->device;
    uint32_t n_words = 0, n_pairs = 0;
    status_t status =
        exec_download(e->exec, &n_words, d->word_starts + d->n_slots, sizeof n_words, err);
    if (status == ST_OK)
        status = exec_download(e->exec, &n_pairs, d->pair_starts + d->n_slots, sizeof n_pairs, err);
    if (status == ST_OK)
        status = fetch(e, &digest->slots, d->slots, d->n_slots * sizeof *d->slots, err);
    if (status == ST_OK)
        status = fetch(e, &digest->active, d->active,
                       d->n_slots * d->n_active_words * sizeof *d->active, err);
    if (status == ST_OK)
        status = fetch(e, &digest->words, d->words, n_words * sizeof *d->words, err);
    if (status == ST_OK)
        status = fetch(e, &digest->positions, d->positions, n_pairs * sizeof *d->positions, err);
    if (status == ST_OK)
        status = fetch(e, &digest->values, d->values, n_pairs * sizeof *d->values, err);
    *out = (struct digest){.n_slots = d->n_slots,
                           .n_active_words = d->n_active_words,
                           .slots = digest->slots.memory,
                           .active = digest->active.memory,
                           .words = digest->words.memory,
                           .positions = digest->positions.memory,
                           .values = digest->values.memory};
    return status;
}

status_t sparse_encoder_digest(struct sparse_encoder *e, const struct digest_params *p,
                               struct digest *out, struct error *err)
{
    status_t status = exec_enter(e->exec, err);
    if (status == ST_OK) status = check_params(e, p, err);
    if (status == ST_OK) status = reserve_arrays(e, p, err);
    if (status == ST_OK) status = put_cuts(e, p->cuts, err);
    if (status != ST_OK) return status;
    e->digest.is_open = true;
    status = sparse_encoder_run_rows(e, p->x, p->n_tokens, err);
    e->digest.is_open = false;
    if (status != ST_OK) return status;
    if (e->rows.row_start[e->rows.n_rows] > e->digest.room) {
        *out = (struct digest){.is_over = true};
        return ST_OK;
    }
    status = put_unit(e, p, err);
    if (status == ST_OK) status = group(e, err);
    if (status == ST_OK) status = choose(e, err);
    return status == ST_OK ? fetch_digest(e, out, err) : status;
}
