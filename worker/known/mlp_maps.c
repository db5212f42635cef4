#include "worker/known/mlp_maps.h"

#include <math.h>

void mlp_read(const struct known_plan *plan, const double *basis, struct draw *random, double *map)
{
    for (size_t t = 0; t < plan->n_vocab; t++) {
        const double *direction = basis + (plan->blocks.token + t) * plan->d_model;
        for (size_t j = 0; j < plan->d_mlp; j++) {
            const double weight = known_draw_normal(random);
            for (size_t n = 0; n < plan->d_model; n++)
                map[n * plan->d_mlp + j] += weight * direction[n];
        }
    }
}

void mlp_write(const struct known_plan *plan, const double *basis, struct draw *random,
               double mean_square, double length, double *map)
{
    const size_t n_scratch = plan->blocks.n_scratch;
    const double scale = length / sqrt(mean_square * (double)plan->d_mlp * (double)n_scratch);
    for (size_t j = 0; j < plan->d_mlp; j++) {
        for (size_t s = 0; s < n_scratch; s++) {
            const double *direction = basis + (plan->blocks.scratch + s) * plan->d_model;
            const double weight = scale * known_draw_normal(random);
            for (size_t n = 0; n < plan->d_model; n++)
                map[j * plan->d_model + n] += weight * direction[n];
        }
    }
}
