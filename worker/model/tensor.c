#include "worker/model/tensor.h"

#include "common/size.h"

#include <stdint.h>
#include <string.h>

static const struct {
    const char *name;
    size_t n_bytes;
} dtypes[TENSOR_N_DTYPES] = {
    [TENSOR_F64] = {"F64", 8},         [TENSOR_F32] = {"F32", 4},
    [TENSOR_F16] = {"F16", 2},         [TENSOR_BF16] = {"BF16", 2},
    [TENSOR_F8_E4M3] = {"F8_E4M3", 1}, [TENSOR_F8_E5M2] = {"F8_E5M2", 1},
    [TENSOR_I64] = {"I64", 8},         [TENSOR_I32] = {"I32", 4},
    [TENSOR_I16] = {"I16", 2},         [TENSOR_I8] = {"I8", 1},
    [TENSOR_U64] = {"U64", 8},         [TENSOR_U32] = {"U32", 4},
    [TENSOR_U16] = {"U16", 2},         [TENSOR_U8] = {"U8", 1},
    [TENSOR_BOOL] = {"BOOL", 1},
};

const char *tensor_dtype_name(enum tensor_dtype dtype)
{
    return (unsigned)dtype < TENSOR_N_DTYPES ? dtypes[dtype].name : "?";
}

size_t tensor_dtype_bytes(enum tensor_dtype dtype)
{
    return (unsigned)dtype < TENSOR_N_DTYPES ? dtypes[dtype].n_bytes : 0;
}

status_t tensor_dtype_parse(const char *name, enum tensor_dtype *out, struct error *err)
{
    for (unsigned i = 0; i < TENSOR_N_DTYPES; i++) {
        if (strcmp(name, dtypes[i].name) != 0) continue;
        *out = (enum tensor_dtype)i;
        return ST_OK;
    }
    return error_set(err, ST_UNSUPPORTED, "dtype '%.32s' is not known", name);
}

size_t tensor_n_values(const struct tensor_view *view)
{
    size_t n_values = 1;
    for (size_t i = 0; i < view->n_dims; i++) n_values *= view->shape[i];
    return n_values;
}

status_t tensor_measure(enum tensor_dtype dtype, const size_t *shape, size_t n_dims,
                        size_t *n_bytes, struct error *err)
{
    size_t total = tensor_dtype_bytes(dtype);
    if (total == 0) return error_set(err, ST_BAD_INPUT, "no dtype %d", (int)dtype);
    if (n_dims > TENSOR_MAX_DIMS)
        return error_set(err, ST_TOO_LARGE, "%zu dimensions, at most %d", n_dims, TENSOR_MAX_DIMS);
    for (size_t i = 0; i < n_dims; i++)
        if (!size_mul(total, shape[i], &total))
            return error_set(err, ST_TOO_LARGE, "shape overflows at dimension %zu (%zu)", i,
                             shape[i]);
    *n_bytes = total;
    return ST_OK;
}

static float float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Shifting a half's exponent and fraction into a float's place scales it by 2^-112: one exact
 * product puts normals and denormals right. Infinities and NaNs get the full exponent. */
static float float_of_half(uint16_t half)
{
    const uint32_t magnitude = half & 0x7fffu;
    const float scaled = float_of_bits(magnitude << 13) * 0x1p112f;
    uint32_t bits;
    memcpy(&bits, &scaled, sizeof bits);
    if (magnitude >= 0x7c00u) bits = 0x7f800000u | (magnitude << 13);
    return float_of_bits(bits | (uint32_t)(half & 0x8000u) << 16);
}

static void widen_f16(const unsigned char *from, float *out, size_t n_values)
{
    for (size_t i = 0; i < n_values; i++) {
        uint16_t half;
        memcpy(&half, from + 2 * i, sizeof half);
        out[i] = float_of_half(half);
    }
}

static void widen_bf16(const unsigned char *from, float *out, size_t n_values)
{
    for (size_t i = 0; i < n_values; i++) {
        uint16_t half;
        memcpy(&half, from + 2 * i, sizeof half);
        out[i] = float_of_bits((uint32_t)half << 16);
    }
}

static void narrow_f64(const unsigned char *from, float *out, size_t n_values)
{
    for (size_t i = 0; i < n_values; i++) {
        double value;
        memcpy(&value, from + 8 * i, sizeof value);
        out[i] = (float)value;
    }
}

status_t tensor_to_f32(const struct tensor_view *view, float *out, size_t n_values,
                       struct error *err)
{
    const size_t n_held = tensor_n_values(view);
    if (n_held != n_values)
        return error_set(err, ST_BAD_INPUT, "tensor '%s': holds %zu values, %zu are wanted",
                         view->name, n_held, n_values);
    if (n_values == 0) return ST_OK;
    if (view->dtype == TENSOR_F32)
        memcpy(out, view->data, view->n_bytes);
    else if (view->dtype == TENSOR_F16)
        widen_f16(view->data, out, n_values);
    else if (view->dtype == TENSOR_BF16)
        widen_bf16(view->data, out, n_values);
    else if (view->dtype == TENSOR_F64)
        narrow_f64(view->data, out, n_values);
    else
        return error_set(err, ST_UNSUPPORTED, "tensor '%s': dtype %s does not convert to f32",
                         view->name, tensor_dtype_name(view->dtype));
    return ST_OK;
}
