/* The forward pass's slots of the table: checks what the contract asks for, then one launch. */
#ifndef KERNELS_CUDA_OPERATIONS_H
#define KERNELS_CUDA_OPERATIONS_H

#include "kernels/cuda/exec.h"

MUST_CHECK status_t operation_embed(struct exec *exec, const struct embed_params *p,
                                    struct error *err);
MUST_CHECK status_t operation_norm(struct exec *exec, const struct norm_params *p,
                                   struct error *err);
MUST_CHECK status_t operation_add(struct exec *exec, const struct add_params *p, struct error *err);
MUST_CHECK status_t operation_activate(struct exec *exec, const struct activate_params *p,
                                       struct error *err);
MUST_CHECK status_t operation_rotate(struct exec *exec, const struct rotate_params *p,
                                     struct error *err);
/* Errors: ST_UNSUPPORTED (a head over ATTEND_MAX_HEAD), ST_BAD_INPUT. */
MUST_CHECK status_t operation_attend(struct exec *exec, const struct attend_params *p,
                                     struct error *err);
MUST_CHECK status_t operation_head_norms(struct exec *exec, const struct head_norms_params *p,
                                         struct error *err);

/* What the adjoint of attention shares with it: the checks, and the host's numbers (lengths,
 * tokens) in exec->tokens, behind what still reads the last ones. */
MUST_CHECK status_t operation_check_attend(const struct attend_params *p, struct error *err);
MUST_CHECK status_t operation_put_numbers(struct exec *exec, const uint32_t *numbers, size_t n,
                                          struct error *err);

#endif
