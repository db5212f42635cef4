#include "worker/bench_peak.h"

#include "common/clock.h"
#include "kernels/cpu/vector.h"

#include <stddef.h>

double bench_peak_flops(void)
{
    const struct vector_kernels *kernels = vector_kernels_of(cpu_isa_detect(CPU_ISA_AVX512));
    const size_t n_rounds = 200000;
    double best = 0;
    volatile float sink = 0;
    for (int i = 0; i < 40; i++) {
        const int64_t begin = clock_monotonic_ns(clock_system());
        sink = sink + kernels->fma_burst(n_rounds);
        const double ns = (double)(clock_monotonic_ns(clock_system()) - begin);
        const double flops = (double)n_rounds * (double)kernels->fma_round_flops / ns * 1e9;
        best = flops > best ? flops : best;
    }
    return best;
}
