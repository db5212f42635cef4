#include "common/buffer.h"

#include "common/size.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 256 };

void buffer_init(struct buffer *buffer, size_t max_bytes)
{
    *buffer = (struct buffer){.max_bytes = max_bytes};
}

void buffer_fini(struct buffer *buffer)
{
    free(buffer->bytes);
    *buffer = (struct buffer){.max_bytes = buffer->max_bytes};
}

status_t buffer_reserve(struct buffer *buffer, size_t n_more, void **room, struct error *err)
{
    size_t needed;
    if (!size_add(buffer->n_bytes, n_more, &needed) || needed > buffer->max_bytes)
        return error_set(err, ST_TOO_LARGE, "buffer of %zu bytes cannot take %zu more (cap %zu)",
                         buffer->n_bytes, n_more, buffer->max_bytes);
    if (needed > buffer->capacity) {
        size_t capacity = buffer->capacity ? buffer->capacity : FIRST_CAPACITY;
        while (capacity < needed && size_mul(capacity, 2, &capacity)) continue;
        if (capacity > buffer->max_bytes) capacity = buffer->max_bytes;
        void *grown = realloc(buffer->bytes, capacity);
        if (!grown) return error_set(err, ST_NO_MEMORY, "buffer of %zu bytes", capacity);
        buffer->bytes = grown;
        buffer->capacity = capacity;
    }
    *room = buffer->bytes ? buffer->bytes + buffer->n_bytes : NULL;
    return ST_OK;
}

status_t buffer_append(struct buffer *buffer, const void *bytes, size_t n_bytes, struct error *err)
{
    if (n_bytes == 0) return ST_OK;
    void *room;
    const status_t status = buffer_reserve(buffer, n_bytes, &room, err);
    if (status != ST_OK) return status;
    memcpy(room, bytes, n_bytes);
    buffer->n_bytes += n_bytes;
    return ST_OK;
}

status_t buffer_append_text(struct buffer *buffer, const char *text, struct error *err)
{
    return buffer_append(buffer, text, strlen(text), err);
}

status_t buffer_printf(struct buffer *buffer, struct error *err, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    const int n_text = vsnprintf(NULL, 0, format, args);
    va_end(args);
    void *room;
    status_t status = n_text < 0 ? error_set(err, ST_INTERNAL, "bad format")
                                 : buffer_reserve(buffer, (size_t)n_text + 1, &room, err);
    if (status == ST_OK) {
        (void)vsnprintf(room, (size_t)n_text + 1, format, again);
        buffer->n_bytes += (size_t)n_text;
    }
    va_end(again);
    return status;
}

const char *buffer_text(struct buffer *buffer)
{
    void *room = NULL;
    if (buffer_reserve(buffer, 1, &room, NULL) != ST_OK || !room) return NULL;
    *(char *)room = '\0';
    return (const char *)buffer->bytes;
}
