/* Things to measure, made from a seed and written as ordinary files, so that a peer program reads
 * the very same ones: a random-weight GPT-2, a sparse dictionary and activations for it. */
#ifndef WORKER_BENCH_SYNTHETIC_H
#define WORKER_BENCH_SYNTHETIC_H

#include "common/error.h"

#include <stddef.h>

enum { BENCH_VOCAB = 4096, BENCH_MAX_VOCAB = 1 << 20 };

/* GPT-2 small's layers (768 wide, 12 heads, context 1024), F32: directory/config.json and
 * model.safetensors. Errors: ST_BAD_INPUT (n_vocab), ST_IO, ST_NO_MEMORY. */
MUST_CHECK status_t bench_write_model(const char *directory, size_t n_layers, size_t n_vocab,
                                      struct error *err);

/* A SAELens `standard` dictionary [768, 16384] with unit directions and a bias such that about 50
 * features fire on a token of bench_write_activations(): cfg.json, sae_weights.safetensors, and
 * activations.safetensors with x [n_tokens, 768] (40 features with random strength plus noise,
 * as in reference/performance.md 3b). */
MUST_CHECK status_t bench_write_dictionary(const char *directory, size_t n_tokens,
                                           struct error *err);

#endif
