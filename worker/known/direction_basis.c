#include "worker/known/direction_basis.h"

#include "common/size.h"
#include "worker/known/known_draw.h"
#include "worker/known/plain_trig.h"

#include <math.h>
#include <stdlib.h>

status_t direction_basis_create(double **out, size_t d_model, uint64_t seed, struct error *err)
{
    struct draw stream = known_draw(seed, RANDOM_DIRECTIONS, 0);
    size_t n_bytes;
    if (d_model < 2 || d_model > UINT32_MAX ||
        !size_tensor(d_model - 1, d_model, sizeof **out, &n_bytes))
        return error_set(err, ST_TOO_LARGE, "directions of %zu values", d_model);
    double *rows = malloc(n_bytes);
    uint32_t *order = malloc(d_model * sizeof *order);
    if (!rows || !order) {
        free(rows);
        free(order);
        return error_set(err, ST_NO_MEMORY, "%zu bytes of directions", n_bytes);
    }
    for (size_t i = 0; i + 1 < d_model; i++) order[i] = (uint32_t)i + 1;
    draw_shuffle(&stream, order, d_model - 1);
    for (size_t i = 0; i + 1 < d_model; i++)
        for (size_t n = 0; n < d_model; n++)
            rows[i * d_model + n] = sqrt(2 / (double)d_model) *
                                    plain_cos_pi((2 * n + 1) * (size_t)order[i], 2 * d_model);
    free(order);
    *out = rows;
    return ST_OK;
}
