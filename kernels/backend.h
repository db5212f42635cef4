/* The line between the model and the math: one table of operations per device.
 *
 * A backend knows rows, columns and heads, and no model. The CPU table (kernels/cpu) is written
 * first and plainly and is the oracle of every other one; a device backend is a plugin that
 * exports the same table. Callers never test for a device: a slot that a backend lacks is NULL
 * and backend_supports() says so.
 *
 *   backend   one opened device; shared by all threads
 *   packed    weights of one product, in the layout and number type the device likes; read-only
 *             after creation, shared by all threads
 *   sparse    encoder weights of one dictionary, likewise
 *   exec      one thread's stream of work: scratch memory, primitives; one thread at a time
 *   recording operations of one exec, noted once to be run again as a whole (CUDA graphs)
 *
 * Memory: `float *` arguments marked "device" come from ops->alloc() and are touched by
 * operations, upload() and download() alone, unless `memory_is_host` is set. Arrays are
 * row-major, slowest axis first, f32 unless said otherwise; ld_* is the distance of two rows in
 * elements. Operations on an exec run in the order they were asked for and may be asynchronous;
 * download() and synchronize() wait. Outputs may alias inputs only where a slot says so.
 *
 * Reproducible by construction: products run in fixed blocks of `row_block` rows, so a row's
 * result depends on its own values, not on its neighbours, its place or the number of threads. */
#ifndef KERNELS_BACKEND_H
#define KERNELS_BACKEND_H

#include "common/error.h"
#include "kernels/digest.h"
#include "kernels/sparse_rows.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BACKEND_ABI_VERSION = 9 };

struct backend;
struct packed;
struct sparse;
struct exec;
struct window;
struct recording;

/* How products are computed. Accumulation is f32 in all of them.
 *   f32     plain
 *   bf16x3  x_hi w_hi + x_lo w_hi + x_hi w_lo, hi and lo the bf16 parts: about 1e-6 of |x||w|
 *   bf16    both operands rounded to bf16
 *   tf32    both operands cut to 10 bits of mantissa by tensor cores; f32 where there are none */
enum compute { COMPUTE_F32, COMPUTE_BF16X3, COMPUTE_BF16, COMPUTE_TF32, COMPUTE_N };

/* "f32" | "bf16x3" | "bf16" | "tf32"; "?" outside the enum. */
const char *compute_name(enum compute compute);
/* Errors: ST_BAD_INPUT names the text and the choices. */
MUST_CHECK status_t compute_parse(const char *name, enum compute *out, struct error *err);

/* --- weights of a dense product y = x W, W [n_in, n_out] --------------------------------- */
struct pack_params {
    size_t n_in, n_out;
    const float *weights; /* host, [n_in, n_out], or [n_out, n_in] if is_transposed */
    bool is_transposed;
    enum compute compute;
    bool is_shelved; /* kept in the host's pinned memory, for a window (BACKEND_STREAMING) */
};

/* --- a model larger than the device -------------------------------------------------------
 * Shelved weights lie in the host's memory as the device wants them. A window is room on the device
 * for two layers of them: while one is computed with, the next one is copied, on a stream of its
 * own. Events hold the copy back until nothing reads what it overwrites, and the products until it
 * is there. */
struct window_params {
    const struct packed *const *weights; /* [n_layers, n_weights], shelved; number i of a layer has
                                          * the same shape in all. Borrowed for the window's life */
    size_t n_layers, n_weights;
};
enum { WINDOW_N_LAYERS = 2 };

/* Of a device, for whoever plans or pins. Texts are "" where unknown. */
struct backend_place {
    size_t index;
    char name[96];  /* "NVIDIA H100 80GB HBM3" */
    char uuid[48];  /* "GPU-5d1e...", "MIG-..." of a part of one */
    char pci[24];   /* "0000:3b:00.0", as sysfs writes it */
    size_t n_total; /* bytes */
};

/* Bytes that the caller may still have, of how many; zeros: unknown. */
struct backend_memory {
    size_t n_free, n_total;
};

/* Bytes on the device of a dictionary's weights and of one encoder's scratch, at most. */
struct sparse_cost {
    size_t n_weights, n_encoder;
};

struct exec_params {
    size_t row_block; /* rows of one product call, 1..BACKEND_MAX_ROW_BLOCK */
};
enum { BACKEND_MAX_ROW_BLOCK = 4096 };

struct matmul_params {
    const struct packed *weights;
    const float *x; /* device [n_rows, n_in] */
    float *y;       /* device [n_rows, n_out], not x */
    size_t ld_x, ld_y;
    size_t n_rows; /* a multiple of the exec's row_block */
};

/* out[r] = token_table[tokens[r]] + position_table[r % n_ctx]. Each table may be NULL: its part
 * is then left out (at least one is given). */
struct embed_params {
    const uint32_t *tokens;      /* host [n_rows], each below n_vocab (checked by the caller) */
    const float *token_table;    /* device [n_vocab, d_model] */
    const float *position_table; /* device [>= n_ctx, d_model] */
    float *out;                  /* device [n_rows, d_model] */
    size_t n_rows, n_ctx, d_model;
};

/* norm = (x - mean) / sqrt(var + eps), var biased       (NORM_LAYER, Ba et al. 2016)
 *      = x / sqrt(mean(x^2) + eps)                       (NORM_RMS, Zhang and Sennrich 2019)
 * y = norm * weight + bias; weight and bias may be NULL. y may be x. */
enum norm_kind { NORM_LAYER, NORM_RMS };
struct norm_params {
    enum norm_kind kind;
    const float *x;      /* device [n_rows, d] */
    const float *weight; /* device [d] or NULL */
    const float *bias;   /* device [d] or NULL */
    float *y;            /* device [n_rows, d] */
    float eps;
    size_t n_rows, d;
};

/* out = a + b (+ bias); out may be a or b; b may be NULL if bias is not. */
struct add_params {
    const float *a;    /* device [n_rows, d] rows ld_a apart */
    const float *b;    /* device [n_rows, d] packed, or NULL */
    const float *bias; /* device [d] or NULL */
    float *out;        /* device, rows ld_out apart */
    size_t n_rows, d, ld_a, ld_out;
};

enum activation {
    ACTIVATION_GELU_TANH, /* x / (1 + exp(-2u)), u = sqrt(2/pi) (x + 0.044715 x^3): "gelu_new" */
    ACTIVATION_GELU_ERF,  /* x Phi(x), erf within 1.5e-7 (Abramowitz and Stegun 7.1.26) */
    ACTIVATION_SILU,      /* x / (1 + exp(-x)) */
    ACTIVATION_RELU,
    ACTIVATION_N
};

/* post = f(pre + bias), or f(pre + bias) * (up + up_bias) where `up` is given. out may be pre. */
struct activate_params {
    enum activation kind;
    const float *pre;     /* device [n_rows, d], rows ld_pre apart */
    const float *bias;    /* device [d] or NULL */
    const float *up;      /* device [n_rows, d], rows ld_pre apart, or NULL */
    const float *up_bias; /* device [d] or NULL */
    float *out;           /* device [n_rows, d], rows ld_out apart */
    size_t n_rows, d, ld_pre, ld_out;
};

/* Rotate pairs i < d_head/2 of every head in place: x_a c - x_b s, x_b c + x_a s, with angle i of
 * position r % n_ctx. a, b = i, i + d_head/2 (rotate-half: Llama and GPT-NeoX as HF stores them),
 * or 2i, 2i + 1 where is_interleaved (as the rotation was published: GPT-J). */
struct rotate_params {
    float *x;         /* device [n_rows, n_heads * d_head], rows ld apart, in place */
    const float *cos; /* device [>= n_ctx, d_head / 2] */
    const float *sin; /* device [>= n_ctx, d_head / 2] */
    size_t n_rows, n_ctx, n_heads, d_head, ld;
    bool is_interleaved;
};

/* Causal attention inside each sequence of n_ctx rows: z = softmax(f(scale q k^T)) v over the keys
 * at or before the query, the last `window` of them where window is not 0. f(s) = s, or
 * cap tanh(s / cap) where soft_cap is over 0 (Gemma 2). Head h reads key and value head
 * h / (n_heads / n_kv_heads). Positions at or past lengths[sequence] are padding: their z is 0 and
 * nobody attends to them. */
struct attend_params {
    const float *q;          /* device [n_sequences * n_ctx, n_heads * d_head], rows ld apart */
    const float *k;          /* device [.., n_kv_heads * d_head], rows ld apart */
    const float *v;          /* device, likewise */
    float *z;                /* device [.., n_heads * d_head], packed */
    const uint32_t *lengths; /* host [n_sequences], each at most n_ctx */
    size_t n_sequences, n_ctx, n_heads, n_kv_heads, d_head, ld;
    size_t window;
    float scale, soft_cap;
};

/* out[r, h] = |z_h F_h|, the Euclidean norm of a head's output, with F_h [d_head, d_head] such
 * that F_h F_h^T = W_O,h W_O,h^T. */
struct head_norms_params {
    const float *z;       /* device [n_rows, n_heads * d_head] */
    const float *factors; /* device [n_heads, d_head, d_head] */
    float *out;           /* device [n_rows, n_heads] */
    size_t n_rows, n_heads, d_head;
};

/* --- activations changed where they lie ----------------------------------------------------
 * Rows [row, row + n_rows) and columns [column, column + n_columns) of x:
 *   x = from                 0 where from is NULL
 *   x = x + factor * from    where is_added: the product rounded, then the sum
 *   x = 0 + term + term ...  where n_terms: those of the call from first_term on, in their order
 * Row i of them takes row i of `from` and of each term, ld_from floats apart (0: all the same). No
 * two edits of one call touch the same value, and none reads what another one writes. The same bits
 * everywhere. */
struct edit {
    const float *from; /* device, n_columns floats a row; NULL with terms, may be if not is_added */
    uint32_t row, n_rows, column, n_columns, ld_from;
    uint32_t is_added;
    float factor;                 /* where is_added */
    uint32_t first_term, n_terms; /* 0: no sum */
};
struct edit_params {
    float *x; /* device [n_rows, at most ld], rows ld apart */
    size_t n_rows, ld;
    const struct edit *edits; /* host [n_edits] */
    size_t n_edits;
    const float *const *terms; /* host [n_terms]: device rows */
    size_t n_terms;
};

/* --- distributions compared ----------------------------------------------------------------
 * y = x W are logits. Pair i compares softmax p of row pairs[i].p with softmax q of row pairs[i].q:
 *   kl            sum over the columns of p (log p - log q), in nats; never below 0, and exactly 0
 *                 where the logits of both rows are the same bits
 *   largest, sum  of row q: its largest logit, the sum over the columns of exp(logit - largest)
 *   n_not_finite  logits of the two rows that are not finite; if any, the rest says nothing
 * and logits[i, c] = y[pairs[i].q, columns[c]]. Sums are in double, in an order of the width of W
 * alone, so a pair's numbers depend on its two rows alone. The CPU keeps the rows of y and sums
 * twice over each (kernels/divergence.h); a device goes through W in tiles of columns and keeps
 * none. With equal logits both agree within 1e-12 nats and 1e-10 of the value. */
struct divergence {
    double kl, largest, sum, n_not_finite;
};
struct row_pair {
    uint32_t p, q;
};
struct diverge_params {
    const struct packed *weights;
    const float *x; /* device [n_rows, n_in], rows ld_x apart */
    size_t ld_x;
    size_t n_rows;                /* a multiple of the exec's row_block */
    const struct row_pair *pairs; /* host [n_pairs], rows below n_rows */
    const uint32_t *columns;      /* host [n_columns], each below n_out; NULL: none */
    size_t n_pairs, n_columns;
    struct divergence *out; /* device [n_pairs] */
    float *logits;          /* device [n_pairs, n_columns]; NULL without columns */
};

/* How large a comparison is: n_out columns of W, of which the logits of n_columns are asked for. */
struct diverge_shape {
    size_t n_rows, n_out, n_pairs, n_columns;
};

/* The largest operations of an exec that keep something on the device between calls. */
struct scratch_shape {
    size_t row_block, n_in; /* of products in `compute`: of the widest rows that one reads */
    enum compute compute;
    size_t n_queries;            /* of an attend_backward, of all heads and sequences */
    size_t n_a, n_b, n_terms, d; /* of a contract */
};

/* --- adjoints ----------------------------------------------------------------------------
 * d_x is the derivative of one number (a metric) by x. The adjoint of a product is a product with
 * weights packed the other way round, that of a rotation is one with the sines negated, that of a
 * sum is a sum; these have slots of their own: */

/* d_x of norm (its x, weight, kind, eps; bias and y are not read). d_x may be d_y. */
struct norm_backward_params {
    struct norm_params forward;
    const float *d_y; /* device [n_rows, d] */
    float *d_x;       /* device [n_rows, d] */
};

/* d_pre, and d_up where `up` is given, of activate (its out is not written). */
struct activate_backward_params {
    struct activate_params forward;
    const float *d_out;  /* device [n_rows, d], rows ld_d_out apart */
    float *d_pre, *d_up; /* device [n_rows, d], rows ld_d apart; not what forward reads */
    size_t ld_d_out, ld_d;
};

/* d_q, d_k and d_v of attend (its z is not read). Keys and values get the sum over the heads that
 * read them, ascending. Rows of padding get 0. */
struct attend_backward_params {
    struct attend_params forward;
    const float *d_z;       /* device [.., n_heads * d_head], packed */
    float *d_q, *d_k, *d_v; /* device, shaped as q, k and v, rows ld_d apart */
    size_t ld_d;
};

/* out = a + factor * b; out may be a or b. */
struct blend_params {
    const float *a, *b; /* device [n] */
    float *out;         /* device [n] */
    float factor;
    size_t n;
};

/* out[r, g] = sum over i < d of a[r, g d + i] b[r, g d + i]. */
struct group_dots_params {
    const float *a, *b; /* device [n_rows, n_groups * d], rows ld_a and ld_b apart */
    float *out;         /* device [n_rows, n_groups] */
    size_t n_rows, n_groups, d, ld_a, ld_b;
};

/* out[i, j] += sum over t < n_terms of (sum over k < d of a[i, t, k] b[j, t, k]): stretches of k in
 * f32, their sum in f64, t ascending. */
struct contract_params {
    const float *a; /* device [n_a], n_terms * d floats each, ld_a apart */
    const float *b; /* device [n_b], likewise */
    double *out;    /* device [n_a, n_b], rows ld_out apart */
    size_t n_a, n_b, n_terms, d, ld_a, ld_b, ld_out;
};

/* --- rows for a dictionary -----------------------------------------------------------------
 * What SAELens does with activations before it encodes them, row by row: x less its mean if
 * is_centred; then
 *   PREPARE_NONE       nothing
 *   PREPARE_LAYER      x less its mean, over std + 1e-5 (std with d - 1)
 *   PREPARE_CONSTANT   x sqrt(d) / |x|
 * and then less the bias. Means and squares are summed in f64 in ascending order, all else is f32
 * in the order of kernels/prepare_row.c: the same bits on every device. */
enum prepare_kind { PREPARE_NONE, PREPARE_LAYER, PREPARE_CONSTANT };
struct prepare_params {
    const float *x;    /* device [n_rows, d] */
    const float *bias; /* device [d] or NULL */
    float *out;        /* device [n_rows, d], may be x */
    size_t n_rows, d;
    enum prepare_kind kind;
    bool is_centred;
    float
        *scales; /* device [n_rows] or NULL: what undoes a row's norm, std + 1e-5 or |x| / sqrt(d);
                    * not written by PREPARE_NONE */
};

/* --- sparse encode ------------------------------------------------------------------------
 * For token t and feature f, exactly and in this order of operations:
 *   dot  = sum over i of x[t,i] W[f,i]: 16 partial sums, lane j takes i = j, j+16, ... in
 *          ascending order by fused multiply-add from 0; then lanes j and j+8 are added, then
 *          j and j+4, j+2, j+1
 *   pre  = dot + bias[f]                       pre = pre * scale[f] where scale is given
 *   plain, jumprelu:  fires if pre > floor[f] (0 if NULL) and pre > 0, with value pre
 *   topk:             fires if pre > 0 and it is among the k largest of the token, ties to the
 *                     lower feature
 *   gated:            fires if pre > 0 and value = dot * mag_scale[f] + mag_bias[f] (product
 *                     rounded, then sum) > 0
 * A backend may skip every pair that it can prove silent (performance.md 3b), so the result is
 * equal bit for bit to doing all of them. */
struct sparse_params {
    size_t n_in, n_features;
    const float *weights;   /* host [n_features, n_in] */
    const float *bias;      /* host [n_features] */
    const float *scale;     /* host [n_features], each >= 0, or NULL */
    const float *floor;     /* host [n_features] or NULL */
    const float *mag_scale; /* host [n_features] or NULL: gated */
    const float *mag_bias;  /* host [n_features], with mag_scale */
    size_t k;               /* 0: not topk; excludes gated and floor */
};

/* How silent pairs are found; the result is the same for all. AUTO starts with the cheapest the
 * device has and moves on when the share of candidates is too large to pay. */
enum screen { SCREEN_AUTO, SCREEN_INT8, SCREEN_BF16, SCREEN_F32, SCREEN_NONE, SCREEN_N };

/* "auto" | "int8" | "bf16" | "f32" | "none"; "?" outside the enum. */
const char *screen_name(enum screen screen);
MUST_CHECK status_t screen_parse(const char *name, enum screen *out, struct error *err);

struct sparse_stats {
    uint64_t n_tokens;
    uint64_t n_candidates; /* pairs computed in f32 */
    uint64_t n_fired;
    enum screen screen; /* in use after the last run */
};

/* One thread's encoder: scratch, the result rows, the screen in use. */
struct sparse_encoder;

struct sparse_encoder_params {
    const struct sparse *sparse;
    enum screen screen;
    const uint32_t *features; /* host [n_selected], each below n_features; NULL: all. Others are
                               * left out of the rows (topk: after the competition for k) */
    size_t n_selected;
    size_t tally_k; /* keep a tally with that many values a feature, 0: none */
};

/* What fired in all runs of an encoder, feature by feature, gathered where it was computed: a
 * function of the rows alone, the same bits on every device. A run that failed may be in it in
 * part. Keys are all different: bits of the value << 32 | ~token, tokens counted from the encoder's
 * first; larger values come first, of equal ones the earlier. */
enum { SPARSE_MAX_TALLY = 256 };
struct sparse_tally {
    size_t n_features, k;
    uint64_t *n_fired; /* [n_features] tokens on which it fires */
    uint64_t *top;     /* [n_features, k] its largest keys, descending; 0 behind the last */
};

struct backend_ops {
    uint32_t abi_version; /* BACKEND_ABI_VERSION */
    const char *name;     /* "cpu", "emu", "cuda" */
    bool memory_is_host;  /* device pointers may be read and written by the caller */

    /* One line about device and instruction set in use, e.g. "cpu: avx512 vnni bf16". */
    const char *(*describe)(const struct backend *backend);
    /* Which device; NULL: the host itself. */
    const struct backend_place *(*place)(const struct backend *backend);
    struct backend_memory (*memory)(const struct backend *backend);
    /* From now on the device is one of n_bytes: what would need more fails as on a full device.
     * Once, before anything is allocated. */
    void (*limit_memory)(struct backend *backend, size_t n_bytes);
    /* True once the device has failed in a way that this process cannot mend (an illegal
     * access, a device that fell off its bus): whatever is asked of it fails from then on. Any
     * thread, while others compute or record: work that has not failed yet is not waited for. For
     * the way of failure alone. */
    bool (*is_lost)(struct backend *backend);
    void (*close)(struct backend *backend);

    /* 64-byte aligned, zeroed. Errors: ST_NO_MEMORY with what was asked for, what is free and
     * of how much. release(NULL) does nothing. */
    status_t (*alloc)(struct backend *backend, size_t n_bytes, void **out, struct error *err);
    void (*release)(struct backend *backend, void *memory);

    status_t (*packed_create)(struct packed **out, struct backend *backend,
                              const struct pack_params *params, struct error *err);
    void (*packed_destroy)(struct packed *packed);
    size_t (*packed_bytes)(const struct packed *packed);
    /* What packed_bytes() would be; params->weights is not read. 0: no such product. */
    size_t (*packed_estimate)(const struct backend *backend, const struct pack_params *params);

    /* Bytes on the device that an exec has before its first operation, */
    size_t (*exec_bytes)(const struct backend *backend);
    /* and that comparisons of at most that size add. 0: none is of that size. */
    size_t (*diverge_estimate)(const struct backend *backend, const struct diverge_shape *shape);
    /* Scratch that an exec takes for these, at most; SIZE_MAX: more than there are numbers for. */
    size_t (*scratch_estimate)(const struct backend *backend, const struct scratch_shape *shape);
    status_t (*exec_create)(struct exec **out, struct backend *backend,
                            const struct exec_params *params, struct error *err);
    void (*exec_destroy)(struct exec *exec);
    status_t (*upload)(struct exec *exec, void *device, const void *host, size_t n_bytes,
                       struct error *err);
    status_t (*download)(struct exec *exec, void *host, const void *device, size_t n_bytes,
                         struct error *err);
    status_t (*copy)(struct exec *exec, void *to, const void *from, size_t n_bytes,
                     struct error *err); /* device to device */
    status_t (*synchronize)(struct exec *exec, struct error *err);

    status_t (*matmul)(struct exec *exec, const struct matmul_params *p, struct error *err);
    status_t (*embed)(struct exec *exec, const struct embed_params *p, struct error *err);
    status_t (*norm)(struct exec *exec, const struct norm_params *p, struct error *err);
    status_t (*add)(struct exec *exec, const struct add_params *p, struct error *err);
    status_t (*activate)(struct exec *exec, const struct activate_params *p, struct error *err);
    status_t (*rotate)(struct exec *exec, const struct rotate_params *p, struct error *err);
    status_t (*attend)(struct exec *exec, const struct attend_params *p, struct error *err);
    status_t (*head_norms)(struct exec *exec, const struct head_norms_params *p, struct error *err);
    status_t (*edit)(struct exec *exec, const struct edit_params *p, struct error *err);
    status_t (*diverge)(struct exec *exec, const struct diverge_params *p, struct error *err);

    status_t (*norm_backward)(struct exec *exec, const struct norm_backward_params *p,
                              struct error *err);
    status_t (*activate_backward)(struct exec *exec, const struct activate_backward_params *p,
                                  struct error *err);
    status_t (*attend_backward)(struct exec *exec, const struct attend_backward_params *p,
                                struct error *err);
    status_t (*blend)(struct exec *exec, const struct blend_params *p, struct error *err);
    status_t (*group_dots)(struct exec *exec, const struct group_dots_params *p, struct error *err);
    status_t (*contract)(struct exec *exec, const struct contract_params *p, struct error *err);

    /* Operations between begin and end are noted and not run; replay() runs them as if they had
     * been asked for again: same device pointers, whose contents may be others, and `lengths` in
     * place of those of every attend, which are the same array of n_sequences numbers throughout
     * (each at most the attends' n_ctx, or replay() is ST_BAD_INPUT before anything is copied).
     * Each must have run on the exec before, in the same shapes: nothing may be allocated while
     * they are noted. upload, download, embed, edit, diverge, synchronize and the encode cannot be
     * noted.
     * record_end() ends it in any case; out NULL throws it away. A recording goes before its
     * exec. Errors: ST_INTERNAL. */
    status_t (*record_begin)(struct exec *exec, const uint32_t *lengths, size_t n_sequences,
                             struct error *err);
    status_t (*record_end)(struct exec *exec, struct recording **out, struct error *err);
    status_t (*replay)(struct recording *recording, const uint32_t *lengths, size_t n_sequences,
                       struct error *err);
    void (*recording_destroy)(struct recording *recording); /* NULL-safe */

    status_t (*prepare)(struct exec *exec, const struct prepare_params *p, struct error *err);
    status_t (*sparse_create)(struct sparse **out, struct backend *backend,
                              const struct sparse_params *params, struct error *err);
    void (*sparse_destroy)(struct sparse *sparse);
    size_t (*sparse_bytes)(const struct sparse *sparse);
    /* tally_k: of the encoder, 0: none. All 0: no such dictionary, or no such tally. */
    struct sparse_cost (*sparse_estimate)(const struct backend *backend, size_t n_in,
                                          size_t n_features, size_t tally_k);
    status_t (*sparse_encoder_create)(struct sparse_encoder **out, struct exec *exec,
                                      const struct sparse_encoder_params *params,
                                      struct error *err);
    void (*sparse_encoder_destroy)(struct sparse_encoder *encoder);
    /* x: device [n_tokens, n_in]. *out borrows from the encoder until its next run.
     * Errors: ST_BAD_INPUT (a value that is not finite, naming the row), ST_NO_MEMORY, ST_TOO_LARGE
     * (a tally of more than 2^32 - 1 tokens). */
    status_t (*sparse_encode)(struct sparse_encoder *encoder, const float *x, size_t n_tokens,
                              struct sparse_rows *out, struct error *err);
    struct sparse_stats (*sparse_stats)(const struct sparse_encoder *encoder);
    /* *out borrows from the encoder until its next run or tally. Waits. Errors: ST_BAD_INPUT (it
     * keeps none). */
    status_t (*sparse_tally)(struct sparse_encoder *encoder, struct sparse_tally *out,
                             struct error *err);

    /* Encodes p->x as sparse_encode() does, but the rows stay on the device: their digest alone
     * comes down. *out borrows from the encoder until its next digest. Waits. Errors: those of
     * sparse_encode(); ST_BAD_INPUT (features were selected, a window outside the tokens),
     * ST_TOO_LARGE (more windows or tokens than DIGEST_MAX_*). */
    status_t (*sparse_digest)(struct sparse_encoder *encoder, const struct digest_params *p,
                              struct digest *out, struct error *err);
    /* Bytes on the device that digests of at most that size add to an encoder. 0: none is of that
     * size. */
    size_t (*digest_estimate)(const struct backend *backend, const struct digest_shape *shape);

    status_t (*window_create)(struct window **out, struct exec *exec,
                              const struct window_params *params, struct error *err);
    void (*window_destroy)(struct window *window); /* NULL-safe; waits for the work */
    /* *out [n_weights]: the weights of a layer, for products on the window's exec until the next
     * take. Begins to bring `next`, which a pass forward or back will take then. Asynchronous. */
    status_t (*window_take)(struct window *window, size_t layer, size_t next,
                            const struct packed *const **out, struct error *err);
};

struct backend {
    const struct backend_ops *ops;
    void *device; /* the backend's own; NULL on the CPU */
};

/* The CPU backend, always there. The caller closes it by backend_close(). */
MUST_CHECK status_t backend_open_cpu(struct backend **out, struct error *err);

/* NULL-safe; sets *backend = NULL. Everything made from it must be gone. */
void backend_close(struct backend **backend);

/* What a caller may need to know before it plans work. */
enum backend_feature {
    BACKEND_FORWARD,
    BACKEND_SPARSE_ENCODE,
    BACKEND_HEAD_NORMS,
    BACKEND_BACKWARD,
    BACKEND_STREAMING,
    BACKEND_REPLAY,
    BACKEND_DIGEST
};
bool backend_supports(const struct backend *backend, enum backend_feature feature);

#endif
