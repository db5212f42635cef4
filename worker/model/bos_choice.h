/* Whether a text gets BOS in front: "auto" as the tokenizer's own template has it, "true", "false".
 * The rule of sweeps, probes and prompts; capture plans decide the same from a description. */
#ifndef WORKER_MODEL_BOS_CHOICE_H
#define WORKER_MODEL_BOS_CHOICE_H

#include "worker/model/tokenizer.h"

struct bos_choice {
    size_t n_bos; /* 0 or 1 */
    uint32_t bos; /* if n_bos */
};

/* `directory` names the model in errors: ST_BAD_INPUT (true, and there is no BOS token),
 * ST_PROTOCOL (another word). */
MUST_CHECK status_t bos_choose(struct bos_choice *out, const struct tokenizer *tokenizer,
                               const char *word, const char *directory, struct error *err);

#endif
