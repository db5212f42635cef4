#include "kernels/cuda/adjoints.h"

#include "common/size.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/operations.h"

status_t adjoint_norm(struct exec *exec, const struct norm_backward_params *p, struct error *err)
{
    if (!p->forward.d) return error_set(err, ST_BAD_INPUT, "norm of rows without columns");
    const status_t status = exec_enter(exec, err);
    if (status != ST_OK || !p->forward.n_rows) return status;
    return cuda_check(launch_norm_backward(exec->stream, p), "norm backward", err);
}

status_t adjoint_activate(struct exec *exec, const struct activate_backward_params *p,
                          struct error *err)
{
    const size_t d = p->forward.d;
    if ((unsigned)p->forward.kind >= ACTIVATION_N || p->forward.ld_pre < d || p->ld_d_out < d ||
        p->ld_d < d || !p->forward.up != !p->d_up)
        return error_set(err, ST_BAD_INPUT, "activate backward: kind %d, rows of %zu",
                         (int)p->forward.kind, d);
    const status_t status = exec_enter(exec, err);
    if (status != ST_OK || !p->forward.n_rows || !d) return status;
    return cuda_check(launch_activate_backward(exec->stream, p), "activate backward", err);
}

status_t adjoint_attend(struct exec *exec, const struct attend_backward_params *p,
                        struct error *err)
{
    const struct attend_params *f = &p->forward;
    size_t n_states, n_bytes;
    status_t status = operation_check_attend(f, err);
    if (status == ST_OK) status = exec_enter(exec, err);
    if (status != ST_OK || !f->n_sequences || !f->n_heads) return status;
    if (!size_tensor(f->n_sequences, f->n_ctx, f->n_heads, &n_states) ||
        !size_tensor(n_states, ATTEND_BACKWARD_STATES, sizeof(float), &n_bytes))
        return error_set(err, ST_TOO_LARGE, "attend backward: %zu sequences of %zu", f->n_sequences,
                         f->n_ctx);
    status = exec_put_attended(exec, f, err);
    if (status == ST_OK) status = exec_reserve(exec, &exec->sums, n_bytes, err);
    if (status != ST_OK) return status;
    return cuda_check(
        launch_attend_backward(exec->stream, p, exec->lengths.device.memory, exec->sums.memory),
        "attend backward", err);
}

status_t adjoint_blend(struct exec *exec, const struct blend_params *p, struct error *err)
{
    const status_t status = exec_enter(exec, err);
    if (status != ST_OK || !p->n) return status;
    return cuda_check(launch_blend(exec->stream, p), "blend", err);
}

status_t adjoint_group_dots(struct exec *exec, const struct group_dots_params *p, struct error *err)
{
    if (p->ld_a < p->n_groups * p->d || p->ld_b < p->n_groups * p->d)
        return error_set(err, ST_BAD_INPUT, "group dots: %zu groups of %zu overlap", p->n_groups,
                         p->d);
    const status_t status = exec_enter(exec, err);
    if (status != ST_OK || !p->n_rows || !p->n_groups) return status;
    return cuda_check(launch_group_dots(exec->stream, p), "group dots", err);
}

status_t adjoint_contract(struct exec *exec, const struct contract_params *p, struct error *err)
{
    size_t n_sums, n_bytes;
    if (p->ld_a < p->n_terms * p->d || p->ld_b < p->n_terms * p->d || p->ld_out < p->n_b)
        return error_set(err, ST_BAD_INPUT, "contract: %zu terms of %zu overlap", p->n_terms, p->d);
    status_t status = exec_enter(exec, err);
    if (status != ST_OK || !p->n_a || !p->n_b || !p->n_terms || !p->d) return status;
    if (!size_mul(p->n_a, p->n_b, &n_sums) ||
        !size_tensor(n_sums, contract_n_parts(p), sizeof(double), &n_bytes))
        return error_set(err, ST_TOO_LARGE, "contract: %zu x %zu sums", p->n_a, p->n_b);
    status = exec_reserve(exec, &exec->sums, n_bytes, err);
    if (status != ST_OK) return status;
    return cuda_check(launch_contract(exec->stream, p, exec->sums.memory), "contract", err);
}
