/* bf16 as a CUDA source sees it, for the host emulator: round to nearest even, NaN stays NaN. */
#ifndef KERNELS_EMU_CUDA_BF16_H
#define KERNELS_EMU_CUDA_BF16_H

#include <stdint.h>
#include <string.h>

struct __nv_bfloat16 {
    uint16_t bits;
};

inline float __bfloat162float(__nv_bfloat16 value)
{
    const uint32_t wide = static_cast<uint32_t>(value.bits) << 16;
    float out;
    memcpy(&out, &wide, sizeof out);
    return out;
}

inline __nv_bfloat16 __float2bfloat16_rn(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (value != value) return {0x7fff};
    return {static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16)};
}

#endif
