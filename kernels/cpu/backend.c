/* The CPU's table of operations: checks what the contract asks for, then calls the loops of the
 * machine's instruction set (vector.h), the products (matmul.h) or the sparse encoder (sparse.h).
 * INTERP_CPU_ISA=plain|avx2|avx512 lowers the instruction set, so that a mixed cluster can give
 * byte-identical results and tests can reach every path. */
#include "kernels/backend.h"

#include "common/size.h"
#include "kernels/cpu/edit.h"
#include "kernels/cpu/host_memory.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/sparse.h"
#include "kernels/cpu/sparse_tally.h"
#include "kernels/cpu/vector.h"
#include "kernels/divergence.h"
#include "kernels/prepare_row.h"
#include "kernels/row_checks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CPU_ALIGNMENT = 64, CPU_TEXT_SIZE = 64 };

struct cpu_device {
    const struct vector_kernels *kernels;
    enum cpu_isa isa;
    struct memory_ledger ledger;
    char text[CPU_TEXT_SIZE];
};

struct exec {
    struct backend *backend;
    const struct vector_kernels *kernels;
    struct matmul_cache *matmul;
    size_t row_block;
    float *scratch; /* [n_scratch] */
    size_t n_scratch;
};

static struct cpu_device *cpu_of(const struct backend *backend)
{
    return backend->device;
}

static const char *cpu_describe(const struct backend *backend)
{
    return cpu_of(backend)->text;
}

static struct backend_memory cpu_memory(const struct backend *backend)
{
    return host_memory(&cpu_of(backend)->ledger);
}

static void cpu_limit_memory(struct backend *backend, size_t n_bytes)
{
    cpu_of(backend)->ledger.limit = n_bytes;
}

static bool cpu_is_lost(struct backend *backend)
{
    (void)backend;
    return false;
}

static size_t cpu_exec_bytes(const struct backend *backend)
{
    (void)backend;
    return 0;
}

/* oneDNN reads f32 rows and rounds them itself; adjoints sum in registers. */
static size_t cpu_scratch_estimate(const struct backend *backend, const struct scratch_shape *shape)
{
    (void)backend;
    (void)shape;
    return 0;
}

static void cpu_close(struct backend *backend)
{
    free(backend->device);
    free(backend);
}

/* In front of every array, so that release() knows its size. */
union array_head {
    size_t n_bytes; /* head included */
    char room[CPU_ALIGNMENT];
};

/* What an array of n_bytes takes. */
static bool array_bytes(size_t n_bytes, size_t *out)
{
    size_t with_head;
    if (!size_add(n_bytes, CPU_ALIGNMENT - 1 + sizeof(union array_head), &with_head)) return false;
    *out = with_head / CPU_ALIGNMENT * CPU_ALIGNMENT;
    return true;
}

static status_t cpu_alloc(struct backend *backend, size_t n_bytes, void **out, struct error *err)
{
    struct memory_ledger *ledger = &cpu_of(backend)->ledger;
    size_t rounded;
    if (!array_bytes(n_bytes, &rounded))
        return error_set(err, ST_TOO_LARGE, "allocation of %zu bytes", n_bytes);
    const status_t status = memory_ledger_take(ledger, rounded, err);
    if (status != ST_OK) return status;
    union array_head *head = aligned_alloc(CPU_ALIGNMENT, rounded);
    if (!head) {
        const struct backend_memory memory = host_memory(ledger);
        memory_ledger_give(ledger, rounded);
        return error_set(err, ST_NO_MEMORY, "%zu bytes on the device, %zu of %zu are free", n_bytes,
                         memory.n_free, memory.n_total);
    }
    memset(head, 0, rounded);
    head->n_bytes = rounded;
    *out = head + 1;
    return ST_OK;
}

static void cpu_release(struct backend *backend, void *memory)
{
    if (!memory) return;
    union array_head *head = (union array_head *)memory - 1;
    memory_ledger_give(&cpu_of(backend)->ledger, head->n_bytes);
    free(head);
}

static status_t cpu_packed_create(struct packed **out, struct backend *backend,
                                  const struct pack_params *params, struct error *err)
{
    if (params->is_shelved)
        return error_set(err, ST_UNSUPPORTED, "the CPU's weights are on the host as it is");
    return matmul_packed_create(out, params, cpu_of(backend)->kernels, &cpu_of(backend)->ledger,
                                err);
}

static size_t cpu_packed_estimate(const struct backend *backend, const struct pack_params *params)
{
    return matmul_packed_estimate(params, cpu_of(backend)->kernels);
}

static void cpu_exec_destroy(struct exec *exec)
{
    if (!exec) return;
    matmul_cache_destroy(exec->matmul);
    cpu_release(exec->backend, exec->scratch);
    free(exec);
}

static status_t cpu_exec_create(struct exec **out, struct backend *backend,
                                const struct exec_params *params, struct error *err)
{
    if (!params->row_block || params->row_block > BACKEND_MAX_ROW_BLOCK)
        return error_set(err, ST_BAD_INPUT, "row block %zu is not 1..%d", params->row_block,
                         BACKEND_MAX_ROW_BLOCK);
    struct exec *exec = calloc(1, sizeof *exec);
    if (!exec) return error_set(err, ST_NO_MEMORY, "exec");
    exec->backend = backend;
    exec->kernels = cpu_of(backend)->kernels;
    exec->row_block = params->row_block;
    const status_t status =
        matmul_cache_create(&exec->matmul, params->row_block, exec->kernels, err);
    if (status != ST_OK) {
        cpu_exec_destroy(exec);
        return status;
    }
    *out = exec;
    return ST_OK;
}

static status_t cpu_copy(struct exec *exec, void *to, const void *from, size_t n_bytes,
                         struct error *err)
{
    (void)exec;
    (void)err;
    memcpy(to, from, n_bytes);
    return ST_OK;
}

static status_t cpu_synchronize(struct exec *exec, struct error *err)
{
    (void)exec;
    (void)err;
    return ST_OK; /* operations are done when they return */
}

static status_t cpu_matmul(struct exec *exec, const struct matmul_params *p, struct error *err)
{
    return matmul_run(exec->matmul, p, err);
}

static status_t cpu_embed(struct exec *exec, const struct embed_params *p, struct error *err)
{
    (void)exec;
    if ((!p->token_table && !p->position_table) || !p->n_ctx)
        return error_set(err, ST_BAD_INPUT, "embed without tables or context");
    for (size_t r = 0; r < p->n_rows; r++) {
        const float *position =
            p->position_table ? p->position_table + r % p->n_ctx * p->d_model : NULL;
        float *out = p->out + r * p->d_model;
        if (!p->token_table) {
            memcpy(out, position, p->d_model * sizeof *out);
            continue;
        }
        memcpy(out, p->token_table + p->tokens[r] * p->d_model, p->d_model * sizeof *out);
        for (size_t i = 0; position && i < p->d_model; i++) out[i] += position[i];
    }
    return ST_OK;
}

static status_t cpu_norm(struct exec *exec, const struct norm_params *p, struct error *err)
{
    if (!p->d) return error_set(err, ST_BAD_INPUT, "norm of rows without columns");
    exec->kernels->norm(p);
    return ST_OK;
}

static status_t cpu_add(struct exec *exec, const struct add_params *p, struct error *err)
{
    if (p->ld_a < p->d || p->ld_out < p->d)
        return error_set(err, ST_BAD_INPUT, "add: rows of %zu overlap", p->d);
    exec->kernels->add(p);
    return ST_OK;
}

static status_t cpu_activate(struct exec *exec, const struct activate_params *p, struct error *err)
{
    if ((unsigned)p->kind >= ACTIVATION_N || p->ld_pre < p->d || p->ld_out < p->d)
        return error_set(err, ST_BAD_INPUT, "activate: kind %d, rows of %zu", (int)p->kind, p->d);
    exec->kernels->activate(p);
    return ST_OK;
}

static status_t cpu_rotate(struct exec *exec, const struct rotate_params *p, struct error *err)
{
    if (p->d_head % 2 || !p->n_ctx || p->ld < p->n_heads * p->d_head)
        return error_set(err, ST_BAD_INPUT, "rotate: head size %zu", p->d_head);
    exec->kernels->rotate(p);
    return ST_OK;
}

static status_t check_attend(const struct attend_params *p, struct error *err)
{
    if (!p->n_kv_heads || p->n_heads % p->n_kv_heads || !p->d_head || !p->n_ctx)
        return error_set(err, ST_BAD_INPUT, "attend: %zu heads over %zu key/value heads",
                         p->n_heads, p->n_kv_heads);
    for (size_t s = 0; s < p->n_sequences; s++) {
        if (p->lengths[s] > p->n_ctx)
            return error_set(err, ST_BAD_INPUT, "attend: sequence %zu is longer than %zu", s,
                             p->n_ctx);
    }
    return ST_OK;
}

static status_t reserve_scratch(struct exec *exec, size_t n_floats, struct error *err)
{
    void *grown = NULL;
    if (n_floats <= exec->n_scratch) return ST_OK;
    const status_t status = cpu_alloc(exec->backend, n_floats * sizeof *exec->scratch, &grown, err);
    if (status != ST_OK) return status;
    cpu_release(exec->backend, exec->scratch);
    exec->scratch = grown;
    exec->n_scratch = n_floats;
    return ST_OK;
}

static status_t cpu_attend(struct exec *exec, const struct attend_params *p, struct error *err)
{
    status_t status = check_attend(p, err);
    if (status == ST_OK)
        status = reserve_scratch(exec, attend_scratch_floats(p->n_ctx, p->d_head), err);
    if (status == ST_OK) exec->kernels->attend(p, exec->scratch);
    return status;
}

static status_t cpu_norm_backward(struct exec *exec, const struct norm_backward_params *p,
                                  struct error *err)
{
    if (!p->forward.d) return error_set(err, ST_BAD_INPUT, "norm of rows without columns");
    exec->kernels->norm_backward(p);
    return ST_OK;
}

static status_t cpu_activate_backward(struct exec *exec, const struct activate_backward_params *p,
                                      struct error *err)
{
    const size_t d = p->forward.d;
    if ((unsigned)p->forward.kind >= ACTIVATION_N || p->forward.ld_pre < d || p->ld_d_out < d ||
        p->ld_d < d || !p->forward.up != !p->d_up)
        return error_set(err, ST_BAD_INPUT, "activate backward: kind %d, rows of %zu",
                         (int)p->forward.kind, d);
    exec->kernels->activate_backward(p);
    return ST_OK;
}

static status_t cpu_attend_backward(struct exec *exec, const struct attend_backward_params *p,
                                    struct error *err)
{
    status_t status = check_attend(&p->forward, err);
    if (status == ST_OK)
        status = reserve_scratch(exec, attend_backward_scratch_floats(p->forward.n_ctx), err);
    if (status == ST_OK) exec->kernels->attend_backward(p, exec->scratch);
    return status;
}

static status_t cpu_blend(struct exec *exec, const struct blend_params *p, struct error *err)
{
    (void)err;
    exec->kernels->blend(p);
    return ST_OK;
}

static status_t cpu_group_dots(struct exec *exec, const struct group_dots_params *p,
                               struct error *err)
{
    if (p->ld_a < p->n_groups * p->d || p->ld_b < p->n_groups * p->d)
        return error_set(err, ST_BAD_INPUT, "group dots: %zu groups of %zu overlap", p->n_groups,
                         p->d);
    exec->kernels->group_dots(p);
    return ST_OK;
}

static status_t cpu_contract(struct exec *exec, const struct contract_params *p, struct error *err)
{
    if (p->ld_a < p->n_terms * p->d || p->ld_b < p->n_terms * p->d || p->ld_out < p->n_b)
        return error_set(err, ST_BAD_INPUT, "contract: %zu terms of %zu overlap", p->n_terms, p->d);
    exec->kernels->contract(p);
    return ST_OK;
}

static status_t cpu_head_norms(struct exec *exec, const struct head_norms_params *p,
                               struct error *err)
{
    (void)err;
    exec->kernels->head_norms(p);
    return ST_OK;
}

static status_t cpu_edit(struct exec *exec, const struct edit_params *p, struct error *err)
{
    (void)exec;
    return edit_rows(p, err);
}

static size_t cpu_diverge_estimate(const struct backend *backend, const struct diverge_shape *s)
{
    size_t n_bytes;
    (void)backend;
    return size_tensor(s->n_rows, s->n_out, sizeof(float), &n_bytes) &&
                   array_bytes(n_bytes, &n_bytes)
               ? n_bytes
               : 0;
}

/* All rows of logits, in scratch. */
static status_t cpu_diverge(struct exec *exec, const struct diverge_params *p, struct error *err)
{
    const size_t n_out = matmul_packed_n_out(p->weights);
    size_t n_bytes;
    status_t status = divergence_check(p, n_out, err);
    if (status == ST_OK && !size_tensor(p->n_rows, n_out, sizeof(float), &n_bytes))
        status = error_set(err, ST_TOO_LARGE, "logits of %zu rows", p->n_rows);
    if (status == ST_OK) status = reserve_scratch(exec, p->n_rows * n_out, err);
    if (status != ST_OK) return status;
    const struct matmul_params product = {.weights = p->weights,
                                          .x = p->x,
                                          .y = exec->scratch,
                                          .ld_x = p->ld_x,
                                          .ld_y = n_out,
                                          .n_rows = p->n_rows};
    status = matmul_run(exec->matmul, &product, err);
    for (size_t i = 0; i < p->n_pairs && status == ST_OK; i++) {
        const float *q = exec->scratch + p->pairs[i].q * n_out;
        p->out[i] = divergence_of_rows(exec->scratch + p->pairs[i].p * n_out, q, n_out);
        for (size_t c = 0; c < p->n_columns; c++)
            p->logits[i * p->n_columns + c] = q[p->columns[c]];
    }
    return status;
}

static status_t cpu_prepare(struct exec *exec, const struct prepare_params *p, struct error *err)
{
    (void)exec;
    (void)err;
    for (size_t r = 0; r < p->n_rows; r++) {
        float *out = p->out + r * p->d;
        const float scale = prepare_row(p->kind, p->is_centred, p->x + r * p->d, out, p->d);
        if (p->scales && p->kind != PREPARE_NONE) p->scales[r] = scale;
        for (size_t i = 0; p->bias && i < p->d; i++) out[i] -= p->bias[i];
    }
    return ST_OK;
}

static status_t cpu_sparse_create(struct sparse **out, struct backend *backend,
                                  const struct sparse_params *params, struct error *err)
{
    struct cpu_device *cpu = cpu_of(backend);
    const bool has_vnni = cpu->isa == CPU_ISA_AVX512 && cpu_has_vnni();
    const struct sparse_machine machine = {cpu->kernels, &cpu->ledger, has_vnni};
    return sparse_weights_create(out, params, &machine, err);
}

static struct sparse_cost cpu_sparse_estimate(const struct backend *backend, size_t n_in,
                                              size_t n_features, size_t tally_k)
{
    const struct cpu_device *cpu = cpu_of(backend);
    const bool has_vnni = cpu->isa == CPU_ISA_AVX512 && cpu_has_vnni();
    const size_t n_tally = tally_bytes(n_features, tally_k);
    if (tally_k && !n_tally) return (struct sparse_cost){0};
    return (struct sparse_cost){.n_weights = sparse_weights_estimate(n_in, n_features, has_vnni),
                                .n_encoder = n_tally};
}

static status_t cpu_sparse_encoder_create(struct sparse_encoder **out, struct exec *exec,
                                          const struct sparse_encoder_params *params,
                                          struct error *err)
{
    return sparse_encoder_open(out, params, exec->matmul, exec->row_block, exec->kernels, err);
}

static const struct backend_ops CPU_OPS = {
    .abi_version = BACKEND_ABI_VERSION,
    .name = "cpu",
    .memory_is_host = true,
    .describe = cpu_describe,
    .memory = cpu_memory,
    .limit_memory = cpu_limit_memory,
    .is_lost = cpu_is_lost,
    .close = cpu_close,
    .alloc = cpu_alloc,
    .release = cpu_release,
    .packed_create = cpu_packed_create,
    .packed_destroy = matmul_packed_destroy,
    .packed_bytes = matmul_packed_bytes,
    .packed_estimate = cpu_packed_estimate,
    .exec_bytes = cpu_exec_bytes,
    .scratch_estimate = cpu_scratch_estimate,
    .diverge_estimate = cpu_diverge_estimate,
    .exec_create = cpu_exec_create,
    .exec_destroy = cpu_exec_destroy,
    .upload = cpu_copy,
    .download = cpu_copy,
    .copy = cpu_copy,
    .synchronize = cpu_synchronize,
    .matmul = cpu_matmul,
    .embed = cpu_embed,
    .norm = cpu_norm,
    .add = cpu_add,
    .activate = cpu_activate,
    .rotate = cpu_rotate,
    .attend = cpu_attend,
    .head_norms = cpu_head_norms,
    .edit = cpu_edit,
    .diverge = cpu_diverge,
    .norm_backward = cpu_norm_backward,
    .activate_backward = cpu_activate_backward,
    .attend_backward = cpu_attend_backward,
    .blend = cpu_blend,
    .group_dots = cpu_group_dots,
    .contract = cpu_contract,
    .prepare = cpu_prepare,
    .sparse_create = cpu_sparse_create,
    .sparse_destroy = sparse_weights_destroy,
    .sparse_bytes = sparse_weights_bytes,
    .sparse_estimate = cpu_sparse_estimate,
    .sparse_encoder_create = cpu_sparse_encoder_create,
    .sparse_encoder_destroy = sparse_encoder_close,
    .sparse_encode = sparse_encoder_run,
    .sparse_stats = sparse_encoder_stats,
    .sparse_tally = sparse_encoder_tally,
};

static status_t isa_limit(enum cpu_isa *out, struct error *err)
{
    static const char *const NAMES[CPU_ISA_N] = {"plain", "avx2", "avx512"};
    const char *wanted = getenv("INTERP_CPU_ISA");
    *out = CPU_ISA_AVX512;
    if (!wanted || !*wanted) return ST_OK;
    for (unsigned i = 0; i < CPU_ISA_N; i++) {
        if (strcmp(wanted, NAMES[i]) != 0) continue;
        *out = (enum cpu_isa)i;
        return ST_OK;
    }
    return error_set(err, ST_BAD_INPUT, "INTERP_CPU_ISA '%s' is not plain, avx2 or avx512", wanted);
}

status_t backend_open_cpu(struct backend **out, struct error *err)
{
    enum cpu_isa limit;
    const status_t status = isa_limit(&limit, err);
    if (status != ST_OK) return status;
    struct backend *backend = calloc(1, sizeof *backend);
    struct cpu_device *cpu = calloc(1, sizeof *cpu);
    if (!backend || !cpu) {
        free(backend);
        free(cpu);
        return error_set(err, ST_NO_MEMORY, "cpu backend");
    }
    cpu->isa = cpu_isa_detect(limit);
    cpu->kernels = vector_kernels_of(cpu->isa);
    const bool is_wide = cpu->isa == CPU_ISA_AVX512;
    (void)snprintf(cpu->text, sizeof cpu->text, "cpu %s%s%s", cpu->kernels->name,
                   is_wide && cpu_has_vnni() ? " vnni" : "",
                   is_wide && cpu_has_bf16() ? " bf16" : "");
    backend->ops = &CPU_OPS;
    backend->device = cpu;
    *out = backend;
    return ST_OK;
}
