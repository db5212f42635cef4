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
MUST_CHECK status_t operation_prepare(struct exec *exec, const struct prepare_params *p,
                                      struct error *err);

/* What the adjoint of attention checks as well. */
MUST_CHECK status_t operation_check_attend(const struct attend_params *p, struct error *err);

#endif
