#include "worker/model/token_list.h"

#include "common/size.h"

enum { FIRST_CAPACITY = 64 };

status_t token_list_reserve(struct token_list *list, size_t n_more, struct error *err)
{
    size_t needed, n_bytes;
    size_t capacity = list->capacity ? list->capacity : FIRST_CAPACITY;
    if (!size_add(list->n_ids, n_more, &needed) || needed > SIZE_MAX / 8)
        return error_set(err, ST_TOO_LARGE, "token list of %zu", list->n_ids);
    while (capacity < needed) capacity *= 2;
    if (capacity == list->capacity) return ST_OK;
    if (!size_mul(capacity, sizeof *list->ids, &n_bytes))
        return error_set(err, ST_TOO_LARGE, "token list of %zu", capacity);
    uint32_t *grown = realloc(list->ids, n_bytes);
    if (!grown) return error_set(err, ST_NO_MEMORY, "token list of %zu", capacity);
    list->ids = grown;
    list->capacity = capacity;
    return ST_OK;
}
