/* One thread's stream of work: the stream, cuBLAS with a workspace of its own, and pinned buffers
 * through which everything passes between host and device.
 *
 * Two pinned buffers take turns: while one is under way the other is filled (or emptied), and an
 * event says when a buffer may be touched again. So the caller's memory is free as soon as a call
 * returns. Buffers and scratch grow to the largest need and then stay: nothing is allocated in
 * the steady state. One thread at a time. */
#ifndef KERNELS_CUDA_EXEC_H
#define KERNELS_CUDA_EXEC_H

#include "kernels/cuda/device.h"

enum { EXEC_N_PINNED = 2 };

struct pinned_buffer {
    void *memory;     /* pinned, EXEC_PINNED_BYTES */
    cudaEvent_t free; /* reached when the last use of `memory` is done */
};

/* Device memory that grows to the largest need. */
struct scratch {
    void *memory;
    size_t n_bytes;
};

/* Lengths of sequences that lie on the device, so that the layers of a pass upload them once. */
struct exec_lengths {
    struct scratch device;
    uint32_t *host; /* [n] what the device has */
    size_t n;
};

/* Scratch that a recording may point into stays until the exec goes. Each growth is to half as much
 * again at least, so these are few. */
enum { EXEC_MAX_RETIRED = 64 };

struct exec {
    struct backend *backend;
    cudaStream_t stream;
    cublasHandle_t cublas;
    void *workspace; /* cuBLAS's */
    size_t row_block;
    struct pinned_buffer pinned[EXEC_N_PINNED];
    unsigned next_pinned;
    struct scratch tokens;                       /* u32: of embed */
    struct scratch hi, lo;                       /* bf16 parts of a matmul's rows */
    struct scratch sums;                         /* of attend_backward and contract */
    struct scratch edits, terms;                 /* the lists of an edit */
    struct scratch tile, states, pairs, columns; /* of diverge: logits, what is known, its lists */
    struct exec_lengths lengths;
    bool is_recording;
    size_t recorded_ctx; /* least context of the attentions noted so far; SIZE_MAX: none */
    size_t n_recordings; /* that were made */
    struct scratch retired[EXEC_MAX_RETIRED];
    size_t n_retired;
};

MUST_CHECK status_t exec_open(struct exec **out, struct backend *backend,
                              const struct exec_params *params, struct error *err);
/* On the device, before its first operation. */
size_t exec_bytes(const struct backend *backend);
/* With room to grow, as exec_reserve() takes it: backend.h. */
size_t exec_scratch_estimate(const struct backend *backend, const struct scratch_shape *shape);
void exec_close(struct exec *exec); /* NULL-safe; waits for the work */

/* Make the exec's device the calling thread's. First thing in every operation. */
MUST_CHECK status_t exec_enter(struct exec *exec, struct error *err);

MUST_CHECK status_t exec_upload(struct exec *exec, void *device, const void *host, size_t n_bytes,
                                struct error *err);
/* Waits until `host` is filled. */
MUST_CHECK status_t exec_download(struct exec *exec, void *host, const void *device, size_t n_bytes,
                                  struct error *err);
MUST_CHECK status_t exec_copy(struct exec *exec, void *to, const void *from, size_t n_bytes,
                              struct error *err);
MUST_CHECK status_t exec_synchronize(struct exec *exec, struct error *err);

/* `lengths` [n] on the device, in exec->lengths.device; uploads only what is not there yet. The
 * caller has checked them. */
MUST_CHECK status_t exec_put_lengths(struct exec *exec, const uint32_t *lengths, size_t n,
                                     struct error *err);
/* Those of an attention over sequences of n_ctx, which a recording remembers: what it is replayed
 * with may be no longer. */
MUST_CHECK status_t exec_put_attended(struct exec *exec, const struct attend_params *p,
                                      struct error *err);

/* scratch_reserve() for one of the exec's own, which recordings may point into. */
MUST_CHECK status_t exec_reserve(struct exec *exec, struct scratch *scratch, size_t n_bytes,
                                 struct error *err);

/* At least n_bytes in `scratch`, on the exec's device; what it held is lost when it grows. */
MUST_CHECK status_t scratch_reserve(const struct exec *exec, struct scratch *scratch,
                                    size_t n_bytes, struct error *err);
void scratch_release(struct scratch *scratch);

#endif
