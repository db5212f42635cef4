#define PCRE2_CODE_UNIT_WIDTH 8
#include "worker/model/regex.h"

#include "common/buffer.h"
#include "worker/model/regex_translate.h"

#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_TRANSLATED_BYTES = 64 * REGEX_MAX_PATTERN_BYTES,
    JIT_STACK_START_BYTES = 32 << 10,
    JIT_STACK_MAX_BYTES = 8 << 20
};

struct regex {
    pcre2_code *code;
    bool is_jit;
};

struct regex_cursor {
    pcre2_match_data *match;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
};

static status_t compile(struct regex *regex, const struct buffer *pattern, struct error *err)
{
    int code = 0;
    size_t offset = 0;
    PCRE2_UCHAR reason[128];
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    if (!context) return error_set(err, ST_NO_MEMORY, "regex context");
    (void)pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    regex->code = pcre2_compile(pattern->bytes, pattern->n_bytes,
                                PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE, &code, &offset, context);
    pcre2_compile_context_free(context);
    if (!regex->code) {
        (void)pcre2_get_error_message(code, reason, sizeof reason);
        return error_set(err, ST_BAD_INPUT, "regex: %s", (const char *)reason);
    }
    regex->is_jit = pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE) == 0;
    return ST_OK;
}

status_t regex_create(struct regex **out, const char *pattern, struct error *err)
{
    struct buffer translated;
    const size_t n_bytes = strlen(pattern);
    if (n_bytes > REGEX_MAX_PATTERN_BYTES)
        return error_set(err, ST_TOO_LARGE, "regex of %zu bytes, at most %d are read", n_bytes,
                         (int)REGEX_MAX_PATTERN_BYTES);
    struct regex *regex = calloc(1, sizeof *regex);
    if (!regex) return error_set(err, ST_NO_MEMORY, "regex");
    buffer_init(&translated, MAX_TRANSLATED_BYTES);
    status_t status = regex_translate(pattern, &translated, err);
    if (status == ST_OK) status = compile(regex, &translated, err);
    buffer_fini(&translated);
    if (status == ST_OK)
        *out = regex;
    else
        regex_destroy(&regex);
    return status;
}

void regex_destroy(struct regex **regex)
{
    if (!*regex) return;
    pcre2_code_free((*regex)->code);
    free(*regex);
    *regex = NULL;
}

status_t regex_cursor_create(struct regex_cursor **out, struct error *err)
{
    struct regex_cursor *cursor = calloc(1, sizeof *cursor);
    if (!cursor) return error_set(err, ST_NO_MEMORY, "regex cursor");
    cursor->match = pcre2_match_data_create(1, NULL);
    cursor->context = pcre2_match_context_create(NULL);
    cursor->stack = pcre2_jit_stack_create(JIT_STACK_START_BYTES, JIT_STACK_MAX_BYTES, NULL);
    if (!cursor->match || !cursor->context || !cursor->stack) {
        regex_cursor_destroy(&cursor);
        return error_set(err, ST_NO_MEMORY, "regex cursor");
    }
    pcre2_jit_stack_assign(cursor->context, NULL, cursor->stack);
    *out = cursor;
    return ST_OK;
}

void regex_cursor_destroy(struct regex_cursor **cursor)
{
    struct regex_cursor *old = *cursor;
    if (!old) return;
    pcre2_match_data_free(old->match);
    pcre2_match_context_free(old->context);
    pcre2_jit_stack_free(old->stack);
    free(old);
    *cursor = NULL;
}

status_t regex_find(const struct regex *regex, struct regex_cursor *cursor, const char *text,
                    size_t n_bytes, size_t from, bool *found, size_t *begin, size_t *end,
                    struct error *err)
{
    /* The text is known to be UTF-8, which is what the JIT's direct entry asks for. */
    const int code = regex->is_jit
                         ? pcre2_jit_match(regex->code, (PCRE2_SPTR)text, n_bytes, from,
                                           PCRE2_NO_UTF_CHECK, cursor->match, cursor->context)
                         : pcre2_match(regex->code, (PCRE2_SPTR)text, n_bytes, from,
                                       PCRE2_NO_UTF_CHECK, cursor->match, cursor->context);
    *found = code >= 0;
    if (code >= 0) {
        const size_t *span = pcre2_get_ovector_pointer(cursor->match);
        *begin = span[0];
        *end = span[1];
        return ST_OK;
    }
    if (code == PCRE2_ERROR_NOMATCH) return ST_OK;
    PCRE2_UCHAR reason[128];
    (void)pcre2_get_error_message(code, reason, sizeof reason);
    return error_set(err, ST_TOO_LARGE, "regex search in %zu bytes: %s", n_bytes,
                     (const char *)reason);
}
