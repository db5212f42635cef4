#include "kernels/device_peaks.h"

#include <stdio.h>
#include <string.h>

/* Tensor figures of the sheets are with sparsity; these are half of them. PCIe: half of the sum of
 * both directions. Sheets of GA102 and AD102 leave f64 out: a 64th of f32, as the GA102 and the Ada
 * GPU architecture papers have it, whose tensor figures accumulate in f32. B200: one device of an
 * HGX B200. */
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
    {.key = "b200",
     .match = "B200",
     .name = "B200 SXM 180 GB",
     .source = "NVIDIA Blackwell data sheet, HGX B200",
     .memory_bytes = 180e9,
     .bytes_per_s = 7.7e12,
     .link_bytes_per_s = 64e9,
     .flops_per_s = {75e12, 37e12, 2250e12, 1100e12}},
    {.key = "l40s",
     .match = "L40S",
     .name = "L40S 48 GB",
     .source = "NVIDIA L40S data sheet",
     .memory_bytes = 48e9,
     .bytes_per_s = 0.864e12,
     .link_bytes_per_s = 32e9,
     .flops_per_s = {91.6e12, 91.6e12 / 64, 362.05e12, 183e12}},
    {.key = "rtx-a6000",
     .match = "RTX A6000",
     .name = "RTX A6000 48 GB",
     .source = "NVIDIA RTX A6000 data sheet, GA102 paper",
     .memory_bytes = 48e9,
     .bytes_per_s = 0.768e12,
     .link_bytes_per_s = 32e9,
     .flops_per_s = {38.7e12, 38.7e12 / 64, 154.8e12, 77.4e12}},
    {.key = "rtx-4090",
     .match = "GeForce RTX 4090",
     .name = "GeForce RTX 4090 24 GB",
     .source = "NVIDIA Ada GPU architecture paper",
     .memory_bytes = 24e9,
     .bytes_per_s = 1.008e12,
     .link_bytes_per_s = 32e9,
     .flops_per_s = {82.6e12, 82.6e12 / 64, 165.2e12, 82.6e12}},
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
    return error_set(err, ST_BAD_INPUT, "device '%s' is none of %s", key, keys);
}

/* The part of "<backend> <name> sm_<number>" that is the name, less the maker's: its length. */
static size_t find_name(const char *description, const char **out)
{
    static const char MAKER[] = "NVIDIA ";
    const char *name = strchr(description, ' ');
    const char *end = strstr(description, " sm_");
    if (!name || !end || end <= name) return 0;
    name++;
    if (strncmp(name, MAKER, sizeof MAKER - 1) == 0) name += sizeof MAKER - 1;
    *out = name;
    return end > name ? (size_t)(end - name) : 0;
}

/* A name is all of it or another device: "GH200" and "H200 NVL" are no "H200", and a part of a
 * device ("H100 80GB HBM3 MIG 1g.10gb") is not the device. */
const struct device_peaks *device_peaks_match(const char *description)
{
    const char *name = NULL;
    const size_t n = find_name(description, &name);
    for (size_t i = 0; i < N_PEAKS && n; i++)
        if (strlen(PEAKS[i].match) == n && memcmp(PEAKS[i].match, name, n) == 0) return &PEAKS[i];
    return NULL;
}

enum math_unit math_unit_of(enum compute compute)
{
    if (compute == COMPUTE_TF32) return MATH_TF32_TENSOR;
    return compute == COMPUTE_F32 ? MATH_F32 : MATH_BF16_TENSOR;
}
