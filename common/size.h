/* Size arithmetic that says when it overflows. Every product of counts from outside passes
 * through here before malloc, mmap or a launch. Any thread. */
#ifndef COMMON_SIZE_H
#define COMMON_SIZE_H

#include <stdbool.h>
#include <stddef.h>

/* *out = a * b (or a + b); false and *out untouched if it does not fit. */
static inline bool size_mul(size_t a, size_t b, size_t *out)
{
    size_t product;
    if (__builtin_mul_overflow(a, b, &product)) return false;
    *out = product;
    return true;
}

static inline bool size_add(size_t a, size_t b, size_t *out)
{
    size_t sum;
    if (__builtin_add_overflow(a, b, &sum)) return false;
    *out = sum;
    return true;
}

/* *out = rows * columns * item_size; false if that overflows. */
static inline bool size_tensor(size_t rows, size_t columns, size_t item_size, size_t *out)
{
    size_t n_items;
    return size_mul(rows, columns, &n_items) && size_mul(n_items, item_size, out);
}

#endif
