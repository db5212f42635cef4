/* The nonlinearities and their slopes: the formulas of kernels/cpu/activation_body.h and
 * backward_body.h. */
#ifndef KERNELS_CUDA_ACTIVATION_CUH
#define KERNELS_CUDA_ACTIVATION_CUH

#include "kernels/cuda/grid.cuh"

template <activation kind> static __device__ __forceinline__ float activation_of(float x)
{
    if (kind == ACTIVATION_GELU_TANH) {
        const float u = x * fmaf(x * x, 0.044715f, 1.0f) * 0.7978845608f;
        return x / (expf(-2.0f * u) + 1.0f);
    }
    if (kind == ACTIVATION_GELU_ERF) return 0.5f * x * (1.0f + erff(x * 0.70710678f));
    if (kind == ACTIVATION_SILU) return x / (expf(-x) + 1.0f);
    return x > 0.0f ? x : 0.0f;
}

template <activation kind> static __device__ __forceinline__ float slope_of(float x)
{
    if (kind == ACTIVATION_GELU_TANH) { /* x s, s = 1 / (1 + exp(-2u)) */
        const float u = x * fmaf(x * x, 0.044715f, 1.0f) * 0.7978845608f;
        const float du = fmaf(x * x, 3 * 0.044715f, 1.0f) * 0.7978845608f;
        const float s = 1.0f / (expf(-2.0f * u) + 1.0f);
        return s + 2.0f * x * s * (1.0f - s) * du;
    }
    if (kind == ACTIVATION_GELU_ERF) /* Phi(x) + x phi(x) */
        return fmaf(x * 0.3989422804f, expf(-0.5f * x * x), 0.5f * (1.0f + erff(x * 0.70710678f)));
    if (kind == ACTIVATION_SILU) {
        const float s = 1.0f / (expf(-x) + 1.0f);
        return s + x * s * (1.0f - s);
    }
    return x > 0.0f ? 1.0f : 0.0f;
}

#endif
