/* The launches of one sparse encode, in the order of sparse_encoder.c and sparse_rows.c. */
#include "kernels/cuda/accounting.h"

#include <math.h>

/* As sparse_encoder.c and sparse_weights.c have them: tokens of a block, candidates of a pass for
 * each, floats of its product, lanes of a dot, features of a mask word. */
enum { BLOCK_TOKENS = 1024, SHARE = 256, MOST_PRODUCT = 1 << 26, ROW_STEP = 16, WORD = 32 };
/* What comes down beside numbers: the first token or pair that is none. */
enum { BAD_BYTES = sizeof(uint64_t) };
/* Passes of select.cuh over keys of 32 and of 64 bits. */
enum { LEAST_PASSES = 4, KEEP_PASSES = 8 };

struct shape {
    double n, n_in, n_row, n_features, n_words; /* n: tokens of the block, or of the pass */
    double n_candidates, n_fired;
};

static size_t block_tokens(size_t n_features)
{
    const size_t fitting = MOST_PRODUCT / n_features;
    return fitting > BLOCK_TOKENS ? BLOCK_TOKENS : fitting ? fitting : 1;
}

static size_t pass_candidates(size_t n_features)
{
    const size_t n = block_tokens(n_features) * (n_features < SHARE ? n_features : SHARE);
    return n > n_features ? n : n_features;
}

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
    account_transfer(to, LAUNCH_DOWNLOAD, BAD_BYTES + (size_t)s->n * sizeof(uint32_t)); /* counts */
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
}

/* Features are taken as all different, as long as there are any; their keys as all written, which
 * they are while the first k tokens come in, and rarely later. */
static void account_tally(struct launch_costs *to, const struct shape *s, size_t k)
{
    const double features = fmin(s->n_fired, s->n_features), keys = (double)k;
    if (!k) return;
    add_cost(to, LAUNCH_SPARSE_TALLY,
             (s->n + 1) * 4 + s->n_fired * 8 + features * (1 + keys) * 2 * 8, s->n_fired * keys);
}

/* Rows: counted, placed, packed, fetched, or put where a digest finds them. */
static void account_rows(struct launch_costs *to, const struct shape *s, bool is_digested)
{
    const double c = s->n_candidates, n = s->n;
    const size_t fired = (size_t)s->n_fired;
    const enum launch_kind kind = is_digested ? LAUNCH_COPY : LAUNCH_DOWNLOAD;
    add_cost(to, LAUNCH_SPARSE_COUNT, (n + 1) * 4 + c * 4 + n * 4, c);
    add_cost(to, LAUNCH_SPARSE_STARTS, n * 4 + (n + 1) * 4, 2 * n);
    add_cost(to, LAUNCH_SPARSE_PACK, (n + 1) * 4 + c * 4 + n * 4 + s->n_fired * 12, c);
    account_transfer(to, LAUNCH_DOWNLOAD, BAD_BYTES + ((size_t)n + 1) * sizeof(uint32_t));
    if (!fired) return;
    account_transfer(to, kind, fired * sizeof(uint32_t)); /* features */
    account_transfer(to, kind, fired * sizeof(float));    /* values */
}

/* As many tokens a pass as have room. */
static void account_passes(struct launch_costs *to, const struct shape *block,
                           const struct accounted_encode *p)
{
    const double room = (double)pass_candidates(p->sparse->n_features);
    const size_t n_tokens = (size_t)block->n;
    const size_t fitting = (size_t)fmax(1, fmin(block->n, room / p->candidates_per_token));
    for (size_t first = 0; first < n_tokens; first += fitting) {
        const size_t left = n_tokens - first;
        struct shape s = *block;
        s.n = (double)(left < fitting ? left : fitting);
        s.n_candidates = s.n * p->candidates_per_token;
        s.n_fired = s.n * p->fired_per_token;
        account_refine(to, &s, p->sparse);
        account_rows(to, &s, p->is_digested);
        account_tally(to, &s, p->tally_k);
    }
}

void account_encode(struct launch_costs *to, const struct accounted_encode *p)
{
    const struct sparse_params *sparse = p->sparse;
    const size_t block = block_tokens(sparse->n_features);
    const size_t n_row = (sparse->n_in + ROW_STEP - 1) / ROW_STEP * ROW_STEP;
    const size_t n_words = (sparse->n_features + WORD - 1) / WORD;
    for (size_t first = 0; first < p->n_tokens; first += block) {
        const size_t left = p->n_tokens - first;
        struct shape s = {.n = (double)(left < block ? left : block),
                          .n_in = (double)sparse->n_in,
                          .n_row = (double)n_row,
                          .n_features = (double)sparse->n_features,
                          .n_words = (double)n_words};
        account_block(to, &s);
        account_screen(to, &s, p);
        if (p->candidates_per_token > 0) account_passes(to, &s, p);
    }
}
