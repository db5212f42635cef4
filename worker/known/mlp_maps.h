/* An MLP that is busy and useless: it reads tokens at random and writes scratch, which nobody
 * reads. Its only trace in the answer is the last norm, a little larger. */
#ifndef WORKER_KNOWN_MLP_MAPS_H
#define WORKER_KNOWN_MLP_MAPS_H

#include "worker/known/known_draw.h"
#include "worker/known/known_plan.h"

/* Add to map [d_model, d_mlp] reads of the token block, normal with mean 0 and variance 1: a
 * token gives every neuron a pre-activation of about 1. */
void mlp_read(const struct known_plan *plan, const double *basis, struct draw *random, double *map);

/* Add to map [d_mlp, d_model] random writes to the scratch block, so large that neurons with a
 * mean square of `mean_square` write a vector of about `length`. */
void mlp_write(const struct known_plan *plan, const double *basis, struct draw *random,
               double mean_square, double length, double *map);

#endif
