/* All tests that a search made, and which of them are discoveries (Benjamini and Hochberg 1995)
 * so far: a search that looks in many places must find more in each. A value belongs to one
 * thread. */
#ifndef COORDINATOR_CIRCUIT_TEST_FAMILY_H
#define COORDINATOR_CIRCUIT_TEST_FAMILY_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>

struct test_family {
    double *p; /* [n], owned */
    size_t n, capacity;
};

void test_family_fini(struct test_family *family); /* fine twice */

/* Errors: ST_NO_MEMORY. */
MUST_CHECK status_t test_family_add(struct test_family *family, double p, struct error *err);

/* is_discovery [n - first]: of those added since there were `first`, at rate q over all of them.
 * Errors: ST_BAD_INPUT (p or q outside [0, 1]), ST_NO_MEMORY. */
MUST_CHECK status_t test_family_decide(const struct test_family *family, double q, size_t first,
                                       bool *is_discovery, struct error *err);

#endif
