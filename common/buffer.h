/* A growable run of bytes with a cap given at init. The owner calls buffer_fini(). Not shared
 * between threads. Appends that would pass the cap fail with ST_TOO_LARGE and change nothing. */
#ifndef COMMON_BUFFER_H
#define COMMON_BUFFER_H

#include "common/error.h"

#include <stddef.h>

struct buffer {
    unsigned char *bytes; /* [n_bytes], owned; NULL while empty */
    size_t n_bytes;
    size_t capacity;
    size_t max_bytes;
};

void buffer_init(struct buffer *buffer, size_t max_bytes);
void buffer_fini(struct buffer *buffer);

/* Room for `n_more` bytes behind the end; on success *room points at them (not yet counted:
 * add what was used to n_bytes). Errors: ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t buffer_reserve(struct buffer *buffer, size_t n_more, void **room,
                                   struct error *err);

MUST_CHECK status_t buffer_append(struct buffer *buffer, const void *bytes, size_t n_bytes,
                                  struct error *err);
MUST_CHECK status_t buffer_append_text(struct buffer *buffer, const char *text, struct error *err);
MUST_CHECK status_t buffer_printf(struct buffer *buffer, struct error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Put a NUL behind the bytes (not counted in n_bytes) and return them as a C string, which
 * stays the buffer's. NULL if there is no room for the NUL. */
const char *buffer_text(struct buffer *buffer);

#endif
