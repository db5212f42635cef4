/* A growable list of token ids. The owner calls token_list_fini(); `= {0}` starts it empty. */
#ifndef WORKER_MODEL_TOKEN_LIST_H
#define WORKER_MODEL_TOKEN_LIST_H

#include "common/error.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct token_list {
    uint32_t *ids; /* [n_ids], owned */
    size_t n_ids;
    size_t capacity;
};

/* Make room for n_more ids behind the end. Errors: ST_NO_MEMORY, ST_TOO_LARGE. */
MUST_CHECK status_t token_list_reserve(struct token_list *list, size_t n_more, struct error *err);

MUST_CHECK static inline status_t token_list_append(struct token_list *list, const uint32_t *ids,
                                                    size_t n_ids, struct error *err)
{
    if (list->capacity - list->n_ids < n_ids) {
        const status_t status = token_list_reserve(list, n_ids, err);
        if (status != ST_OK) return status;
    }
    if (n_ids) memcpy(list->ids + list->n_ids, ids, n_ids * sizeof *ids);
    list->n_ids += n_ids;
    return ST_OK;
}

static inline void token_list_fini(struct token_list *list)
{
    free(list->ids);
    *list = (struct token_list){0};
}

#endif
