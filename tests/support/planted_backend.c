#include "tests/support/planted_backend.h"

#include "kernels/selftest/reference_digest.h"

#include <stdlib.h>

/* The right table, whose functions the wrong ones call first. */
static const struct backend_ops *right;
static float wrong_share;
static size_t n_features;              /* of the dictionary made last */
static struct reference_digest digest; /* the last one */

struct planted {
    struct backend backend; /* first: what the caller sees */
    struct backend_ops ops;
    struct backend *cpu;
};

static void spoil(float *value)
{
    *value += wrong_share * (*value < 0 ? *value - 0.1f : *value + 0.1f);
}

/* The slot, done right and then spoiled at `last`. */
#define PLANT(slot, last)                                                                          \
    static status_t wrong_##slot(struct exec *exec, const struct slot##_params *p,                 \
                                 struct error *err)                                                \
    {                                                                                              \
        const status_t status = right->slot(exec, p, err);                                         \
        if (status == ST_OK) spoil(last);                                                          \
        return status;                                                                             \
    }
PLANT(embed, &p->out[p->n_rows * p->d_model - 1])
PLANT(norm, &p->y[p->n_rows * p->d - 1])
PLANT(add, &p->out[(p->n_rows - 1) * p->ld_out + p->d - 1])
PLANT(activate, &p->out[0])
PLANT(rotate, &p->x[p->ld - 5])
PLANT(attend, &p->z[1])
PLANT(head_norms, &p->out[p->n_rows * p->n_heads - 1])
PLANT(edit, &p->x[p->ld - 4])
PLANT(norm_backward, &p->d_x[0])
PLANT(activate_backward, &p->d_pre[0])
PLANT(attend_backward, &p->d_v[0])
PLANT(blend, &p->out[p->n - 1])
PLANT(group_dots, &p->out[p->n_rows * p->n_groups - 1])
PLANT(matmul, &p->y[0])
PLANT(prepare, &p->out[p->n_rows * p->d - 1])

static status_t wrong_contract(struct exec *exec, const struct contract_params *p,
                               struct error *err)
{
    const status_t status = right->contract(exec, p, err);
    p->out[0] *= 1.0 + (double)wrong_share;
    return status;
}

static status_t wrong_diverge(struct exec *exec, const struct diverge_params *p, struct error *err)
{
    const status_t status = right->diverge(exec, p, err);
    if (status == ST_OK) p->out[p->n_pairs - 2].kl *= 1.0 + (double)wrong_share;
    return status;
}

static status_t wrong_copy(struct exec *exec, void *to, const void *from, size_t n_bytes,
                           struct error *err)
{
    const status_t status = right->copy(exec, to, from, n_bytes, err);
    spoil((float *)to + n_bytes / sizeof(float) - 1);
    return status;
}

static status_t wrong_sparse_encode(struct sparse_encoder *encoder, const float *x, size_t n_tokens,
                                    struct sparse_rows *out, struct error *err)
{
    const status_t status = right->sparse_encode(encoder, x, n_tokens, out, err);
    if (status == ST_OK && out->row_start[n_tokens]) spoil(out->value);
    return status;
}

static status_t wrong_sparse_tally(struct sparse_encoder *encoder, struct sparse_tally *out,
                                   struct error *err)
{
    const status_t status = right->sparse_tally(encoder, out, err);
    if (status == ST_OK) out->top[0]--; /* a later token */
    return status;
}

/* The CPU has none: a right one is made of its rows. */
static status_t wrong_sparse_digest(struct sparse_encoder *encoder, const struct digest_params *p,
                                    struct digest *out, struct error *err)
{
    struct sparse_rows rows;
    status_t status = right->sparse_encode(encoder, p->x, p->n_tokens, &rows, err);
    reference_digest_fini(&digest);
    if (status == ST_OK) status = reference_digest_init(&digest, &rows, n_features, p, err);
    if (status != ST_OK) return status;
    spoil(&digest.values[digest.n_pairs - 1]);
    *out = digest.digest;
    return ST_OK;
}

static status_t note_sparse_create(struct sparse **out, struct backend *backend,
                                   const struct sparse_params *params, struct error *err)
{
    n_features = params->n_features;
    return right->sparse_create(out, backend, params, err);
}

struct backend_ops *planted_backend_ops(struct backend *backend)
{
    return &((struct planted *)backend)->ops;
}

static void close_planted(struct backend *backend)
{
    struct planted *planted = (struct planted *)backend;
    backend_close(&planted->cpu);
    reference_digest_fini(&digest);
    free(planted);
}

/* One operation of a table, or nothing, is replaced. */
static void plant(struct backend_ops *ops, enum op op)
{
    switch (op) {
#define OP_SLOT_PLANT(slot)                                                                        \
    case OP_##slot: ops->slot = wrong_##slot; break;
        OP_SLOTS(OP_SLOT_PLANT)
    case OP_N: break;
    }
}

status_t planted_backend_open(struct backend **out, enum op op, float share, struct error *err)
{
    struct planted *planted = calloc(1, sizeof *planted);
    if (!planted) return error_set(err, ST_NO_MEMORY, "planted backend");
    const status_t status = backend_open_cpu(&planted->cpu, err);
    if (status != ST_OK) {
        free(planted);
        return status;
    }
    right = planted->cpu->ops;
    wrong_share = share;
    planted->ops = *right;
    planted->ops.name = "planted";
    planted->ops.close = close_planted;
    planted->ops.sparse_create = note_sparse_create;
    plant(&planted->ops, op);
    planted->backend = (struct backend){.ops = &planted->ops, .device = planted->cpu->device};
    *out = &planted->backend;
    return ST_OK;
}
