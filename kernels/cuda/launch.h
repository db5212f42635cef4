/* From C to the kernels: each function starts the work of one operation on a stream and returns
 * what the launch said. All pointers are device memory, shapes were checked by the caller, and
 * nothing waits. The parameter structs are backend.h's; where one holds host arrays, the device
 * copies come beside it. */
#ifndef KERNELS_CUDA_LAUNCH_H
#define KERNELS_CUDA_LAUNCH_H

#ifdef __cplusplus
extern "C" {
#endif

#include "kernels/backend.h"

#include <cuda_runtime_api.h>

enum { ATTEND_MAX_HEAD = 256, ATTEND_BACKWARD_STATES = 3 };

/* Once per process and device, before the first launch: allowances of shared memory. */
cudaError_t launch_prepare(void);
cudaError_t launch_prepare_backward(void); /* likewise */

cudaError_t launch_embed(cudaStream_t stream, const struct embed_params *p, const uint32_t *tokens);
cudaError_t launch_norm(cudaStream_t stream, const struct norm_params *p);
cudaError_t launch_add(cudaStream_t stream, const struct add_params *p);
cudaError_t launch_activate(cudaStream_t stream, const struct activate_params *p);
cudaError_t launch_rotate(cudaStream_t stream, const struct rotate_params *p);
/* d_head at most ATTEND_MAX_HEAD; lengths: device [n_sequences]. */
cudaError_t launch_attend(cudaStream_t stream, const struct attend_params *p,
                          const uint32_t *lengths);
cudaError_t launch_head_norms(cudaStream_t stream, const struct head_norms_params *p);

cudaError_t launch_norm_backward(cudaStream_t stream, const struct norm_backward_params *p);
cudaError_t launch_activate_backward(cudaStream_t stream, const struct activate_backward_params *p);
/* As launch_attend; scratch: device [ATTEND_BACKWARD_STATES, n_heads, n_sequences * n_ctx]. */
cudaError_t launch_attend_backward(cudaStream_t stream, const struct attend_backward_params *p,
                                   const uint32_t *lengths, float *scratch);
cudaError_t launch_blend(cudaStream_t stream, const struct blend_params *p);
cudaError_t launch_group_dots(cudaStream_t stream, const struct group_dots_params *p);
/* parts: device [contract_n_parts, n_a, n_b]. */
cudaError_t launch_contract(cudaStream_t stream, const struct contract_params *p, double *parts);
size_t contract_n_parts(const struct contract_params *p);
cudaError_t launch_prepare_rows(cudaStream_t stream, const struct prepare_params *p);

/* hi = bf16(x), lo = bf16(x - hi), both to nearest even, as their bits; lo may be NULL.
 *   x [n_rows, d] rows ld_x apart; hi, lo [n_rows, d] */
cudaError_t launch_split_bf16(cudaStream_t stream, const float *x, size_t ld_x, size_t n_rows,
                              size_t d, uint16_t *hi, uint16_t *lo);

#ifdef __cplusplus
}
#endif

#endif
