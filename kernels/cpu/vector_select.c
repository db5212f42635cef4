#include "kernels/cpu/vector.h"

enum { ATTEND_WIDEST_STEP = 64, ATTEND_MOST_QUERIES = 4 };

size_t attend_scratch_floats(size_t n_ctx, size_t d_head)
{
    const size_t n_pad = (n_ctx / ATTEND_WIDEST_STEP + 1) * ATTEND_WIDEST_STEP;
    const size_t d_pad = (d_head / ATTEND_WIDEST_STEP + 1) * ATTEND_WIDEST_STEP;
    return d_head * n_pad + n_ctx * d_pad + ATTEND_MOST_QUERIES * n_pad;
}

size_t attend_backward_scratch_floats(size_t n_ctx)
{
    return 3 * (n_ctx / ATTEND_WIDEST_STEP + 1) * ATTEND_WIDEST_STEP;
}

enum cpu_isa cpu_isa_detect(enum cpu_isa limit)
{
    const bool has_avx512 =
        __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (limit >= CPU_ISA_AVX512 && has_avx512 && has_avx2) return CPU_ISA_AVX512;
    if (limit >= CPU_ISA_AVX2 && has_avx2) return CPU_ISA_AVX2;
    return CPU_ISA_PLAIN;
}

bool cpu_has_vnni(void)
{
    return __builtin_cpu_supports("avx512vnni");
}

bool cpu_has_bf16(void)
{
    return __builtin_cpu_supports("avx512bf16");
}

const struct vector_kernels *vector_kernels_of(enum cpu_isa isa)
{
    if (isa == CPU_ISA_AVX512) return &vector_kernels_avx512;
    if (isa == CPU_ISA_AVX2) return &vector_kernels_avx2;
    return &vector_kernels_plain;
}
