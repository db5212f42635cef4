/* For tests of what runs on any backend: they run on the CPU, and once more on the CUDA backend
 * (tests/integration/emulated_tasks.py). */
#ifndef TESTS_UNIT_ANY_BACKEND_H
#define TESTS_UNIT_ANY_BACKEND_H

#include "kernels/plugin.h"

/* The backend that TEST_BACKEND names; the CPU if it names none. */
MUST_CHECK status_t any_backend_open(struct backend **out, struct error *err);

#endif
