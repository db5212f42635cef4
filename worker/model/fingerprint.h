/* What a model or dictionary is, by content: its evidence must not outlive a retraining in place,
 * and two hosts must not mean different weights by one path.
 *
 * Over config.json, tokenizer.json, cfg.json and every *.safetensors (and their index) of the
 * directory, sorted by name: for each "NAME\0", its size as u64 little-endian, and its bytes; of a
 * file over 1 GiB the first and the last 64 MiB. Other files do not change what is computed.
 * Pure functions of the files; any thread. */
#ifndef WORKER_MODEL_FINGERPRINT_H
#define WORKER_MODEL_FINGERPRINT_H

#include "common/error.h"
#include "common/hash.h"

#include <stdint.h>

/* Errors: ST_NOT_FOUND (no directory, or none of these files), ST_IO, ST_NO_MEMORY. */
MUST_CHECK status_t fingerprint_compute(const char *directory, char out[HASH_HEX_SIZE],
                                        struct error *err);

/* What model `hex` is with its weights shuffled (weight_shuffle.h), in place. 0: itself. */
void fingerprint_shuffle(char hex[HASH_HEX_SIZE], uint64_t shuffle_seed);

/* A number of the same files' names, sizes, times and inodes: cheap, and another one when they
 * were written again. Errors as above. */
MUST_CHECK status_t fingerprint_stamp(const char *directory, uint64_t *out, struct error *err);

#endif
