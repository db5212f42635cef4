/* The digest of an encoder's rows (backend.h) from the inside: its memory on the device, and what
 * the encoder tells it of while it runs. Private to kernels/cuda. */
#ifndef KERNELS_CUDA_SPARSE_DIGEST_H
#define KERNELS_CUDA_SPARSE_DIGEST_H

#include "kernels/cuda/digest_launch.h"
#include "kernels/cuda/exec.h"

/* Values of a token that have room, on average over a unit; never more than a token can have. */
enum { DIGEST_SHARE = 256 };

/* A host array that grows. */
struct digest_array {
    void *memory;
    size_t n_bytes;
};

struct sparse_digest {
    bool is_open;          /* the run under way is digested */
    size_t room;           /* values of all rows at most */
    struct scratch arrays; /* on the device: all of `device` but its cuts */
    struct scratch cuts;   /* on the device: cuts, then limits */
    uint64_t cuts_number;  /* of what is there; 0: nothing */
    struct digest_device device;
    uint32_t *row_starts;          /* device.row_starts */
    struct digest_window *windows; /* device.windows */
    /* host: */
    struct digest_array host_starts, slots, active, words, positions, values;
};

void sparse_digest_close(struct sparse_digest *digest); /* safe on zeroed */

#endif
