/* A look over a msgpack message before it is unpacked: no count may exceed the bytes that are left,
 * and nothing nests deeper than the grammar does. Without it, five bytes that claim an array of
 * four billion items make the library reserve a hundred gigabytes. */
#include "common/wire.h"

enum { DEPTH_MAX = 8 };

struct scan {
    const unsigned char *at, *end;
};

static size_t left(const struct scan *scan)
{
    return (size_t)(scan->end - scan->at);
}

/* A big-endian number of n bytes. */
static bool take_number(struct scan *scan, size_t n, uint64_t *out)
{
    if (left(scan) < n) return false;
    *out = 0;
    for (size_t i = 0; i < n; i++) *out = *out << 8 | *scan->at++;
    return true;
}

static bool skip(struct scan *scan, uint64_t n)
{
    if (n > left(scan)) return false;
    scan->at += n;
    return true;
}

/* The head of one value: how many bytes of body it has, how many values follow inside it. */
struct head {
    uint64_t n_body, n_children;
};

/* Formats 0xc0 to 0xdf: width of the count in bytes, bytes beside the counted ones, and what is
 * counted; from the specification's table. */
static bool read_wide_head(struct scan *scan, unsigned char code, struct head *out)
{
    static const struct {
        unsigned char n_count, n_fixed;
        enum { NONE, BODY, ITEMS, PAIRS, REFUSED } counts;
    } formats[32] = {
        [0x00] = {0, 0, NONE},  [0x01] = {0, 0, REFUSED}, [0x02] = {0, 0, NONE},
        [0x03] = {0, 0, NONE},  [0x04] = {1, 0, BODY},    [0x05] = {2, 0, BODY},
        [0x06] = {4, 0, BODY},  [0x07] = {1, 1, BODY},    [0x08] = {2, 1, BODY},
        [0x09] = {4, 1, BODY},  [0x0a] = {0, 4, NONE},    [0x0b] = {0, 8, NONE},
        [0x0c] = {0, 1, NONE},  [0x0d] = {0, 2, NONE},    [0x0e] = {0, 4, NONE},
        [0x0f] = {0, 8, NONE},  [0x10] = {0, 1, NONE},    [0x11] = {0, 2, NONE},
        [0x12] = {0, 4, NONE},  [0x13] = {0, 8, NONE},    [0x14] = {0, 2, NONE},
        [0x15] = {0, 3, NONE},  [0x16] = {0, 5, NONE},    [0x17] = {0, 9, NONE},
        [0x18] = {0, 17, NONE}, [0x19] = {1, 0, BODY},    [0x1a] = {2, 0, BODY},
        [0x1b] = {4, 0, BODY},  [0x1c] = {2, 0, ITEMS},   [0x1d] = {4, 0, ITEMS},
        [0x1e] = {2, 0, PAIRS}, [0x1f] = {4, 0, PAIRS},
    };
    const unsigned index = code - 0xc0u;
    uint64_t count = 0;
    if (formats[index].counts == REFUSED || !take_number(scan, formats[index].n_count, &count))
        return false;
    *out = (struct head){.n_body = formats[index].n_fixed};
    if (formats[index].counts == BODY) out->n_body += count;
    if (formats[index].counts == ITEMS) out->n_children = count;
    if (formats[index].counts == PAIRS) out->n_children = 2 * count;
    return true;
}

static bool read_head(struct scan *scan, struct head *out)
{
    uint64_t code;
    if (!take_number(scan, 1, &code)) return false;
    *out = (struct head){0};
    if (code < 0x80 || code >= 0xe0) return true; /* small numbers */
    if (code >= 0xc0) return read_wide_head(scan, (unsigned char)code, out);
    if (code >= 0xa0)
        out->n_body = code & 0x1f;
    else if (code >= 0x90)
        out->n_children = code & 0x0f;
    else
        out->n_children = 2 * (code & 0x0f);
    return true;
}

bool wire_counts_fit(const void *bytes, size_t n_bytes)
{
    struct scan scan = {bytes, (const unsigned char *)bytes + n_bytes};
    uint64_t n_open[DEPTH_MAX] = {1}; /* values still to come at each depth */
    size_t depth = 0;
    while (depth > 0 || n_open[0] > 0) {
        if (n_open[depth] == 0) {
            depth--;
            continue;
        }
        struct head head;
        n_open[depth]--;
        if (!read_head(&scan, &head) || !skip(&scan, head.n_body)) return false;
        if (head.n_children == 0) continue;
        if (head.n_children > left(&scan) || depth + 1 == DEPTH_MAX) return false;
        n_open[++depth] = head.n_children;
    }
    return true; /* what is behind the value is the caller's question */
}
