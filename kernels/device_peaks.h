/* What devices can do at most, from their makers' data sheets: the denominators of a roofline.
 * Constant data; any thread. */
#ifndef KERNELS_DEVICE_PEAKS_H
#define KERNELS_DEVICE_PEAKS_H

#include "kernels/backend.h"

/* Which of a device's units computes. Dense figures, without structured sparsity. */
enum math_unit { MATH_F32, MATH_F64, MATH_BF16_TENSOR, MATH_TF32_TENSOR, MATH_N };

struct device_peaks {
    const char *key;           /* "h100" */
    const char *match;         /* the name that the driver gives the device, less "NVIDIA " */
    const char *name, *source; /* for people: what, and which data sheet */
    double memory_bytes;       /* of the device */
    double bytes_per_s;        /* device memory */
    double link_bytes_per_s;   /* host to device, and back, one direction */
    double flops_per_s[MATH_N];
};

/* Errors: ST_BAD_INPUT names the keys that there are. */
MUST_CHECK status_t device_peaks_find(const char *key, const struct device_peaks **out,
                                      struct error *err);

/* The device whose backend describes itself so ("cuda NVIDIA H100 PCIe sm_90": the name counts, all
 * of it), or NULL: unknown. */
const struct device_peaks *device_peaks_match(const char *description);

/* What products of a number type are computed by. */
enum math_unit math_unit_of(enum compute compute);

#endif
