#include "kernels/device_peaks.h"

#include <stdio.h>
#include <string.h>

/* Tensor figures of the sheets are with sparsity; these are half of them. PCIe: half of the sum of
 * both directions. */
static const struct device_peaks PEAKS[] = {
    {.key = "h100",
     .match = "H100 80GB HBM3",
     .name = "H100 SXM 80 GB",
     .source = "NVIDIA H100 Tensor Core GPU data sheet",
     .memory_bytes = 80e9,
     .bytes_per_s = 3.35e12,
     .link_bytes_per_s = 64e9,
     .flops_per_s = {67e12, 34e12, 989.5e12, 494.5e12}},
    {.key = "h100-pcie",
     .match = "H100 PCIe",
     .name = "H100 PCIe 80 GB",
     .source = "NVIDIA H100 Tensor Core GPU data sheet",
     .memory_bytes = 80e9,
     .bytes_per_s = 2.0e12,
     .link_bytes_per_s = 64e9,
     .flops_per_s = {51e12, 26e12, 756.5e12, 378e12}},
    {.key = "h200",
     .match = "H200",
     .name = "H200 SXM 141 GB",
     .source = "NVIDIA H200 Tensor Core GPU data sheet",
     .memory_bytes = 141e9,
     .bytes_per_s = 4.8e12,
     .link_bytes_per_s = 64e9,
     .flops_per_s = {67e12, 34e12, 989.5e12, 494.5e12}},
    {.key = "a100",
     .match = "A100-SXM4-80GB",
     .name = "A100 SXM 80 GB",
     .source = "NVIDIA A100 Tensor Core GPU data sheet",
     .memory_bytes = 80e9,
     .bytes_per_s = 2.039e12,
     .link_bytes_per_s = 32e9,
     .flops_per_s = {19.5e12, 9.7e12, 312e12, 156e12}},
    {.key = "a100-pcie",
     .match = "A100 80GB PCIe",
     .name = "A100 PCIe 80 GB",
     .source = "NVIDIA A100 Tensor Core GPU data sheet",
     .memory_bytes = 80e9,
     .bytes_per_s = 1.935e12,
     .link_bytes_per_s = 32e9,
     .flops_per_s = {19.5e12, 9.7e12, 312e12, 156e12}},
};
enum { N_PEAKS = sizeof PEAKS / sizeof PEAKS[0], KEYS_SIZE = 128 };

status_t device_peaks_find(const char *key, const struct device_peaks **out, struct error *err)
{
    char keys[KEYS_SIZE] = "";
    for (size_t i = 0; i < N_PEAKS; i++) {
        if (strcmp(PEAKS[i].key, key) == 0) {
            *out = &PEAKS[i];
            return ST_OK;
        }
        const size_t n = strlen(keys);
        (void)snprintf(keys + n, sizeof keys - n, "%s%s", n ? ", " : "", PEAKS[i].key);
    }
    return error_set(err, ST_NOT_FOUND, "device '%s' is none of %s", key, keys);
}

const struct device_peaks *device_peaks_match(const char *description)
{
    for (size_t i = 0; i < N_PEAKS; i++)
        if (strstr(description, PEAKS[i].match)) return &PEAKS[i];
    return NULL;
}

enum math_unit math_unit_of(enum compute compute)
{
    if (compute == COMPUTE_TF32) return MATH_TF32_TENSOR;
    return compute == COMPUTE_F32 ? MATH_F32 : MATH_BF16_TENSOR;
}
