/* The launches of one sparse encode, in the order of sparse_encoder.c and sparse_rows.c. */
#include "kernels/cuda/accounting.h"

/* As sparse_encoder.c and sparse_weights.c have them: tokens of a block, floats of its product,
 * lanes of a dot, features of a mask word. */
enum { BLOCK_TOKENS = 1024, MOST_PRODUCT = 1 << 26, ROW_STEP = 16, WORD = 32 };
/* Passes of select.cuh over keys of 32 and of 64 bits. */
enum { LEAST_PASSES = 4, KEEP_PASSES = 8 };

struct shape {
    double n, n_in, n_row, n_features, n_words, n_candidates; /* n: tokens of the block */
};

static void add_cost(struct launch_costs *to, enum launch_kind kind, double n_bytes, double flops)
{
    struct launch_cost *cost = &to->of[kind];
    cost->n_launches++;
    cost->n_bytes += n_bytes;
    cost->flops += flops;
}

static void account_block(struct launch_costs *to, const struct shape *s)
{
    add_cost(to, LAUNCH_SPARSE_PREPARE, s->n * (s->n_in * 4 + s->n_row * 6 + 3 * 4),
             s->n * s->n_row * 7);
    account_transfer(to, LAUNCH_DOWNLOAD, sizeof(uint64_t)); /* the first bad token */
}

static void account_screen(struct launch_costs *to, const struct shape *s,
                           const struct accounted_encode *p)
{
    const bool has_product = p->screen != SCREEN_NONE;
    const bool is_bf16 = p->screen == SCREEN_BF16;
    const double product = s->n * s->n_features;
    if (has_product)
        add_cost(to, is_bf16 ? LAUNCH_PRODUCT_BF16 : LAUNCH_PRODUCT_F32,
                 (s->n + s->n_features) * s->n_row * (is_bf16 ? 2 : 4) + product * 4,
                 2 * product * s->n_row);
    if (has_product && p->sparse->k)
        add_cost(to, LAUNCH_SPARSE_LEAST, product * 4 + 5 * s->n_features * 4 + s->n * 3 * 4,
                 LEAST_PASSES * 8 * product);
    /* product, four vectors of features, three of tokens; masks, counts both ways */
    add_cost(to, LAUNCH_SPARSE_SCAN,
             (has_product ? product * 4 + 4 * s->n_features * 4 + 3 * s->n * 4 : 0) +
                 s->n * s->n_words * 4 + 2 * s->n * 4,
             has_product ? 6 * product : 0);
    account_transfer(to, LAUNCH_DOWNLOAD, (size_t)s->n * sizeof(uint32_t)); /* counts */
}

static void account_refine(struct launch_costs *to, const struct shape *s,
                           const struct sparse_params *p)
{
    const double c = s->n_candidates;
    const double rows = c < s->n_features ? c : s->n_features; /* of weights: all different */
    const double vectors = 1 + (p->scale ? 1 : 0) + (p->floor ? 1 : 0) + (p->mag_scale ? 2 : 0);
    account_transfer(to, LAUNCH_UPLOAD, ((size_t)s->n + 1) * sizeof(uint32_t)); /* starts */
    add_cost(to, LAUNCH_SPARSE_FILL, s->n * (s->n_words + 1) * 4 + c * 8, 0);
    add_cost(to, LAUNCH_SPARSE_REFINE,
             s->n * s->n_row * 4 + rows * (s->n_row + vectors) * 4 + c * 12, c * 2 * s->n_row);
    if (p->k) add_cost(to, LAUNCH_SPARSE_KEEP, (s->n + 1) * 4 + c * 12, KEEP_PASSES * c);
    account_transfer(to, LAUNCH_DOWNLOAD, (size_t)(c * 4));  /* features */
    account_transfer(to, LAUNCH_DOWNLOAD, (size_t)(c * 4));  /* values */
    account_transfer(to, LAUNCH_DOWNLOAD, sizeof(uint64_t)); /* the first bad pair */
}

void account_encode(struct launch_costs *to, const struct accounted_encode *p)
{
    const struct sparse_params *sparse = p->sparse;
    const size_t fitting = MOST_PRODUCT / sparse->n_features;
    const size_t block = fitting > BLOCK_TOKENS ? BLOCK_TOKENS : fitting ? fitting : 1;
    const size_t n_row = (sparse->n_in + ROW_STEP - 1) / ROW_STEP * ROW_STEP;
    const size_t n_words = (sparse->n_features + WORD - 1) / WORD;
    for (size_t first = 0; first < p->n_tokens; first += block) {
        const size_t left = p->n_tokens - first;
        struct shape s = {.n = (double)(left < block ? left : block),
                          .n_in = (double)sparse->n_in,
                          .n_row = (double)n_row,
                          .n_features = (double)sparse->n_features,
                          .n_words = (double)n_words};
        s.n_candidates = s.n * p->candidates_per_token;
        account_block(to, &s);
        account_screen(to, &s, p);
        if (s.n_candidates > 0) account_refine(to, &s, sparse);
    }
}
