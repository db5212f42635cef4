#include "kernels/cuda/row_operations.h"

#include "common/size.h"
#include "kernels/cuda/matmul.h"
#include "kernels/cuda/row_launch.h"
#include "kernels/row_checks.h"

/* A list onto the device, into scratch of the exec. */
static status_t put_list(struct exec *exec, struct scratch *to, const void *list, size_t n_bytes,
                         struct error *err)
{
    const status_t status = exec_reserve(exec, to, n_bytes, err);
    return status == ST_OK ? exec_upload(exec, to->memory, list, n_bytes, err) : status;
}

static size_t largest_edit(const struct edit_params *p)
{
    size_t most = 0;
    for (size_t i = 0; i < p->n_edits; i++) {
        const size_t n = (size_t)p->edits[i].n_rows * p->edits[i].n_columns;
        most = n > most ? n : most;
    }
    return most;
}

status_t operation_edit(struct exec *exec, const struct edit_params *p, struct error *err)
{
    const size_t n_values = largest_edit(p);
    status_t status = edit_check(p, err);
    if (status == ST_OK) status = exec_enter(exec, err);
    if (status != ST_OK || !n_values) return status;
    status = put_list(exec, &exec->edits, p->edits, p->n_edits * sizeof *p->edits, err);
    if (status == ST_OK && p->n_terms)
        status = put_list(exec, &exec->terms, p->terms, p->n_terms * sizeof *p->terms, err);
    if (status != ST_OK) return status;
    return cuda_check(
        launch_edit(exec->stream, p, exec->edits.memory, exec->terms.memory, n_values), "edit",
        err);
}

/* Bytes of a tile of all rows, of the states of all pairs, of the lists. */
struct diverge_room {
    size_t tile, states, pairs, columns;
};

static bool diverge_room(const struct diverge_shape *s, struct diverge_room *out)
{
    return size_tensor(s->n_rows, DIVERGE_TILE, sizeof(float), &out->tile) &&
           size_mul(s->n_pairs, sizeof(struct diverge_state), &out->states) &&
           size_mul(s->n_pairs, sizeof(struct row_pair), &out->pairs) &&
           size_mul(s->n_columns, sizeof(uint32_t), &out->columns);
}

size_t operation_diverge_estimate(const struct backend *backend, const struct diverge_shape *shape)
{
    struct diverge_room room;
    size_t n_bytes;
    (void)backend;
    return diverge_room(shape, &room) && size_add(room.tile, room.states, &n_bytes) &&
                   size_add(n_bytes, room.pairs, &n_bytes) &&
                   size_add(n_bytes, room.columns, &n_bytes)
               ? n_bytes
               : 0;
}

/* To the byte, as it was planned: no recording points here. The lists, too. */
static status_t prepare_diverge(struct exec *exec, const struct diverge_params *p,
                                struct error *err)
{
    const struct diverge_shape shape = {p->n_rows, p->weights->n_out, p->n_pairs, p->n_columns};
    struct diverge_room room;
    if (!diverge_room(&shape, &room))
        return error_set(err, ST_TOO_LARGE, "logits of %zu rows", p->n_rows);
    if (exec->is_recording) return error_set(err, ST_INTERNAL, "a comparison that is recorded");
    status_t status = scratch_reserve(exec, &exec->tile, room.tile, err);
    if (status == ST_OK) status = scratch_reserve(exec, &exec->states, room.states, err);
    if (status == ST_OK) status = scratch_reserve(exec, &exec->pairs, room.pairs, err);
    if (status == ST_OK) status = scratch_reserve(exec, &exec->columns, room.columns, err);
    if (status == ST_OK)
        status = put_list(exec, &exec->pairs, p->pairs, p->n_pairs * sizeof *p->pairs, err);
    if (status == ST_OK && p->n_columns)
        status = put_list(exec, &exec->columns, p->columns, p->n_columns * sizeof *p->columns, err);
    return status;
}

/* Columns [first, first + n): their product, and what it adds to every pair. */
static status_t run_tile(struct exec *exec, const struct diverge_params *p, size_t first, size_t n,
                         struct error *err)
{
    const struct matmul_params product = {.weights = p->weights,
                                          .x = p->x,
                                          .y = exec->tile.memory,
                                          .ld_x = p->ld_x,
                                          .ld_y = DIVERGE_TILE,
                                          .n_rows = p->n_rows};
    const struct diverge_tile tile = {.logits = exec->tile.memory,
                                      .ld = DIVERGE_TILE,
                                      .first = first,
                                      .n = n,
                                      .is_first = first == 0,
                                      .is_last = first + n == p->weights->n_out,
                                      .pairs = exec->pairs.memory,
                                      .columns = exec->columns.memory,
                                      .n_pairs = p->n_pairs,
                                      .n_columns = p->n_columns,
                                      .states = exec->states.memory,
                                      .out = p->out,
                                      .asked = p->logits};
    const status_t status = matmul_run_columns(exec, &product, first, n, err);
    return status == ST_OK ? cuda_check(launch_diverge(exec->stream, &tile), "diverge", err)
                           : status;
}

status_t operation_diverge(struct exec *exec, const struct diverge_params *p, struct error *err)
{
    const size_t n_out = p->weights->n_out;
    status_t status = divergence_check(p, n_out, err);
    if (status == ST_OK) status = exec_enter(exec, err);
    if (status != ST_OK || !p->n_pairs) return status;
    status = prepare_diverge(exec, p, err);
    for (size_t first = 0; first < n_out && status == ST_OK; first += DIVERGE_TILE) {
        const size_t left = n_out - first;
        status = run_tile(exec, p, first, left < DIVERGE_TILE ? left : DIVERGE_TILE, err);
    }
    return status;
}
