/* The backward slots of the table: checks what the contract asks for, then the launches. */
#ifndef KERNELS_CUDA_ADJOINTS_H
#define KERNELS_CUDA_ADJOINTS_H

#include "kernels/cuda/exec.h"

MUST_CHECK status_t adjoint_norm(struct exec *exec, const struct norm_backward_params *p,
                                 struct error *err);
MUST_CHECK status_t adjoint_activate(struct exec *exec, const struct activate_backward_params *p,
                                     struct error *err);
/* Errors: those of operation_attend(). */
MUST_CHECK status_t adjoint_attend(struct exec *exec, const struct attend_backward_params *p,
                                   struct error *err);
MUST_CHECK status_t adjoint_blend(struct exec *exec, const struct blend_params *p,
                                  struct error *err);
MUST_CHECK status_t adjoint_group_dots(struct exec *exec, const struct group_dots_params *p,
                                       struct error *err);
MUST_CHECK status_t adjoint_contract(struct exec *exec, const struct contract_params *p,
                                     struct error *err);

#endif
