/* The exact sparse encode of backend.h on the device: a product screens, f32 refines.
 *
 *   block of tokens --sparse_prepare.cu--> padded rows, bf16, norms
 *     --cuBLAS--> product of every pair     --sparse_screen.cu--> masks, counts, candidates
 *     --sparse_refine.cu--> exact values (topk: the k largest)  --sparse_pack.cu--> those that
 *     fire, side by side  --download--> rows
 *                   --sparse_tally.cu--> counts and largest values of each feature, where asked for
 *
 * Candidates have room for at most 256 a token. A block that has more takes more passes, each of
 * as many tokens as fit; nothing is lost.
 *
 * Screens: bf16 (tensor cores), f32, none (every pair is a candidate); the bound is that of
 * kernels/cpu/sparse.h, with the rounding of tensor cores, which do not round to nearest. AUTO
 * begins with bf16 and moves on when too much comes through in vain. The result is the same. */
#ifndef KERNELS_CUDA_SPARSE_H
#define KERNELS_CUDA_SPARSE_H

#include "kernels/cuda/exec.h"
#include "kernels/cuda/sparse_launch.h"

struct sparse {
    const struct cuda_device *owner; /* borrowed: that the arrays lie on */
    struct sparse_device device;     /* its arrays are the sparse's own */
    size_t k;
    float rounding; /* bound on what a product rounds away, of |x| |w| */
    size_t n_bytes;
};

MUST_CHECK status_t sparse_weights_create(struct sparse **out, struct backend *backend,
                                          const struct sparse_params *params, struct error *err);
void sparse_weights_destroy(struct sparse *sparse); /* NULL-safe */
size_t sparse_weights_bytes(const struct sparse *sparse);
/* Bytes of weights, with every optional vector, and of an encoder's scratch with a tally of tally_k
 * values a feature (0: none). */
struct sparse_cost sparse_weights_estimate(const struct backend *backend, size_t n_in,
                                           size_t n_features, size_t tally_k);

/* Errors: ST_UNSUPPORTED (an int8 screen), ST_NOT_FOUND (a selected feature), ST_NO_MEMORY. */
MUST_CHECK status_t sparse_encoder_open(struct sparse_encoder **out, struct exec *exec,
                                        const struct sparse_encoder_params *params,
                                        struct error *err);
void sparse_encoder_close(struct sparse_encoder *encoder); /* NULL-safe */
MUST_CHECK status_t sparse_encoder_run(struct sparse_encoder *encoder, const float *x,
                                       size_t n_tokens, struct sparse_rows *out, struct error *err);
struct sparse_stats sparse_encoder_stats(const struct sparse_encoder *encoder);
MUST_CHECK status_t sparse_encoder_tally(struct sparse_encoder *encoder, struct sparse_tally *out,
                                         struct error *err);
MUST_CHECK status_t sparse_encoder_digest(struct sparse_encoder *encoder,
                                          const struct digest_params *p, struct digest *out,
                                          struct error *err);
size_t sparse_digest_estimate(const struct backend *backend, const struct digest_shape *shape);

#endif
