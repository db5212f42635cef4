#include "common/error.h"
#undef error_set /* as the static analyser is told about them */
#undef error_wrap

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int exit_code;
} statuses[] = {
    [ST_OK] = {"ok", 0},
    [ST_BAD_INPUT] = {"bad_input", 2},
    [ST_NOT_FOUND] = {"not_found", 3},
    [ST_UNSUPPORTED] = {"unsupported", 2},
    [ST_CORRUPT] = {"corrupt", 2},
    [ST_IO] = {"io", 1},
    [ST_NO_MEMORY] = {"no_memory", 1},
    [ST_TOO_LARGE] = {"too_large", 2},
    [ST_UNREACHABLE] = {"unreachable", 4},
    [ST_TIMEOUT] = {"timeout", 124},
    [ST_CONFLICT] = {"conflict", 5},
    [ST_BUSY] = {"busy", 5},
    [ST_PROTOCOL] = {"protocol", 4},
    [ST_CANCELLED] = {"cancelled", 1},
    [ST_INTERNAL] = {"internal", 1},
};

/* Text from outside must stay on one line; bytes above 0x7f pass (UTF-8 names are legal). */
static void make_printable(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f) *text = '?';
}

static void append(char text[ERROR_TEXT_MAX], size_t *used, const char *more)
{
    while (*more && *used < ERROR_TEXT_MAX - 1) text[(*used)++] = *more++;
    text[*used] = '\0';
}

void error_clear(struct error *err)
{
    if (!err) return;
    err->status = ST_OK;
    err->text[0] = '\0';
}

status_t error_set(struct error *err, status_t status, const char *format, ...)
{
    if (!err || err->status != ST_OK) return status;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    make_printable(err->text);
    err->status = status;
    return status;
}

status_t error_wrap(struct error *err, const char *format, ...)
{
    if (!err) return ST_INTERNAL;
    char inner[ERROR_TEXT_MAX];
    memcpy(inner, err->text, sizeof inner);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    size_t used = strlen(err->text);
    append(err->text, &used, ": ");
    append(err->text, &used, inner);
    make_printable(err->text);
    if (err->status == ST_OK) err->status = ST_INTERNAL;
    return err->status;
}

const char *status_name(status_t status)
{
    const size_t index = (size_t)status;
    return index < sizeof statuses / sizeof statuses[0] ? statuses[index].name : "unknown";
}

int status_exit_code(status_t status)
{
    const size_t index = (size_t)status;
    return index < sizeof statuses / sizeof statuses[0] ? statuses[index].exit_code : 1;
}
