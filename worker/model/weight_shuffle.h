/* A model with the same weights in other places: the random-weights control. Within each tensor
 * the values are put into a random order, so every tensor keeps its distribution and loses what it
 * learned. The order depends on the seed, the tensor's name and its size alone: the same on every
 * worker, and each time the tensor is read. Pure; any thread. */
#ifndef WORKER_MODEL_WEIGHT_SHUFFLE_H
#define WORKER_MODEL_WEIGHT_SHUFFLE_H

#include <stddef.h>
#include <stdint.h>

/* Permute values [n] in place. seed 0: leave them as they are. */
void weight_shuffle(float *values, size_t n, uint64_t seed, const char *tensor);

#endif
