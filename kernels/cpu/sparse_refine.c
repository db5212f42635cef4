#include "kernels/cpu/sparse_refine.h"

#include "common/size.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void refiner_fini(struct refiner *r)
{
    free(r->fired);
    free(r->best);
    free(r->heaps);
    free(r->queue);
    free(r->rows.row_start);
    free(r->rows.feature);
    free(r->rows.value);
    *r = (struct refiner){0};
}

static status_t alloc_best(struct refiner *r, size_t k, struct error *err)
{
    size_t n_bytes;
    if (!size_tensor(SPARSE_BLOCK, k, sizeof *r->heaps, &n_bytes))
        return error_set(err, ST_TOO_LARGE, "top %zu of a token", k);
    r->best = calloc(SPARSE_BLOCK, sizeof *r->best);
    r->heaps = malloc(n_bytes);
    if (!r->best || !r->heaps) return error_set(err, ST_NO_MEMORY, "top %zu of a token", k);
    for (size_t t = 0; t < SPARSE_BLOCK; t++) r->best[t].heap = r->heaps + t * k;
    return ST_OK;
}

status_t refiner_init(struct refiner *r, const struct sparse *sparse, const uint32_t *selected,
                      struct error *err)
{
    *r = (struct refiner){.sparse = sparse, .selected = selected};
    status_t status = ST_OK;
    r->queue = malloc((size_t)SPARSE_PANEL * SPARSE_BLOCK * sizeof *r->queue);
    if (!r->queue) status = error_set(err, ST_NO_MEMORY, "encoder queue");
    if (status == ST_OK && sparse->k) status = alloc_best(r, sparse->k, err);
    if (status != ST_OK) refiner_fini(r);
    return status;
}

status_t refiner_begin(struct refiner *r, size_t n_tokens, struct error *err)
{
    r->rows.n_rows = 0;
    r->n_fired = 0;
    for (size_t t = 0; r->best && t < SPARSE_BLOCK; t++) r->best[t].n = 0;
    if (n_tokens + 1 > r->rows_capacity) {
        size_t *grown = realloc(r->rows.row_start, (n_tokens + 1) * sizeof *grown);
        if (!grown) return error_set(err, ST_NO_MEMORY, "%zu rows", n_tokens);
        r->rows.row_start = grown;
        r->rows_capacity = n_tokens + 1;
    }
    r->rows.row_start[0] = 0;
    return ST_OK;
}

/* a comes before b in the heap: it is worse. */
static bool is_worse(const struct fired *a, const struct fired *b)
{
    if (a->value != b->value) return a->value < b->value;
    return a->feature > b->feature;
}

static void sift_down(struct fired *heap, size_t n)
{
    for (size_t at = 0;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < n; child++) {
            if (is_worse(&heap[child], &heap[least])) least = child;
        }
        if (least == at) return;
        const struct fired swap = heap[at];
        heap[at] = heap[least];
        heap[least] = swap;
        at = least;
    }
}

static void sift_up(struct fired *heap, size_t at)
{
    while (at > 0 && is_worse(&heap[at], &heap[(at - 1) / 2])) {
        const struct fired swap = heap[at];
        heap[at] = heap[(at - 1) / 2];
        heap[(at - 1) / 2] = swap;
        at = (at - 1) / 2;
    }
}

/* Keep `f` if it is among the best k of its token. Features arrive in ascending order, so an
 * equal value later loses the tie. */
static void best_offer(struct best *best, size_t k, struct fired f, float *floor)
{
    if (best->n < k) {
        best->heap[best->n] = f;
        sift_up(best->heap, best->n++);
    } else if (f.value > best->heap[0].value) {
        best->heap[0] = f;
        sift_down(best->heap, k);
    }
    if (best->n == k) *floor = best->heap[0].value;
}

static status_t fired_append(struct refiner *r, struct fired f, struct error *err)
{
    if (r->n_fired == r->capacity) {
        const size_t capacity = r->capacity ? 2 * r->capacity : 4096;
        struct fired *grown = realloc(r->fired, capacity * sizeof *grown);
        if (!grown) return error_set(err, ST_NO_MEMORY, "%zu activations", capacity);
        r->fired = grown;
        r->capacity = capacity;
    }
    r->fired[r->n_fired++] = f;
    return ST_OK;
}

/* The rule of backend.h: the activation of feature f with this dot, or 0 if it is silent. */
static float activation_value(const struct sparse *s, size_t f, float dot)
{
    float pre = dot + s->bias[f];
    if (s->scale) pre *= s->scale[f];
    if (!(pre > 0)) return 0;
    if (s->floor && !(pre > s->floor[f])) return 0;
    if (!s->mag_scale) return pre;
    const float product = dot * s->mag_scale[f];
    const float value = product + s->mag_bias[f];
    return value > 0 ? value : 0;
}

/* `token` counts within `tokens`. */
static status_t take_dot(struct refiner *r, const struct refine_tokens *tokens, size_t feature,
                         size_t token, float dot, struct error *err)
{
    const float value = activation_value(r->sparse, feature, dot);
    const size_t place = tokens->first + token;
    if (!isfinite(dot) || !isfinite(value))
        return error_set(err, ST_BAD_INPUT, "feature %zu overflows on token %zu", feature,
                         r->rows.n_rows + place);
    if (!(value > 0)) return ST_OK;
    const struct fired f = {.token = (uint32_t)place, .feature = (uint32_t)feature, .value = value};
    if (!r->sparse->k) return fired_append(r, f, err);
    best_offer(&r->best[place], r->sparse->k, f, &tokens->floor[token]);
    return ST_OK;
}

/* Exact dots of one feature with its queued tokens, eight rows at a time. */
static status_t refine_feature(struct refiner *r, const struct refine_tokens *tokens,
                               size_t feature, const uint32_t *queue, size_t n_queued,
                               struct error *err)
{
    const struct sparse *s = r->sparse;
    const float *weights = s->rows + feature * s->n_row;
    status_t status = ST_OK;
    for (size_t first = 0; first < n_queued && status == ST_OK; first += 8) {
        const float *rows[8];
        float dots[8];
        const size_t n = n_queued - first < 8 ? n_queued - first : 8;
        for (size_t j = 0; j < n; j++) rows[j] = tokens->x + queue[first + j] * s->n_row;
        s->kernels->dots(weights, rows, n, s->n_row, dots);
        for (size_t j = 0; j < n && status == ST_OK; j++)
            status = take_dot(r, tokens, feature, queue[first + j], dots[j], err);
    }
    r->n_candidates += n_queued;
    return status;
}

static void prefetch_row(const float *row, size_t n)
{
    for (size_t i = 0; i < n; i += 16) __builtin_prefetch(row + i);
}

/* Ask for the rows that feature f will need: they lie anywhere in memory, and waiting for them
 * would cost more than the dots. */
static void prefetch_feature(const struct refiner *r, const struct refine_tokens *tokens,
                             size_t feature, const uint32_t *queue, size_t n_queued)
{
    const size_t n_row = r->sparse->n_row;
    if (!n_queued) return;
    prefetch_row(r->sparse->rows + feature * n_row, n_row);
    for (size_t j = 0; j < n_queued && j < 8; j++)
        prefetch_row(tokens->x + queue[j] * n_row, n_row);
}

status_t refiner_panel(struct refiner *r, size_t panel, const uint32_t *masks,
                       const struct refine_tokens *tokens, struct error *err)
{
    const size_t first = panel * SPARSE_PANEL, n_left = r->sparse->n_features - first;
    const size_t n_features = n_left < SPARSE_PANEL ? n_left : SPARSE_PANEL;
    /* In a topk dictionary every feature competes; the wanted ones are picked at the end. */
    const uint32_t wanted = r->selected && !r->sparse->k ? r->selected[panel] : UINT32_MAX;
    size_t n_queued[SPARSE_PANEL] = {0};
    status_t status = ST_OK;
    for (size_t t = 0; t < tokens->n_tokens; t++) {
        for (uint32_t mask = masks[t] & wanted; mask; mask &= mask - 1) {
            const size_t f = (size_t)__builtin_ctz(mask);
            r->queue[f * SPARSE_BLOCK + n_queued[f]++] = (uint32_t)t;
        }
    }
    prefetch_feature(r, tokens, first, r->queue, n_queued[0]);
    for (size_t f = 0; f < n_features && status == ST_OK; f++) {
        if (f + 1 < n_features)
            prefetch_feature(r, tokens, first + f + 1, r->queue + (f + 1) * SPARSE_BLOCK,
                             n_queued[f + 1]);
        if (n_queued[f])
            status =
                refine_feature(r, tokens, first + f, r->queue + f * SPARSE_BLOCK, n_queued[f], err);
    }
    return status;
}

static int by_feature(const void *a, const void *b)
{
    const struct fired *left = a, *right = b;
    return (left->feature > right->feature) - (left->feature < right->feature);
}

static bool is_selected(const struct refiner *r, size_t feature)
{
    return !r->selected ||
           (r->selected[feature / SPARSE_PANEL] >> feature % SPARSE_PANEL & 1u) != 0;
}

/* topk: the tokens' heaps become `fired`, token by token, features ascending. */
static status_t drain_best(struct refiner *r, size_t n_tokens, struct error *err)
{
    status_t status = ST_OK;
    for (size_t t = 0; t < n_tokens && status == ST_OK; t++) {
        struct best *best = &r->best[t];
        if (best->n) qsort(best->heap, best->n, sizeof *best->heap, by_feature);
        for (size_t i = 0; i < best->n && status == ST_OK; i++) {
            if (is_selected(r, best->heap[i].feature)) status = fired_append(r, best->heap[i], err);
        }
        best->n = 0;
    }
    return status;
}

static status_t entries_reserve(struct refiner *r, size_t n, struct error *err)
{
    if (n <= r->entries_capacity) return ST_OK;
    const size_t capacity = n + n / 2;
    uint32_t *feature = realloc(r->rows.feature, capacity * sizeof *feature);
    if (feature) r->rows.feature = feature;
    float *value = feature ? realloc(r->rows.value, capacity * sizeof *value) : NULL;
    if (value) r->rows.value = value;
    if (!feature || !value) return error_set(err, ST_NO_MEMORY, "%zu activations", n);
    r->entries_capacity = capacity;
    return ST_OK;
}

/* Counting sort by token; stable, so features stay ascending. */
status_t refiner_collect(struct refiner *r, size_t n_tokens, struct error *err)
{
    size_t *start = r->rows.row_start + r->rows.n_rows;
    const size_t base = start[0];
    status_t status = r->sparse->k ? drain_best(r, n_tokens, err) : ST_OK;
    if (status == ST_OK) status = entries_reserve(r, base + r->n_fired, err);
    if (status != ST_OK) return status;
    size_t counts[SPARSE_BLOCK] = {0}, at = base;
    for (size_t i = 0; i < r->n_fired; i++) counts[r->fired[i].token]++;
    for (size_t t = 0; t < n_tokens; t++) {
        const size_t n = counts[t];
        counts[t] = at; /* from here on: where the token's next entry goes */
        at += n;
        start[t + 1] = at;
    }
    for (size_t i = 0; i < r->n_fired; i++) {
        const size_t to = counts[r->fired[i].token]++;
        r->rows.feature[to] = r->fired[i].feature;
        r->rows.value[to] = r->fired[i].value;
    }
    r->rows.n_rows += n_tokens;
    r->n_fired = 0;
    return ST_OK;
}
