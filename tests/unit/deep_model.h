/* A golden Llama model with more layers: its own, again and again under further numbers. */
#ifndef TESTS_UNIT_DEEP_MODEL_H
#define TESTS_UNIT_DEEP_MODEL_H

#include <stddef.h>

/* Write config and checkpoint of tests/golden/models/llama-gqa-tied with n_layers into `to`, an
 * empty folder. */
void deep_model_write(const char *to, size_t n_layers);

#endif
