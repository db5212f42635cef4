#include "kernels/sparse_params.h"

#include <math.h>

status_t sparse_params_check(const struct sparse_params *p, struct error *err)
{
    if (!p->n_in || p->n_in > SPARSE_MAX_IN || !p->n_features ||
        p->n_features > SPARSE_MAX_FEATURES)
        return error_set(err, ST_TOO_LARGE, "encoder of %zu features x %zu", p->n_features,
                         p->n_in);
    if (!p->weights || !p->bias || (p->mag_scale && !p->mag_bias) ||
        (p->k && (p->mag_scale || p->floor)) || (p->mag_scale && (p->scale || p->floor)))
        return error_set(err, ST_BAD_INPUT, "encoder parameters contradict");
    if (p->k > p->n_features)
        return error_set(err, ST_BAD_INPUT, "k is %zu of %zu features", p->k, p->n_features);
    for (size_t f = 0; p->scale && f < p->n_features; f++) {
        if (!(p->scale[f] >= 0) || !isfinite(p->scale[f]))
            return error_set(err, ST_BAD_INPUT, "scale of feature %zu is %g", f,
                             (double)p->scale[f]);
    }
    return ST_OK;
}
