/* The k-th largest of keys, by one block: digits of 8 bits from the top, a histogram each. Counts
 * are whole numbers, so the result does not depend on who adds first. */
#ifndef KERNELS_CUDA_SELECT_CUH
#define KERNELS_CUDA_SELECT_CUH

#include "kernels/cuda/grid.cuh"

enum { N_BINS = 256, DIGIT_BITS = 8 };

struct selection {
    unsigned bins[N_BINS];
    unsigned long long prefix; /* the digits found so far, in place */
    size_t k;                  /* counted among the keys with that prefix */
};

/* The bin that holds the k-th largest; k is then counted within it. All threads come here. */
static __device__ __forceinline__ void choose_bin(selection *s, int shift)
{
    __syncthreads();
    if (threadIdx.x == 0) {
        unsigned bin = N_BINS - 1;
        while (bin > 0 && s->bins[bin] < s->k) s->k -= s->bins[bin--];
        s->prefix |= static_cast<unsigned long long>(bin) << shift;
    }
    __syncthreads();
}

/* The k-th largest of key(0 .. n), over the whole block; 0 if fewer than k keys are over 0. Keys
 * of n_bits bits; those of 0 do not count. Every thread gets it; `s` is free afterwards. */
template <class Key>
static __device__ __forceinline__ unsigned long long kth_largest(selection *s, size_t n, size_t k,
                                                                 int n_bits, const Key &key)
{
    if (threadIdx.x == 0) {
        s->prefix = 0;
        s->k = k;
    }
    for (int shift = n_bits - DIGIT_BITS; shift >= 0; shift -= DIGIT_BITS) {
        for (unsigned i = threadIdx.x; i < N_BINS; i += BLOCK) s->bins[i] = 0;
        __syncthreads();
        const unsigned long long above = s->prefix >> shift >> DIGIT_BITS;
        for (size_t i = threadIdx.x; i < n; i += BLOCK) {
            const unsigned long long value = key(i);
            if (value && value >> shift >> DIGIT_BITS == above)
                (void)atomicAdd(&s->bins[value >> shift & (N_BINS - 1)], 1u);
        }
        choose_bin(s, shift);
    }
    const unsigned long long found = s->prefix;
    __syncthreads();
    return found;
}

#endif
