/* The formulas of backend.h once more, as plain loops in double: what the self-test holds the CPU's
 * table against. Shares no code with any backend, and is slow. Its memory is the host's.
 *
 * Where backend.h fixes the rounding (bf16 operands, the sparse encode) it rounds so; elsewhere a
 * value is rounded to f32 once, when it is stored. Slots check nothing. */
#ifndef KERNELS_SELFTEST_REFERENCE_H
#define KERNELS_SELFTEST_REFERENCE_H

#include "kernels/backend.h"

/* The caller closes *out by backend_close(). Errors: ST_NO_MEMORY. Any thread. */
MUST_CHECK status_t reference_open(struct backend **out, struct error *err);

/* --- its slots by file; private to kernels/selftest/reference*.c --- */

/* reference_dense.c */
status_t reference_embed(struct exec *exec, const struct embed_params *p, struct error *err);
status_t reference_norm(struct exec *exec, const struct norm_params *p, struct error *err);
status_t reference_add(struct exec *exec, const struct add_params *p, struct error *err);
status_t reference_activate(struct exec *exec, const struct activate_params *p, struct error *err);
status_t reference_rotate(struct exec *exec, const struct rotate_params *p, struct error *err);
status_t reference_attend(struct exec *exec, const struct attend_params *p, struct error *err);
status_t reference_head_norms(struct exec *exec, const struct head_norms_params *p,
                              struct error *err);

/* reference_rows.c: the second of its slot is given the logits [n_rows, n_out]. */
status_t reference_edit(struct exec *exec, const struct edit_params *p, struct error *err);
void reference_divergences(const struct diverge_params *p, const float *logits, size_t n_out);

/* Softmax weights of one query over keys 0..query, 0 outside its window. weights [query + 1];
 * slopes [query + 1], or NULL: of the scores by those before their cap. */
void reference_attention_row(const struct attend_params *p, size_t sequence, size_t head,
                             size_t query, double *weights, double *slopes);
/* f(x), and its slope. */
double reference_activation(enum activation kind, double x);
double reference_activation_slope(enum activation kind, double x);

/* reference_backward.c */
status_t reference_norm_backward(struct exec *exec, const struct norm_backward_params *p,
                                 struct error *err);
status_t reference_activate_backward(struct exec *exec, const struct activate_backward_params *p,
                                     struct error *err);
status_t reference_attend_backward(struct exec *exec, const struct attend_backward_params *p,
                                   struct error *err);
status_t reference_blend(struct exec *exec, const struct blend_params *p, struct error *err);
status_t reference_group_dots(struct exec *exec, const struct group_dots_params *p,
                              struct error *err);
status_t reference_contract(struct exec *exec, const struct contract_params *p, struct error *err);

/* reference_sparse.c */
status_t reference_prepare(struct exec *exec, const struct prepare_params *p, struct error *err);
status_t reference_sparse_create(struct sparse **out, struct backend *backend,
                                 const struct sparse_params *params, struct error *err);
void reference_sparse_destroy(struct sparse *sparse);
size_t reference_sparse_bytes(const struct sparse *sparse);
status_t reference_encoder_create(struct sparse_encoder **out, struct exec *exec,
                                  const struct sparse_encoder_params *params, struct error *err);
void reference_encoder_destroy(struct sparse_encoder *encoder);
status_t reference_encode(struct sparse_encoder *encoder, const float *x, size_t n_tokens,
                          struct sparse_rows *out, struct error *err);
struct sparse_stats reference_encoder_stats(const struct sparse_encoder *encoder);
status_t reference_encoder_tally(struct sparse_encoder *encoder, struct sparse_tally *out,
                                 struct error *err);

#endif
