/* Many dot products of long rows with long rows: out[i, j] += sum over terms of a_i . b_j.
 *
 * A block takes 32 rows of a, 32 of b and a part of the terms; both pass through shared memory in
 * tiles of 32 columns, a thread holds 2 x 2 sums. Stretches of a term are summed in f32, stretches
 * and terms in f64; a part's sums go to scratch, and a second kernel adds the parts in ascending
 * order. How terms are parted depends on their number alone, so nothing depends on the schedule.
 * Oracle: kernels/cpu/contract_body.h, other order of the sums in f32. */
#include "kernels/cuda/grid.cuh"

enum { TILE = 32, THREADS_OF_ROW = 16, ROWS_OF_PASS = BLOCK / TILE, STRETCH = 512 };
enum { MAX_PARTS = 16 };

size_t contract_n_parts(const contract_params *p)
{
    return p->n_terms < MAX_PARTS ? p->n_terms : static_cast<size_t>(MAX_PARTS);
}

/* Columns [first, first + TILE) of 32 rows; what lies behind a row or below the last is 0. */
static __device__ __forceinline__ void load_tile(float (&tile)[TILE][TILE + 1], const float *rows,
                                                 size_t ld, size_t n_rows, size_t first, size_t end)
{
    const size_t column = first + threadIdx.x % TILE;
    for (unsigned r = threadIdx.x / TILE; r < TILE; r += ROWS_OF_PASS)
        tile[r][threadIdx.x % TILE] = r < n_rows && column < end ? rows[r * ld + column] : 0.0f;
}

struct contract_tiles {
    float a[TILE][TILE + 1], b[TILE][TILE + 1];
};

/* sums += the products of columns [first, end), in f32. All threads come here. */
static __device__ __forceinline__ void add_stretch(contract_tiles &tiles, const contract_params &p,
                                                   size_t row, size_t column, size_t first,
                                                   size_t end, double (&sums)[2][2])
{
    const unsigned x = threadIdx.x % THREADS_OF_ROW, y = threadIdx.x / THREADS_OF_ROW;
    float part[2][2] = {{0.0f, 0.0f}, {0.0f, 0.0f}};
    for (size_t k = first; k < end; k += TILE) {
        load_tile(tiles.a, p.a + row * p.ld_a, p.ld_a, p.n_a - row, k, end);
        load_tile(tiles.b, p.b + column * p.ld_b, p.ld_b, p.n_b - column, k, end);
        __syncthreads();
        for (int c = 0; c < TILE; c++) {
            const float a0 = tiles.a[y][c], a1 = tiles.a[y + THREADS_OF_ROW][c];
            const float b0 = tiles.b[x][c], b1 = tiles.b[x + THREADS_OF_ROW][c];
            part[0][0] = fmaf(a0, b0, part[0][0]);
            part[0][1] = fmaf(a0, b1, part[0][1]);
            part[1][0] = fmaf(a1, b0, part[1][0]);
            part[1][1] = fmaf(a1, b1, part[1][1]);
        }
        __syncthreads();
    }
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++) sums[i][j] += static_cast<double>(part[i][j]);
}

/* Launch: x tiles of b, y tiles of a, z parts. parts [n_parts, n_a, n_b]. */
__global__ void __launch_bounds__(BLOCK) contract_kernel(contract_params p, double *parts)
{
    SHARED_ARRAY(contract_tiles, tiles);
    const size_t first_term = p.n_terms * blockIdx.z / gridDim.z,
                 end_term = p.n_terms * (blockIdx.z + 1) / gridDim.z;
    const unsigned x = threadIdx.x % THREADS_OF_ROW, y = threadIdx.x / THREADS_OF_ROW;
    for (size_t row = static_cast<size_t>(blockIdx.y) * TILE; row < p.n_a;
         row += static_cast<size_t>(gridDim.y) * TILE) {
        for (size_t column = static_cast<size_t>(blockIdx.x) * TILE; column < p.n_b;
             column += static_cast<size_t>(gridDim.x) * TILE) {
            double sums[2][2] = {{0.0, 0.0}, {0.0, 0.0}};
            for (size_t term = first_term; term < end_term; term++) {
                const size_t end = (term + 1) * p.d;
                for (size_t k = term * p.d; k < end; k += STRETCH)
                    add_stretch(tiles, p, row, column, k, end - k < STRETCH ? end : k + STRETCH,
                                sums);
            }
#pragma unroll
            for (int at = 0; at < 4; at++) {
                const size_t i = row + y + at / 2 * THREADS_OF_ROW,
                             j = column + x + at % 2 * THREADS_OF_ROW;
                if (i < p.n_a && j < p.n_b)
                    parts[(blockIdx.z * p.n_a + i) * p.n_b + j] = sums[at / 2][at % 2];
            }
        }
    }
}

__global__ void __launch_bounds__(BLOCK)
    add_parts_kernel(contract_params p, const double *parts, size_t n_parts)
{
    const size_t n = p.n_a * p.n_b, n_threads = static_cast<size_t>(gridDim.x) * BLOCK;
    for (size_t at = static_cast<size_t>(blockIdx.x) * BLOCK + threadIdx.x; at < n;
         at += n_threads) {
        double sum = 0.0;
        for (size_t i = 0; i < n_parts; i++) sum += parts[i * n + at];
        p.out[at / p.n_b * p.ld_out + at % p.n_b] += sum;
    }
}

cudaError_t launch_contract(cudaStream_t stream, const contract_params *p, double *parts)
{
    const size_t n_parts = contract_n_parts(p);
    const dim3 grid(blocks_for(p->n_b, TILE), blocks_for(p->n_a, TILE),
                    static_cast<unsigned>(n_parts));
    LAUNCH(contract_kernel, grid, BLOCK, 0, stream, *p, parts);
    const cudaError_t code = cudaGetLastError();
    if (code != cudaSuccess) return code;
    LAUNCH(add_parts_kernel, blocks_for(p->n_a * p->n_b, BLOCK), BLOCK, 0, stream, *p, parts,
           n_parts);
    return cudaGetLastError();
}
