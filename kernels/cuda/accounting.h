/* What the launches of kernels/cuda move and compute, as they are implemented: one function for
 * each operation, one row for each kind of launch. Plain arithmetic on the same parameter structs
 * that the launches get; knows no CUDA, so that figures can be had without a device.
 *
 *   n_bytes  of device memory: every byte that a launch reads, once, and every byte that it writes,
 *            once. What it reads again is expected in a cache, what the next launch reads is not.
 *            Transfers: bytes over the link to the host.
 *   flops    additions and multiplications that are executed, those on padding and behind the
 *            diagonal included; exp and erf count as one.
 *
 * Who changes a kernel changes its function here: tests/emu/touched_bytes.cc holds the bytes
 * against those that the kernels touch on the emulator, and tests/unit/test_paper.c the launches of
 * whole tasks against those that run there. Pure; any thread. */
#ifndef KERNELS_CUDA_ACCOUNTING_H
#define KERNELS_CUDA_ACCOUNTING_H

#include "kernels/backend.h"
#include "kernels/device_peaks.h"

enum launch_kind {
    LAUNCH_UPLOAD,
    LAUNCH_DOWNLOAD,
    LAUNCH_COPY,
    LAUNCH_EMBED,
    LAUNCH_NORM,
    LAUNCH_ADD,
    LAUNCH_ACTIVATE,
    LAUNCH_ROTATE,
    LAUNCH_ATTEND,
    LAUNCH_HEAD_NORMS,
    LAUNCH_SPLIT_BF16,
    LAUNCH_PRODUCT_F32,
    LAUNCH_PRODUCT_BF16,
    LAUNCH_PRODUCT_TF32,
    LAUNCH_PREPARE_SUMS,
    LAUNCH_PREPARE_BIAS,
    LAUNCH_SPARSE_PREPARE,
    LAUNCH_SPARSE_LEAST,
    LAUNCH_SPARSE_SCAN,
    LAUNCH_SPARSE_FILL,
    LAUNCH_SPARSE_REFINE,
    LAUNCH_SPARSE_KEEP,
    LAUNCH_SPARSE_COUNT,
    LAUNCH_SPARSE_STARTS,
    LAUNCH_SPARSE_PACK,
    LAUNCH_SPARSE_TALLY,
    LAUNCH_DIGEST_COUNT,
    LAUNCH_DIGEST_TOTAL,
    LAUNCH_DIGEST_PLACE,
    LAUNCH_DIGEST_GROUP,
    LAUNCH_DIGEST_SELECT,
    LAUNCH_DIGEST_PACK,
    LAUNCH_NORM_BACKWARD,
    LAUNCH_ACTIVATE_BACKWARD,
    LAUNCH_ATTEND_QUERIES,
    LAUNCH_ATTEND_KEYS,
    LAUNCH_BLEND,
    LAUNCH_GROUP_DOTS,
    LAUNCH_CONTRACT,
    LAUNCH_ADD_PARTS,
    LAUNCH_EDIT,
    LAUNCH_DIVERGE,
    LAUNCH_N
};

struct launch_info {
    const char *name; /* of the kernel, or what it is */
    enum math_unit unit;
    bool is_link;          /* bytes go between host and device */
    const char *why_below; /* why it stays below the roofline by design, or NULL */
};
const struct launch_info *launch_info_of(enum launch_kind kind);

/* Sums over launches of a kind. */
struct launch_cost {
    size_t n_launches;
    double n_bytes, flops;
};
struct launch_costs {
    struct launch_cost of[LAUNCH_N];
};

/* Each adds what one call of the operation starts. */
void account_transfer(struct launch_costs *to, enum launch_kind kind, size_t n_bytes);
void account_embed(struct launch_costs *to, const struct embed_params *p);
void account_norm(struct launch_costs *to, const struct norm_params *p);
void account_add(struct launch_costs *to, const struct add_params *p);
void account_activate(struct launch_costs *to, const struct activate_params *p);
void account_rotate(struct launch_costs *to, const struct rotate_params *p);
void account_attend(struct launch_costs *to, const struct attend_params *p);
void account_prepare(struct launch_costs *to, const struct prepare_params *p);
void account_head_norms(struct launch_costs *to, const struct head_norms_params *p);

void account_norm_backward(struct launch_costs *to, const struct norm_backward_params *p);
void account_activate_backward(struct launch_costs *to, const struct activate_backward_params *p);
void account_attend_backward(struct launch_costs *to, const struct attend_backward_params *p);
void account_blend(struct launch_costs *to, const struct blend_params *p);
void account_group_dots(struct launch_costs *to, const struct group_dots_params *p);
void account_contract(struct launch_costs *to, const struct contract_params *p);

void account_edit(struct launch_costs *to, const struct edit_params *p);

struct accounted_product {
    size_t n_in, n_out, n_rows, row_block;
    enum compute compute;
};
void account_matmul(struct launch_costs *to, const struct accounted_product *p);

/* Its products, each of a tile of columns, and what follows each of them. */
struct accounted_divergence {
    struct accounted_product product; /* of all columns */
    size_t n_pairs, n_columns;
    size_t n_named; /* different rows in the pairs */
};
void account_diverge(struct launch_costs *to, const struct accounted_divergence *p);

struct accounted_encode {
    const struct sparse_params *sparse; /* its arrays are not read */
    size_t n_tokens;
    enum screen screen;          /* bf16, f32 or none */
    double candidates_per_token; /* that the screen lets through */
    double fired_per_token;      /* of them; all are wanted */
    size_t tally_k;              /* of the encoder */
    bool is_digested;            /* rows stay on the device */
};
void account_encode(struct launch_costs *to, const struct accounted_encode *p);

/* A digest behind its encode; the cuts are there. Windows adjoin each other. */
struct accounted_digest {
    size_t n_slots, n_tokens, n_windows;
    bool has_cuts;
    size_t n_limits;     /* of the cuts; taken as all read */
    double n_values;     /* in windows */
    double n_runs;       /* pairs of a slot and a window with values */
    double n_candidates; /* of them, those that can enter */
    double n_kept;       /* of them */
    double n_words;      /* value bins, window bins, kept windows */
    double n_pairs;      /* values of kept windows */
};
void account_digest(struct launch_costs *to, const struct accounted_digest *p);

/* The least time that launches can take one after the other, and of which limit it is made. */
enum launch_bound { BOUND_MEMORY, BOUND_MATH, BOUND_LINK };
struct launch_time {
    double seconds;
    enum launch_bound bound;
};
struct launch_time launch_cost_time(enum launch_kind kind, const struct launch_cost *cost,
                                    const struct device_peaks *peaks);

#endif
