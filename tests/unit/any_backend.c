#include "tests/unit/any_backend.h"

#include <stdlib.h>

status_t any_backend_open(struct backend **out, struct error *err)
{
    const char *name = getenv("TEST_BACKEND");
    return backend_open(name && *name ? name : "cpu", out, err);
}
