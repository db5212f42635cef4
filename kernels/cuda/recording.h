/* Recordings of operations as CUDA graphs: one launch in place of hundreds, for shapes that repeat.
 *
 * What is recorded is what the slots launch anyway, so a recording adds no second way to compute.
 * It keeps the device pointers of its exec's scratch alive (exec.h) and belongs to that exec. */
#ifndef KERNELS_CUDA_RECORDING_H
#define KERNELS_CUDA_RECORDING_H

#include "kernels/cuda/exec.h"

MUST_CHECK status_t recording_begin(struct exec *exec, const uint32_t *lengths, size_t n_sequences,
                                    struct error *err);
MUST_CHECK status_t recording_end(struct exec *exec, struct recording **out, struct error *err);
MUST_CHECK status_t recording_replay(struct recording *recording, const uint32_t *lengths,
                                     size_t n_sequences, struct error *err);
void recording_destroy(struct recording *recording); /* NULL-safe */

#endif
