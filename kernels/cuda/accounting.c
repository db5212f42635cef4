#include "kernels/cuda/accounting.h"

#include <assert.h>

static const struct launch_info INFO[LAUNCH_N] = {
    [LAUNCH_UPLOAD] = {"upload", MATH_F32, true, NULL},
    [LAUNCH_DOWNLOAD] = {"download", MATH_F32, true, NULL},
    [LAUNCH_COPY] = {"copy", MATH_F32, false, NULL},
    [LAUNCH_EMBED] = {"embed_kernel", MATH_F32, false, NULL},
    [LAUNCH_NORM] = {"norm_kernel", MATH_F32, false,
                     "not fused with the sum before it: the row is written and read once more"},
    [LAUNCH_ADD] = {"add_kernel", MATH_F32, false,
                    "biases and the stream are a launch each, not an epilogue of the product"},
    [LAUNCH_ACTIVATE] = {"activate_kernel", MATH_F32, false,
                         "a launch of its own, not an epilogue of the product"},
    [LAUNCH_ROTATE] = {"rotate_kernel", MATH_F32, false, NULL},
    [LAUNCH_ATTEND] = {"attend_kernel", MATH_F32, false,
                       "f32 on CUDA cores, whole tiles of 32 keys on the diagonal, padded heads: "
                       "the same bits whatever is in the batch"},
    [LAUNCH_HEAD_NORMS] = {"head_norms_kernel", MATH_F32, false,
                           "a warp to a head: factors are read again from the cache by each row"},
    [LAUNCH_SPLIT_BF16] = {"split_bf16_kernel", MATH_F32, false,
                           "operands are rounded in a launch of their own"},
    [LAUNCH_PRODUCT_F32] = {"cuBLAS f32", MATH_F32, false,
                            "one call for each block of rows, so that a row depends on itself "
                            "alone: weights are read again for every block"},
    [LAUNCH_PRODUCT_BF16] = {"cuBLAS bf16", MATH_BF16_TENSOR, false,
                             "one call for each block of rows, so that a row depends on itself "
                             "alone: weights are read again for every block"},
    [LAUNCH_PRODUCT_TF32] = {"cuBLAS tf32", MATH_TF32_TENSOR, false,
                             "one call for each block of rows, so that a row depends on itself "
                             "alone: weights are read again for every block"},
    [LAUNCH_PREPARE_SUMS] = {"norm_rows_kernel", MATH_F64, false,
                             "a thread to a row, sums in double in the order of the host's"},
    [LAUNCH_PREPARE_BIAS] = {"subtract_bias_kernel", MATH_F32, false,
                             "a launch of its own, not a part of the encoder's prepare"},
    [LAUNCH_SPARSE_PREPARE] = {"sparse_prepare_kernel", MATH_F64, false,
                               "norms in double, so that bounds hold for every width"},
    [LAUNCH_SPARSE_LEAST] = {"sparse_least_kernel", MATH_F32, false,
                             "a block to a token, four passes over its product"},
    [LAUNCH_SPARSE_SCAN] = {"sparse_scan_kernel", MATH_F32, false,
                            "reads the whole product that cuBLAS wrote: no fused epilogue"},
    [LAUNCH_SPARSE_FILL] = {"sparse_fill_kernel", MATH_F32, false,
                            "a warp to a token: few warps for few tokens"},
    [LAUNCH_SPARSE_REFINE] =
        {"sparse_refine_kernel", MATH_F32, false,
         "half a warp to a candidate, sums in one fixed order; rows of weights "
         "that several candidates share are read again by each"},
    [LAUNCH_SPARSE_KEEP] = {"sparse_keep_kernel", MATH_F32, false,
                            "a block to a token, eight passes over its candidates"},
    [LAUNCH_SPARSE_COUNT] = {"sparse_count_kernel", MATH_F32, false,
                             "a launch of its own, not a part of the refinement"},
    [LAUNCH_SPARSE_STARTS] = {"sparse_starts_kernel", MATH_F32, false,
                              "one block: a few thousand numbers"},
    [LAUNCH_SPARSE_PACK] = {"sparse_pack_kernel", MATH_F32, false,
                            "reads the candidates once more, a warp to a token"},
    [LAUNCH_SPARSE_TALLY] = {"sparse_tally_kernel", MATH_F32, false,
                             "a lane to an entry, which reads all keys of its feature"},
    [LAUNCH_DIGEST_COUNT] = {"digest_count_kernel", MATH_F32, false,
                             "an atomic of its own for each value"},
    [LAUNCH_DIGEST_TOTAL] = {"digest_total_kernel", MATH_F32, false, NULL},
    [LAUNCH_DIGEST_PLACE] = {"digest_place_kernel", MATH_F32, false, NULL},
    [LAUNCH_DIGEST_GROUP] = {"digest_group_kernel", MATH_F32, false,
                             "a warp to a window, token after token: the order of its values"},
    [LAUNCH_DIGEST_SELECT] = {"digest_select_kernel", MATH_F64, false,
                              "a warp to a slot, each of its windows beside each other one"},
    [LAUNCH_DIGEST_PACK] = {"digest_pack_kernel", MATH_F32, false,
                            "a warp to a slot, of few words and values"},
    [LAUNCH_NORM_BACKWARD] = {"norm_backward_kernel", MATH_F32, false, NULL},
    [LAUNCH_ACTIVATE_BACKWARD] = {"activate_backward_kernel", MATH_F32, false, NULL},
    [LAUNCH_ATTEND_QUERIES] = {"queries_kernel", MATH_F32, false,
                               "as attend_kernel; scores are computed twice and not kept"},
    [LAUNCH_ATTEND_KEYS] = {"keys_kernel", MATH_F32, false,
                            "as attend_kernel; scores are computed once more"},
    [LAUNCH_BLEND] = {"blend_kernel", MATH_F32, false, NULL},
    [LAUNCH_GROUP_DOTS] = {"group_dots_kernel", MATH_F32, false, NULL},
    [LAUNCH_CONTRACT] = {"contract_kernel", MATH_F32, false,
                         "f32 on CUDA cores, sums of stretches in f64: one order on every device"},
    [LAUNCH_ADD_PARTS] = {"add_parts_kernel", MATH_F64, false, NULL},
    [LAUNCH_EDIT] = {"edit_kernel", MATH_F32, false,
                     "a block to 256 values of an edit: few for a neuron at few tokens"},
    [LAUNCH_DIVERGE] = {"diverge_kernel", MATH_F64, false,
                        "sums in double, so that KL is the CPU's; a tile's product is written, "
                        "then read"},
};

const struct launch_info *launch_info_of(enum launch_kind kind)
{
    return &INFO[kind];
}

static void add_cost(struct launch_costs *to, enum launch_kind kind, double n_bytes, double flops)
{
    struct launch_cost *cost = &to->of[kind];
    cost->n_launches++;
    cost->n_bytes += n_bytes;
    cost->flops += flops;
}

static double least_of(size_t a, size_t b)
{
    return (double)(a < b ? a : b);
}

void account_transfer(struct launch_costs *to, enum launch_kind kind, size_t n_bytes)
{
    add_cost(to, kind, (double)n_bytes * (kind == LAUNCH_COPY ? 2 : 1), 0);
}

/* Rows of the token table are taken as all different. */
void account_embed(struct launch_costs *to, const struct embed_params *p)
{
    const double n = (double)p->n_rows, d = (double)p->d_model;
    double n_bytes = n * d * 4;
    if (p->token_table) {
        account_transfer(to, LAUNCH_UPLOAD, p->n_rows * sizeof *p->tokens);
        n_bytes += n * d * 4 + n * 4;
    }
    if (p->position_table) n_bytes += least_of(p->n_rows, p->n_ctx) * d * 4;
    add_cost(to, LAUNCH_EMBED, n_bytes, p->token_table && p->position_table ? n * d : 0);
}

/* Per value: the difference and its square twice over, then the difference, the factor and what
 * follows it. */
void account_norm(struct launch_costs *to, const struct norm_params *p)
{
    const double n = (double)p->n_rows, d = (double)p->d;
    const double n_vectors = (p->weight ? 1 : 0) + (p->weight && p->bias ? 1 : 0);
    const double a_value = (p->kind == NORM_LAYER ? 2 : 0) + 3 + 2 + n_vectors;
    add_cost(to, LAUNCH_NORM, 2 * n * d * 4 + n_vectors * d * 4, n * d * a_value);
}

void account_add(struct launch_costs *to, const struct add_params *p)
{
    const double n = (double)p->n_rows, d = (double)p->d;
    const double n_bytes = n * d * 4 * (p->b ? 3 : 2) + (p->bias ? d * 4 : 0);
    add_cost(to, LAUNCH_ADD, n_bytes, n * d * ((p->b ? 1 : 0) + (p->bias ? 1 : 0)));
}

void account_activate(struct launch_costs *to, const struct activate_params *p)
{
    static const double A_VALUE[ACTIVATION_N] = {9, 5, 4, 1};
    const double n = (double)p->n_rows, d = (double)p->d;
    const double n_vectors = (p->bias ? 1 : 0) + (p->up && p->up_bias ? 1 : 0);
    const double a_value = A_VALUE[p->kind] + 1 + (p->up ? 2 : 0);
    add_cost(to, LAUNCH_ACTIVATE, n * d * 4 * (p->up ? 3 : 2) + n_vectors * d * 4, n * d * a_value);
}

void account_rotate(struct launch_costs *to, const struct rotate_params *p)
{
    const size_t half = p->d_head / 2;
    const double pairs = (double)p->n_rows * (double)p->n_heads * (double)half;
    const double tables = 2 * least_of(p->n_rows, p->n_ctx) * (double)half;
    add_cost(to, LAUNCH_ROTATE, (4 * pairs + tables) * 4, 6 * pairs);
}

/* As launch_attend() of attention.cu chooses them. */
struct attend_tiles {
    size_t width, n_own; /* columns computed, queries of a warp */
};

static struct attend_tiles tiles_of(size_t d_head)
{
    if (d_head <= 32) return (struct attend_tiles){32, 4};
    if (d_head <= 64) return (struct attend_tiles){64, 4};
    if (d_head <= 128) return (struct attend_tiles){128, 4};
    return (struct attend_tiles){256, 2};
}

enum { KEYS_OF_TILE = 32, WARPS_OF_ATTEND = 8 };

/* Pairs of query and key of one head that warps score, and whose values they sum: a warp scores
 * whole tiles from the first that a query of its block sees up to its last query's, and sums the
 * keys at or before that query. */
static double attended_pairs(const struct attend_tiles *tiles, size_t window, size_t length)
{
    const size_t n_block = tiles->n_own * WARPS_OF_ATTEND;
    size_t n_pairs = 0;
    for (size_t first = 0; first < length; first += tiles->n_own) {
        const size_t n_seen = first + tiles->n_own, block = first / n_block * n_block;
        const size_t low = window && block >= window ? (block + 1 - window) / KEYS_OF_TILE : 0;
        const size_t last_tile = (n_seen < length ? n_seen : length) - 1;
        const size_t n_scored = (last_tile / KEYS_OF_TILE + 1) * KEYS_OF_TILE;
        const size_t n_summed = n_seen < n_scored ? n_seen : n_scored;
        n_pairs += (n_scored + n_summed - 2 * low * KEYS_OF_TILE) * tiles->n_own;
    }
    return (double)n_pairs;
}

void account_attend(struct launch_costs *to, const struct attend_params *p)
{
    const struct attend_tiles tiles = tiles_of(p->d_head);
    const double d_q = (double)(p->n_heads * p->d_head), d_kv = (double)(p->n_kv_heads * p->d_head);
    double n_bytes = (double)p->n_sequences * 4, flops = 0; /* lengths: uploaded when they change */
    for (size_t s = 0; s < p->n_sequences; s++) {
        const double pairs = attended_pairs(&tiles, p->window, p->lengths[s]);
        n_bytes += ((double)p->lengths[s] * (d_q + 2 * d_kv) + (double)p->n_ctx * d_q) * 4;
        flops += pairs * (double)p->n_heads * 2 * (double)tiles.width;
    }
    add_cost(to, LAUNCH_ATTEND, n_bytes, flops);
}

/* Without its mean a row is written, and read again for what follows. */
void account_prepare(struct launch_costs *to, const struct prepare_params *p)
{
    const double values = (double)p->n_rows * (double)p->d;
    const bool has_sums = p->is_centred || p->kind != PREPARE_NONE;
    const double a_value = (p->is_centred ? 2 : 0) + (p->kind == PREPARE_LAYER      ? 6
                                                      : p->kind == PREPARE_CONSTANT ? 3
                                                                                    : 0);
    const double n_passed = p->is_centred || p->kind == PREPARE_LAYER ? 3 : 2;
    const double scales = p->scales && p->kind != PREPARE_NONE ? (double)p->n_rows * 4 : 0;
    if (has_sums)
        add_cost(to, LAUNCH_PREPARE_SUMS, values * 4 * n_passed + scales, values * a_value);
    if (p->bias || !has_sums)
        add_cost(to, LAUNCH_PREPARE_BIAS, values * 8 + (p->bias ? (double)p->d * 4 : 0),
                 p->bias ? values : 0);
}

void account_head_norms(struct launch_costs *to, const struct head_norms_params *p)
{
    const double n = (double)(p->n_rows * p->n_heads), d = (double)p->d_head;
    add_cost(to, LAUNCH_HEAD_NORMS, (n * d + (double)p->n_heads * d * d + n) * 4,
             n * 2 * d * (d + 1));
}

/* One call of cuBLAS: each operand once, y once more where it is added to. */
static void account_call(struct launch_costs *to, const struct accounted_product *p, bool is_added)
{
    static const enum launch_kind KINDS[COMPUTE_N] = {[COMPUTE_F32] = LAUNCH_PRODUCT_F32,
                                                      [COMPUTE_BF16X3] = LAUNCH_PRODUCT_BF16,
                                                      [COMPUTE_BF16] = LAUNCH_PRODUCT_BF16,
                                                      [COMPUTE_TF32] = LAUNCH_PRODUCT_TF32};
    const double rows = (double)p->row_block, in = (double)p->n_in, out = (double)p->n_out;
    const double item = KINDS[p->compute] == LAUNCH_PRODUCT_BF16 ? 2 : 4;
    add_cost(to, KINDS[p->compute], (rows * in + in * out) * item + rows * out * (is_added ? 8 : 4),
             2 * rows * in * out);
}

void account_matmul(struct launch_costs *to, const struct accounted_product *p)
{
    const bool has_low = p->compute == COMPUTE_BF16X3,
               is_split = has_low || p->compute == COMPUTE_BF16;
    const double values = (double)p->row_block * (double)p->n_in;
    for (size_t r = 0; r < p->n_rows; r += p->row_block) {
        if (is_split)
            add_cost(to, LAUNCH_SPLIT_BF16, values * (has_low ? 8 : 6), has_low ? values : 0);
        account_call(to, p, false);
        for (int i = 0; i < 2 && has_low; i++) account_call(to, p, true);
    }
}

struct launch_time launch_cost_time(enum launch_kind kind, const struct launch_cost *cost,
                                    const struct device_peaks *peaks)
{
    const struct launch_info *info = &INFO[kind];
    const double rate = info->is_link ? peaks->link_bytes_per_s : peaks->bytes_per_s;
    const double bytes_s = cost->n_bytes / rate;
    const double math_s = cost->flops / peaks->flops_per_s[info->unit];
    assert(rate > 0 && peaks->flops_per_s[info->unit] > 0);
    if (math_s > bytes_s) return (struct launch_time){math_s, BOUND_MATH};
    return (struct launch_time){bytes_s, info->is_link ? BOUND_LINK : BOUND_MEMORY};
}
