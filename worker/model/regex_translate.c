#define PCRE2_CODE_UNIT_WIDTH 8
#include "worker/model/regex_translate.h"

#include <ctype.h>
#include <pcre2.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Members of classes. White space ends in a range, because a '-' of the pattern may follow and
 * is literal behind a range; it is spelled out since that matches faster than the property. */
#define WHITE_SPACE                                                                                \
    "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}"     \
    "\\x{2000}-\\x{200a}"
#define WORD "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}"
/* Outside a class Oniguruma's \w also takes Latin-1's superscripts and fractions. */
#define WORD_ALONE WORD "\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}"

struct translation {
    const char *at; /* next byte of the pattern */
    struct buffer *out;
    bool in_class;
    bool at_start;
};

static const struct {
    char letter;
    const char *outside, *inside; /* NULL: refused there */
} escapes[] = {
    {'s', "[" WHITE_SPACE "]", WHITE_SPACE},
    {'S', "[^" WHITE_SPACE "]", "\\P{White_Space}"},
    {'w', "[" WORD_ALONE "]", WORD},
    {'W', "[^" WORD_ALONE "]", NULL},
    {'d', "\\p{Nd}", "\\p{Nd}"},
    {'D', "\\P{Nd}", "\\P{Nd}"},
    {'v', "\\x0b", "\\x0b"},
    {'r', "\\r", "\\r"},
    {'n', "\\n", "\\n"},
    {'t', "\\t", "\\t"},
    {'f', "\\f", "\\f"},
    {'a', "\\a", "\\a"},
    {'e', "\\e", "\\e"},
    {'A', "\\A", NULL},
    {'z', "\\z", NULL},
};

static status_t refuse(const char *construct, size_t n_bytes, struct error *err)
{
    return error_set(err, ST_UNSUPPORTED, "regex construct '%.*s' is not supported",
                     (int)(n_bytes > 16 ? 16 : n_bytes), construct);
}

/* PCRE2 reads a script's name as "script extensions" (marks used with it too); Oniguruma as the
 * script alone, which PCRE2 spells sc:Name. Its compiler knows which names are scripts. */
static bool is_script(const char *name, size_t n_bytes)
{
    char pattern[64];
    int code = 0;
    size_t offset = 0;
    const int n = snprintf(pattern, sizeof pattern, "\\p{sc:%.*s}", (int)n_bytes, name);
    if (n < 0 || (size_t)n >= sizeof pattern) return false;
    pcre2_code *compiled =
        pcre2_compile((PCRE2_SPTR)pattern, (size_t)n, PCRE2_UTF, &code, &offset, NULL);
    pcre2_code_free(compiled);
    return compiled != NULL;
}

/* \p{Name}, \P{Name}, \p{^Name}. */
static status_t copy_property(struct translation *t, struct error *err)
{
    const char *end = t->at[2] == '{' ? strchr(t->at, '}') : NULL;
    if (!end || end - t->at > 48) return refuse(t->at, strnlen(t->at, 3), err);
    const char letter = t->at[1];
    const char *name = t->at + 3;
    const bool is_negated = *name == '^';
    if (is_negated) name++;
    const size_t n_name = (size_t)(end - name);
    t->at = end + 1;
    return buffer_printf(t->out, err, "\\%c{%s%s%.*s}", letter, is_negated ? "^" : "",
                         is_script(name, n_name) ? "sc:" : "", (int)n_name, name);
}

/* \xHH up to 7F, \x{H...}, \uHHHH. */
static status_t copy_code(struct translation *t, struct error *err)
{
    const char *digits = t->at + 2;
    const bool braced = t->at[1] == 'x' && *digits == '{';
    const size_t n_wanted = t->at[1] == 'u' ? 4 : 2;
    size_t n_digits = 0;
    if (braced) digits++;
    while (isxdigit((unsigned char)digits[n_digits]) && (braced || n_digits < n_wanted)) n_digits++;
    const bool complete =
        braced ? n_digits > 0 && n_digits <= 6 && digits[n_digits] == '}' : n_digits == n_wanted;
    if (!complete || (!braced && n_wanted == 2 && digits[0] > '7'))
        return refuse(t->at, strnlen(t->at, 6), err);
    t->at = digits + n_digits + (braced ? 1 : 0);
    return buffer_printf(t->out, err, "\\x{%.*s}", (int)n_digits, digits);
}

static status_t copy_escape(struct translation *t, struct error *err)
{
    const char letter = t->at[1];
    if (letter == '\0') return error_set(err, ST_BAD_INPUT, "regex ends in a backslash");
    if (letter == 'p' || letter == 'P') return copy_property(t, err);
    if (letter == 'x' || letter == 'u') return copy_code(t, err);
    for (size_t i = 0; i < sizeof escapes / sizeof escapes[0]; i++) {
        if (escapes[i].letter != letter) continue;
        const char *text = t->in_class ? escapes[i].inside : escapes[i].outside;
        if (!text) break;
        t->at += 2;
        return buffer_append_text(t->out, text, err);
    }
    if (!ispunct((unsigned char)letter)) return refuse(t->at, 2, err);
    t->at += 2;
    return buffer_append(t->out, t->at - 2, 2, err);
}

static status_t copy_bytes(struct translation *t, size_t n_bytes, struct error *err)
{
    t->at += n_bytes;
    return buffer_append(t->out, t->at - n_bytes, n_bytes, err);
}

/* Groups whose meaning both engines share; a bare (?i) only where its scope is the whole. */
static status_t copy_group(struct translation *t, struct error *err)
{
    static const char *const openings[] = {"(?:", "(?=", "(?!", "(?>", "(?<=", "(?<!", "(?i:"};
    if (strncmp(t->at, "(?i)", 4) == 0 && t->at_start) return copy_bytes(t, 4, err);
    if (t->at[1] != '?') return copy_bytes(t, 1, err);
    for (size_t i = 0; i < sizeof openings / sizeof openings[0]; i++)
        if (strncmp(t->at, openings[i], strlen(openings[i])) == 0)
            return copy_bytes(t, strlen(openings[i]), err);
    return refuse(t->at, strnlen(t->at, 4), err);
}

static status_t copy_in_class(struct translation *t, struct error *err)
{
    if (*t->at == '[' || strncmp(t->at, "&&", 2) == 0) return refuse(t->at, 2, err);
    if (*t->at == ']') t->in_class = false;
    return copy_bytes(t, 1, err);
}

static status_t open_class(struct translation *t, struct error *err)
{
    const size_t n_open = t->at[1] == '^' ? 2 : 1;
    if (t->at[n_open] == ']') return refuse(t->at, n_open + 1, err); /* read differently */
    t->in_class = true;
    return copy_bytes(t, n_open, err);
}

static status_t copy_next(struct translation *t, struct error *err)
{
    if (*t->at == '\\') return copy_escape(t, err);
    if (t->in_class) return copy_in_class(t, err);
    if (*t->at == '[') return open_class(t, err);
    if (*t->at == '(') return copy_group(t, err);
    if (strncmp(t->at, "}+", 2) == 0) return refuse(t->at, 2, err); /* possessive in PCRE2 only */
    return copy_bytes(t, 1, err);
}

status_t regex_translate(const char *pattern, struct buffer *out, struct error *err)
{
    struct translation t = {.at = pattern, .out = out, .at_start = true};
    while (*t.at) {
        const status_t status = copy_next(&t, err);
        if (status != ST_OK) return status;
        t.at_start = false;
    }
    return t.in_class ? error_set(err, ST_BAD_INPUT, "regex ends inside a class") : ST_OK;
}
