/* tests/golden/malformed/cases.json: what the one-line error of each broken file must say. */
#ifndef TESTS_SUPPORT_MALFORMED_CASES_H
#define TESTS_SUPPORT_MALFORMED_CASES_H

#include <criterion/criterion.h>
#include <jansson.h>
#include <regex.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* The cases of "models" or "tokenizers"; *root keeps them alive, release it by json_decref(). */
static inline json_t *malformed_cases(const char *kind, json_t **root)
{
    *root = json_load_file("tests/golden/malformed/cases.json", 0, NULL);
    json_t *cases = json_object_get(*root, kind);
    cr_assert(json_is_object(cases), "cases.json: %s", kind);
    return cases;
}

/* Whether the line matches the extended pattern as `grep -wE` would. */
static inline bool malformed_says(const char *line, const char *pattern)
{
    char whole[512];
    regex_t compiled;
    (void)snprintf(whole, sizeof whole, "(^|[^[:alnum:]_])(%s)($|[^[:alnum:]_])", pattern);
    cr_assert_eq(regcomp(&compiled, whole, REG_EXTENDED | REG_NOSUB), 0, "%s", pattern);
    const bool says = regexec(&compiled, line, 0, NULL, 0) == 0 && !strchr(line, '\n');
    regfree(&compiled);
    return says;
}

#endif
