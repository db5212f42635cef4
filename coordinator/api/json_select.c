#include "coordinator/api/json_select.h"

#include "coordinator/api/json_scan.h"

#include <stdbool.h>
#include <string.h>

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

static status_t select_object(struct json_scan *from, const struct paths *wanted,
                              struct buffer *out, struct error *err);

/* One member, where it is wanted; *n_members counts those. */
static status_t select_member(struct json_scan *from, const struct paths *wanted,
                              struct buffer *out, size_t *n_members, struct error *err)
{
    struct wire_text name, value;
    struct paths below;
    if (!json_scan_text(from, &name) || !json_scan_take(from, ':')) return malformed(err);
    const bool whole = is_whole(wanted, name, &below);
    const bool is_part = !whole && below.n && json_scan_next(from) == '{';
    struct json_scan inside = *from;
    if (!is_part && !json_scan_value(from, &value)) return malformed(err);
    if (!is_part && !whole && !(below.n && is_null(value))) return ST_OK;
    status_t status = append_name(out, name, (*n_members)++ == 0, err);
    if (status != ST_OK) return status;
    if (!is_part) return buffer_append(out, value.bytes, value.n_bytes, err);
    status = select_object(&inside, &below, out, err);
    *from = inside;
    return status;
}

/* As deep as paths go, not as the text does. */
static status_t select_object(struct json_scan *from, const struct paths *wanted,
                              struct buffer *out, struct error *err)
{
    size_t n_members = 0;
    if (!json_scan_take(from, '{')) return malformed(err);
    status_t status = buffer_append(out, "{", 1, err);
    if (json_scan_take(from, '}'))
        return status == ST_OK ? buffer_append(out, "}", 1, err) : status;
    do {
        if (status == ST_OK) status = select_member(from, wanted, out, &n_members, err);
    } while (status == ST_OK && json_scan_take(from, ','));
    if (status == ST_OK && !json_scan_take(from, '}')) status = malformed(err);
    return status == ST_OK ? buffer_append(out, "}", 1, err) : status;
}

status_t json_select(struct wire_text object, const char *const *paths, size_t n_paths,
                     struct buffer *out, struct error *err)
{
    const size_t n_before = out->n_bytes;
    struct json_scan from = {object.bytes, object.bytes + object.n_bytes};
    struct paths wanted = {.n = n_paths};
    if (n_paths) memcpy(wanted.of, paths, n_paths * sizeof *paths);
    status_t status = select_object(&from, &wanted, out, err);
    if (status == ST_OK && json_scan_next(&from)) status = malformed(err);
    if (status != ST_OK) out->n_bytes = n_before;
    return status;
}
