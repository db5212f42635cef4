/* A model whose circuit is known, written as an ordinary HF checkpoint beside the truth and the
 * prompts that show it (README.md of this folder). Equal parameters give equal bytes. */
#ifndef WORKER_KNOWN_KNOWN_MODEL_H
#define WORKER_KNOWN_KNOWN_MODEL_H

#include "worker/known/known_plan.h"

/* Write config.json, model.safetensors, tokenizer.json, tokenizer_config.json, circuit.json and
 * prompts.jsonl (n_prompts search and as many held-out pairs) into `directory`, which appears when
 * all are complete and may exist before only if it is empty. Any thread.
 * Errors: ST_BAD_INPUT (a parameter, named), ST_CONFLICT (the directory holds something), ST_IO,
 * ST_NO_MEMORY; then nothing is left. */
MUST_CHECK status_t known_model_write(const struct known_params *params, size_t n_prompts,
                                      const char *directory, struct error *err);

#endif
