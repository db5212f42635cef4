/* Compare a text with a committed file; run the tests with UPDATE_GOLDEN=1 in the environment to
 * rewrite the files, then read the difference before committing it. */
#ifndef TESTS_SUPPORT_SESSION_GOLDEN_H
#define TESTS_SUPPORT_SESSION_GOLDEN_H

#include "common/file.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static inline void expect_golden(const char *path, const char *got)
{
    char *want = NULL;
    if (getenv("UPDATE_GOLDEN"))
        cr_assert_eq(file_write_atomic(path, got, strlen(got), NULL), ST_OK, "%s", path);
    cr_assert_eq(file_read(path, 1 << 20, &want, NULL, NULL), ST_OK, "%s", path);
    cr_expect_str_eq(got, want, "%s differs", path);
    free(want);
}

#endif
