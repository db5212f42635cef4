#include "coordinator/circuit/test_family.h"

#include "coordinator/session/null_model.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_TESTS = 64 };

void test_family_fini(struct test_family *family)
{
    free(family->p);
    *family = (struct test_family){.p = NULL};
}

status_t test_family_add(struct test_family *family, double p, struct error *err)
{
    if (family->n == family->capacity) {
        const size_t capacity = family->capacity > 0 ? 2 * family->capacity : FIRST_TESTS;
        double *grown = realloc(family->p, capacity * sizeof *grown);
        if (!grown) return error_set(err, ST_NO_MEMORY, "search: %zu tests", capacity);
        family->p = grown;
        family->capacity = capacity;
    }
    family->p[family->n++] = p;
    return ST_OK;
}

status_t test_family_decide(const struct test_family *family, double q, size_t first,
                            bool *is_discovery, struct error *err)
{
    if (family->n == first) return ST_OK;
    bool *all = calloc(family->n, sizeof *all);
    if (!all) return error_set(err, ST_NO_MEMORY, "search: %zu tests", family->n);
    const status_t status = null_benjamini_hochberg(family->p, family->n, q, all, err);
    if (status == ST_OK) memcpy(is_discovery, all + first, (family->n - first) * sizeof *all);
    free(all);
    return status;
}
