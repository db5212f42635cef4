#include "coordinator/api/json_select.h"

#include <stdbool.h>
#include <string.h>

/* What is left of the text. */
struct cursor {
    const char *at, *end;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static char next(struct cursor *from)
{
    while (from->at < from->end && is_blank(*from->at)) from->at++;
    return from->at < from->end ? *from->at : '\0';
}

static bool take(struct cursor *from, char wanted)
{
    if (next(from) != wanted) return false;
    from->at++;
    return true;
}

/* A text with its quotes. */
static bool take_text(struct cursor *from, struct wire_text *out)
{
    if (next(from) != '"') return false;
    const char *start = from->at++;
    for (; from->at < from->end && *from->at != '"'; from->at++)
        if (*from->at == '\\') from->at++;
    if (from->at >= from->end) return false;
    from->at++;
    *out = (struct wire_text){start, (size_t)(from->at - start)};
    return true;
}

/* An object or array: up to the bracket that closes it. */
static bool pass_nested(struct cursor *from)
{
    struct wire_text text;
    size_t depth = 0;
    while (from->at < from->end) {
        switch (*from->at) {
        case '"':
            if (!take_text(from, &text)) return false;
            continue;
        case '{':
        case '[': depth++; break;
        case '}':
        case ']': depth--; break;
        default: break;
        }
        from->at++;
        if (depth == 0) return true;
    }
    return false;
}

static bool take_value(struct cursor *from, struct wire_text *out)
{
    const char first = next(from);
    const char *start = from->at;
    if (first == '"') return take_text(from, out);
    if (first == '{' || first == '[') {
        if (!pass_nested(from)) return false;
    } else {
        while (from->at < from->end && !is_blank(*from->at) && !strchr(",]}", *from->at))
            from->at++;
    }
    *out = (struct wire_text){start, (size_t)(from->at - start)};
    return out->n_bytes > 0;
}

/* Paths that go on behind a name. */
struct paths {
    const char *of[JSON_SELECT_MAX_PATHS];
    size_t n;
};

/* Is the value of this name wanted whole? If not, `below` has what is wanted of it. */
static bool is_whole(const struct paths *wanted, struct wire_text name, struct paths *below)
{
    const size_t n = name.n_bytes - 2; /* without its quotes */
    below->n = 0;
    for (size_t i = 0; i < wanted->n; i++) {
        const char *path = wanted->of[i];
        if (strncmp(path, name.bytes + 1, n) != 0) continue;
        if (path[n] == '\0') return true;
        if (path[n] == '.') below->of[below->n++] = path + n + 1;
    }
    return false;
}

static status_t append_name(struct buffer *out, struct wire_text name, bool is_first,
                            struct error *err)
{
    status_t status = is_first ? ST_OK : buffer_append(out, ",", 1, err);
    if (status == ST_OK) status = buffer_append(out, name.bytes, name.n_bytes, err);
    return status == ST_OK ? buffer_append(out, ":", 1, err) : status;
}

static bool is_null(struct wire_text value)
{
    return value.n_bytes == 4 && memcmp(value.bytes, "null", 4) == 0;
}

static status_t malformed(struct error *err)
{
    return error_set(err, ST_BAD_INPUT, "a record that is no JSON");
}

static status_t select_object(struct cursor *from, const struct paths *wanted, struct buffer *out,
                              struct error *err);

/* One member, where it is wanted; *n_members counts those. */
static status_t select_member(struct cursor *from, const struct paths *wanted, struct buffer *out,
                              size_t *n_members, struct error *err)
{
    struct wire_text name, value;
    struct paths below;
    if (!take_text(from, &name) || !take(from, ':')) return malformed(err);
    const bool whole = is_whole(wanted, name, &below);
    const bool is_part = !whole && below.n && next(from) == '{';
    struct cursor inside = *from;
    if (!is_part && !take_value(from, &value)) return malformed(err);
    if (!is_part && !whole && !(below.n && is_null(value))) return ST_OK;
    status_t status = append_name(out, name, (*n_members)++ == 0, err);
    if (status != ST_OK) return status;
    if (!is_part) return buffer_append(out, value.bytes, value.n_bytes, err);
    status = select_object(&inside, &below, out, err);
    *from = inside;
    return status;
}

/* As deep as paths go, not as the text does. */
static status_t select_object(struct cursor *from, const struct paths *wanted, struct buffer *out,
                              struct error *err)
{
    size_t n_members = 0;
    if (!take(from, '{')) return malformed(err);
    status_t status = buffer_append(out, "{", 1, err);
    if (take(from, '}')) return status == ST_OK ? buffer_append(out, "}", 1, err) : status;
    do {
        if (status == ST_OK) status = select_member(from, wanted, out, &n_members, err);
    } while (status == ST_OK && take(from, ','));
    if (status == ST_OK && !take(from, '}')) status = malformed(err);
    return status == ST_OK ? buffer_append(out, "}", 1, err) : status;
}

status_t json_select(struct wire_text object, const char *const *paths, size_t n_paths,
                     struct buffer *out, struct error *err)
{
    const size_t n_before = out->n_bytes;
    struct cursor from = {object.bytes, object.bytes + object.n_bytes};
    struct paths wanted = {.n = n_paths};
    if (n_paths) memcpy(wanted.of, paths, n_paths * sizeof *paths);
    status_t status = select_object(&from, &wanted, out, err);
    if (status == ST_OK && next(&from)) status = malformed(err);
    if (status != ST_OK) out->n_bytes = n_before;
    return status;
}
