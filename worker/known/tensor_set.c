#include "worker/known/tensor_set.h"

#include "common/size.h"
#include "worker/model/safetensors_writer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

status_t tensor_set_add(struct tensor_set *set, double **out, size_t rows, size_t columns,
                        struct error *err, const char *format, ...)
{
    const size_t i = set->n_tensors;
    size_t n_bytes;
    va_list arguments;
    if (i == TENSOR_SET_MAX || !size_tensor(rows ? rows : 1, columns, sizeof **out, &n_bytes))
        return error_set(err, ST_TOO_LARGE, "tensor %zu of %zu x %zu values", i, rows, columns);
    va_start(arguments, format);
    (void)vsnprintf(set->names[i], TENSOR_SET_NAME_SIZE, format, arguments);
    va_end(arguments);
    set->values[i] = calloc(n_bytes, 1);
    if (!set->values[i])
        return error_set(err, ST_NO_MEMORY, "tensor %s: %zu bytes", set->names[i], n_bytes);
    set->views[i] = (struct tensor_view){.name = set->names[i],
                                         .dtype = TENSOR_F32,
                                         .n_dims = rows ? 2 : 1,
                                         .shape = {rows ? rows : columns, columns}};
    set->n_tensors = i + 1;
    *out = set->values[i];
    return ST_OK;
}

static status_t append_rounded(struct safetensors_writer *writer, const struct tensor_set *set,
                               size_t index, struct error *err)
{
    enum { PIECE = 1024 };
    float piece[PIECE];
    status_t status = ST_OK;
    const size_t n_values = tensor_n_values(&set->views[index]);
    for (size_t at = 0; at < n_values && status == ST_OK; at += PIECE) {
        const size_t n = n_values - at < PIECE ? n_values - at : PIECE;
        for (size_t i = 0; i < n; i++) piece[i] = (float)set->values[index][at + i];
        status = safetensors_writer_append(writer, index, piece, n * sizeof *piece, err);
    }
    return status;
}

status_t tensor_set_write(const struct tensor_set *set, const char *path, struct error *err)
{
    struct safetensors_writer *writer = NULL;
    status_t status = safetensors_writer_open(&writer, path, set->views, set->n_tensors, err);
    for (size_t i = 0; i < set->n_tensors && status == ST_OK; i++)
        status = append_rounded(writer, set, i, err);
    if (status == ST_OK) status = safetensors_writer_finish(&writer, err);
    safetensors_writer_abort(&writer);
    return status;
}

void tensor_set_fini(struct tensor_set *set)
{
    for (size_t i = 0; i < set->n_tensors; i++) free(set->values[i]);
    *set = (struct tensor_set){0};
}
