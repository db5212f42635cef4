#include "kernels/cpu/panels.h"

#include "common/size.h"

#include <stdlib.h>
#include <string.h>

/* A stretch of a panel (16 kB by AVX2) lies in the first-level cache while rows pass by it, those
 * rows' stretches (192 kB) in the second-level one while panels do. */
enum { PANELS_DEPTH = 256, PANELS_ROWS = 192, PANELS_ALIGNMENT = 64 };

struct panels {
    const struct vector_kernels *kernels;
    size_t n_in, n_out;
    float *values; /* [n_panels, n_in, kernels->multiply_width] */
};

static size_t n_panels(size_t n_out, size_t width)
{
    return n_out / width + (n_out % width != 0);
}

size_t panels_bytes(size_t n_in, size_t n_out, const struct vector_kernels *kernels)
{
    const size_t width = kernels->multiply_width;
    size_t n_bytes, padded;
    if (!size_tensor(n_panels(n_out, width), width, n_in * sizeof(float), &n_bytes) ||
        !size_add(n_bytes, PANELS_ALIGNMENT - 1, &padded))
        return 0;
    return padded / PANELS_ALIGNMENT * PANELS_ALIGNMENT;
}

/* Columns [first, first + n) of W into a panel. */
static void pack_panel(float *panel, const struct pack_params *p, size_t width, size_t first,
                       size_t n)
{
    if (n < width) memset(panel, 0, p->n_in * width * sizeof *panel);
    for (size_t c = 0; c < n && p->is_transposed; c++) {
        const float *column = p->weights + (first + c) * p->n_in;
        for (size_t k = 0; k < p->n_in; k++) panel[k * width + c] = column[k];
    }
    for (size_t k = 0; k < p->n_in && !p->is_transposed; k++)
        memcpy(panel + k * width, p->weights + k * p->n_out + first, n * sizeof *panel);
}

status_t panels_create(struct panels **out, const struct pack_params *params,
                       const struct vector_kernels *kernels, struct error *err)
{
    const size_t n_in = params->n_in, n_out = params->n_out, width = kernels->multiply_width;
    const size_t n_bytes = panels_bytes(n_in, n_out, kernels);
    if (!n_bytes) return error_set(err, ST_TOO_LARGE, "panels of %zu x %zu", n_in, n_out);
    struct panels *panels = calloc(1, sizeof *panels);
    float *values = aligned_alloc(PANELS_ALIGNMENT, n_bytes);
    if (!panels || !values) {
        free(panels);
        free(values);
        return error_set(err, ST_NO_MEMORY, "panels of %zu x %zu", n_in, n_out);
    }
    *panels = (struct panels){kernels, n_in, n_out, values};
    for (size_t first = 0; first < n_out; first += width)
        pack_panel(values + first * n_in, params, width, first,
                   n_out - first < width ? n_out - first : width);
    *out = panels;
    return ST_OK;
}

void panels_destroy(struct panels *panels)
{
    if (!panels) return;
    free(panels->values);
    free(panels);
}

/* The next stretch of n_left columns of x; the last two share what is left evenly. oneDNN's AVX2
 * product has the same, so that most results are the bits that it gave. */
static size_t stretch(size_t n_left)
{
    if (n_left >= 2 * PANELS_DEPTH) return PANELS_DEPTH;
    return n_left > PANELS_DEPTH ? (n_left + 1) / 2 : n_left;
}

/* One stretch, from k on, of all columns of y. */
static void multiply_stretch(const struct panels *panels, struct multiply_params p, size_t k)
{
    const size_t width = panels->kernels->multiply_width;
    float *const y = p.y;
    for (size_t first = 0; first < panels->n_out; first += width) {
        p.panel = panels->values + first * panels->n_in + k * width;
        p.y = y + first;
        p.n_columns = panels->n_out - first < width ? panels->n_out - first : width;
        panels->kernels->multiply(&p);
    }
}

void panels_multiply(const struct panels *panels, const struct matmul_params *p)
{
    for (size_t r = 0; r < p->n_rows; r += PANELS_ROWS) {
        struct multiply_params part = {.y = p->y + r * p->ld_y, .ld_x = p->ld_x, .ld_y = p->ld_y};
        part.n_rows = p->n_rows - r < PANELS_ROWS ? p->n_rows - r : PANELS_ROWS;
        for (size_t k = 0; k < panels->n_in; k += part.depth) {
            part.x = p->x + r * p->ld_x + k;
            part.depth = stretch(panels->n_in - k);
            part.is_added = k > 0;
            multiply_stretch(panels, part, k);
        }
    }
}
