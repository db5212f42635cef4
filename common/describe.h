/* What a `describe` task returns: the facts about model and targets that planning needs, and
 * the text of every token for prompts and evidence.
 *
 *   one zstd frame of parts (wire.h): part 0 JSON, parts 1.. the token texts by id
 *   {"model":   {"family":TEXT, "n_layers":N, "n_heads":N, "n_kv_heads":N, "d_head":N, "d_mlp":N,
 *                "d_model":N, "n_vocab":N, "n_positions":N, "bos":ID|null, "eos":ID|null,
 *                "adds_bos":BOOL, "fingerprint":HEX},
 *    "targets": [{"n_features":N, "is_signed":BOOL, "fingerprint":HEX or ""}]}
 *
 * A fingerprint is the SHA-256 of what was read (worker/model/fingerprint.h): it names evidence.
 *
 * Any thread. */
#ifndef COMMON_DESCRIBE_H
#define COMMON_DESCRIBE_H

#include "common/buffer.h"
#include "common/error.h"
#include "common/hash.h"
#include "common/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DESCRIBE_MAX_TARGETS = 64, DESCRIBE_MAX_BYTES = 256 * 1024 * 1024 };

struct describe_target {
    uint32_t n_features; /* of the dictionary, or units of the hook point */
    bool is_signed;      /* two slots per unit, + and - (neurons, residual dimensions) */
    char fingerprint[HASH_HEX_SIZE]; /* of the dictionary; "" without one */
};

struct description {
    char family[32];
    uint64_t n_layers, n_heads, n_kv_heads, d_head, d_mlp, d_model, n_vocab, n_positions;
    uint32_t bos, eos; /* UINT32_MAX: none */
    bool adds_bos;
    char fingerprint[HASH_HEX_SIZE]; /* of the model */
    size_t n_targets;
    struct describe_target targets[DESCRIBE_MAX_TARGETS];
    size_t n_tokens;
    struct wire_text *texts; /* [n_tokens], by id; decoded: they point into `bytes` */
    struct buffer bytes;     /* decoded: owned */
};

MUST_CHECK status_t description_encode(const struct description *description, struct buffer *out,
                                       struct error *err);
/* Untrusted bytes. On ST_OK the caller owns *out (fini). Errors: ST_CORRUPT, ST_NO_MEMORY. */
MUST_CHECK status_t description_decode(const void *bytes, size_t n_bytes, struct description *out,
                                       struct error *err);
void description_fini(struct description *description); /* frees texts and bytes */

#endif
