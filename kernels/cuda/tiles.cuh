/* What attention.cu and attention_backward.cu share: rows of heads in shared memory, and which
 * scores count. */
#ifndef KERNELS_CUDA_TILES_CUH
#define KERNELS_CUDA_TILES_CUH

#include "kernels/cuda/grid.cuh"

enum { TILE_ROWS = 32 }; /* of what passes by: a lane to a row */

/* One tile of rows first .. first + N_ROWS of a head into shared memory [N_ROWS][WIDTH + 1]; rows
 * at or past n_rows and columns behind the head become 0. The odd row length avoids bank
 * conflicts where lanes read down a column. */
template <int WIDTH, int N_ROWS>
static __device__ __forceinline__ void load_tile(float *tile, const float *rows, size_t ld,
                                                 size_t first, size_t n_rows, size_t d_head)
{
    for (unsigned i = threadIdx.x; i < N_ROWS * WIDTH; i += BLOCK) {
        const unsigned r = i / WIDTH, c = i % WIDTH;
        const bool is_there = first + r < n_rows && c < d_head;
        tile[r * (WIDTH + 1) + c] = is_there ? rows[(first + r) * ld + c] : 0.0f;
    }
}

/* Which keys a query sees, and what becomes of a score. */
struct score_rule {
    size_t window; /* keys up to the query's own; 0: all */
    float scale, soft_cap;
};

static __device__ __forceinline__ bool is_seen(const score_rule &rule, size_t query, size_t key)
{
    return key <= query && (!rule.window || query - key < rule.window);
}

static __device__ __forceinline__ float score_of(const score_rule &rule, float dot)
{
    const float score = dot * rule.scale;
    return rule.soft_cap > 0.0f ? rule.soft_cap * tanhf(score / rule.soft_cap) : score;
}

/* The derivative of score_of by the score before its cap, from what it gave. */
static __device__ __forceinline__ float slope_of(const score_rule &rule, float score)
{
    const float share = rule.soft_cap > 0.0f ? score / rule.soft_cap : 0.0f;
    return 1.0f - share * share;
}

#endif
