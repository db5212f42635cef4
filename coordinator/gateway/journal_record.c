#include "coordinator/gateway/journal_record.h"

#include <string.h>
#include <zlib.h>

enum { HEAD_BYTES = 8, LENGTH_BYTES = 4 };

static void put_u32(unsigned char *out, uint32_t value)
{
    for (int i = 0; i < 4; i++) out[i] = (unsigned char)(value >> (8 * i));
}

static uint32_t get_u32(const char *bytes)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) value |= (uint32_t)(unsigned char)bytes[i] << (8 * i);
    return value;
}

static uint32_t checksum(const void *bytes, size_t n_bytes)
{
    return (uint32_t)crc32(0, bytes, (uInt)n_bytes);
}

status_t journal_record_encode(struct buffer *out, enum journal_kind kind, size_t n_fields,
                               const char *const *fields, const size_t *n_bytes, struct error *err)
{
    void *room;
    size_t n_payload = 3;
    if (n_fields > JOURNAL_FIELDS_MAX)
        return error_set(err, ST_TOO_LARGE, "record of %zu fields", n_fields);
    for (size_t i = 0; i < n_fields; i++) {
        if (n_bytes[i] > JOURNAL_RECORD_MAX)
            return error_set(err, ST_TOO_LARGE, "record field of %zu bytes", n_bytes[i]);
        n_payload += LENGTH_BYTES + n_bytes[i];
    }
    if (n_payload > JOURNAL_RECORD_MAX)
        return error_set(err, ST_TOO_LARGE, "record of %zu bytes", n_payload);
    const status_t status = buffer_reserve(out, HEAD_BYTES + n_payload, &room, err);
    if (status != ST_OK) return status;
    unsigned char *head = room, *at = head + HEAD_BYTES;
    *at++ = (unsigned char)kind;
    *at++ = (unsigned char)n_fields;
    for (size_t i = 0; i < n_fields; i++) {
        put_u32(at, (uint32_t)n_bytes[i]);
        at += LENGTH_BYTES;
        if (n_bytes[i]) memcpy(at, fields[i], n_bytes[i]);
        at += n_bytes[i];
    }
    *at = '\0';
    put_u32(head, (uint32_t)n_payload);
    put_u32(head + 4, checksum(head + HEAD_BYTES, n_payload));
    out->n_bytes += HEAD_BYTES + n_payload;
    return ST_OK;
}

/* Find the fields of a payload whose checksum held. False if the lengths do not add up. */
static int find_fields(char *payload, size_t n_payload, struct journal_record *out)
{
    size_t at = 2;
    out->kind = (enum journal_kind)(unsigned char)payload[0];
    out->n_fields = (unsigned char)payload[1];
    if (out->n_fields > JOURNAL_FIELDS_MAX) return 0;
    if (out->kind < JOURNAL_SEND || out->kind > JOURNAL_BATCH) return 0;
    for (size_t i = 0; i < out->n_fields; i++) {
        if (n_payload - at <= LENGTH_BYTES) return 0;
        out->n_bytes[i] = get_u32(payload + at);
        payload[at] = '\0'; /* ends the field before */
        at += LENGTH_BYTES;
        if (out->n_bytes[i] >= n_payload - at) return 0; /* room for the last NUL */
        out->fields[i] = payload + at;
        at += out->n_bytes[i];
    }
    return at + 1 == n_payload && payload[at] == '\0';
}

size_t journal_record_decode(char *bytes, size_t n_left, struct journal_record *out)
{
    if (n_left < HEAD_BYTES + 3) return 0;
    const size_t n_payload = get_u32(bytes);
    if (n_payload < 3 || n_payload > JOURNAL_RECORD_MAX || n_payload > n_left - HEAD_BYTES)
        return 0;
    char *payload = bytes + HEAD_BYTES;
    if (checksum(payload, n_payload) != get_u32(bytes + 4)) return 0;
    return find_fields(payload, n_payload, out) ? HEAD_BYTES + n_payload : 0;
}
