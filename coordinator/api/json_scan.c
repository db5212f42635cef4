#include "coordinator/api/json_scan.h"

#include <string.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

char json_scan_next(struct json_scan *from)
{
    while (from->at < from->end && is_blank(*from->at)) from->at++;
    return from->at < from->end ? *from->at : '\0';
}

bool json_scan_take(struct json_scan *from, char wanted)
{
    if (json_scan_next(from) != wanted) return false;
    from->at++;
    return true;
}

bool json_scan_text(struct json_scan *from, struct wire_text *out)
{
    if (json_scan_next(from) != '"') return false;
    const char *start = from->at++;
    for (; from->at < from->end && *from->at != '"'; from->at++)
        if (*from->at == '\\') from->at++;
    if (from->at >= from->end) return false;
    from->at++;
    *out = (struct wire_text){start, (size_t)(from->at - start)};
    return true;
}

/* An object or array: up to the bracket that closes it. */
static bool pass_nested(struct json_scan *from)
{
    struct wire_text text;
    size_t depth = 0;
    while (from->at < from->end) {
        switch (*from->at) {
        case '"':
            if (!json_scan_text(from, &text)) return false;
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

bool json_scan_value(struct json_scan *from, struct wire_text *out)
{
    const char first = json_scan_next(from);
    const char *start = from->at;
    if (first == '"') return json_scan_text(from, out);
    if (first == '{' || first == '[') {
        if (!pass_nested(from)) return false;
    } else {
        while (from->at < from->end && !is_blank(*from->at) && !strchr(",]}", *from->at))
            from->at++;
    }
    *out = (struct wire_text){start, (size_t)(from->at - start)};
    return out->n_bytes > 0;
}
