#include "kernels/cuda/operations.h"

#include "kernels/cuda/launch.h"

static status_t put_tokens(struct exec *exec, const uint32_t *tokens, size_t n, struct error *err)
{
    const status_t status = scratch_reserve(exec, &exec->tokens, n * sizeof *tokens, err);
    if (status != ST_OK) return status;
    return exec_upload(exec, exec->tokens.memory, tokens, n * sizeof *tokens, err);
}

status_t operation_embed(struct exec *exec, const struct embed_params *p, struct error *err)
{
    if ((!p->token_table && !p->position_table) || !p->n_ctx)
        return error_set(err, ST_BAD_INPUT, "embed without tables or context");
    status_t status = exec_enter(exec, err);
    if (status != ST_OK || !p->n_rows || !p->d_model) return status;
    if (p->token_table) status = put_tokens(exec, p->tokens, p->n_rows, err);
    if (status != ST_OK) return status;
    return cuda_check(launch_embed(exec->stream, p, exec->tokens.memory), "embed", err);
}

status_t operation_norm(struct exec *exec, const struct norm_params *p, struct error *err)
{
    if (!p->d) return error_set(err, ST_BAD_INPUT, "norm of rows without columns");
    const status_t status = exec_enter(exec, err);
    if (status != ST_OK || !p->n_rows) return status;
    return cuda_check(launch_norm(exec->stream, p), "norm", err);
}

status_t operation_add(struct exec *exec, const struct add_params *p, struct error *err)
{
    if (p->ld_a < p->d || p->ld_out < p->d)
        return error_set(err, ST_BAD_INPUT, "add: rows of %zu overlap", p->d);
    const status_t status = exec_enter(exec, err);
    if (status != ST_OK || !p->n_rows || !p->d) return status;
    return cuda_check(launch_add(exec->stream, p), "add", err);
}

status_t operation_activate(struct exec *exec, const struct activate_params *p, struct error *err)
{
    if ((unsigned)p->kind >= ACTIVATION_N || p->ld_pre < p->d || p->ld_out < p->d)
        return error_set(err, ST_BAD_INPUT, "activate: kind %d, rows of %zu", (int)p->kind, p->d);
    const status_t status = exec_enter(exec, err);
    if (status != ST_OK || !p->n_rows || !p->d) return status;
    return cuda_check(launch_activate(exec->stream, p), "activate", err);
}

status_t operation_rotate(struct exec *exec, const struct rotate_params *p, struct error *err)
{
    if (p->d_head % 2 || !p->n_ctx || p->ld < p->n_heads * p->d_head)
        return error_set(err, ST_BAD_INPUT, "rotate: head size %zu", p->d_head);
    const status_t status = exec_enter(exec, err);
    if (status != ST_OK || !p->n_rows || !p->n_heads || !p->d_head) return status;
    return cuda_check(launch_rotate(exec->stream, p), "rotate", err);
}

status_t operation_check_attend(const struct attend_params *p, struct error *err)
{
    if (!p->n_kv_heads || p->n_heads % p->n_kv_heads || !p->d_head || !p->n_ctx)
        return error_set(err, ST_BAD_INPUT, "attend: %zu heads over %zu key/value heads",
                         p->n_heads, p->n_kv_heads);
    if (p->d_head > ATTEND_MAX_HEAD || p->n_heads > UINT16_MAX)
        return error_set(err, ST_UNSUPPORTED, "attend: %zu heads of %zu, at most %d of %d",
                         p->n_heads, p->d_head, UINT16_MAX, ATTEND_MAX_HEAD);
    for (size_t s = 0; s < p->n_sequences; s++) {
        if (p->lengths[s] > p->n_ctx)
            return error_set(err, ST_BAD_INPUT, "attend: sequence %zu is longer than %zu", s,
                             p->n_ctx);
    }
    return ST_OK;
}

status_t operation_attend(struct exec *exec, const struct attend_params *p, struct error *err)
{
    status_t status = operation_check_attend(p, err);
    if (status == ST_OK) status = exec_enter(exec, err);
    if (status != ST_OK || !p->n_sequences || !p->n_heads) return status;
    status = exec_put_attended(exec, p, err);
    if (status != ST_OK) return status;
    return cuda_check(launch_attend(exec->stream, p, exec->lengths.device.memory), "attend", err);
}

status_t operation_head_norms(struct exec *exec, const struct head_norms_params *p,
                              struct error *err)
{
    const status_t status = exec_enter(exec, err);
    if (status != ST_OK || !p->n_rows || !p->n_heads || !p->d_head) return status;
    return cuda_check(launch_head_norms(exec->stream, p), "head norms", err);
}

status_t operation_prepare(struct exec *exec, const struct prepare_params *p, struct error *err)
{
    const status_t status = exec_enter(exec, err);
    if (status != ST_OK || !p->n_rows || !p->d) return status;
    return cuda_check(launch_prepare_rows(exec->stream, p), "rows for a dictionary", err);
}
